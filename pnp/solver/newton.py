"""Newton's method with damping and adaptive continuation, and its implicit derivative.

`solve_root` first tries the whole problem at once from the start it is given. If that fails it goes
back to an easy problem (no fixed charge, no voltage; or one already solved, at another voltage) and walks to
the wanted one, charge first, then voltage; a step that fails is halved, one that succeeds is grown. All of it
is one `while_loop` over many cases at once (the last axis, see `lanes`), each on its own walk.

What its unknowns are, how they are moved and what a step is taken of far from the solution is for the discretisation
to say (`scheme`).
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp.finite_volume.axial.assembly import Problem
from pnp.finite_volume.problem import Start, Steady
from pnp.finite_volume.scheme import Scheme
from pnp.finite_volume.schemes import scheme_of
from pnp.linalg.batching import batch_size, over_batch
from pnp.settings import Settings, Status


class Report(NamedTuple):
    """What Newton says of itself."""

    status: Int[Array, "*lane"]
    iterations: Int[Array, "*lane"]
    sensitivity: Float[Array, "unknown *interior lane"] | None
    """If asked for, d unknowns / d voltage between the baths, from the last step's matrix: as accurate as
    that step was small, 1e-7 and better. A constant to differentiation."""
    worst: Int[Array, "2 *lane"]
    """(unknown, node along the pore) that the last lost attempt wanted to change most; meaningless if none was lost."""


class _State(NamedTuple):
    unknowns: Float[Array, "unknown *place lane"]
    sensitivity: Float[Array, "unknown *moving lane"] | None
    """Their derivative with respect to the voltage, beyond the baths."""
    safe: Float[Array, "unknown *place lane"]
    """The last converged iterate on the continuation path, at `reached`."""
    reached: Float[Array, " lane"]
    target: Float[Array, " lane"]
    continuation_step: Float[Array, " lane"]
    size: Float[Array, " lane"]
    """Largest undamped change of an unknown in the last step."""
    worst: Int[Array, " lane"]
    """Where it was when an attempt was last lost, counted through the unknowns that move."""
    near: Bool[Array, " lane"] | None
    """Whether steps are taken of the problem itself, see `scheme.LinearisationPoint`; None: always."""
    tries: Int[Array, " lane"]
    iterations: Int[Array, " lane"]
    walking: Bool[Array, " lane"]
    done: Bool[Array, " lane"]
    failed: Bool[Array, " lane"]


def solve_root(
    steady: Steady,
    start: Start,
    guess: Float[Array, "unknown *place"] | None,
    settings: Settings,
    with_sensitivity: bool = False,
    near: bool = True,
) -> tuple[Float[Array, "unknown *place"], Report]:
    """Unknowns (phi, mu − mu_ref) that balance `steady`, with a Report.

    `guess`, if given, replaces the start of the first attempt; `near`: whether it is near the solution, as that of a
    coarser mesh is. `with_sensitivity` asks for `Report.sensitivity`.
    Derivatives with respect to `steady` follow from the implicit function theorem, forward and reverse and
    to any order; `start`, `guess` and `settings` do not enter them. If the report says NOT_CONVERGED the
    unknowns are those of the last iterate and mean nothing.
    """
    frozen = jax.lax.stop_gradient((start, guess))
    interior, report = _root(steady, frozen, settings, (with_sensitivity, near and guess is not None))
    return scheme_of(steady.elements).with_baths(steady.whole(), interior), report


def newton_step(
    steady: Steady, unknowns: Float[Array, "unknown *place"]
) -> tuple[Float[Array, "unknown *interior"], Float[Array, "unknown *interior"]]:
    """What Newton would change of the unknowns between the baths, undamped, and their derivative to the voltage (kT/e).

    Together they make any step in which the voltage is an unknown too: see `branch`.
    """
    return _step_once(steady, unknowns)


@eqx.filter_custom_jvp
def _root(steady, frozen, settings, how):
    return _FIND[how](steady, frozen, settings)


@_root.def_jvp
def _root_jvp(primals, tangents):
    steady, frozen, settings, how = primals
    interior, report = _root(steady, frozen, settings, how)
    dynamic, static = eqx.partition(steady, eqx.is_inexact_array)
    tangent = jax.tree.map(
        lambda p, t: jnp.zeros_like(p) if t is None and p is not None else t,
        dynamic,
        tangents[0],
        is_leaf=lambda leaf: leaf is None,
    )
    scheme, whole = scheme_of(steady.elements), steady.whole()
    # At a solution all elements have the same flux; the mean keeps its digits where those of single ones are gone.
    flux = scheme.mean_flux(whole, scheme.with_baths(whole, interior)).mean
    balance = lambda s: scheme.residual(eqx.combine(s, static).whole(), interior, flux)
    _, imbalance = jax.jvp(balance, (dynamic,), (tangent,))
    fixed = jax.lax.stop_gradient((steady, interior, flux))
    # Derivatives never enter the elimination: they are further solves, backward with the transposed matrix.
    change = jax.lax.custom_linear_solve(
        lambda x: jax.jvp(lambda u: scheme.residual(whole, u, flux), (interior,), (x,))[1],
        -imbalance,
        solve=lambda _, b: _solve(*fixed, b),
        transpose_solve=lambda _, b: _solve_transposed(*fixed, b),
    )
    nothing = jax.tree.map(lambda leaf: None, report)
    return (interior, report), (change, nothing)


# --- from here on all arrays end in [lane] ------------------------------------------------------


def _arranged(steady: Steady) -> Steady:
    """With its elements as Newton wants them."""
    return steady._replace(elements=scheme_of(steady.elements).arranged_elements(steady.elements))


def _solved(steady: Steady, interior, flux, rhs, transposed):
    """x with J x = rhs at the nodes between the baths, J the residual's Jacobian there or its transpose."""
    scheme = scheme_of(steady.elements)
    unknowns = scheme.with_baths(steady.whole(), interior)
    return scheme.linear_solution(_arranged(steady).whole(), unknowns, rhs, transposed, flux)


