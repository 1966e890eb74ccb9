"""Reading and changing the numbers of a channel by their paths: see `numbers` for which there are."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import quantity as q
from pnp.channel.numbers import ChannelNumber, numbers
from pnp.tracing import is_traced

if TYPE_CHECKING:
    from pnp.channel.channel import Channel


def find(known: Mapping[str, ChannelNumber], path: str) -> ChannelNumber:
    """The number of that path. Raises KeyError, which names the nearest paths."""
    if path not in known:
        raise KeyError(f"{path}: the channel has no such number; {nearest(path, known)}")
    return known[path]


def nearest(path: str, known: Iterable[str]) -> str:
    """The paths that a wrong one may have meant, in words."""
    known = list(known)
    near = difflib.get_close_matches(path, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known[:6])} …"


def overlap(one: ChannelNumber, other: ChannelNumber) -> bool:
    """Whether two numbers change the same thing, so that the result would depend on their order."""
    a, b = one.sets, other.sets
    return a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.")


def get_value(channel: "Channel", path: str) -> Float[Array, "*case"]:
    """See `Channel.value`."""
    get = find(numbers(channel), path).get
    return jax.vmap(get)(channel) if channel.stacked else jnp.asarray(get(channel))


def put_values(channel: "Channel", values: Mapping[str, Any]) -> "Channel":
    """`Channel.with_values` without its check of the result."""
    known = numbers(channel)
    chosen = [find(known, path) for path in values]
    for i, one in enumerate(chosen):
        twice = [other.path for other in chosen[:i] if overlap(one, other)]
        if twice:
            raise ValueError(f"{twice[0]} and {one.path} set the same numbers: give one of them")
    temperature = values.get("temperature", channel.temperature)
    arrays = {number.path: _as_array(number, values[number.path], temperature, channel.stacked) for number in chosen}
    for number in known.values():
        if number.path not in arrays:
            continue
        if channel.stacked:
            each = jnp.broadcast_to(arrays[number.path], channel.temperature.shape)
            channel = jax.vmap(number.put)(channel, each)
        else:
            channel = number.put(channel, arrays[number.path])
    return channel


def _as_array(number: ChannelNumber, given: Any, temperature: Any, stacked: bool) -> Array:
    try:
        if isinstance(given, str) and number.kind == q.ENERGY:
            if stacked or is_traced(temperature):
                raise ValueError("give it in kT, since the temperature that converts it is not one known number")
            array = q.as_array(given, number.kind, float(q.as_array(temperature, q.TEMPERATURE)))
        else:
            array = q.as_array(given, number.kind)
        if array.ndim > stacked:
            raise ValueError(f"expected one number, not an array of shape {array.shape}")
    except ValueError as error:
        raise ValueError(f"{number.path}: {error}") from None
    return array if number.smooth else _without_derivative(array)


@jax.custom_jvp
def _without_derivative(position):
    """The same number; derivatives by it are NaN, because those of currents would be wrong (`ChannelNumber.smooth`)."""
    return position


@_without_derivative.defjvp
def _(primals, tangents):
    return _without_derivative(*primals), jnp.nan * tangents[0]
