"""The ready-made channels: the TOML files of `pnp.geometries`."""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def _folder() -> Traversable:
    try:
        return files("pnp.geometries")
    except ModuleNotFoundError:  # in a source tree that is not installed the folder stands at the top level
        return Path(__file__).parents[2] / "geometries"


def names() -> list[str]:
    """Names of the ready-made channels."""
    return sorted(e.name.removesuffix(".toml") for e in _folder().iterdir() if e.name.endswith(".toml"))


def text(name: str) -> str:
    """Contents of the channel file called `name`."""
    return _folder().joinpath(f"{name}.toml").read_text("utf-8")


def presets() -> dict[str, str]:
    """The ready-made channels: name → one-line description."""
    return {name: tomllib.loads(text(name))["description"] for name in names()}
