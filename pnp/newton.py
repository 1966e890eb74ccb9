"""Newton's method with damping and adaptive continuation, and its implicit derivative.

`solve_root` first tries the whole problem at once from the start it is given. If that fails it goes
back to an easy problem (no fixed charge, no voltage) and walks to the wanted one, charge first, then
voltage; a step that fails is halved, one that succeeds is grown. All of it is one `while_loop`, so it
can be jitted and batched.
"""

import enum
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp.assembly import Problem, linearize, make_problem, residual
from pnp.laws import Element
from pnp.linear import BlockTridiagonal, eliminate, solve_linear


class Status(enum.IntEnum):
    """How a solve ended; `.text` says what to do about it."""

    CONVERGED = 0
    CONVERGED_BY_CONTINUATION = 1
    MESH_TOO_COARSE = 2
    NOT_CONVERGED = 3

    @property
    def text(self) -> str:
        """One line for people."""
        return _TEXT[self]


_TEXT = {
    Status.CONVERGED: "converged",
    Status.CONVERGED_BY_CONTINUATION: (
        "converged, by raising the fixed charge and then the voltage in steps; nothing to do, but the "
        "problem is hard: compare with a finer mesh (nodes=800)"
    ),
    Status.MESH_TOO_COARSE: (
        "converged, but the estimated discretisation error of the current is above 1 %: "
        "solve again with more nodes (nodes=800 or --nodes 800)"
    ),
    Status.NOT_CONVERGED: (
        "did not converge, so there is no value: try more nodes (nodes=800 or --nodes 800), a smaller "
        "voltage, or softer charge edges"
    ),
}


def _limit(value):
    # An array, so that another value does not compile another program.
    return eqx.field(default=value, converter=lambda given: jnp.asarray(given, float))


class Settings(eqx.Module):
    """Tolerances and limits of the nonlinear solve; the defaults are meant to be left alone."""

    tolerance: Float[Array, ""] = _limit(1e-8)
    """Largest undamped change of phi and mu (kT) in the last step. Newton converges quadratically
    there, so what remains after that step is round-off in most cases, and conservation below 1e-10 in all."""
    potential_cap: Float[Array, ""] = _limit(5.0)
    """Largest change of phi (kT/e) in one step: beyond a few kT the linearised Boltzmann factors
    say nothing."""
    depletion_cap: Float[Array, ""] = _limit(5.0)
    """Largest fall of ln c in one step; a rise is taken as log1p, as if c itself were updated."""
    attempt_iterations: Float[Array, ""] = _limit(40.0)
    """Steps allowed to reach one target before it counts as failed. Direct solves take 5–15."""
    first_stride: Float[Array, ""] = _limit(0.25)
    """First step of the continuation, of a path of length 1 (charge to 0.5, voltage from there)."""
    smallest_stride: Float[Array, ""] = _limit(1e-4)
    """The continuation gives up below this."""


class Start(NamedTuple):
    """Where Newton may begin, phi and absolute mu (kT) per node, and how a voltage change spreads."""

    direct: Float[Array, "node unknown"]
    """A guess for the whole problem at zero voltage."""
    easy: Float[Array, "node unknown"]
    """A guess for the problem without fixed charge and voltage."""
    shape: Float[Array, " node"]
    """Fraction of the voltage found at each node, 1 inside and 0 outside."""


class Report(NamedTuple):
    """What Newton says of itself."""

    status: Int[Array, ""]
    iterations: Int[Array, ""]


class _State(NamedTuple):
    unknowns: Any
    settled: Any
    """The last converged iterate on the continuation path, at `reached`."""
    reached: Float[Array, ""]
    target: Float[Array, ""]
    stride: Float[Array, ""]
    tries: Int[Array, ""]
    iterations: Int[Array, ""]
    walking: Bool[Array, ""]
    done: Bool[Array, ""]
    failed: Bool[Array, ""]


class Steady(NamedTuple):
    """The full problem in the terms continuation needs."""

    elements: Element
    valence: Float[Array, " ion"]
    concentration: Float[Array, "2 ion"]
    voltage: Float[Array, ""]

    def at(self, progress) -> Problem:
        """The problem part of the way: charge grows over the first half, voltage over the second."""
        charge = jnp.minimum(2 * progress, 1.0)
        elements = eqx.tree_at(lambda e: e.charge, self.elements, self.elements.charge * charge)
        elements = eqx.tree_at(lambda e: e.excess, elements, elements.excess * charge)
        return make_problem(elements, self.valence, self.concentration, self.voltage_at(progress))

    def voltage_at(self, progress):
        """kT/e."""
        return self.voltage * jnp.maximum(2 * progress - 1, 0.0)


def solve_root(
    steady: Steady, start: Start, guess: Float[Array, "node unknown"] | None, settings: Settings
) -> tuple[Float[Array, "node unknown"], Report]:
    """Unknowns (phi, mu − mu_ref) that balance `steady`, with a Report.

    `guess`, if given, replaces the start of the first attempt. Derivatives with respect to `steady`
    follow from the implicit function theorem, forward and reverse and to any order; `start`,
    `guess` and `settings` do not enter them. If the report says NOT_CONVERGED the unknowns are
    those of the last iterate and mean nothing.
    """
    frozen = jax.lax.stop_gradient((start, guess))
    return _root(steady, frozen, settings)


