"""Newton's method with damping and adaptive continuation, and its implicit derivative.

`solve_root` first tries the whole problem at once from the start it is given. If that fails it goes
back to an easy problem (no fixed charge, no voltage; or one already solved, at another voltage) and walks to
the wanted one, charge first, then voltage; a step that fails is halved, one that succeeds is grown. All of it
is one `while_loop` over many cases at once (the last axis, see `lanes`), each on its own walk.

In a given potential the steady state of point ions is known (`settle`). So they are settled before every step, and
Newton walks in phi alone: mu follows it, through regions without ions and between barriers too.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp.assembly import Problem, mean_flux, residual, with_baths
from pnp.continuation import Start, Steady
from pnp.excess import PointIons
from pnp.lanes import lanes_of, over_lanes
from pnp.linear import from_arms, in_arms
from pnp.settings import Settings, Status
from pnp.settle import settled
from pnp.step import linear_solution, newton_update


class Report(NamedTuple):
    """What Newton says of itself."""

    status: Int[Array, "*lane"]
    iterations: Int[Array, "*lane"]
    response: Float[Array, "unknown interior *lane"] | None
    """If asked for, d unknowns / d voltage between the baths, from the last step's matrix: as accurate as
    that step was small, 1e-7 and better. A constant to differentiation."""
    trouble: Int[Array, "2 *lane"]
    """(unknown, node) that the last lost attempt wanted to change most; meaningless where none was lost."""


class _State(NamedTuple):
    unknowns: Float[Array, "unknown node arm lane"]
    response: Float[Array, "unknown node arm lane"] | None
    """Their derivative with respect to the voltage, beyond the baths."""
    safe: Float[Array, "unknown node arm lane"]
    """The last converged iterate on the continuation path, at `reached`."""
    reached: Float[Array, " lane"]
    target: Float[Array, " lane"]
    stride: Float[Array, " lane"]
    size: Float[Array, " lane"]
    """Largest undamped change of an unknown in the last step."""
    trouble: Int[Array, " lane"]
    """Where it was when an attempt was last lost, counted through [unknown, node, arm]."""
    tries: Int[Array, " lane"]
    iterations: Int[Array, " lane"]
    walking: Bool[Array, " lane"]
    done: Bool[Array, " lane"]
    failed: Bool[Array, " lane"]


def solve_root(
    steady: Steady,
    start: Start,
    guess: Float[Array, "unknown node"] | None,
    settings: Settings,
    respond: bool = False,
) -> tuple[Float[Array, "unknown node"], Report]:
    """Unknowns (phi, mu − mu_ref) that balance `steady`, with a Report.

    `guess`, if given, replaces the start of the first attempt. `respond` asks for `Report.response`.
    Derivatives with respect to `steady` follow from the implicit function theorem, forward and reverse and
    to any order; `start`, `guess` and `settings` do not enter them. If the report says NOT_CONVERGED the
    unknowns are those of the last iterate and mean nothing.
    """
    frozen = jax.lax.stop_gradient((start, guess))
    interior, report = _root(steady, frozen, settings, respond)
    return with_baths(steady.whole(), interior), report


def newton_step(
    steady: Steady, unknowns: Float[Array, "unknown node"]
) -> tuple[Float[Array, "unknown interior"], Float[Array, "unknown interior"]]:
    """What Newton would change of the unknowns between the baths, undamped, and their derivative to the voltage (kT/e).

    Together they make any step in which the voltage is an unknown too: see `branch`.
    """
    return _step_once(steady, unknowns)


@eqx.filter_custom_jvp
def _root(steady, frozen, settings, respond):
    return (_find_and_respond if respond else _find)(steady, frozen, settings)


@_root.def_jvp
def _root_jvp(primals, tangents):
    steady, frozen, settings, respond = primals
    interior, report = _root(steady, frozen, settings, respond)
    dynamic, static = eqx.partition(steady, eqx.is_inexact_array)
    tangent = jax.tree.map(
        lambda p, t: jnp.zeros_like(p) if t is None and p is not None else t,
        dynamic,
        tangents[0],
        is_leaf=lambda leaf: leaf is None,
    )
    # At a solution all elements have the same flux; the mean keeps its digits where those of single ones are gone.
    flux = mean_flux(steady.whole(), with_baths(steady.whole(), interior)).mean
    balance = lambda s: residual(eqx.combine(s, static).whole(), interior, flux)
    _, imbalance = jax.jvp(balance, (dynamic,), (tangent,))
    fixed = jax.lax.stop_gradient((steady, interior, flux))
    # Derivatives never enter the elimination: they are further solves, backward with the transposed matrix.
    change = jax.lax.custom_linear_solve(
        lambda x: jax.jvp(lambda u: residual(steady.whole(), u, flux), (interior,), (x,))[1],
        -imbalance,
        solve=lambda _, b: _solve(*fixed, b),
        transpose_solve=lambda _, b: _solve_transposed(*fixed, b),
    )
    nothing = jax.tree.map(lambda leaf: None, report)
    return (interior, report), (change, nothing)


# --- from here on all arrays end in [lane], and those along the pore in [arm, lane] -----------


def _solved(steady: Steady, interior, flux, rhs, transposed):
    """x with J x = rhs at the nodes between the baths, J the residual's Jacobian there or its transpose."""
    unknowns = in_arms(with_baths(steady.whole(), interior))
    shared = in_arms(rhs).at[..., -1, 1, :].set(0.0)  # the arms' parts of the middle node are summed
    from_baths = jnp.stack([flux, -flux], axis=-2)[:, None]
    return from_arms(linear_solution(steady.in_arms().whole(), unknowns, shared, transposed, from_baths))


