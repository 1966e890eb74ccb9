"""Newton's step and the settled ions: compiled, on arrays, and against what they must fulfil."""

import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.analysis.discretized import discretize
from pnp.channel.activity import Davies, Steric
from pnp.finite_volume.axial import nernst_planck as settle
from pnp.finite_volume.axial import newton_step as step
from pnp.finite_volume.axial.assembly import ends, fluxes, residual, two_sided_elements, with_baths
from pnp.finite_volume.problem import Steady
from pnp.linalg._cpu import llvm
from pnp.linalg._cpu import xla_ffi as ffi
from pnp.linalg.block_tridiagonal import from_two_sided, to_two_sided
from tests.conftest import make_charged

NODES, MILLIVOLTS = 40, np.linspace(-300.0, 300.0, 11)
RNG = np.random.default_rng(5)


def problem_of(channel):
    """In arms and lanes, with unknowns that are no solution; and the same problem of one lane from bath to bath."""
    discretized = discretize(channel, NODES)
    volts = MILLIVOLTS / 25.0
    steady = Steady(
        discretized.fine.elements,
        jnp.asarray(channel.valence),
        discretized.bath_activity,
        jnp.asarray(volts[3]),
        discretized.activity,
    )
    lanes = jax.tree.map(lambda leaf: leaf[..., None], steady)
    lanes = lanes._replace(voltage=jnp.asarray(volts), elements=two_sided_elements(lanes.elements)).whole()
    phi = discretized.fine.start.direct[0][:, None] + discretized.fine.start.shape[:, None] * volts
    unknowns = jnp.stack([phi, *(0.3 * RNG.normal(size=(2, *phi.shape)))])
    unknowns = unknowns.at[:, [0, -1]].set(0.0).at[0, 0].set(volts)
    return lanes, to_two_sided(unknowns), steady.whole(), unknowns


def at_inside(unknowns):
    return jnp.zeros((unknowns.shape[1] - 1, 2, 1), bool).at[0, 0].set(True)


@pytest.fixture(scope="module")
def ideal():
    return problem_of(make_charged(barrier=3.0))


@pytest.fixture(scope="module")
def steric():
    return problem_of(make_charged(activity_model=Steric(0.6)))


@pytest.mark.parametrize("which", ["ideal", "steric"])
@pytest.mark.parametrize("with_sensitivity", [False, True])
def test_the_compiled_step_is_the_step_on_arrays(which, with_sensitivity, request):
    pytest.importorskip("llvmlite")
    problem, unknowns, *_ = request.getfixturevalue(which)
    law, own = step._STEPS[with_sensitivity], (at_inside(unknowns), None)
    assert step._compiled_for(law, problem, unknowns, own, False) is not None
    found = [part for part in step.newton_update(problem, unknowns, with_sensitivity) if part is not None]
    expected = jax.jit(partial(step._by_arrays, law, False))(problem, unknowns, own)
    assert len(found) == len(expected) == 1 + with_sensitivity
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


def test_a_step_solves_the_linearised_problem(ideal):
    problem, unknowns, alone, full = ideal
    update, sensitivity = (from_two_sided(part)[..., 3] for part in step.newton_update(problem, unknowns, True))
    interior = full[:, 1:-1, 3]
    balance, moved = jax.jvp(lambda u: residual(alone, u), (interior,), (update,))
    np.testing.assert_allclose(moved, -balance, atol=1e-9 * np.abs(balance).max())

    def at(volts):
        return residual(eqx.tree_at(lambda p: p.voltage, alone, volts), interior)

    _, dF_dV = jax.jvp(at, (alone.voltage,), (jnp.ones(()),))
    _, answered = jax.jvp(lambda u: residual(alone, u), (interior,), (sensitivity,))
    np.testing.assert_allclose(answered, -dF_dV, atol=1e-9 * np.abs(dF_dV).max())


