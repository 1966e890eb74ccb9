"""A channel as the solver sees it: on two nested meshes, with a start for Newton on each."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.channel import Channel
from pnp.continuation import Start, Steady
from pnp.excess import ActivityLaw
from pnp.laws import Element
from pnp.mesh import coarsened, make_elements, make_mesh
from pnp.start import donnan_start, with_midpoints

TRACE = 1e-12
"""An ion absent from a bath is given this fraction of the bath's largest concentration, since mu
holds ln c; it changes currents by as little."""


class Level(eqx.Module):
    """One mesh's share of the problem."""

    elements: Element
    start: Start


class Levels(eqx.Module):
    """All that a channel is to the solver; programs that take this one serve all channels of as many ions."""

    x: Float[Array, " node"]
    """Of the fine one, nm."""
    coarse: Level
    fine: Level
    valence: Float[Array, " ion"]
    activity: Float[Array, "2 ion"]
    """In the baths, mM, none of them zero."""
    excess: ActivityLaw
    temperature: Float[Array, ""]
    """K."""
    ohmic: Float[Array, ""]
    """Flux that 1 kT/e drives through the pore in linear response, mM nm³/ns."""

    permeability: Float[Array, " ion"]
    """1 / ∫ dx / (D A) from bath to bath, nm³/ns."""

    def steady(self, level: Level, voltage: Float[Array, ""]) -> Steady:
        """The problem on one of the meshes at a voltage (kT/e)."""
        return Steady(level.elements, self.valence, self.activity, voltage, self.excess)

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


@eqx.filter_jit
def make_levels(channel: Channel, nodes: int) -> Levels:
    """Both meshes of a channel, the finer of `nodes` elements."""
    mesh = make_mesh(channel, nodes)
    elements = make_elements(channel, mesh)
    bath = channel.bath_concentration
    bath = jnp.maximum(bath, TRACE * bath.max())
    excess = channel.excess.law(channel.ion_names, channel.bath_permittivity, channel.temperature)
    joined = coarsened(elements)
    start, ohmic = donnan_start(joined, channel.valence, bath, excess)
    return Levels(
        mesh.nodes,
        Level(joined, start),
        Level(elements, jax.tree.map(with_midpoints, start)),
        jnp.asarray(channel.valence),
        excess.activity(list(bath.T), list(channel.valence)).T,
        excess,
        channel.temperature,
        ohmic,
        1 / (1 / elements.conductance).sum(1),
    )
