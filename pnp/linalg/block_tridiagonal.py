"""Chains of nodes, each coupled to its two neighbours: one elimination, in a way for each kind of machine.

The elements of a chain are dealt to two arms that run from its ends to the middle node. The arms are independent until
they meet, so elimination goes down both at once, and many cases (lanes) go side by side: the last two axes of
everything here are [arm, lane], long vectors for a processor. The blocks are small (1 + number of ions), so their
algebra is written out entry by entry (`pnp.linalg.small_blocks`); an entry that is always zero is None and costs
nothing.

It is block elimination (Thomas) in the terms of circuits: what lies behind a node, seen from the middle, is an
admittance Y and a source s, `inflow = s − Y x`. An element in series and a load at a node are then added without a
difference of large numbers. Thomas' D − L D⁻¹ U does take one, and loses what an ion between two barriers
of 40 kT is held by: conductances on the way differ by 1e17.

No pivoting: in the unknowns (phi, mu) the blocks of PNP have positive diagonals that dominate, and
the scale of a row does not matter without pivots. A breakdown shows as a non-finite solution, which
Newton rejects.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.backend import backends
from jaxtyping import Array, Float

from pnp.linalg._cpu import elimination as kernel
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

Rows = list[list[Float[Array, "element arm lane"] | None]]


class BlockCoefficients(NamedTuple):
    """Derivatives, [row][column] of arrays over the elements: of what passes through an element, from its near to its
    far end (seen from the arm's end), and of what its two halves hold."""

    flux_outer: Rows
    flux_inner: Rows
    content_outer: Rows
    content_inner: Rows


def to_two_sided(values: Float[Array, "... along lane"]) -> Float[Array, "... half arm lane"]:
    """Values along the chain as two arms from its ends to the middle; a middle one is in both."""
    half = (values.shape[-2] + 1) // 2
    return jnp.stack([values[..., :half, :], values[..., : -half - 1 : -1, :]], axis=-2)


def from_two_sided(arms: Float[Array, "... half arm lane"]) -> Float[Array, "... along lane"]:
    """Back from arms that share their last value."""
    return jnp.concatenate([arms[..., 0, :], arms[..., -2::-1, 1, :]], axis=-2)


def eliminate(couplings: BlockCoefficients, through: Rows, held: Rows, transposed: bool = False) -> Rows:
    """x that balances every node: what flows out of it equals what it holds, both to first order in x.

    through: [row][column] of [element, arm, lane], what passes through the elements at x = 0. held: of [node, arm,
    lane], what the nodes 1, 2, … of each arm hold at x = 0; the last is the middle node, which holds the sum of what
    both arms say. Any number of columns. x: alike, zero at the two ends of the chain, with the middle in both arms.
    transposed: x = Aᵀ held if x = A held otherwise, where nothing passes through at x = 0.

    One node after the other on CPUs, by compiled code (`pnp.linalg._cpu.elimination`) where there is a compiler and
    else by `eliminate_by_scan`; on GPUs, which would wait for each node, in a few steps by
    `eliminate_by_cyclic_reduction`.
    """
    ways: dict[str, Callable] = {} if transposed else dict.fromkeys(("cuda", "rocm"), eliminate_by_cyclic_reduction)
    target = _compiled_for(couplings, through, held, transposed)
    if target is not None:
        ways["cpu"] = partial(_eliminate_compiled, target)
    return dispatch_by_platform(ways, partial(eliminate_by_scan, transposed=transposed), couplings, through, held)


def dispatch_by_platform(ways: Mapping[str, Callable], default: Callable, *arguments):
    """What the way for the platform that the program will run on makes of the arguments."""
    present = frozenset(backends())
    if present == {"cpu"}:  # nothing to choose later, so only one is traced
        return ways.get("cpu", default)(*arguments)
    here = {platform: way for platform, way in ways.items() if platform in present}
    return jax.lax.platform_dependent(*arguments, default=default, **here)


def _stamps(couplings: BlockCoefficients, through: Rows, held: Rows) -> kernel.ElementMatrices:
    return kernel.ElementMatrices(*couplings, through, [[None] * len(row) for row in held], held)


def _compiled_for(couplings: BlockCoefficients, through: Rows, held: Rows, transposed: bool) -> str | None:
    """XLA's name of the compiled elimination, if there is one."""
    entries = jax.tree.leaves((couplings, through, held))
    if any(entry.dtype != jnp.float64 or entry.shape != entries[0].shape for entry in entries):
        return None
    pattern = _stamps(couplings, through, held).pattern()
    return kernel.elimination(pattern, entries[0].shape[-1], transposed=transposed)


def _eliminate_compiled(target: str, couplings: BlockCoefficients, through: Rows, held: Rows) -> Rows:
    """`eliminate` by `pnp.linalg._cpu.elimination`."""
    stamps = _stamps(couplings, through, held)
    entries = jax.tree.leaves(stamps)
    columns = kernel.eliminated(target, stamps.pattern(), len(entries[0]), entries[0].shape[-1], entries)
    return [list(row) for row in zip(*columns, strict=True)]


def eliminate_by_scan(couplings: BlockCoefficients, through: Rows, held: Rows, transposed: bool = False) -> Rows:
    """`eliminate` node by node, by `lax.scan`: `blocks.pass_node` down both arms, and x = z − W x_next up again."""
    passed, turned = (pass_node_transposed, transpose) if transposed else (pass_node, lambda matrix: matrix)
    entries = jax.tree.leaves((couplings, held))
    last, *place = jnp.broadcast_shapes(*(entry.shape for entry in entries))
    zero, last = jnp.zeros(place), last - 1
    at = lambda element, rows: jax.tree.map(lambda entry: entry[element], rows)
    full = lambda rows: jax.tree.map(lambda entry: jnp.broadcast_to(entry, zero.shape), filled(rows, zero))

    def loaded(inflow, held_there, load):
        admittance, source = inflow
        return minus(admittance, held_there), plus(source, load)

    def down(inflow, node):
        # Taken out one by one: a pass over all elements to shift and add them would cost as much as this.
        inflow = loaded(inflow, *at(node, (couplings.content_inner, held)))
        near, far, here, flux = at(
            node + 1, (couplings.flux_outer, couplings.flux_inner, couplings.content_outer, through)
        )
        inflow, (w, z) = passed((minus(inflow[0], here), inflow[1]), (near, far, flux))
        return tuple(map(full, inflow)), (full(w), full(z))

    def up(x, node):
        w, z = node
        x = minus(z, product(w, x))
        return x, x

    first = tuple(map(full, (negative(at(0, couplings.flux_inner)), at(0, through))))
    inflow, swept = jax.lax.scan(down, first, jnp.arange(last))
    summed = lambda rows: jax.tree.map(lambda entry: jnp.broadcast_to(entry.sum(0), entry.shape), rows)
    admittance, source = map(summed, loaded(inflow, *at(last, (couplings.content_inner, held))))
    (middle,) = solve(turned(admittance), source)
    _, x = jax.lax.scan(up, middle, swept, reverse=True)
    return jax.tree.map(lambda arm, centre: jnp.concatenate([arm, centre[None]]), x, middle)


def eliminate_by_cyclic_reduction(couplings: BlockCoefficients, through: Rows, held: Rows) -> Rows:
    """`eliminate` in a number of steps that grows as the logarithm of the nodes: parallel cyclic reduction.

    With x_i = y_i − A_i x_(i−s) − B_i x_(i+s) at every node, putting in its neighbours' x gives the same with 2 s
    for s and y_i − A_i y_(i−s) − B_i y_(i+s), −A_i A_(i−s), −B_i B_(i+s) for y_i, A_i, B_i, all to be multiplied
    by (1 − A_i B_(i−s) − B_i A_(i+s))⁻¹. Once s spans the chain, x = y. All nodes take each step together, at the
    cost of log₂(nodes) times the arithmetic. (Hockney & Jesshope 1981, Parallel Computers.) It does take small
    differences: the concentration of an ion between two barriers of more than some 20 kT loses its digits.
    """
    zero = jnp.zeros_like(jax.tree.leaves(couplings)[0])
    everything = (filled(rows, zero) for rows in (*couplings, through, held))
    near, far, content_outer, content_inner, flux, load = everything
    each = jax.tree.map
    inner = lambda rows: each(lambda entry: entry[:-1], rows)
    beyond = lambda rows: each(lambda entry: entry[1:], rows)
    summed = lambda rows: each(lambda entry: entry.at[-1].set(entry[-1].sum(0)), rows)
    chain = lambda first, second: each(lambda a, b: jnp.concatenate([a[:, 0], b[::-1, 1]]), first, second)

    diagonal, b = summed(negative(plus(far, content_inner))), plus(load, flux)
    b = summed(each(lambda entry, after: entry.at[:-1].add(-after[1:]), b, flux))
    off_middle = plus(inner(diagonal), beyond(minus(near, content_outer)))
    diagonal = chain(each(lambda a, middle: jnp.concatenate([a, middle[-1:]]), off_middle, diagonal), off_middle)
    left, right = chain(negative(near), beyond(far)), chain(beyond(far), negative(near))
    start = solve(diagonal, left, right, chain(b, inner(b)))

    m, nodes = len(near), 2 * zero.shape[0] - 1
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


def _shifted(values: Float[Array, "node lane"], by) -> Float[Array, "node lane"]:
    """At each node the value `by` nodes on, zero beyond the ends."""
    there = jnp.arange(values.shape[0]) + by
    return jnp.where(((there >= 0) & (there < values.shape[0]))[:, None], values[there.clip(0, values.shape[0] - 1)], 0)
