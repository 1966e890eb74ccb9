"""A channel as the solver sees it: on two nested meshes, with a start for Newton on each."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.channel.activity import ActivityCoefficients
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.mesh import coarsened, make_elements, make_mesh
from pnp.finite_volume.axisymmetric.cells import Plane
from pnp.finite_volume.axisymmetric.mesh import AxisymmetricMesh, axis_positions, make_axisymmetric_mesh, make_cells
from pnp.finite_volume.axisymmetric.scheme import balanced
from pnp.finite_volume.fluxes import Element
from pnp.finite_volume.initial_guess import donnan_guess, with_midpoints
from pnp.finite_volume.problem import Start, Steady

TRACE = 1e-12
"""An ion absent from a bath is given this fraction of the bath's largest concentration, since mu
holds ln c; it changes currents by as little."""


class Level(eqx.Module):
    """One mesh's share of the problem."""

    elements: Element | Plane
    start: Start


class Discretized(eqx.Module):
    """All that a channel is to the solver; programs that take this one serve all channels of as many ions."""

    x: Float[Array, " node"]
    """Of the fine one, nm: of nodes, or of slices of them."""
    coarse: Level
    fine: Level
    valence: Float[Array, " ion"]
    activity: Float[Array, "2 ion"]
    """In the baths, mM, none of them zero."""
    excess: ActivityCoefficients
    temperature: Float[Array, ""]
    """K."""
    mouths: Float[Array, " 2"]
    """nm."""
    ohmic: Float[Array, ""]
    """Flux that 1 kT/e drives through the pore in linear sensitivity, mM nm³/ns."""

    permeability: Float[Array, " ion"]
    """1 / ∫ dx / (D A) from bath to bath, nm³/ns."""
    r: Float[Array, "slice node"] | None = None
    """Of nodes in the plane, nm."""
    line: "Discretized | None" = None
    """The same channel in one dimension, from whose solution the plane's is found."""
    axis: Float[Array, "slice node"] | None = None
    """Where on the line the nodes of the coarse grid belong, nm."""

    def steady(self, level: Level, voltage: Float[Array, ""]) -> Steady:
        """The problem on one of the meshes at a voltage (kT/e)."""
        return Steady(level.elements, self.valence, self.activity, voltage, self.excess)

    def over_the_plane(self, absolute: Float[Array, "unknown x"], steady: Steady) -> Float[Array, "unknown slice node"]:
        """A guess for the coarse grid from phi and mu in one dimension (kT): mu is nearly the same all over a
        cross-section, and phi is what it makes of it."""
        assert self.line is not None
        assert self.axis is not None
        problem = steady.whole()
        return balanced(problem, problem.relative(_carried_over(self.line.x, absolute, self.axis)))

    @property
    def unit(self) -> Float[Array, ""]:
        """mV per kT/e."""
        return units.thermal_voltage(self.temperature)

    @property
    def charge(self) -> Float[Array, " ion"]:
        """pA per flux."""
        return units.CURRENT_PER_FLUX * self.valence

    @property
    def least_current(self) -> Float[Array, ""]:
        """0.1 % of what kT/e drives through the pore, pA. Errors are relative to the current or to this if larger."""
        return 1e-3 * units.CURRENT_PER_FLUX * self.ohmic


def discretize(channel: Channel, nodes: int, resolution: float | None = None) -> Discretized:
    """Both meshes of a channel, the finer of `nodes` elements; or `resolution` times the cells of a plane."""
    line = _line_levels(channel, nodes)
    if resolution is None:
        return line
    # As part of a larger program, where even those of a known channel are traced, it could have no options of its own.
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((channel, line)))
    return (_plane_levels if traced else _plane_levels_quickly)(channel, line, resolution)


def _made_plane(channel: Channel, line: Discretized, resolution: float) -> Discretized:
    grid = make_axisymmetric_mesh(channel, resolution)
    coarse, fine = (_plane_level(channel, line, each) for each in (grid.coarse, grid))
    axis = axis_positions(channel, grid.coarse)
    return dataclasses.replace(line, x=grid.z, coarse=coarse, fine=fine, r=grid.r, line=line, axis=axis)


_plane_levels = eqx.filter_jit(_made_plane)
_plane_levels_quickly = eqx.filter_jit(_made_plane, compiler_options={"xla_backend_optimization_level": 0})  # type: ignore
"""It runs in a thousandth of the time that it takes to compile, and once, where the solution runs for long."""


def _plane_level(channel: Channel, line: Discretized, grid: AxisymmetricMesh) -> Level:
    along = lambda values: _carried_over(line.x, values, axis_positions(channel, grid))
    return Level(make_cells(channel, grid), jax.tree.map(along, line.fine.start))


def _carried_over(x, values: Float[Array, "*any x"], at: Float[Array, "slice node"]):
    """Values along the axis, all over the plane."""
    rows = jax.vmap(lambda row: jnp.interp(at, x, row))(values.reshape(-1, values.shape[-1]))
    return jax.lax.stop_gradient(rows.reshape(*values.shape[:-1], *at.shape))


@eqx.filter_jit
def _line_levels(channel: Channel, nodes: int) -> Discretized:
    mesh = make_mesh(channel, nodes)
    elements = make_elements(channel, mesh)
    bath = channel.bath_concentration
    bath = jnp.maximum(bath, TRACE * bath.max())
    excess = channel.excess.law(channel.ion_names, channel.bath_permittivity, channel.temperature)
    joined = coarsened(elements)
    start, ohmic = donnan_guess(joined, channel.valence, bath, excess)
    return Discretized(
        mesh.nodes,
        Level(joined, start),
        Level(elements, jax.tree.map(with_midpoints, start)),
        jnp.asarray(channel.valence),
        excess.activity(list(bath.T), list(channel.valence)).T,
        excess,
        channel.temperature,
        jnp.stack([jnp.asarray(channel.pore.start, float), jnp.asarray(channel.pore.end, float)]),
        ohmic,
        1 / (1 / elements.conductance).sum(1),
    )