def _stepped_once(steady: Steady, unknowns):
    return jax.tree.map(from_arms, newton_update(steady.in_arms().whole(), in_arms(unknowns), respond=True))


def _newton(steady: Steady, frozen, settings: Settings, respond: bool):
    start, guess = frozen
    lanes = (lanes_of((steady, frozen, settings)),)
    fill = lambda value, dtype=float: jnp.full(lanes, value, dtype)
    steady = steady.in_arms()
    start, guess = jax.tree.map(in_arms, (start, guess))
    began = fill(0) + steady.first_progress
    base = _relative(start.easy, steady.at(began))
    if guess is None:
        lift = steady.voltage - steady.voltage_at(began)
        guess = _relative(_lifted(start.direct, start, steady.valence, lift), steady.whole())
    spread = lambda unknowns: jnp.broadcast_to(unknowns, (*unknowns.shape[:-1], *lanes))
    direct = settings.direct > 0.5
    stride = jnp.where(direct, 1.0, settings.first_stride)
    state = _State(
        unknowns=jnp.where(direct, spread(guess), spread(base)),
        response=jnp.zeros_like(spread(guess)[:, 1:]) if respond else None,
        safe=spread(base),
        reached=began,
        target=jnp.where(direct, 1.0, began + stride),
        stride=spread(stride),
        size=fill(jnp.inf),
        trouble=fill(0, int),
        tries=fill(0, int),
        iterations=fill(0, int),
        walking=spread(~direct),
        done=fill(False, bool),
        failed=fill(False, bool),
    )
    advance = lambda s: _advance(s, steady, start, settings)
    state = jax.lax.while_loop(lambda s: ~jnp.all(s.done | s.failed), advance, state)
    converged = jnp.where(state.walking, Status.CONVERGED_BY_CONTINUATION, Status.CONVERGED)
    status = jnp.where(state.failed, Status.NOT_CONVERGED, converged)
    unknowns = state.unknowns
    if isinstance(steady.excess, PointIons):
        unknowns, _ = settled(steady.whole(), unknowns)
    interior = from_arms(unknowns)[:, 1:-1]
    response = None if state.response is None else from_arms(state.response)
    unknown, node, arm = jnp.unravel_index(state.trouble, unknowns[:, 1:, :, 0].shape)
    node = jnp.where(arm == 0, node + 1, interior.shape[1] - node)
    return interior, Report(status, state.iterations, response, jnp.stack([unknown, node]))


def _advance(state: _State, steady, start, settings) -> _State:
    """One Newton step, and what follows from it for the continuation."""
    problem = steady.at(state.target)
    unknowns, flux = _with_settled_ions(problem, state, settings)
    update, response = newton_update(problem, unknowns, state.response is not None, flux)
    size = jnp.max(jnp.abs(update), axis=(0, 1, 2))  # of the undamped update: a small damped step proves nothing
    finite = jnp.isfinite(size)
    moved = _stepped(unknowns, update, size, problem, settings)
    final = settings.excess_tolerance if flux is None else settings.tolerance
    tolerance = jnp.where(state.target >= 1.0, final, settings.rough_tolerance)
    arrived = finite & (_remaining(size, state.size, settings) < tolerance)
    lost = ~arrived & (~finite | (state.tries + 1 >= settings.attempt_iterations))

    reached = jnp.where(arrived, state.target, state.reached)
    safe = jnp.where(arrived, moved, state.safe)
    stride = jnp.where(arrived, 2 * state.stride, state.stride)
    first_loss = lost & ~state.walking
    stride = jnp.where(lost, state.stride / 2, stride)
    stride = jnp.where(first_loss, settings.first_stride, stride)
    done = arrived & (state.target >= 1.0)
    turning = (arrived & ~done) | lost
    # A walk stops at 0.5, where all charge is in place and the voltage still zero.
    limit = jnp.where(reached < 0.5, 0.5, 1.0)
    target = jnp.where(turning, jnp.minimum(reached + stride, limit), state.target)
    # Few problems need it, so the cost of restarting is not paid where none does.
    moved = jax.lax.cond(
        turning.any(),
        lambda: jnp.where(turning, _carried(safe, steady, start, reached, target), moved),
        lambda: moved,
    )
    change = lambda: jnp.where(jnp.isnan(update), jnp.inf, jnp.abs(update)).reshape(-1, update.shape[-1])
    trouble = jax.lax.cond(
        lost.any(), lambda: jnp.where(lost, jnp.argmax(change(), axis=0), state.trouble), lambda: state.trouble
    )
    after = _State(
        unknowns=moved,
        response=response,
        safe=safe,
        reached=reached,
        target=target,
        stride=stride,
        size=jnp.where(turning, jnp.inf, size),
        trouble=trouble,
        tries=jnp.where(turning, 0, state.tries + 1),
        iterations=state.iterations + 1,
        walking=state.walking | lost,
        done=done,
        failed=lost & (stride < settings.smallest_stride),
    )
    stopped = state.done | state.failed
    return jax.tree.map(lambda old, new: jnp.where(stopped, old, new), state, after)


