"""Block-tridiagonal systems: one elimination, for the matrix and for its transpose.

Block elimination (Thomas) from both ends at once, over the nodes by `lax.scan`. The blocks are small
(1 + number of ions), so their algebra is unrolled into scalars; under `vmap` each scalar becomes a vector
over the batch, which is what makes a whole I–V curve cost little more than a few points.

No pivoting between or within blocks: rows are scaled by the caller, and in the unknowns (phi, mu)
the diagonal blocks of PNP are dominated by positive diagonals. A breakdown shows as a non-finite
solution, which Newton rejects.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class BlockTridiagonal(NamedTuple):
    """A matrix with blocks `lower[i]` (i, i−1), `diagonal[i]` (i, i) and `upper[i]` (i, i+1);
    `lower[0]` and `upper[-1]` are not used and must be zero."""

    lower: Float[Array, "node row column"]
    diagonal: Float[Array, "node row column"]
    upper: Float[Array, "node row column"]

    def matvec(self, x: Float[Array, "node column"]) -> Float[Array, "node row"]:
        """The product with a vector of node blocks."""
        before = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
        after = jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])
        return _multiply(self.lower, before) + _multiply(self.diagonal, x) + _multiply(self.upper, after)

    def transpose(self) -> "BlockTridiagonal":
        """The transposed matrix, blocks and all."""
        zero = jnp.zeros_like(self.lower[:1])
        flip = lambda blocks: jnp.swapaxes(blocks, 1, 2)
        return BlockTridiagonal(
            lower=jnp.concatenate([zero, flip(self.upper[:-1])]),
            diagonal=flip(self.diagonal),
            upper=jnp.concatenate([flip(self.lower[1:]), zero]),
        )


def eliminate(matrix: BlockTridiagonal, rhs: Float[Array, "node row"]) -> Float[Array, "node column"]:
    """x with `matrix · x = rhs`, for an odd number of nodes: from both ends to the middle, and back.

    Going down, each half gives x_i = z_i − W_i x_next with P_i = (D_i − L_i W_{i−1})⁻¹, W_i = P_i U_i and
    z_i = P_i (b_i − L_i z_{i−1}). The halves are independent until they meet, so one scan of half the length
    carries both. Raises ValueError for an even number of nodes.
    """
    count, m = rhs.shape
    if count % 2 == 0:
        raise ValueError(f"elimination from both ends needs an odd number of nodes, not {count}")
    middle = count // 2
    lower, diagonal, upper = matrix
    # [node from the end, …, half]; seen from the right end, what lies below is above
    halves = lambda left, right: jnp.stack([left[:middle], right[: -middle - 1 : -1]], -1)
    blocks = tuple(_streams(halves(*pair)) for pair in ((lower, upper), (diagonal, diagonal), (upper, lower)))
    sides = halves(rhs, rhs)

    def down(carry, node):
        eliminated, z = carry
        below, here, ahead = (_rows(block, m) for block in node[0])
        inverse = _inverse(_minus(here, _product(below, eliminated)))
        z = _apply(inverse, _subtract(node[1], _apply(below, z)))
        eliminated = _product(inverse, ahead)
        return (eliminated, z), (_flat(eliminated), z)

    def up(x, node):
        eliminated, z = node
        x = _subtract(z, _apply(_rows(eliminated, m), x))
        return x, x

    zero = jnp.zeros_like(sides[0, 0])
    start = ([[zero] * m] * m, [zero] * m)
    (eliminated, z), swept = jax.lax.scan(down, start, (blocks, [sides[:, i] for i in range(m)]))
    pivot, right = _entries(diagonal[middle]), list(rhs[middle])
    for side, block in ((0, lower[middle]), (1, upper[middle])):
        of_side = lambda rows, side=side: [[entry[side] for entry in row] for row in rows]
        pivot = _minus(pivot, _product(_entries(block), of_side(eliminated)))
        right = _subtract(right, _apply(_entries(block), of_side([z])[0]))
    centre = _apply(_inverse(pivot), right)
    _, x = jax.lax.scan(up, [jnp.stack([c, c]) for c in centre], swept, reverse=True)
    x = jnp.stack(x, 1)
    return jnp.concatenate([x[..., 0], jnp.stack(centre)[None], x[::-1, :, 1]])


def solve_linear(matrix: BlockTridiagonal, rhs: Float[Array, "node row"]) -> Float[Array, "node column"]:
    """x with `matrix · x = rhs`, differentiable forward and backward to any order.

    Derivatives never enter the elimination: they are further solves, backward with the transposed matrix.
    Under `vmap` over right-hand sides the matrix is eliminated once for all of them.
    """
    fixed = jax.lax.stop_gradient(matrix)
    return jax.lax.custom_linear_solve(
        matrix.matvec,
        rhs,
        solve=lambda _, b: eliminate(fixed, b),
        transpose_solve=lambda _, b: eliminate(fixed.transpose(), b),
    )


def _multiply(blocks, x):
    # A broadcast product, not einsum: XLA's batched dot is slow for 3×3 blocks on a CPU.
    return (blocks * x[:, None, :]).sum(-1)


def _streams(blocks):
    """[node, row, column] as a list of row·column scalars per node, for scan to run over."""
    return [blocks[:, i, j] for i in range(blocks.shape[1]) for j in range(blocks.shape[2])]


def _entries(block):
    """[row, column] as rows of scalars."""
    return [list(row) for row in block]


def _rows(flat, m):
    return [list(flat[i * m : (i + 1) * m]) for i in range(m)]


def _flat(rows):
    return [entry for row in rows for entry in row]


def _apply(rows, x):
    return [sum(a * b for a, b in zip(row, x, strict=True)) for row in rows]


def _subtract(a, b):
    return [p - q for p, q in zip(a, b, strict=True)]


def _minus(a, b):
    return [_subtract(p, q) for p, q in zip(a, b, strict=True)]


def _product(a, b):
    columns = list(zip(*b, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a]


def _inverse(rows):
    """Gauss–Jordan inverse of a small matrix of scalars, in place, diagonal pivots."""
    m = len(rows)
    a = [list(row) for row in rows]
    for k in range(m):
        pivot = 1.0 / a[k][k]
        a[k][k] = jnp.ones_like(pivot)
        a[k] = [entry * pivot for entry in a[k]]
        for i in range(m):
            if i != k:
                f = a[i][k]
                a[i][k] = jnp.zeros_like(f)
                a[i] = [entry - f * top for entry, top in zip(a[i], a[k], strict=True)]
    return a
