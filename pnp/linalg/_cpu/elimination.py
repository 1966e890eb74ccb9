"""Block-tridiagonal elimination of a law as one compiled loop along both sides of a chain and back.

The program is written for the blocks at hand (their size, the entries that are always zero, the number of right-hand
sides) with the algebra of `pnp.linalg.small_blocks`. The law is evaluated where its element is eliminated, which saves
some fifty passes through memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jaxtyping import Array, Float

from pnp.linalg._cpu.program import Block, Part, chain_shape, law, traced_law
from pnp.linalg._cpu.xla_ffi import call, handler, program
from pnp.linalg.element_matrices import ElementMatrices
from pnp.linalg.small_blocks import (
    Matrix,
    filled,
    minus,
    negative,
    pass_node,
    pass_node_transposed,
    plus,
    product,
    solve,
    transpose,
)


def eliminate(
    function: Callable, elements: Any, states: Float[Array, "unknown node 2 #batch"] | None, transposed: bool
) -> Callable | None:
    """Compiled elimination of the `ElementMatrices` that a law gives: see `block_tridiagonal.eliminate_law`.

    Returns a function of (elements, states) with the result of every right-hand side, [unknown, node, side, batch] at
    the inner ends of the elements; None if there is no such program.
    """
    arguments = lambda elements, states: (elements, states, states)
    traced, returned = traced_law(function, arguments(elements, states), (None, 0, 1))
    pattern = jax.tree.map(lambda _: True, returned)
    count, batch = chain_shape(elements, states)
    m, c = len(returned.flux), len(returned.flux[0])

    def write(wide: int) -> list[Part]:
        return [law("law", wide, traced), _block(pattern, wide, transposed), handler(wide, len(traced.operands), c)]

    name = program("eliminate", f"{pattern} {traced} {transposed}", batch, write)
    if name is None:
        return None
    return lambda elements, states: call(
        name, [m] * c, m * (m + c), count, batch, jax.tree.leaves(arguments(elements, states))
    )


def _each(function: Callable, *tables):
    """[row][column] of a function of the entries of tables, None where the first has None."""
    one = lambda first, *others: None if first is None else function(first, *others)
    return [[one(*entries) for entries in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def _block(pattern: ElementMatrices, wide: int, transposed: bool) -> Part:
    """`block_tridiagonal.eliminate_by_scan` for a block of lanes, the law evaluated on the way."""
    entries, structure = jax.tree.flatten(pattern)
    m, c = len(pattern.flux), len(pattern.flux[0])
    block, sides = Block(wide, c), range(2)
    values = block.law("law", len(entries))
    element = lambda which, side: jax.tree.unflatten(structure, values(which, side))

    def slots(node: str, side: int) -> tuple[Matrix, Matrix]:
        """Pointers to W and z of a node; the last one has none, and in their place are Y and s."""
        places = block.at_element(m * (m + c), node, side)
        rows = [places[r * (m + c) : (r + 1) * (m + c)] for r in range(m)]
        return [row[:m] for row in rows], [row[m:] for row in rows]

    def save(node: str, side: int, pair: Sequence[Matrix]) -> None:
        for numbers, places in zip(pair, slots(node, side), strict=True):
            _each(block.store, filled(numbers, block.constant(0.0)), places)

    def saved(node: str, side: int) -> tuple[Matrix, Matrix]:
        first, second = slots(node, side)
        return _each(block.load, first), _each(block.load, second)

    def x_at(node: str, side: int) -> Matrix:
        """Pointers to x, [row][column]."""
        return list(zip(*(block.result(column, m, node, side) for column in range(c)), strict=True))

    passed, turned = (pass_node_transposed, transpose) if transposed else (pass_node, lambda matrix: matrix)
    with_half = lambda inflow, content, source: (minus(inflow[0], content), plus(inflow[1], source))
    for side in sides:
        here = element("0", side)
        inflow = negative(here.coefficients.flux_inner), here.flux
        save("%last", side, with_half(inflow, here.coefficients.content_inner, here.source_inner))

    with block.code.loop("down", "0", "slt %last", "1") as node:
        after = block.code(f"add i64 {node}, 1")
        for side in sides:
            here = element(after, side)
            of = here.coefficients
            inflow = with_half(saved("%last", side), of.content_outer, here.source_outer)
            inflow, swept = passed(inflow, (of.flux_outer, of.flux_inner, here.flux))
            save("%last", side, with_half(inflow, of.content_inner, here.source_inner))
            save(node, side, swept)

    admittance, source = (plus(*parts) for parts in zip(*(saved("%last", side) for side in sides), strict=True))
    (middle,) = solve(turned(admittance), source)
    for side in sides:
        _each(block.store, middle, x_at("%last", side))

    with block.code.loop("up", "%last", "sgt 0", "-1") as node:
        before = block.code(f"sub i64 {node}, 1")
        for side in sides:
            w, z = saved(before, side)
            x = minus(z, product(w, _each(block.load, x_at(node, side))))
            _each(block.store, x, x_at(before, side))
    return block.function()
