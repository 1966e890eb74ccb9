"""A branch of steady states followed through its folds, where the I–V curve turns back and current is the better control.

A point of the branch is (V, y) with y = asinh(I / I₀), V in kT/e; I₀ is 0.1 % of what kT/e drives through the pore, so
that currents count by their logarithm down to there. From one point to the next the solver takes the step ahead along
the tangent, and Newton then solves for the steady state and V together on the line normal to it (pseudo-arclength
continuation; Keller, 1977, in Applications of Bifurcation Theory, Academic Press, 359–384). Where the branch is steep that
line is almost one of constant current. Stability plays no role: what lies between two folds is as good as the rest.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from pnp import units
from pnp.assembly import with_baths
from pnp.channel import Channel
from pnp.mesh import DEFAULT_NODES
from pnp.newton import Settings, Status, Steady, newton_step
from pnp.solution import (
    COARSE_ERROR,
    SAFETY,
    Levels,
    least_current,
    make_levels,
    mean_flux,
    solve_levels,
    unevenness,
)
from pnp.steady import ConvergenceError, check_problem


class Pace(NamedTuple):
    """How a branch is followed; lengths are those of the plane (V in kT/e, asinh(I / I₀))."""

    first: float = 0.25
    """First step."""
    longest: float = 1.0
    """Longest step: a decade of the current takes three, 25 mV one."""
    shortest: float = 1e-5
    """The trace gives up below this."""
    sharpest: float = 0.95
    """Least cosine between the direction of a step and the tangents at both its ends: 18°. It is what keeps the trace from
    jumping to another part of the branch, next to a fold above all."""
    iterations: int = 20
    """Newton steps allowed for a point; a shorter step is tried then."""
    easy: int = 6
    """Up to so many Newton steps the next step is longer by half."""
    most_points: int = 2000
    """The trace ends here if it has not reached its goal."""


class _Point(NamedTuple):
    """A steady state on the branch."""

    unknowns: Float[Array, "unknown interior"]
    """Between the baths on the fine mesh, mu from mu_ref, kT."""
    place: Float[Array, "2"]
    """(V, y)."""
    tangent: Float[Array, "2"]
    """Of the branch there, of length 1, in either direction."""
    response: Float[Array, "unknown interior"]
    """d unknowns / d V."""
    ion_current: Float[Array, " ion"]
    """pA."""
    errors: Float[Array, "3"]
    """Conservation, discretisation of the current, of the voltage (kT/e)."""
    iterations: Int[Array, ""]
    """Newton steps on the fine mesh; none of any use if the point is not `good`."""
    good: Array


class Branch(eqx.Module):
    """Steady states along one branch, in the order in which it passes them; arrays of NumPy."""

    voltage: Float[np.ndarray, " point"]
    """mV."""
    current: Float[np.ndarray, " point"]
    """pA, positive outward."""
    ion_current: Float[np.ndarray, "point ion"]
    """pA."""
    status: Int[np.ndarray, " point"]
    """CONVERGED, or MESH_TOO_COARSE where three times an error of the current is above 1 % (or the coarse mesh has no
    branch near) and that of the voltage above 1 % of kT/e."""
    conservation_error: Float[np.ndarray, " point"]
    """As that of `Solution`."""
    discretization_error: Float[np.ndarray, " point"]
    """|I(N) − I(N/2)| / 3 relative to the current as in `Solution`, where the coarser mesh's branch crosses the normal to
    this one: at the same voltage where the current hardly depends on it …"""
    voltage_error: Float[np.ndarray, " point"]
    """… and |V(N) − V(N/2)| / 3 of the same point, mV: the error that counts where the branch is steep or folds."""
    folds: Float[np.ndarray, "fold 2"]
    """Voltage (mV) and current (pA) where the voltage turns back along the branch; they are points of it, too."""
    complete: bool
    """Whether it was followed as far as asked."""
    message: str
    """How it ended."""
    channel: Channel
    nodes: int = eqx.field(static=True)
    points: tuple = eqx.field(repr=False)
    """What `currents_at` begins from."""

    def currents_at(self, voltage: float) -> Float[np.ndarray, " crossing"]:
        """All currents (pA) of the branch at one voltage (mV), in its order, each solved for at that voltage.

        Next to a fold, where this fails, it is that of the cubic through the two points beside it.
        """
        levels, unit = _levels(self.channel, self.nodes), _unit(self.channel)
        goal, found = voltage / unit, []
        for one, other in zip(self.points, self.points[1:], strict=False):
            for share in _crossings(one, other, goal):
                place, _ = _between(one, other, share)
                guess = jax.tree.map(lambda a, b, s=share: a + s * (b - a), one.unknowns, other.unknowns)
                plane = np.array([goal, place[1]]), np.array([1.0, 0.0])
                point = _correct(self.channel, levels, guess, place, plane, Pace().iterations)
                near = bool(point.good) and abs(point.place[1] - place[1]) < 0.1
                found.append(np.sinh(point.place[1] if near else place[1]) * float(least_current(levels)))
        return np.array(found)


def trace(
    channel: Channel,
    start: float,
    stop: float,
    *,
    nodes: int = DEFAULT_NODES,
    pace: Pace | None = None,
    settings: Settings | None = None,
    progress: Callable[[float], None] | None = None,
    throw: bool = True,
) -> Branch:
    """The branch of steady states from voltage `start` to voltage `stop` (mV), through all folds between them.

    At `start` it is the solution `pnp.solve` finds. settings: of that solve. pace: of the steps along the branch.
    progress: called with the voltage (mV) of every point. throw: raise ConvergenceError if the branch cannot be followed to
    `stop`; otherwise the part that could be is returned, `complete` is False and `message` says why.

    Every point carries its errors, from a second mesh with half the elements. Not differentiable. Raises ConvergenceError;
    ChannelError and ValueError as `pnp.solve`.
    """
    check_problem(channel, nodes)
    start, stop = float(start), float(stop)
    if not np.isfinite([start, stop]).all() or start == stop:
        raise ValueError(f"a trace goes from one voltage to another, not from {start:g} to {stop:g} mV")
    pace, levels, unit = pace or Pace(), _levels(channel, nodes), _unit(channel)
    guess, converged = _first(channel, levels, start / unit, settings or Settings())
    correct = lambda guess, near, plane: _correct(channel, levels, guess, near, plane, pace.iterations)
    upright = np.array([1.0, 0.0])
    at_start = np.array([start / unit, 0.0])
    first = correct(guess, at_start, (at_start, upright))
    if not (converged and first.good):
        raise ConvergenceError(f"{channel.name} at {start:g} mV {Status.NOT_CONVERGED.text}")
    report = (lambda volts: progress(volts * unit)) if progress else (lambda volts: None)
    points, folds, ended = _follow(correct, _oriented(first, upright * np.sign(stop - start)), stop / unit, pace, report)
    message = f"{channel.name}: the branch from {start:g} mV was followed to {points[-1].place[0] * unit:.6g} mV; {ended}"
    if ended != _ARRIVED and throw:
        raise ConvergenceError(message)
    return _branch(channel, nodes, levels, points, folds, ended == _ARRIVED, message)


_ARRIVED = "it has arrived"
_FOLD_STEPS = 4
_LEVEL = 1e-4
"""Of a tangent's part along V, below which a fold is found: V is then known to 1e-8 of its radius there."""


