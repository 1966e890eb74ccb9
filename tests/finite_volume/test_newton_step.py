"""Newton's step and the Nernst–Planck half-step: compiled, on arrays, and against the equations they solve."""

import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.analysis.discretized import discretize
from pnp.channel.activity import Davies, IdealCoefficients, Steric
from pnp.finite_volume.axial import newton_step as step
from pnp.finite_volume.axial.assembly import by_element, element_ends, fluxes, residual, with_baths
from pnp.finite_volume.axial.nernst_planck import solve_nernst_planck
from pnp.finite_volume.axial.scheme import two_sided_elements
from pnp.linalg import _cpu
from pnp.linalg import block_tridiagonal as linear
from pnp.linalg._cpu import xla_ffi
from pnp.linalg.block_tridiagonal import from_two_sided, to_two_sided
from tests.conftest import compiled_loops, make_charged

NODES, MILLIVOLTS = 40, np.linspace(-300.0, 300.0, 11)
RNG = np.random.default_rng(5)


def problem_of(channel):
    """In two sides and for all voltages, with unknowns that are no solution; and at one voltage from bath to bath."""
    discretized = discretize(channel, NODES)
    volts = MILLIVOLTS / 25.0
    alone = discretized.problem(-1, jnp.asarray(volts[3]))
    batch = jax.tree.map(lambda leaf: leaf[..., None], alone).with_voltage(jnp.asarray(volts))
    batch = batch.with_elements(two_sided_elements(batch.elements))
    guess = discretized.guesses[-1]
    phi = guess.full[0][:, None] + guess.voltage_profile[:, None] * volts
    unknowns = jnp.stack([phi, *(0.3 * RNG.normal(size=(2, *phi.shape)))])
    unknowns = unknowns.at[:, [0, -1]].set(0.0).at[0, 0].set(volts)
    return batch, to_two_sided(unknowns), alone, unknowns


def newton_elements(problem, unknowns):
    """What `newton_update` gives to its law."""
    at_inside = jnp.zeros((unknowns.shape[1] - 1, 2, 1), bool).at[0, 0].set(True)
    return (*by_element(problem, unknowns), at_inside, None)


@pytest.fixture(scope="module")
def ideal():
    return problem_of(make_charged(barrier=3.0))


@pytest.fixture(scope="module")
def steric():
    return problem_of(make_charged(activity_model=Steric(0.6)))


@pytest.fixture(scope="module")
def unequal():
    """The activity coefficients follow from an equation, here and with Davies' model."""
    return problem_of(make_charged(activity_model=Steric({"K": 0.5, "Cl": 0.7})))


@pytest.fixture(scope="module")
def davies():
    return problem_of(make_charged(activity_model=Davies()))


@compiled_loops
@pytest.mark.parametrize(
    ("which", "with_sensitivity"),
    [
        ("ideal", False),
        ("steric", True),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in (("ideal", True), ("steric", False))),
        *(pytest.param(which, True, marks=pytest.mark.slow) for which in ("unequal", "davies")),
    ],
)
def test_the_compiled_step_is_the_step_on_arrays(which, with_sensitivity, request):
    problem, unknowns, *_ = request.getfixturevalue(which)
    law, elements = step._STEPS[with_sensitivity], newton_elements(problem, unknowns)
    assert _cpu.eliminate(law, elements, unknowns, False) is not None
    found = [part for part in step.newton_update(problem, unknowns, with_sensitivity) if part is not None]
    expected = eqx.filter_jit(partial(linear._law_on_arrays, law, False))(elements, unknowns)
    assert len(found) == len(expected) == 1 + with_sensitivity
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


def test_a_step_solves_the_linearised_problem(ideal):
    problem, unknowns, alone, full = ideal
    update, sensitivity = (from_two_sided(part)[..., 3] for part in step.newton_update(problem, unknowns, True))
    interior = full[:, 1:-1, 3]
    balance, moved = jax.jvp(lambda u: residual(alone, u), (interior,), (update,))
    np.testing.assert_allclose(moved, -balance, atol=1e-9 * np.abs(balance).max())
    _, dF_dV = jax.jvp(lambda v: residual(alone.with_voltage(v), interior), (alone.voltage,), (jnp.ones(()),))
    _, answered = jax.jvp(lambda u: residual(alone, u), (interior,), (sensitivity,))
    np.testing.assert_allclose(answered, -dF_dV, atol=1e-9 * np.abs(dF_dV).max())


@compiled_loops
@pytest.mark.parametrize("which", ["ideal", pytest.param("steric", marks=pytest.mark.slow)])
@pytest.mark.parametrize("transposed", [False, True])
def test_compiled_and_on_arrays_linear_solutions_fit_the_jacobian(which, transposed, request):
    problem, unknowns, alone, _ = request.getfixturevalue(which)
    unknowns, flux = solve_nernst_planck(problem, unknowns)
    interior = from_two_sided(unknowns)[:, 1:-1, 3]
    rhs = jnp.asarray(RNG.normal(size=interior.shape))
    shared = to_two_sided(jnp.broadcast_to(rhs[..., None], (*rhs.shape, len(MILLIVOLTS)))).at[:, -1, 1].set(0.0)
    law, elements = step._given_balance, (*by_element(problem, unknowns), shared, flux)
    assert _cpu.eliminate(law, elements, unknowns, transposed) is not None
    found = step.solve_linearised(problem, unknowns, shared, transposed, flux)
    (expected,) = eqx.filter_jit(partial(linear._law_on_arrays, law, transposed))(elements, unknowns)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    if which == "steric":
        return  # is not quite in a steady state
    x = from_two_sided(found)[..., 3]
    balance = lambda u: residual(alone, u)
    times = jax.vjp(balance, interior)[1](x)[0] if transposed else jax.jvp(balance, (interior,), (x,))[1]
    np.testing.assert_allclose(times, rhs, atol=1e-9)


