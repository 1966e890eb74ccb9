"""Donnan equilibria against closed forms, other algebra and quadratures, with 50 digits."""

import jax
import mpmath as mp
import numpy as np
import pytest

from pnp import theory, units
from tests.theory.checks import N_A, K, derivative, millivolts

SALT = np.array([100.0, 100.0])
MONO = np.array([1, -1])
MIXED = (np.array([100.0, 20.0, 5.0, 95.0, 30.0, 10.0]), np.array([1, 2, 3, -1, -2, 0]))
KT = millivolts(298.15)


def test_one_molar_in_decimolar_salt():
    assert theory.donnan_potential(-1.0, SALT, MONO) == pytest.approx(-59.41250505, abs=5e-9)


@pytest.mark.parametrize("z", [1, 2])
@pytest.mark.parametrize("fixed", [-2.0, -1e-9, 1e-3, 5.0])
@pytest.mark.parametrize("bath", [1e-3, 100.0])
def test_symmetric_salt_in_closed_form(z, fixed, bath):
    expected = float(KT / z * mp.asinh(mp.mpf(fixed) * 1000 / (2 * z * mp.mpf(bath))))
    found = theory.donnan_potential(fixed, np.full(2, bath), z * MONO)
    assert found == pytest.approx(expected, rel=1e-12)


def test_calcium_chloride_solves_its_cubic():
    # With r = e^(−y): 2c r² − 2c/r + X = 0.
    for fixed in (-0.3, 0.3):
        roots = mp.polyroots([-100, mp.mpf(fixed) * 1000, 0, 100], asc=True, maxsteps=200, extraprec=200)
        positive = next(mp.re(r) for r in roots if abs(mp.im(r)) < 1e-30 and mp.re(r) > 0)
        found = theory.donnan_potential(fixed, np.array([50.0, 100.0]), np.array([2, -1]))
        assert found == pytest.approx(float(-KT * mp.log(positive)), rel=1e-13)


def test_composition_is_neutral_and_in_equilibrium():
    for fixed in (-3.0, 0.0, 0.4):
        inside = theory.donnan_concentration(fixed, *MIXED)
        assert inside @ MIXED[1] == pytest.approx(-1e3 * fixed, rel=1e-12, abs=1e-9)
        ions = MIXED[1] != 0
        equilibrium = theory.nernst(inside[ions], MIXED[0][ions], MIXED[1][ions])
        np.testing.assert_allclose(equilibrium, theory.donnan_potential(fixed, *MIXED), rtol=1e-10, atol=1e-12)
    # A strongly charged phase holds its counter-ions and c²/X of co-ions.
    np.testing.assert_allclose(theory.donnan_concentration(-10.0, SALT, MONO), [1e4, 1.0], rtol=2e-4)


def test_donnan_potential_derivatives():
    potential = lambda fixed: theory.donnan_potential(fixed, *MIXED)
    # By the implicit function theorem dφ/dX = kT/e / Σ z² c̄, with the ions inside.
    for fixed in (0.0, -1.0):
        strength = 2 * theory.ionic_strength(theory.donnan_concentration(fixed, *MIXED), MIXED[1])
        assert derivative(potential, fixed) == pytest.approx(1e3 * float(KT) / float(strength), rel=1e-12)
    assert potential(0.0) == pytest.approx(0.0, abs=1e-13)
    baths = np.stack([SALT, 10 * SALT])
    together = jax.jit(jax.vmap(lambda c: theory.donnan_potential(-1.0, c, MONO)))(baths)
    np.testing.assert_allclose(together, theory.donnan_potential(-1.0, baths, MONO), rtol=1e-14)


def test_donnan_refuses_a_charged_bath_and_has_none_without_ions():
    with pytest.raises(ValueError, match="not electroneutral"):
        theory.donnan_potential(-1.0, np.array([1.0, 2.0]), MONO)
    assert np.isnan(theory.donnan_potential(-1.0, np.zeros(2), MONO))


@pytest.mark.parametrize("fixed", [-20.0, -1.0, -1e-4, 0.5])
def test_edge_of_a_slab_of_equal_permittivity(fixed):
    y = mp.asinh(mp.mpf(fixed) * 1000 / 200)
    found = theory.donnan_interface_potential(fixed, SALT, MONO)
    assert found == pytest.approx(float(KT * (y - mp.tanh(y / 2))), rel=1e-12)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("fixed", [-2.0, 0.7])
