"""Sums of resistances in series as one compiled loop: three passes over both sides of a chain."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, Float

from pnp.linalg._cpu.jaxpr import translate
from pnp.linalg._cpu.llvm import Lanes
from pnp.linalg._cpu.program import Block, Part, chain_shape, law, traced_law
from pnp.linalg._cpu.xla_ffi import call, handler, program


def accumulate_resistances(
    resistance: Callable,
    at_node: Callable,
    on_side: Callable,
    elements: Any,
    states: Float[Array, "unknown node 2 #batch"],
    ends: tuple[Float[Array, "chain 1 2 #batch"], ...],
) -> Callable | None:
    """Compiled sums of resistances: see `series_resistances.accumulate_resistances`, which has the same arguments.

    Returns a function of (elements, states, ends), or None if there is no such program.
    """
    arguments = lambda elements, states, ends: ((elements, ends), states, states)
    given = arguments(elements, states, ends)
    laws = [traced_law(one, given, (None, 0, 1))[0] for one in (_without_ends(resistance), _ends)]
    functions = _traced(at_node, 3 + len(ends)), _traced(on_side, 2 + len(ends))
    chains, (count, batch) = len(ends[0]), chain_shape(elements, states)

    def write(wide: int) -> list[Part]:
        parts = [law(name, wide, of) for name, of in zip(("resistance", "ends"), laws, strict=True)]
        return [*parts, _block(chains, len(ends), *functions, wide), handler(wide, len(laws[0].operands), 2)]

    name = program("resistances", " ".join(map(str, (*laws, *functions))), batch, write)
    if name is None:
        return None
    return lambda elements, states, ends: tuple(
        call(name, [chains] * 2, 2 * chains, count, batch, jax.tree.leaves(arguments(elements, states, ends)))
    )


@cache
def _without_ends(resistance: Callable) -> Callable:
    return lambda given, outer, inner: resistance(given[0], outer, inner)


def _ends(given, outer, inner):
    return given[1]


@cache
def _traced(function: Callable, arguments: int) -> ClosedJaxpr:
    return jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct((), float)] * arguments)


def _scaled(log_unit, factor, largest):
    return jnp.exp(log_unit - largest) * factor


def _larger(a, b):
    return jnp.maximum(a, b)


def _inline(traced: ClosedJaxpr, *values: Lanes) -> Lanes:
    (result,) = translate(traced, [np.array(value, object) for value in values])
    return result.item()


def _block(chains: int, ends: int, at_node: ClosedJaxpr, on_side: ClosedJaxpr, wide: int) -> Part:
    block, sides = Block(wide, 2), range(2)
    code, load, store = block.code, block.load, block.store
    resistance_at, ends_at = block.law("resistance", 2 * chains), block.law("ends", ends * chains)
    scaled, larger = partial(_inline, _traced(_scaled, 3)), partial(_inline, _traced(_larger, 2))

    def slots(element, side):
        """Logarithms of the units, later the resistance beyond the node; and factors, later resistances."""
        places = block.at_element(2 * chains, element, side)
        return places[:chains], places[chains:]

    largest, totals = block.variables(chains), [block.variables(chains) for _ in sides]
    sums = block.variables(chains)

    for place in largest:
        store(block.constant(-np.inf), place)
    with code.loop("first", "0", "sle %last", "1") as element:
        for side in sides:
            found = resistance_at(element, side)
            log_units, factors = slots(element, side)
            for value, place in zip(found, [*log_units, *factors], strict=True):
                store(value, place)
            for value, place in zip(found, largest, strict=False):
                store(larger(load(place), value), place)

    for place in (*totals[0], *totals[1]):
        store(block.constant(0.0), place)
    with code.loop("second", "%last", "sge 0", "-1") as element:
        for side in sides:
            log_units, factors = slots(element, side)
            for log_unit, factor, unit, total in zip(log_units, factors, largest, totals[side], strict=True):
                own, beyond = scaled(load(log_unit), load(factor), load(unit)), load(total)
                store(own, factor)
                store(beyond, log_unit)
                store(beyond + own, total)

    inverses = [1.0 / (load(a) + load(b)) for a, b in zip(*totals, strict=True)]
    for side in sides:
        values = ends_at("0", side)
        of_chain = [values[k::chains] for k in range(chains)]
        constant = [
            _inline(on_side, *of) for of in zip(inverses, map(load, largest), *zip(*of_chain, strict=True), strict=True)
        ]
        for place in sums:
            store(block.constant(0.0), place)
        with code.loop(f"third{side}", "0", "sle %last", "1") as element:
            beyond, own = slots(element, side)
            at_nodes, constants = (block.result(which, chains, element, side) for which in range(2))
            for k in range(chains):
                before = load(sums[k]) + load(own[k])
                store(before, sums[k])
                further = load(beyond[k]) + load(totals[1 - side][k])
                store(_inline(at_node, before, further, inverses[k], *of_chain[k]), at_nodes[k])
                store(constant[k], constants[k])
    return block.function()
