"""The elimination of slices against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnp.linalg import _cpu
from pnp.linalg import slice_elimination as slices
from tests.conftest import compiled_loops

SLICES, NODES = 9, 7
SOLID = (2, 6), 4
"""Of the slices strictly between these two, unknowns other than the first are fixed from this node on."""


def bands_of(rows: int, seed: int = 0, sparse: bool = False, nodes: int = NODES) -> slices.Bands:
    """A random system that dominates on its diagonal, with unknowns fixed where the membrane is solid."""
    random = np.random.default_rng(seed)
    solid = np.zeros((SLICES, nodes), bool)
    solid[SOLID[0][0] + 1 : SOLID[0][1], SOLID[1] :] = True

    def entry(offset, u, v):
        value = random.normal(size=(SLICES, 3, nodes))
        for i in range(SLICES):
            for shift in range(3):
                for node in range(nodes):
                    column = (i + offset, node + shift - 1)
                    outside = not (0 <= column[0] < SLICES and 0 <= column[1] < nodes)
                    if outside or (u and solid[i, node]) or (v and solid[column]):
                        value[i, shift, node] = 0.0
        if offset == 0 and u == v:
            value[:, 1] = np.where(solid & (u > 0), 1.0, 9.0 * rows)
        return jnp.asarray(value)

    known = lambda u, v: not sparse or v in (u, 0)
    some = lambda offset, u, v: entry(offset, u, v) * known(u, v)
    band = lambda offset: [[some(offset, u, v) for v in range(rows)] for u in range(rows)]
    return slices.Bands(*(jnp.moveaxis(jnp.asarray(band(offset)), 2, 0) for offset in (-1, 0, 1)))


def dense(bands: slices.Bands) -> np.ndarray:
    rows = bands.own.shape[1]
    matrix = np.zeros((SLICES, rows, NODES) * 2)
    for offset, band in zip((-1, 0, 1), bands, strict=True):
        for i, u, v, shift, node in np.argwhere(np.asarray(band)):
            matrix[i, u, node, i + offset, v, node + shift - 1] = band[i, u, v, shift, node]
    return matrix.reshape(SLICES * rows * NODES, -1)


@pytest.mark.parametrize(("rows", "sparse"), [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_solutions_are_those_of_dense_algebra(rows, sparse, columns):
    bands = bands_of(rows, sparse=sparse)
    rhs = np.random.default_rng(1).normal(size=(SLICES, rows, NODES, *columns))
    factors = slices.factor(bands, *SOLID)
    matrix, flat = dense(bands), rhs.reshape(SLICES * rows * NODES, -1)
    for solve, of in ((slices.solve, matrix), (slices.solve_transposed, matrix.T)):
        found = np.asarray(solve(factors, jnp.asarray(rhs))).reshape(flat.shape)
        np.testing.assert_allclose(found, np.linalg.solve(of, flat), rtol=1e-11, atol=1e-13)


@compiled_loops
@pytest.mark.parametrize("rows", [1, 3])
def test_compiled_factors_are_those_of_arrays(rows):
    """With more nodes than are eliminated at a time."""
    bands = bands_of(rows, seed=2, nodes=21)
    compiled = _cpu.invert_slices(bands, *SOLID)
    assert compiled is not None
    found = jax.jit(compiled)(bands)
    np.testing.assert_allclose(found, slices._inverses(bands), rtol=1e-10, atol=1e-13)


def test_reduction_is_elimination():
    bands, rhs = bands_of(3), jnp.asarray(np.random.default_rng(3).normal(size=(SLICES, 3, NODES)))
    expected = slices.solve(slices.factor(bands, *SOLID), rhs)
    np.testing.assert_allclose(slices.solve_by_cyclic_reduction(bands, rhs), expected, rtol=1e-10, atol=1e-13)


def test_many_systems_side_by_side():
    systems = [bands_of(2, seed) for seed in range(3)]
    together = jax.tree.map(lambda *value: jnp.stack(value), *systems)
    rhs = jnp.asarray(np.random.default_rng(4).normal(size=(3, SLICES, 2, NODES)))
    found = jax.vmap(lambda b, r: slices.solve(slices.factor(b, *SOLID), r))(together, rhs)
    for bands, b, x in zip(systems, rhs, found, strict=True):
        np.testing.assert_allclose(dense(bands) @ np.asarray(x).ravel(), np.asarray(b).ravel(), atol=1e-11)
