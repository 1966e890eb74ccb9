"""A law at many places, each by itself, as one compiled loop.

XLA makes dozens of programs of a law with its derivatives, each of which takes some 30 ms to compile and one pass
through memory to run.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pnp.linalg._cpu.program import Block, Part, law, traced_law
from pnp.linalg._cpu.xla_ffi import call, handler, program


def map_pointwise(function: Callable, arguments: Sequence[Any], place: tuple[int, ...]) -> Callable | None:
    """A compiled loop of `function` over all places: see `pointwise.map_pointwise`, which has the same arguments.

    Returns a function of the arguments, or None if there is no such program.
    """
    chained = lambda arguments: jax.tree.map(partial(_as_chain, place=place), arguments)
    traced, returned = traced_law(function, chained(tuple(arguments)), [None] * len(arguments))
    results, structure = jax.tree.flatten(returned)
    sizes = [math.prod(result.shape) for result in results]
    write = lambda wide: [law("law", wide, traced), _block(sum(sizes), wide), handler(wide, len(traced.operands), 1)]
    elements, batch = _chain(place)
    name = program("pointwise", str(traced), batch, write)
    if name is None:
        return None

    def compiled(*arguments):
        (found,) = call(name, [sum(sizes)], 0, elements, batch, jax.tree.leaves(chained(arguments)), sides=1)
        parts = jnp.split(found, np.cumsum(sizes)[:-1])
        shaped = [part.reshape(*result.shape, *place) for part, result in zip(parts, results, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    return compiled


def _chain(place: tuple[int, ...]) -> tuple[int, int]:
    """Elements and batch: the batch is the last axis of a place that has a size above 1."""
    *others, last = place
    return (math.prod(others), last) if last > 1 or not others else _chain(tuple(others))


def _as_chain(value: Array, place: tuple[int, ...]) -> Array:
    """[*items, *place] as [*items, element, 1, batch]."""
    first = value.ndim - len(place)
    items, own = value.shape[:first], value.shape[first:]
    while len(place) > 1 and place[-1] == 1:
        own, place = own[:-1], place[:-1]
    if any(size != 1 for size in own[:-1]):
        whole = (*place[:-1], own[-1])
        value = jnp.broadcast_to(value.reshape(*items, *own), (*items, *whole))
        own = whole
    return value.reshape(*items, math.prod(own[:-1]), 1, own[-1])


def _block(rows: int, wide: int) -> Part:
    block = Block(wide, 1, sides=1)
    at = block.law("law", rows)
    with block.code.loop("along", "0", "sle %last", "1") as element:
        for value, there in zip(at(element, 0), block.result(0, rows, element, 0), strict=True):
            block.store(value, there)
    return block.function()
