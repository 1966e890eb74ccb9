"""Shared by the tests of the closed forms: 50 digits, a cell to compute with, and derivatives both ways."""

import jax
import jax.numpy as jnp
import mpmath
import pytest

from pnp import units

mpmath.mp.dps = 50

BODY = 310.15
CELL = {"K": (140.0, 5.0, 1), "Na": (12.0, 145.0, 1), "Cl": (10.0, 110.0, -1), "Ca": (1e-4, 2.0, 2)}
"""Inside and outside (mM) and valence of a mammalian cell's ions."""

E, K, N_A = (mpmath.mpf(x) for x in (units.ELEMENTARY_CHARGE, units.BOLTZMANN, units.AVOGADRO))


def mp(x):
    """The same number in 50 digits."""
    return x if isinstance(x, mpmath.mpf) else mpmath.mpf(float(x))


def millivolts(temperature):
    """kT/e in mV, 50 digits."""
    return 1000 * K * mp(temperature) / E


def derivative(function, x):
    """Of a scalar function at x: the same forward and reverse, which is asserted."""
    both = jax.jit(lambda x: (jax.jvp(function, (x,), (jnp.ones_like(x),))[1], jax.grad(function)(x)))
    forward, reverse = both(float(x))
    assert float(reverse) == pytest.approx(float(forward), rel=1e-12, abs=1e-13)
    return float(forward)