def _remaining(size, previous, settings):
    """The error (kT) left after an update of `size`: K size², since Newton converges quadratically.

    K is what the last two updates show once both are small, size / previous²; 10 at most, as found where
    nothing is known yet and where an update is round-off already.
    """
    shown = jnp.where(previous < settings.quadratic_below, size / previous**2, 10.0)
    return jnp.minimum(shown, 10.0) * size**2


def _with_settled_ions(problem: Problem, state: _State, settings: Settings):
    """The unknowns with point ions in the steady state they have in the potential, and the fluxes of these.

    If ions have an excess potential this is not their steady state, though nearer to it than what there is, far from
    the solution. As near to it as to converge quadratically Newton does without.
    """
    if isinstance(problem.excess, PointIons):
        return settled(problem, state.unknowns)
    near = state.size < settings.quadratic_below
    at = jax.lax.cond(jnp.all(near), lambda: state.unknowns, lambda: settled(problem, state.unknowns)[0])
    return jnp.where(near, state.unknowns, at), None


def _stepped(unknowns, update, size, problem, settings):
    """The next iterate: a step that is capped, far from the solution.

    update: [unknown, node, arm, lane] for the nodes beyond the baths; size: its largest entry, [lane].
    """
    energy = jnp.max(jnp.abs(problem.valence), axis=0) * jnp.max(jnp.abs(update[0]), axis=(0, 1))
    step = jnp.where(size < settings.quadratic_below, 1.0, jnp.minimum(1.0, settings.energy_cap / energy))
    return unknowns.at[:, 1:].add(step * update)


def _carried(unknowns, steady, start, reached, target):
    """An iterate moved to the voltage of another target, at unchanged concentrations."""
    voltage_step = steady.voltage_at(target) - steady.voltage_at(reached)
    absolute = jnp.concatenate([unknowns[:1], unknowns[1:] + steady.at(reached).node_reference])
    return _relative(_lifted(absolute, start, steady.valence, voltage_step), steady.at(target))


def _lifted(absolute, start, valence, voltage):
    """phi and mu after adding `voltage` spread as `start.shape`, concentrations unchanged."""
    lift = voltage * start.shape
    return jnp.concatenate([(absolute[0] + lift)[None], absolute[1:] + valence[:, None, None] * lift])


def _relative(absolute, problem: Problem):
    """Absolute mu to the solver's mu − mu_ref, and the baths exactly what they are."""
    mu = absolute[1:] - problem.node_reference
    inner = jnp.concatenate([jnp.broadcast_to(absolute[:1], mu[:1].shape), mu])[:, 1:]
    bath_phi = jnp.stack([problem.voltage, jnp.zeros_like(problem.voltage)])
    baths = jnp.concatenate([jnp.broadcast_to(bath_phi, mu[:1, 0].shape), jnp.zeros_like(mu[:, 0])])
    return jnp.concatenate([baths[:, None], inner], axis=1)


def _newton_shapes(steady: Steady, frozen, settings: Settings, respond: bool):
    """Those of what `_newton` returns."""
    lanes, (unknowns, nodes, _) = lanes_of((steady, frozen, settings)), frozen[0].direct.shape
    shaped: Any = lambda kind, *shape: jax.ShapeDtypeStruct((*shape, lanes), kind)
    interior = shaped(float, unknowns, nodes - 2)
    return interior, Report(shaped(int), shaped(int), interior if respond else None, shaped(int, 2))


def _solved_shapes(steady: Steady, interior, flux, rhs):
    return jax.ShapeDtypeStruct((*rhs.shape[:-1], lanes_of((steady, interior, flux, rhs))), float)


_find, _find_and_respond = (
    over_lanes(partial(_newton, respond=respond), partial(_newton_shapes, respond=respond)) for respond in (False, True)
)
_solve, _solve_transposed = (
    over_lanes(partial(_solved, transposed=transposed), _solved_shapes) for transposed in (False, True)
)


def _step_shapes(steady: Steady, unknowns):
    numbers = jax.ShapeDtypeStruct((len(unknowns), unknowns.shape[1] - 2, lanes_of((steady, unknowns))), float)
    return numbers, numbers


_step_once = over_lanes(_stepped_once, _step_shapes)
