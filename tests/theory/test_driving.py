"""Equilibrium potentials, electrochemical potentials and directions of flow."""

import jax
import mpmath
import numpy as np
import pytest

from pnp import theory
from tests.theory.checks import BODY, CELL, N_A, E, K, derivative, millivolts, mp


@pytest.mark.parametrize(
    ("ion", "potential"),  # mV, (RT/zF) ln(out/in) with 30 digits at 310.15 K
    [("K", -89.058694), ("Na", 66.598213), ("Cl", -64.087730), ("Ca", 132.343568)],
)
def test_nernst(ion, potential):
    inside, outside, z = CELL[ion]
    assert theory.nernst(inside, outside, z, BODY) == pytest.approx(potential, abs=1e-6)


@pytest.mark.parametrize(
    ("inside", "outside", "z", "potential"),  # worked examples of textbooks at 310 K, rounded to 1 mV there
    [(7.0, 120.0, -1, -76.0), (1e-4, 1.5, 2, 128.0), (140.0, 4.0, 1, -95.0)],
)
def test_nernst_of_textbook_examples(inside, outside, z, potential):
    assert theory.nernst(inside, outside, z, 310.0) == pytest.approx(potential, abs=0.6)


def test_nernst_scales_with_temperature_and_inversely_with_valence():
    z = np.array([1, -1, 2, -3])
    found = theory.nernst(10.0, 50.0, z, np.array([[280.0], [310.0]]))
    np.testing.assert_allclose(found[1] / found[0], 310 / 280, rtol=1e-14)
    np.testing.assert_allclose(found * z, np.tile(found[:, :1], 4), rtol=1e-14)
    assert np.all(np.sign(found) == np.sign(z))


def test_nernst_without_a_gradient_and_without_ions_on_one_side():
    assert theory.nernst(7.0, 7.0, 2) == 0
    assert theory.nernst(7.0, 0.0, 1) == -np.inf  # an impermeant ion, or one put on one side only
    assert theory.nernst(7.0, 0.0, -1) == np.inf


def test_activity_coefficients_shift_the_nernst_potential():
    plain = theory.nernst(140.0, 4.0, 1, 310.0)
    real = theory.nernst(140.0, 4.0, 1, 310.0, inside_activity_coefficient=0.85, outside_activity_coefficient=0.70)
    assert plain == pytest.approx(-95.0, abs=0.05)
    assert real == pytest.approx(-100.2, abs=0.05)
    exact = millivolts(310) * mpmath.log(mpmath.mpf("0.70") * 4 / (mpmath.mpf("0.85") * 140))
    assert real == pytest.approx(float(exact), rel=1e-14)
    same = theory.nernst(140.0, 4.0, 1, inside_activity_coefficient=0.75, outside_activity_coefficient=0.75)
    assert same == pytest.approx(float(theory.nernst(140.0, 4.0, 1)), rel=1e-14)


def test_neutral_solutes_have_no_nernst_potential():
    with pytest.raises(ValueError, match="neutral solute, of valence 0, has no Nernst potential"):
        theory.nernst(1.0, 2.0, 0)
    with pytest.raises(ValueError, match=r"neutral solute \(number 1\)"):
        theory.nernst(1.0, 2.0, np.array([1, 0, -1]))
    with pytest.raises(ValueError, match="neutral"):
        theory.flow_direction(-70.0, 0.0, 0)
    assert jax.jit(theory.nernst)(1.0, 2.0, 1) == theory.nernst(1.0, 2.0, 1)


def test_derivatives_of_nernst():
    for outside in (10.0, 250.0):  # at E = 0, and away from it
        slope = derivative(lambda c: theory.nernst(10.0, c, -2, BODY), outside)
        assert slope == pytest.approx(float(millivolts(BODY) / (-2 * outside)), rel=1e-13)
    gamma = lambda g: theory.nernst(10.0, 10.0, 1, BODY, inside_activity_coefficient=g)
    assert derivative(gamma, 0.8) == pytest.approx(float(-millivolts(BODY) / mp(0.8)), rel=1e-13)


@pytest.mark.parametrize(
    ("voltage", "reversal", "valence", "force", "ion", "current"),  # textbook neurons
    [
        (-70.0, -90.0, 1, 20.0, 1, 1),  # K at rest leaves
        (-70.0, 60.0, 1, -130.0, -1, -1),  # Na enters
        (40.0, -90.0, 1, 130.0, 1, 1),  # K at the peak of the action potential
        (-65.0, -75.0, -1, 10.0, -1, 1),  # Cl enters, and is an outward current
        (-80.0, -75.0, -1, -5.0, 1, -1),  # and leaves as an inward one
        (-70.0, 67.0, 1, -137.0, -1, -1),
        (80.0, 67.0, 1, 13.0, 1, 1),  # Na beyond its reversal potential
        (-65.0, -89.0, 1, 24.0, 1, 1),
        (-65.0, 120.0, 2, -185.0, -1, -1),  # Ca
        (-75.0, -75.0, -1, 0.0, 0, 0),
    ],
)
def test_driving_force_and_direction(voltage, reversal, valence, force, ion, current):
    assert theory.driving_force(voltage, reversal) == pytest.approx(force, abs=1e-12)
    assert theory.flow_direction(voltage, reversal, valence) == (ion, current)


