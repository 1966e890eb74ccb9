"""The axisymmetric mesh: positions of its nodes.

Slices have equally many nodes. In the core they run from the axis to the wall of the pore (beyond the mouths, to a line
from the mouth's edge along the axis), outside it to the rim. Within the membrane everything beyond the wall is solid.
Nodes are graded along the wall as along the pore in one dimension (`axial.node_density`) and to its corners, across to
the Debye length at the wall and the faces.

First the slices are lines of constant z and the other lines follow the wall. Where the wall is steep both would meet at
small angles, and currents would converge slowly. Every fourth line of the mesh is therefore moved to where the lines
meet at nearly right angles (`harmonic_map`), and the other lines with those around them.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp import units
from pnp.channel.channel import Channel
from pnp.channel.wall import Wall, WallPoints, wall_of
from pnp.finite_volume.axial.mesh import distribute
from pnp.finite_volume.axial.node_density import Samples, make_samples, wall_density
from pnp.finite_volume.axisymmetric.harmonic_map import harmonic_map
from pnp.theory.roots import bracketed_root

CELLS = {"core": 16, "outer": 20, "membrane": 160, "reservoir": 24}
"""Cells of the fine mesh: across the pore and the rest of a slice, along the membrane and each reservoir."""

RESOLUTIONS = (0.25, 8.0)
"""Range of the factor on these numbers."""

_REACH = 10.0  # extent of an unbounded reservoir in mouth radii
_LAYERS = 12.0  # its least extent in Debye lengths
_FIRST = 0.3  # first cell at a wall, in lengths over which the double layer there falls
_CORNER = 0.005  # the same in radii of the pore, for the corners at its mouths, where fields are singular
_BEYOND = 4.0  # the first cell outside the wall, against that inside
_SOLID = 3.0  # extent of the membrane in pore radii, where there is no reservoir
_AROUND = 1.5  # the membrane's least radius over the pore's largest
_BESIDE = 1e-8  # "at the same place", as a fraction of the pore's length
_JUMP = 1e-4  # least jump of a property that counts: relative, or kT
_MACRO = 4  # cells in each direction of one cell of the mesh that the harmonic map places


class Layout(NamedTuple):
    """How many cells a mesh has, and where."""

    cells: dict[str, int]
    """As `CELLS`."""
    membrane_slices: tuple[int, int]
    """The slices at the two faces of the membrane."""

    @property
    def wall_index(self) -> int:
        """The node of each slice on the wall of the pore."""
        return self.cells["core"]


def layout(channel: Channel, resolution: float) -> Layout:
    """The layout of the mesh with `resolution` times the default number of cells in each direction."""
    count = {name: max(8, 4 * round(cells * resolution / 4)) for name, cells in CELLS.items()}
    first = 0 if channel.reservoirs[0].kind == "none" else count["reservoir"]
    return Layout(count, (first, first + count["membrane"]))


class AxisymmetricMesh(eqx.Module):
    """Nodes of the plane (z, r)."""

    z: Float[Array, "slice node"]
    """nm."""
    r: Float[Array, "slice node"]
    """nm, from the axis to the rim."""
    wall_index: int = eqx.field(static=True)
    """The node of each slice on the wall of the pore."""
    membrane_slices: tuple[int, int] = eqx.field(static=True)
    """The slices at the two faces of the membrane."""

    @property
    def coarse(self) -> "AxisymmetricMesh":
        """Every other node."""
        near, far = self.membrane_slices
        return AxisymmetricMesh(self.z[::2, ::2], self.r[::2, ::2], self.wall_index // 2, (near // 2, far // 2))


def make_axisymmetric_mesh(channel: Channel, resolution: float = 1.0) -> AxisymmetricMesh:
    """A mesh with `resolution` times the default number of cells in each direction.

    To differentiation slices move with the wall, and are constant otherwise.
    """
    count, faces = layout(channel, resolution)
    wall = wall_of(channel.pore)
    points = wall.at(_wall_coordinates(channel, wall, count["membrane"]))
    fixed = jax.lax.stop_gradient(channel)
    length = _layer_length(fixed)
    reach = jnp.stack([_reach(fixed, side, points.radius[-side], points.radius.max()) for side in range(2)])
    along = [points]
    for side, reservoir in enumerate(channel.reservoirs):
        if reservoir.kind == "none":
            continue
        mouth, edge = points.z[-side], points.radius[-side]
        first = jnp.minimum(_FIRST * length, _CORNER * edge) / reach[side, 0]
        away = reach[side, 0] * _graded(count["reservoir"], CELLS["reservoir"], jax.lax.stop_gradient(first))
        beyond = WallPoints(mouth - away[:0:-1] if side == 0 else mouth + away[1:], jnp.full(count["reservoir"], edge))
        along.insert(len(along) if side else 0, beyond)
    z, radius = (jnp.concatenate([getattr(part, name) for part in along]) for name in WallPoints._fields)
    placed_z, placed_r = _placed(fixed, *jax.lax.stop_gradient((z, radius, length, reach)), count, faces)
    moved = lambda position, own: position + (own - jax.lax.stop_gradient(own))[:, None]
    stretched = placed_r * (radius / jax.lax.stop_gradient(radius))[:, None]
    in_core = jnp.arange(placed_r.shape[1]) <= count["core"]
    r = jnp.where(in_core, stretched, moved(placed_r, radius))
    return AxisymmetricMesh(moved(placed_z, z), r, count["core"], faces)


# --- along the wall ------------------------------------------------------------------------------


def _wall_coordinates(channel: Channel, wall: Wall, count: int) -> Float[Array, " point"]:
    """Coordinates of `count` + 1 points of the wall; of every fourth all breakpoints are among them."""
    channel, wall = jax.lax.stop_gradient((channel, wall))
    samples = make_samples(channel, wall.s, wall.coordinate)
    z, radius = wall.at(samples.x)
    length = jnp.append(0.0, jnp.cumsum(jnp.hypot(jnp.diff(z), jnp.diff(radius))))
    whole = jnp.where(jnp.diff(wall.s) > 0, length[samples.last] - length[samples.first], 0.0)
    breaks = jnp.append(0.0, jnp.cumsum(whole))
    length = breaks[samples.stretch] + jnp.minimum(
        length - length[samples.first[samples.stretch]], whole[samples.stretch]
    )
    samples_along = Samples(length, samples.stretch, samples.first, samples.last)
    density = wall_density(channel, samples_along, z, radius, breaks)
    # The very ends of stretches, not what lies just inside.
    s = samples.x.at[samples.first].set(wall.s[:-1]).at[samples.last].set(wall.s[1:])
    return jnp.interp(distribute(samples_along, breaks, density, count, count // 4), length, s)


def _layer_length(channel: Channel):
    """Length over which the potential at a wall falls, nm: the Debye or, if shorter, the Gouy–Chapman length."""
    x = channel.pore.start + (channel.pore.end - channel.pore.start) * (jnp.arange(200) + 0.5) / 200
    sigma = jnp.maximum(jnp.abs(channel.pore.surface_density(x)).max(), _face_density(channel).max())
    scale = units.permittivity_scale(channel.temperature) * channel.bath_permittivity
    return jnp.minimum(channel.debye_length.min(), 2 * scale / (sigma * units.MILLIMOLAR_PER_CHARGE_DENSITY + 1e-300))


def _face_density(channel: Channel):
    """e/nm² on the two faces of the membrane."""
    return jnp.stack([jnp.abs(jnp.asarray(q, float)) for q in channel.membrane.surface_charge]) * (
        units.CHARGE_DENSITY_PER_SURFACE_CHARGE
    )


def _reach(channel: Channel, side: int, mouth, widest):
    """Extent of the domain along z from a face, and across from the edge of its mouth, nm.

    - mouth, widest: radii of this mouth and of the pore where it is largest.
    """
    reservoir = channel.reservoirs[side]
    if reservoir.kind == "cone":
        return jnp.stack([jnp.asarray(reservoir.length, float), reservoir.radius - mouth])
    around = _AROUND * widest - mouth
    if reservoir.kind == "none":
        return jnp.stack([jnp.zeros(()), jnp.maximum(_SOLID * mouth, around)])
    reach = jnp.maximum(_REACH * mouth, _LAYERS * channel.debye_length[side])
    return jnp.stack([reach, jnp.maximum(reach, around)])


def _graded(count: int, usual: int, first) -> Float[Array, "*any point"]:
    """0 … 1 in `count` cells that grow as sinh(κ s) / sinh(κ); with `usual` cells the first would have the size
    `first`. Even cells, if those are smaller."""
    first = jnp.asarray(first)[..., None]
    too_large = lambda kappa, first: kappa / jnp.sinh(kappa) / usual - first
    kappa = bracketed_root(too_large, jnp.zeros_like(first), 60.0, first, iterations=40)
    s = jnp.arange(count + 1) / count
    graded = jnp.where(kappa < 1e-3, s, jnp.sinh(kappa * s) / jnp.sinh(kappa))
    return jax.lax.stop_gradient(graded)


# --- across --------------------------------------------------------------------------------------


def _placed(channel: Channel, z, radius, length, reach, count, faces) -> tuple[Array, Array]:
    """z and r of every node.

    - z, radius: of the wall, beyond the mouths of the line from the mouth's edge.
    """
    core, straight = count["core"], _straight(z, radius, length, reach, count, faces)
    every = slice(None, None, _MACRO)
    macro_faces = faces[0] // _MACRO, faces[1] // _MACRO
    fixed_z, fixed_r = _fixed(channel, z[every], radius[every], straight[every, every].shape[1], core, macro_faces)
    macro_z, macro_r = harmonic_map(z[every], straight[every, every], radius[every], fixed_z, fixed_r)
    return _refined(macro_z, macro_r, z, radius, straight, core, faces)


def _straight(z, radius, length, reach, count, faces) -> Float[Array, "slice node"]:
    """r of every node in slices of constant z."""
    inward = _graded(count["core"], CELLS["core"], jnp.minimum(_FIRST * length / radius, _CORNER))[:, ::-1]
    first, last = faces
    share = jnp.clip((z - z[first]) / (z[last] - z[first]), 0.0, 1.0)
    rims = jnp.stack([radius[first], radius[last]]) + reach[:, 1]
    rim = rims[0] + (rims[1] - rims[0]) * share
    # A pore that is wider inside than its containers has the membrane around it.
    within = (jnp.arange(z.size) > first) & (jnp.arange(z.size) < last)
    rim = jnp.where(within, jnp.maximum(rim, _AROUND * radius.max()), rim)
    width = rim - radius
    outward = _graded(count["outer"], CELLS["outer"], _BEYOND * jnp.minimum(_FIRST * length, _CORNER * radius) / width)
    beyond = radius[:, None] + width[:, None] * outward[:, 1:]
    return jnp.concatenate([radius[:, None] * (1 - inward), beyond], axis=1)


def _fixed(channel: Channel, z, radius, nodes: int, core: int, faces) -> tuple[Bool[Array, "..."], Bool[Array, "..."]]:
    """Which z and which r the harmonic map leaves: on the wall, the faces and the outer edges; z also on slices at
    which properties of the water jump, so that these are flat."""
    slices, wall = z.size, core // _MACRO
    slice_, node = jnp.arange(slices)[:, None], jnp.arange(nodes)
    within = (slice_ >= faces[0]) & (slice_ <= faces[1])
    both = (within & (node == wall)) | (((slice_ == faces[0]) | (slice_ == faces[1])) & (node >= wall))
    both = both | (slice_ == 0) | (slice_ == slices - 1)
    rim = node == nodes - 1
    same = jnp.abs(z - z[:, None]) <= _BESIDE * (channel.pore.end - channel.pore.start)
    narrow = radius <= jnp.where(same, radius, jnp.inf).min(1) * (1 + 1e-12)  # of a step the narrow end
    flat = (_water_jumps(channel, z) & narrow)[:, None] & within & (node <= wall)
    return both | flat | (rim & ~within), both | (node == 0) | rim


def _water_jumps(channel: Channel, z: Float[Array, " slice"]) -> Bool[Array, " slice"]:
    """Whether properties of the water jump at z."""
    length = channel.pore.end - channel.pore.start

    def properties(at):
        charge = channel.pore.water_charge(at)
        logs = jnp.log(channel.permittivity(at))[:, None], jnp.log(channel.diffusivity(at))
        return jnp.concatenate([*logs, channel.position_energy(at), charge[:, None]], axis=1)

    before, after = properties(z - _BESIDE * length), properties(z + _BESIDE * length)
    scale = jnp.ones(before.shape[1]).at[-1].set(jnp.maximum(jnp.abs(after[:, -1]).max(), 1e-300))
    return (jnp.abs(after - before) > _JUMP * scale).any(1)


def _refined(macro_z, macro_r, z, radius, straight, core: int, faces) -> tuple[Array, Array]:
    """z and r of all nodes from those of every fourth line: bilinear in the length along the wall and in r of straight
    slices, then moved so that the wall is met."""
    slices, nodes = straight.shape
    slab = jnp.minimum(jnp.arange(slices) // _MACRO, slices // _MACRO - 1)
    cell = jnp.minimum(jnp.arange(nodes) // _MACRO, nodes // _MACRO - 1)
    length = jnp.append(0.0, jnp.cumsum(jnp.hypot(jnp.diff(z), jnp.diff(radius))))
    share = lambda value, low, high: (value - low) / (high - low)
    s = share(length, length[slab * _MACRO], length[(slab + 1) * _MACRO])[:, None]
    t = share(straight, straight[:, cell * _MACRO], straight[:, (cell + 1) * _MACRO])
    between = lambda f: (
        (1 - s) * ((1 - t) * f[slab][:, cell] + t * f[slab][:, cell + 1])
        + s * ((1 - t) * f[slab + 1][:, cell] + t * f[slab + 1][:, cell + 1])
    )
    found = between(macro_z), between(macro_r)
    inner = straight / radius[:, None]
    outer = (straight[:, -1:] - straight) / (straight[:, -1] - radius)[:, None]
    part = jnp.where(jnp.arange(nodes) <= core, inner, outer)
    within = (jnp.arange(slices) >= faces[0]) & (jnp.arange(slices) <= faces[1])
    off = [jnp.where(within, wall - f[:, core], 0.0)[:, None] for wall, f in zip((z, radius), found, strict=True)]
    return found[0] + off[0] * part, found[1] + off[1] * part


def axis_positions(channel: Channel, mesh: AxisymmetricMesh) -> Float[Array, "slice node"]:
    """Position on the axis of the axial solution that has the potential of each node, nm: within the pore its z, beyond
    the mouths where the equipotential, a half spheroid around the mouth, meets the axis."""
    start, end = channel.pore.start, channel.pore.end
    beyond = jnp.maximum(start - mesh.z, mesh.z - end)
    inner, outer = jnp.sqrt(channel.mouth_area / jnp.pi)
    mouth = jnp.where(mesh.z < (start + end) / 2, inner, outer)
    square = ((mesh.r / mouth) ** 2 + (beyond / mouth) ** 2 - 1) / 2
    away = mouth * jnp.sqrt(square + jnp.sqrt(square**2 + (beyond / mouth) ** 2))
    at = jnp.where(mesh.z < start, start - away, jnp.where(mesh.z > end, end + away, mesh.z))
    return jax.lax.stop_gradient(at)
