"""Elimination along a chain of nodes against dense linear algebra, and against itself where that loses all digits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from pnp.linear import Couplings, eliminate, from_arms, in_arms


def random_chain(elements, m, lanes=2, seed=0, sparse=False):
    """Couplings in arms, the dense matrix of the nodes between the ends [lane, …], and what passes and is held."""
    rng = np.random.default_rng(seed)
    near, far, held_left, held_right = rng.normal(size=(4, m, m, elements, lanes))
    strong = 4 * m * np.eye(m)[..., None, None]
    near, far, held_left, held_right = near + strong, far - strong, held_left - strong, held_right - strong
    absent = np.zeros((m, m), bool)
    if sparse:  # as in PNP: neighbours couple phi to phi, and each mu to phi and itself; only charge is held
        absent = np.ones((m, m), bool)
        absent[:, 0] = False
        absent[np.diag_indices(m)] = False
        near[absent] = far[absent] = 0.0
        held_left[1:] = held_right[1:] = 0.0
    nodes = elements + 1
    dense = np.zeros((lanes, nodes, m, nodes, m))
    to_lanes = lambda block: np.moveaxis(block, -1, 0)
    for e in range(elements):
        for row, sign, held in ((e, 1, held_left), (e + 1, -1, held_right)):
            for column, block in ((e, near), (e + 1, far)):
                dense[:, row, :, column, :] += sign * to_lanes(block[:, :, e])
            dense[:, row, :, row, :] -= to_lanes(held[:, :, e])
    dense = dense[:, 1:-1, :, 1:-1].reshape(lanes, (nodes - 2) * m, (nodes - 2) * m)

    def rows(first, second, zero=None, count=m):
        """Of a property of the left and of the right end; those of the second arm see right as near."""
        entries = in_arms(jnp.asarray(first)).at[..., 1, :].set(in_arms(jnp.asarray(second))[..., 1, :])
        is_zero = lambda r, c: zero is not None and zero[r, c]
        return [[None if is_zero(r, c) else entries[r, c] for c in range(m)] for r in range(count)]

    count = 1 if sparse else m
    through = rows(near, -far, absent), rows(far, -near, absent)
    held = rows(held_left, held_right, count=count), rows(held_right, held_left, count=count)
    return (
        Couplings(*through, *held),
        dense,
        rng.normal(size=(m, elements, lanes)),
        rng.normal(size=(m, nodes - 2, lanes)),
    )


def solved(couplings, held, through=None):
    """`eliminate` with one column."""
    column = lambda rows: [[row] for row in rows]
    shared = in_arms(jnp.asarray(held)).at[..., -1, 1, :].set(0.0)
    passing = None if through is None else column(in_arms(jnp.asarray(through)).at[..., 1, :].multiply(-1.0))
    return from_arms(jnp.stack([row[0] for row in eliminate(couplings, passing, column(shared))]))


def test_columns_do_not_mix():
    couplings, _, through, held = random_chain(8, 3)
    shared, passing = in_arms(jnp.asarray(held)), in_arms(jnp.asarray(through))
    both = eliminate(couplings, [[row, 2 * row] for row in passing], [[row, 2 * row] for row in shared])
    alone = eliminate(couplings, [[row] for row in passing], [[row] for row in shared])
    for (one, two), (only,) in zip(both, alone, strict=True):
        np.testing.assert_allclose(one, only, rtol=1e-13)
        np.testing.assert_allclose(two, 2 * only, rtol=1e-13)


def direct(dense, rhs):
    m, nodes, lanes = rhs.shape
    columns = rhs.transpose(2, 1, 0).reshape(lanes, nodes * m, 1)
    return np.linalg.solve(dense, columns).reshape(lanes, nodes, m).transpose(2, 1, 0)


@pytest.mark.parametrize(("m", "sparse"), [(2, False), (3, False), (3, True), (6, True)])
def test_elimination(m, sparse):
    couplings, dense, through, held = random_chain(10, m, sparse=sparse)
    np.testing.assert_allclose(solved(couplings, held), direct(dense, held), rtol=1e-10, atol=1e-13)
    passed = held - np.diff(through, axis=1)
    np.testing.assert_allclose(solved(couplings, held, through), direct(dense, passed), rtol=1e-10, atol=1e-13)


def test_its_transpose_solves_the_transposed_matrix():
    couplings, dense, _, held = random_chain(10, 3, sparse=True)
    solve = lambda rhs: solved(couplings, rhs)
    _, transposed = jax.vjp(solve, jnp.zeros_like(held))
    expected = direct(dense.swapaxes(1, 2), held)
    np.testing.assert_allclose(transposed(jnp.asarray(held))[0], expected, rtol=1e-10, atol=1e-13)


def test_the_shortest_chain_is_one_node():
    couplings, dense, _, held = random_chain(2, 3)
    np.testing.assert_allclose(solved(couplings, held), direct(dense, held), rtol=1e-12)


def test_what_lies_between_two_barriers_keeps_its_digits():
    """Resistors in series, 1e40 : 1 : 1 … : 1 : 1e38: the middle floats between its barriers, and is held by them."""
    conductance = np.array([1e-40, 1.0, 3.0, 1.0, 2.0, 1.0, 1.0, 1e-38])
    along = in_arms(jnp.asarray(conductance)[:, None])
    couplings = Couplings([[along]], [[-along]], [[None]], [[None]])
    through = np.zeros((1, conductance.size, 1))
    through[0, 0] = conductance[0]  # the first end at potential 1
    found = solved(couplings, np.zeros((1, conductance.size - 1, 1)), through)[0, :, 0]
    mpmath.mp.dps = 60
    resistance = [1 / mpmath.mpf(g) for g in conductance]
    exact = [float(sum(resistance[i:]) / sum(resistance)) for i in range(1, conductance.size)]
    np.testing.assert_allclose(found, exact, rtol=1e-14)


@pytest.mark.parametrize("count", [6, 7])
def test_arms_hold_every_value(count):
    values = np.arange(3.0 * count * 2).reshape(3, count, 2)
    arms = in_arms(jnp.asarray(values))
    np.testing.assert_array_equal(arms[..., 0, :], values[:, : (count + 1) // 2])
    np.testing.assert_array_equal(arms[..., 1, :], values[:, ::-1][:, : (count + 1) // 2])
    if count % 2:
        np.testing.assert_array_equal(from_arms(arms), values)