def _stepped_once(steady: Steady, unknowns):
    scheme = scheme_of(steady.elements)
    steps = scheme.update(_arranged(steady).whole(), scheme.arranged(unknowns), True, None)
    return jax.tree.map(scheme.natural, steps)


def _newton(steady: Steady, frozen, settings: Settings, with_sensitivity: bool, near: bool):
    start, guess = frozen
    lanes = (batch_size((steady, frozen, settings)),)
    fill = lambda value, dtype=float: jnp.full(lanes, value, dtype)
    scheme, steady = scheme_of(steady.elements), _arranged(steady)
    start, guess = jax.tree.map(scheme.arranged, (start, guess))
    began = fill(0) + steady.first_progress
    base = _relative(scheme, start.easy, steady.at(began))
    if guess is None:
        lift = steady.voltage - steady.voltage_at(began)
        guess = _relative(scheme, _lifted(start.direct, start, steady.valence, lift), steady.whole())
    spread = lambda unknowns: jnp.broadcast_to(unknowns, (*unknowns.shape[:-1], *lanes))
    direct = settings.direct > 0.5
    continuation_step = jnp.where(direct, 1.0, settings.first_continuation_step)
    state = _State(
        unknowns=jnp.where(direct, spread(guess), spread(base)),
        sensitivity=jnp.zeros_like(scheme.moving(spread(guess))) if with_sensitivity else None,
        safe=spread(base),
        reached=began,
        target=jnp.where(direct, 1.0, began + continuation_step),
        continuation_step=spread(continuation_step),
        size=fill(jnp.inf),
        worst=fill(0, int),
        near=None if near else fill(False, bool),
        tries=fill(0, int),
        iterations=fill(0, int),
        walking=spread(~direct),
        done=fill(False, bool),
        failed=fill(False, bool),
    )
    advance = lambda s: _advance(s, scheme, steady, start, settings)
    state = jax.lax.while_loop(lambda s: ~jnp.all(s.done | s.failed), advance, state)
    converged = jnp.where(state.walking, Status.CONVERGED_BY_CONTINUATION, Status.CONVERGED)
    status = jnp.where(state.failed, Status.NOT_CONVERGED, converged)
    unknowns = scheme.finished(steady.whole(), state.unknowns)
    sensitivity = None if state.sensitivity is None else scheme.natural(state.sensitivity)
    worst = scheme.worst(state.worst, unknowns)
    return scheme.interior(scheme.natural(unknowns)), Report(status, state.iterations, sensitivity, worst)


