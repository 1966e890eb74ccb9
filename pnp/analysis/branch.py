"""A branch of steady states, followed through the folds where the I–V curve turns back.

A point of the branch is (V, y) with V in kT/e and y = asinh(I / I₀), where I₀ is 0.1 % of what kT/e drives through
the pore: above that, currents count by their logarithm. Newton solves for the steady state and V together, on a line
across the branch (see `solver.arclength`); where the branch is steep that is a line of almost constant current.
Stability plays no role: states between two folds are points like the others.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pnp import units
from pnp.analysis.discretization import AXIAL, Discretization, axial_only, check_problem
from pnp.analysis.discretized import Discretized
from pnp.analysis.mesh_hierarchy import COARSE_ERROR, SAFETY, flux_nonconservation, solve_on_meshes
from pnp.analysis.steady import ConvergenceError
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.assembly import mean_flux, with_baths
from pnp.quantity import as_millivolts
from pnp.settings import Settings, Status
from pnp.solver.arclength import ARRIVED, Line, Pace, Path, Point, crossings, follow
from pnp.solver.newton import newton_step

_TOLERANCE = 1e-9
"""Largest update (kT) of the last Newton step; Newton converges quadratically, so the error left is round-off."""
_CAP = 5.0
"""Largest update (kT) of one step. Points are near to each other, so that it is rarely reached."""


class Branch(eqx.Module):
    """Steady states along a branch, in its order; NumPy arrays.

    They are those of the mesh of all elements, not extrapolated: next to a fold the coarser meshes may have none.
    """

    voltage: Float[np.ndarray, " point"]
    """mV."""
    current: Float[np.ndarray, " point"]
    """pA, positive outward."""
    ion_current: Float[np.ndarray, "point ion"]
    """pA."""
    status: Int[np.ndarray, " point"]
    """CONVERGED, or MESH_TOO_COARSE where three times the discretisation error is above 1 %, three times that of the
    voltage above 1 % of kT/e, or the coarser mesh has no branch there."""
    conservation_error: Float[np.ndarray, " point"]
    """As that of `Solution`."""
    discretization_error: Float[np.ndarray, " point"]
    """|I(N) − I(N/2)| / 3, relative as that of `Solution`, with I(N/2) where the line across the branch meets that of
    the coarser mesh (if it does not, that of the same current). Where the current hardly depends on the voltage it is
    the error at a given voltage."""
    voltage_error: Float[np.ndarray, " point"]
    """|V(N) − V(N/2)| / 3 of the same two points, mV; the error that matters where the branch is steep or folds."""
    folds: Float[np.ndarray, "fold 2"]
    """Voltage (mV) and current (pA) where the voltage turns back; these are points of the branch, too."""
    complete: bool
    """Whether it was followed to the last voltage; otherwise `message` says why not."""
    message: str
    channel: Channel
    discretization: Discretization
    points: list[Point] = eqx.field(repr=False)
    """The points with all their data, from which `currents_at` begins."""

    def currents_at(self, voltage: float) -> Float[np.ndarray, " crossing"]:
        """Currents (pA) of all steady states of the branch at one voltage (mV), in its order; none if it has none.

        Each is solved for at that voltage. Next to a fold, where that may fail, it is that of a cubic between points.
        """
        discretized = self.discretization.discretize(self.channel)
        meet = _meeting(discretized, Pace().iterations)
        places = crossings(meet, self.points, float(voltage) / _unit(self.channel))
        return np.array([_current(place, discretized) for place in places])


def trace(
    channel: Channel,
    start: float | str,
    stop: float | str,
    *,
    discretization: Discretization = AXIAL,
    pace: Pace | None = None,
    settings: Settings | None = None,
    progress: Callable[[float], None] | None = None,
    throw: bool = True,
) -> Branch:
    """The branch of steady states from voltage `start` to `stop` (mV), through all its folds on the way.

    - start: the branch is the one that `pnp.solve` finds at this voltage.
    - discretization: a `pnp.Axial`.
    - pace: of the steps along the branch. settings: of the first solve.
    - progress: called with the voltage (mV) of every point.
    - throw: whether to raise ConvergenceError if the branch cannot be followed to `stop`. Otherwise the part found is
      returned, with `complete` False.

    Every point carries its errors, found on a second mesh of half the elements. Not differentiable.

    Raises ConvergenceError, also if there is no first point; ChannelError and ValueError as `pnp.solve`.
    """
    discretization = axial_only(discretization, "trace")
    check_problem(channel, discretization)
    start, stop = float(as_millivolts(start)), float(as_millivolts(stop))
    if not np.isfinite([start, stop]).all() or start == stop:
        raise ValueError(f"a branch is followed from one voltage to another, not from {start:g} to {stop:g} mV")
    pace, discretized, unit = pace or Pace(), discretization.discretize(channel), _unit(channel)
    meet = _meeting(discretized, pace.iterations)
    guess, converged = _first(discretized, jnp.asarray(start), settings or Settings())
    first = meet(guess, Line(np.array([start / unit, 0.0]), np.array([1.0, 0.0])))
    if not (converged and first.good):
        advice = Status.NOT_CONVERGED.advice(discretization.refinement)
        raise ConvergenceError(f"{channel.name} at {start:g} mV {advice}")
    report = lambda point: progress(float(point.place[0] * unit)) if progress else None
    path = follow(meet, first, stop / unit, pace, report)
    branch = _branch(channel, discretization, discretized, path)
    if throw and not branch.complete:
        finer = discretization.refinement.python
        raise ConvergenceError(f"{branch.message}; try more nodes ({finer}), or a smaller pace.shortest")
    return branch


# --- the work --------------------------------------------------------------------------------


class _Found(NamedTuple):
    """Numbers of a point besides its place."""

    ion_current: Float[np.ndarray | Array, " ion"]
    """pA."""
    conservation: Float[np.ndarray | Array, ""]
    discretization: Float[np.ndarray | Array, "2"]
    """Error of the current, relative, and of the voltage, kT/e; NaN if the coarse mesh has no such point."""


def _branch(channel: Channel, discretization: Discretization, discretized: Discretized, path: Path) -> Branch:
    unit = _unit(channel)
    places = np.stack([point.place for point in path.points])
    current = _current(places.T, discretized)
    found = [point.found for point in path.points]
    errors = np.stack([f.discretization for f in found])
    fine = np.all(SAFETY * errors <= COARSE_ERROR, axis=1)  # False for NaN
    voltage = places[:, 0] * unit
    way = f"{channel.name}: the branch was followed from {voltage[0]:g} mV to {voltage[-1]:g} mV, {current[-1]:.4g} pA"
    return Branch(
        voltage=voltage,
        current=current,
        ion_current=np.stack([f.ion_current for f in found]),
        status=np.where(fine, Status.CONVERGED, Status.MESH_TOO_COARSE),
        conservation_error=np.stack([f.conservation for f in found]),
        discretization_error=errors[:, 0],
        voltage_error=errors[:, 1] * unit,
        folds=np.stack([voltage, current], axis=1)[path.folds],
        complete=path.ended == ARRIVED,
        message=f"{way}: {path.ended}",
        channel=channel,
        discretization=discretization,
        points=path.points,
    )


def _unit(channel: Channel) -> float:
    """mV per kT/e."""
    return float(units.thermal_voltage(channel.temperature))


def _current(place, discretized: Discretized):
    """pA, at a place (V, y)."""
    return np.sinh(place[1]) * float(discretized.least_current)


@eqx.filter_jit
def _first(discretized, voltage, settings):
    """The unknowns of `pnp.solve`, and whether it converged."""
    *_, fine = solve_on_meshes(discretized, voltage, settings)
    return fine.unknowns[:, 1:-1], fine.report.status != Status.NOT_CONVERGED


def _meeting(discretized: Discretized, iterations: int):
    """A function that finds where the branch crosses a line, see `arclength.Meet`."""
    limit = jnp.asarray(iterations)
    at = lambda guess, line: jax.device_get(_point(discretized, guess, line, limit))

    def meet(guess, line: Line) -> Point:
        point = at(guess, line)
        if point.good and np.isnan(point.found.discretization).any():
            # Next to a fold the coarse mesh's branch may have turned back before it meets the line.
            again = at(point.unknowns, Line(point.place, np.array([0.0, 1.0])))
            point = point._replace(found=again.found) if again.good else point
        return point

    return meet


@eqx.filter_jit
def _point(discretized: Discretized, guess, line: Line, iterations) -> Point:
    per_flux, least = discretized.current_per_flux, discretized.least_current
    fine, coarse = (partial(discretized.problem, mesh) for mesh in (-1, -2))
    met = _meet(fine, per_flux / least, guess, line.place[0], line, iterations)
    # Both meshes count mu from the same baths, but do not change from one to the other at the same node.
    reference = fine(met.voltage).node_reference[:, ::2] - coarse(met.voltage).node_reference
    rough = met.unknowns(fine)[:, ::2].at[1:].add(reference)[:, 1:-1]
    rough_met = _meet(coarse, per_flux / least, rough, met.voltage, line, jnp.where(met.good, iterations, 0))

    flux, deviation, _ = mean_flux(fine(met.voltage), met.unknowns(fine))
    rough_flux = mean_flux(coarse(rough_met.voltage), rough_met.unknowns(coarse)).mean
    current = flux @ per_flux
    size = jnp.maximum(jnp.abs(current), least)
    difference = jnp.stack([(current - rough_flux @ per_flux) / size, met.voltage - rough_met.voltage])
    return Point(
        place=jnp.stack([met.voltage, jnp.arcsinh(current / least)]),
        tangent=jnp.stack([jnp.ones_like(met.slope), met.slope]) / jnp.hypot(1.0, met.slope),
        unknowns=met.interior,
        sensitivity=met.sensitivity,
        found=_Found(
            flux * per_flux,
            flux_nonconservation(deviation, per_flux) / size,
            jnp.where(rough_met.good, jnp.abs(difference) / 3, jnp.nan),
        ),
        iterations=met.steps,
        good=met.good,
    )


class _Met(NamedTuple):
    """Newton's iterate for the point where the branch meets a line."""

    interior: Float[Array, "unknown interior"]
    voltage: Float[Array, ""]
    slope: Float[Array, ""]
    """dy/dV along the branch."""
    sensitivity: Float[Array, "unknown interior"]
    size: Float[Array, ""]
    """Largest update (kT) of the last step, undamped."""
    steps: Int[Array, ""]

    @property
    def good(self) -> Bool[Array, ""]:
        return self.size <= _TOLERANCE

    def unknowns(self, problem) -> Float[Array, "unknown node"]:
        """With the baths."""
        return with_baths(problem(self.voltage), self.interior)


