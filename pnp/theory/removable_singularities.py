"""Functions whose value at zero is a limit, with exact derivatives there too."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp


def limit_at_zero(x, exact: Callable, series: Sequence[float], below: float):
    """`exact`(x), but for |x| < `below` its power series with the coefficients `series`, lowest first."""
    x = jnp.asarray(x, float)
    small = jnp.abs(x) < below
    safe = jnp.where(small, 1.0, x)  # keeps 0/0 out of the branch that is not taken, for gradients
    return jnp.where(small, jnp.polyval(jnp.array(series[::-1]), jnp.where(small, x, 0.0)), exact(safe))


def exponential_remainder(x):
    """(eˣ − 1 − x) / x², 1/2 at zero."""
    series = [1 / math.factorial(n + 2) for n in range(14)]
    return limit_at_zero(x, lambda x: (jnp.expm1(x) - x) / x**2, series, 0.5)


def relative_log1p(x):
    """ln(1 + x) / x, 1 at zero; x > −1."""
    return limit_at_zero(x, lambda x: jnp.log1p(x) / x, [(-1) ** n / (n + 1) for n in range(13)], 0.05)


def langevin_weight(x):
    """1/x − 1/(eˣ − 1), from 1 (x → −∞) by 1/2 at zero to 0 (x → +∞)."""
    # 1/2 less half of coth(x/2) − 2/x, whose coefficients are Bernoulli numbers (Abramowitz & Stegun 4.5.67).
    series = [1 / 2, -1 / 12, 0, 1 / 720, 0, -1 / 30240, 0, 1 / 1209600, 0, -1 / 47900160, 0, 691 / 1307674368000]
    return limit_at_zero(x, lambda x: 1 / x - 1 / jnp.expm1(x), series, 0.3)
