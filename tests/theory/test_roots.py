"""The bisection and its implicit derivatives, on functions whose roots are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnp.theory import monotone_root
from tests.theory.checks import derivative


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("target", [1e-12, 0.3, 2.0, 7e3])
def test_root_of_rising_and_falling_functions(sign, target):
    root = lambda a: monotone_root(lambda x: sign * (x**3 - a), 0.0, 30.0)
    assert root(target) == pytest.approx(target ** (1 / 3), rel=1e-14)
    assert derivative(root, target) == pytest.approx(target ** (-2 / 3) / 3, rel=1e-12)
    assert jax.grad(jax.grad(root))(target) == pytest.approx(-2 / 9 * target ** (-5 / 3), rel=1e-11)


def test_roots_are_elementwise_under_jit_and_vmap():
    a = np.array([[0.5, 2.0], [0.0, -3.0]])
    root = jax.jit(jax.vmap(lambda row: monotone_root(lambda x: jnp.sinh(x) - row, -5.0 * jnp.ones(2), 5.0)))
    np.testing.assert_allclose(root(a), np.arcsinh(a), rtol=1e-14, atol=1e-30)
    gradient = jax.grad(lambda a: root(a).sum())(a)
    np.testing.assert_allclose(gradient, 1 / np.sqrt(1 + a**2), rtol=1e-13)


def test_no_root_in_the_bracket_is_nan():
    assert np.isnan(monotone_root(lambda x: x - 2.0, 0.0, 1.0))
    assert np.isnan(monotone_root(lambda x: x - jnp.nan, 0.0, 1.0))