def _meet(problem, weight, interior, voltage, line: Line, iterations) -> _Met:
    """Newton for steady state and voltage together, bordered by the equation of a line.

    - problem: a function of the voltage. weight: of the fluxes in I / I₀.

    With du = a + b dV, where a is Newton's step at a
    fixed voltage and b the sensitivity to it, one linear equation is left for dV.
    """

    def height(voltage, interior):
        at = problem(voltage)
        return jnp.arcsinh(mean_flux(at, with_baths(at, interior)).mean @ weight)

    def advance(met: _Met) -> _Met:
        update, sensitivity = newton_step(problem(met.voltage), met.unknowns(problem))
        y, rise = jax.jvp(lambda u: height(met.voltage, u), (met.interior,), (update,))
        _, slope = jax.jvp(height, (met.voltage, met.interior), (jnp.ones_like(met.voltage), sensitivity))
        missed = line.normal @ (jnp.stack([met.voltage, y]) - line.place)
        turn = -(missed + line.normal[1] * rise) / (line.normal[0] + line.normal[1] * slope)
        step = update + turn * sensitivity
        size = jnp.maximum(jnp.max(jnp.abs(step)), jnp.abs(turn))
        share = jnp.minimum(1.0, _CAP / size)
        return _Met(met.interior + share * step, met.voltage + share * turn, slope, sensitivity, size, met.steps + 1)

    going = lambda met: (met.steps < iterations) & ~met.good & ~jnp.isnan(met.size)
    nothing = jnp.full_like(voltage, jnp.inf)
    begin = _Met(interior, voltage, nothing, jnp.zeros_like(interior), nothing, jnp.zeros((), int))
    return jax.lax.while_loop(going, advance, begin)