@pytest.mark.parametrize("which", ["ideal", "steric"])
@pytest.mark.parametrize("transposed", [False, True])
def test_compiled_and_on_arrays_linear_solutions_fit_the_jacobian(which, transposed, request):
    pytest.importorskip("llvmlite")
    problem, unknowns, alone, _ = request.getfixturevalue(which)
    unknowns, flux = settle.solve_nernst_planck(problem, unknowns)
    interior = from_two_sided(unknowns)[:, 1:-1, 3]
    rhs = jnp.asarray(RNG.normal(size=interior.shape))
    shared = to_two_sided(jnp.broadcast_to(rhs[..., None], (*rhs.shape, len(MILLIVOLTS)))).at[:, -1, 1].set(0.0)
    assert step._compiled_for(step._loaded, problem, unknowns, (shared, flux), transposed) is not None
    found = step.linear_solution(problem, unknowns, shared, transposed, flux)
    (expected,) = jax.jit(partial(step._by_arrays, step._loaded, transposed))(problem, unknowns, (shared, flux))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    if which == "steric":
        return  # is not quite in a steady state
    x = from_two_sided(found)[..., 3]
    balance = lambda u: residual(alone, u)
    times = jax.vjp(balance, interior)[1](x)[0] if transposed else jax.jvp(balance, (interior,), (x,))[1]
    np.testing.assert_allclose(times, rhs, atol=1e-9)


def test_settled_ions_have_constant_fluxes(ideal):
    problem, unknowns, alone, _ = ideal
    found, flux = settle.solve_nernst_planck(problem, unknowns)
    np.testing.assert_array_equal(found[0], unknowns[0])
    through = fluxes(alone, *ends(with_baths(alone, from_two_sided(found)[:, 1:-1, 3])))
    np.testing.assert_allclose(flux[:, 0, 0, 3], through.mean(1), rtol=1e-10)
    np.testing.assert_allclose(flux, flux[:, :1, :1] * np.array([1.0, -1.0])[:, None] + 0 * flux, rtol=1e-13)
    np.testing.assert_allclose(through, np.broadcast_to(through[:, :1], through.shape), rtol=1e-10)
    assert np.all(through != 0)


def test_compiled_and_on_arrays_ions_settle_alike(ideal):
    pytest.importorskip("llvmlite")
    problem, unknowns, *_ = ideal
    found, flux = settle.solve_nernst_planck(problem, unknowns)
    baths = settle._baths(problem)
    assert settle._compiled_for(problem, baths, unknowns) is not None
    mu, expected = jax.jit(settle._by_arrays)(problem, baths, unknowns)
    np.testing.assert_allclose(found[1:, 1:-1], mu[:, :-1], rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(flux, expected, rtol=1e-11)


def test_steps_of_settled_ions_are_the_steps_of_all(ideal):
    problem, unknowns, *_ = ideal
    at, flux = settle.solve_nernst_planck(problem, unknowns)
    both = jax.jit(lambda p, u, f: (step.newton_update(p, u, True), step.newton_update(p, u, True, f)))
    plain, known = both(problem, at, flux)
    for one, other in zip(plain, known, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())


def test_next_to_nothing_keeps_its_digits():
    """Before a barrier of 200 kT mu falls by 1e-87 of itself, and that drives the flux."""
    problem, unknowns, alone, _ = problem_of(make_charged(density=0.0, barrier=200.0))
    flat = unknowns.at[0].set(0.0).at[0, 0, 0].set(problem.voltage)
    found, _ = settle.solve_nernst_planck(problem, flat)
    through = fluxes(alone, *ends(with_baths(alone, from_two_sided(found)[:, 1:-1, 3])))[1]
    assert 0 < np.abs(through).max() < 1e-80
    near = np.asarray(through)[: NODES // 8]
    np.testing.assert_allclose(near, near[0], rtol=1e-9)


def test_what_cannot_be_translated_is_done_on_arrays():
    problem, unknowns, *_ = problem_of(make_charged(activity_model=Davies()))
    assert step._compiled_for(step._STEPS[0], problem, unknowns, (at_inside(unknowns), None), False) is None
    update = jax.jit(lambda p, u: step.newton_update(p, u, False)[0])(problem, unknowns)
    assert np.all(np.isfinite(update))


@pytest.mark.slow
def test_without_llvmlite_all_is_done_on_arrays(ideal, monkeypatch):
    problem, unknowns, *_ = ideal
    updated = lambda: jax.jit(lambda p, u: step.newton_update(p, u, True))(problem, unknowns)
    expected = updated()
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)  # cannot be imported
    monkeypatch.setattr(ffi, "compiler", llvm.compiler.__wrapped__)
    assert step._compiled_for(step._STEPS[1], problem, unknowns, (at_inside(unknowns), None), False) is None
    for one, other in zip(updated(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())
    assert "pnp_" not in jax.jit(settle.solve_nernst_planck).lower(problem, unknowns).as_text()
    assert pnp.solve(make_charged(), 50.0, discretization=pnp.Axial(NODES)).status < pnp.Status.MESH_TOO_COARSE
