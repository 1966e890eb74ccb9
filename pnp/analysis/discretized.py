"""A channel on nested meshes, with an initial guess on each: all that the solver needs of it."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp import units
from pnp.channel.activity import ActivityCoefficients
from pnp.channel.channel import Channel
from pnp.channel.closed import opened
from pnp.finite_volume.axial.mesh import make_elements, make_mesh
from pnp.finite_volume.axial.scheme import AXIAL_SCHEME
from pnp.finite_volume.axisymmetric.cell_properties import make_cells
from pnp.finite_volume.axisymmetric.cells import Cells
from pnp.finite_volume.axisymmetric.mesh import AxisymmetricMesh, axis_positions, make_axisymmetric_mesh
from pnp.finite_volume.axisymmetric.nernst_planck import poisson_boltzmann_guess
from pnp.finite_volume.axisymmetric.scheme import AXISYMMETRIC_SCHEME
from pnp.finite_volume.fluxes import Element
from pnp.finite_volume.initial_guess import InitialGuess, donnan_guess, with_midpoints
from pnp.finite_volume.problem import Problem
from pnp.finite_volume.scheme import Scheme
from pnp.tracing import is_traced

TRACE_FRACTION = 1e-12
"""An ion absent from a bath is given this fraction of the bath's largest concentration, since mu holds ln c; it changes
currents by as little."""


class Discretized(eqx.Module):
    """A channel on nested meshes, coarse to fine. Programs that take one serve all channels of as many ions."""

    x: Float[Array, " x"]
    """Positions of the fine mesh's nodes; in two dimensions of those on the axis, one of each slice, nm."""
    elements: tuple[Element | Cells, ...]
    """Of each mesh, coarse to fine."""
    guesses: tuple[InitialGuess, ...]
    """On each mesh."""
    valence: Float[Array, " ion"]
    log_activity: Float[Array, "2 ion"]
    """ln of the activities in the baths, mM."""
    activity: ActivityCoefficients
    temperature: Float[Array, ""]
    """K."""
    mouths: Float[Array, " 2"]
    """nm."""
    ohmic_flux: Float[Array, ""]
    """Flux that 1 kT/e drives through the pore in linear response, mM nm³/ns."""
    permeability: Float[Array, " ion"]
    """1 / ∫ dx / (D A) from bath to bath, nm³/ns."""
    closed_at: Float[Array, ""]
    """Where the pore is closed, nm; the equations are then those of an open one in its place. NaN if it is open."""
    scheme: Scheme = eqx.field(static=True)
    z: Float[Array, "x across"] | None = None
    """Positions of all nodes along the axis, nm; None in one dimension."""
    r: Float[Array, "x across"] | None = None
    """Their distances from the axis, nm; None in one dimension."""
    axial: "Discretized | None" = None
    """The same channel in one dimension, whose solution is the guess for two."""
    axial_position: Float[Array, "coarse_x coarse_across"] | None = None
    """Where on the axis the nodes of the coarsest mesh take their guess from, nm."""

    def problem(self, mesh: int, voltage: Float[Array, ""]) -> Problem:
        """The problem on one of the meshes (0: the coarsest, −1: the finest) at a voltage (kT/e)."""
        whole = jnp.ones_like(voltage)
        elements = self.elements[mesh]
        return Problem(elements, self.valence, self.log_activity, voltage, whole, self.activity, self.scheme)

    def guess_from_axial(
        self, absolute: Float[Array, "unknown x"], problem: Problem
    ) -> Float[Array, "unknown slice node"]:
        """Unknowns on the coarsest mesh from phi and mu in one dimension (kT).

        mu is nearly the same all over a cross-section, and phi follows from it by Poisson's equation.
        """
        assert self.axial is not None
        assert self.axial_position is not None
        carried = _from_axis(self.axial.x, absolute, self.axial_position)
        return poisson_boltzmann_guess(problem, problem.relative(carried))

    @property
    def closed(self) -> Bool[Array, ""]:
        """Whether the pore is closed, so that nothing flows."""
        return ~jnp.isnan(self.closed_at)

    @property
    def thermal_voltage(self) -> Float[Array, ""]:
        """kT/e, mV."""
        return units.thermal_voltage(self.temperature)

    @property
    def current_per_flux(self) -> Float[Array, " ion"]:
        """pA per mM nm³/ns of each ion."""
        return units.CURRENT_PER_FLUX * self.valence

    @property
    def least_current(self) -> Float[Array, ""]:
        """0.1 % of what kT/e drives through the pore, pA. Errors are relative to the current or to this if larger."""
        return 1e-3 * units.CURRENT_PER_FLUX * self.ohmic_flux


