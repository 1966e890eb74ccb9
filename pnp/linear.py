"""Block-tridiagonal systems: factor, solve, and solve with the transpose by the same factors.

Block elimination (Thomas) over the nodes by `lax.scan`; the blocks are small (1 + number of ions),
so their algebra is unrolled into scalars. Under `vmap` each scalar becomes a vector over the batch,
which is what makes a whole I–V curve cost little more than a few points.

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


class Factors(NamedTuple):
    """The pivots P_i = (D_i − L_i W_{i−1})⁻¹ and the eliminated blocks W_i = P_i U_i."""

    matrix: BlockTridiagonal
    inverse_pivot: Float[Array, "node row column"]
    eliminated: Float[Array, "node row column"]

    def transpose(self) -> "Factors":
        """Factors of the transposed matrix: its pivots are these, transposed."""
        matrix = self.matrix.transpose()
        inverse = jnp.swapaxes(self.inverse_pivot, 1, 2)
        return Factors(matrix, inverse, (inverse[:, :, :, None] * matrix.upper[:, None]).sum(2))


def factor(matrix: BlockTridiagonal) -> Factors:
    """Eliminate downwards: two block products and an inverse per node."""
    m = matrix.diagonal.shape[-1]

    def step(eliminated, blocks):
        lower, diagonal, upper = (_rows(block, m) for block in blocks)
        inverse = _inverse(_minus(diagonal, _product(lower, eliminated)))
        eliminated = _product(inverse, upper)
        return eliminated, (_flat(inverse), _flat(eliminated))

    zero = [[jnp.zeros_like(matrix.diagonal[0, 0, 0])] * m] * m
    streams = tuple(_streams(block) for block in matrix)
    _, (inverse, eliminated) = jax.lax.scan(step, zero, streams)
    shape = matrix.diagonal.shape
    return Factors(matrix, jnp.stack(inverse, -1).reshape(shape), jnp.stack(eliminated, -1).reshape(shape))


def solve(factors: Factors, rhs: Float[Array, "node row"]) -> Float[Array, "node column"]:
    """x with `matrix · x = rhs`: one sweep down, one up."""
    m = rhs.shape[-1]

    def down(z, node):
        lower, inverse, b = node
        z = _apply(_rows(inverse, m), _subtract(b, _apply(_rows(lower, m), z)))
        return z, z

    zero = [jnp.zeros_like(rhs[0, 0])] * m
    right = [rhs[:, i] for i in range(m)]
    streams = (_streams(factors.matrix.lower), _streams(factors.inverse_pivot), right)
    _, z = jax.lax.scan(down, zero, streams)
    return _back_substituted((_streams(factors.eliminated), z), m)


def eliminate(matrix: BlockTridiagonal, rhs: Float[Array, "node row"]) -> Float[Array, "node column"]:
    """`solve(factor(matrix), rhs)` in one sweep less, for a matrix that is used once and forgotten."""
    m = rhs.shape[-1]

    def down(carry, node):
        eliminated, z = carry
        lower, diagonal, upper = (_rows(block, m) for block in node[0])
        inverse = _inverse(_minus(diagonal, _product(lower, eliminated)))
        z = _apply(inverse, _subtract(node[1], _apply(lower, z)))
        eliminated = _product(inverse, upper)
        return (eliminated, z), (_flat(eliminated), z)

    zero = jnp.zeros_like(rhs[0, 0])
    start = ([[zero] * m] * m, [zero] * m)
    right = [rhs[:, i] for i in range(m)]
    _, swept = jax.lax.scan(down, start, (tuple(_streams(block) for block in matrix), right))
    return _back_substituted(swept, m)


def _back_substituted(swept, m):
    """x_i = z_i − W_i x_{i+1}, from the last node up."""

    def up(x, node):
        eliminated, z = node
        x = _subtract(z, _apply(_rows(eliminated, m), x))
        return x, x

    zero = [jnp.zeros_like(swept[1][0][0])] * m
    return jnp.stack(jax.lax.scan(up, zero, swept, reverse=True)[1], -1)


def solve_linear(matrix: BlockTridiagonal, rhs: Float[Array, "node row"]):
    """x with `matrix · x = rhs`, differentiable forward and backward to any order.

    Derivatives never enter the elimination: they are two more solves with the same factors.
    """
    factors = factor(jax.lax.stop_gradient(matrix))
    return jax.lax.custom_linear_solve(
        matrix.matvec,
        rhs,
        solve=lambda _, b: solve(factors, b),
        transpose_solve=lambda _, b: solve(factors.transpose(), b),
    )


def _multiply(blocks, x):
    # A broadcast product, not einsum: XLA's batched dot is slow for 3×3 blocks on a CPU.
    return (blocks * x[:, None, :]).sum(-1)


def _streams(blocks):
    """[node, row, column] as a list of row·column scalars per node, for scan to run over."""
    return [blocks[:, i, j] for i in range(blocks.shape[1]) for j in range(blocks.shape[2])]


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
