"""One steady state, solved on three nested meshes: its current extrapolated from the two finest, with its errors.

Each mesh gives the next its initial guess, which costs less than the Newton steps it saves. The scheme is of second
order, so that the currents I(N) and I(N/2) on the fine and the coarse mesh give I(N) + (I(N) − I(N/2)) / 3 without the
leading error (Richardson extrapolation). The coarsest mesh, with N/4 elements, shows what is left of it.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp import units
from pnp.analysis.discretized import Discretized
from pnp.analysis.solution import CaseResult, State
from pnp.finite_volume.initial_guess import InitialGuess, prolongate, restrict
from pnp.finite_volume.problem import MeshSolution
from pnp.settings import Settings, Status
from pnp.solver.newton import solve_root

COARSE_ERROR = 0.01
"""Relative discretisation error of the current above which the mesh counts as too coarse."""

SAFETY = 3.0
"""By how much an error may exceed its estimate before it counts as larger than stated: the factor for an order that is
not known (Roache, 1994, J. Fluids Eng. 116:405). scripts/stress.py shows that it is enough."""

ORDERS = 1.5, 2.5
"""Between these the observed order counts as that of the scheme."""

FLOOR = 0.1
"""The least error of an extrapolated value against what the extrapolation changes: a difference may be small by
chance."""

ROUND_OFF = 1e-12
"""The least relative error."""


def solve_on_meshes(
    discretized: Discretized,
    voltage: Float[Array, ""],
    settings: Settings,
    with_sensitivity: bool = False,
    axial: Float[Array, "unknown x"] | None = None,
    constant_coarsest: bool = True,
) -> tuple[MeshSolution, ...]:
    """Newton on the coarsest mesh, and from its solution on the next ones; coarsest first.

    - voltage: mV.
    - axial: of an axisymmetric channel, phi and mu in one dimension (kT), if known already.
    - constant_coarsest: whether the solution on the coarsest mesh is a constant to differentiation. It says how large
      errors are, and has no part in the current.
    """
    reduced, guesses = voltage / discretized.thermal_voltage, discretized.guesses
    coarsest = discretized.problem(0, reduced)
    if constant_coarsest:
        coarsest = jax.lax.stop_gradient(coarsest)
    first = None
    if discretized.axial is not None:
        if axial is None:
            axial = solve_on_meshes(discretized.axial, voltage, settings.loose())[-1].absolute
        first = discretized.guess_from_axial(axial, coarsest)
    solutions = [solve_root(coarsest, guesses[0], first, settings.loose(), converging=False)]
    for mesh in range(1, len(guesses)):
        problem = discretized.problem(mesh, reduced)
        carried = prolongate(solutions[-1], problem)
        solutions.append(solve_root(problem, guesses[mesh], carried, settings, with_sensitivity))
    return tuple(solutions)


def follow_on_meshes(
    discretized: Discretized, voltage: Float[Array, ""], settings: Settings, guesses: tuple[InitialGuess, ...]
) -> tuple[MeshSolution, ...]:
    """The same from the solutions at a voltage nearby, on the same branch of steady states if there are several.

    - guesses: of all meshes, coarsest first.

    Newton begins on the coarse mesh, and from its solution on the others: the coarsest alone may have no such branch.
    """
    reduced = voltage / discretized.thermal_voltage
    coarsest, coarse, fine = (discretized.problem(mesh, reduced) for mesh in range(3))
    middle = solve_root(coarse, guesses[1], None, settings, converging=False)
    lowest = solve_root(coarsest, guesses[0], restrict(middle, coarsest), settings.loose())
    return lowest, middle, solve_root(fine, guesses[2], prolongate(middle, fine), settings)


def steady_state(discretized: Discretized, voltage: Float[Array, ""], settings: Settings) -> State:
    """The steady state at a voltage (mV), with its errors."""
    return assess(discretized, voltage, solve_on_meshes(discretized, voltage, settings))[0]


def extrapolated(coarse, fine):
    """A value of second order, on two meshes of N/2 and N elements, without its leading error."""
    return fine + (fine - coarse) / 3


def extrapolation_error(values: Float[Array | np.ndarray, "3 *any"]) -> Float[Array, "*any"]:
    """The error of the value extrapolated from the two finest of three meshes, in its unit.

    - values: on each mesh, coarsest first.

    It is the difference from the value extrapolated from the two coarsest, but at least `FLOOR` of what the
    extrapolation changes; where the three do not show the scheme's order, at least all that it changes.
    """
    before, last = jnp.diff(values, axis=0)
    difference = jnp.abs(extrapolated(values[1], values[2]) - extrapolated(values[0], values[1]))
    low, high = (2.0**order * jnp.abs(last) for order in ORDERS)
    regular = (before * last > 0) & (jnp.abs(before) >= low) & (jnp.abs(before) <= high)
    return jnp.maximum(difference, jnp.where(regular, FLOOR, 1.0) * jnp.abs(last) / 3)


def assess(
    discretized: Discretized, voltage: Float[Array, ""], solutions: tuple[MeshSolution, ...]
) -> tuple[State, Float[Array, ""] | None]:
    """Observables of the solutions on the three meshes, with their errors; and dI/dV (nS) if the reports have the
    sensitivity. Currents are extrapolated, profiles those of the fine mesh."""
    _, coarse, fine = solutions
    scheme, current_per_flux = fine.problem.scheme, discretized.current_per_flux
    found = [scheme.mean_flux(each.problem, each.unknowns) for each in solutions]
    flux = extrapolated(found[1].mean, found[2].mean)
    current = flux @ current_per_flux
    lost = [each.report.status == Status.NOT_CONVERGED for each in solutions]
    on_meshes = jnp.stack(
        [jnp.where(no, jnp.nan, each.mean @ current_per_flux) for no, each in zip(lost, found, strict=True)]
    )
    size = jnp.maximum(jnp.abs(current), discretized.least_current)
    # Of a sum of two with the weights 4/3 and −1/3.
    deviations = [flux_nonconservation(each.deviation, current_per_flux) for each in found]
    nonconservation = (4 * deviations[2] + deviations[1]) / 3 / size
    error = jnp.maximum(extrapolation_error(on_meshes) / size, ROUND_OFF)
    density = scheme.flux_density(fine.problem, fine.unknowns, discretized.z, discretized.r)
    # A factor, not a `where`: the derivative of what is not known must be NaN as well, not zero.
    known = jnp.where(lost[1] | lost[2], jnp.nan, 1.0)
    closed = discretized.closed
    valid = lambda value: jnp.where(closed, 0.0, known * value)  # of what flows
    solved = lambda value: jnp.where(closed, jnp.nan, known * value)
    worst = jnp.where(lost[2], fine.report.worst, coarse.report.worst * jnp.array([1, 2]))
    state = State(
        voltage=voltage,
        x=discretized.x,
        z=discretized.z,
        r=discretized.r,
        potential=solved(fine.unknowns[0] * discretized.thermal_voltage),
        concentration=solved(scheme.concentrations(fine.problem, fine.unknowns)),
        flux_density=None if density is None else solved(density / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        resistance=solved(_resistances(discretized, (coarse, fine), found[1:], current)),
        flux=valid(flux / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        ion_current=valid(flux * current_per_flux),
        current=valid(current),
        mesh_current=valid(on_meshes),
        status=jnp.where(closed, Status.CLOSED, _status([each.report.status for each in solutions], error)),
        conservation_error=valid(jax.lax.stop_gradient(nonconservation)),
        discretization_error=valid(jax.lax.stop_gradient(error)),
        elements=jnp.asarray(discretized.x.size - 1),
        iterations=sum(each.report.iterations for each in solutions),
        worst_ion=worst[0] - 1,
        worst_x=jnp.where(closed, discretized.closed_at, jnp.where(jnp.isnan(known), discretized.x[worst[1]], jnp.nan)),
    )
    if fine.report.sensitivity is None:
        return state, None
    slope = extrapolated(
        *(_flux_slope(each, one.resistance_fraction) for each, one in zip(solutions[1:], found[1:], strict=True))
    )
    return state, valid(slope @ current_per_flux / discretized.thermal_voltage)


def _flux_slope(solution: MeshSolution, fraction) -> Float[Array, " ion"]:
    """d flux / d voltage of each ion, mM nm³/ns per kT/e; without derivatives."""
    scheme = solution.problem.scheme
    interior = scheme.interior(solution.unknowns)
    return scheme.flux_sensitivity(
        *jax.lax.stop_gradient((solution.problem, interior, solution.report.sensitivity, fraction))
    )


def _resistances(discretized: Discretized, solutions, found, current) -> Float[Array, " 3"]:
    """Of the inside access, the pore and the outside access, GΩ: what the ions lose in each, Σ J Δmu, over I²."""
    lost = []
    for stride, solution, flux in zip((2, 1), solutions, found, strict=True):
        problem, x = solution.problem, discretized.x[::stride]
        mouths = problem.scheme.mouth_potentials(problem, solution.unknowns, x, discretized.mouths)
        inside, outside = map(jnp.stack, problem.bath_mu)
        lost.append(-jnp.diff(jnp.stack([inside, *mouths, outside]), axis=0) @ flux.mean)
    known = jnp.abs(current) > 1e-9 * discretized.least_current
    unit = units.CURRENT_PER_FLUX * discretized.thermal_voltage
    return jnp.where(known, unit * extrapolated(*lost) / jnp.where(known, current, 1.0) ** 2, jnp.nan)


def flux_nonconservation(deviation: Float[Array, "ion element"], current_per_flux: Float[Array, " ion"]):
    """Largest deviation of the ion currents along x from their means, summed over ions, pA."""
    return (jnp.abs(current_per_flux) @ jnp.abs(deviation)).max()


def _status(statuses, error):
    """The status of a point from those of the three meshes, coarsest first, and its relative error; an error that is
    not known counts as too large."""
    coarsest, coarse, fine = statuses
    trusted = (coarsest != Status.NOT_CONVERGED) & (SAFETY * error <= COARSE_ERROR)
    worst = jnp.maximum(coarse, fine)
    converged = jnp.where(trusted, jnp.maximum(worst, coarsest), Status.MESH_TOO_COARSE)
    return jnp.where(worst == Status.NOT_CONVERGED, worst, converged)


def without_profiles(state: State) -> dict[str, Array]:
    """The fields of `CaseResult`, by name."""
    return {field.name: getattr(state, field.name) for field in dataclasses.fields(CaseResult)}
