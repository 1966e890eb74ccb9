"""What models predict, and their derivatives."""

import equinox as eqx
import jax
import numpy as np
import pytest

import pnp
from pnp import theory
from pnp.fit import GHK, PNP, FitError, Free, IVData, ReversalData
from pnp.fit.estimate.problem import FitProblem, robust_residual
from pnp.settings import Status
from tests.fit.conftest import BATHS, NODES, VOLTAGE, bath, ghk_data

THERMAL = pnp.units.thermal_voltage(298.15)


def salt(concentration):
    return {"K": concentration, "Cl": concentration}


def difference(problem, s, step=1e-5):
    """[point, parameter], derivatives by s."""
    columns = []
    for k in range(s.size):
        e = np.zeros(s.size)
        e[k] = step
        up, down = problem.predict(np.stack([s + e, s - e])).value
        columns.append((up - down) / (2 * step))
    return np.stack(columns, -1)


@pytest.fixture(scope="module")
def pnp_problem(channel, pnp_data):
    """Two data sets of unequal length; a number for both, one tied to it, one of each set, and that of channels."""
    data = [pnp_data[0], IVData(VOLTAGE[2:7], np.ones(5), np.ones(5), **bath(400.0, 100.0), label="short")]
    free = [
        Free("ions.K.diffusivity", tied={"ions.Cl.diffusivity": 1.5}),
        Free("pore.permittivity.scale", each=True),
        "channels",
    ]
    return FitProblem(channel, data, free, PNP(pnp.Axial(NODES)))


def test_ghk_is_that_of_the_textbook(channel):
    problem = FitProblem(channel, ghk_data(), ["permeability.K", "permeability.Cl"], GHK())
    predicted = problem.predict(np.log([[0.4, 0.1], [0.2, 0.3]])).value
    for case, p in enumerate(([0.4, 0.1], [0.2, 0.3])):
        for i, (a, b) in enumerate(BATHS):
            bulk = np.full(2, a), np.full(2, b)
            expected = theory.ghk_current(VOLTAGE[:, None], *bulk, np.array(p), np.array([1, -1])).sum(-1)
            assert np.allclose(predicted[case, 9 * i : 9 * i + 9], expected, rtol=1e-12)


def test_ghk_starts_as_the_pore_without_charge(channel):
    problem = FitProblem(channel, ghk_data(), ["permeability.K"], GHK())
    expected = pnp.iv_curve(channel, VOLTAGE, discretization=pnp.Axial(NODES)).permeability
    assert np.allclose(np.exp(problem.space.start), expected[0], rtol=1e-3)


def test_ghk_ratios_are_ratios(channel):
    problem = FitProblem(channel, ghk_data(), ["permeability.K", "permeability.Cl/K"], GHK())
    direct = FitProblem(channel, ghk_data(), ["permeability.K", "permeability.Cl"], GHK())
    s = np.log([[0.4, 0.25]])
    assert np.allclose(problem.predict(s).value, direct.predict(np.log([[0.4, 0.1]])).value)
    assert np.allclose(problem.predict(s).derivative[0], difference(problem, s[0]), atol=1e-7)


def test_ghk_reversal_potentials_in_one_call_with_currents(channel):
    rows = salt(100.0), salt(10.0)
    table = ReversalData([10.0, 50.0], [1.0, 1.0], (rows[0], rows[0]), rows[::-1], (None, 310.0))
    problem = FitProblem(channel, [ghk_data()[0], table], ["permeability.K", "permeability.Cl"], GHK())
    predicted = problem.predict(np.log([[0.4, 0.1]])).value[0, 9:]
    conditions = (10.0, 298.15), (100.0, 310.0)
    expected = [theory.ghk_voltage([0.4, 0.1], [100.0, 100.0], [c, c], np.array([1, -1]), t) for c, t in conditions]
    assert np.allclose(predicted, expected, atol=1e-9)
    assert predicted[0] < -20


