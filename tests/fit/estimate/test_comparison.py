"""GHK against PNP, and what GHK makes of a PNP channel."""

import numpy as np
import pytest

import pnp
from pnp.fit import PNP, FitError, compare, effective_permeability, fit
from tests.conftest import make_charged
from tests.fit.conftest import NODES, VOLTAGE, ghk_data

BOTH = ["permeability.K", "permeability.Cl"]


@pytest.mark.slow
def test_a_charged_pore_rules_the_constant_field_out(channel, pnp_data):
    ghk = fit(channel, pnp_data, BOTH, model="ghk", starts=2)
    free = ["ions.K.diffusivity", pnp.fit.Free("pore.charge.0.density.scale", low=0.2, high=5.0)]
    result = compare(ghk, fit(channel, pnp_data, free, model=PNP(pnp.Axial(NODES)), starts=1))
    assert result.aic_difference > 100
    assert result.bic_difference > 100
    assert result.verdict.startswith("The data rule the constant field out")


def test_with_as_many_numbers_the_better_chi2_decides(channel):
    a, b = (fit(channel, ghk_data(), [p], model="ghk", starts=1) for p in BOTH)
    assert compare(a, b).aic_difference == pytest.approx(a.chi2 - b.chi2)
    assert compare(a, a).verdict.startswith("Neither model")
    both = fit(channel, ghk_data(), BOTH, model="ghk", starts=1)
    assert compare(both, both).verdict.startswith("The data do not tell")
    assert compare(both, a).verdict.startswith("A constant field describes the data better")


def test_other_data_cannot_be_compared(channel):
    a, b = (fit(channel, ghk_data(seed=seed), BOTH, model="ghk", starts=1) for seed in (0, 1))
    with pytest.raises(FitError, match="different data"):
        compare(a, b)


def test_where_the_field_is_constant_the_effective_permeability_is_the_pores():
    """An uncharged pore between equal baths."""
    channel = make_charged(density=0.0, inside=1.0, outside=1.0, area=0.5)
    reported = effective_permeability(channel, [0.5, 1.0, 2.0], VOLTAGE, discretization=pnp.Axial(NODES))
    expected = 0.5 / 8.0 * np.array([1.957, 2.032])
    assert np.allclose(reported.permeability, expected, rtol=1e-6)
    assert (reported.misfit < 1e-6).all()
    assert np.allclose(reported.concentration, [0.5, 1.0, 2.0])
    assert np.allclose(reported.ratio[:, 1], 2.032 / 1.957)


def test_of_a_charged_pore_it_depends_on_the_baths():
    channel = make_charged(inside=100.0, outside=50.0)
    reported = effective_permeability(channel, [0.1, 1.0, 10.0], VOLTAGE, discretization=pnp.Axial(NODES))
    assert (np.diff(reported.permeability[:, 0]) < 0).all()  # counter-ions come with the charge, whatever the baths
    assert (np.diff(reported.ratio[:, 1]) > 0).all()
    assert reported.converged.all()
    change = np.diff(reported.reversal)
    assert (change < 0).all() or (change > 0).all()


@pytest.mark.parametrize("factors", [[0.0], [-1.0], [np.nan]])
def test_factors_must_be_positive(factors):
    with pytest.raises(ValueError, match="positive"):
        effective_permeability(make_charged(), factors)
