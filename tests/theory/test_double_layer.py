"""Double layers against quadratures of the Poisson–Boltzmann equation in SI, closed forms and limits."""

import jax
import mpmath as mp
import numpy as np
import pytest

from pnp import theory, units
from tests.theory.checks import N_A, E, K, derivative, millivolts

WATER = 78.4
KT = millivolts(298.15)
EPS = mp.mpf(units.VACUUM_PERMITTIVITY) * mp.mpf(WATER)
ENERGY = K * mp.mpf(298.15)
KCL = (np.array([100.0, 100.0]), np.array([1, -1]))
CACL2 = (np.array([50.0, 100.0]), np.array([2, -1]))
NA2SO4 = (np.array([60.0, 30.0]), np.array([1, -2]))
MGSO4 = (np.array([40.0, 40.0]), np.array([2, -2]))
MIXED = (np.array([100.0, 20.0, 5.0, 95.0, 30.0]), np.array([1, 2, 3, -1, -2]))


def field(y, concentration, valence):
    """|dφ/dx| in V/m where the potential is y kT/e above the bath: the first integral in SI."""
    density = [mp.mpf(float(c)) * N_A for c in concentration]
    pressure = ENERGY * sum(n * mp.expm1(-int(z) * y) for n, z in zip(density, valence, strict=True))
    return mp.sqrt(2 * pressure / EPS)


@pytest.mark.parametrize("salt", [KCL, CACL2, NA2SO4, MGSO4], ids=["KCl", "CaCl2", "Na2SO4", "MgSO4"])
@pytest.mark.parametrize("wall", [-1000.0, -100.0, -20.0, 3.0, 60.0, 1000.0])
def test_profile_takes_the_distance_that_the_field_allows(salt, wall):
    # x from y₀ to y is ∫ dφ/|φ'|; checked near the wall, a Debye length out and far out.
    debye = float(theory.debye_length(*salt, WATER))
    distance = np.array([1e-3, 0.3, 1.0, 6.0]) * debye
    found = theory.gouy_chapman_potential(distance, wall, *salt, WATER)
    for x, potential in zip(distance, found, strict=True):
        # In s = ln|y| the integrand has no steep end.
        end, start = mp.log(abs(mp.mpf(float(potential)) / KT)), mp.log(abs(mp.mpf(wall) / KT))
        sign = 1 if wall > 0 else -1
        path = lambda s, sign=sign: mp.exp(s) * ENERGY / E / field(sign * mp.exp(s), *salt)
        with mp.workdps(20):
            expected = mp.quad(path, mp.linspace(end, start, 8))
        slope = 1e-9 * float(field(mp.mpf(float(potential)) / KT, *salt))  # V/nm: error of x to error of φ
        assert abs(float(expected) * 1e9 - x) * slope * 1e3 < 1e-11 * abs(float(potential))


@pytest.mark.parametrize("salt", [KCL, CACL2, NA2SO4])
def test_profile_at_the_wall_in_the_tail_and_its_derivatives(salt):
    profile = lambda x, wall: theory.gouy_chapman_potential(x, wall, *salt, WATER)
    debye = float(theory.debye_length(*salt, WATER))
    for wall in (-1000.0, -25.0, 25.0, 1000.0):
        assert profile(0.0, wall) == pytest.approx(wall, rel=1e-14)
    walls = np.array([-1000.0, -25.0, 25.0, 1000.0])
    slopes = [-np.sign(w) * 1e-6 * float(field(mp.mpf(w) / KT, *salt)) for w in walls]
    np.testing.assert_allclose(jax.vmap(jax.grad(profile), (None, 0))(0.0, walls), slopes, rtol=1e-11)
    # Without potential nothing happens; next to it the law is Debye and Hückel's.
    assert profile(1.0, 0.0) == 0.0
    assert derivative(lambda w: profile(1.0, w), 0.0) == pytest.approx(np.exp(-1.0 / debye), rel=1e-13)
    assert profile(1.0, 1e-8) == pytest.approx(1e-8 * np.exp(-1.0 / debye), rel=1e-8)


