"""One steady state, solved on two meshes, with what it says of its own errors.

Every problem is solved on two nested meshes. The coarse one gives the fine one its start and the
answer its discretisation error; it costs less than the Newton steps it saves.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pnp import units
from pnp.analysis.discretized import Discretized
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.assembly import Problem
from pnp.finite_volume.axisymmetric.scheme import flux_density
from pnp.finite_volume.initial_guess import prolongate
from pnp.finite_volume.problem import Origin, Start, Steady
from pnp.finite_volume.scheme import Solved
from pnp.finite_volume.schemes import scheme_of
from pnp.settings import Settings, Status
from pnp.solver.newton import Report, solve_root

COARSE_ERROR = 0.01
"""Relative discretisation error of the current above which the mesh counts as too coarse."""

SAFETY = 5.0
"""By how much an error may exceed its estimate from two meshes: where a depleted layer is not resolved the order is
not yet 2, and the estimate is too small. Three is the factor for two meshes of an unknown order (Roache, 1994, J.
Fluids Eng. 116:405); scripts/stress.py shows that five is enough."""

LANES = 64
"""Cases that are best solved side by side on a processor: enough to fill its vectors, few enough for its caches, for
showing progress, and for not waiting long for the slowest of them."""


class Currents(eqx.Module):
    """Currents of many cases ([case]: voltages, channels or both). Unconverged, a case is NaN (see `status`).

    The errors are those of `Solution`.
    """

    voltage: Float[Array, "*case"]
    """mV."""
    current: Float[Array, "*case"]
    """pA, positive outward."""
    ion_current: Float[Array, "*case ion"]
    """pA."""
    extrapolated_current: Float[Array, "*case"]
    """pA, from both meshes: see `Solution.extrapolated_current`."""
    status: Int[Array, "*case"]
    conservation_error: Float[Array, "*case"]
    discretization_error: Float[Array, "*case"]
    iterations: Int[Array, "*case"]
    worst_ion: Int[Array, "*case"]
    worst_x: Float[Array, "*case"]
    ion_names: tuple[str, ...] = eqx.field(static=True)

    @property
    def converged(self) -> Array:
        """[case], True where there is a value."""
        return self.status != Status.NOT_CONVERGED

    @property
    def dimension(self) -> int:
        """1 or 2."""
        return 1

    def messages(self) -> list[str]:
        """What the status of each case means and asks for."""
        status, ion, x = (np.ravel(value).tolist() for value in (self.status, self.worst_ion, self.worst_x))
        return [status_message(*case, self.ion_names, self.dimension) for case in zip(status, ion, x, strict=True)]


def status_message(status: int, worst_ion: int, worst_x: float, ion_names: tuple[str, ...], dimension: int = 1) -> str:
    """The text of a status, with what it says of the place where it went wrong."""
    text = Status(status).advice(dimension)
    if status != Status.NOT_CONVERGED:
        return text
    what = "the potential" if worst_ion < 0 else f"the concentration of {ion_names[worst_ion]}"
    return f"{text}; what kept changing was {what} at {'xz'[dimension - 1]} = {worst_x:.4g} nm"


class State(eqx.Module):
    """A steady state at one voltage, in numbers. Unconverged, every one of them is NaN (see `status`).

    conservation_error: largest deviation of the ion currents along x from their mean, relative to
    the current (or to 0.1 % of what kT/e drives through the pore, where the current is smaller); in elements
    of less than average resistance in proportion to it.
    discretization_error: estimated from the coarser mesh as |I(N) − I(N/2)| / 3, relative alike; NaN if there is no
    solution on that one, and so is the extrapolated current.
    """

    voltage: Float[Array, ""]
    """mV."""
    x: Float[Array, " node"]
    """nm; in two dimensions z, of slices of nodes."""
    r: Float[Array, "node across"] | None
    """nm, of the nodes of each slice; None in one dimension."""
    potential: Float[Array, "node *across"]
    """mV, zero in the outside bath."""
    concentration: Float[Array, "node *across ion"]
    """mM; where a potential of mean force jumps, the mean over the node's volume; zero in the membrane."""
    flux_density: Float[Array, "2 node across ion"] | None
    """Ions per nm² and ns, along z and away from the axis; None in one dimension."""
    resistance: Float[Array, " 3"]
    """GΩ, of the access from inside, the pore and the access from outside: what each dissipates per current squared.
    Their sum is V/I between equal baths. NaN without current."""
    flux: Float[Array, " ion"]
    """Ions per ns through the pore, positive outward."""
    ion_current: Float[Array, " ion"]
    """pA, positive outward."""
    current: Float[Array, ""]
    """pA, positive outward."""
    extrapolated_current: Float[Array, ""]
    """pA: the current of both meshes extrapolated to no mesh at all (Richardson), I(N) + (I(N) − I(N/2)) / 3.
    Usually far closer than `discretization_error`, which is that of `current`, says."""
    status: Int[Array, ""]
    conservation_error: Float[Array, ""]
    discretization_error: Float[Array, ""]
    iterations: Int[Array, ""]
    worst_ion: Int[Array, ""]
    """What could not be settled if it did not converge: the index of an ion, or −1 for the potential …"""
    worst_x: Float[Array, ""]
    """… and where, nm; NaN if it converged."""


