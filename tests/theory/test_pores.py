"""Pores against integrals done elsewhere, two membranes in series, and limits."""

import jax
import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import root

from pnp import theory, units
from tests.theory.checks import derivative, millivolts

KT = float(millivolts(298.15))
D = np.array([1.957, 2.032])
MONO = np.array([1, -1])
SALT = np.array([100.0, 100.0])


def test_access_resistance():
    assert theory.access_resistance(0.5, 10.0) == pytest.approx(1 / (4 * 10.0 * 0.5))


def test_access_resistance_is_that_of_oblate_shells():
    # The field of a disc has oblate equipotentials: R = ∫ dx / (σ 2π(a² + x²)) from the disc to infinity.
    shells = mp.quad(lambda x: 1 / (10 * 2 * mp.pi * (mp.mpf("0.25") + x**2)), [0, mp.inf])
    assert theory.access_resistance(0.5, 10.0) == pytest.approx(float(shells), rel=1e-14)


def test_pore_conductance():
    radius, length, sigma = 0.4, 2.5, 11.0
    closed = np.pi * radius**2 * sigma / (length + np.pi * radius / 2)
    assert theory.pore_conductance(radius, length, sigma) == pytest.approx(closed, rel=1e-14)
    # No length: two access resistances, 2σa; no access: the pore alone.
    assert theory.pore_conductance(radius, 0.0, sigma) == pytest.approx(2 * sigma * radius, rel=1e-14)
    alone = theory.pore_conductance(radius, length, sigma, 1e15)
    assert alone == pytest.approx(np.pi * radius**2 * sigma / length, rel=1e-12)
    slope = derivative(lambda s: theory.pore_conductance(radius, length, s), sigma)
    assert slope == pytest.approx(closed / sigma, rel=1e-13)


@pytest.mark.parametrize("charge", [-0.02, 0.1])
@pytest.mark.parametrize("bath", [0.01, 1000.0])
def test_charged_pore_in_monovalent_salt(charge, bath):
    radius, length = 1.5, 20.0
    x = 2e-3 * charge / (radius * 1e-9 * units.FARADAY)
    assert theory.wall_charge_density(charge, radius) == pytest.approx(x, rel=1e-14)
    x, c = mp.mpf(x) * 1000, mp.mpf(bath)
    ions = [(mp.sqrt(x**2 + 4 * c**2) - x) / 2, (mp.sqrt(x**2 + 4 * c**2) + x) / 2]
    factor = units.FARADAY**2 / (units.GAS_CONSTANT * 298.15) * 1e-9
    sigma = factor * sum(float(n) * d for n, d in zip(ions, D, strict=True))
    found = theory.charged_pore_conductance(radius, length, charge, np.full(2, bath), D, MONO)
    outer = factor * bath * D.sum()
    expected = 1 / (length / (np.pi * radius**2 * sigma) + 1 / (2 * radius * outer))
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_charged_pore_limits():
    radius, length, charge = 2.0, 30.0, -0.05
    pore = lambda c, s: theory.charged_pore_conductance(radius, length, s, c * np.ones(2), D, MONO)
    sigma = theory.conductivity(SALT, D, MONO)
    assert pore(100.0, 0.0) == pytest.approx(float(theory.pore_conductance(radius, length, sigma)), rel=1e-13)
    # The excess over the neutral pore at high salt: the wall's charge, half counter-ions gained, half co-ions lost.
    bulk, long = 5000.0, 1e6
    gain = lambda s: theory.charged_pore_conductance(radius, long, s, bulk * np.ones(2), D, MONO)
    surface = 2 * np.pi * radius * abs(charge) * 1e-9 * 1e-9 / (long * 1e-9) * (D[0] - D[1]) / 2 / (KT * 1e-3)
    assert (gain(charge) - gain(-charge)) / 2 == pytest.approx(surface * 1e9, rel=1e-4)
    step = (pore(100.0, 1e-6) - pore(100.0, -1e-6)) / 2e-6
    assert derivative(lambda s: pore(100.0, s), 0.0) == pytest.approx(float(step), rel=1e-6)


