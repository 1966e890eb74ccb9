"""Ohm's law at the membrane and conductances from current–voltage curves."""

import jax
import mpmath
import numpy as np
import pytest

from pnp import theory
from tests.theory.checks import BODY, CELL, N_A, E, K, derivative, mp


def test_ohmic_current():
    # 20 pS with 20 mV of driving force: 0.4 pA outward; a millivolt of force on a nanosiemens is a picoampere.
    assert theory.ohmic_current(0.02, -70.0, -90.0) == pytest.approx(0.4, rel=1e-14)
    assert theory.ohmic_current(0.02, -90.0, -90.0) == 0
    assert derivative(lambda v: theory.ohmic_current(3.0, v, 60.0), 60.0) == 3.0


def test_chord_conductance():
    found = theory.chord_conductance(np.array([-40.0, 0.0, 60.0]), np.array([-5.0, -3.0, 0.0]), 60.0)
    np.testing.assert_allclose(found[:2], [0.05, 0.05], rtol=1e-14)
    assert np.isnan(found[2])
    # Near the reversal potential the chord of any curve is its slope there.
    inside, outside, z = CELL["K"]
    at = theory.nernst(inside, outside, z, BODY)
    chord = theory.chord_conductance(at + 1e-3, theory.ghk_current(at + 1e-3, inside, outside, 0.3, z, BODY), at)
    assert chord == pytest.approx(float(theory.ghk_conductance(inside, outside, 0.3, z, BODY)), rel=1e-4)
    # I = 6 at V − E = 2 and E = 58: ∂/∂V (6/(V − E)) = −6/4
    assert derivative(lambda v: theory.chord_conductance(v, 6.0, 58.0), 60.0) == pytest.approx(-1.5, rel=1e-14)


@pytest.mark.parametrize(
    ("conductance", "potential"),  # E_Na = +60, E_K = −90 mV
    [((1.0, 1.0), -15.0), ((3.0, 2.0), 0.0), ((0.0, 5.0), -90.0), ((1e9, 1.0), 60.0)],
)
def test_chord_conductance_voltage(conductance, potential):
    found = theory.chord_conductance_voltage(conductance, np.array([60.0, -90.0]))
    assert found == pytest.approx(potential, abs=1e-6)


def test_chord_conductance_voltage_is_where_currents_cancel():
    g, e = np.array([[1.0, 10.0, 4.0], [20.0, 1.0, 3.0]]), np.array([66.0, -89.0, -64.0])
    for pump in (0.0, 30.0):
        at = theory.chord_conductance_voltage(g, e, pump)
        total = theory.ohmic_current(g, at[:, None], e).sum(-1) + pump
        np.testing.assert_allclose(total, 0.0, atol=1e-11)
    # An outward pump current hyperpolarises by I/Σg.
    shift = theory.chord_conductance_voltage(g, e, 30.0) - theory.chord_conductance_voltage(g, e)
    np.testing.assert_allclose(shift, [-2.0, -1.25], rtol=1e-12)


def test_an_ion_without_conductance_has_no_say():
    voltage = lambda g: theory.chord_conductance_voltage(jax.numpy.stack([g, 0.0]), np.array([-90.0, np.inf]))
    assert voltage(2.0) == -90.0
    assert derivative(voltage, 2.0) == 0.0


def test_derivatives_of_chord_conductance_voltage():
    at = lambda g: theory.chord_conductance_voltage(jax.numpy.stack([g, 2.0]), np.array([60.0, -90.0]))
    # ∂V/∂g = (E − V) / Σ g
    assert derivative(at, 3.0) == pytest.approx((60.0 - 0.0) / 5.0, rel=1e-13)


@pytest.mark.parametrize("grid", [[-3.0, -1.0, 0.0, 4.0, 5.5], [2.0, 1.9, -4.0], [0.0, 1.0, 2.0, 3.0]])
def test_slope_conductance_of_a_parabola_is_exact(grid):
    v = np.array(grid)
    currents = np.stack([2.0 + 0.7 * v - 0.3 * v**2, -v])
    found = theory.slope_conductance(v, currents)
    np.testing.assert_allclose(found, np.stack([0.7 - 0.6 * v, -np.ones_like(v)]), rtol=1e-12, atol=1e-12)