@eqx.filter_custom_jvp
def _root(steady, frozen, settings):
    start, guess = frozen
    final = steady.at(jnp.ones(()))
    if guess is None:
        guess = _relative(_lifted(start.direct, start, steady.valence, steady.voltage), final)
    easy = steady.at(jnp.zeros(()))
    base = _relative(start.easy, easy)
    zero, count = jnp.zeros(()), jnp.zeros((), int)
    no = jnp.zeros((), bool)
    state = _State(guess, base, zero, jnp.ones(()), jnp.ones(()), count, count, no, no, no)
    advance = lambda s: _advance(s, steady, start, base, settings)
    state = jax.lax.while_loop(lambda s: ~(s.done | s.failed), advance, state)
    status = jnp.where(
        state.failed,
        Status.NOT_CONVERGED,
        jnp.where(state.walking, Status.CONVERGED_BY_CONTINUATION, Status.CONVERGED),
    )
    return state.unknowns, Report(jnp.asarray(status, int), state.iterations)


@_root.def_jvp
def _root_jvp(primals, tangents):
    steady, frozen, settings = primals
    unknowns, report = _root(steady, frozen, settings)
    dynamic, static = eqx.partition(steady, eqx.is_inexact_array)
    tangent = jax.tree.map(
        lambda p, t: jnp.zeros_like(p) if t is None else t,
        dynamic,
        tangents[0],
        is_leaf=lambda leaf: leaf is None,
    )
    balance = lambda s: residual(eqx.combine(s, static).at(jnp.ones(())), unknowns)
    _, imbalance = jax.jvp(balance, (dynamic,), (tangent,))
    _, jacobian = linearize(steady.at(jnp.ones(())), unknowns)
    jacobian, imbalance = _scaled_rows(jacobian, imbalance)
    change = -solve_linear(jacobian, imbalance)
    nothing = jax.tree.map(lambda leaf: None, report)
    return (unknowns, report), (change, nothing)


def _advance(state: _State, steady, start, base, settings) -> _State:
    """One Newton step, and what follows from it for the continuation."""
    problem = steady.at(state.target)
    imbalance, jacobian = linearize(problem, state.unknowns)
    jacobian, imbalance = _scaled_rows(jacobian, imbalance)
    update = -eliminate(jacobian, imbalance)
    size = jnp.max(jnp.abs(update))  # of the undamped update: a small damped step proves nothing
    finite = jnp.isfinite(size)
    moved = _damped(state.unknowns, update, problem.valence, settings)
    arrived = finite & (size < settings.tolerance)
    lost = ~arrived & (~finite | (state.tries + 1 >= settings.attempt_iterations))

    done = arrived & (state.target >= 1.0)
    reached = jnp.where(arrived, state.target, state.reached)
    settled = jnp.where(arrived, moved, state.settled)
    stride = jnp.where(arrived, 2 * state.stride, state.stride)
    first_loss = lost & ~state.walking
    stride = jnp.where(lost, state.stride / 2, stride)
    stride = jnp.where(first_loss, settings.first_stride, stride)
    walking = state.walking | lost
    failed = lost & (stride < settings.smallest_stride)
    turning = (arrived & ~done) | lost
    # A walk stops at 0.5, where all charge is in place and the voltage still zero.
    limit = jnp.where(reached < 0.5, 0.5, 1.0)
    target = jnp.where(turning, jnp.minimum(reached + stride, limit), state.target)
    restart = _carried(settled, steady, start, reached, target)
    return _State(
        unknowns=jnp.where(turning, restart, moved),
        settled=settled,
        reached=reached,
        target=target,
        stride=stride,
        tries=jnp.where(turning, 0, state.tries + 1),
        iterations=state.iterations + 1,
        walking=walking,
        done=done,
        failed=failed,
    )


def _damped(unknowns, update, valence, settings):
    """The next iterate: phi capped, concentrations updated as numbers that cannot turn negative."""
    phi_update = update[:, 0]
    step = jnp.minimum(1.0, settings.potential_cap / jnp.max(jnp.abs(phi_update)))
    phi_update = step * phi_update
    log_c = step * update[:, 1:] - valence * phi_update[:, None]
    log_c = jnp.where(log_c > 0, jnp.log1p(jnp.maximum(log_c, 0.0)), jnp.maximum(log_c, -settings.depletion_cap))
    change = jnp.concatenate([phi_update[:, None], log_c + valence * phi_update[:, None]], axis=1)
    return unknowns + change


def _carried(unknowns, steady, start, reached, target):
    """An iterate moved to the voltage of another target, at unchanged concentrations."""
    voltage_step = steady.voltage_at(target) - steady.voltage_at(reached)
    absolute = unknowns.at[:, 1:].add(steady.at(reached).reference)
    return _relative(_lifted(absolute, start, steady.valence, voltage_step), steady.at(target))


def _lifted(absolute, start, valence, voltage):
    """phi and mu after adding `voltage` spread as `start.shape`, concentrations unchanged."""
    lift = voltage * start.shape
    return jnp.concatenate([(absolute[:, 0] + lift)[:, None], absolute[:, 1:] + valence * lift[:, None]], axis=1)


def _relative(absolute, problem: Problem):
    """Absolute mu to the solver's mu − mu_ref."""
    return absolute.at[:, 1:].add(-problem.reference)


def _scaled_rows(jacobian: BlockTridiagonal, imbalance):
    """Each row divided by its largest diagonal-block entry, so that elimination needs no pivots."""
    scale = 1 / jnp.max(jnp.abs(jacobian.diagonal), axis=-1)
    rows = BlockTridiagonal(*(block * scale[..., None] for block in jacobian))
    return rows, imbalance * scale
