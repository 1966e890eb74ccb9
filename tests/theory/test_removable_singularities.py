"""Functions with a limit at zero, on both sides of the change to their series, with 50 digits."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from pnp.theory.removable_singularities import exponential_remainder, langevin_weight, relative_log1p

mp.mp.dps = 50

SERIES = {
    "remainder": (exponential_remainder, lambda x: (mp.exp(x) - 1 - x) / x**2, [0.1, -0.49, 0.51, -30.0, 80.0]),
    "log1p": (relative_log1p, lambda x: mp.log(1 + x) / x, [1e-9, 0.049, -0.049, 0.051, 1e12]),
    "langevin": (langevin_weight, lambda x: 1 / x - 1 / (mp.exp(x) - 1), [0.1, -0.29, 0.31, -40.0, 50.0]),
}


@pytest.mark.parametrize("name", SERIES)
def test_functions_with_a_limit_at_zero(name):
    ours, exact, points = SERIES[name]
    x = jnp.array(points)
    np.testing.assert_allclose(ours(x), [float(exact(mp.mpf(p))) for p in points], rtol=4e-15)
    slopes = [float(mp.diff(exact, mp.mpf(p))) for p in points]
    np.testing.assert_allclose(jax.vmap(jax.grad(ours))(x), slopes, rtol=1e-12)
    np.testing.assert_allclose(ours(0.0), float(mp.limit(exact, 0)), rtol=1e-15)
    near = mp.mpf("1e-12")
    slope = float((exact(near) - exact(-near)) / (2 * near))
    np.testing.assert_allclose(jax.grad(ours)(0.0), slope, rtol=1e-13)