def test_slope_conductance_is_of_second_order():
    errors = []
    for n in (40, 80):
        v = -100 + 200 * np.linspace(0, 1, n + 1) ** 1.5  # uneven
        rectifying = np.exp(v / 40)
        errors.append(np.abs(theory.slope_conductance(v, rectifying) * 40 / rectifying - 1).max())
    assert errors[0] / errors[1] > 3.5
    assert errors[1] < 3e-3
    tangent = jax.jvp(lambda i: theory.slope_conductance(v, i), (v,), (v,))[1]
    np.testing.assert_allclose(tangent, 1.0, rtol=1e-12)  # linear in the currents


def test_two_points_of_an_ohmic_curve():
    # 4 pA at −60 mV and −2 pA at −120 mV: 0.1 nS that reverses at −100 mV; 10 GΩ
    line = theory.ohmic_line([-60.0, -120.0], [4.0, -2.0])
    assert line.conductance == pytest.approx(0.1, rel=1e-14)
    assert line.reversal_potential == pytest.approx(-100.0, rel=1e-14)
    assert theory.slope_resistance([-60.0, -120.0], [4.0, -2.0]) == pytest.approx(10.0, rel=1e-14)
    assert theory.ohmic_current(line.conductance, -60.0, line.reversal_potential) == pytest.approx(4.0, rel=1e-13)
    slope = derivative(lambda i: theory.slope_resistance([-60.0, -120.0], jax.numpy.stack([i, -2.0])), 4.0)
    assert slope == pytest.approx(-60 / 36, rel=1e-13)  # −ΔV/ΔI²


@pytest.mark.parametrize(
    ("call", "voltage", "current", "message"),
    [
        (theory.slope_conductance, [0.0, 1.0], [0.0, 1.0], "3 points or more"),
        (theory.slope_conductance, [0.0, 1.0, 1.0], [0.0, 1.0, 2.0], "rise or fall"),
        (theory.slope_conductance, [0.0, 2.0, 1.0], [0.0, 1.0, 2.0], "rise or fall"),
        (theory.slope_conductance, [0.0, 1.0, 2.0], [0.0, 1.0], "must match the 3 voltages"),
        (theory.ohmic_line, [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], "2 points"),
        (theory.slope_resistance, [1.0, 1.0], [0.0, 1.0], "rise or fall"),
    ],
)
def test_refused_curves(call, voltage, current, message):
    with pytest.raises(ValueError, match=message):
        call(voltage, current)


@pytest.mark.parametrize("z", [1, -1, 2])
def test_ion_conductance_is_ohms_law_in_the_pore(z):
    diffusivity, area, length, concentration = 0.8, 0.3, 2.5, 130.0
    # Conductivity z² e² n D / kT of n ions per m³, in SI, times area over length.
    n = N_A * mp(concentration)
    conductivity = z**2 * E**2 * n * mp(diffusivity) * mpmath.mpf("1e-9") / (K * mp(BODY))
    exact = conductivity * mp(area) / mp(length) * mpmath.mpf("1e-9") * 10**9
    found = theory.ion_conductance(diffusivity * area / length, concentration, z, BODY)
    assert found == pytest.approx(float(exact), rel=1e-13)


def test_conductance_grows_with_the_square_of_the_valence():
    g = theory.ion_conductance(0.3, 100.0, np.array([0, 1, -1, 2, 3]))
    np.testing.assert_allclose(g / g[1], [0, 1, 1, 4, 9], rtol=1e-14)
    # and is what GHK gives between equal baths, at any voltage
    for z in (1, -2):
        current = lambda v, z=z: theory.ghk_current(v, 100.0, 100.0, 0.3, z)
        expected = float(theory.ion_conductance(0.3, 100.0, z))
        for v in (0.0, 1000.0, -1000.0):
            assert derivative(current, v) == pytest.approx(expected, rel=1e-12)
    slope = derivative(lambda z: theory.ion_conductance(0.3, 100.0, z), 0.0)
    assert slope == 0
