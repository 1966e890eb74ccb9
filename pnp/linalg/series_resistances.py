"""Resistances in series along a chain, and what follows from their sums at its nodes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.linalg import _cpu
from pnp.linalg.dispatch import dispatch_by_platform

Ends = tuple[Float[Array, "chain 1 2 #batch"], ...]
Results = tuple[Float[Array, "chain element 2 #batch"], Float[Array, "chain element 2 #batch"]]


def in_common_unit(
    log_units: Float[Array, "..."], factors: Float[Array, "..."], axis: int | tuple[int, ...]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Resistances e^log_units · factors in units of the largest e^log_units along some axes, and its logarithm."""
    largest = jnp.max(log_units, axis=axis, keepdims=True)
    return jnp.exp(log_units - largest) * factors, largest


def accumulate_resistances(
    resistance: Callable,
    at_node: Callable,
    on_side: Callable,
    elements: Any,
    states: Float[Array, "unknown node 2 #batch"],
    ends: Ends,
) -> Results:
    """Sum resistances in series from both ends of several chains, and evaluate two functions of the sums.

    Each of the chains has two sides that run from its ends to the middle (`block_tridiagonal.to_two_sided`). A
    resistance is e^u f with u and f from a law; all of a chain are scaled by the largest e^u, so that none overflows.

    - resistance: `resistance(elements, outer, inner)` gives [u of each chain, f of each chain] of an element from
      `elements` and the states at its outer and inner end.
    - at_node: `at_node(before, beyond, inverse, *ends)` at the inner end of an element, elementwise, of the sums from
      this side's own end to the node and from the node to the other end, and of one over the sum of both.
    - on_side: `on_side(inverse, log_unit, *ends)` of one over the whole sum and the logarithm of its unit, the largest
      e^u; the same for all elements of a side.
    - elements: a tree of arrays [*items, element, side, batch], an axis of size 1 where nothing depends on it.
    - ends: values for each chain and side that both functions take.

    All functions have to be the same objects in every call, so that they are traced once. Returns the results of
    `at_node` and `on_side`. Source: resistances in series add up; every term is positive, so no digit is lost.
    """
    compiled = _cpu.accumulate_resistances(resistance, at_node, on_side, elements, states, ends)
    arrays = partial(_on_arrays, resistance, at_node, on_side)
    return dispatch_by_platform({"cpu": compiled}, arrays, elements, states, ends)


def _on_arrays(resistance, at_node, on_side, elements, states, ends) -> Results:
    log_units, factors = map(jnp.stack, resistance(elements, list(states[:, :-1]), list(states[:, 1:])))
    each, largest = in_common_unit(log_units, factors, axis=(1, 2))
    before = jnp.cumsum(each, axis=1)
    ahead = jnp.cumsum(each[:, ::-1], axis=1)[:, ::-1]
    beyond = jnp.concatenate([ahead[:, 1:], jnp.zeros_like(ahead[:, :1])], axis=1) + ahead[:, :1, ::-1]
    inverse = 1 / ahead[:, :1].sum(2, keepdims=True)
    return at_node(before, beyond, inverse, *ends), jnp.broadcast_to(on_side(inverse, largest, *ends), each.shape)
