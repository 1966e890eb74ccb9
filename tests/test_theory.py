"""Closed forms against values computed from their formulas elsewhere, and against their limits."""

import jax
import numpy as np
import pytest

from pnp import theory, units

BODY = 310.15
CELL = {"K": (140.0, 5.0, 1), "Na": (12.0, 145.0, 1), "Cl": (10.0, 110.0, -1), "Ca": (1e-4, 2.0, 2)}


@pytest.mark.parametrize(
    ("ion", "potential"),  # mV, (RT/zF) ln(out/in) with 30 digits at 310.15 K
    [("K", -89.058694), ("Na", 66.598213), ("Cl", -64.087730), ("Ca", 132.343568)],
)
def test_nernst(ion, potential):
    inside, outside, z = CELL[ion]
    assert theory.nernst(inside, outside, z, BODY) == pytest.approx(potential, abs=1e-6)


@pytest.mark.parametrize(("permeability", "potential"), [((1, 0.04, 0.45), -67.326218), ((1, 20, 0.45), 51.131167)])
def test_ghk_voltage(permeability, potential):
    inside, outside, z = np.array([CELL[k] for k in ("K", "Na", "Cl")]).T
    found = theory.ghk_voltage(np.array(permeability, float), inside, outside, z, BODY)
    assert found == pytest.approx(potential, abs=1e-6)


def test_ghk_voltage_is_where_ghk_currents_cancel():
    inside, outside, z = np.array([CELL[k] for k in ("K", "Na", "Cl")]).T
    permeability = np.array([1.0, 0.04, 0.45])
    at = theory.ghk_voltage(permeability, inside, outside, z, BODY)
    currents = theory.ghk_current(at, inside, outside, permeability, z, BODY)
    assert abs(currents.sum()) < 1e-13 * abs(currents).max()


def test_ghk_voltage_refuses_divalents():
    with pytest.raises(ValueError, match="valences"):
        theory.ghk_voltage(np.ones(2), np.ones(2), np.ones(2), np.array([2.0, -1.0]))


@pytest.mark.parametrize("z", [1, -1, 2, 3])
def test_ghk_current_vanishes_at_nernst_and_is_smooth_at_zero(z):
    current = lambda v: theory.ghk_current(v, 100.0, 7.0, 0.3, z)
    assert abs(current(theory.nernst(100.0, 7.0, z))) < 1e-12
    assert current(0.0) == pytest.approx(units.CURRENT_PER_FLUX * z * 0.3 * 93.0, rel=1e-14)
    slope = jax.grad(current)(0.0)
    assert slope == pytest.approx(float((current(1e-3) - current(-1e-3)) / 2e-3), rel=1e-8)
    # The limiting slopes are those of a pore filled from one bath only.
    far = 1e4 * z
    expected = units.CURRENT_PER_FLUX * z * 0.3 * 100.0 * z * far / units.thermal_voltage(units.ROOM_TEMPERATURE)
    assert current(far) == pytest.approx(expected, rel=1e-12)


def test_debye_length_of_decimolar_salt():
    # √(ε₀ ε k T / (2 e² n)) with n the number density, in nm: the same law written another way.
    n = units.AVOGADRO * 100.0
    kt = units.BOLTZMANN * 298.15
    expected = 1e9 * np.sqrt(units.VACUUM_PERMITTIVITY * 78.4 * kt / (2 * units.ELEMENTARY_CHARGE**2 * n))
    found = theory.debye_length(np.array([100.0, 100.0]), np.array([1.0, -1.0]), 78.4)
    assert found == pytest.approx(expected, rel=1e-12)


def test_access_resistance():
    assert theory.access_resistance(0.5, 10.0) == pytest.approx(1 / (4 * 10.0 * 0.5))
