"""Fits of data with known parameters: values, errors, statuses and warnings."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

import pnp
from pnp import theory
from pnp.fit import GHK, PNP, FitError, FitStatus, Free, IVData, ReversalData, fit
from pnp.fit.estimate import fit as module
from tests.fit.conftest import BATHS, NODES, PERMEABILITY, VOLTAGE, bath, ghk_data

BOTH = ["permeability.K", "permeability.Cl"]


def currents(voltage, potassium, chloride):
    """GHK through all BATHS, for SciPy."""
    p, z = np.array([potassium, chloride]), np.array([1, -1])
    each = [theory.ghk_current(VOLTAGE[:, None], np.full(2, a), np.full(2, b), p, z).sum(-1) for a, b in BATHS]
    return np.concatenate(each)


@pytest.fixture(scope="module")
def ghk_fit(channel):
    return fit(channel, ghk_data(), BOTH, model="ghk", starts=4)


@pytest.fixture(scope="module")
def pnp_fit(channel, pnp_data):
    free = ["ions.K.diffusivity", Free("pore.charge.0.density.scale", low=0.2, high=5.0)]
    return fit(channel, pnp_data, free, model=PNP(pnp.Axial(NODES)), starts=4)


# --- against scipy -------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_values_and_errors_are_scipys(channel, known):
    data = ghk_data(known=known)
    result = fit(channel, data, BOTH, model="ghk", starts=3)
    measured = np.concatenate([d.current for d in data])
    sigma = np.full(measured.size, 0.2) if known else None
    best, covariance = curve_fit(currents, None, measured, [0.5, 0.5], sigma=sigma, absolute_sigma=known, xtol=1e-12)
    assert result.status is FitStatus.CONVERGED
    assert np.allclose(list(result.values.values()), best, rtol=1e-6)
    std = [e.std for e in result.parameters.values()]
    assert np.allclose(std, np.sqrt(np.diag(covariance)), rtol=1e-4)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert np.isclose(result.correlation[0, 1], expected, atol=1e-4)


def test_intervals_are_normal_or_students(channel, ghk_fit):
    e = ghk_fit.parameters["permeability.K"]
    assert np.isclose(np.log(e.high / e.value), 1.959964 * e.std / e.value, rtol=1e-6)
    assert np.isclose(e.value / e.low, e.high / e.value)
    short = [IVData(VOLTAGE[:4], ghk_data(known=False)[0].current[:4], **bath(100.0, 100.0))]
    other = fit(channel, short, ["permeability.K"], model="ghk", starts=1).parameters["permeability.K"]
    assert np.isclose(np.log(other.high / other.value), stats.t.ppf(0.975, 3) * other.std / other.value, rtol=1e-6)


def test_chi2_and_criteria_are_what_their_formulas_say(channel, ghk_fit):
    measured = np.concatenate([d.current for d in ghk_data()])
    left = (currents(None, *ghk_fit.values.values()) - measured) / 0.2
    assert np.isclose(ghk_fit.chi2, (left**2).sum(), rtol=1e-6)
    assert np.allclose(ghk_fit.residuals, left, atol=1e-4)
    assert ghk_fit.dof == 25
    assert np.isclose(ghk_fit.aic, ghk_fit.chi2 + 4)
    assert np.isclose(ghk_fit.bic, ghk_fit.chi2 + 2 * np.log(27))
    assert np.isclose(ghk_fit.probability, stats.chi2.sf(ghk_fit.chi2, 25))
    unknown = fit(channel, ghk_data(known=False), BOTH, model="ghk", starts=1)
    assert np.isclose(unknown.aic, 27 * np.log(unknown.chi2 / 27) + 6)
    assert unknown.probability is None


# --- recovery ------------------------------------------------------------------------------------


def test_permeabilities_are_recovered(ghk_fit):
    for ion, p in PERMEABILITY.items():
        e = ghk_fit.parameters[f"permeability.{ion}"]
        assert e.low < p < e.high
        assert e.unit == "nm³/ns"
    assert ghk_fit.ratios["Cl/K"].low < 0.25 < ghk_fit.ratios["Cl/K"].high
    assert not ghk_fit.warnings


@pytest.mark.slow
def test_numbers_of_a_channel_are_recovered(pnp_fit, channel):
    truth = {"ions.K.diffusivity": 1.957, "pore.charge.0.density.scale": 1.0}
    for name, value in truth.items():
        e = pnp_fit.parameters[name]
        assert abs(e.value - value) < 3 * e.std
        assert e.std < 0.1 * value
    assert pnp_fit.status is FitStatus.CONVERGED
    fitted = pnp_fit.channel()
    assert float(fitted.ions["K"].diffusivity) == pytest.approx(pnp_fit.values["ions.K.diffusivity"])
    at = pnp.iv_curve(fitted.with_baths(**bath(*BATHS[1])), VOLTAGE, discretization=pnp.Axial(NODES)).current
    assert np.allclose(at, pnp_fit.predicted.value[0, 9:18], rtol=1e-9)


def test_every_data_set_may_have_a_number_of_its_own(channel):
    sets = ghk_data(sd=0.05)
    twice = IVData(VOLTAGE, 2 * sets[1].current, sets[1].sd, **bath(*BATHS[1]), label="two channels")
    free = ["permeability.Cl/K", Free("channels", each=True)]
    result = fit(channel, [sets[0], twice], free, model="ghk", starts=4)
    one, two = result.parameters["channels@100|100"].value, result.parameters["channels@two channels"].value
    assert np.isclose(two / one, 2.0, rtol=0.02)


def test_what_is_tied_follows(channel):
    data = [IVData(VOLTAGE, currents(None, 0.3, 0.6)[:9], np.full(9, 0.1), **bath(100.0, 100.0))]
    result = fit(channel, data, [Free("permeability.K", tied={"permeability.Cl": 2.0})], model="ghk", starts=2)
    assert np.isclose(result.values["permeability.K"], 0.3, rtol=1e-6)


def test_a_robust_loss_does_not_mind_an_outlier(channel):
    first, *rest = ghk_data()
    off = first.current + 20.0 * (np.arange(VOLTAGE.size) == 7)
    sets = [IVData(VOLTAGE, off, first.sd, first.inside, first.outside), *rest]
    plain = fit(channel, sets, BOTH, model="ghk", starts=2).values["permeability.Cl"]
    robust = fit(channel, sets, BOTH, model="ghk", starts=2, robust=2.0).values["permeability.Cl"]
    clean = fit(channel, ghk_data(), BOTH, model="ghk", starts=2).values["permeability.Cl"]
    assert abs(robust - clean) < 0.3 * abs(plain - clean)


def test_reversal_potentials_alone_give_ratios(channel):
    rows = tuple({"K": c, "Cl": c} for c in (10.0, 30.0, 300.0))
    inside = ({"K": 100.0, "Cl": 100.0},) * 3
    at = [float(theory.ghk_voltage([1.0, 0.25], [100.0] * 2, [r["K"]] * 2, np.array([1, -1]))) for r in rows]
    table = ReversalData(np.array(at) + np.array([0.3, -0.2, 0.1]), [0.5] * 3, inside, rows, (None,) * 3)
    ratio = fit(channel, [table], ["permeability.Cl/K"], model="ghk", starts=4).parameters["permeability.Cl/K"]
    assert ratio.low < 0.25 < ratio.high
    both = fit(channel, [table], BOTH, model="ghk", starts=4)
    assert both.parameters["permeability.K"].low is None
    assert both.ratios["Cl/K"].value == pytest.approx(ratio.value, rel=1e-4)
    assert both.ratios["Cl/K"].high == pytest.approx(ratio.high, rel=1e-3)
    assert any("only permeability.K / permeability.Cl is determined" in w for w in both.warnings)


# --- warnings and errors --------------------------------------------------------------------------------


def test_a_model_that_does_not_describe_the_data_says_so(channel):
    bent = [IVData(d.voltage, d.current + 1e-3 * d.voltage**2, d.sd, d.inside, d.outside) for d in ghk_data()]
    result = fit(channel, bent, BOTH, model="ghk", starts=2)
    assert result.probability < 1e-6
    assert any("does not describe the data" in w for w in result.warnings)


def test_overstated_errors_are_questioned(channel):
    wide = [IVData(d.voltage, d.current, 20 * d.sd, d.inside, d.outside) for d in ghk_data()]
    assert any("overstated" in w for w in fit(channel, wide, BOTH, model="ghk", starts=2).warnings)


def test_a_bound_in_the_way_is_named(channel):
    free = [Free("permeability.K", low=0.01, high=0.2, start=0.1), "permeability.Cl"]
    result = fit(channel, ghk_data(), free, model="ghk", starts=2)
    assert any("permeability.K is at its upper bound, 0.2" in w for w in result.warnings)


@pytest.mark.slow
def test_flat_directions_have_no_digits(channel, pnp_data):
    free = ["channels", "pore.area.scale", "pore.charge.0.density.scale"]
    result = fit(channel, pnp_data, free, model=PNP(pnp.Axial(NODES)), starts=2)
    assert result.parameters["channels"].std is None
    assert result.parameters["pore.area.scale"].low is None
    assert result.parameters["pore.charge.0.density.scale"].std < 0.1
    assert np.isnan(result.correlation[0]).all()
    assert any("only channels × pore.area.scale is determined" in w for w in result.warnings)


@pytest.mark.slow
def test_a_number_without_effect_is_named(channel, pnp_data):
    result = fit(
        channel, pnp_data, ["ions.K.diffusivity", "membrane.permittivity"], model=PNP(pnp.Axial(NODES)), starts=1
    )
    assert any("do not determine membrane.permittivity" in w for w in result.warnings)
    assert result.parameters["ions.K.diffusivity"].std is not None


def test_two_minima_as_good_are_both_reported(channel):
    data = [IVData(VOLTAGE, currents(None, 0.3, 0.3)[:9], np.full(9, 0.1), **bath(100.0, 100.0))]

    class Squared(GHK):
        """Of a number that counts with its square, so that both signs will do."""

        def number(self, channel, path):
            measure, _ = super().number(channel, path)
            return measure._replace(logarithmic=False, reach=(-2.0, 2.0), spread=1.0), 0.5

        def prediction(self, channel, parameter_map, experiment):
            prediction = super().prediction(channel, parameter_map, experiment)
            return lambda theta: prediction(theta**2)

    result = fit(channel, data, [Free("permeability.K", tied={"permeability.Cl": 1.0})], model=Squared(), starts=12)
    assert any("another minimum is as good" in w for w in result.warnings)


def test_a_fit_that_is_cut_short_is_not_called_converged(channel, monkeypatch):
    monkeypatch.setattr(module, "_MAX_EVALUATIONS", 1)
    monkeypatch.setattr(module, "_MAX_REFINEMENTS", 1)
    result = fit(channel, ghk_data(), [Free(p, start=10.0) for p in BOTH], model="ghk", starts=1)
    assert result.status is FitStatus.NOT_CONVERGED
    assert "did not converge" in result.warnings[0]


def test_interrupted_it_keeps_the_best_so_far_and_goes_on_from_there(channel, ghk_fit):
    def interrupt(problem, run):
        if run.evaluations.max() == 3:
            raise KeyboardInterrupt

    free = [Free(p, start=5.0) for p in BOTH]
    cut = fit(channel, ghk_data(), free, model="ghk", starts=3, report=interrupt)
    assert cut.status is FitStatus.INTERRUPTED
    assert cut.chi2 > ghk_fit.chi2 + 1
    assert "interrupted" in cut.warnings[0]
    again = fit(channel, ghk_data(), free, model="ghk", begin=[cut.values])
    assert again.chi2 == pytest.approx(ghk_fit.chi2, rel=1e-6)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"model": "goldman"}, "model must be one of pnp, ghk"),
        ({"starts": 0}, "at least 1"),
        ({"robust": 0.0}, "must be positive"),
        ({"begin": [{"permeability.K": 1.0}]}, "a value for each of permeability.K, permeability.Cl"),
    ],
)
def test_arguments_that_make_no_sense(channel, keywords, message):
    with pytest.raises(FitError, match=message):
        fit(channel, ghk_data(), BOTH, **{"model": "ghk", **keywords})


def test_there_is_no_channel_of_permeabilities(ghk_fit):
    with pytest.raises(FitError, match="no channel"):
        ghk_fit.channel()


def test_a_model_without_a_value_anywhere_says_where_to_look(channel):
    class Lost(GHK):
        def prediction(self, channel, parameter_map, experiment):
            prediction = super().prediction(channel, parameter_map, experiment)
            return lambda theta: np.nan * prediction(theta)

    with pytest.raises(FitError, match="no value at any start"):
        fit(channel, ghk_data(), BOTH, model=Lost(), starts=2)