def test_profile_refuses_other_salts():
    with pytest.raises(ValueError, match="z:z, 2:1 and 1:2"):
        theory.gouy_chapman_potential(1.0, 50.0, np.array([1.0, 3.0]), np.array([3, -1]), WATER)
    with pytest.raises(ValueError, match="one salt"):
        theory.gouy_chapman_potential(1.0, 50.0, *MIXED, WATER)
    with pytest.raises(ValueError, match="not electroneutral"):
        theory.gouy_chapman_potential(1.0, 50.0, np.array([1.0, 3.0]), np.array([1, -1]), WATER)
    with pytest.raises(ValueError, match="as numbers"):
        jax.jit(lambda z: theory.gouy_chapman_potential(1.0, 50.0, KCL[0], z, WATER))(KCL[1])


@pytest.mark.parametrize("salt", [KCL, CACL2, MIXED], ids=["KCl", "CaCl2", "mixed"])
def test_grahame_is_the_field_at_the_wall_and_its_own_inverse(salt):
    charge = lambda v: theory.grahame_charge(v, *salt, WATER)
    potentials = np.array([-1000.0, -77.0, -1e-3, 0.4, 150.0, 1000.0])
    expected = [float(mp.sign(v) * EPS * field(mp.mpf(float(v)) / KT, *salt)) for v in potentials]
    np.testing.assert_allclose(charge(potentials), expected, rtol=1e-12)
    inverse = lambda s: theory.grahame_potential(s, *salt, WATER)
    np.testing.assert_allclose(inverse(charge(potentials)), potentials, rtol=1e-12)
    # At zero: ε/λ, in C/m² per mV.
    capacitance = WATER * units.VACUUM_PERMITTIVITY / (1e-9 * theory.debye_length(*salt, WATER))
    assert charge(0.0) == 0.0
    assert inverse(0.0) == pytest.approx(0.0, abs=1e-13)
    assert derivative(charge, 0.0) == pytest.approx(1e-3 * float(capacitance), rel=1e-13)
    assert derivative(inverse, 0.0) == pytest.approx(1e3 / float(capacitance), rel=1e-12)
    slope = derivative(charge, -1000.0)
    assert derivative(inverse, charge(-1000.0)) == pytest.approx(1 / slope, rel=1e-11)


@pytest.mark.parametrize("charge", [-0.3, -0.01, 1e-6, 0.05])
def test_grahame_potential_of_a_symmetric_salt_is_asinh(charge):
    for (concentration, valence), z in ((KCL, 1), (MGSO4, 2)):
        n = N_A * concentration[0]
        expected = 2 * KT / z * mp.asinh(mp.mpf(charge) / mp.sqrt(8 * EPS * ENERGY * n))
        found = theory.grahame_potential(charge, concentration, valence, WATER)
        assert found == pytest.approx(float(expected), rel=1e-12)


def test_grahame_batches_and_refuses_a_charged_bath():
    baths = np.array([[10.0, 10.0], [100.0, 100.0]])
    found = theory.grahame_potential(np.array([[-0.1], [-0.2], [0.1]]), baths, np.array([1, -1]), WATER)
    assert found.shape == (3, 2)
    assert found[1, 1] == pytest.approx(float(theory.grahame_potential(-0.2, *KCL, WATER)), rel=1e-14)
    with pytest.raises(ValueError, match="not electroneutral"):
        theory.grahame_charge(1.0, np.array([1.0, 2.0]), np.array([1, -1]), WATER)


