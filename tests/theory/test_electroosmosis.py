"""The current that flowing water carries: weak charge, thin double layers, and an independent solution."""

import jax
import numpy as np
import pytest
from scipy import integrate, special

from pnp import theory, units
from pnp.theory.double_layer import DISPLACEMENT_PER_SURFACE_CHARGE
from pnp.theory.electroosmosis import WATER_VISCOSITY

VALENCE, DIFFUSIVITY, PERMITTIVITY = [1, -1], [1.957, 2.032], 78.4
SCALE = units.permittivity_scale(units.ROOM_TEMPERATURE) * PERMITTIVITY
# ε₀ε (kT/e)² / η in nm²/ns: F/m V² / (mPa s) is 1e3 m²/s, or 1e12 nm²/ns
MOBILITY = (
    1e12
    * units.VACUUM_PERMITTIVITY
    * PERMITTIVITY
    * (1e-3 * units.thermal_voltage(units.ROOM_TEMPERATURE)) ** 2
    / WATER_VISCOSITY
)


def share(radius, charge, salt, **other):
    return theory.electroosmotic_share(radius, charge, [salt, salt], VALENCE, DIFFUSIVITY, PERMITTIVITY, **other)


def debye(salt):
    return float(theory.debye_length([salt, salt], VALENCE, PERMITTIVITY))


@pytest.mark.parametrize(("radius", "salt"), [(0.5, 10.0), (5.0, 10.0), (5.0, 1000.0)])
def test_weak_charge(radius, salt):
    """φ = φ₀ I₀(r/λ), whose integrals over the cross-section are Bessel functions."""
    charge, layer = 1e-6, debye(salt)
    edge = radius / layer
    at_axis = charge * DISPLACEMENT_PER_SURFACE_CHARGE / SCALE * layer / special.iv(1, edge)
    squares = radius**2 / 2 * (special.iv(0, edge) ** 2 - special.iv(1, edge) ** 2)
    mean = radius * layer * special.iv(1, edge)
    convected = SCALE / layer**2 * at_axis**2 * (special.iv(0, edge) * mean - squares)
    migrated = salt * sum(DIFFUSIVITY) * radius**2 / 2
    assert float(share(radius, charge, salt)) == pytest.approx(MOBILITY * convected / migrated, rel=1e-3)


@pytest.mark.parametrize("charge", [-0.3, 0.01])
def test_thin_double_layers(charge):
    """At a flat wall ∫ρ (φ − φ_wall) dx = 4 ε₀ε/λ (cosh(φ_wall/2) − 1), from the first integral of Gouy and Chapman."""
    radius, salt = 1e4, 1000.0
    wall = 2 * np.arcsinh(charge * DISPLACEMENT_PER_SURFACE_CHARGE * debye(salt) / (2 * SCALE))
    convected = 4 * SCALE / debye(salt) * (np.cosh(wall / 2) - 1) * radius
    migrated = salt * sum(DIFFUSIVITY) * radius**2 / 2
    expected = MOBILITY * convected / migrated
    assert float(share(radius, charge, salt)) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(("charge", "salt"), [(-0.02, 10.0), (-0.02, 100.0), (-0.5, 1.0)])
def test_an_independent_solution(charge, salt):
    """The Poisson–Boltzmann equation in a cylinder by SciPy's collocation."""
    radius, bend = 5.0, charge * DISPLACEMENT_PER_SURFACE_CHARGE / SCALE
    ends = lambda axis, wall: np.array([axis[1], wall[1] - bend])
    r = radius * (1 - np.geomspace(1e-4, 1, 400)[::-1])
    r = np.append(r, radius)
    guess = np.array([np.full(r.size, np.arcsinh(radius * bend / (2 * radius**2 * salt / SCALE))), bend * (r / radius)])
    singular = np.array([[0.0, 0.0], [0.0, -1.0]])
    smooth = lambda r, y: np.array([y[1], 2 * salt / SCALE * np.sinh(y[0])])
    found = integrate.solve_bvp(smooth, ends, r, guess, S=singular, tol=1e-8, max_nodes=100_000)
    assert found.success
    r = np.linspace(0, radius, 400_001)
    phi = found.sol(r)[0]
    convected = integrate.simpson(-2 * salt * np.sinh(phi) * (phi - phi[-1]) * r, x=r)
    k, cl = DIFFUSIVITY
    migrated = integrate.simpson(salt * (k * np.exp(-phi) + cl * np.exp(phi)) * r, x=r)
    assert float(share(radius, charge, salt)) == pytest.approx(MOBILITY * convected / migrated, rel=1e-3)


def test_it_broadcasts_and_can_be_differentiated():
    salts = np.array([[10.0, 10.0], [100.0, 100.0]])
    both = theory.electroosmotic_share(5.0, [[-0.02], [0.0]], salts, VALENCE, DIFFUSIVITY, PERMITTIVITY)
    np.testing.assert_allclose(both[0], [share(5.0, -0.02, 10.0), share(5.0, -0.02, 100.0)], rtol=1e-12)
    np.testing.assert_array_equal(both[1], 0.0)
    of_charge = lambda charge: share(5.0, charge, 10.0)
    forward, h = jax.jvp(of_charge, (-0.02,), (1.0,))[1], 1e-5
    assert float(jax.grad(of_charge)(-0.02)) == pytest.approx(float(forward), rel=1e-10)
    assert float(of_charge(-0.02 + h) - of_charge(-0.02 - h)) / (2 * h) == pytest.approx(float(forward), rel=1e-6)
    with pytest.raises(ValueError, match="neutral"):
        theory.electroosmotic_share(5.0, -0.02, [10.0, 20.0], VALENCE, DIFFUSIVITY, PERMITTIVITY)