class Solution(State):
    """A steady state of a channel at one voltage. Unconverged, every number in it is NaN (see `status`)."""

    channel: Channel

    @property
    def ion_names(self) -> tuple[str, ...]:
        """Names along the `ion` axis."""
        return self.channel.ion_names

    @property
    def dimension(self) -> int:
        """1 or 2."""
        return 1 if self.r is None else 2

    @property
    def message(self) -> str:
        """What the status means and asks for."""
        worst = int(self.worst_ion), float(self.worst_x)
        return status_message(int(self.status), *worst, self.ion_names, self.dimension)

    def to_xarray(self):
        """An `xarray.Dataset` of the profiles with units, names and provenance."""
        from pnp.io.datasets import solution_dataset

        return solution_dataset(self)

    def to_vtu(self, path) -> None:
        """Write a solution of two dimensions as .vtu, for ParaView; see `pnp.io.vtu.write_vtu`, and what it raises."""
        from pnp.io.vtu import write_vtu

        write_vtu(self, path)


def check_arguments(channel: Channel, nodes: int) -> None:
    """Raise what `solve` and its kin raise of arguments of the wrong kind: TypeError, ValueError, RuntimeError."""
    if not jax.config.read("jax_enable_x64"):
        raise RuntimeError(
            "pnp computes in float64, but JAX's 64-bit mode was switched off after `import pnp`; "
            'switch it on again with jax.config.update("jax_enable_x64", True)'
        )
    if not isinstance(channel, Channel):
        raise TypeError(f"expected a pnp.Channel, not {type(channel).__name__}; pnp.load reads one from a file")
    if isinstance(nodes, bool) or not isinstance(nodes, int | np.integer) or not 8 <= nodes <= 1_000_000:
        raise ValueError(f"nodes must be a whole number from 8 to 1,000,000, not {nodes!r}")


class Begin(NamedTuple):
    """Where both meshes begin, if not at the Donnan starts of their discretized."""

    coarse: Start
    fine: Start
    """Only for a continuation: its first attempt is from the coarse mesh's answer."""
    origin: Origin | None


class Iterate(NamedTuple):
    """What Newton left on one mesh."""

    steady: Steady
    unknowns: Float[Array, "unknown *place"]
    report: Report

    @property
    def absolute(self) -> Float[Array, "unknown *place"]:
        """phi and mu, as a start wants them, kT."""
        return self.steady.whole().absolute(self.unknowns)


def solve_on_meshes(
    discretized: Discretized,
    voltage: Array,
    settings: Settings,
    with_sensitivity=False,
    begin: Begin | None = None,
    line: Float[Array, "unknown x"] | None = None,
) -> tuple[Iterate, Iterate]:
    """Newton on the coarse mesh, and from its answer on the fine one, at a voltage (mV).

    line: of a plane, phi and mu of the same channel in one dimension (kT), if known already.
    """
    coarse, fine = discretized.coarse, discretized.fine
    wanted = lambda level: discretized.steady(level, voltage / discretized.unit)
    first = None
    if discretized.line is not None:
        if line is None:
            line = solve_on_meshes(discretized.line, voltage, settings.rough())[1].absolute
        first = discretized.over_the_plane(line, wanted(coarse))
    begin = begin or Begin(coarse.start, fine.start, None)
    # The origin is how the answer is found, not part of the question: the iterates do without.
    sought = lambda level: wanted(level)._replace(origin=begin.origin)
    rough = Iterate(wanted(coarse), *solve_root(sought(coarse), begin.coarse, first, settings.rough(), near=False))
    guess = prolongate(rough.unknowns, rough.steady.whole(), wanted(fine).whole())
    return rough, Iterate(wanted(fine), *solve_root(sought(fine), begin.fine, guess, settings, with_sensitivity))


def steady_state(discretized: Discretized, voltage: Array, settings: Settings) -> State:
    """Solve on both discretized, and say how far apart they are."""
    return assess(discretized, voltage, *solve_on_meshes(discretized, voltage, settings))[0]