def _advance(state: _State, scheme: Scheme, steady, start, settings) -> _State:
    """One Newton step, and what follows from it for the continuation."""
    approach = scheme.linearisation_point(steady.at(state.target), state.unknowns, state.size, state.near, settings)
    update, sensitivity = scheme.update(
        approach.problem, approach.unknowns, state.sensitivity is not None, approach.flux
    )
    # Of the undamped update: a small damped step proves nothing.
    size = jnp.max(jnp.abs(update), axis=tuple(range(update.ndim - 1)))
    finite = jnp.isfinite(size)
    moved = scheme.moved(approach, update, size, settings)
    final = settings.nonideal_tolerance if approach.flux is None else settings.tolerance
    tolerance = jnp.where(state.target >= 1.0, final, settings.loose_tolerance)
    arrived = finite & (_remaining(size, state.size, settings) < tolerance)
    if approach.near is not None:
        arrived = arrived & approach.near
    lost = ~arrived & (~finite | (state.tries + 1 >= settings.attempt_iterations))

    reached = jnp.where(arrived, state.target, state.reached)
    safe = jnp.where(arrived, moved, state.safe)
    continuation_step = jnp.where(arrived, 2 * state.continuation_step, state.continuation_step)
    first_loss = lost & ~state.walking
    continuation_step = jnp.where(lost, state.continuation_step / 2, continuation_step)
    continuation_step = jnp.where(first_loss, settings.first_continuation_step, continuation_step)
    done = arrived & (state.target >= 1.0)
    turning = (arrived & ~done) | lost
    # A walk stops at 0.5, where all charge is in place and the voltage still zero.
    limit = jnp.where(reached < 0.5, 0.5, 1.0)
    target = jnp.where(turning, jnp.minimum(reached + continuation_step, limit), state.target)
    # Few problems need it, so the cost of restarting is not paid where none does.
    moved = jax.lax.cond(
        turning.any(),
        lambda: jnp.where(turning, _carried(scheme, safe, steady, start, reached, target), moved),
        lambda: moved,
    )
    change = lambda: jnp.where(jnp.isnan(update), jnp.inf, jnp.abs(update)).reshape(-1, update.shape[-1])
    worst = jax.lax.cond(
        lost.any(), lambda: jnp.where(lost, jnp.argmax(change(), axis=0), state.worst), lambda: state.worst
    )
    after = _State(
        unknowns=moved,
        sensitivity=sensitivity,
        safe=safe,
        reached=reached,
        target=target,
        continuation_step=continuation_step,
        size=jnp.where(turning, jnp.inf, size),
        worst=worst,
        near=None if approach.near is None else approach.near & ~turning,
        tries=jnp.where(turning, 0, state.tries + 1),
        iterations=state.iterations + 1,
        walking=state.walking | lost,
        done=done,
        failed=lost & (continuation_step < settings.smallest_continuation_step),
    )
    stopped = state.done | state.failed
    return jax.tree.map(lambda old, new: jnp.where(stopped, old, new), state, after)


def _remaining(size, previous, settings):
    """The error (kT) left after an update of `size`: K size², since Newton converges quadratically.

    K is what the last two updates show once both are small, size / previous²; 10 at most, as found where
    nothing is known yet and where an update is round-off already.
    """
    shown = jnp.where(previous < settings.quadratic_threshold, size / previous**2, 10.0)
    return jnp.minimum(shown, 10.0) * size**2


def _carried(scheme, unknowns, steady, start, reached, target):
    """An iterate moved to the voltage of another target, at unchanged concentrations."""
    voltage_step = steady.voltage_at(target) - steady.voltage_at(reached)
    absolute = steady.at(reached).absolute(unknowns)
    return _relative(scheme, _lifted(absolute, start, steady.valence, voltage_step), steady.at(target))


def _lifted(absolute, start, valence, voltage):
    """phi and mu after adding `voltage` spread as `start.shape`, concentrations unchanged."""
    lift = voltage * start.shape
    return jnp.concatenate([(absolute[0] + lift)[None], absolute[1:] + valence[:, None, None] * lift])


def _relative(scheme, absolute, problem: Problem):
    """Absolute mu to the solver's mu − mu_ref, and the baths exactly what they are."""
    return scheme.held(problem, problem.relative(absolute))


def _newton_shapes(steady: Steady, frozen, settings: Settings, with_sensitivity: bool):
    """Those of what `_newton` returns."""
    lanes = batch_size((steady, frozen, settings))
    shaped: Any = lambda kind, *shape: jax.ShapeDtypeStruct((*shape, lanes), kind)
    interior = shaped(float, *_interior_shape(steady, frozen[0].direct))
    return interior, Report(shaped(int), shaped(int), interior if with_sensitivity else None, shaped(int, 2))


def _interior_shape(steady: Steady, unknowns):
    return jax.eval_shape(scheme_of(steady.elements).interior, unknowns).shape[:-1]


def _solved_shapes(steady: Steady, interior, flux, rhs):
    return jax.ShapeDtypeStruct((*rhs.shape[:-1], batch_size((steady, interior, flux, rhs))), float)


_FIND = {
    (with_sensitivity, near): over_batch(
        partial(_newton, with_sensitivity=with_sensitivity, near=near),
        partial(_newton_shapes, with_sensitivity=with_sensitivity),
    )
    for with_sensitivity in (False, True)
    for near in (False, True)
}
_solve, _solve_transposed = (
    over_batch(partial(_solved, transposed=transposed), _solved_shapes) for transposed in (False, True)
)


def _step_shapes(steady: Steady, unknowns):
    numbers = jax.ShapeDtypeStruct((*_interior_shape(steady, unknowns), batch_size((steady, unknowns))), float)
    return numbers, numbers


_step_once = over_batch(_stepped_once, _step_shapes)
