"""Elimination along a chain of nodes against dense linear algebra."""

import jax.numpy as jnp
import numpy as np
import pytest

from pnp.linear import Couplings, eliminate, from_arms, in_arms


def random_chain(elements, m, lanes=2, seed=0, sparse=False):
    """Couplings in arms, the dense matrix of the nodes between the ends [lane, …], and a right-hand side."""
    rng = np.random.default_rng(seed)
    blocks = rng.normal(size=(2, 2, m, m, elements, lanes))  # [near | far, near | far] seen from the left
    for side in range(2):
        blocks[side, side] += 4 * m * np.eye(m)[..., None, None]
    if sparse:  # as in PNP: neighbours couple phi to phi, and each mu to phi and itself
        absent = np.ones((m, m), bool)
        absent[:, 0] = False
        absent[np.diag_indices(m)] = False
        blocks[0, 1][absent] = blocks[1, 0][absent] = 0.0
    nodes = elements + 1
    dense = np.zeros((lanes, nodes, m, nodes, m))
    for e in range(elements):
        for i in range(2):
            for j in range(2):
                dense[:, e + i, :, e + j, :] += np.moveaxis(blocks[i, j, :, :, e], -1, 0)
    dense = dense[:, 1:-1, :, 1:-1].reshape(lanes, (nodes - 2) * m, (nodes - 2) * m)

    def rows(i, j):
        entries = in_arms(jnp.asarray(blocks[i, j]))
        entries = entries.at[..., 1, :].set(in_arms(jnp.asarray(blocks[1 - i, 1 - j]))[..., 1, :])
        return [[None if sparse and i != j and absent[r, c] else entries[r, c] for c in range(m)] for r in range(m)]

    couplings = Couplings(rows(0, 0), rows(0, 1), rows(1, 0), rows(1, 1))
    return couplings, dense, rng.normal(size=(m, nodes - 2, lanes))


def solved(couplings, rhs):
    shared = in_arms(jnp.asarray(rhs)).at[..., -1, 1, :].set(0.0)
    x, twice = zip(*eliminate(couplings, [[row, 2 * row] for row in shared]), strict=True)
    np.testing.assert_allclose(jnp.stack(twice), 2 * jnp.stack(x), rtol=1e-12)
    return from_arms(jnp.stack(x))


def direct(dense, rhs):
    m, nodes, lanes = rhs.shape
    columns = rhs.transpose(2, 1, 0).reshape(lanes, nodes * m, 1)
    return np.linalg.solve(dense, columns).reshape(lanes, nodes, m).transpose(2, 1, 0)


@pytest.mark.parametrize(("m", "sparse"), [(2, False), (3, False), (3, True), (6, True)])
def test_elimination_of_a_matrix_and_its_transpose(m, sparse):
    couplings, dense, rhs = random_chain(10, m, sparse=sparse)
    np.testing.assert_allclose(solved(couplings, rhs), direct(dense, rhs), rtol=1e-10, atol=1e-13)
    transposed = dense.swapaxes(1, 2)
    np.testing.assert_allclose(solved(couplings.transpose(), rhs), direct(transposed, rhs), rtol=1e-10, atol=1e-13)


def test_the_shortest_chain_is_one_node():
    couplings, dense, rhs = random_chain(2, 3)
    np.testing.assert_allclose(solved(couplings, rhs), direct(dense, rhs), rtol=1e-12)


@pytest.mark.parametrize("count", [6, 7])
def test_arms_hold_every_value(count):
    values = np.arange(3.0 * count * 2).reshape(3, count, 2)
    arms = in_arms(jnp.asarray(values))
    np.testing.assert_array_equal(arms[..., 0, :], values[:, : (count + 1) // 2])
    np.testing.assert_array_equal(arms[..., 1, :], values[:, ::-1][:, : (count + 1) // 2])
    if count % 2:
        np.testing.assert_array_equal(from_arms(arms), values)
