"""The local laws against their formulas in 50 digits, and their derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from pnp.channel.activity import Ideal
from pnp.finite_volume.fluxes import Element, edge_flux_change, edge_weight, element_balance, element_flux, resistance
from pnp.theory.ghk import bernoulli

mpmath.mp.dps = 50
POINTS = [0.0, 1e-300, 1e-9, 1e-4, 9.99e-3, 1.001e-2, 0.3, 1.0, 20.0, 300.0, 700.0]
POINTS = [*POINTS, *(-x for x in POINTS[1:])]


def exact_bernoulli(x):
    return mpmath.mpf(1) if x == 0 else mpmath.mpf(x) / mpmath.expm1(mpmath.mpf(x))


@pytest.mark.parametrize("x", POINTS)
def test_bernoulli_to_round_off(x):
    assert float(bernoulli(x)) == pytest.approx(float(exact_bernoulli(x)), rel=4e-15)


@pytest.mark.parametrize("x", [0.0, 1e-9, 5e-3, 9.9e-3, 1.01e-2, 0.3, 20.0, -1e-9, -0.02, -5.0, -300.0])
def test_derivatives_of_bernoulli(x):
    for order in (1, 2):
        f = bernoulli
        for _ in range(order):
            f = jax.grad(f)
        at = x if x else 1e-12  # mpmath differentiates through the removable singularity, not at it
        exact = mpmath.diff(exact_bernoulli, mpmath.mpf(at), order)
        # x/expm1(x) cancels near its series: two derivatives cost five digits there, no more.
        assert float(f(x)) == pytest.approx(float(exact), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("mu_step", [1e-12, 1e-9, 1e-3, 2.0, -1e-12, -3.0])
@pytest.mark.parametrize("psi_step", [0.0, 1e-6, 3.0, -8.0])
def test_flux_keeps_every_digit_of_a_tiny_driving_force(mu_step, psi_step):
    c_left = 137.0
    b, m = exact_bernoulli(psi_step), mpmath.expm1(mpmath.mpf(mu_step))
    assert float(-edge_weight(2.0, c_left, psi_step) * np.expm1(mu_step)) == pytest.approx(
        float(-2 * c_left * b * m), rel=1e-14
    )


def test_flux_is_ghk_in_a_constant_field():
    """−(D/h)[B(−Δψ) c_R − B(Δψ) c_L] is the same number where it does not cancel."""
    c_left, c_right, psi = 100.0, 20.0, 1.7
    mu = np.log(c_right / c_left) + psi
    textbook = -(bernoulli(-psi) * c_right - bernoulli(psi) * c_left)
    assert float(-edge_weight(1.0, c_left, psi) * np.expm1(mu)) == pytest.approx(float(textbook), rel=1e-13)


def test_a_known_flux_changes_as_the_flux_does():
    """To second order too, if the flux itself does."""

    def plain(psi, mu):
        return -edge_weight(2.0, 137.0 * jnp.exp(-psi), psi) * jnp.expm1(mu)

    def known(flux):
        return lambda psi, mu: edge_flux_change(
            flux(psi, mu), edge_weight(2.0, 137.0 * jnp.exp(-psi), psi), jnp.expm1(mu)
        )

    at = (0.7, -0.3)
    assert float(known(plain)(*at)) == 0.0
    for one, other in zip(jax.grad(plain, (0, 1))(*at), jax.grad(known(plain), (0, 1))(*at), strict=True):
        assert float(other) == pytest.approx(float(one), rel=1e-13)
    second = [jax.hessian(lambda v, f=f: f(*v))(jnp.array(at)) for f in (plain, known(plain))]
    np.testing.assert_allclose(second[1], second[0], rtol=1e-12)


@pytest.fixture
def element():
    return Element(
        dielectric_conductance=jnp.array(3.0),
        conductance=jnp.array([1.0, 2.0]),
        volume=jnp.array([0.2, 0.3]),
        charge=jnp.array([5.0, -7.0]),
        position_energy=jnp.array([[0.1, 0.0], [0.4, -0.2]]),
        inside_reference=jnp.array(True),
        reference_switch=jnp.array(False),
    )


Z = np.array([1.0, -1.0])
LEFT, RIGHT = np.array([0.3, 4.0, 4.4]), np.array([-0.2, 3.1, 4.6])
NO_REFERENCE = np.zeros((2, 2))
IDEAL = (Ideal().coefficients((), 78.4, 298.15),) * 2


def test_no_flux_where_mu_is_flat_whatever_phi(element):
    right = np.array([-5.0, *LEFT[1:]])
    assert np.all(np.asarray(element_flux(LEFT, right, NO_REFERENCE, element, Z, IDEAL)) == 0.0)


def test_an_element_holds_the_charge_of_its_halves(element):
    through, *held = element_balance(LEFT, RIGHT, NO_REFERENCE, element, Z, IDEAL)
    assert float(through[0]) == pytest.approx(float(-element.dielectric_conductance * (RIGHT[0] - LEFT[0])))
    c = np.exp(np.stack([LEFT[1:], RIGHT[1:]]) - np.outer([0.3, -0.2], Z) - np.asarray(element.position_energy))
    charge = np.array([0.2, 0.3]) * (c @ Z) + np.array([5.0, -7.0])
    np.testing.assert_allclose(np.array(held)[:, 0], charge, rtol=1e-13)


def test_an_element_does_not_care_from_which_side_it_is_seen(element):
    """Turned round, with its nodes exchanged, it passes the opposite and holds the same."""
    through, *held = element_balance(LEFT, RIGHT, NO_REFERENCE, element, Z, IDEAL)
    turned = eqx.tree_at(
        lambda e: (e.volume, e.charge, e.position_energy), element, replace_fn=lambda value: value[::-1]
    )
    back, *held_back = element_balance(RIGHT, LEFT, NO_REFERENCE, turned, Z, IDEAL)
    np.testing.assert_allclose(back, -np.array(through), rtol=1e-13)
    np.testing.assert_allclose(held_back, held[::-1], rtol=1e-13)


def test_the_resistance_of_an_element_is_that_of_its_flux(element):
    """R J = e^mu_L − e^mu_R, for even and for steep potentials; and without overflow."""
    for phi_step in (0.0, 1e-5, 1e-2, 3.0, -40.0):
        right = np.array([LEFT[0] + phi_step, *RIGHT[1:]])
        flux = np.array(element_flux(LEFT, right, NO_REFERENCE, element, Z, IDEAL))
        heights, factors = np.array(resistance(LEFT, right, NO_REFERENCE, element, Z, IDEAL))
        np.testing.assert_allclose(np.exp(heights) * factors * flux, np.exp(LEFT[1:]) - np.exp(right[1:]), rtol=1e-11)
    assert np.all(np.isfinite(resistance(LEFT, np.array([5e3, 0.0, 0.0]), NO_REFERENCE, element, Z, IDEAL)))


def test_the_reference_of_mu_changes_nothing(element):
    """Δmu split into unknowns and references gives the flux of Δmu itself."""
    plain = element_flux(LEFT, RIGHT, NO_REFERENCE, element, Z, IDEAL)
    reference = np.array([[2.0, 3.0], [-1.0, 1.5]])
    left, right = (state - [0.0, *mu] for state, mu in zip((LEFT, RIGHT), reference, strict=True))
    np.testing.assert_allclose(element_flux(left, right, reference, element, Z, IDEAL), plain, rtol=1e-13)


def test_an_ion_that_is_nowhere_still_has_a_resistance(element):
    """Energies of thousands of kT underflow no conductance: elimination has to divide by it."""
    walled = eqx.tree_at(lambda e: e.position_energy, element, element.position_energy + 3000.0)
    flux = lambda mu: element_flux(jnp.array([0.3, *mu]), RIGHT, NO_REFERENCE, walled, Z, IDEAL)
    sensitivity = jnp.diag(jnp.stack(jax.jacfwd(flux)(jnp.asarray(LEFT[1:]))))
    assert np.all((sensitivity > 0) & (sensitivity < 1e-200))
    heights, factors = np.array(resistance(LEFT, RIGHT, NO_REFERENCE, walled, Z, IDEAL))
    expected = np.exp(LEFT[1:]) - np.exp(RIGHT[1:])
    np.testing.assert_allclose(np.exp(heights) * factors * np.array(flux(LEFT[1:])), expected, rtol=1e-11)
