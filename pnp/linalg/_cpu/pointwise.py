"""A law at many places, each by itself, as one compiled loop; what `pnp.linalg._cpu.elimination` is to elimination.

XLA makes dozens of programs of a law with its derivatives, each of which takes it some 30 ms to compile and a pass
through memory to run.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pnp.linalg._cpu.xla_ffi import Block, Part, call, handler, law, target, traced_law
from pnp.linalg.block_tridiagonal import dispatch_by_platform


def map_pointwise(function: Callable, arguments: Sequence[Any], place: tuple[int, ...]) -> Any:
    """What `function` makes of `arguments` at each place: a tree of arrays [*items, *place].

    arguments: trees of arrays [*items, *place], any axis of a place 1 where all along it is the same. function: plain
    arithmetic, of arguments whose leaves are [*items] alone and of such arrays alike, and always the same object, so
    that it is traced once.

    On CPUs it is compiled if it can be translated (`pnp.linalg._cpu.jaxpr`); elsewhere, and otherwise, it is called on
    arrays, and so it is for derivatives, which have to be turned round.
    """
    return _applied(tuple(arguments), function=function, place=place)


@eqx.filter_custom_jvp
def _applied(arguments, *, function, place):
    chained = lambda arguments: jax.tree.map(partial(_as_chain, place=place), arguments)
    traced, returned = traced_law(function, chained(arguments), [None] * len(arguments))
    results, structure = jax.tree.flatten(returned)
    sizes = [math.prod(result.shape) for result in results]
    write = lambda wide: [law("law", wide, traced), _block(sum(sizes), wide), handler(wide, len(traced.operands), 1)]
    elements, lanes = _chain(place)
    name = target("everywhere", str(traced), lanes, write)

    def compiled(*arguments):
        (found,) = call(name, [sum(sizes)], 0, elements, lanes, jax.tree.leaves(chained(arguments)), arms=1)
        parts = jnp.split(found, np.cumsum(sizes)[:-1])
        shaped = [part.reshape(*result.shape, *place) for part, result in zip(parts, results, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    return dispatch_by_platform({} if name is None else {"cpu": compiled}, function, *arguments)


@_applied.def_jvp
def _applied_jvp(primals, tangents, *, function, place):
    return eqx.filter_jvp(lambda arguments: function(*arguments), primals, tangents)


def _chain(place: tuple[int, ...]) -> tuple[int, int]:
    """Elements and lanes: the last axis of a place that has more than one."""
    *others, last = place
    return (math.prod(others), last) if last > 1 or not others else _chain(tuple(others))


def _as_chain(value: Array, place: tuple[int, ...]) -> Array:
    """[*items, *place] as [*items, element, 1, lane]."""
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
    block = Block(wide, 1, arms=1)
    at = block.law("law", rows)
    with block.code.loop("along", "0", "sle %last", "1") as element:
        for value, there in zip(at(element, 0), block.result(0, rows, element, 0), strict=True):
            block.store(value, there)
    return block.function()