def _branch(channel, nodes, levels, points, folds, complete, message) -> Branch:
    unit = _unit(channel)
    ion_current = np.stack([p.ion_current for p in points])
    errors = np.stack([p.errors for p in points])
    place = np.stack([p.place for p in points])
    current = np.sinh(place[:, 1]) * float(least_current(levels))
    fine = SAFETY * np.max(errors[:, 1:], axis=1) <= COARSE_ERROR  # False for NaN
    turns = np.array([[place[i, 0] * unit, current[i]] for i in folds]).reshape(-1, 2)
    return Branch(
        voltage=place[:, 0] * unit,
        current=current,
        ion_current=ion_current,
        status=np.where(fine, Status.CONVERGED, Status.MESH_TOO_COARSE),
        conservation_error=errors[:, 0],
        discretization_error=errors[:, 1],
        voltage_error=errors[:, 2] * unit,
        folds=turns,
        complete=complete,
        message=message,
        channel=channel,
        nodes=nodes,
        points=tuple(points),
    )


# --- along the branch ------------------------------------------------------------------------------


def _follow(correct, first: _Point, goal: float, pace: Pace, report) -> tuple[list[_Point], list[int], str]:
    """Points from the first to the one at V = goal, which of them are folds, and how it ended.

    correct: (unknowns to begin with, their place, (place, normal) of a line) to the point of the branch on that line. The
    first point's tangent says which way to go.
    """
    points, folds, length = [first], [], pace.first
    ahead = np.sign(goal - first.place[0])
    while len(points) < pace.most_points:
        last = points[-1]
        there = last.place + length * last.tangent
        reach = length * last.tangent[0]
        guess = last.unknowns + reach * last.response
        point = correct(guess, there, (there, last.tangent))
        point = _oriented(point, last.tangent)
        if point.good and ahead * (point.place[0] - goal) > 1e-9:
            point = _stopped_at(correct, last, point, goal)
        if not (point.good and _smooth(last, point, pace.sharpest)):
            length /= 2
            if length < pace.shortest:
                return points, folds, "there no step is short enough"
            continue
        if last.tangent[0] * point.tangent[0] < 0:
            fold = _fold(correct, last, point)
            points += [fold] if fold is not last and fold is not point else []
            folds.append(len(points) - (fold is not point))
        points.append(point)
        report(float(point.place[0]))
        if abs(point.place[0] - goal) < 1e-9:
            return points, folds, _ARRIVED
        if point.iterations <= pace.easy:
            length = min(1.5 * length, pace.longest)
    return points, folds, f"{pace.most_points} points are too few"