def test_pnp_predicts_what_iv_curve_computes(pnp_problem, channel):
    predicted = pnp_problem.predict(pnp_problem.space.start[None])
    for points, (a, b), voltages in ((slice(0, 9), BATHS[0], slice(0, 9)), (slice(9, 14), BATHS[1], slice(2, 7))):
        condition = channel.with_baths(**bath(a, b))
        tied = channel.with_values({"ions.Cl.diffusivity": 1.5 * 1.957})
        condition = eqx.tree_at(lambda c: c.ions, condition, tied.ions)
        curve = pnp.iv_curve(condition, VOLTAGE, discretization=pnp.Axial(NODES))
        current, error = curve.current[voltages], curve.discretization_error[voltages]
        assert np.allclose(predicted.value[0, points], current, rtol=1e-9, atol=1e-9)
        assert np.allclose(predicted.discretization_error[0, points], error, rtol=1e-6, atol=1e-12)
    assert (predicted.status == Status.CONVERGED).all()


def test_pnp_derivatives_are_those_of_differences(pnp_problem):
    s = pnp_problem.space.start + np.array([0.1, -0.05, 0.02, 0.3])
    predicted = pnp_problem.predict(s[None])
    expected = difference(pnp_problem, s, 1e-4)
    # The mesh follows the Debye length of the permittivity, and is constant to derivatives.
    assert np.allclose(predicted.derivative[0], expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())
    assert np.allclose(predicted.derivative[0, :, [0, 3]], expected[:, [0, 3]].T, rtol=1e-6, atol=1e-6)
    assert not predicted.derivative[0, :9, 2].any()  # a number of the other set
    assert not predicted.derivative[0, 9:, 1].any()
    assert np.allclose(predicted.derivative[0, :, 3], predicted.value[0])