def test_edge_of_a_slab_from_the_first_integrals_in_mixed_ions(ratio, fixed):
    # ε_b Σ c (e^(−zy) − 1) = ε_s [Σ c (e^(−zy) − e^(−zy_D)) − X (y − y_D)] at the edge.
    c, z = ([mp.mpf(float(a)) for a in array] for array in MIXED)
    osmotic = lambda y: sum(a * mp.exp(-b * y) for a, b in zip(c, z, strict=True))
    charge = mp.mpf(fixed) * 1000
    guess = mp.mpf(float(theory.donnan_potential(fixed, *MIXED))) / KT
    donnan = mp.findroot(lambda y: sum(b * a * mp.exp(-b * y) for a, b in zip(c, z, strict=True)) + charge, guess)
    slab = lambda y: osmotic(y) - osmotic(donnan) - charge * (y - donnan)
    balance = lambda y: osmotic(y) - osmotic(0) - mp.mpf(ratio) * slab(y)
    edge = mp.findroot(balance, (donnan / 1000, donnan), solver="anderson", tol=1e-30)
    found = theory.donnan_interface_potential(fixed, *MIXED, ratio)
    assert found == pytest.approx(float(KT * edge), rel=1e-12)


def test_edge_limits_and_derivatives():
    edge = lambda fixed, ratio: theory.donnan_interface_potential(fixed, SALT, MONO, ratio)
    # A weak charge divides its Donnan potential as the stiffnesses √ε: by half between equal permittivities.
    slope = 1e3 * float(KT) / 200.0
    for ratio in (1.0, 0.04):
        share = np.sqrt(ratio) / (1 + np.sqrt(ratio))
        assert derivative(lambda x, r=ratio: edge(x, r), 0.0) == pytest.approx(slope * share, rel=1e-12)
    assert edge(-1.0, 1e-12) == pytest.approx(0.0, abs=1e-3)
    assert edge(-1.0, 1e12) == pytest.approx(float(theory.donnan_potential(-1.0, SALT, MONO)), rel=1e-4)
    step = (edge(-1.0, 0.5 + 1e-5) - edge(-1.0, 0.5 - 1e-5)) / 2e-5
    assert derivative(lambda r: edge(-1.0, r), 0.5) == pytest.approx(float(step), rel=1e-8)


def test_gibbs_donnan_in_equal_volumes_as_donnan_had_it():
    # NaR (c₁) against NaCl (c₂), equal volumes: x = c₂²/(c₁ + 2c₂) of the salt passes.
    c1, c2 = 30.0, 80.0
    found = theory.gibbs_donnan(np.array([c1, 0.0]), np.array([c2, c2]), MONO, c1, -1, 0.5)
    x = c2**2 / (c1 + 2 * c2)
    np.testing.assert_allclose(found.inside, [c1 + x, x], rtol=1e-13)
    np.testing.assert_allclose(found.outside, [c2 - x, c2 - x], rtol=1e-13)
    assert found.potential == pytest.approx(float(KT * mp.log(mp.mpf(x) / (mp.mpf(c2) - mp.mpf(x)))), rel=1e-12)
    pressure = 1e-3 * K * N_A * mp.mpf(298.15) * (2 * c1 + 2 * x - 2 * (c2 - x))
    assert found.osmotic_pressure == pytest.approx(float(pressure), rel=1e-12)


def test_cell_with_impermeant_anions_in_its_bath():
    # A passive cell: every permeant ion at its Nernst potential, more solute inside than out, so water comes in.
    bath, valence = np.array([5.0, 145.0, 150.0]), np.array([1, 1, -1])
    found = theory.gibbs_donnan(np.zeros(3), bath, valence, 108.0, -1.2, temperature=310.15)
    np.testing.assert_allclose(found.outside, bath, rtol=1e-13)
    np.testing.assert_allclose(theory.nernst(found.inside, bath, valence, 310.15), found.potential, rtol=1e-12)
    assert found.inside @ valence == pytest.approx(1.2 * 108.0, rel=1e-13)
    assert found.potential == pytest.approx(float(theory.donnan_potential(-0.1296, bath, valence, 310.15)), rel=1e-13)
    assert found.osmotic_pressure > 100.0