def _oriented(point: _Point, direction) -> _Point:
    """In NumPy's arrays, its tangent in the given direction rather than in the other."""
    point = jax.tree.map(np.asarray, point)
    return point._replace(tangent=point.tangent * (1 if point.tangent @ direction >= 0 else -1))


def _smooth(one: _Point, other: _Point, sharpest: float) -> bool:
    step = other.place - one.place
    least = sharpest * np.linalg.norm(step)
    return bool(step @ one.tangent >= least and step @ other.tangent >= least)


def _between(one: _Point, other: _Point, share: float):
    """Place and direction on the cubic that joins two points along their tangents (Hermite)."""
    size = np.linalg.norm(other.place - one.place)
    s, a, b = share, one.tangent * size, other.tangent * size
    step = other.place - one.place
    place = one.place + s * a + s**2 * (3 * step - 2 * a - b) + s**3 * (a + b - 2 * step)
    return place, a + 2 * s * (3 * step - 2 * a - b) + 3 * s**2 * (a + b - 2 * step)


def _roots(coefficients) -> list[float]:
    """Real roots in (0, 1] of a polynomial, highest power first, in order."""
    roots = np.roots(coefficients)
    return sorted(float(r.real) for r in roots if abs(r.imag) < 1e-12 and 0 < r.real <= 1)


def _voltage_cubic(one: _Point, other: _Point):
    size = np.linalg.norm(other.place - one.place)
    (a, b), step = size * np.array([one.tangent[0], other.tangent[0]]), other.place[0] - one.place[0]
    return np.array([a + b - 2 * step, 3 * step - 2 * a - b, a, one.place[0]])


def _crossings(one: _Point, other: _Point, goal: float) -> list[float]:
    """Where between two points the voltage is `goal`."""
    return _roots(_voltage_cubic(one, other) - np.array([0.0, 0.0, 0.0, goal]))


def _fold(correct, one: _Point, other: _Point) -> _Point:
    """Where the voltage turns between two points; the nearer of them if it cannot be found.

    V is stationary there: it is known to the square of how far the cubic's fold misses the branch's.
    """
    best = min(one, other, key=lambda p: abs(p.tangent[0]))
    for _ in range(_FOLD_STEPS):
        shares = _roots(_voltage_cubic(one, other)[:3] * np.array([3.0, 2.0, 1.0]))
        if not shares or abs(best.tangent[0]) < _LEVEL:
            break
        place, direction = _between(one, other, shares[0])
        guess = one.unknowns + shares[0] * (other.unknowns - one.unknowns)
        best = _oriented(correct(guess, place, (place, direction / np.linalg.norm(direction))), direction)
        if not best.good:
            return min(one, other, key=lambda p: abs(p.tangent[0]))
        one, other = (best, other) if best.tangent[0] * one.tangent[0] > 0 else (one, best)
    return best


def _stopped_at(correct, last: _Point, beyond: _Point, goal: float) -> _Point:
    """The point at V = goal, given one on either side of it."""
    share = (goal - last.place[0]) / (beyond.place[0] - last.place[0])
    there = np.array([goal, (1 - share) * last.place[1] + share * beyond.place[1]])
    guess = last.unknowns + share * (beyond.unknowns - last.unknowns)
    return _oriented(correct(guess, there, (there, np.array([1.0, 0.0]))), beyond.tangent)


# --- one point -------------------------------------------------------------------------------------


def _unit(channel) -> float:
    return float(units.thermal_voltage(channel.temperature))


@eqx.filter_jit
def _levels(channel, nodes):
    return make_levels(channel, nodes)


@eqx.filter_jit
def _first(channel, levels, voltage, settings):
    """The unknowns an ordinary solve finds, and whether it does."""
    _, fine = solve_levels(channel, levels, voltage * units.thermal_voltage(channel.temperature), settings)
    return fine.unknowns[:, 1:-1], fine.report.status != Status.NOT_CONVERGED


