"""Reversal potentials: found wherever they are, the same from every guess, differentiable."""

import equinox as eqx
import jax
import numpy as np
import pytest

import pnp
from pnp.analysis import reversal
from pnp.analysis.discretized import discretize
from pnp.analysis.reversal import MOST_STEPS, TOLERANCE, bracket, narrowed

NODES = pnp.Axial(100)


def search(current, low, high, direction, guess):
    """The root, and how many currents it took; `current` gives (value, slope)."""
    state = bracket(low, high, direction, guess)
    while bool(state.searching):
        state = narrowed(state, *current(float(state.voltage)))
    return float(state.root), int(state.steps)


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("guess", [-1e9, -150.0, 0.0, 36.9, 150.0, 1e9])
def test_a_rectifying_curve_takes_few_steps(direction, guess):
    """Newton's method alone gains one thermal voltage a step on the flat side, and leaves the bracket from there."""
    current = lambda v: (direction * np.expm1((v - 37.0) / 25.0), direction * np.exp((v - 37.0) / 25.0) / 25.0)
    root, steps = search(current, -1000.0, 1000.0, direction, guess)
    assert root == pytest.approx(37.0, abs=2 * TOLERANCE)
    assert steps < 20


def test_voltages_without_a_steady_state_are_gone_round():
    def current(v):
        return (np.nan, np.nan) if -60.0 < v < 30.0 else (v - 37.0, 1.0)

    assert search(current, -100.0, 100.0, 1.0, 0.0)[0] == pytest.approx(37.0, abs=TOLERANCE)
    root, steps = search(lambda v: (np.nan, np.nan), -100.0, 100.0, 1.0, 0.0)
    assert np.isnan(root)
    assert steps == MOST_STEPS


def test_a_step_of_the_current_is_found_by_halving():
    root, _ = search(lambda v: (np.sign(v - 37.0), 0.0), -1000.0, 1000.0, 1.0, 0.0)
    assert root == pytest.approx(37.0, abs=TOLERANCE)


@pytest.fixture(scope="module")
def bipolar():
    """A step from −5 M to +5 M, between unlike baths: almost no current flows below 0 mV."""
    salt = {"inside": {"K": 100.0, "Cl": 100.0}, "outside": {"K": 10.0, "Cl": 10.0}}
    charge = [-5.0, -5.0, 5.0, 5.0]
    return pnp.Channel.from_profiles([0.0, 5.0, 5.0, 10.0], area=1.0, fixed_charge=charge, ions=["K", "Cl"], **salt)


def test_a_bipolar_pore_reverses(bipolar):
    curve = pnp.iv_curve(bipolar, np.linspace(-200.0, 200.0, 9), discretization=NODES)
    root = curve.reversal_potential()
    assert float(pnp.reversal_potential(bipolar, discretization=NODES)) == pytest.approx(root, abs=1e-8)
    below, at, above = pnp.iv_curve(bipolar, [root - 1.0, root, root + 1.0], discretization=NODES).current
    assert below < 0 < above
    assert abs(at) < 1e-9 * above


@pytest.mark.parametrize("guess", [-1000.0, -150.0, 150.0, 1000.0])
def test_every_guess_leads_to_the_same_potential(bipolar, guess):
    from_zero = pnp.reversal_potential(bipolar, discretization=NODES)
    root = pnp.reversal_potential(bipolar, guess=guess, discretization=NODES)
    assert float(root) == pytest.approx(float(from_zero), abs=1e-8)


def test_a_search_that_sees_no_change_of_sign_finds_nothing(charged, monkeypatch):
    """As if the Nernst potentials did not enclose the root."""
    root = float(pnp.reversal_potential(charged, discretization=NODES))
    discretized = discretize(charged, 100)
    monkeypatch.setattr(reversal, "reversal_range", lambda _: (root + 5.0, root + 10.0))
    assert np.isnan(eqx.filter_jit(reversal.reversal_of_discretized)(discretized, 0.0))


def test_equal_baths_reverse_at_zero(charged):
    equal = charged.with_baths({"K": 100.0, "Cl": 100.0}, {"K": 100.0, "Cl": 100.0})
    assert abs(float(pnp.reversal_potential(equal, guess=100.0, discretization=NODES))) < 1e-9


def test_round_off_at_the_end_of_a_curve_is_a_zero(charged):
    equal = charged.with_baths({"K": 100.0, "Cl": 100.0}, {"K": 100.0, "Cl": 100.0})
    curve = pnp.iv_curve(equal, [0.0, 50.0, 100.0], discretization=NODES)
    noisy = eqx.tree_at(lambda c: c.current, curve, curve.current.at[0].set(1e-25))
    assert noisy.reversal_potential() == 0.0


def test_derivatives_forward_reverse_and_by_difference(charged):
    of_salt = lambda c: pnp.reversal_potential(charged.with_baths({"K": c, "Cl": c}), discretization=NODES)
    _, forward = jax.jvp(of_salt, (300.0,), (1.0,))
    assert float(jax.grad(of_salt)(300.0)) == pytest.approx(float(forward), rel=1e-9)
    h = 0.1
    assert float(of_salt(300.0 + h) - of_salt(300.0 - h)) / (2 * h) == pytest.approx(float(forward), rel=1e-4)
