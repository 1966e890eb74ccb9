"""Systems of nodes in slices, each slice coupled to its two neighbours: elimination with dense blocks.

A row couples an unknown of a node to the unknowns of the nodes around it, in its own slice and in those before and
after, each at most one node away. Eliminating slice after slice (block Thomas) fills the blocks of the slices, while
those between slices stay sparse. The inverses of the filled blocks are the factors, from which any number of systems
are solved, with the matrix or its transpose.

No pivoting, as in `block_tridiagonal`. Source: Golub & Van Loan, Matrix Computations, §4.5.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.linalg import _cpu
from pnp.linalg.dispatch import dispatch_by_platform

_BLOCK = 16  # rows inverted at a time; the fastest of 16 to 48 for slices of 75 to 300


Band = Float[Array, "slice row column 3 node"]
"""By shift: the column's node is the row's moved by shift − 1."""
Vectors = Float[Array, "slice row node *column"]


class Bands(NamedTuple):
    """A matrix, by the slice that its columns belong to."""

    before: Band
    own: Band
    after: Band


class Factors(NamedTuple):
    """What `factor` leaves to solve with the matrix and with its transpose."""

    before: Band
    inverse: Float[Array, "slice row node column node"]
    """Inverse of the filled block of each slice."""
    after: Band


def eliminate(
    bands: Bands, rhs: Vectors, identity_slices: tuple[int, int], identity_from: int, transposed: bool = False
) -> Vectors:
    """x with A x = rhs, or Aᵀ x = rhs.

    - bands: the matrix A.
    - rhs: any number of columns.
    - identity_slices, identity_from: rows and columns known to be those of the unit matrix, see `factor`.

    Slice after slice on CPUs (`factor` and `solve`); on GPUs, which would wait for each slice, in a number of steps
    that grows as the logarithm of their number (`solve_by_cyclic_reduction`).
    """

    def by_slices(bands, rhs):
        factors = factor(bands, identity_slices, identity_from)
        return (solve_transposed if transposed else solve)(factors, rhs)

    by_reduction = partial(solve_by_cyclic_reduction, transposed=transposed)
    return dispatch_by_platform(dict.fromkeys(("cuda", "rocm"), by_reduction), by_slices, bands, rhs)


def factor(bands: Bands, identity_slices: tuple[int, int], identity_from: int) -> Factors:
    """Eliminate slice after slice: S_i = (D_i − L_i S_(i−1) U_(i−1))⁻¹ of the blocks own, before and after.

    identity_slices, identity_from: of the slices strictly between these two, the rows and columns of all unknowns but
    the first at the nodes from `identity_from` on are those of the unit matrix. On CPUs a compiled loop
    (`pnp.linalg._cpu`) leaves them out; the implementation on arrays inverts whole blocks.
    """
    compiled = _cpu.invert_slices(bands, identity_slices, identity_from)
    return Factors(bands.before, dispatch_by_platform({"cpu": compiled}, _inverses, bands), bands.after)


def _inverses(bands: Bands) -> Float[Array, "slice row node column node"]:
    _, rows, _, _, nodes = bands.own.shape

    def step(filled, given):
        before_next, own, after = given
        inverse = _inverse(_dense(own) - filled)
        return _columns(_rows(before_next, inverse), after), inverse

    filled = jnp.zeros((rows, nodes, rows, nodes))
    return jax.lax.scan(step, filled, (_shifted(bands.before, 1), bands.own, bands.after))[1]


def solve(factors: Factors, rhs: Vectors) -> Vectors:
    """x with A x = rhs."""
    return _substituted(factors.before, factors.inverse, factors.after, rhs)


def solve_transposed(factors: Factors, rhs: Vectors) -> Vectors:
    """x with Aᵀ x = rhs."""
    # In the transpose, the coupling of a slice to the one before is that of the one before to it.
    before, after = _shifted(_transposed(factors.after), -1), _shifted(_transposed(factors.before), 1)
    return _substituted(before, jnp.moveaxis(factors.inverse, (3, 4), (1, 2)), after, rhs)


def _substituted(before: Band, inverse: Float[Array, "slice row node column node"], after: Band, rhs: Vectors):
    """Forward and back substitution."""
    apply = lambda inverse, b: jnp.einsum("ajbk,bk...->aj...", inverse, b)

    def down(y, given):
        before, inverse, b = given
        y = apply(inverse, b - _rows(before, y))
        return y, y

    def up(x, given):
        inverse, after, y = given
        x = y - apply(inverse, _rows(after, x))
        return x, x

    nothing = jnp.zeros_like(rhs[0])
    _, y = jax.lax.scan(down, nothing, (before, inverse, rhs))
    return jax.lax.scan(up, nothing, (inverse, after, y), reverse=True)[1]


def _shifted(band: Band, by: int) -> Band:
    """At each slice the values of the next (by = 1) or of the one before (−1); zero where there is none."""
    nothing = jnp.zeros_like(band[:1])
    return jnp.concatenate([band[1:], nothing] if by > 0 else [nothing, band[:-1]])


def _rows(band: Float[Array, "row column 3 node"], x: Float[Array, "column node *rest"]):
    """The banded matrix times x."""
    nodes, rest = x.shape[1], (None,) * (x.ndim - 2)
    padded = jnp.pad(x, ((0, 0), (1, 1), *[(0, 0)] * len(rest)))
    return sum(band[:, c, d, :, *rest] * padded[c, d : d + nodes] for c in range(len(x)) for d in range(3))


def _columns(x: Float[Array, "row node column node"], band: Float[Array, "column row 3 node"]):
    """x times the banded matrix."""
    nodes = x.shape[1]
    padded, turned = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1))), _transposed(band)
    times = lambda c, d: padded[:, :, c, None, d : d + nodes] * turned[:, c, d]
    return sum(times(c, d) for c in range(len(x)) for d in range(3))


def _transposed(band: Float[Array, "*slice row column 3 node"]) -> Float[Array, "*slice column row 3 node"]:
    """The transpose of the block of every slice."""
    # The entry at (node, shift) is in the transpose at (node + shift − 1, 2 − shift).
    nodes = band.shape[-1]
    padded = jnp.pad(band, ((0, 0),) * (band.ndim - 1) + ((1, 1),))
    return jnp.swapaxes(jnp.stack([padded[..., 2 - d, d : d + nodes] for d in range(3)], axis=-2), -4, -3)


def _dense(band: Float[Array, "row column 3 node"]) -> Float[Array, "row node column node"]:
    nodes = band.shape[-1]
    entries = jnp.swapaxes(band[:, :, :, :, None], 1, 3)  # [row, node, shift, column, 1]
    return sum(entries[:, :, d] * jnp.eye(nodes, k=d - 1)[:, None] for d in range(3))  # type: ignore


def _inverse(block: Float[Array, "row node column node"]) -> Float[Array, "row node column node"]:
    """By Gauss and Jordan, in place, without pivots."""
    rows, nodes, *_ = block.shape
    matrix = block.reshape(rows * nodes, -1)
    n = len(matrix)
    count = -(-n // _BLOCK)
    extra = count * _BLOCK - n
    matrix = jnp.pad(matrix, ((0, extra), (0, extra)))
    matrix = matrix + jnp.diag((jnp.arange(count * _BLOCK) >= n).astype(float))

    def within(k, block):
        # By masks: scatters take a compiler long.
        own = jnp.arange(_BLOCK) == k
        pivot = 1 / block[k, k]
        row, column = jnp.where(own, 1.0, block[k]) * pivot, jnp.where(own, 0.0, block[:, k])
        return jnp.where(own[:, None], row, jnp.where(own, 0.0, block) - jnp.outer(column, row))

    def step(index, matrix):
        at = index * _BLOCK
        zero = jnp.zeros_like(at)
        pivot = jax.lax.dynamic_slice(matrix, (at, at), (_BLOCK, _BLOCK))
        pivot = jax.lax.fori_loop(0, _BLOCK, within, pivot)
        row = pivot @ jax.lax.dynamic_slice(matrix, (at, zero), (_BLOCK, count * _BLOCK))
        column = jax.lax.dynamic_slice(matrix, (zero, at), (count * _BLOCK, _BLOCK))
        matrix = matrix - column @ row
        matrix = jax.lax.dynamic_update_slice(matrix, -column @ pivot, (zero, at))
        matrix = jax.lax.dynamic_update_slice(matrix, row, (at, zero))
        return jax.lax.dynamic_update_slice(matrix, pivot, (at, at))

    return jax.lax.fori_loop(0, count, step, matrix)[:n, :n].reshape(block.shape)


def solve_by_cyclic_reduction(bands: Bands, rhs: Vectors, transposed: bool = False) -> Vectors:
    """x with A x = rhs, or Aᵀ x = rhs, by parallel cyclic reduction with dense blocks.

    As `block_tridiagonal.eliminate_by_cyclic_reduction` (Hockney & Jesshope 1981, Parallel Computers): with
    x_i = y_i − A_i x_(i−s) − B_i x_(i+s) at every slice, substituting the neighbours' x doubles s. All slices take
    each of the log₂(slices) steps together.
    """
    count = rhs.shape[0]
    size = rhs.shape[1] * rhs.shape[2]
    blocks = lambda band: jax.vmap(_dense)(band).reshape(count, size, size)
    before, own, after = map(blocks, bands)
    if transposed:
        turn = lambda value: jnp.swapaxes(value, 1, 2)
        nothing = jnp.zeros_like(before[:1])
        before, own, after = (
            jnp.concatenate([nothing, turn(after[:-1])]),
            turn(own),
            jnp.concatenate([turn(before[1:]), nothing]),
        )
    known = rhs.reshape(count, size, -1)
    start = jnp.linalg.solve(own, jnp.concatenate([before, after, known], axis=2))
    columns = (size, 2 * size)

    def shifted(value, by):
        at = jnp.arange(count) + by
        inside = ((at >= 0) & (at < count))[:, None, None]
        return jnp.where(inside, value[at.clip(0, count - 1)], 0.0)

    def reduce(step, whole):
        back, ahead = shifted(whole, -(2**step)), shifted(whole, 2**step)
        (a, b, y), (a_back, b_back, y_back), (a_ahead, b_ahead, y_ahead) = (
            jnp.split(value, columns, axis=2) for value in (whole, back, ahead)
        )
        pivot = jnp.eye(size) - a @ b_back - b @ a_ahead
        return jnp.linalg.solve(
            pivot, jnp.concatenate([-a @ a_back, -b @ b_ahead, y - a @ y_back - b @ y_ahead], axis=2)
        )

    whole = jax.lax.fori_loop(0, max(count - 1, 1).bit_length(), reduce, start)
    return whole[:, :, 2 * size :].reshape(rhs.shape)
