"""Activity coefficients: values of the tables, limits, and what they do to Nernst potentials."""

import jax
import mpmath
import numpy as np
import pytest

from pnp import theory, units
from tests.theory.checks import BODY, N_A, E, K, derivative, mp


@pytest.mark.parametrize(
    ("concentration", "valence", "strength"),
    [((100.0, 100.0), (1, -1), 100.0), ((50.0, 100.0), (2, -1), 150.0), ((20.0, 20.0, 7.0), (2, -2, 0), 80.0)],
)
def test_ionic_strength(concentration, valence, strength):
    assert theory.ionic_strength(concentration, valence) == pytest.approx(strength, rel=1e-15)


def test_ionic_strength_is_that_of_the_debye_length():
    c, z = np.array([[30.0, 70.0, 130.0], [0.1, 0.0, 0.2]]), np.array([2, 1, -1])
    symmetric = np.stack([theory.ionic_strength(c, z)] * 2, -1)
    expected = theory.debye_length(symmetric, np.array([1, -1]), 78.4)
    np.testing.assert_allclose(theory.debye_length(c, z, 78.4), expected, rtol=1e-14)
    assert derivative(lambda x: theory.ionic_strength(x * c[0], z), 0.0) == pytest.approx(160.0, rel=1e-14)


def test_slope_against_robinson_and_stokes():
    # Appendix 7.1: 0.5115 (mol/L)^-½ in water at 25 °C, of permittivity 78.30.
    assert theory.debye_huckel_slope(78.30, 298.15) == pytest.approx(0.5115, abs=2e-4)


@pytest.mark.parametrize(("permittivity", "temperature"), [(78.4, 298.15), (74.2, BODY), (24.3, 298.15)])
def test_slope_in_si(permittivity, temperature):
    # A = √(2π N_A 1000) [e² / (4π ε₀ ε k T)]^(3/2) / ln 10
    length = E**2 / (4 * mpmath.pi * mp(units.VACUUM_PERMITTIVITY) * mp(permittivity) * K * mp(temperature))
    exact = mpmath.sqrt(2 * mpmath.pi * N_A * 1000) * length ** mpmath.mpf("1.5") / mpmath.log(10)
    assert theory.debye_huckel_slope(permittivity, temperature) == pytest.approx(float(exact), rel=1e-13)
    slope = derivative(lambda t: theory.debye_huckel_slope(permittivity, t), temperature)
    assert slope == pytest.approx(float(-1.5 * exact / mp(temperature)), rel=1e-12)