def assess(
    discretized: Discretized, voltage: Array, coarse: Iterate, fine: Iterate
) -> tuple[State, Float[Array, ""] | None]:
    """What the iterates on both meshes mean, with its errors; and dI/dV (nS) if the fine one has its sensitivity."""
    unit, charge = discretized.unit, discretized.charge
    problem, unknowns, report = fine.steady.whole(), fine.unknowns, fine.report
    scheme = scheme_of(problem.elements)
    flux, deviation, share = scheme.mean_flux(problem, unknowns)
    current = flux @ charge
    rough_current = scheme.mean_flux(coarse.steady.whole(), coarse.unknowns).mean @ charge
    size = jnp.maximum(jnp.abs(current), discretized.least_current)
    uneven = flux_nonconservation(deviation, charge) / size
    coarseness = jnp.abs(current - rough_current) / 3 / size
    # Where double layers are not resolved, errors of one region may make up for those of another on two meshes, though
    # on a third they would not: the difference of the currents is then too small by chance.
    apart = scheme.apart(share, *(Solved(each.steady.whole(), each.unknowns) for each in (coarse, fine)))
    unresolved = jnp.abs(flux * charge) @ (apart / 3) / size
    density = None if discretized.r is None else flux_density(problem, unknowns, discretized.x, discretized.r)
    # A factor, not a `where`: the derivative of what is not there must be NaN as well, not zero.
    known, compared = (jnp.where(one.status == Status.NOT_CONVERGED, jnp.nan, 1.0) for one in (report, coarse.report))
    valid = lambda value: known * value
    state = State(
        voltage=voltage,
        x=discretized.x,
        r=discretized.r,
        potential=valid(unknowns[0] * unit),
        concentration=valid(scheme.concentrations(problem, unknowns)),
        flux_density=None if density is None else valid(density / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        resistance=valid(_resistances(discretized, problem, unknowns, flux)),
        flux=valid(flux / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        ion_current=valid(flux * charge),
        current=valid(current),
        extrapolated_current=valid(compared * (current + (current - rough_current) / 3)),
        status=overall_status(report.status, coarse.report.status, jnp.maximum(coarseness, unresolved)),
        conservation_error=valid(jax.lax.stop_gradient(uneven)),
        discretization_error=valid(jax.lax.stop_gradient(compared * coarseness)),
        iterations=report.iterations + coarse.report.iterations,
        worst_ion=report.worst[0] - 1,
        worst_x=jnp.where(report.status == Status.NOT_CONVERGED, discretized.x[report.worst[1]], jnp.nan),
    )
    if report.sensitivity is None:
        return state, None
    fixed = jax.lax.stop_gradient((problem, scheme.interior(unknowns), report.sensitivity, share))
    slope = scheme.flux_change(*fixed) @ charge
    return state, valid(slope / unit)


def _resistances(discretized: Discretized, problem: Problem, unknowns, flux) -> Float[Array, " 3"]:
    """Of the inside access, the pore and the outside access, GΩ: what the ions lose in each, Σ J Δmu, over I²."""
    mouths = scheme_of(problem.elements).mouth_potentials(problem, unknowns, discretized.x, discretized.mouths)
    inside, outside = map(jnp.stack, problem.bath_mu)
    lost = -jnp.diff(jnp.stack([inside, *mouths, outside]), axis=0) @ flux
    current = flux @ discretized.charge
    known = jnp.abs(current) > 1e-9 * discretized.least_current
    return jnp.where(
        known, units.CURRENT_PER_FLUX * discretized.unit * lost / jnp.where(known, current, 1.0) ** 2, jnp.nan
    )


def without_profiles(state: State) -> dict[str, Array]:
    """What a state has in common with those of other cases, for a `Currents`."""
    return {name: getattr(state, name) for name in Currents.__dataclass_fields__ if name in State.__dataclass_fields__}


def flux_nonconservation(deviation, charge) -> Float[Array, ""]:
    """Largest deviation of the ion currents along x, pA, from those of the fluxes of `mean_flux`."""
    return (jnp.abs(charge) @ jnp.abs(deviation)).max()


def overall_status(fine, coarse, coarseness):
    """The status_message on a point from both meshes and its relative error; one that is not known counts as too
    large."""
    trusted = (coarse != Status.NOT_CONVERGED) & (SAFETY * coarseness <= COARSE_ERROR)
    converged = jnp.where(trusted, jnp.maximum(fine, coarse), Status.MESH_TOO_COARSE)
    return jnp.where(fine == Status.NOT_CONVERGED, fine, converged)
