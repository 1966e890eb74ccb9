"""Pumps and carriers against the sums written out, and against each other's equilibria."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from pnp import theory
from tests.theory.checks import BODY, CELL, N_A, E, K, derivative, millivolts, mp

CONCENTRATION = {**{k: v[:2] for k, v in CELL.items()}, "HCO3": (12.0, 24.0), "glucose": (1.0, 5.0)}
NAMED = {
    "pump": (theory.SODIUM_POTASSIUM_PUMP, 1),
    "ncx": (theory.NCX, -1),
    "ncx 4:1": (theory.NCX_4_1, -2),
    "nckx": (theory.NCKX, -1),
    "kcc": (theory.KCC, 0),
    "nkcc": (theory.NKCC, 0),
    "cl/hco3": (theory.ANION_EXCHANGER, 0),
}
FARADAY = float(N_A * E / 10**6)  # kJ/mol per mV


def baths(transporter):
    return np.array([CONCENTRATION[name] for name in transporter.ions]).T


def potentials(transporter):
    return [float(theory.nernst(*CELL[name], BODY)) for name in transporter.ions]


@pytest.mark.parametrize(("transporter", "charge"), NAMED.values(), ids=NAMED)
def test_charge_and_energy_of_a_cycle(transporter, charge):
    assert transporter.charge == charge
    assert transporter.electrogenic == (charge != 0)
    inside, outside = baths(transporter)
    voltage = -70.0
    exact = -charge * E * mp(voltage) / 1000  # per cycle, in joules
    for n, here, there in zip(transporter.outward, inside, outside, strict=True):
        exact += n * K * mp(BODY) * mpmath.log(mp(there) / mp(here))
    work = theory.cycle_work(transporter, voltage, inside, outside, BODY)
    assert work == pytest.approx(float(N_A * exact / 1000), rel=1e-12)
    total = theory.cycle_free_energy(transporter, voltage, inside, outside, BODY, -57.0)
    assert total == pytest.approx(float(work) - 57.0 * transporter.atp, rel=1e-14)
    slope = derivative(lambda v: theory.cycle_work(transporter, v, inside, outside, BODY), 0.0)
    assert slope == pytest.approx(-charge * FARADAY, rel=1e-13, abs=1e-14)


def test_pump_work():
    """43 kJ to move 3 Na+ out and 2 K+ in at −70 mV: the 50 kJ of one ATP suffice, with some to spare."""
    pump = theory.SODIUM_POTASSIUM_PUMP
    inside, outside = baths(pump)
    assert theory.cycle_work(pump, -70.0, inside, outside, BODY) == pytest.approx(43.216941, abs=1e-6)
    assert theory.cycle_free_energy(pump, -70.0, inside, outside, BODY) == pytest.approx(-6.783059, abs=1e-6)
    # Na+ first, then K+: 3 F (E_Na − V) + 2 F (V − E_K)
    parts = FARADAY * (3 * (66.598213 + 70.0) + 2 * (-70.0 + 89.058694))
    assert theory.cycle_work(pump, -70.0, inside, outside, BODY) == pytest.approx(parts, rel=1e-7)
    # It stops where V makes the work 50 kJ, and one Na+ for one K+ would be electroneutral.
    at = theory.cycle_reversal_potential(pump, inside, outside, BODY, -50.0)
    assert at == pytest.approx(3 * 66.598213 + 2 * 89.058694 - 50.0 / FARADAY, rel=1e-7)
    assert theory.cycle_work(pump, at, inside, outside, BODY) == pytest.approx(50.0, rel=1e-12)
    assert not pump._replace(outward=(1, -1)).electrogenic


def test_exchanger_reversal_potentials():
    inside, outside = baths(theory.NCX)
    assert theory.cycle_reversal_potential(theory.NCX, inside, outside, BODY) == pytest.approx(-64.892496, abs=1e-6)
    sodium, calcium = potentials(theory.NCX)
    four = theory.cycle_reversal_potential(theory.NCX_4_1, inside, outside, BODY)
    assert four == pytest.approx((4 * sodium - 2 * calcium) / 2, rel=1e-12)
    sodium, calcium, potassium = potentials(theory.NCKX)
    nckx = theory.cycle_reversal_potential(theory.NCKX, *baths(theory.NCKX), BODY)
    assert nckx == pytest.approx(4 * sodium - 2 * calcium - potassium, rel=1e-12)


@pytest.mark.parametrize("name", ["pump", "ncx", "ncx 4:1", "nckx"])
def test_current_has_the_sign_of_voltage_less_reversal_potential(name):
    transporter, charge = NAMED[name]
    inside, outside = baths(transporter)
    at = theory.cycle_reversal_potential(transporter, inside, outside, BODY)
    for beyond in (-20.0, 20.0):
        forwards = theory.cycle_free_energy(transporter, at + beyond, inside, outside, BODY) < 0
        assert np.sign(charge * (1 if forwards else -1)) == np.sign(beyond)


def test_derivatives_of_reversal_potentials():
    # ∂V/∂Na_out of 3:1 NCX: 3 kT/e / Na_out; also where every gradient is gone and V = 0.
    for sodium_in, calcium_in in ((12.0, 1e-4), (145.0, 2.0)):
        inside = np.array([sodium_in, calcium_in])
        at = lambda c, inside=inside: theory.cycle_reversal_potential(theory.NCX, inside, jnp.stack([c, 2.0]), BODY)
        assert derivative(at, 145.0) == pytest.approx(float(3 * millivolts(BODY) / 145), rel=1e-12)
    assert abs(at(145.0)) < 1e-12
    pump = lambda g: theory.cycle_reversal_potential(theory.SODIUM_POTASSIUM_PUMP, [12.0, 140.0], [145.0, 5.0], BODY, g)
    assert derivative(pump, -50.0) == pytest.approx(1 / FARADAY, rel=1e-13)


def test_electroneutral_transporters_have_no_reversal_potential():
    for transporter in (theory.KCC, theory.NKCC, theory.ANION_EXCHANGER):
        with pytest.raises(ValueError, match="carries no charge"):
            theory.cycle_reversal_potential(transporter, *baths(transporter))


@pytest.mark.parametrize(
    ("transporter", "ion", "side", "exact"),
    [
        # Ca_in = Ca_out (Na_in / Na_out)³ exp(eV/kT)
        (theory.NCX, "Ca", "inside", lambda w: 2 * mpmath.mpf(12) ** 3 / mpmath.mpf(145) ** 3 * w),
        (theory.NCX_4_1, "Ca", "inside", lambda w: 2 * mpmath.mpf(12) ** 4 / mpmath.mpf(145) ** 4 * w**2),
        (theory.NCKX, "Ca", "inside", lambda w: 2 * (mpmath.mpf(12) / 145) ** 4 * mpmath.mpf(5) / 140 * w),
        (theory.NCX, "Na", "outside", lambda w: 12 * (2 / mpmath.mpf(1e-4) * w) ** (mpmath.mpf(1) / 3)),
        # KCC stops at E_Cl = E_K; NKCC at Na K Cl² equal on both sides; neither feels the voltage.
        (theory.KCC, "Cl", "inside", lambda _: mpmath.mpf(5) * 110 / 140),
        (theory.KCC, "K", "outside", lambda _: mpmath.mpf(140) * 10 / 110),
        (theory.NKCC, "Cl", "inside", lambda _: mpmath.sqrt(mpmath.mpf(145 * 5 * 110**2) / (12 * 140))),
        (theory.ANION_EXCHANGER, "Cl", "inside", lambda _: mpmath.mpf(12) * 110 / 24),
        # A pump with 50 kJ: the K+ outside that it can still take in
        (
            theory.SODIUM_POTASSIUM_PUMP,
            "K",
            "outside",
            lambda w: mpmath.sqrt((mpmath.mpf(145) / 12) ** 3 * 140**2 / w * mpmath.exp(-50000 / (N_A * K * mp(BODY)))),
        ),
        # 2 Na+ with one glucose, inward: (Na_out / Na_in)² exp(−2eV/kT) times what is outside
        (
            theory.Transporter(("Na", "glucose"), (-2, -1), (1, 0)),
            "glucose",
            "inside",
            lambda w: 5 * (mpmath.mpf(145) / 12) ** 2 / w**2,
        ),
    ],
)
def test_equilibrium_concentrations(transporter, ion, side, exact):
    voltage = -70.0
    inside, outside = baths(transporter)
    found = theory.cycle_equilibrium_concentration(transporter, ion, voltage, inside, outside, BODY, side=side)
    assert found == pytest.approx(float(exact(mpmath.exp(mp(voltage) / millivolts(BODY)))), rel=1e-11)
    # Put in place, it stops the cycle.
    changed = np.array(inside if side == "inside" else outside)
    changed[transporter.ions.index(ion)] = found
    both = (changed, outside) if side == "inside" else (inside, changed)
    assert abs(theory.cycle_free_energy(transporter, voltage, *both, BODY)) < 1e-11


def test_equilibrium_concentration_ignores_the_entry_and_is_differentiable():
    at = lambda v, entry=0.0: theory.cycle_equilibrium_concentration(
        theory.NCX, "Ca", v, jnp.array([12.0, entry]), np.array([145.0, 2.0]), BODY
    )
    assert at(-70.0) == at(-70.0, 5.0)
    assert derivative(at, 0.0) == pytest.approx(float(2 * (mp(12) / 145) ** 3 / millivolts(BODY)), rel=1e-12)


def test_cycles_broadcast_over_voltages_and_baths():
    inside, outside = baths(theory.NCX)
    voltage = np.array([-90.0, 0.0, 40.0])
    many = np.stack([inside, 2 * inside, 3 * inside])
    found = jax.jit(theory.cycle_free_energy, static_argnums=0)(theory.NCX, voltage, many, outside, BODY)
    for k in range(3):
        alone = theory.cycle_free_energy(theory.NCX, voltage[k], many[k], outside, BODY)
        assert found[k] == pytest.approx(float(alone), rel=1e-13)


def test_refusals():
    inside, outside = baths(theory.NCX)
    with pytest.raises(ValueError, match=r"inside, of shape .* must hold 2 ions: Na, Ca"):
        theory.cycle_work(theory.NCX, 0.0, np.ones(3), outside)
    with pytest.raises(ValueError, match="outside, of shape"):
        theory.cycle_work(theory.NCX, 0.0, inside, 3.0)
    with pytest.raises(ValueError, match="moves Na, Ca, not K"):
        theory.cycle_equilibrium_concentration(theory.NCX, "K", 0.0, inside, outside)
    with pytest.raises(ValueError, match="'inside' or 'outside', not 'cytosol'"):
        theory.cycle_equilibrium_concentration(theory.NCX, "Ca", 0.0, inside, outside, side="cytosol")
    with pytest.raises(ValueError, match="steady state is one of Na, K"):
        theory.pump_leak_voltage(np.ones(2), np.ones(2), np.ones(2), transporter=theory.KCC)


@pytest.mark.parametrize("ratio", [(3, -2), (1, -1), (2, -1)])
def test_pump_leak_voltage_is_where_leaks_stand_as_the_pump_moves(ratio):
    pump = theory.SODIUM_POTASSIUM_PUMP._replace(outward=ratio)
    permeability, (inside, outside) = np.array([0.04, 1.0]), baths(pump)
    at = theory.pump_leak_voltage(permeability, inside, outside, BODY, pump)
    leak = theory.ghk_current(at, inside, outside, permeability, np.array([1, 1]), BODY)
    assert leak[0] / leak[1] == pytest.approx(ratio[0] / ratio[1], rel=1e-11)
    # The electrogenic pump hyperpolarises, by at most kT/e ln(3/2) where Na+ alone leaks in.
    shift = float(at - theory.ghk_voltage(permeability, inside, outside, (1, 1), BODY))
    assert -26.726 * np.log(ratio[0] / -ratio[1]) - 1e-9 <= shift <= 1e-9
    slope = derivative(lambda p: theory.pump_leak_voltage(jnp.stack([p, 1.0]), inside, outside, BODY, pump), 0.04)
    r, w = -mp(ratio[0]) / ratio[1], mp(0.04)
    exact = millivolts(BODY) * (145 / (r * 5 + w * 145) - 12 / (r * 140 + w * 12))
    assert slope == pytest.approx(float(exact), rel=1e-12)
