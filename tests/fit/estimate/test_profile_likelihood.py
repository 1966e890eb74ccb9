"""Profiles of the likelihood."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq

from pnp import theory
from pnp.fit import FitError, Free, IVData, fit, profile
from tests.fit.conftest import VOLTAGE, bath, ghk_data


def test_of_a_linear_model_it_is_that_of_the_covariance(channel):
    result = fit(channel, ghk_data(sd=0.02), ["permeability.K", "permeability.Cl"], model="ghk", starts=2)
    for name, interval in profile(result).items():
        e = result.parameters[name]
        assert np.isclose(interval.low, e.low, atol=0.03 * e.std)
        assert np.isclose(interval.high, e.high, atol=0.03 * e.std)


def test_of_one_number_it_ends_where_chi2_has_risen_by_the_quantile_squared(channel):
    """Of a permeability that is hardly known, in whose logarithm the model is far from linear."""
    sd, p = 6.0, np.array([0.4, 0.1])
    unit = np.asarray(theory.ghk_current(VOLTAGE[:, None], [100.0] * 2, [100.0] * 2, 1.0, np.array([1, -1])))
    measured = unit @ p + sd * np.random.default_rng(0).normal(size=VOLTAGE.size)
    data = IVData(VOLTAGE, measured, np.full(VOLTAGE.size, sd), **bath(100.0, 100.0))
    own = float(pnp_permeability(channel))
    rise = lambda value: (((unit[:, 0] * value + unit[:, 1] * own - measured) / sd) ** 2).sum()
    result = fit(channel, [data], ["permeability.K"], model="ghk", starts=2)
    interval = profile(result)["permeability.K"]
    best = result.values["permeability.K"]
    ends = [brentq(lambda v: rise(v) - rise(best) - 1.959964**2, *between) for between in ((1e-4, best), (best, 10.0))]
    assert np.allclose(interval, ends, rtol=0.02)
    assert abs(interval.low - result.parameters["permeability.K"].low) > 0.05 * best


def pnp_permeability(channel):
    from pnp.analysis.discretized import discretize

    return discretize(channel, 64).permeability[1]


def test_an_end_beyond_the_bound_is_open(channel):
    best = fit(channel, ghk_data(), ["permeability.K", "permeability.Cl"], model="ghk", starts=1).parameters
    value, std = best["permeability.K"].value, best["permeability.K"].std
    free = [Free("permeability.K", low=value - std, high=value + std, start=value), "permeability.Cl"]
    result = fit(channel, ghk_data(), free, model="ghk", starts=2)
    assert profile(result, ["permeability.K"])["permeability.K"] == (None, None)


def test_a_lower_minimum_on_the_way_is_warned_of(channel):
    result = fit(channel, ghk_data(), ["permeability.K", "permeability.Cl"], model="ghk", starts=1)
    with pytest.warns(UserWarning, match="lower chi2 than the fit"):
        profile(dataclasses.replace(result, chi2=result.chi2 + 10), ["permeability.K"])


def test_only_what_was_free_has_a_profile(channel):
    result = fit(channel, ghk_data(), ["permeability.K"], model="ghk", starts=1)
    with pytest.raises(FitError, match="was not free"):
        profile(result, ["permeability.Cl"])