def test_gibbs_donnan_keeps_ions_and_forgets_where_they_started():
    valence = np.array([1, 2, -1])
    inside, outside = np.array([60.0, 10.0, 20.0]), np.array([80.0, 10.0, 100.0])
    found = theory.gibbs_donnan(inside, outside, valence, 10.0, -6, 0.3)
    np.testing.assert_allclose(0.3 * found.inside + 0.7 * found.outside, 0.3 * inside + 0.7 * outside, rtol=1e-13)
    assert found.inside @ valence == pytest.approx(60.0, rel=1e-12)
    assert found.outside @ valence == pytest.approx(0.0, abs=1e-10)
    # Without macro-ion the two sides become one.
    plain = theory.gibbs_donnan(SALT, 3 * SALT, MONO, 0.0, -6, 0.25)
    np.testing.assert_allclose(plain.inside, 2.5 * SALT, rtol=1e-14)
    gain = lambda m: theory.gibbs_donnan(np.zeros(2), SALT, MONO, m, -2.0).potential
    assert derivative(gain, 0.0) == pytest.approx(-2.0 * float(KT) / 200.0, rel=1e-12)
    with pytest.raises(ValueError, match="add up to zero"):
        theory.gibbs_donnan(inside, outside, valence, 11.0, -6, 0.3)
    with pytest.raises(ValueError, match="inside_fraction"):
        theory.gibbs_donnan(inside, outside, valence, 10.0, -6, 1.0)


CYLINDER = [(1.0, -0.1, 1), (2.0, 0.05, -2), (5.0, -1.0, 2), (1.0, -1e-6, 1)]


@pytest.mark.parametrize(("radius", "charge", "valence"), CYLINDER)
def test_cylinder_of_counter_ions_is_neutral_and_obeys_poisson(radius, charge, valence):
    c = lambda r: theory.counter_ion_concentration(r, radius, charge, valence, 78.4)
    phi = lambda r: theory.counter_ion_potential(r, radius, charge, valence, 78.4)
    # Gauss–Legendre: all charge within is that of the wall.
    nodes, weights = np.polynomial.legendre.leggauss(400)
    r = radius * (nodes + 1) / 2
    within = 2 * np.pi * (radius / 2 * weights * r * c(r)).sum() * 1e-18 * units.FARADAY * valence
    assert within == pytest.approx(-2 * np.pi * radius * 1e-9 * charge, rel=1e-12)
    # (1/r)(r φ')' = −z F c / ε₀ε in SI, and the field at the wall is the wall's.
    at = 0.6 * radius
    slope, second = jax.grad(phi)(at), jax.grad(jax.grad(phi))(at)
    source = -valence * units.FARADAY * float(c(at)) / (units.VACUUM_PERMITTIVITY * 78.4)
    assert 1e-3 * 1e18 * float(second + slope / at) == pytest.approx(source, rel=1e-11)
    wall_field = charge / (units.VACUUM_PERMITTIVITY * 78.4)
    assert 1e6 * derivative(phi, radius) == pytest.approx(wall_field, rel=1e-12)
    # Boltzmann from the axis.
    reduced = valence * phi(r) / float(KT)
    np.testing.assert_allclose(c(r), c(0.0) * np.exp(-reduced), rtol=1e-12)
    assert phi(0.0) == pytest.approx(0.0, abs=1e-12)


def test_cylinder_limits_and_refusals():
    weak = theory.counter_ion_concentration(np.array([0.0, 1.0]), 1.0, -1e-8, 1, 78.4)
    np.testing.assert_allclose(weak, 2e-8 / (1e-9 * units.FARADAY), rtol=1e-6)
    # However strong the wall, the axis holds no more than 8 ε₀ε RT/(zFa)², in mM.
    most = 8 * units.VACUUM_PERMITTIVITY * 78.4 * units.GAS_CONSTANT * 298.15 / (units.FARADAY * 1e-9) ** 2
    assert theory.counter_ion_concentration(0.0, 1.0, -1e4, 1, 78.4) == pytest.approx(most, rel=1e-4)
    with pytest.raises(ValueError, match="opposite signs"):
        theory.counter_ion_concentration(0.0, 1.0, -0.1, -1, 78.4)
    with pytest.raises(ValueError, match="between 0 and the radius"):
        theory.counter_ion_potential(1.1, 1.0, -0.1, 1, 78.4)
