"""Newton's method with damping and adaptive continuation, and derivatives by the implicit function theorem.

`solve_root` first tries the whole problem at once from the guess it is given. If that fails it returns to an easy
problem (no fixed charge, no voltage; or one already solved, at another voltage) and continues to the wanted one, charge
first, then voltage; a step that fails is halved, one that succeeds is doubled. All of it is one `while_loop` over many
cases at once (the last axis, see `linalg.batching`), each with a continuation of its own.

What its unknowns are, how they are damped and where a step is taken far from the solution depends on the
discretisation (`finite_volume.scheme`).
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp.finite_volume.initial_guess import InitialGuess, continued, continued_voltage
from pnp.finite_volume.problem import MeshSolution, Problem
from pnp.linalg.batching import batch_size, over_batch
from pnp.settings import Settings, Status


class Report(NamedTuple):
    """How Newton's method ended."""

    status: Int[Array, "*batch"]
    iterations: Int[Array, "*batch"]
    sensitivity: Float[Array, "unknown *interior"] | None
    """If asked for, d unknowns / d voltage between the baths, from the last step's matrix: as accurate as that step was
    small, 1e-7 and better. A constant to differentiation."""
    worst: Int[Array, "2 *batch"]
    """(unknown, node along the pore) of the largest update in the last failed attempt; meaningless if none failed."""


class _State(NamedTuple):
    unknowns: Float[Array, "unknown *place batch"]
    sensitivity: Float[Array, "unknown *free batch"] | None
    """d free unknowns / d voltage."""
    safe: Float[Array, "unknown *place batch"]
    """The last converged iterate of the continuation, at `reached`."""
    reached: Float[Array, " batch"]
    target: Float[Array, " batch"]
    step: Float[Array, " batch"]
    """Of the continuation."""
    size: Float[Array, " batch"]
    """Largest undamped change of an unknown in the last Newton step."""
    worst: Int[Array, " batch"]
    """Where it was when an attempt last failed, an index into the flattened free unknowns."""
    converging: Bool[Array, " batch"] | None
    """Whether steps are taken of the problem itself, see `LinearisationPoint`; None: always."""
    tries: Int[Array, " batch"]
    iterations: Int[Array, " batch"]
    continuing: Bool[Array, " batch"]
    done: Bool[Array, " batch"]
    failed: Bool[Array, " batch"]


def solve_root(
    problem: Problem,
    start: InitialGuess,
    guess: Float[Array, "unknown *place"] | None,
    settings: Settings,
    with_sensitivity: bool = False,
    converging: bool = True,
) -> MeshSolution:
    """The unknowns (phi, mu − mu_ref) that solve `problem`, with a `Report`.

    - start: where the first attempt begins, and the continuation after it.
    - guess: unknowns that replace the start of the first attempt, or None.
    - converging: whether the guess is near the solution, as that of a coarser mesh is.
    - with_sensitivity: whether `Report.sensitivity` is wanted.

    Derivatives with respect to `problem` follow from the implicit function theorem, forward and reverse and to any
    order; `start`, `guess` and `settings` do not enter them. If the report says NOT_CONVERGED the unknowns are those of
    the last iterate and mean nothing.
    """
    constants = jax.lax.stop_gradient((start, guess))
    interior, report = _root(problem, constants, settings, (with_sensitivity, converging and guess is not None))
    return MeshSolution(problem, problem.scheme.with_baths(problem, interior), report)


def newton_step(
    problem: Problem, unknowns: Float[Array, "unknown *place"]
) -> tuple[Float[Array, "unknown *interior"], Float[Array, "unknown *interior"]]:
    """Newton's undamped update of the unknowns between the baths, and their derivative by the voltage (kT/e).

    Together they make any step in which the voltage is an unknown too: see `analysis.branch`.
    """
    return _batched_step(problem, unknowns)


@eqx.filter_custom_jvp
def _root(problem, constants, settings, mode):
    return _BATCHED_NEWTON[mode](problem, constants, settings)


