"""Supply by diffusion: radial integrals, classical numbers and limits."""

import mpmath as mp
import numpy as np
import pytest

from pnp import theory, units
from tests.theory.checks import BODY, N_A, E, K, derivative, millivolts

CALCIUM = {"diffusivity": 0.22, "valence": 2}


def test_hemisphere_is_the_flux_through_shells():
    # Resistance to diffusion from a to infinity: ∫ dr / (2π r² D); particles per second times their charge, in SI.
    concentration, D, a, z = 145.0, 1.334, 0.2, 1
    resistance = mp.quad(
        lambda r: 1 / (2 * mp.pi * r**2 * mp.mpf(D) * mp.mpf("1e-9")), [mp.mpf(a) * mp.mpf("1e-9"), mp.inf]
    )
    expected = z * E * N_A * concentration / resistance * mp.mpf("1e12")
    found = theory.hemisphere_entry_current(concentration, D, a, z)
    assert found == pytest.approx(float(expected), rel=1e-13)
    assert theory.hemisphere_entry_current(concentration, D, a, -z) == -found


def test_disc_is_the_access_resistance_of_diffusion():
    # 4Dca is to Fick as 4σa is to Ohm: a bath that conducts σ = F²cD/RT drops kT/e across the mouth at this current.
    c, D, a = 100.0, 1.957, 0.5
    sigma = units.FARADAY**2 * c * D * 1e-9 / (units.GAS_CONSTANT * 298.15)
    per_millivolt = 1 / theory.access_resistance(a, sigma)
    found = theory.disc_entry_current(c, D, a, 1)
    assert found == pytest.approx(float(per_millivolt) * float(millivolts(298.15)), rel=1e-13)
    # An absorbing disc is oblate: ∫ dx / (2π D (a² + x²)), as for the current.
    shells = mp.quad(lambda x: 1 / (2 * mp.pi * D * (mp.mpf(a) ** 2 + x**2)), [0, mp.inf])
    assert found == pytest.approx(units.CURRENT_PER_FLUX * c / float(shells), rel=1e-13)
    assert theory.hemisphere_entry_current(c, D, a, 1) / found == pytest.approx(np.pi / 2, rel=1e-14)
    assert derivative(lambda c: theory.disc_entry_current(c, D, a, 1), 0.0) == pytest.approx(
        float(found) / c, rel=1e-14
    )


def test_stokes_einstein_and_the_scaling_with_viscosity():
    # Potassium: D = 1.957 nm²/ns goes with a Stokes radius of 0.125 nm in water at 25 °C (0.890 mPa s).
    assert theory.stokes_einstein_diffusivity(0.1253, 0.890) == pytest.approx(1.957, rel=1e-3)
    expected = K * mp.mpf(298.15) / (6 * mp.pi * mp.mpf("0.89e-3") * mp.mpf("1.5e-9")) * mp.mpf("1e9")
    assert theory.stokes_einstein_diffusivity(1.5, 0.89) == pytest.approx(float(expected), rel=1e-14)
    water, syrup = (theory.stokes_einstein_diffusivity(0.2, eta) for eta in (0.89, 2.67))
    entry = [theory.hemisphere_entry_current(100.0, D, 0.3, 1) for D in (water, syrup)]
    assert entry[0] / entry[1] == pytest.approx(3.0, rel=1e-14)
    rise = [theory.microdomain_concentration(10.0, -0.3, D, 2) for D in (water, syrup)]
    assert rise[1] / rise[0] == pytest.approx(3.0, rel=1e-14)


@pytest.mark.parametrize("length", [np.inf, 25.0])
def test_microdomain_carries_the_current_through_every_shell(length):
    current, bulk = -0.3, 1e-4
    profile = lambda r: theory.microdomain_concentration(r, current, **CALCIUM, bulk=bulk, buffer_length=length)
    # Fick through a hemisphere near the mouth is what the channel passes; far away the bulk is left.
    r = 1e-4
    through = -2 * np.pi * r**2 * CALCIUM["diffusivity"] * derivative(profile, r) * 2 * units.CURRENT_PER_FLUX
    assert through == pytest.approx(-current, rel=1e-9)
    assert profile(1e6) == pytest.approx(bulk, rel=0.1 if np.isinf(length) else 1e-12)
    # D (c'' + 2c'/r) = k B (c − bulk), from differences in 50 digits of the solution written in SI.
    c = lambda s: mp.exp(-s / mp.mpf(length) if np.isfinite(length) else 0) / s * mp.mpf(float(profile(1.0) - bulk))
    start = mp.exp(-1 / mp.mpf(length)) if np.isfinite(length) else 1
    at = mp.mpf(12)
    bound = (mp.diff(c, at, 2) + 2 * mp.diff(c, at) / at) / c(at)
    assert float(bound) == pytest.approx(1 / length**2, abs=1e-20)
    assert profile(12.0) - bulk == pytest.approx(float(c(at) / start), rel=1e-12)


def test_buffer_length():
    # 100 µM of a fast buffer at 1e8 /(M s) and D = 0.22 nm²/ns = 220 µm²/s: √(220/1e4) µm.
    found = theory.buffer_length(0.22, 1e-4, 0.1)
    assert found == pytest.approx(1e3 * np.sqrt(220.0 / (1e8 * 1e-4)), rel=1e-13)
    assert np.isinf(theory.buffer_length(0.22, 1e-4, 0.0))
    # Buffer only takes away, most of it far from the mouth.
    distance = np.array([1.0, 20.0, 200.0])
    left = theory.microdomain_concentration(distance, -0.3, **CALCIUM, buffer_length=found)
    free = theory.microdomain_concentration(distance, -0.3, **CALCIUM)
    np.testing.assert_allclose(left / free, np.exp(-distance / np.sqrt(22000.0)), rtol=1e-12)


def test_calcium_channel_meets_its_own_calcium():
    # 0.1 µM in the cell against 2 mM: +132 mV. At 0.134 mM by the mouth it is +36 mV.
    bulk, outside = 1e-4, 2.0
    local = outside * mp.exp(-2 * 36 / millivolts(BODY))
    distance = (
        0.3 * 1e-12 / (2 * mp.pi * 2 * units.FARADAY * mp.mpf("0.22e-9") * (local - mp.mpf(bulk))) * mp.mpf("1e9")
    )
    assert 1.0 < distance < 20.0
    potential = lambda i: theory.microdomain_potential(float(distance), i, 0.22, 2, bulk, outside, temperature=BODY)
    assert potential(-0.3) == pytest.approx(36.0, rel=1e-12)
    assert potential(0.0) == pytest.approx(132.343568, abs=1e-6)
    # At no current the slope is that of Nernst's logarithm in the concentration.
    per_current = float((local - mp.mpf(bulk)) / mp.mpf("0.3"))
    slope = float(millivolts(BODY)) / 2 / bulk * per_current
    assert derivative(potential, 0.0) == pytest.approx(slope, rel=1e-12)
    assert np.isnan(potential(0.3))
