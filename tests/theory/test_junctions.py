"""Junctions and charged membranes against their classical equations, an ODE solver and limits."""

import jax
import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pnp import theory, units
from tests.theory.checks import derivative, millivolts

KT = float(millivolts(298.15))
MONO = np.array([1, -1])
KCL = np.array([1.957, 2.032])
CACL2 = (np.array([0.792, 2.032]), np.array([2, -1]))
# K, Na, H, Cl with H much faster.
IONS = (np.array([1.957, 1.334, 9.311, 2.032]), np.array([1, 1, 1, -1]))
PAIRS = {
    "unequal": (np.array([100.0, 0.0, 10.0, 110.0]), np.array([1.0, 30.0, 0.0, 31.0])),
    "equal": (np.array([100.0, 0.0, 0.0, 100.0]), np.array([0.0, 100.0, 0.0, 100.0])),
    "acid": (np.array([1.0, 0.0, 100.0, 101.0]), np.array([500.0, 0.0, 0.0, 500.0])),
}


def single(concentration, valence=MONO):
    """One salt, from the concentration of its first ion."""
    return concentration * np.array([1.0, -valence[0] / valence[1]])


@pytest.mark.parametrize("pair", PAIRS)
def test_planck_solves_the_equation_of_1890(pair):
    inside, outside = PAIRS[pair]
    D, z = IONS
    # (ξU₂ − U₁)/(V₂ − ξV₁) = (ln c₂/c₁ − ln ξ)/(ln c₂/c₁ + ln ξ) · (ξc₂ − c₁)/(c₂ − ξc₁), here free of its
    # denominators; U, V: Σ u c of cations and anions, c: total; ξ = e^(V/kT) with V outside less inside.
    u1, u2 = ((D * c)[z > 0].sum() for c in (inside, outside))
    v1, v2 = ((D * c)[z < 0].sum() for c in (inside, outside))
    c1, c2 = inside.sum(), outside.sum()
    found = theory.planck_potential(inside, outside, D, z)
    log_ratio = mp.log(mp.mpf(c2) / mp.mpf(c1))

    def planck(v):
        xi = mp.exp(v)
        left = (xi * u2 - u1) * (log_ratio + v) * (c2 - xi * c1)
        return left - (v2 - xi * v1) * (log_ratio - v) * (xi * c2 - c1)

    # The cleared equation also vanishes at ±ln(c₂/c₁) and 0, so the root is sought near ours and must be a crossing.
    v = -mp.mpf(float(found)) / KT
    if pair == "equal":
        assert found == pytest.approx(KT * np.log((D[1] + D[3]) / (D[0] + D[3])), rel=1e-12)  # Lewis and Sargent
    else:
        root = mp.findroot(planck, v)
        assert float(root - v) == pytest.approx(0.0, abs=1e-11)
        assert min(abs(root), abs(root - log_ratio), abs(root + log_ratio)) > 0.01
    assert abs(theory.planck_current(found, inside, outside, D, z).sum()) < 1e-11