class _Met(NamedTuple):
    """Newton's iterate for the steady state on a line across the branch."""

    interior: Float[Array, "unknown interior"]
    voltage: Float[Array, ""]
    slope: Float[Array, ""]
    """dy/dV along the branch."""
    response: Float[Array, "unknown interior"]
    size: Float[Array, ""]
    """Largest change (kT) that the last step asked for."""
    count: Int[Array, ""]

    @property
    def good(self) -> Array:
        return self.size <= _TOLERANCE


_TOLERANCE = 1e-9
"""Largest change (kT) in the last step: Newton converges quadratically, so that what is left is round-off."""
_CAP = 5.0
"""Largest change (kT) in one step. Points are near to each other, so that it hardly ever matters."""


@eqx.filter_jit
def _correct(channel, levels: Levels, guess, near, line, iterations: int) -> _Point:
    """The point of the branch on a line (place, normal) across it, from unknowns and a place near to it."""
    charge, least = units.CURRENT_PER_FLUX * jnp.asarray(channel.valence), least_current(levels)

    def problem_on(level):
        return lambda voltage: Steady(
            level.elements, jnp.asarray(channel.valence), levels.activity, voltage, levels.excess
        )

    fine, coarse = problem_on(levels.fine), problem_on(levels.coarse)
    met = _meet(fine, charge / least, guess, near[0], line, iterations)
    problem = fine(met.voltage).whole()
    unknowns = with_baths(problem, met.interior)
    absolute = unknowns.at[1:].add(problem.node_reference)[:, ::2]
    rough = absolute.at[1:].add(-coarse(met.voltage).whole().node_reference)[:, 1:-1]
    rough_met = _meet(coarse, charge / least, rough, met.voltage, line, jnp.where(met.good, iterations, 0))

    flux, deviation = mean_flux(problem, unknowns)
    rough_problem = coarse(rough_met.voltage).whole()
    rough_current = mean_flux(rough_problem, with_baths(rough_problem, rough_met.interior))[0] @ charge
    current = flux @ charge
    size = jnp.maximum(jnp.abs(current), least)
    apart = jnp.stack([(current - rough_current) / size, met.voltage - rough_met.voltage])
    errors = jnp.where(rough_met.good, jnp.abs(apart) / 3, jnp.nan)
    tangent = jnp.stack([jnp.ones_like(met.slope), met.slope]) / jnp.hypot(1.0, met.slope)
    return _Point(
        unknowns=met.interior,
        place=jnp.stack([met.voltage, jnp.arcsinh(current / least)]),
        tangent=tangent,
        response=met.response,
        ion_current=flux * charge,
        errors=jnp.concatenate([unevenness(deviation, charge)[None] / size, errors]),
        iterations=met.count,
        good=met.good,
    )


def _meet(problem, weight, interior, voltage, line, iterations) -> _Met:
    """Newton for steady state and voltage together, bordered by the equation of the line.

    problem: Steady at a voltage. weight: of the fluxes in I / I₀. With du = a + b dV, where a is Newton's step at a fixed
    voltage and b the response to it, one linear equation is left for dV.
    """
    place, normal = line

    def height(voltage, interior):
        at = problem(voltage).whole()
        return jnp.arcsinh(mean_flux(at, with_baths(at, interior))[0] @ weight)

    def advance(met: _Met) -> _Met:
        steady = problem(met.voltage)
        update, response = newton_step(steady, with_baths(steady.whole(), met.interior))
        y, rise = jax.jvp(lambda u: height(met.voltage, u), (met.interior,), (update,))
        _, slope = jax.jvp(height, (met.voltage, met.interior), (jnp.ones_like(met.voltage), response))
        missed = normal @ (jnp.stack([met.voltage, y]) - place)
        turn = -(missed + normal[1] * rise) / (normal[0] + normal[1] * slope)
        step = update + turn * response
        size = jnp.maximum(jnp.max(jnp.abs(step)), jnp.abs(turn))
        share = jnp.minimum(1.0, _CAP / size)
        return _Met(
            met.interior + share * step, met.voltage + share * turn, slope, response, size, met.count + 1
        )

    going = lambda met: (met.count < iterations) & ~met.good & ~jnp.isnan(met.size)
    unknown = jnp.full_like(voltage, jnp.inf)
    begin = _Met(interior, voltage, unknown, jnp.zeros_like(interior), unknown, jnp.zeros((), int))
    return jax.lax.while_loop(going, advance, begin)
