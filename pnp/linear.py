"""Chains of nodes, each coupled to its two neighbours: one block elimination.

The elements of a chain are dealt to two arms that run from its ends to the middle node. The arms are
independent until they meet, so elimination goes down both at once by `lax.scan`, and many
cases (lanes) go side by side: the last two axes of everything here are [arm, lane], long vectors for a
processor. The blocks are small (1 + number of ions), so their algebra is written out in scalars; an entry
that is always zero is None and costs nothing.

It is block elimination (Thomas) in the terms of circuits: what lies behind a node, seen from the middle, is an
admittance Y and a source s, `inflow = s − Y x`. An element in series and a load at a node are then added without a
difference of large numbers. Thomas' D − L D⁻¹ U does take one, and loses what an ion between two barriers
of 40 kT is held by: conductances on the way differ by 1e17.

No pivoting: in the unknowns (phi, mu) the blocks of PNP have positive diagonals that dominate, and
the scale of a row does not matter without pivots. A breakdown shows as a non-finite solution, which
Newton rejects.
"""

from itertools import chain
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Rows = list[list[Float[Array, "element arm lane"] | None]]
Columns = list[list[Float[Array, "... arm lane"]]]


class Couplings(NamedTuple):
    """Derivatives, [row][column] of arrays over the elements: of what passes through an element, from its near to its
    far end (seen from the arm's end), and of what its two halves hold. Rows that nothing is held of may be left out.
    """

    through_near: Rows
    through_far: Rows
    held_near: Rows
    held_far: Rows


def in_arms(values: Float[Array, "... along lane"]) -> Float[Array, "... half arm lane"]:
    """Values along the chain as two arms from its ends to the middle; a middle one is in both."""
    half = (values.shape[-2] + 1) // 2
    return jnp.stack([values[..., :half, :], values[..., : -half - 1 : -1, :]], axis=-2)


def from_arms(arms: Float[Array, "... half arm lane"]) -> Float[Array, "... along lane"]:
    """Back from arms that share their last value."""
    return jnp.concatenate([arms[..., 0, :], arms[..., -2::-1, 1, :]], axis=-2)


def eliminate(couplings: Couplings, through: Columns | None, held: Columns) -> Columns:
    """x that balances every node: what flows out of it equals what it holds, both to first order in x.

    through: [row][column] of [element, arm, lane], what passes through the elements at x = 0 (None: nothing).
    held: [row][column] of [node, arm, lane], what the nodes 1, 2, … of each arm hold at x = 0; the last is the middle
    node, which holds the sum of what both arms say. Any number of columns. x: alike, with the middle in both arms.

    With the flux F + F_n x_n + F_f x_f through an element, S + S' x held at its near node and s − Y x flowing into that
    node from behind,

        x_n = P (s + S − F − F_f x_f),    P = (F_n + Y − S')⁻¹,

    and into the next node flows the same with s ← (Y − S') P F + F_n P (s + S) and Y ← −(Y − S') P F_f.
    """
    m, last, count = len(couplings.through_near), held[0][0].shape[0] - 1, len(held[0])
    at = lambda element, rows: jax.tree.map(lambda entry: entry[element], rows)

    def down(inflow, node):
        # Taken out one by one: a pass over all elements to shift and add them would cost as much as this.
        near, far, here = at(node + 1, (couplings.through_near, couplings.through_far, couplings.held_near))
        there, load = at(node, (couplings.held_far, held))
        admittance, source = inflow
        admittance, source = _less(_less(admittance, there), here), _sum(source, load)
        columns = [far, source] if through is None else [far, source, at(node + 1, through)]
        solved = _solve(_sum(near, admittance), [list(chain(*row)) for row in zip(*columns, strict=True)])
        w, z = [row[:m] for row in solved], [row[m : m + count] for row in solved]
        passed = _product(near, z)
        if through is not None:
            flux = [row[m + count :] for row in solved]
            passed, z = _sum(_product(admittance, flux), passed), _less(z, flux)
        return (_negative(_product(admittance, w)), passed), (w, z)

    def up(x, node):
        w, z = node
        x = _less(z, _product(w, x))
        return x, x

    zero = jnp.zeros_like(held[0][0][0])
    full = lambda rows: [[zero if entry is None else entry for entry in row] for row in rows]
    first = [[None] * count] * m if through is None else at(0, through)
    inflow = full(_negative(at(0, couplings.through_far))), full(first)
    (admittance, source), swept = jax.lax.scan(down, inflow, jnp.arange(last))
    there, load = at(last, (couplings.held_far, held))
    both = lambda rows: jax.tree.map(lambda entry: jnp.broadcast_to(entry.sum(0), entry.shape), rows)
    centre = _solve(both(_less(admittance, there)), both(_sum(source, load)))
    _, x = jax.lax.scan(up, centre, swept, reverse=True)
    return jax.tree.map(lambda arm, middle: jnp.concatenate([arm, middle[None]]), x, centre)


def _solve(matrix, columns):
    """Gauss–Jordan: matrix⁻¹ · columns for small matrices of scalars, diagonal pivots. A full result."""
    m = len(matrix)
    rows = [[*left, *right] for left, right in zip(matrix, columns, strict=True)]
    for k in range(m):
        inverse = 1.0 / rows[k][k]
        rows[k] = [None if entry is None else entry * inverse for entry in rows[k]]
        for i in range(m):
            factor = rows[i][k]
            if i != k and factor is not None:
                rows[i] = [
                    _minus(entry, None if top is None else factor * top)
                    for entry, top in zip(rows[i], rows[k], strict=True)
                ]
    zero = jnp.zeros_like(rows[0][0])
    return [[zero if entry is None else entry for entry in row[m:]] for row in rows]


def _product(a, b):
    columns = list(zip(*b, strict=True))
    return [[_dot(row, column) for column in columns] for row in a]


def _dot(row, column):
    terms = [a * b for a, b in zip(row, column, strict=True) if a is not None and b is not None]
    return sum(terms[1:], terms[0]) if terms else None


def _negative(a):
    return [[None if entry is None else -entry for entry in row] for row in a]


def _sum(a, b):
    return _less(a, _negative(b))


def _less(a, b):
    """a − b, where b may lack its last rows."""
    less = [[_minus(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(a, b, strict=False)]
    return [*less, *a[len(less) :]]


def _minus(a, b):
    if b is None:
        return a
    return -b if a is None else a - b