@pytest.mark.parametrize(("z", "w"), [(1, -1), (2, -1), (1, -2), (-1, 2)])
def test_limiting_current_is_where_the_salt_is_used_up(z, w):
    # Nernst–Planck for both ions across a neutral layer, the co-ion still: −c' = J/D + z c φ', −b' = w b φ',
    # with φ' from Σ z c = 0. A hair below the limit the membrane's side still has a hair of salt.
    c, diffusivity, area, delta, below = 100.0, 1.3, 4.0, 20.0, 1e-3
    found = theory.limiting_current(c, diffusivity, z, w, area, delta)
    flux = (1 - below) * float(found) / (units.CURRENT_PER_FLUX * abs(z) * area)

    def change(x, y):
        field = -z * flux / diffusivity / (z**2 * y[0] + w**2 * y[1])
        return [-flux / diffusivity - z * y[0] * field, -w * y[1] * field]

    path = solve_ivp(change, (0, delta), [c, -c * z / w], method="DOP853", rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(path.y[:, -1], [below * c, -below * c * z / w], rtol=1e-6)
    linear = derivative(lambda c: theory.limiting_current(c, diffusivity, z, w, area, delta), 0.0)
    assert linear == pytest.approx(float(found) / c, rel=1e-13)


def test_limiting_current_of_monovalent_salt_and_refusal():
    expected = 2 * units.FARADAY * 100.0 * 1.957e-9 / 1e-6 * 1e-12 * 1e12  # 2 F D c A / δ: 1 µm², 1 µm, in pA
    assert theory.limiting_current(100.0, 1.957, 1, -1, 1e6, 1e3) == pytest.approx(expected, rel=1e-13)
    with pytest.raises(ValueError, match="opposite signs"):
        theory.limiting_current(100.0, 1.957, 1, 1, 1e6, 1e3)


X = np.array([0.0, 0.7, 0.7, 2.0, 3.5])
ENERGY = np.array([0.0, 6.0, -2.0, 9.0, 1.0])


@pytest.mark.parametrize("valence", [-1, 0, 2])
@pytest.mark.parametrize("voltage", [-1000.0, 0.0, 80.0])
def test_flux_over_straight_barriers_is_exact(valence, voltage):
    diffusivity, area = np.array([1.0, 0.2, 0.2, 0.5, 1.5]), np.array([2.0, 0.6, 0.3, 0.3, 4.0])
    potential = voltage * (1 - X / X[-1])
    psi = ENERGY + valence * potential / KT
    exponent = [mp.mpf(a) for a in psi - np.log(diffusivity * area)]
    integral = mp.mpf(0)
    for i in (0, 2, 3):
        h = mp.mpf(X[i + 1]) - mp.mpf(X[i])
        line = lambda t, i=i: mp.exp(exponent[i] * (1 - t) + exponent[i + 1] * t)
        integral += h * mp.quad(line, mp.linspace(0, 1, 6))
    u = mp.mpf(valence * voltage) / KT
    expected = (120 * mp.exp(u) - 35) / integral
    found = theory.barrier_flux(X, ENERGY, 120.0, 35.0, diffusivity, area, valence, potential)
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_flat_barrier_in_a_constant_field_is_ghk():
    x = np.linspace(0.0, 2.0, 6)
    flux = lambda v: theory.barrier_flux(x, 0 * x, 100.0, 7.0, 1.3, 0.5, 2, v * (1 - x / 2.0))
    current = lambda v: units.CURRENT_PER_FLUX * 2 * flux(v)
    ghk = lambda v: theory.ghk_current(v, 100.0, 7.0, 1.3 * 0.5 / 2.0, 2)
    for voltage in (-1000.0, -30.0, 0.0, 1000.0):
        assert current(voltage) == pytest.approx(float(ghk(voltage)), rel=1e-12)
    assert derivative(current, 0.0) == pytest.approx(derivative(ghk, 0.0), rel=1e-12)
    curved = [jax.grad(jax.grad(f))(0.0) for f in (current, ghk)]
    assert curved[0] == pytest.approx(float(curved[1]), rel=1e-10)


def test_barrier_flux_broadcasts_over_ions_and_voltages():
    voltages, x = np.array([-50.0, 0.0, 50.0]), np.linspace(0.0, 1.0, 5)
    potential = voltages[:, None, None] * (1 - x)
    found = theory.barrier_flux(x, 0 * x, np.array([3.0, 4.0]), 1.0, 1.0, 1.0, np.array([1, -2]), potential)
    assert found.shape == (3, 2)
    alone = theory.barrier_flux(x, 0 * x, 4.0, 1.0, 1.0, 1.0, -2, potential[2, 0])
    assert found[2, 1] == pytest.approx(float(alone), rel=1e-14)


def test_barrier_limits():
    x = np.linspace(-3.0, 3.0, 4001)
    # Kramers: a high parabolic barrier has ∫ e^ψ = e^U √(2π/κ).
    kappa, top = 40.0, 30.0
    flux = theory.barrier_flux(x, top - kappa * x**2 / 2 * (np.abs(x) < 1.2), 1.0, 0.0, 1.0)
    assert flux == pytest.approx(np.exp(-top) * np.sqrt(kappa / (2 * np.pi)), rel=1e-3)
    # Second order in the spacing for a smooth profile.
    errors = []
    for nodes in (21, 41):
        x = np.linspace(0.0, 1.0, nodes)
        exact = mp.mpf(50) / mp.quad(lambda s: mp.exp(4 * mp.sin(mp.pi * s)), [0, 0.5, 1])
        errors.append(abs(float(theory.barrier_flux(x, 4 * np.sin(np.pi * x), 60.0, 10.0, 1.0)) / float(exact) - 1))
    assert 3.8 < errors[0] / errors[1] < 4.2
    assert errors[1] < 2e-3
    # Equilibrium, whatever the barrier; and barriers that would overflow give no flux, not NaN.
    energy = 800.0 * np.sin(np.pi * x)
    assert theory.barrier_flux(x, energy, 5.0, 5.0, 1.0) == 0.0
    assert np.isfinite(jax.grad(lambda e: theory.barrier_flux(x, e, 5.0, 1.0, 1.0))(-energy)).all()
    with pytest.raises(ValueError, match="decrease"):
        theory.barrier_flux(x[::-1], energy, 5.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="energy"):
        theory.barrier_flux(x, energy[1:], 5.0, 1.0, 1.0)


def junction_in_series(voltage, inside, outside, charges, permeabilities):
    """Current through two charged membranes in series: the exact electroneutral law, by root-finding.

    A virtual solution between them (concentration and potential) takes up whatever the ions do there.
    """

    def currents(state):
        middle, potential = np.exp(state[0]) * np.ones(2), state[1] * KT
        first = theory.tms_current(voltage - potential, inside * np.ones(2), middle, charges[0], permeabilities, MONO)
        second = theory.tms_current(potential, middle, outside * np.ones(2), charges[1], permeabilities, MONO)
        return np.asarray(first), np.asarray(second)

    def mismatch(state):
        first, second = currents(state)
        return (first - second) / np.abs(np.concatenate([first, second])).max()

    # Started where the counter-ions of either region are in equilibrium with its own bath.
    sign = -np.sign(charges[0])
    start = [np.log(inside * outside) + sign * voltage / KT, voltage / KT + sign * np.log(inside / outside)]
    start = np.array(start) / 2
    found = root(mismatch, start, tol=1e-11)
    assert np.abs(mismatch(found.x)).max() < 1e-6
    return currents(found.x)[0].sum()


@pytest.mark.parametrize("orientation", [1.0, -1.0])
@pytest.mark.parametrize("bias", [-100.0, -20.0, 20.0, 60.0])
def test_bipolar_junction_is_the_limit_of_strong_charge(orientation, bias):
    # Against the exact law for finite charge; the difference falls as (c/X)².
    voltage, permeability = orientation * bias, np.array([1.5, 2.5])
    co_ions = permeability[::-1] if orientation > 0 else permeability
    errors = []
    for x in (2.0, 4.0):
        charges = orientation * np.array([-x, 2 * x])
        exact = junction_in_series(voltage, 100.0, 30.0, charges, permeability)
        found = theory.bipolar_junction_current(voltage, 100.0, 30.0, charges, co_ions)
        errors.append(abs(float(found) / exact - 1))
    assert errors[0] < 0.015
    assert 3.7 < errors[0] / errors[1] < 4.3


def test_bipolar_junction_between_equal_baths_is_shockleys():
    charges, permeability = np.array([-1.0, 2.0]), np.array([0.3, 0.5])
    law = lambda v, z=1: theory.bipolar_junction_current(v, 20.0, 20.0, charges, permeability, z)
    saturation = units.CURRENT_PER_FLUX * 20.0**2 * (0.3 / 1000.0 + 0.5 / 2000.0)
    assert law(-1000.0) == pytest.approx(-saturation, rel=1e-14)
    assert law(60.0) == pytest.approx(saturation * float(mp.expm1(60 / millivolts(298.15))), rel=1e-12)
    assert law(30.0, 2) == pytest.approx(2 * float(law(60.0)), rel=1e-13)
    assert law(0.0) == 0.0
    assert derivative(law, 0.0) == pytest.approx(saturation / KT, rel=1e-13)
    # Turned round, it rectifies the other way.
    turned = theory.bipolar_junction_current(-60.0, 20.0, 20.0, -charges, permeability)
    assert turned == pytest.approx(-float(law(60.0)), rel=1e-14)
    with pytest.raises(ValueError, match="opposite signs"):
        theory.bipolar_junction_current(1.0, 20.0, 20.0, np.array([1.0, 2.0]), permeability)