def test_bikerman_numbers():
    # 0.7 nm, 100 mM, y = 8, permittivity 78.4, 298.15 K.
    assert theory.bikerman_capacitance(8 * float(KT), *KCL, WATER, 0.7) == pytest.approx(1.2162911, abs=5e-8)
    filled = theory.bikerman_concentration(8 * float(KT), *KCL, 0.7)[1] * 0.7**3 * units.AVOGADRO * 1e-27
    assert filled == pytest.approx(0.984669, abs=5e-7)


@pytest.mark.parametrize("y", [-39.0, -8.0, 1e-3, 2.0, 39.0])
@pytest.mark.parametrize("size", [0.0, 0.3, 0.9])
def test_bikerman_capacitance_in_the_form_of_kilic_bazant_and_ajdari(y, size):
    y = mp.mpf(y)
    nu = 2 * mp.mpf(size) ** 3 * N_A * mp.mpf("1e-25")
    debye = mp.sqrt(EPS * ENERGY / (2 * E**2 * N_A * 100))
    s = 2 * nu * mp.sinh(y / 2) ** 2
    steric = mp.sqrt(s / mp.log1p(s)) / (1 + s) if size else 1
    expected = EPS / debye * mp.cosh(y / 2) * steric
    potential = float(y * KT)
    found = theory.bikerman_capacitance(potential, *KCL, WATER, size)
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_bikerman_limits():
    potential = np.array([-500.0, -60.0, 0.0, 60.0, 500.0])
    np.testing.assert_allclose(
        theory.bikerman_charge(potential, *MIXED, WATER, 0.0), theory.grahame_charge(potential, *MIXED, WATER), rtol=0
    )
    differential = lambda v: theory.bikerman_capacitance(v, *MIXED, WATER, 0.5)
    debye = 1e-9 * theory.debye_length(*MIXED, WATER)
    assert differential(0.0) == pytest.approx(float(WATER * units.VACUUM_PERMITTIVITY / debye), rel=1e-13)
    # Far out the counter-ions stand in a full layer, which takes up all but (kT/e) ln(1/a³c)
    # of the potential: a layer of charge e/a³ and thickness d holds e d²/(2 ε a³), so that C² φ = ε e/(2a³).
    limit = WATER * units.VACUUM_PERMITTIVITY * units.ELEMENTARY_CHARGE / (2 * 0.5e-9**3)
    filling = -float(KT) * np.log(0.5e-9**3 * 100.0 * units.AVOGADRO)
    found = theory.bikerman_capacitance(2500.0, *KCL, WATER, 0.5) ** 2 * 1e-3 * (2500.0 - filling)
    assert found == pytest.approx(limit, rel=1e-6)
    # Derivatives of a derivative, where the formula is 0/0.
    assert derivative(lambda v: theory.bikerman_capacitance(v, *KCL, WATER, 0.5), 0.0) == pytest.approx(0.0, abs=1e-12)
    assert np.isfinite(jax.grad(lambda a: theory.bikerman_capacitance(0.0, *KCL, WATER, a))(0.0))


def test_bikerman_capacitance_broadcasts():
    found = theory.bikerman_capacitance(np.array([[0.0], [100.0]]), *KCL, WATER, np.array([0.3, 0.5, 0.7]))
    assert found.shape == (2, 3)
    assert found[1, 2] == theory.bikerman_capacitance(100.0, *KCL, WATER, 0.7)


def test_bikerman_concentration_fills_the_lattice_and_no_more():
    most = units.MILLIMOLAR_PER_CHARGE_DENSITY / 0.5**3
    crowded = theory.bikerman_concentration(np.array([-900.0, 900.0]), *MIXED, 0.5)
    np.testing.assert_allclose(crowded.sum(-1), most, rtol=1e-6)
    np.testing.assert_allclose(
        theory.bikerman_concentration(-60.0, *MIXED, 0.0), theory.boltzmann_concentration(-60.0, *MIXED), rtol=1e-15
    )
    np.testing.assert_allclose(theory.bikerman_concentration(0.0, *MIXED, 0.5), MIXED[0], rtol=1e-15)