@_root.def_jvp
def _root_jvp(primals, tangents):
    problem, constants, settings, mode = primals
    interior, report = _root(problem, constants, settings, mode)
    dynamic, static = eqx.partition(problem, eqx.is_inexact_array)
    tangent = jax.tree.map(
        lambda p, t: jnp.zeros_like(p) if t is None and p is not None else t,
        dynamic,
        tangents[0],
        is_leaf=lambda leaf: leaf is None,
    )
    scheme = problem.scheme
    # At a solution all elements have the same flux; the mean keeps its digits where those of single ones are gone.
    flux = scheme.mean_flux(problem, scheme.with_baths(problem, interior)).mean
    balance = lambda p: scheme.residual(eqx.combine(p, static), interior, flux)
    _, imbalance = jax.jvp(balance, (dynamic,), (tangent,))
    fixed = jax.lax.stop_gradient((problem, interior, flux))
    # Derivatives never enter the elimination: they are further solves, backward with the transposed matrix.
    change = jax.lax.custom_linear_solve(
        lambda x: jax.jvp(lambda u: scheme.residual(problem, u, flux), (interior,), (x,))[1],
        -imbalance,
        solve=lambda _, b: _solve(*fixed, b),
        transpose_solve=lambda _, b: _solve_transposed(*fixed, b),
    )
    nothing = jax.tree.map(lambda leaf: None, report)
    return (interior, report), (change, nothing)


# --- from here on all arrays end in [batch] -----------------------------------------------------


def _in_solver_layout(problem: Problem) -> Problem:
    return problem.with_elements(problem.scheme.elements_in_solver_layout(problem.elements))


def _linearised_solve(problem: Problem, interior, flux, rhs, transposed):
    """x with J x = rhs at the nodes between the baths, J the residual's Jacobian there or its transpose."""
    unknowns = problem.scheme.with_baths(problem, interior)
    return problem.scheme.solve_linearised(_in_solver_layout(problem), unknowns, rhs, transposed, flux)


def _one_step(problem: Problem, unknowns):
    scheme = problem.scheme
    steps = scheme.newton_update(_in_solver_layout(problem), scheme.to_solver_layout(unknowns), True, None)
    return jax.tree.map(scheme.from_solver_layout, steps)


def _newton(problem: Problem, constants, settings: Settings, with_sensitivity: bool, converging: bool):
    start, guess = constants
    size = batch_size((problem, constants, settings))
    fill = lambda value, dtype=float: jnp.full((size,), value, dtype)
    scheme, problem = problem.scheme, _in_solver_layout(problem)
    to_layout = scheme.to_solver_layout
    start = start._replace(**{name: to_layout(getattr(start, name)) for name in ("full", "first", "voltage_profile")})
    began = fill(0) + start.progress
    base = _relative(continued(problem, start, began), start.first)
    if guess is None:
        lift = problem.voltage - continued_voltage(problem, start, began)
        guess = _relative(problem, _lifted(start.full, start, problem.valence, lift))
    else:
        guess = to_layout(guess)
    spread = lambda unknowns: jnp.broadcast_to(unknowns, (*unknowns.shape[:-1], size))
    whole = settings.skip_continuation > 0.5
    step = jnp.where(whole, 1.0, settings.first_continuation_step)
    state = _State(
        unknowns=jnp.where(whole, spread(guess), spread(base)),
        sensitivity=jnp.zeros_like(scheme.free_unknowns(spread(guess))) if with_sensitivity else None,
        safe=spread(base),
        reached=began,
        target=jnp.where(whole, 1.0, began + step),
        step=spread(step),
        size=fill(jnp.inf),
        worst=fill(0, int),
        converging=None if converging else fill(False, bool),
        tries=fill(0, int),
        iterations=fill(0, int),
        continuing=spread(~whole),
        done=fill(False, bool),
        failed=fill(False, bool),
    )
    advance = lambda s: _advance(s, problem, start, settings)
    state = jax.lax.while_loop(lambda s: ~jnp.all(s.done | s.failed), advance, state)
    converged = jnp.where(state.continuing, Status.CONVERGED_BY_CONTINUATION, Status.CONVERGED)
    status = jnp.where(state.failed, Status.NOT_CONVERGED, converged)
    unknowns = scheme.finish(problem, state.unknowns)
    sensitivity = None if state.sensitivity is None else scheme.from_solver_layout(state.sensitivity)
    worst = scheme.locate(state.worst, unknowns)
    return scheme.interior(scheme.from_solver_layout(unknowns)), Report(status, state.iterations, sensitivity, worst)


