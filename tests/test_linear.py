"""Block-tridiagonal elimination against dense linear algebra."""

import jax
import numpy as np
import pytest

from pnp.linear import BlockTridiagonal, eliminate, solve_linear


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
def test_elimination_of_a_matrix_and_its_transpose(m):
    matrix, dense, rhs = random_system(17, m)
    np.testing.assert_allclose(matrix.matvec(rhs).ravel(), dense @ rhs.ravel(), rtol=1e-12)
    np.testing.assert_allclose(eliminate(matrix, rhs).ravel(), np.linalg.solve(dense, rhs.ravel()), rtol=1e-11)
    transposed = matrix.transpose()
    np.testing.assert_allclose(transposed.matvec(rhs).ravel(), dense.T @ rhs.ravel(), rtol=1e-12)
    np.testing.assert_allclose(eliminate(transposed, rhs).ravel(), np.linalg.solve(dense.T, rhs.ravel()), rtol=1e-11)


def test_an_even_number_of_nodes_is_refused():
    matrix, _, rhs = random_system(8, 2)
    with pytest.raises(ValueError, match="odd"):
        eliminate(matrix, rhs)


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