def test_planck_current_obeys_nernst_planck():
    # Linear total concentration and the potential that goes with it, put into the flux equation of each ion.
    inside, outside = PAIRS["unequal"]
    D, z = IONS
    voltage, length, area = 35.0, 4.0, 2.0
    current = theory.planck_current(voltage, inside, outside, D * area / length, z)
    flux = current / (units.CURRENT_PER_FLUX * z * area)
    total = lambda x: (inside.sum() * (1 - x) + outside.sum() * x) / 1.0
    slope = -(voltage / KT) / np.log(outside.sum() / inside.sum()) * (outside.sum() - inside.sum())
    change = lambda x, c: length * (-flux / D) - z * c * slope / total(x)
    path = solve_ivp(change, (0, 1), inside, method="DOP853", rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(path.y[:, -1], outside, atol=1e-7)


def test_planck_limits():
    D, z = IONS
    inside, outside = PAIRS["equal"]
    # Equal totals leave a constant field.
    for voltage in (-1000.0, 0.0, 25.0):
        np.testing.assert_allclose(
            theory.planck_current(voltage, inside, outside, D, z),
            theory.ghk_current(voltage, inside, outside, D, z),
            rtol=1e-13,
        )
    total = lambda v: theory.planck_current(v, inside, 2 * outside, D, z).sum()
    step = float(total(1e-3) - total(-1e-3)) / 2e-3
    assert derivative(total, 0.0) == pytest.approx(step, rel=1e-8)
    with pytest.raises(ValueError, match="valence"):
        theory.planck_potential(single(1.0, CACL2[1]), single(2.0, CACL2[1]), *CACL2)


@pytest.mark.parametrize("temperature", [298.15, 310.15])
def test_one_salt_is_the_same_for_all_junctions(temperature):
    inside, outside = single(100.0), single(7.0)
    contrast = (KCL[0] - KCL[1]) / KCL.sum()
    expected = contrast * float(millivolts(temperature)) * np.log(7.0 / 100.0)
    for law in (theory.henderson_potential, theory.planck_potential):
        assert law(inside, outside, KCL, MONO, temperature) == pytest.approx(expected, rel=1e-12)
    assert theory.tms_potential(inside, outside, 0.0, KCL, MONO, temperature) == pytest.approx(expected, rel=1e-12)


def test_henderson_is_the_integral_over_the_mixture():
    # −∫ Σ z D dc / Σ z² D c · kT/e along the straight line from inside to outside; Ca included.
    D, z = np.array([1.957, 0.792, 2.032]), np.array([1, 2, -1])
    inside, outside = np.array([140.0, 1.0, 142.0]), np.array([5.0, 20.0, 45.0])
    slope = (z * D * (outside - inside)).sum()
    conducting = lambda s: (z**2 * D * inside).sum() * (1 - s) + (z**2 * D * outside).sum() * s
    expected = mp.quad(lambda s: KT * slope / conducting(s), [0, 1])
    assert theory.henderson_potential(inside, outside, D, z) == pytest.approx(float(expected), rel=1e-13)


def test_henderson_at_equal_solutions_and_equal_conductivities():
    D, z = IONS
    inside, outside = PAIRS["equal"]
    law = lambda s: theory.henderson_potential(inside, inside * (1 - s) + outside * s, D, z)
    assert law(0.0) == 0.0
    slope = KT * (z * D * (outside - inside)).sum() / (D * inside).sum()
    assert derivative(law, 0.0) == pytest.approx(slope, rel=1e-13)
    same = np.array([1.0, -1.0])
    assert theory.henderson_potential(50 * np.ones(2), 200 * np.ones(2), np.ones(2), same) == 0.0


@pytest.mark.parametrize("fixed", [-1.0, 0.02])
def test_tms_in_the_form_of_teorell(fixed):
    # 1:1: V = kT/e {ln[(c_out/c_in)(√(4c_in²+X²)+X)/(√(4c_out²+X²)+X)] + U ln[(√(4c_out²+X²)−UX)/(√(4c_in²+X²)−UX)]},
    # X in mM here and positive for a cation exchanger.
    x, a, b = -mp.mpf(fixed) * 1000, mp.mpf(300), mp.mpf(20)
    root = lambda c: mp.sqrt(4 * c**2 + x**2)
    mobility = mp.mpf(KCL[0] - KCL[1]) / mp.mpf(KCL.sum())
    donnan = mp.log(b / a * (root(a) + x) / (root(b) + x))
    interior = mobility * mp.log((root(b) + mobility * x) / (root(a) + mobility * x))
    found = theory.tms_potential(single(300.0), single(20.0), fixed, KCL, MONO)
    assert found == pytest.approx(float(millivolts(298.15) * (donnan + interior)), rel=1e-12)


def test_tms_limits():
    for salt, D, z in ((MONO, KCL, MONO), (CACL2[1], *CACL2)):
        inside, outside = single(30.0, salt), single(3.0, salt)
        for sign, ion in ((-1.0, 0), (1.0, 1)):
            ideal = theory.nernst(inside[ion], outside[ion], z[ion])
            found = theory.tms_potential(inside, outside, sign * 1e4, D, z)
            assert found == pytest.approx(float(ideal), rel=1e-4)
        assert theory.tms_potential(inside, inside, -0.5, D, z) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="one salt"):
        theory.tms_potential(np.ones(3), np.ones(3), 0.0, np.ones(3), np.array([1, 1, -2]))
    with pytest.raises(ValueError, match="inside is not electroneutral"):
        theory.tms_current(1.0, np.array([1.0, 2.0]), np.ones(2), 0.0, KCL, MONO)


