"""Many channels of one structure as a single one, whose numbers are arrays [case]."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from pnp.channel.channel import Channel
from pnp.channel.charge import Ring, Segment, VolumeCharge, WallCharge
from pnp.channel.profiles import Circle, Constant, Function, Table


def stack(channels: Iterable[Channel]) -> Channel:
    """One channel whose numbers are arrays [case], of channels that differ in numbers only.

    - channels: at least one. Their structures must be equal: ions, kinds of charges and profiles, rows of tables.

    Returns a Channel for `pnp.solve_batch` and `jax.vmap`. `Channel.value` and `with_values` take it too.
    Raises ValueError, which names the first difference in structure.
    """
    channels = list(channels)
    if not channels:
        raise ValueError("there are no channels to stack")
    first = channels[0]
    for i, other in enumerate(channels):
        if other.stacked:
            raise ValueError(f"channel {i} is a stack itself")
        found = _difference(first, other, "", i)
        if found:
            raise ValueError(f"these channels cannot be stacked: {found}")
    names = list(dict.fromkeys(channel.name for channel in channels))
    name = names[0] if len(names) == 1 else f"{', '.join(names[:3])}{' …'[: 2 * (len(names) > 3)]}"
    return jax.tree.map(lambda *numbers: jnp.stack(numbers), *channels).with_texts(name=name)


_WORDS = {
    Ring: "a ring",
    Segment: "a segment of given amount",
    VolumeCharge: "a segment of given density",
    WallCharge: "a charged wall",
    Constant: "one number",
    Table: "a table",
    Function: "a function",
    Circle: "given by its radius",
    type(None): "not given",
}


def _difference(a: Any, b: Any, path: str, i: int) -> str | None:
    """The first difference in structure between the same part of channel 0 and of channel i, in words."""
    where, here = _shown(path), f"in channel {i}"
    if type(a) is not type(b) and not (eqx.is_array(a) and eqx.is_array(b)):
        return f"{where} is {_word(b)} {here}, {_word(a)} in channel 0"
    if isinstance(a, eqx.Module):
        return _difference_of_modules(a, b, path, i)
    if isinstance(a, dict):
        if a.keys() != b.keys():
            if where == "ions":
                return f"channel {i} has the ions {_listed(b)}, channel 0 {_listed(a)}"
            return f"{where} is given for {_listed(b)} {here}, for {_listed(a)} in channel 0"
        return _first(_difference(a[k], b[k], f"{path}.{k}", i) for k in a)
    if isinstance(a, tuple):
        if len(a) != len(b):
            what = "charges" if where == "pore.charge" else f"entries in {where}"
            return f"channel {i} has {len(b)} {what}, channel 0 has {len(a)}"
        return _first(_difference(x, y, f"{path}.{k}", i) for k, (x, y) in enumerate(zip(a, b, strict=True)))
    if eqx.is_array(a) and a.shape != b.shape:
        return f"{where} has {b.size} rows {here}, {a.size} in channel 0"
    return None


def _difference_of_modules(a: eqx.Module, b: eqx.Module, path: str, i: int) -> str | None:
    fields = dataclasses.fields(a)  # type: ignore[arg-type]
    names = [f.name for f in fields if not f.metadata.get("static")]
    found = _first(_difference(getattr(a, n), getattr(b, n), f"{path}.{n}", i) for n in names)
    if found:
        return found
    for name in (f.name for f in fields if f.metadata.get("static")):
        one, other = getattr(a, name), getattr(b, name)
        if one != other:
            if name == "node_index":
                return f"{_shown(path)} has its jumps in other rows in channel {i} than in channel 0"
            return f"{_shown(f'{path}.{name}')} is {_listed(other)} in channel {i}, {_listed(one)} in channel 0"
    return None


def _first(found) -> str | None:
    return next((text for text in found if text), None)


def _shown(path: str) -> str:
    """As in a channel file."""
    for end in (".x", ".y", ".value"):
        path = path.removesuffix(end)
    return path.removeprefix(".").replace("pore.area.radius", "pore.radius") or "the channel"


def _word(part: Any) -> str:
    return _WORDS.get(type(part), "one number" if eqx.is_array(part) else type(part).__name__)


def _listed(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, dict | tuple) else str(value)