def discretize(channel: Channel, nodes: int, resolution: float | None = None) -> Discretized:
    """A channel on three nested meshes, each with half as many elements in each direction as the next.

    - nodes: elements of the fine axial mesh.
    - resolution: of the axisymmetric mesh (number of cells in each direction over the default); None: one dimension.
    """
    axial = _discretize_axial(channel, nodes)
    if resolution is None:
        return axial
    # Within a larger program, where even a known channel is traced, it could have no compiler options of its own.
    make = _discretize_axisymmetric if is_traced((channel, axial)) else _discretize_axisymmetric_unoptimized
    return make(channel, axial, resolution)


@eqx.filter_jit
def _discretize_axial(channel: Channel, nodes: int) -> Discretized:
    channel, closed_at = opened(channel)
    mesh = make_mesh(channel, nodes)
    # Each with integrals of its own: what a mesh's quadrature misses shows in their difference.
    elements = tuple(make_elements(channel, each) for each in (mesh.coarse.coarse, mesh.coarse, mesh))
    bath = channel.bath_concentration
    bath = jnp.maximum(bath, TRACE_FRACTION * bath.max())
    activity = channel.activity_model.coefficients(channel.ion_names, channel.bath_permittivity, channel.temperature)
    guess, ohmic_flux = donnan_guess(elements[0], channel.valence, bath, activity)
    guesses = [guess]
    for _ in elements[1:]:
        guesses.append(_on_places(with_midpoints, guesses[-1]))
    return Discretized(
        x=mesh.nodes,
        elements=elements,
        guesses=tuple(guesses),
        valence=jnp.asarray(channel.valence),
        log_activity=jnp.log(activity.activity(list(bath.T), list(channel.valence)).T),
        activity=activity,
        temperature=channel.temperature,
        mouths=jnp.stack([jnp.asarray(channel.pore.start, float), jnp.asarray(channel.pore.end, float)]),
        ohmic_flux=ohmic_flux,
        permeability=jnp.where(jnp.isnan(closed_at), 1 / (1 / elements[-1].conductance).sum(1), 0.0),
        closed_at=closed_at,
        scheme=AXIAL_SCHEME,
    )


def _made_axisymmetric(channel: Channel, axial: Discretized, resolution: float) -> Discretized:
    channel, _ = opened(channel)
    mesh = make_axisymmetric_mesh(channel, resolution)
    meshes = (mesh.coarse.coarse, mesh.coarse, mesh)
    return dataclasses.replace(
        axial,
        x=mesh.z[:, 0],
        elements=tuple(make_cells(channel, each) for each in meshes),
        guesses=tuple(_guess_on(channel, axial, each) for each in meshes),
        scheme=AXISYMMETRIC_SCHEME,
        z=mesh.z,
        r=mesh.r,
        axial=axial,
        axial_position=axis_positions(channel, meshes[0]),
    )


_discretize_axisymmetric = eqx.filter_jit(_made_axisymmetric)
_discretize_axisymmetric_unoptimized = eqx.filter_jit(
    _made_axisymmetric,
    compiler_options={"xla_backend_optimization_level": 0},  # type: ignore
)
"""It runs once, in a thousandth of the time that it takes to compile."""


def _guess_on(channel: Channel, axial: Discretized, mesh: AxisymmetricMesh) -> InitialGuess:
    at = axis_positions(channel, mesh)
    return _on_places(lambda values: _from_axis(axial.x, values, at), axial.guesses[-1])


def _on_places(function, guess: InitialGuess) -> InitialGuess:
    """A guess with all that it has at the nodes mapped to those of another mesh."""
    full, first, profile = (function(values) for values in guess[:3])
    return guess._replace(full=full, first=first, voltage_profile=profile)


def _from_axis(x, values: Float[Array, "*any x"], at: Float[Array, "slice node"]):
    """Values along the axis interpolated to positions `at`."""
    rows = jax.vmap(lambda row: jnp.interp(at, x, row))(values.reshape(-1, values.shape[-1]))
    return jax.lax.stop_gradient(rows.reshape(*values.shape[:-1], *at.shape))
