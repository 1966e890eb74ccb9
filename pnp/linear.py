"""Chains of nodes, each coupled to its two neighbours: one elimination, for the matrix and its transpose.

The elements of a chain are dealt to two arms that run from its ends to the middle node. The arms are
independent until they meet, so block elimination (Thomas) goes down both at once by `lax.scan`, and many
cases (lanes) go side by side: the last two axes of everything here are [arm, lane], long vectors for a
processor. The blocks are small (1 + number of ions), so their algebra is written out in scalars; an entry
that is always zero is None and costs nothing.

No pivoting: in the unknowns (phi, mu) the diagonal blocks of PNP are dominated by positive diagonals, and
the scale of a row does not matter without pivots. A breakdown shows as a non-finite solution, which
Newton rejects.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Rows = list[list[Float[Array, "element arm lane"] | None]]
Columns = list[list[Float[Array, "node arm lane"]]]


class Couplings(NamedTuple):
    """What each element adds to the matrix: how the balances of its near and far node (seen from the
    arm's end) depend on the unknowns of both; [row][column] of arrays over the elements."""

    near_near: Rows
    near_far: Rows
    far_near: Rows
    far_far: Rows

    def transpose(self) -> "Couplings":
        """Those of the transposed matrix."""
        flip = lambda rows: [list(column) for column in zip(*rows, strict=True)]
        return Couplings(*map(flip, (self.near_near, self.far_near, self.near_far, self.far_far)))


def in_arms(values: Float[Array, "... along lane"]) -> Float[Array, "... half arm lane"]:
    """Values along the chain as two arms from its ends to the middle; a middle one is in both."""
    half = (values.shape[-2] + 1) // 2
    return jnp.stack([values[..., :half, :], values[..., : -half - 1 : -1, :]], axis=-2)


def from_arms(arms: Float[Array, "... half arm lane"]) -> Float[Array, "... along lane"]:
    """Back from arms that share their last value."""
    return jnp.concatenate([arms[..., 0, :], arms[..., -2::-1, 1, :]], axis=-2)


def eliminate(couplings: Couplings, rhs: Columns) -> Columns:
    """x with `matrix · x = rhs` at the nodes beyond the two ends, where x = 0.

    rhs: [row][column] of [node, arm, lane] for the nodes 1, 2, … of each arm, any number of columns; the
    last is the middle node, whose balance is the sum of what both arms hold. x: alike, with the middle in both.

    Going down, x_i = z_i − W_i x_(i+1) with P_i = (D_i − L_i W_(i−1))⁻¹, W_i = P_i U_i and
    z_i = P_i (b_i − L_i z_(i−1)).
    """
    m, last = len(rhs), rhs[0][0].shape[0] - 1
    at = lambda element, rows: jax.tree.map(lambda entry: entry[element], rows)

    def down(carry, element):
        # Taken out one by one: a pass over all elements to shift and add them would cost as much as this.
        upper, here = at(element + 1, (couplings.near_far, couplings.near_near))
        lower, there, b = at(element, (couplings.far_near, couplings.far_far, rhs))
        w, z = carry
        pivot, b = _less_product(_sum(there, here), lower, w), _less_product(b, lower, z)
        solved = _solve(pivot, [[*left, *right] for left, right in zip(upper, b, strict=True)])
        carry = [row[:m] for row in solved], [row[m:] for row in solved]
        return carry, carry

    def up(x, node):
        w, z = node
        x = _less_product(z, w, x)
        return x, x

    zero = jnp.zeros_like(rhs[0][0][0])
    (w, z), swept = jax.lax.scan(down, ([[zero] * m] * m, [[zero] * len(rhs[0])] * m), jnp.arange(last))
    lower, there, b = at(last, (couplings.far_near, couplings.far_far, rhs))
    both = lambda rows: jax.tree.map(lambda entry: jnp.broadcast_to(entry.sum(0), entry.shape), rows)
    centre = _solve(both(_less_product(there, lower, w)), both(_less_product(b, lower, z)))
    _, x = jax.lax.scan(up, centre, swept, reverse=True)
    return jax.tree.map(lambda arm, middle: jnp.concatenate([arm, middle[None]]), x, centre)


def _less_product(a, b, c):
    """a − b · c."""
    columns = list(zip(*c, strict=True))
    return [
        [_minus(entry, _dot(row, column)) for entry, column in zip(entries, columns, strict=True)]
        for entries, row in zip(a, b, strict=True)
    ]


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


def _dot(row, column):
    terms = [a * b for a, b in zip(row, column, strict=True) if a is not None and b is not None]
    return sum(terms[1:], terms[0]) if terms else None


def _minus(a, b):
    if b is None:
        return a
    return -b if a is None else a - b


def _sum(a, b):
    plus = lambda p, q: p if q is None else q if p is None else p + q
    return [[plus(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]
