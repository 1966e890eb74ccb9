"""One number of a channel, and the ways in which numbers stand in it: leaves, rows of tables, factors, pairs."""

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import quantity as q
from pnp.channel.profiles import SHORT_TABLE, Constant, Table

if TYPE_CHECKING:
    from pnp.channel.channel import Channel

Where = Callable[..., Any]
"""Where in a channel something stands."""

_POSITIVE = (q.LENGTH, q.AREA, q.PERMITTIVITY, q.DIFFUSIVITY, q.FACTOR)


class ChannelNumber(NamedTuple):
    """One number of a channel."""

    path: str
    kind: q.Kind
    get: "Callable[[Channel], Float[Array, '']]"
    """What it is in a channel."""
    put: "Callable[[Channel, Float[Array, '']], Channel]"
    """A copy of a channel with another value, unchecked."""
    sets: str
    """The path of what it changes: its own, or that of the profile or number from which it is derived."""
    rule: str = ""
    """How it follows from other numbers, if it is derived."""
    smooth: bool = True
    """Whether currents can be differentiated by it. They cannot by a position where something jumps: the mesh has
    a node there, and nodes are constants to differentiation."""


def leaf(path: str, kind: q.Kind, where: Where, **more: Any) -> ChannelNumber:
    """A number that is a leaf of the channel."""
    return ChannelNumber(path, kind, where, functools.partial(_put_leaf, where), path, **more)


def _put_leaf(where: Where, channel: "Channel", value: Any) -> "Channel":
    return eqx.tree_at(where, channel, value)


def table_rows(path: str, kind: q.Kind, values: Where, rows: slice, sets: str) -> ChannelNumber:
    """Rows of a table that have one value."""
    put = lambda c, value: eqx.tree_at(values, c, values(c).at[rows].set(value))
    return ChannelNumber(path, kind, lambda c: values(c)[rows.start], put, sets)


def scale_factor(path: str, kind: q.Kind, values: Where, sets: str) -> ChannelNumber:
    """A factor on all of a profile."""
    put = lambda c, factor: eqx.tree_at(values, c, values(c) * factor)
    scale = q.SCALE if kind in _POSITIVE else q.FACTOR
    return ChannelNumber(path, scale, lambda c: jnp.ones(()), put, sets, f"multiplies {sets}; 1 as it is")


def profile_numbers(path: str, kind: q.Kind, channel: "Channel", where: Where) -> Iterator[ChannelNumber]:
    """A profile: its value or its rows, and a factor on all of it. A function has neither."""
    profile = where(channel)
    if isinstance(profile, Constant):
        values = lambda c: where(c).value
        yield leaf(path, kind, values)
    elif isinstance(profile, Table):
        values = lambda c: where(c).y
        count = profile.y.shape[-1]
        for i in range(count if count <= SHORT_TABLE else 0):
            yield table_rows(f"{path}.{i}", kind, values, slice(i, i + 1), f"{path}.{i}")
        yield scale_factor(path, kind, values, path)
    else:
        return
    yield scale_factor(f"{path}.scale", kind, values, path)


def pair(path: str, kind: q.Kind, where: Where, **more: Any) -> ChannelNumber:
    """One number for what the inside and the outside have alike."""

    def get(channel):
        inside, outside = where(channel)
        return jnp.where(inside == outside, inside, jnp.nan)

    put = lambda c, value: eqx.tree_at(where, c, [value, value])
    return ChannelNumber(path, kind, get, put, path, "of both sides; NaN where they differ", **more)


def proportional(path: str, kind: q.Kind, stored: Callable, factor: Callable, sets: str, rule: str) -> ChannelNumber:
    """A number that is a stored one times a factor."""
    put = lambda c, value: eqx.tree_at(stored, c, value / factor(c))
    return ChannelNumber(path, kind, lambda c: stored(c) * factor(c), put, sets, rule)
