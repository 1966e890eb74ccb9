"""One steady state, solved on nested meshes, with its conservation and discretisation errors.

The coarse mesh gives the fine one its initial guess and the answer its discretisation error; it costs less than the
Newton steps it saves.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.analysis.discretized import Discretized
from pnp.analysis.solution import CaseResult, State
from pnp.finite_volume.initial_guess import InitialGuess, prolongate
from pnp.finite_volume.problem import MeshSolution
from pnp.settings import Settings, Status
from pnp.solver.newton import solve_root

COARSE_ERROR = 0.01
"""Relative discretisation error of the current above which the mesh counts as too coarse."""

SAFETY = 5.0
"""By how much an error may exceed its estimate from two meshes: where a depleted layer is not resolved the order is
not yet 2, and the estimate is too small. Three is the factor for two meshes of an unknown order (Roache, 1994, J.
Fluids Eng. 116:405); scripts/stress.py shows that five is enough."""


def solve_on_meshes(
    discretized: Discretized,
    voltage: Float[Array, ""],
    settings: Settings,
    with_sensitivity: bool = False,
    guesses: tuple[InitialGuess, ...] | None = None,
    axial: Float[Array, "unknown x"] | None = None,
) -> tuple[MeshSolution, MeshSolution]:
    """Newton on the coarse mesh, and from its solution on the fine one.

    - voltage: mV.
    - guesses: initial guesses on both meshes, those of `discretized` unless given. That of the fine mesh serves a
      continuation only.
    - axial: of an axisymmetric channel, phi and mu in one dimension (kT), if known already.
    """
    reduced = voltage / discretized.thermal_voltage
    coarse, fine = (discretized.problem(mesh, reduced) for mesh in (0, -1))
    guesses = guesses or discretized.guesses
    first = None
    if discretized.axial is not None:
        if axial is None:
            axial = solve_on_meshes(discretized.axial, voltage, settings.loose())[1].absolute
        first = discretized.guess_from_axial(axial, coarse)
    rough = solve_root(coarse, guesses[0], first, settings.loose(), converging=False)
    return rough, solve_root(fine, guesses[-1], prolongate(rough, fine), settings, with_sensitivity)


def steady_state(discretized: Discretized, voltage: Float[Array, ""], settings: Settings) -> State:
    """The steady state at a voltage (mV), with its errors."""
    return assess(discretized, voltage, *solve_on_meshes(discretized, voltage, settings))[0]


def assess(
    discretized: Discretized, voltage: Float[Array, ""], coarse: MeshSolution, fine: MeshSolution
) -> tuple[State, Float[Array, ""] | None]:
    """Observables of the fine solution with their errors; and dI/dV (nS) if its report has the sensitivity."""
    problem, unknowns, report = fine
    scheme, current_per_flux = problem.scheme, discretized.current_per_flux
    flux, deviation, fraction = scheme.mean_flux(problem, unknowns)
    current = flux @ current_per_flux
    coarse_current = scheme.mean_flux(coarse.problem, coarse.unknowns).mean @ current_per_flux
    size = jnp.maximum(jnp.abs(current), discretized.least_current)
    nonconservation = flux_nonconservation(deviation, current_per_flux) / size
    discretization_error = jnp.abs(current - coarse_current) / 3 / size
    # Where double layers are not resolved, errors of one region may compensate those of another on two meshes, though
    # on a third they would not: the difference of the currents is then too small by chance.
    difference = scheme.mesh_difference(fraction, coarse, fine)
    uncompensated = jnp.abs(flux * current_per_flux) @ (difference / 3) / size
    density = scheme.flux_density(problem, unknowns, discretized.x, discretized.r)
    # A factor, not a `where`: the derivative of what is not known must be NaN as well, not zero.
    unknown = [each.report.status == Status.NOT_CONVERGED for each in (fine, coarse)]
    known, compared = (jnp.where(is_unknown, jnp.nan, 1.0) for is_unknown in unknown)
    valid = lambda value: known * value
    state = State(
        voltage=voltage,
        x=discretized.x,
        r=discretized.r,
        potential=valid(unknowns[0] * discretized.thermal_voltage),
        concentration=valid(scheme.concentrations(problem, unknowns)),
        flux_density=None if density is None else valid(density / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        resistance=valid(_resistances(discretized, fine, flux)),
        flux=valid(flux / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        ion_current=valid(flux * current_per_flux),
        current=valid(current),
        extrapolated_current=valid(compared * (current + (current - coarse_current) / 3)),
        status=_status(report.status, coarse.report.status, jnp.maximum(discretization_error, uncompensated)),
        conservation_error=valid(jax.lax.stop_gradient(nonconservation)),
        discretization_error=valid(jax.lax.stop_gradient(compared * discretization_error)),
        iterations=report.iterations + coarse.report.iterations,
        worst_ion=report.worst[0] - 1,
        worst_x=jnp.where(unknown[0], discretized.x[report.worst[1]], jnp.nan),
    )
    if report.sensitivity is None:
        return state, None
    fixed = jax.lax.stop_gradient((problem, scheme.interior(unknowns), report.sensitivity, fraction))
    slope = scheme.flux_sensitivity(*fixed) @ current_per_flux
    return state, valid(slope / discretized.thermal_voltage)


def _resistances(discretized: Discretized, fine: MeshSolution, flux) -> Float[Array, " 3"]:
    """Of the inside access, the pore and the outside access, GΩ: what the ions lose in each, Σ J Δmu, over I²."""
    problem = fine.problem
    mouths = problem.scheme.mouth_potentials(problem, fine.unknowns, discretized.x, discretized.mouths)
    inside, outside = map(jnp.stack, problem.bath_mu)
    lost = -jnp.diff(jnp.stack([inside, *mouths, outside]), axis=0) @ flux
    current = flux @ discretized.current_per_flux
    known = jnp.abs(current) > 1e-9 * discretized.least_current
    unit = units.CURRENT_PER_FLUX * discretized.thermal_voltage
    return jnp.where(known, unit * lost / jnp.where(known, current, 1.0) ** 2, jnp.nan)


def flux_nonconservation(deviation: Float[Array, "ion element"], current_per_flux: Float[Array, " ion"]):
    """Largest deviation of the ion currents along x from their means, summed over ions, pA."""
    return (jnp.abs(current_per_flux) @ jnp.abs(deviation)).max()


def _status(fine, coarse, error):
    """The status of a point from both meshes and its relative error; an error that is not known counts as too large."""
    trusted = (coarse != Status.NOT_CONVERGED) & (SAFETY * error <= COARSE_ERROR)
    converged = jnp.where(trusted, jnp.maximum(fine, coarse), Status.MESH_TOO_COARSE)
    return jnp.where(fine == Status.NOT_CONVERGED, fine, converged)


def without_profiles(state: State) -> dict[str, Array]:
    """The fields of `CaseResult`, by name."""
    return {field.name: getattr(state, field.name) for field in dataclasses.fields(CaseResult)}
