"""The ready-made channels: the TOML files of `pnp.geometries`."""

import tomllib
from importlib.resources import files


def names() -> list[str]:
    """Of all ready-made channels."""
    entries = files("pnp.geometries").iterdir()
    return sorted(e.name.removesuffix(".toml") for e in entries if e.name.endswith(".toml"))


def text(name: str) -> str:
    """The channel file called `name`."""
    return files("pnp.geometries").joinpath(f"{name}.toml").read_text("utf-8")


def presets() -> dict[str, str]:
    """The ready-made channels: name → one-line description."""
    return {name: tomllib.loads(text(name))["description"] for name in names()}
