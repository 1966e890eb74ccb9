"""Block-tridiagonal elimination against dense linear algebra."""

import jax
import numpy as np
import pytest

from pnp.linear import BlockTridiagonal, eliminate, factor, solve, solve_linear


def random_system(nodes, m, seed=0):
    rng = np.random.default_rng(seed)
    lower, upper = rng.normal(size=(2, nodes, m, m))
    lower[0] = upper[-1] = 0.0
    diagonal = rng.normal(size=(nodes, m, m)) + 6 * m * np.eye(m)
    dense = np.zeros((nodes * m, nodes * m))
    for i in range(nodes):
        for j, block in ((i - 1, lower[i]), (i, diagonal[i]), (i + 1, upper[i])):
            if 0 <= j < nodes:
                dense[i * m : (i + 1) * m, j * m : (j + 1) * m] = block
    return BlockTridiagonal(lower, diagonal, upper), dense, rng.normal(size=(nodes, m))


@pytest.mark.parametrize("m", [2, 3, 6])
def test_solve_and_transposed_solve(m):
    matrix, dense, rhs = random_system(17, m)
    factors = factor(matrix)
    np.testing.assert_allclose(matrix.matvec(rhs).ravel(), dense @ rhs.ravel(), rtol=1e-12)
    np.testing.assert_allclose(solve(factors, rhs).ravel(), np.linalg.solve(dense, rhs.ravel()), rtol=1e-12)
    np.testing.assert_allclose(eliminate(matrix, rhs), solve(factors, rhs), rtol=1e-13)
    np.testing.assert_allclose(
        solve(factors.transpose(), rhs).ravel(), np.linalg.solve(dense.T, rhs.ravel()), rtol=1e-12
    )
    np.testing.assert_allclose(matrix.transpose().matvec(rhs).ravel(), dense.T @ rhs.ravel(), rtol=1e-12)


def test_derivatives_forward_reverse_and_by_difference():
    matrix, _, rhs = random_system(9, 3)
    direction = random_system(9, 3, seed=1)[0]

    def f(t):
        moved = BlockTridiagonal(*(a + t * b for a, b in zip(matrix, direction, strict=True)))
        return (solve_linear(moved, rhs * (1 + t)) ** 2).sum()

    h = 1e-5
    difference = float(f(h) - f(-h)) / (2 * h)
    assert jax.jacfwd(f)(0.0) == pytest.approx(difference, rel=1e-8)
    assert jax.jacrev(f)(0.0) == pytest.approx(difference, rel=1e-8)
    second = float(jax.grad(f)(h) - jax.grad(f)(-h)) / (2 * h)
    assert jax.hessian(f)(0.0) == pytest.approx(second, rel=1e-7)
