"""The solver as its users meet it: physics it must reproduce, errors it must state, failures it must admit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp import theory, units
from pnp.analysis.discretized import discretize
from pnp.analysis.mesh_hierarchy import assess, solve_on_meshes
from pnp.settings import Settings, Status
from tests.conftest import make_charged

V = np.array([-100.0, 0.0, 100.0])
CLOSED_FORM = pytest.mark.slow
"""Of tests against closed forms that `validation` shows with their rates of convergence."""


# --- limits with closed forms -----------------------------------------------------------------------


def swap(length):
    """K and Na exchanged across an uncharged pore, the same total on both sides: a constant field."""
    return pnp.Channel.from_profiles(
        np.array([0.0, length]),
        area=0.7,
        ions=["K", "Na", "Cl"],
        inside={"K": 140.0, "Na": 10.0, "Cl": 150.0},
        outside={"K": 5.0, "Na": 145.0, "Cl": 150.0},
    )


@pytest.mark.parametrize("length", [pytest.param(0.02, marks=CLOSED_FORM), 4.0, pytest.param(200.0, marks=CLOSED_FORM)])
def test_ghk_is_exact_at_equal_total_concentrations(length):
    channel, voltage = swap(length), np.array([-200.0, -61.0, 0.0, 1e-3, 35.0, 200.0])
    curve = pnp.iv_curve(channel, voltage, discretization=pnp.Axial(100))
    permeability = np.array([channel.ions[k].diffusivity for k in channel.ion_names]) * 0.7 / length
    inside, outside = np.asarray(channel.bath_concentration)
    expected = theory.ghk_current(voltage[:, None], inside, outside, permeability, channel.valence)
    np.testing.assert_allclose(curve.ion_current, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(curve.permeability, permeability, rtol=1e-12)
    reversal = theory.ghk_voltage(permeability, inside, outside, channel.valence)
    assert float(pnp.reversal_potential(channel, discretization=pnp.Axial(100))) == pytest.approx(
        float(reversal), abs=1e-8
    )


@CLOSED_FORM
def test_thin_pores_approach_ghk():
    """Unequal salts: constant field only while the pore is thin, with an error that falls as (L/λ)²."""

    def departure(length):
        salt = {"inside": {"K": 300.0, "Cl": 300.0}, "outside": {"K": 30.0, "Cl": 30.0}}
        channel = pnp.Channel.from_profiles(np.array([0.0, length]), area=1.0, ions=["K", "Cl"], **salt)
        curve = pnp.iv_curve(channel, [50.0], discretization=pnp.Axial(100))
        permeability = np.array([1.957, 2.032]) / length
        ghk = theory.ghk_current(50.0, np.full(2, 300.0), np.full(2, 30.0), permeability, channel.valence)
        return abs(float(curve.current[0]) / float(ghk.sum()) - 1)

    coarse, fine = departure(0.1), departure(0.05)
    assert fine < 1e-3
    assert 3.5 < coarse / fine < 4.5


@CLOSED_FORM
@pytest.mark.parametrize(("inside", "outside"), [(300.0, 30.0), (1.0, 1000.0)])
def test_a_selective_pore_reverses_at_the_nernst_potential(inside, outside):
    """Cl⁻ kept out by 60 kT: only K⁺ crosses, and its current stops at E_K."""
    channel = make_charged(0.0, inside, outside, barrier=60.0)
    reversal = float(pnp.reversal_potential(channel, guess=-20.0, discretization=pnp.Axial(200)))
    assert reversal == pytest.approx(float(theory.nernst(inside, outside, 1)), abs=1e-6)


@CLOSED_FORM
def test_conductance_of_a_cylinder_with_hall_access():
    channel = pnp.load("uncharged-cylinder")
    curve = pnp.iv_curve(channel, V, discretization=pnp.Axial(200))
    diffusivity = (1.957 + 2.032) * 1e-9
    sigma = units.FARADAY**2 * 100.0 * diffusivity / (units.GAS_CONSTANT * 298.15)  # S/m = nS/nm
    exact = 1 / (5.0 / (np.pi * sigma) + 2 * float(theory.access_resistance(1.0, sigma)))
    np.testing.assert_allclose(curve.current, exact * V, rtol=1e-8, atol=1e-20)
    assert curve.conductance() == pytest.approx(exact, rel=1e-8)


@CLOSED_FORM
def test_donnan_potential_in_a_long_charged_pore():
    """−1 M in 0.1 M salt: asinh(−1000/200) kT/e = −59.41250505 mV at 25 °C."""
    channel = pnp.Channel.from_profiles(
        np.array([0.0, 20.0, 20.0, 60.0, 60.0, 80.0]),
        area=1.0,
        fixed_charge=[0.0, 0.0, -1.0, -1.0, 0.0, 0.0],
        ions=["K", "Cl"],
        inside={"K": 100.0, "Cl": 100.0},
        outside={"K": 100.0, "Cl": 100.0},
    )
    solution = pnp.solve(channel, 0.0, discretization=pnp.Axial(200))
    middle = np.argmin(np.abs(np.asarray(solution.x) - 40.0))
    assert float(solution.potential[middle]) == pytest.approx(-59.41250505, abs=1e-6)
    k, cl = np.asarray(solution.concentration[middle])
    assert k - cl == pytest.approx(1000.0, rel=1e-9)
    assert k * cl == pytest.approx(1e4, rel=1e-9)


@CLOSED_FORM
def test_field_across_a_step_of_permittivity():
    """Without ions to speak of, the voltage divides over two dielectrics as L/ε."""
    channel = pnp.Channel.from_profiles(
        np.array([0.0, 1.0, 1.0, 3.0]),
        area=1.0,
        permittivity=[80.0, 80.0, 4.0, 4.0],
        ions=["K", "Cl"],
        inside={"K": 1e-6, "Cl": 1e-6},
        outside={"K": 1e-6, "Cl": 1e-6},
    )
    solution = pnp.solve(channel, 100.0, discretization=pnp.Axial(100))
    at_step = np.interp(1.0, solution.x, solution.potential)
    assert at_step == pytest.approx(100.0 * (1 - (1 / 80) / (1 / 80 + 2 / 4)), rel=1e-5)


@CLOSED_FORM
def test_flux_over_a_potential_of_mean_force():
    """One neutral solute: J = D A (c_in − c_out) / ∫ exp(w) dx, here with a triangular barrier."""
    height = 4.0
    channel = pnp.Channel.from_profiles(
        np.array([0.0, 1.0, 2.0]),
        area=2.0,
        ions={"sugar": pnp.Ion(0, 0.5), "K": pnp.Ion(1, 1.957), "Cl": pnp.Ion(-1, 2.032)},
        pmf={"sugar": [0.0, height, 0.0]},
        inside={"sugar": 50.0, "K": 1.0, "Cl": 1.0},
        outside={"sugar": 5.0, "K": 1.0, "Cl": 1.0},
    )
    solution = pnp.solve(channel, 0.0, discretization=pnp.Axial(400))
    integral = 2 * np.expm1(height) / height
    expected = 0.5 * 2.0 * 45.0 / integral / units.MILLIMOLAR_PER_CHARGE_DENSITY
    assert float(solution.flux[0]) == pytest.approx(expected, rel=1e-4)
    assert float(solution.current) == pytest.approx(0.0, abs=1e-12)


# --- hard inputs ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_five_species_of_mixed_valence_between_cell_and_plasma():
    ions = {name: pnp.channel.ions.BUILT_IN[name] for name in ("K", "Na", "Cl", "Ca")}
    ions["protein"] = pnp.Ion(-2, 0.1)
    channel = pnp.Channel.from_profiles(
        np.array([0.0, 1.0, 1.0, 3.0, 3.0, 4.0]),
        area=0.8,
        fixed_charge=[0.0, 0.0, -2.0, -2.0, 0.0, 0.0],
        ions=ions,
        inside={"K": 140.0, "Na": 12.0, "Cl": 4.0, "Ca": 1e-4, "protein": 74.0001},
        outside={"K": 5.0, "Na": 145.0, "Cl": 154.0, "Ca": 2.0, "protein": 0.0},
    )
    curve = pnp.iv_curve(channel, V, discretization=pnp.Axial(200))
    assert np.all(curve.converged)
    assert np.max(curve.conservation_error) < 1e-10
    assert np.all(np.diff(curve.current) > 0)


@CLOSED_FORM
def test_bipolar_pore_rectifies():
    """±5 M side by side at ±1 V, which diverges from a Donnan start under plain damping."""
    channel = pnp.Channel.from_profiles(
        np.array([0.0, 4.0, 4.0, 6.0, 6.0, 8.0, 8.0, 12.0]),
        area=1.0,
        fixed_charge=[0.0, 0.0, -5.0, -5.0, 5.0, 5.0, 0.0, 0.0],
        ions=["K", "Cl"],
        inside={"K": 100.0, "Cl": 100.0},
        outside={"K": 100.0, "Cl": 100.0},
    )
    curve = pnp.iv_curve(channel, [-1000.0, 1000.0], discretization=pnp.Axial(400))
    assert np.all(curve.converged)
    assert np.max(curve.conservation_error) < 1e-10
    assert curve.current[1] / -curve.current[0] > 50


# --- failure ----------------------------------------------------------------------------------------

FEW = Settings(attempt_iterations=2, smallest_continuation_step=0.2)


def test_an_unconverged_point_is_no_number(charged):
    curve = pnp.iv_curve(charged, V, discretization=pnp.Axial(100), settings=FEW)
    assert np.all(np.asarray(curve.status) == Status.NOT_CONVERGED)
    for values in (curve.current, curve.ion_current, curve.conservation_error, curve.discretization_error):
        assert np.all(np.isnan(values))
    assert all("nodes" in text for text in curve.messages())
    assert np.isnan(curve.reversal_potential())


def test_solve_raises_or_returns_nan(charged):
    with pytest.raises(pnp.ConvergenceError, match=r"at 100 mV.*did not converge"):
        pnp.solve(charged, 100.0, discretization=pnp.Axial(100), settings=FEW)
    solution = pnp.solve(charged, 100.0, discretization=pnp.Axial(100), settings=FEW, throw=False)
    for values in (solution.current, solution.potential, solution.concentration, solution.flux):
        assert np.all(np.isnan(values))
    slope = jax.grad(lambda v: pnp.solve(charged, v, discretization=pnp.Axial(100), settings=FEW).current)(100.0)
    assert np.isnan(slope), "a derivative of nothing must not look like a number"


def test_without_a_solution_on_every_mesh_something_is_missing(charged):
    """The error without the coarsest mesh, all of it without one of the others."""
    discretized = discretize(charged, 100)
    solutions = eqx.filter_jit(solve_on_meshes)(discretized, jnp.asarray(100.0), Settings())
    assessed = eqx.filter_jit(lambda solutions: assess(discretized, jnp.asarray(100.0), solutions)[0])
    for missing in range(3):
        lost = [
            one._replace(report=one.report._replace(status=jnp.asarray(Status.NOT_CONVERGED))) if i == missing else one
            for i, one in enumerate(solutions)
        ]
        solution = assessed(tuple(lost))
        assert int(solution.status) == (Status.NOT_CONVERGED if missing else Status.MESH_TOO_COARSE)
        assert np.isfinite(solution.current) == (missing == 0)
        assert np.isnan(solution.mesh_current[missing])
        assert np.isnan(solution.discretization_error)


def test_continuation_finds_the_same_solution(charged):
    """Three steps are too few to go there directly, and enough to walk."""
    direct = pnp.solve(charged, 100.0, discretization=pnp.Axial(100))
    walked = pnp.solve(charged, 100.0, discretization=pnp.Axial(100), settings=Settings(attempt_iterations=3))
    assert int(direct.status) == Status.CONVERGED
    assert int(walked.status) == Status.CONVERGED_BY_CONTINUATION
    assert int(walked.iterations) > int(direct.iterations)
    assert float(walked.current) == pytest.approx(float(direct.current), rel=1e-11)


def test_a_coarse_mesh_is_called_coarse():
    curve = pnp.iv_curve(make_charged(-10.0), V, discretization=pnp.Axial(20))
    assert np.all(np.asarray(curve.status)[[0, 2]] == Status.MESH_TOO_COARSE)
    assert f"estimated as {100 * float(curve.discretization_error[0]):.2g} %" in curve.messages()[0]
    assert "nodes" in curve.messages()[0]


def test_the_automatic_mesh_is_finer_where_it_has_to_be(monkeypatch):
    monkeypatch.setattr(pnp.analysis.discretization, "LADDER", (24, 48))
    channel, auto = make_charged(-10.0), pnp.Axial("auto")
    fixed = {n: pnp.iv_curve(channel, V, discretization=pnp.Axial(n)) for n in (24, 48)}
    curve = pnp.iv_curve(channel, V, discretization=auto)
    assert len(set(curve.elements.tolist())) > 1
    for i, used in enumerate(curve.elements.tolist()):
        assert float(curve.current[i]) == pytest.approx(float(fixed[used].current[i]), rel=1e-12, abs=1e-15)
        assert all(fixed[n].status[i] == Status.MESH_TOO_COARSE for n in fixed if n < used)
        assert curve.status[i] < Status.MESH_TOO_COARSE or used == 48
    assert curve.discretization == pnp.Axial(max(curve.elements.tolist()))
    one = pnp.solve(channel, V[0], discretization=auto)
    assert one.x.size == int(curve.elements[0]) + 1 == int(one.elements) + 1
    assert pnp.Axial("auto").discretize(channel).x.size == 401  # where numbers may be traced


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: pnp.solve(c, [1.0, 2.0]), ValueError, "iv_curve"),
        (lambda c: pnp.iv_curve(c, 1.0), ValueError, "voltages"),
        (lambda c: pnp.iv_curve(c, []), ValueError, "voltages"),
        (lambda c: pnp.solve(c, 1.0, discretization=pnp.Axial(3)), ValueError, "nodes"),
        (lambda c: pnp.solve(c, 1.0, discretization=pnp.Axial(40.5)), ValueError, "nodes"),
        (lambda c: pnp.solve("kcsa-like", 1.0), TypeError, "pnp.load"),
        (lambda c: pnp.solve(c, 1.0, discretization=64), TypeError, "pnp.Axial"),
        (lambda c: pnp.solve(c, "3 nm"), ValueError, "mV"),
        (lambda c: pnp.hysteresis(c, [1.0], discretization=pnp.Axisymmetric()), ValueError, "one dimension"),
    ],
)
def test_bad_arguments(charged, call, error, words):
    with pytest.raises(error, match=words):
        call(charged)


def test_says_so_when_64_bit_floats_were_switched_off(charged):
    try:
        jax.config.update("jax_enable_x64", False)
        with pytest.raises(RuntimeError, match="jax_enable_x64"):
            pnp.solve(charged, 0.0)
    finally:
        jax.config.update("jax_enable_x64", True)


def test_voltages_may_carry_their_unit(charged):
    mesh = pnp.Axial(100)
    assert float(pnp.solve(charged, "0.1 V", discretization=mesh).voltage) == 100.0
    np.testing.assert_array_equal(
        pnp.iv_curve(charged, ["-50 mV", 0, "0.1 V"], discretization=mesh).voltage, [-50, 0, 100]
    )


def test_curve_in_batches_is_the_curve(charged):
    mesh, done = pnp.Axial(100), []
    whole = pnp.iv_curve(charged, V, discretization=mesh)
    parts = pnp.iv_curve(charged, V, discretization=mesh, batch=2, progress=done.append)
    assert sum(done) == V.size
    assert max(done) == 2
    np.testing.assert_allclose(parts.current, whole.current, rtol=1e-12)
    np.testing.assert_allclose(parts.slope, whole.slope, rtol=1e-9)


def test_an_interrupted_curve_keeps_what_is_done(charged):
    def interrupt(count):
        raise KeyboardInterrupt

    curve = pnp.iv_curve(charged, V, discretization=pnp.Axial(100), batch=2, progress=interrupt)
    np.testing.assert_array_equal(curve.voltage, V[:2])


def test_curve_agrees_with_solve_point_by_point(charged):
    curve = pnp.iv_curve(charged, V, discretization=pnp.Axial(100))
    for at, current, slope in zip(V, curve.current, curve.slope, strict=True):
        assert float(pnp.solve(charged, at, discretization=pnp.Axial(100)).current) == pytest.approx(
            float(current), rel=1e-10
        )
        assert float(pnp.conductance(charged, at, discretization=pnp.Axial(100))) == pytest.approx(
            float(slope), rel=1e-9
        )


def test_reversal_of_curve_and_function_agree(charged):
    curve = pnp.iv_curve(charged, V, discretization=pnp.Axial(100))
    at = curve.reversal_potential()
    assert at == pytest.approx(float(pnp.reversal_potential(charged, discretization=pnp.Axial(100))), abs=1e-8)
    assert abs(float(pnp.solve(charged, at, discretization=pnp.Axial(100)).current)) < 1e-9
    assert np.isnan(pnp.iv_curve(charged, [50.0, 75.0, 100.0], discretization=pnp.Axial(100)).reversal_potential())


def test_callables_and_arrays_mean_the_same():
    x = np.linspace(0.0, 6.0, 4001)
    profile = lambda s: -0.5 * (jnp.tanh((s - 2) / 0.4) - jnp.tanh((s - 4) / 0.4)) / 2
    given = {"area": 1.0, "ions": ["K", "Cl"], "inside": {"K": 100.0, "Cl": 100.0}}
    given |= {"outside": {"K": 20.0, "Cl": 20.0}}
    callable_ = pnp.Channel.from_profiles(np.array([0.0, 6.0]), fixed_charge=profile, **given)
    array = pnp.Channel.from_profiles(x, fixed_charge=np.asarray(profile(x)), **given)
    a, b = (pnp.solve(c, 50.0, discretization=pnp.Axial(100)).current for c in (callable_, array))
    assert float(a) == pytest.approx(float(b), rel=1e-5)