def _advance(state: _State, problem: Problem, start: InitialGuess, settings: Settings) -> _State:
    """One Newton step, and what follows from it for the continuation."""
    scheme = problem.scheme
    at_target = continued(problem, start, state.target)
    point = scheme.linearisation_point(at_target, state.unknowns, state.size, state.converging, settings)
    with_sensitivity = state.sensitivity is not None
    update, sensitivity = scheme.newton_update(point.problem, point.unknowns, with_sensitivity, point.flux)
    # Of the undamped update: a small damped step proves nothing.
    size = jnp.max(jnp.abs(update), axis=tuple(range(update.ndim - 1)))
    finite = jnp.isfinite(size)
    moved = scheme.apply_update(point, update, size, settings)
    final = settings.nonideal_tolerance if point.flux is None else settings.tolerance
    tolerance = jnp.where(state.target >= 1.0, final, settings.loose_tolerance)
    arrived = finite & (_remaining_error(size, state.size, settings) < tolerance)
    if point.converging is not None:
        arrived = arrived & point.converging
    lost = ~arrived & (~finite | (state.tries + 1 >= settings.attempt_iterations))

    reached = jnp.where(arrived, state.target, state.reached)
    safe = jnp.where(arrived, moved, state.safe)
    step = jnp.where(arrived, 2 * state.step, state.step)
    first_loss = lost & ~state.continuing
    step = jnp.where(lost, state.step / 2, step)
    step = jnp.where(first_loss, settings.first_continuation_step, step)
    done = arrived & (state.target >= 1.0)
    turning = (arrived & ~done) | lost
    # A continuation stops at 0.5, where all charge is in place and the voltage is still that of the start.
    limit = jnp.where(reached < 0.5, 0.5, 1.0)
    target = jnp.where(turning, jnp.minimum(reached + step, limit), state.target)
    # Few problems need it, so the cost of restarting is not paid where none does.
    moved = jax.lax.cond(
        turning.any(),
        lambda: jnp.where(turning, _carried(safe, problem, start, reached, target), moved),
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
        step=step,
        size=jnp.where(turning, jnp.inf, size),
        worst=worst,
        converging=None if point.converging is None else point.converging & ~turning,
        tries=jnp.where(turning, 0, state.tries + 1),
        iterations=state.iterations + 1,
        continuing=state.continuing | lost,
        done=done,
        failed=lost & (step < settings.smallest_continuation_step),
    )
    stopped = state.done | state.failed
    return jax.tree.map(lambda old, new: jnp.where(stopped, old, new), state, after)


def _remaining_error(size, previous, settings):
    """The error (kT) left after an update of `size`: K size², since Newton converges quadratically.

    K is what the last two updates show once both are small, size / previous²; 10 at most, as found where nothing is
    known yet and where an update is round-off already.
    """
    shown = jnp.where(previous < settings.quadratic_threshold, size / previous**2, 10.0)
    return jnp.minimum(shown, 10.0) * size**2


def _carried(unknowns, problem: Problem, start: InitialGuess, reached, target):
    """An iterate moved to the voltage of another target, at unchanged concentrations."""
    step = continued_voltage(problem, start, target) - continued_voltage(problem, start, reached)
    absolute = continued(problem, start, reached).absolute(unknowns)
    return _relative(continued(problem, start, target), _lifted(absolute, start, problem.valence, step))


def _lifted(absolute, start: InitialGuess, valence, voltage):
    """phi and mu after adding `voltage` spread as the guess's profile, concentrations unchanged."""
    lift = voltage * start.voltage_profile
    return jnp.concatenate([(absolute[0] + lift)[None], absolute[1:] + valence[:, None, None] * lift])


def _relative(problem: Problem, absolute):
    """Absolute mu to the solver's mu − mu_ref, and the baths exactly what they are."""
    return problem.scheme.with_dirichlet_values(problem, problem.relative(absolute))


# --- shapes of results, so that nothing is traced to find them ----------------------------------


def _newton_shapes(problem: Problem, constants, settings: Settings, with_sensitivity: bool):
    batch = batch_size((problem, constants, settings))
    shaped: Any = lambda kind, *shape: jax.ShapeDtypeStruct((*shape, batch), kind)
    interior = shaped(float, *_interior_shape(problem, constants[0].full))
    return interior, Report(shaped(int), shaped(int), interior if with_sensitivity else None, shaped(int, 2))


def _interior_shape(problem: Problem, unknowns):
    return jax.eval_shape(problem.scheme.interior, unknowns).shape[:-1]


def _solve_shapes(problem: Problem, interior, flux, rhs):
    return jax.ShapeDtypeStruct((*rhs.shape[:-1], batch_size((problem, interior, flux, rhs))), float)


def _step_shapes(problem: Problem, unknowns):
    numbers = jax.ShapeDtypeStruct((*_interior_shape(problem, unknowns), batch_size((problem, unknowns))), float)
    return numbers, numbers


_BATCHED_NEWTON = {
    (with_sensitivity, converging): over_batch(
        partial(_newton, with_sensitivity=with_sensitivity, converging=converging),
        partial(_newton_shapes, with_sensitivity=with_sensitivity),
    )
    for with_sensitivity in (False, True)
    for converging in (False, True)
}
_solve, _solve_transposed = (
    over_batch(partial(_linearised_solve, transposed=transposed), _solve_shapes) for transposed in (False, True)
)
_batched_step = over_batch(_one_step, _step_shapes)
