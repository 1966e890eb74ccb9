"""Block-tridiagonal elimination, one implementation per platform.

The unknowns belong to the nodes of a chain, each coupled to its two neighbours through an element. The elements are
dealt to two sides that run from the ends of the chain to the middle node (two-sided, or twisted, factorisation:
Meurant 1992, SIAM J. Matrix Anal. Appl. 13:707). The sides are independent until they meet, and many cases are solved
at once: the last two axes of everything here are [side, batch], long vectors for a processor. The outer end of an
element is the one nearer to the end of the chain, the inner end the one nearer to the middle. The blocks are small, so
their algebra is written out entry by entry (`small_blocks`).

It is block Thomas elimination (Golub & Van Loan, Matrix Computations, §4.5) in the terms of circuits: the part of the
chain behind a node acts on it like an admittance Y and a source s, `inflow = s − Y x`. An element in series and a
content at a node are then added without a difference of large numbers. Thomas' D − L D⁻¹ U takes such a difference, and
loses what holds an ion between two barriers of 40 kT, since the conductances on the way differ by 1e17.

No pivoting: in the unknowns (phi, mu) the blocks of PNP have positive diagonals that dominate, and the scale of a row
does not matter without pivots. A breakdown shows as a solution that is not finite, which Newton rejects.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from pnp.linalg import _cpu
from pnp.linalg.dispatch import dispatch_by_platform
from pnp.linalg.element_matrices import BlockCoefficients, ElementMatrices, Rows
from pnp.linalg.small_blocks import (
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

States = Float[Array, "unknown node 2 #batch"]
Solution = Float[Array, "unknown element 2 #batch"]
"""At the inner ends of the elements; the middle node is in both sides."""


def to_two_sided(values: Shaped[Array, "... along batch"]) -> Shaped[Array, "... half 2 batch"]:
    """Values along the chain as two sides from its ends to the middle; a middle value is in both."""
    half = (values.shape[-2] + 1) // 2
    return jnp.stack([values[..., :half, :], values[..., : -half - 1 : -1, :]], axis=-2)


def from_two_sided(sides: Shaped[Array, "... half 2 batch"]) -> Shaped[Array, "... along batch"]:
    """Values along the chain from two sides that share their last value."""
    return jnp.concatenate([sides[..., 0, :], sides[..., -2::-1, 1, :]], axis=-2)


def eliminate_law(law: Callable, elements: Any, states: States, transposed: bool = False) -> list[Solution]:
    """Evaluate a local law on every element and solve the block-tridiagonal system of its `ElementMatrices`.

    - law: `law(elements, outer, inner)` gives the matrices of an element from `elements` and the states at its outer
      and inner end, [unknown]. It is arithmetic of arrays, entry by entry, and has to be the same object in every call,
      so that it is traced once.
    - elements: a tree of arrays [*items, element, side, batch], an axis of size 1 where nothing depends on it.
    - states: at the nodes, of which each side has one more than elements.
    - transposed: see `eliminate`.

    Returns x for each right-hand side. On CPUs the law is evaluated within a compiled elimination, if it can be
    translated (`pnp.linalg._cpu`); else on arrays, from which `eliminate` then solves.
    """
    compiled = _cpu.eliminate(law, elements, states, transposed)
    arrays = partial(_law_on_arrays, law, transposed)
    return dispatch_by_platform({"cpu": compiled}, arrays, elements, states)


def _law_on_arrays(law: Callable, transposed: bool, elements: Any, states: States) -> list[Solution]:
    matrices = law(elements, list(states[:, :-1]), list(states[:, 1:]))
    # Without the barrier the compiler works out parts of the derivatives again for each of their uses.
    matrices = jax.lax.optimization_barrier(matrices)
    halves = zip(matrices.source_outer, matrices.source_inner, strict=True)
    source = [[_at_inner_end(*pair) for pair in zip(*rows, strict=True)] for rows in halves]
    x = eliminate(matrices.coefficients, matrices.flux, source, transposed)
    return [jnp.stack(column) for column in zip(*x, strict=True)]


def _at_inner_end(outer, inner):
    """The sum of both halves next to the node at the inner end of every element."""
    return inner if outer is None or inner is None else jnp.concatenate([inner[:-1] + outer[1:], inner[-1:]])


def eliminate(coefficients: BlockCoefficients, flux: Rows, source: Rows, transposed: bool = False) -> Rows:
    """x for which, at every node, the flux out of it equals its content, both to first order in x.

    - flux: of each element at x = 0, [unknown][right-hand side] of [element, side, batch], positive inwards.
    - source: content at x = 0 of the nodes at the inner ends of the elements, alike; the last is the middle node, which
      has the sum of both sides.
    - transposed: with x = A source otherwise, x = Aᵀ source; there must be no flux at x = 0.

    Returns x in the layout of `source`, with the middle node in both sides; at the ends of the chain x is zero. Node
    after node on CPUs, compiled where possible (`pnp.linalg._cpu`) and else by `eliminate_by_scan`; on GPUs, which
    would wait for each node, by `eliminate_by_cyclic_reduction`.
    """
    implementations: dict[str, Callable | None] = {}
    if not transposed:
        implementations |= dict.fromkeys(("cuda", "rocm"), eliminate_by_cyclic_reduction)
    nothing: Rows = [[None] * len(row) for row in source]
    matrices = lambda *given: ElementMatrices(given[0], given[1], nothing, given[2])
    compiled = _cpu.eliminate(_given, matrices(coefficients, flux, source), None, transposed)
    if compiled is not None:
        by_column = lambda columns: [list(row) for row in zip(*columns, strict=True)]
        implementations["cpu"] = lambda *given: by_column(compiled(matrices(*given), None))
    arrays = partial(eliminate_by_scan, transposed=transposed)
    return dispatch_by_platform(implementations, arrays, coefficients, flux, source)


def _given(matrices, outer, inner):
    return matrices


def eliminate_by_scan(coefficients: BlockCoefficients, flux: Rows, source: Rows, transposed: bool = False) -> Rows:
    """`eliminate` node by node with `lax.scan`: `pass_node` down both sides, and x = z − W x_next up again."""
    passed, turned = (pass_node_transposed, transpose) if transposed else (pass_node, lambda matrix: matrix)
    entries = jax.tree.leaves((coefficients, source))
    last, *place = jnp.broadcast_shapes(*(entry.shape for entry in entries))
    zero, last = jnp.zeros(place), last - 1
    at = lambda element, rows: jax.tree.map(lambda entry: entry[element], rows)
    full = lambda rows: jax.tree.map(lambda entry: jnp.broadcast_to(entry, zero.shape), filled(rows, zero))

    def with_content(inflow, content, source_there):
        admittance, source = inflow
        return minus(admittance, content), plus(source, source_there)

    def down(inflow, node):
        # Taken out one by one: a pass over all elements to shift and add them would cost as much as this.
        inflow = with_content(inflow, *at(node, (coefficients.content_inner, source)))
        following = coefficients.flux_outer, coefficients.flux_inner, coefficients.content_outer, flux
        flux_outer, flux_inner, content, passing = at(node + 1, following)
        inflow, (w, z) = passed((minus(inflow[0], content), inflow[1]), (flux_outer, flux_inner, passing))
        return tuple(map(full, inflow)), (full(w), full(z))

    def up(x, node):
        w, z = node
        x = minus(z, product(w, x))
        return x, x

    first = tuple(map(full, (negative(at(0, coefficients.flux_inner)), at(0, flux))))
    inflow, swept = jax.lax.scan(down, first, jnp.arange(last))
    summed = lambda rows: jax.tree.map(lambda entry: jnp.broadcast_to(entry.sum(0), entry.shape), rows)
    admittance, known = map(summed, with_content(inflow, *at(last, (coefficients.content_inner, source))))
    (middle,) = solve(turned(admittance), known)
    _, x = jax.lax.scan(up, middle, swept, reverse=True)
    return jax.tree.map(lambda side, centre: jnp.concatenate([side, centre[None]]), x, middle)


def eliminate_by_cyclic_reduction(coefficients: BlockCoefficients, flux: Rows, source: Rows) -> Rows:
    """`eliminate` by parallel cyclic reduction, in a number of steps that grows as the logarithm of the nodes.

    With x_i = y_i − A_i x_(i−s) − B_i x_(i+s) at every node, substituting the neighbours' x gives the same with 2 s
    for s and y_i − A_i y_(i−s) − B_i y_(i+s), −A_i A_(i−s), −B_i B_(i+s) for y_i, A_i, B_i, all to be multiplied
    by (1 − A_i B_(i−s) − B_i A_(i+s))⁻¹. Once s spans the chain, x = y. All nodes take each step together, at the
    cost of log₂(nodes) times the arithmetic (Hockney & Jesshope 1981, Parallel Computers). It does take small
    differences: the concentration of an ion between two barriers of more than some 20 kT loses its digits.
    """
    zero = jnp.zeros_like(jax.tree.leaves(coefficients)[0])
    everything = (filled(rows, zero) for rows in (*coefficients, flux, source))
    flux_outer, flux_inner, content_outer, content_inner, passing, known = everything
    each = jax.tree.map
    all_but_last = lambda rows: each(lambda entry: entry[:-1], rows)
    following = lambda rows: each(lambda entry: entry[1:], rows)
    summed = lambda rows: each(lambda entry: entry.at[-1].set(entry[-1].sum(0)), rows)
    chain = lambda first, second: each(lambda a, b: jnp.concatenate([a[:, 0], b[::-1, 1]]), first, second)

    diagonal, b = summed(negative(plus(flux_inner, content_inner))), plus(known, passing)
    b = summed(each(lambda entry, after: entry.at[:-1].add(-after[1:]), b, passing))
    off_middle = plus(all_but_last(diagonal), following(minus(flux_outer, content_outer)))
    diagonal = chain(each(lambda a, middle: jnp.concatenate([a, middle[-1:]]), off_middle, diagonal), off_middle)
    left = chain(negative(flux_outer), following(flux_inner))
    right = chain(following(flux_inner), negative(flux_outer))
    start = solve(diagonal, left, right, chain(b, all_but_last(b)))

    m, nodes = len(flux_outer), 2 * zero.shape[0] - 1
    unit = [[1.0 if i == j else None for j in range(m)] for i in range(m)]
    less_product = lambda a, b, c: minus(a, product(b, c))

    def reduce(step, equations):
        before, after, y = equations
        at = lambda rows, shift: each(lambda entry: _shifted(entry, shift), rows)
        back, ahead = (at(equations, shift) for shift in (-(2**step), 2**step))
        pivot = less_product(less_product(unit, before, back[1]), after, ahead[0])
        known = less_product(less_product(y, before, back[2]), after, ahead[2])
        further = negative(product(before, back[0])), negative(product(after, ahead[1]))
        return solve(pivot, *further, known)

    _, _, x = jax.lax.fori_loop(0, (nodes - 1).bit_length(), reduce, start)
    return each(to_two_sided, x)


def _shifted(values: Float[Array, "node batch"], by) -> Float[Array, "node batch"]:
    """At each node the value `by` nodes further on, zero where there is none."""
    there = jnp.arange(values.shape[0]) + by
    return jnp.where(((there >= 0) & (there < values.shape[0]))[:, None], values[there.clip(0, values.shape[0] - 1)], 0)