def test_the_half_step_makes_fluxes_constant(ideal):
    problem, unknowns, alone, _ = ideal
    found, flux = solve_nernst_planck(problem, unknowns)
    np.testing.assert_array_equal(found[0], unknowns[0])
    along = fluxes(alone, *element_ends(with_baths(alone, from_two_sided(found)[:, 1:-1, 3])))
    np.testing.assert_allclose(flux[:, 0, 0, 3], along.mean(1), rtol=1e-10)
    np.testing.assert_allclose(flux, flux[:, :1, :1] * np.array([1.0, -1.0])[:, None] + 0 * flux, rtol=1e-13)
    np.testing.assert_allclose(along, np.broadcast_to(along[:, :1], along.shape), rtol=1e-10)
    assert np.all(along != 0)


@compiled_loops
def test_compiled_and_on_arrays_half_steps_agree(ideal, monkeypatch):
    problem, unknowns, *_ = ideal
    made, accumulate = [], _cpu.accumulate_resistances
    monkeypatch.setattr(_cpu, "accumulate_resistances", lambda *given: made.append(accumulate(*given)) or made[-1])
    found, flux = solve_nernst_planck(problem, unknowns)
    assert made[0] is not None
    monkeypatch.setattr(_cpu, "accumulate_resistances", lambda *given: None)
    mu, expected = eqx.filter_jit(solve_nernst_planck)(problem, unknowns)
    np.testing.assert_allclose(found[1:, 1:-1], mu[1:, 1:-1], rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(flux, expected, rtol=1e-11)


def test_steps_with_known_fluxes_are_the_steps_of_all_unknowns(ideal):
    problem, unknowns, *_ = ideal
    at, flux = solve_nernst_planck(problem, unknowns)
    both = eqx.filter_jit(lambda p, u, f: (step.newton_update(p, u, True), step.newton_update(p, u, True, f)))
    plain, known = both(problem, at, flux)
    for one, other in zip(plain, known, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())


def test_small_differences_keep_their_digits():
    """Before a barrier of 200 kT mu falls by 1e-87 of itself, and that drives the flux."""
    problem, unknowns, alone, _ = problem_of(make_charged(density=0.0, barrier=200.0))
    flat = unknowns.at[0].set(0.0).at[0, 0, 0].set(problem.voltage)
    found, _ = solve_nernst_planck(problem, flat)
    along = fluxes(alone, *element_ends(with_baths(alone, from_two_sided(found)[:, 1:-1, 3])))[1]
    assert 0 < np.abs(along).max() < 1e-80
    first = np.asarray(along)[: NODES // 8]
    np.testing.assert_allclose(first, first[0], rtol=1e-9)


class Halved(IdealCoefficients):
    """Activity coefficients that a user found by a loop of their own; they are 1."""

    def excess_from_activity(self, log_activity, valence):
        return [0.0 * jax.lax.while_loop(lambda x: jnp.any(x > 1), lambda x: x / 2, a) for a in log_activity]


@compiled_loops
def test_a_model_that_cannot_be_translated_is_evaluated_on_arrays(ideal, monkeypatch):
    monkeypatch.setattr(xla_ffi, "_reported", set())
    problem, unknowns, *_ = ideal
    user = eqx.tree_at(lambda p: p.activity, problem, Halved(), is_leaf=lambda x: isinstance(x, IdealCoefficients))
    with pytest.warns(UserWarning, match="no translation for `while`"):
        update = eqx.filter_jit(lambda p, u: step.newton_update(p, u, False)[0])(user, unknowns)
    expected = step.newton_update(problem, unknowns, False)[0]
    np.testing.assert_allclose(update, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.slow
def test_without_llvmlite_all_is_done_on_arrays(ideal, monkeypatch):
    problem, unknowns, *_ = ideal
    updated = lambda: eqx.filter_jit(lambda p, u: step.newton_update(p, u, True))(problem, unknowns)
    expected = updated()
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)  # cannot be imported
    monkeypatch.setattr(xla_ffi, "_unavailable", xla_ffi._unavailable.__wrapped__)
    assert _cpu.eliminate(step._STEPS[1], newton_elements(problem, unknowns), unknowns, False) is None
    for one, other in zip(updated(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())
    numbers, structure = eqx.partition((problem, unknowns), eqx.is_array)
    half_step = lambda numbers: solve_nernst_planck(*eqx.combine(numbers, structure))
    assert "pnp_" not in jax.jit(half_step).lower(numbers).as_text()
    assert pnp.solve(make_charged(), 50.0, discretization=pnp.Axial(NODES)).status < pnp.Status.MESH_TOO_COARSE