@pytest.mark.parametrize("voltage", [-100.0, -65.0, 0.0, 100.0])
def test_flow_goes_down_the_electrochemical_potential(voltage):
    inside, outside, z = np.array(list(CELL.values())).T
    energy = theory.electrochemical_potential_difference(voltage, inside, outside, z, BODY)
    flow = theory.flow_direction(voltage, theory.nernst(inside, outside, z, BODY), z)
    np.testing.assert_array_equal(flow.ion, -np.sign(energy))
    np.testing.assert_array_equal(flow.current, np.sign(z) * flow.ion)
    currents = theory.ghk_current(voltage, inside, outside, 1.0, z, BODY)
    np.testing.assert_array_equal(flow.current, np.sign(currents))


@pytest.mark.parametrize("z", [-2, -1, 0, 1, 2])
def test_electrochemical_potential_difference(z):
    voltage, inside, outside = -65.0, 140.0, 5.0
    # Per particle and in joules, times Avogadro's number.
    particle = K * mp(BODY) * mpmath.log(mp(outside) / mp(inside)) - z * E * mp(voltage) / 1000
    found = theory.electrochemical_potential_difference(voltage, inside, outside, z, BODY)
    assert found == pytest.approx(float(N_A * particle / 1000), rel=1e-13)
    two_sides = theory.electrochemical_potential(outside, 0.0, z, BODY) - theory.electrochemical_potential(
        inside, voltage, z, BODY
    )
    assert found == pytest.approx(float(two_sides), rel=1e-13)
    for x in (0.0, 1000.0):  # −zF: the electrical part alone, also of a neutral solute
        slope = derivative(lambda v: theory.electrochemical_potential_difference(v, inside, outside, z, BODY), x)
        assert slope == pytest.approx(float(-z * N_A * E / 10**6), rel=1e-14, abs=1e-300)
    if z:
        faraday = float(N_A * E / 10**6)
        expected = -z * faraday * (voltage - float(theory.nernst(inside, outside, z, BODY)))
        assert found == pytest.approx(expected, rel=1e-13)


def test_electrochemical_potential_with_activities():
    exact = N_A / 1000 * (K * 310 * mpmath.log(mpmath.mpf("0.75") * 140) + 2 * E * mpmath.mpf("-0.065"))
    found = theory.electrochemical_potential(140.0, -65.0, 2, 310.0, activity_coefficient=0.75)
    assert found == pytest.approx(float(exact), rel=1e-13)
    # With the activities of both sides it is zero where Nernst with the same activities says so.
    gamma = {"inside_activity_coefficient": 0.85, "outside_activity_coefficient": 0.70}
    at = theory.nernst(140.0, 4.0, 1, 310.0, **gamma)
    assert abs(theory.electrochemical_potential_difference(at, 140.0, 4.0, 1, 310.0, **gamma)) < 1e-13


def test_chemical_and_electrical_forces_on_a_neuron_at_rest():
    """K+ is dF_dV out and pulled in, and the push wins; on Na+ both forces point inward."""
    push = lambda inside, outside: float(theory.electrochemical_potential_difference(0.0, inside, outside, 1))
    pull = float(theory.electrochemical_potential_difference(-65.0, 1.0, 1.0, 1))
    assert push(140.0, 5.0) < 0 < pull < -push(140.0, 5.0)
    assert min(push(15.0, 145.0), pull) > 0


def test_transport_work():
    out = theory.electrochemical_potential_difference(-70.0, 12.0, 145.0, 1, BODY)
    for n in (3, -2, 0.5, 0):
        assert theory.transport_work(n, -70.0, 12.0, 145.0, 1, BODY) == pytest.approx(n * float(out), rel=1e-15)
    # Ca2+ entering a resting cell gives off 2 F (E_Ca − V): 36 kJ/mol at E_Ca = 120 mV.
    outside = 1e-4 * float(mpmath.exp(2 * 120 / millivolts(BODY)))
    entry = theory.transport_work(-1, -65.0, 1e-4, outside, 2, BODY)
    assert entry == pytest.approx(-2 * 96.485332 * 0.185, rel=1e-7)
    assert derivative(lambda n: theory.transport_work(n, 0.0, 1.0, 1.0, 0), 2.0) == 0
