"""Water against other formulas for it."""

import numpy as np
import pytest

from pnp import theory

CELSIUS = np.array([0.0, 20.0, 25.0, 37.0, 50.0, 80.0, 100.0])


def test_permittivity_agrees_with_that_measured_before():
    """Malmberg & Maryott (1956, J. Res. Natl. Bur. Stand. 56:1), 0 to 100 °C."""
    t = CELSIUS
    measured = 87.740 - 0.40008 * t + 9.398e-4 * t**2 - 1.410e-6 * t**3
    np.testing.assert_allclose(theory.water_permittivity(t + 273.15), measured, rtol=2.5e-3)
    assert float(theory.water_permittivity(298.15)) == pytest.approx(78.375, abs=1e-3)


def test_viscosity_agrees_with_korson():
    """Korson, Drost-Hansen & Millero (1969, J. Phys. Chem. 73:34), from 1.0020 mPa s at 20 °C."""
    t = CELSIUS[:-1]
    korson = 1.0020 * 10 ** ((1.1709 * (20 - t) - 0.001827 * (t - 20) ** 2) / (t + 89.93))
    np.testing.assert_allclose(theory.water_viscosity(t + 273.15), korson, rtol=2e-3)


def test_diffusivities_follow_temperature_over_viscosity():
    assert float(theory.walden_factor(298.15)) == 1.0
    warm = float(theory.walden_factor(310.15))
    assert warm == pytest.approx(310.15 / 298.15 * 0.8900 / 0.6913, rel=1e-3)
    assert float(theory.walden_factor(298.15, 310.15)) == pytest.approx(1 / warm, rel=1e-12)