@pytest.mark.parametrize("salt", [(KCL, MONO), CACL2, (np.array([1.334, 1.065]), np.array([1, -2]))])
@pytest.mark.parametrize(("voltage", "fixed"), [(-200.0, -0.2), (0.0, 0.3), (40.0, 0.0), (400.0, -1.0)])
def test_tms_current_carries_the_ions_from_one_donnan_state_to_the_other(salt, voltage, fixed):
    D, z = salt
    inside, outside, length, area = single(150.0, z), single(40.0, z), 5.0, 3.0
    current = theory.tms_current(voltage, inside, outside, fixed, D * area / length, z)
    flux = current / (units.CURRENT_PER_FLUX * z * area)
    start, end = (np.asarray(theory.donnan_concentration(fixed, c, z)) for c in (inside, outside))
    psi = [float(theory.donnan_potential(fixed, c, z)) / KT for c in (inside, outside)]

    def change(x, state):  # c₁ and φ; the second ion follows from Σ z c + X = 0
        c = np.array([state[0], -(z[0] * state[0] + 1e3 * fixed) / z[1]])
        field = -(z * flux / D).sum() / (z**2 * c).sum()
        return [-flux[0] / D[0] - z[0] * c[0] * field, field]

    path = solve_ivp(change, (0, length), [start[0], psi[0]], method="LSODA", rtol=1e-12, atol=1e-12)
    assert path.y[0, -1] == pytest.approx(end[0], rel=1e-7)
    assert path.y[1, -1] == pytest.approx(psi[1] - voltage / KT, abs=1e-7)


def test_tms_current_vanishes_at_tms_potential_and_joins_planck_and_ohm():
    inside, outside = single(150.0), single(40.0)
    total = lambda v, fixed: theory.tms_current(v, inside, outside, fixed, KCL, MONO).sum()
    for fixed in (-2.0, -0.05, 0.4):
        at = theory.tms_potential(inside, outside, fixed, KCL, MONO)
        assert abs(total(at, fixed)) < 1e-12 * abs(total(at + 100.0, fixed))
    for voltage in (-1000.0, 0.0, 30.0):
        uncharged = theory.tms_current(voltage, inside, outside, 0.0, KCL, MONO)
        np.testing.assert_allclose(uncharged, theory.planck_current(voltage, inside, outside, KCL, MONO), rtol=1e-12)
    # Equal baths: Ohm's law with the conductivity of the ions inside.
    within = theory.conductivity(theory.donnan_concentration(-0.5, inside, MONO), KCL, MONO)
    found = theory.tms_current(np.array([-800.0, 1e-6, 50.0]), inside, inside, -0.5, KCL, MONO).sum(-1)
    np.testing.assert_allclose(found, float(within) * np.array([-800.0, 1e-6, 50.0]), rtol=1e-12)


@pytest.mark.parametrize("fixed", [0.0, -0.3])
def test_tms_derivatives(fixed):
    total = lambda v, x: theory.tms_current(v, single(150.0), single(40.0), x, KCL, MONO).sum()
    for voltage in (0.0, -1000.0):
        step = float(total(voltage + 1e-3, fixed) - total(voltage - 1e-3, fixed)) / 2e-3
        assert derivative(lambda v: total(v, fixed), voltage) == pytest.approx(step, rel=1e-7)
    step = float(total(20.0, fixed + 1e-5) - total(20.0, fixed - 1e-5)) / 2e-5
    assert derivative(lambda x: total(20.0, x), fixed) == pytest.approx(step, rel=1e-7)
    zero = lambda x: theory.tms_potential(single(150.0), single(40.0), x, KCL, MONO)
    assert derivative(zero, fixed) == pytest.approx(float(zero(fixed + 1e-6) - zero(fixed - 1e-6)) / 2e-6, rel=1e-7)


def test_planck_derivatives_at_equal_solutions():
    D, z = IONS
    c = PAIRS["unequal"][0]
    other = PAIRS["unequal"][1]
    for law in (theory.planck_potential, theory.henderson_potential):
        slope = derivative(lambda s, law=law: law(c, c + s * (other - c), D, z), 0.0)
        # Both start as −Σ z D dc / Σ z² D c, where nothing is mixed yet.
        assert slope == pytest.approx(KT * (z * D * (other - c)).sum() / (D * c).sum(), rel=1e-11)
    batch = jax.jit(jax.vmap(lambda s: theory.planck_potential(c, c + s * (other - c), D, z)))(np.array([0.1, 0.9]))
    assert batch[1] == pytest.approx(float(theory.planck_potential(c, c + 0.9 * (other - c), D, z)), rel=1e-13)
