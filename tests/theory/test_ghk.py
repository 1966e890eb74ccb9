"""Goldman–Hodgkin–Katz against its formulas in 50 digits, its limits, and where its currents cancel."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from pnp import theory, units
from tests.theory.checks import BODY, CELL, N_A, E, derivative, millivolts, mp


def exact_current(v, inside, outside, permeability, z, temperature):
    """pA, as Hodgkin & Katz wrote it in SI; V = 0 by its limit."""
    v, inside, outside, permeability, z = (mp(x) for x in (v, inside, outside, permeability, z))
    u = z * v / millivolts(temperature)
    gradient = inside - outside if u == 0 else u * (inside - outside * mpmath.exp(-u)) / -mpmath.expm1(-u)
    return E * N_A * z * permeability * mpmath.mpf("1e-27") / mpmath.mpf("1e-9") * gradient * 10**12


@pytest.mark.parametrize("z", [1, -1, 2, 3])
@pytest.mark.parametrize("voltage", [-1000.0, -70.0, -1e-7, 0.0, 1e-3, 40.0, 1000.0])
def test_ghk_current(voltage, z):
    # An ion that is on one side only: nothing cancels, and every digit can be asked for.
    for inside, outside in ((140.0, 0.0), (0.0, 5.0)):
        found = theory.ghk_current(voltage, inside, outside, 0.3, z, BODY)
        assert found == pytest.approx(float(exact_current(voltage, inside, outside, 0.3, z, BODY)), rel=2e-14)
    both = theory.ghk_current(voltage, 140.0, 5.0, 0.3, z, BODY)
    assert both == pytest.approx(float(exact_current(voltage, 140.0, 5.0, 0.3, z, BODY)), rel=1e-12)


@pytest.mark.parametrize("z", [1, -1, 2, 3])
def test_ghk_current_vanishes_at_nernst_and_is_smooth_at_zero(z):
    current = lambda v: theory.ghk_current(v, 100.0, 7.0, 0.3, z)
    assert abs(current(theory.nernst(100.0, 7.0, z))) < 1e-12
    assert current(0.0) == pytest.approx(units.CURRENT_PER_FLUX * z * 0.3 * 93.0, rel=1e-14)
    # Slope at V = 0: z² e F P (c_in + c_out) / 2kT.
    assert derivative(current, 0.0) == pytest.approx(float(theory.ion_conductance(0.3, 53.5, z)), rel=1e-13)
    for far in (-1000.0, 1000.0):
        exact = mpmath.diff(lambda v: exact_current(v, 100.0, 7.0, 0.3, z, 298.15), far)
        assert derivative(current, far) == pytest.approx(float(exact), rel=1e-12)


def test_ghk_flux():
    # A neutral solute diffuses, whatever the voltage; an ion at V = 0 does the same.
    assert theory.ghk_flux(-70.0, 20.0, 5.0, 0.4, 0) == pytest.approx(6.0, rel=1e-15)
    assert theory.ghk_flux(0.0, 20.0, 5.0, 0.4, 2) == pytest.approx(6.0, rel=1e-15)
    assert derivative(lambda v: theory.ghk_flux(v, 20.0, 5.0, 0.4, 0), -70.0) == 0
    # ∂J/∂z at z = 0: electromigration of the mean concentration.
    slope = derivative(lambda z: theory.ghk_flux(-70.0, 20.0, 5.0, 0.4, z, BODY), 0.0)
    assert slope == pytest.approx(float(0.4 * mp(12.5) * -70 / millivolts(BODY)), rel=1e-13)
    # The integral of Nernst–Planck: J = D [c_in e^u − c_out] / ∫ exp(u (1 − s)) ds over a constant field.
    u = 2 * mp(35.0) / millivolts(BODY)
    exact = mp(0.4) * (20 * mpmath.exp(u) - 5) / mpmath.quad(lambda s: mpmath.exp(u * (1 - s)), [0, 1])
    assert theory.ghk_flux(35.0, 20.0, 5.0, 0.4, 2, BODY) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("z", [1, -1, 2, -2])
def test_limiting_conductances(z):
    limits = theory.ghk_limiting_conductance(100.0, 7.0, 0.3, z)
    current = lambda v: theory.ghk_current(v, 100.0, 7.0, 0.3, z)
    assert derivative(current, -3000.0) == pytest.approx(float(limits.negative), rel=1e-12)
    assert derivative(current, 3000.0) == pytest.approx(float(limits.positive), rel=1e-12)
    ratio = limits.positive / limits.negative
    assert ratio == pytest.approx(100 / 7 if z > 0 else 7 / 100, rel=1e-14)


@pytest.mark.parametrize(("inside", "outside"), [(140.0, 5.0), (3.0, 90.0), (50.0, 50.0), (50.0, 50.0 + 1e-9)])
@pytest.mark.parametrize("z", [1, -2])
def test_conductance_is_the_slope_at_the_nernst_potential(inside, outside, z):
    at = float(theory.nernst(inside, outside, z, BODY))
    slope = derivative(lambda v: theory.ghk_current(v, inside, outside, 0.3, z, BODY), at)
    found = theory.ghk_conductance(inside, outside, 0.3, z, BODY)
    assert found == pytest.approx(slope, rel=1e-12)
    # In equal baths ∂g/∂c_in is half of g/c.
    gradient = derivative(lambda c: theory.ghk_conductance(c, outside, 0.3, z, BODY), outside)
    assert gradient == pytest.approx(float(theory.ion_conductance(0.15, 1.0, z, BODY)), rel=1e-12)


RESTING = np.array([CELL[k] for k in ("K", "Na", "Cl")]).T
EVERY_ION = np.array([CELL[k] for k in ("K", "Na", "Cl", "Ca")]).T


@pytest.mark.parametrize(("permeability", "potential"), [((1, 0.04, 0.45), -67.326218), ((1, 20, 0.45), 51.131167)])
def test_ghk_voltage(permeability, potential):
    found = theory.ghk_voltage(permeability, *RESTING, BODY)
    assert found == pytest.approx(potential, abs=1e-6)


@pytest.mark.parametrize("k", range(4))
def test_ghk_voltage_of_one_ion_is_its_nernst_potential(k):
    permeability = np.eye(4)[k]
    found = theory.ghk_voltage(permeability, *EVERY_ION, BODY)
    assert found == pytest.approx(float(theory.nernst(*EVERY_ION[:, k], BODY)), rel=1e-12)


def exact_voltage(permeability, inside, outside, valence, temperature, start=0.0):
    """The zero of the summed currents, by secants in 50 digits."""
    total = lambda v: sum(
        exact_current(v, i, o, p, z, temperature)
        for p, i, o, z in zip(permeability, inside, outside, valence, strict=True)
    )
    return mpmath.findroot(total, (mp(start) - 1, mp(start) + 1))


WITH_TRACED_VALENCE = jax.jit(theory.ghk_voltage)
MIXTURES = [
    ((1.0, 0.04, 0.45), (140, 12, 10), (5, 145, 110), (1, 1, -1)),
    ((1.0, 0.04, 0.45, 3.0), (140, 12, 10, 1e-4), (5, 145, 110, 2), (1, 1, -1, 2)),
    ((1.0, 1.0, 50.0), (140, 12, 0), (5, 145, 110), (1, 1, 2)),
    ((1.0, 2.0, 0.3), (10, 40, 5), (100, 1, 30), (-2, 2, -1)),
    ((1.0, 2.0, 5.0), (100, 10, 1), (10, 60, 20), (1, 0, 2)),  # a neutral solute carries no current
    ((1.0, 2.0, 0.3), (100, 10, 5), (10, 60, 20), (1, 3, -2)),
    ((1.0, 0.5, 4.0), (150, 0, 30), (0, 60, 50), (1, 3, -4)),
]


@pytest.mark.parametrize(("permeability", "inside", "outside", "valence"), MIXTURES)
def test_ghk_voltage_of_any_valences(permeability, inside, outside, valence):
    found = float(theory.ghk_voltage(permeability, inside, outside, valence, BODY))
    exact = exact_voltage(permeability, inside, outside, valence, BODY, start=found)
    assert found == pytest.approx(float(exact), rel=1e-12)
    traced = WITH_TRACED_VALENCE(*(np.array(x, float) for x in (permeability, inside, outside, valence)), BODY)
    assert traced == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("valence", [(1, 1, -1), (1, 2, -1), (1, 3, -1)])
@pytest.mark.parametrize("inside", [(100.0, 20.0, 140.0), (100.0, 40.0, 3.0)])  # the first reverses at V = 0
def test_derivatives_of_ghk_voltage(valence, inside):
    outside = (100.0, 20.0, 140.0)
    voltage = lambda p, c: theory.ghk_voltage(
        jnp.stack([1.0, p, 0.2]), inside, jnp.stack([c, 20.0, 140.0]), valence, BODY
    )
    assert (abs(float(voltage(0.5, 100.0))) < 1e-12) == (inside == outside)
    exact = lambda p, c: exact_voltage((1.0, p, 0.2), inside, (c, 20.0, 140.0), valence, BODY)
    per_permeability = float(mpmath.diff(lambda p: exact(p, 100.0), 0.5))
    assert derivative(lambda p: voltage(p, 100.0), 0.5) == pytest.approx(per_permeability, rel=1e-11, abs=1e-12)
    per_outside = float(mpmath.diff(lambda c: exact(0.5, c), 100.0))
    assert derivative(lambda c: voltage(0.5, c), 100.0) == pytest.approx(per_outside, rel=1e-11)


@pytest.mark.parametrize("valence", [(1, 1), (2, 2), (3, 1), (2, 3)])
def test_ions_on_one_side_only_reverse_nowhere(valence):
    assert theory.ghk_voltage((1.0, 2.0), (100.0, 5.0), (0.0, 0.0), valence) == -np.inf
    assert theory.ghk_voltage((1.0, 2.0), (0.0, 0.0), (100.0, 5.0), valence) == np.inf
    anions = tuple(-z for z in valence)
    assert theory.ghk_voltage((1.0, 2.0), (100.0, 5.0), (0.0, 0.0), anions) == np.inf


def test_ghk_voltage_refuses_neutral_solutes_alone():
    with pytest.raises(ValueError, match="no ion is charged"):
        theory.ghk_voltage(np.ones(2), np.ones(2), np.ones(2), np.zeros(2))


def test_ghk_voltage_broadcasts():
    sodium = np.array([0.01, 0.04, 20.0])
    permeability = np.stack([np.ones(3), sodium, 0.45 * np.ones(3)], -1)
    inside, outside, _ = RESTING
    temperature = np.array([290.0, 300.0, BODY])
    for valence in (np.array([1, 1, -1]), np.array([1, 1, -3])):
        together = theory.ghk_voltage(permeability, inside, outside, valence, temperature)
        for k in range(3):
            alone = theory.ghk_voltage(permeability[k], inside, outside, valence, temperature[k])
            assert together[k] == pytest.approx(float(alone), rel=1e-14)


@pytest.mark.parametrize(("ratio", "shift"), [(1.0, 0.0), (0.1, -61.5), (10.0, 61.5)])
def test_bi_ionic_potential_of_monovalents(ratio, shift):
    # At body temperature a tenfold ratio is 61.5 mV.
    assert theory.bi_ionic_potential(ratio, 150.0, 150.0, temperature=BODY) == pytest.approx(shift, abs=0.05)
    assert theory.bi_ionic_potential(ratio, 30.0, 30.0, -1, -1, BODY) == pytest.approx(-shift, abs=0.05)
    exact = millivolts(BODY) * mpmath.log(mp(ratio) * 80 / 150)
    assert theory.bi_ionic_potential(ratio, 150.0, 80.0, temperature=BODY) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("voltage", [-40.0, 0.0, 52.0])
def test_permeability_ratio_of_calcium(voltage):
    """Fatt and Ginsborg: P_Ca/P_Cs = [Cs] w (w + 1) / 4 [Ca], for Ca2+ outside and Cs+ inside."""
    w = mpmath.exp(mp(voltage) / millivolts(BODY))
    exact = 150 * w * (w + 1) / (4 * 10)
    ratio = lambda v: theory.permeability_ratio(v, (0.0, 150.0), (10.0, 0.0), (2, 1), BODY)
    assert ratio(voltage) == pytest.approx(float(exact), rel=1e-13)
    slope = 150 * w * (2 * w + 1) / (40 * millivolts(BODY))
    assert derivative(ratio, voltage) == pytest.approx(float(slope), rel=1e-12)
    back = theory.bi_ionic_potential(ratio(voltage), 150.0, 10.0, 1, 2, BODY)
    assert back == pytest.approx(voltage, abs=1e-11)


def test_permeability_ratio_of_monovalents():
    # P_X / P_ref = (c_ref / c_X) exp(eV/kT): a shift of −58 mV at 20 °C is a tenth.
    assert theory.permeability_ratio(-58.17, (0.0, 120.0), (120.0, 0.0), (1, 1), 293.15) == pytest.approx(0.1, rel=1e-3)
    # Two ions with the same gradient pull the same way, so that only a negative ratio would cancel their currents.
    assert theory.permeability_ratio(20.0, (50.0, 50.0), (10.0, 10.0), (1, 1)) == pytest.approx(-1.0)
    with pytest.raises(ValueError, match="two ions"):
        theory.permeability_ratio(0.0, (1.0,), (1.0,), (1,))


@pytest.mark.parametrize(("permeability", "inside", "outside", "valence"), [MIXTURES[k] for k in (0, 1, 3, 5)])
def test_permeability_ratio_undoes_ghk_voltage(permeability, inside, outside, valence):
    at = theory.ghk_voltage(permeability, inside, outside, valence, BODY)
    known = np.array(permeability[1:])
    found = theory.permeability_ratio(at, inside, outside, valence, BODY, reference_permeability=known)
    assert found == pytest.approx(permeability[0], rel=1e-10)


@pytest.mark.parametrize("z", [-1, 0, 1, 2])
def test_ussing_flux_ratio(z):
    voltage, inside, outside = -70.0, 140.0, 5.0
    exact = mp(inside) / mp(outside) * mpmath.exp(z * mp(voltage) / millivolts(BODY))
    ratio = lambda v, n=1.0: theory.ussing_flux_ratio(v, inside, outside, z, BODY, n)
    assert ratio(voltage) == pytest.approx(float(exact), rel=1e-12)
    assert ratio(voltage, 2.5) == pytest.approx(float(exact ** mpmath.mpf("2.5")), rel=1e-12)
    # GHK, like every model of independent ions, obeys it; its two fluxes go one way each.
    efflux = theory.ghk_flux(voltage, inside, 0.0, 0.3, z, BODY)
    influx = -theory.ghk_flux(voltage, 0.0, outside, 0.3, z, BODY)
    assert ratio(voltage) == pytest.approx(float(efflux / influx), rel=1e-12)
    assert derivative(ratio, 0.0) == pytest.approx(float(28 * z / millivolts(BODY)), rel=1e-12, abs=1e-300)
    if z:
        assert ratio(theory.nernst(inside, outside, z, BODY)) == pytest.approx(1.0, rel=1e-13)
