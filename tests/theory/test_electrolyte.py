"""Electrolytes: the laws written another way, in SI with 50 digits, and their limits."""

import jax
import mpmath as mp
import numpy as np
import pytest

from pnp import theory, units
from tests.theory.checks import N_A, E, K, derivative

EPS0 = mp.mpf(units.VACUUM_PERMITTIVITY)


@pytest.mark.parametrize(
    ("concentration", "valence", "strength"),
    [
        ((100.0, 100.0), (1, -1), 100.0),  # 1:1, the concentration itself
        ((100.0, 200.0), (2, -1), 300.0),  # 2:1, three times it
        ((100.0, 100.0), (2, -2), 400.0),  # 2:2, four times it
        ((100.0, 150.0), (3, -2), 750.0),
        ((150.0, 150.0, 40.0), (1, -1, 0), 150.0),  # sugar does not count
    ],
)
def test_ionic_strength(concentration, valence, strength):
    found = theory.ionic_strength(np.array(concentration), np.array(valence))
    assert found == pytest.approx(strength, rel=1e-15)
    gradient = jax.grad(theory.ionic_strength)(np.array(concentration), np.array(valence, float))
    np.testing.assert_allclose(gradient, np.square(valence) / 2)


def test_ionic_strength_refuses_ions_without_valence():
    with pytest.raises(ValueError, match=r"concentration has the shape \[..., ion\] with 2 ions"):
        theory.ionic_strength(np.ones(3), np.array([1, -1]))
    with pytest.raises(ValueError, match="valence has the shape"):
        theory.ionic_strength(np.ones(3), 1.0)


def test_debye_length_of_decimolar_salt():
    # √(ε₀ ε k T / (2 e² n)) with n the number density, in nm: the same law written another way.
    n = units.AVOGADRO * 100.0
    kt = units.BOLTZMANN * 298.15
    expected = 1e9 * np.sqrt(units.VACUUM_PERMITTIVITY * 78.4 * kt / (2 * units.ELEMENTARY_CHARGE**2 * n))
    found = theory.debye_length(np.array([100.0, 100.0]), np.array([1.0, -1.0]), 78.4)
    assert found == pytest.approx(expected, rel=1e-12)
    assert np.isinf(theory.debye_length(np.zeros(2), np.array([1.0, -1.0]), 78.4))


def test_bjerrum_length():
    expected = 1e9 * E**2 / (4 * mp.pi * EPS0 * mp.mpf("78.4") * K * mp.mpf("298.15"))
    found = theory.bjerrum_length(78.4)
    assert found == pytest.approx(float(expected), rel=1e-14)
    # 8π ℓ Σ z² n / 2 = 1/λ²: the two lengths and the number density of the ions belong together.
    n = 0.1 * 2 * units.AVOGADRO / 1e24
    debye = theory.debye_length(np.array([100.0, 100.0]), np.array([1, -1]), 78.4)
    assert 4 * np.pi * found * n * debye**2 == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(("valence", "radius", "target"), [(1, 0.102, 2.0), (2, 0.1, 4.0), (-1, 0.181, 80.0)])
def test_born_energy_as_the_work_of_charging(valence, radius, target):
    # ∫ q dq / (4π ε₀ ε a), charged in one medium and discharged in the other, in J.
    work = lambda eps: mp.quad(lambda q: q, [0, valence * E]) / (4 * mp.pi * EPS0 * eps * radius * mp.mpf("1e-9"))
    expected = (work(target) - work(78.4)) / (K * mp.mpf("298.15"))
    assert theory.born_energy(radius, valence, target, 78.4) == pytest.approx(float(expected), rel=1e-13)
    assert theory.born_energy(radius, valence, 78.4, 78.4) == 0.0
    assert theory.born_energy(radius, 0, target, 78.4) == 0.0
    slope = derivative(lambda a: theory.born_energy(a, valence, target, 78.4), radius)
    assert slope == pytest.approx(-float(expected) / radius, rel=1e-12)


def test_born_self_energy_of_an_ion_in_vacuum_is_minus_its_hydration_at_infinite_permittivity():
    # 69.47 kJ nm/mol: N_A e²/(8π ε₀), the number of textbooks.
    self_energy = theory.born_energy(1.0, 1, 1.0, np.inf) * units.GAS_CONSTANT * 298.15
    assert self_energy == pytest.approx(69.468e3, rel=1e-4)


def test_boltzmann_concentration_inverts_nernst():
    valence = np.array([1, -1, 2, 0])
    bath = np.array([5.0, 110.0, 2.0, 7.0])
    inside = theory.boltzmann_concentration(-70.0, bath, valence, 310.15)
    np.testing.assert_allclose(theory.nernst(inside[:3], bath[:3], valence[:3], 310.15), -70.0, rtol=1e-14)
    assert inside[3] == 7.0
    assert derivative(lambda v: theory.boltzmann_concentration(v, bath, valence)[2], 0.0) == pytest.approx(
        -2 * 2.0 / units.thermal_voltage(298.15), rel=1e-14
    )


def test_conductivity_is_that_of_the_ions_mobilities():
    concentration, diffusivity, valence = np.array([100.0, 200.0]), np.array([0.792, 2.032]), np.array([2, -1])
    found = theory.conductivity(concentration, diffusivity, valence)
    # Σ n |q| u with the mobility u = |q| D / kT of each ion, in SI.
    sigma = sum(
        N_A * mp.mpf(c) * (abs(int(z)) * E) ** 2 * mp.mpf(d) * mp.mpf("1e-9") / (K * mp.mpf("298.15"))
        for c, d, z in zip(concentration, diffusivity, valence, strict=True)
    )
    assert found == pytest.approx(float(sigma), rel=1e-14)


def test_molar_conductivity_of_potassium_chloride():
    # Kohlrausch's limit of KCl at 25 °C is 149.8 S cm²/mol (CRC Handbook: 73.48 + 76.31 = 149.79).
    per_mole = theory.conductivity(np.ones(2), np.array([1.957, 2.032]), np.array([1, -1])) * 1e4
    assert per_mole == pytest.approx(149.79, abs=0.05)