def test_decimolar_sodium_chloride():
    assert theory.debye_huckel(100.0, 1) == pytest.approx(0.690304, abs=1e-6)
    assert theory.davies(100.0, 1) == pytest.approx(0.781594, abs=1e-6)
    # 0.778 is measured (Robinson & Stokes, appendix 8.10); γ of a monovalent ion in a cell is about 0.75.
    assert theory.davies(100.0, -1) == pytest.approx(0.778, abs=0.005)
    assert theory.davies(150.0, 1) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("z", [-2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("strength", [0.0, 0.5, 30.0, 400.0])
def test_laws_in_natural_logarithms(strength, z):
    root, a = mpmath.sqrt(mp(strength) / 1000), mpmath.mpf("0.509") * mpmath.log(10)
    laws = {
        theory.debye_huckel: root,
        theory.guntelberg: root / (1 + root),
        theory.davies: root / (1 + root) - mpmath.mpf("0.3") * root**2,
        lambda i, z: theory.davies(i, z, coefficient=0.2): root / (1 + root) - mpmath.mpf("0.2") * root**2,
    }
    for law, shape in laws.items():
        assert law(strength, z) == pytest.approx(float(mpmath.exp(-a * z**2 * shape)), rel=1e-13)


@pytest.mark.parametrize("z", [1, -2])
def test_extended_law_is_that_of_a_sphere_in_its_ionic_atmosphere(z):
    """ln γ = −z² l_B κ / 2(1 + κa), the work of charging a sphere that other ions' centres keep out of."""
    strength, size, permittivity = 60.0, 0.45, 78.4
    length = E**2 / (4 * mpmath.pi * mp(units.VACUUM_PERMITTIVITY) * mp(permittivity) * K * mp(BODY))
    kappa = mpmath.sqrt(8 * mpmath.pi * length * N_A * mp(strength))
    exact = mpmath.exp(-(z**2) * length * kappa / (2 * (1 + kappa * mp(size) / 10**9)))
    found = theory.extended_debye_huckel(strength, z, size, permittivity, BODY)
    assert found == pytest.approx(float(exact), rel=1e-12)
    point = theory.extended_debye_huckel(strength, z, 0.0, permittivity, BODY)
    limit = theory.debye_huckel(strength, z, theory.debye_huckel_slope(permittivity, BODY))
    assert point == pytest.approx(float(limit), rel=1e-14)
    # With A given, and a equal to the Debye length at 1 M, it is Güntelberg's.
    unit = float(theory.debye_length((1000.0, 1000.0), (1, -1), permittivity, BODY))
    same = theory.extended_debye_huckel(strength, z, unit, permittivity, BODY, slope=0.509)
    assert same == pytest.approx(float(theory.guntelberg(strength, z)), rel=1e-13)


def test_laws_agree_at_great_dilution():
    limit = 1 - float(theory.debye_huckel(1e-4, 2))
    for law in (
        theory.guntelberg,
        theory.davies,
        lambda i, z: theory.extended_debye_huckel(i, z, 0.4, 78.4, slope=0.509),
    ):
        assert 1 - float(law(1e-4, 2)) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize(
    "law",
    [theory.debye_huckel, theory.guntelberg, theory.davies, lambda i, z: theory.extended_debye_huckel(i, z, 0.4, 78.4)],
)
def test_derivatives_of_the_laws(law):
    assert derivative(lambda i: law(i, 0), 0.0) == 0  # a neutral solute sees nothing
    assert not np.isfinite(jax.grad(lambda i: law(i, 1))(0.0))  # √I
    step = 1e-3
    difference = float(law(100.0 + step, 2) - law(100.0 - step, 2)) / (2 * step)
    assert derivative(lambda i: law(i, 2), 100.0) == pytest.approx(difference, rel=1e-6)


def test_parameters_have_no_effect_at_zero_ionic_strength():
    for law in (theory.debye_huckel, theory.guntelberg, theory.davies):
        assert derivative(lambda a, law=law: law(0.0, 2, a), 0.509) == 0
    assert derivative(lambda size: theory.extended_debye_huckel(0.0, 2, size, 78.4), 0.4) == 0


@pytest.mark.parametrize(("valence", "counts"), [((1, -1), (1, 1)), ((2, -1), (1, 2)), ((3, -2), (2, 3))])
def test_mean_activity_coefficient(valence, counts):
    # The limiting law of a neutral salt has |z₊ z₋| in place of z².
    ions = theory.debye_huckel(5.0, np.array(valence))
    exact = mpmath.power(10, mpmath.mpf("-0.509") * abs(valence[0] * valence[1]) * mpmath.sqrt(mpmath.mpf("0.005")))
    assert theory.mean_activity_coefficient(ions, counts) == pytest.approx(float(exact), rel=1e-13)
    slope = derivative(lambda g: theory.mean_activity_coefficient(g * np.ones(2), counts), 0.7)
    assert slope == pytest.approx(1.0, rel=1e-14)


def test_activities_move_nernst_potentials():
    """Between baths of one ionic strength they cancel; towards fresh water the potential of K+ falls by kT/e ln γ."""
    inner, outer = theory.davies(150.0, 1), theory.davies(150.0, 1)
    plain = float(theory.nernst(140.0, 5.0, 1, BODY))
    gamma = {"inside_activity_coefficient": inner, "outside_activity_coefficient": outer}
    assert theory.nernst(140.0, 5.0, 1, BODY, **gamma) == pytest.approx(plain, rel=1e-14)
    gamma["outside_activity_coefficient"] = theory.davies(1.0, 1)
    shift = float(theory.nernst(140.0, 5.0, 1, BODY, **gamma)) - plain
    # ln γ at 150 mM less that at 1 mM, from the law: −ln 10 · 0.509 · (f(0.15) − f(0.001))
    f = lambda strength: np.sqrt(strength) / (1 + np.sqrt(strength)) - 0.3 * strength
    assert shift == pytest.approx(26.726 * np.log(10) * 0.509 * (f(0.15) - f(0.001)), rel=1e-4)
