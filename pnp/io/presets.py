"""The ready-made channels: the TOML files of `pnp.geometries`."""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def _folder() -> Traversable:
    try:
        return files("pnp.geometries")
    except ModuleNotFoundError:  # run from a source tree, where the folder has not been given that name yet
        return Path(__file__).parents[2] / "geometries"


def names() -> list[str]:
    """Of all ready-made channels."""
    return sorted(e.name.removesuffix(".toml") for e in _folder().iterdir() if e.name.endswith(".toml"))


def text(name: str) -> str:
    """The channel file called `name`."""
    return _folder().joinpath(f"{name}.toml").read_text("utf-8")


def presets() -> dict[str, str]:
    """The ready-made channels: name → one-line description."""
    return {name: tomllib.loads(text(name))["description"] for name in names()}
