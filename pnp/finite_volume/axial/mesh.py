"""The axial mesh: positions of the nodes, and properties of the pore in the elements between them.

Nodes are graded to the Debye length at mouths, charge edges and permittivity steps. The meshes of half and of a quarter
as many elements are every other and every fourth node, so that resolutions of one problem nest. Written in `jax.numpy`
with fixed shapes: a mesh can be made inside `jit`, `vmap` and `grad`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pnp import units
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.node_density import Samples, make_samples, node_density
from pnp.finite_volume.fluxes import Element

DEFAULT_NODES = 400
"""Elements of the fine mesh by default: currents to some 1e-5 for the ready-made pores."""

_BASE = 48  # elements, at least, of the coarsest mesh that the others refine

# Gauss–Legendre points in each half of an element, so that no point ever lies on a jump.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_POINTS, _WEIGHTS = (_POINTS + 1) / 2, _WEIGHTS / 2
_END = 1e-7  # "just inside" an element's end, as a fraction of its length


class Mesh(eqx.Module):
    """Nodes, and between each two the face where their volumes meet, alternating in `points` (nm).

    The faces are nodes of the mesh twice as fine.
    """

    points: Float[Array, " point"]

    @property
    def nodes(self) -> Float[Array, " node"]:
        """nm."""
        return self.points[::2]

    @property
    def coarse(self) -> "Mesh":
        """Every other node."""
        return Mesh(self.points[::2])


def make_mesh(channel: Channel, nodes: int = DEFAULT_NODES) -> Mesh:
    """A mesh from bath to bath; every breakpoint of the channel is a node of it and of the meshes half and a quarter as
    fine.

    - nodes: number of elements, rounded up to a multiple of eight, so that all three have a middle node; at least
      `least_nodes`.

    Positions are constants to differentiation.
    """
    channel = jax.lax.stop_gradient(channel)
    breaks = channel.breakpoints()
    elements = 8 * ((nodes + 7) // 8)
    # Elements are distributed over the stretches in whole multiples, as on a mesh of `base` of them, so that the meshes
    # of N, 2N, 4N … nodes are refinements of one another and errors fall by clean factors.
    base = elements // 4
    while base % 2 == 0 and base // 2 >= max(_BASE, 2 * (breaks.size - 1)):
        base //= 2
    samples = make_samples(channel, breaks)
    return Mesh(distribute(samples, breaks, node_density(channel, samples), 2 * elements, base))


def distribute(samples: Samples, breaks, density, count: int, base: int) -> Float[Array, " point"]:
    """`count` + 1 points between breakpoints, a multiple of `count` / `base` steps in each stretch; constants to
    differentiation.

    - density: of points, at the samples.
    """
    passed = jnp.append(0.0, jnp.cumsum((density[1:] + density[:-1]) / 2 * samples.step))
    stretch, before = samples.stretch, passed[samples.first]
    whole = jnp.maximum(passed[samples.last] - before, 1e-300)
    needed = jnp.cumsum(whole) / whole.sum() * base
    least = jnp.where(jnp.diff(breaks) > 0, 1, 0)
    last = _spread(jnp.round(needed), least, base)
    first = jnp.concatenate([jnp.zeros(1), last[:-1]])
    per_whole = (last - first) / whole
    wanted = jnp.arange(count + 1) * (base / count)
    reached = first[stretch] + per_whole[stretch] * (passed - before[stretch])
    # The very ends of stretches, not what lies just inside.
    at = lambda ends: samples.x[ends][stretch]
    x = jnp.where(samples.x <= at(samples.first), breaks[:-1][stretch], samples.x)
    x = jnp.where(samples.x >= at(samples.last), breaks[1:][stretch], x)
    return jax.lax.stop_gradient(_inverse(wanted, x, reached, per_whole[stretch] * density))


@eqx.filter_jit
def least_nodes(channel: Channel) -> Int[Array, ""]:
    """The smallest number of elements of a mesh for a channel: four between any two breakpoints."""
    return 4 * (jnp.diff(channel.breakpoints()) > 0).sum()


def make_elements(channel: Channel, mesh: Mesh) -> Element:
    """The properties of a channel in the elements of a mesh, from bath to bath.

    Quantities in series (ε A, D A) are harmonic means over the element, exact for a potential drop across varying
    cross-sections; volumes and charges are integrals over its halves. The first and the last element include what is
    beyond them of a reservoir without end.
    """
    h = jnp.diff(mesh.points)
    inner = mesh.points[:-1, None] + h[:, None] * _POINTS  # [half element, quadrature point]
    half = lambda f: (f @ _WEIGHTS * h).reshape(-1, 2).T
    area = channel.area(inner)
    beyond, outer = _resistance_beyond(channel), np.array([0, -1])

    def series(material):
        resistance = half(1 / (material * area)).sum(0)
        return 1 / resistance.at[outer].add(beyond / material[outer, outer])

    diffusivity = jnp.moveaxis(channel.diffusivity(inner), -1, 0)
    left, right = mesh.nodes[:-1], mesh.nodes[1:]
    ends = jnp.stack([left + _END * (right - left), right - _END * (right - left)])
    scale = units.permittivity_scale(channel.temperature)
    return Element(
        dielectric_conductance=scale * series(channel.permittivity(inner)),
        conductance=jax.vmap(series)(diffusivity),
        volume=half(area),
        charge=half(channel.line_charge(inner)) * units.MILLIMOLAR_PER_CHARGE_DENSITY,
        position_energy=jnp.moveaxis(channel.position_energy(ends), -1, 1),
        **references(left.size),
    )


def _resistance_beyond(channel: Channel) -> Float[Array, " 2"]:
    """∫ dx/A from each end of the mesh to where the bath is, 1/nm."""
    first, last = channel.domain
    reach = channel.pore.start - first, last - channel.pore.end
    sides = zip(channel.reservoirs, reach, channel.mouth_area, strict=True)
    return jnp.stack([reservoir.resistance_beyond(distance, area) for reservoir, distance, area in sides])


def references(count: int) -> dict[str, Array]:
    """The references of `count` elements: the first half counts mu from the inside bath, up to the middle node."""
    index = jnp.arange(count)
    return {"inside_reference": index < count // 2, "reference_switch": index == count // 2 - 1}


def _inverse(wanted, x, count, density):
    """Where the running count of elements reaches the values wanted; the density is linear between samples.

    With a constant density (linear interpolation of the count) the mesh would have kinks, and extrapolated currents
    would be a tenth as accurate.
    """
    left = jnp.clip(jnp.searchsorted(count, wanted, side="right") - 1, 0, x.size - 2)
    width, missing = x[left + 1] - x[left], wanted - count[left]
    change = (density[left + 1] - density[left]) / jnp.where(width > 0, width, 1.0)
    root = jnp.sqrt(jnp.maximum(density[left] ** 2 + 2 * change * missing, 0.0))
    within = 2 * missing / jnp.maximum(density[left] + root, 1e-300)
    return jnp.where(wanted >= count[left + 1], x[left + 1], x[left] + jnp.clip(within, 0.0, width))


def _spread(last, least, total):
    """Whole numbers near `last`, each stretch getting at least `least`, ending at `total`."""
    floor = jnp.cumsum(least)
    last = jax.lax.cummax(last - floor) + floor
    return jnp.minimum(last, total - (floor[-1] - floor))