def test_many_cases_are_the_same_one_by_one(pnp_problem):
    s = pnp_problem.space.starts(5, seed=0)
    together = pnp_problem.predict(s)
    alone = [pnp_problem.predict(each[None]) for each in s]
    assert np.allclose(together.value, [each.value[0] for each in alone], rtol=1e-10)
    assert np.allclose(together.derivative, [each.derivative[0] for each in alone], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("which", ["ghk", "pnp"])
def test_a_problem_of_the_same_structure_compiles_nothing(channel, pnp_problem, which, caplog):
    """Other numbers of the channel, other data and other fixed values."""
    other = channel.with_values({"pore.area.scale": 1.5})
    if which == "ghk":
        make = lambda channel, seed: FitProblem(channel, ghk_data(seed=seed), ["permeability.K"], GHK())
    else:
        model = PNP(pnp_problem.model.discretization)
        make = lambda channel, seed: FitProblem(channel, pnp_problem.data, pnp_problem.free, model)
    first, second = make(channel, 0), make(other, 1)
    value = first.predict(first.space.start[None]).value
    with jax.log_compiles(), caplog.at_level("WARNING"):
        assert not np.allclose(second.predict(second.space.start[None]).value, value)
    assert not [record for record in caplog.records if "XLA compilation" in record.getMessage()]


@pytest.mark.slow
def test_the_traceable_prediction_is_the_same(pnp_problem):
    problem, s = pnp_problem, pnp_problem.space.start
    prediction = problem.model.prediction(problem.channel, problem.parameter_map, problem.experiment)
    assert np.allclose(
        eqx.filter_jit(prediction)(problem.space.value(s)), problem.predict(s[None]).value[0], rtol=1e-10
    )


@pytest.mark.slow
def test_pnp_reversal_potentials(channel):
    table = ReversalData([-20.0, -5.0], [1.0, 1.0], (salt(400.0), salt(400.0)), (salt(50.0), salt(100.0)))
    problem = FitProblem(channel, [table], [Free("pore.diffusivity.Cl", start=0.5)], PNP(pnp.Axial(NODES)))
    predicted = problem.predict(problem.space.start[None])
    changed = channel.with_values({"pore.diffusivity.Cl": 0.5})
    for i, outside in enumerate((50.0, 100.0)):
        expected = pnp.reversal_potential(changed.with_baths(**bath(400.0, outside)), discretization=pnp.Axial(NODES))
        assert np.isclose(predicted.value[0, i], expected, atol=1e-8)
    assert np.allclose(predicted.derivative[0], difference(problem, problem.space.start, 1e-4), rtol=1e-5)


def test_a_number_can_be_fixed_at_another_value(channel):
    fixed = FitProblem(channel, ghk_data(), ["permeability.K"], GHK(), fixed={"permeability.Cl": 0.1})
    both = FitProblem(channel, ghk_data(), ["permeability.K", "permeability.Cl"], GHK())
    assert np.allclose(fixed.predict(np.log([[0.4]])).value, both.predict(np.log([[0.4, 0.1]])).value)
    with pytest.raises(FitError, match="cannot be fixed at -1"):
        FitProblem(channel, ghk_data(), ["permeability.K"], GHK(), fixed={"permeability.Cl": -1.0})
    with pytest.raises(FitError, match="free, tied or fixed twice"):
        FitProblem(channel, ghk_data(), ["permeability.K"], GHK(), fixed={"permeability.K": 1.0})


@pytest.mark.parametrize(
    ("free", "message"),
    [
        (["permeability.Na"], "no such number"),
        (["permeability.K", "permeability.K"], "free, tied or fixed twice"),
        (["permeability.K", Free("permeability.Cl", tied={"permeability.K": 1.0})], "free, tied or fixed twice"),
        (["permeability.K", "permeability.K/Cl"], "given twice"),
        ([], "nothing is free"),
        ([Free("permeability.K", tied={"permeability.Cl/K": 1.0})], "differ in kind"),
        ([Free("permeability.K", tied={"permeability.Cl": -1.0})], "must be positive"),
    ],
)
def test_what_cannot_be_free_is_refused(channel, free, message):
    with pytest.raises(FitError, match=message):
        FitProblem(channel, ghk_data(), free, GHK())


def test_numbers_that_are_set_twice_over_are_refused(channel, pnp_data):
    with pytest.raises(FitError, match="set the same numbers"):
        FitProblem(channel, pnp_data, ["pore.area.scale", "pore.area.2"], PNP(pnp.Axial(NODES)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: [], "no data"),
        (lambda: [IVData(VOLTAGE, VOLTAGE, inside={"Na": 1.0})], "no such ion"),
        (
            lambda: [IVData(VOLTAGE, VOLTAGE, outside={"K": 10.0}, label="a")],
            "a: outside: the bath is not electroneutral",
        ),
        (lambda: [*ghk_data()[:1], IVData(VOLTAGE, VOLTAGE, label="b")], "b has no standard errors"),
        (lambda: [IVData(VOLTAGE[:2], VOLTAGE[:2])], "2 measured values are too few for 2 free numbers"),
        (
            lambda: [IVData(VOLTAGE, VOLTAGE), ReversalData([10.0], inside=({},), outside=({},), temperature=(None,))],
            "only be fitted together if both",
        ),
    ],
)
def test_data_that_do_not_fit_the_channel_are_named(channel, data, message):
    with pytest.raises(FitError, match=message):
        FitProblem(channel, data(), ["permeability.K", "permeability.Cl"], GHK())


def test_a_robust_residual_is_that_of_charbonnier():
    r, c, h = np.linspace(-9, 9, 13), 1.5, 1e-6
    robust, weight = robust_residual(r, c)
    assert np.allclose(robust**2, 2 * c**2 * (np.sqrt(1 + (r / c) ** 2) - 1))
    assert np.allclose(weight, (robust_residual(r + h, c)[0] - robust_residual(r - h, c)[0]) / (2 * h), rtol=1e-7)
