"""The posterior, against distributions that are known."""

import numpy as np
import pytest

import pnp
from pnp.fit import GHK, FitError, FitStatus, Free, IVData, fit, posterior
from pnp.fit.estimate import posterior as sampling
from tests.fit.conftest import VOLTAGE, bath, ghk_data

pytest.importorskip("blackjax")
BOTH = ["permeability.K", "permeability.Cl"]


class Line(GHK):
    """Currents through a resistor, by their logarithm of conductance: one number, whose posterior is an integral."""

    def prediction(self, channel, parameter_map, experiment):
        return lambda theta: theta[0] * np.concatenate(experiment.voltage)


@pytest.mark.slow
def test_of_data_that_know_it_well_it_is_normal_with_the_fits_covariance(channel):
    result = fit(channel, ghk_data(sd=0.05), BOTH, model="ghk", starts=2)
    sampled = posterior(result, samples=400, warmup=150, seed=1)
    log = np.log(sampled.samples).reshape(-1, 2)
    assert not sampled.warnings
    assert sampled.divergences == 0
    assert (sampled.effective_size > 300).all()
    assert np.allclose(log.mean(0), result.s, atol=4 * result.uncertainty.std / np.sqrt(sampled.effective_size))
    assert np.allclose(
        np.cov(log.T), result.uncertainty.covariance, rtol=0.3, atol=0.1 * result.uncertainty.std.min() ** 2
    )


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_of_a_number_that_is_hardly_known_it_is_the_integral(channel, known):
    """A conductance and its noise of like size, bounds in the way: by quadrature of likelihood times prior."""
    rng = np.random.default_rng(4)
    sd, low, high = 60.0, 0.1, 3.0
    measured = VOLTAGE + sd * rng.normal(size=VOLTAGE.size)
    data = IVData(VOLTAGE, measured, np.full(VOLTAGE.size, sd) if known else None, **bath(100.0, 100.0))
    result = fit(channel, [data], [Free("permeability.K", low=low, high=high, start=1.0)], model=Line(), starts=2)
    sampled = posterior(result, samples=2500, warmup=300, seed=0)
    s = np.linspace(np.log(low), np.log(high), 4001)
    chi2 = ((np.exp(s)[:, None] * VOLTAGE - measured) ** 2).sum(1)
    log_density = -chi2 / (2 * sd**2) if known else -VOLTAGE.size / 2 * np.log(chi2)
    cumulative = np.cumsum(np.exp(log_density - log_density.max()))
    expected = np.interp([0.1, 0.5, 0.9], cumulative / cumulative[-1], s)
    assert np.allclose(np.quantile(np.log(sampled.samples), [0.1, 0.5, 0.9]), expected, atol=0.06)


def test_chains_that_have_not_mixed_and_divergences_are_warned_of():
    separate = np.random.default_rng(0).normal(size=(4, 100, 2)) + np.arange(4)[:, None, None]
    message = sampling._summary(("a", "b"), separate, 3, 0.7).warnings
    assert "the chains have not mixed (R-hat" in message[0]
    assert "3 trajectories diverged" in message[1]


def test_there_is_nothing_to_sample_around_a_fit_that_did_not_converge(channel):
    result = fit(channel, ghk_data(), BOTH, model="ghk", starts=1)
    import dataclasses

    lost = dataclasses.replace(result, status=FitStatus.NOT_CONVERGED)
    with pytest.raises(FitError, match="not_converged"):
        posterior(lost)


def test_two_dimensions_are_refused(channel):
    model = GHK()
    model.discretization = pnp.Axisymmetric()
    result = fit(channel, ghk_data(), BOTH, model=model, starts=1)
    with pytest.raises(FitError, match="one dimension only"):
        posterior(result)


def test_intervals_and_medians_are_those_of_the_samples():
    samples = np.arange(4 * 100.0)[:, None].repeat(2, 1).reshape(4, 100, 2)
    sampled = sampling._summary(("a", "b"), samples, 0, 0.8)
    assert sampled.interval()["a"] == pytest.approx((9.975, 389.025))
    assert sampled.median["a"] == 199.5
