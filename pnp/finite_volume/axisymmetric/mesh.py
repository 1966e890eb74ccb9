"""The axisymmetric mesh: positions of the nodes, and properties of the channel in the cells between them.

Slices of constant z have equally many nodes. In the core they run from the axis to the wall of the pore (beyond the
mouths, to the radius of the mouth), outside it to the rim. Within the membrane everything beyond the wall is solid.
Nodes are graded to the Debye length at the wall and the faces, and along the pore as in one dimension (`axial.mesh`).

A reservoir of kind "hall" ends some ten mouth radii away, where current and field spread like those of a point source:
the far field conducts at each node of the rim, per area and conductivity, n·ρ/ρ² for the half space's φ ∝ 1/ρ, where ρ
is the vector from the middle of the mouth; exact but for terms that fall off faster.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp import units
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.mesh import pore_points, references
from pnp.finite_volume.axisymmetric.cells import EDGES, Cells, for_edges
from pnp.finite_volume.fluxes import Element
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
_INSET = 1e-7  # "just inside" a slab, as a fraction of its thickness

# Gauss–Legendre points in half of a slab, so that no point ever lies on a jump.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_POINTS, _WEIGHTS = (_POINTS + 1) / 2, _WEIGHTS / 2


class AxisymmetricMesh(eqx.Module):
    """Nodes of the plane (z, r)."""

    z: Float[Array, " slice"]
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
        return AxisymmetricMesh(self.z[::2], self.r[::2, ::2], self.wall_index // 2, (near // 2, far // 2))


def make_axisymmetric_mesh(channel: Channel, resolution: float = 1.0) -> AxisymmetricMesh:
    """A mesh with `resolution` times the default number of cells in each direction.

    Positions along z are constants to differentiation; across they follow the wall.
    """
    count = {name: max(8, 4 * round(cells * resolution / 4)) for name, cells in CELLS.items()}
    fixed = jax.lax.stop_gradient(channel)
    stretches = [pore_points(fixed, count["membrane"])]
    length = _layer_length(fixed)
    mouth = jnp.sqrt(fixed.mouth_area / jnp.pi)
    reach = jnp.stack([_reach(fixed, side, mouth) for side in range(2)])
    faces = (0, count["membrane"])
    for side, reservoir in enumerate(channel.reservoirs):
        if reservoir.kind == "none":
            continue
        first = jnp.minimum(_FIRST * length, _CORNER * mouth[side]) / reach[side, 0]
        away = reach[side, 0] * _graded(count["reservoir"], CELLS["reservoir"], first)
        if side == 0:
            stretches.insert(0, stretches[0][0] - away[:0:-1])
            faces = (count["reservoir"], count["reservoir"] + count["membrane"])
        else:
            stretches.append(stretches[-1][-1] + away[1:])
    z = jnp.concatenate(stretches)
    radius = channel.pore.wall_radius(z)
    r = _across(z, radius, length, reach[:, 1], count, (fixed.pore.start, fixed.pore.end))
    return AxisymmetricMesh(jax.lax.stop_gradient(z), r, count["core"], faces)


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


def _reach(channel: Channel, side: int, mouth):
    """Extent of the domain along z from a face, and across from the wall, nm."""
    reservoir = channel.reservoirs[side]
    if reservoir.kind == "cone":
        return jnp.stack([jnp.asarray(reservoir.length, float), reservoir.radius - mouth[side]])
    if reservoir.kind == "none":
        return jnp.stack([jnp.zeros(()), _SOLID * mouth[side]])
    layers = _LAYERS * channel.debye_length[side]
    return jnp.full(2, jnp.maximum(_REACH * mouth[side], layers))


def _across(z, radius, length, reach, count, pore):
    """r of every node."""
    fixed = jax.lax.stop_gradient(radius)
    inward = _graded(count["core"], CELLS["core"], jnp.minimum(_FIRST * length / fixed, _CORNER))[:, ::-1]
    share = (z - pore[0]) / (pore[1] - pore[0])
    width = reach[0] + (reach[1] - reach[0]) * jnp.clip(share, 0.0, 1.0)
    last = _BEYOND * jnp.minimum(_FIRST * length, _CORNER * fixed)
    outward = _graded(count["outer"], CELLS["outer"], last / width)
    beyond = radius[:, None] + width[:, None] * outward[:, 1:]
    return jnp.concatenate([radius[:, None] * (1 - inward), beyond], axis=1)


def _graded(count: int, usual: int, first) -> Float[Array, "*any point"]:
    """0 … 1 in `count` cells that grow as sinh(κ s) / sinh(κ); with `usual` cells the first would have the size
    `first`. Even cells, if those are smaller."""
    first = jnp.asarray(first)[..., None]
    too_large = lambda kappa, first: kappa / jnp.sinh(kappa) / usual - first
    kappa = bracketed_root(too_large, jnp.zeros_like(first), 60.0, first, iterations=40)
    s = jnp.arange(count + 1) / count
    graded = jnp.where(kappa < 1e-3, s, jnp.sinh(kappa * s) / jnp.sinh(kappa))
    return jax.lax.stop_gradient(graded)


def axis_positions(channel: Channel, mesh: AxisymmetricMesh) -> Float[Array, "slice node"]:
    """Position on the axis of the axial solution that has the potential of each node, nm: within the pore its z, beyond
    the mouths where the equipotential, a half spheroid around the mouth, meets the axis."""
    start, end = channel.pore.start, channel.pore.end
    z = mesh.z[:, None]
    beyond = jnp.maximum(start - z, z - end)
    inner, outer = jnp.sqrt(channel.mouth_area / jnp.pi)
    mouth = jnp.where(z < (start + end) / 2, inner, outer)
    square = ((mesh.r / mouth) ** 2 + (beyond / mouth) ** 2 - 1) / 2
    away = mouth * jnp.sqrt(square + jnp.sqrt(square**2 + (beyond / mouth) ** 2))
    at = jnp.where(z < start, start - away, jnp.where(z > end, end + away, z))
    return jax.lax.stop_gradient(at)


# --- properties of the cells --------------------------------------------------------------------


def make_cells(channel: Channel, mesh: AxisymmetricMesh) -> Cells:
    """The properties of a channel in the cells of a mesh."""
    z, r = mesh.z, mesh.r
    slabs, cells = z.size - 1, r.shape[1] - 1
    near, far = mesh.membrane_slices
    slab, cell = jnp.arange(slabs)[:, None], jnp.arange(cells)
    solid = (slab >= near) & (slab < far) & (cell >= mesh.wall_index)
    h = jnp.diff(z)
    at = z[:-1, None, None] + h[:, None, None] * (jnp.arange(2)[:, None] + _POINTS) / 2  # [slab, half, point]
    mean = lambda f: (f @ _WEIGHTS).mean(1)
    series = lambda f: 1 / mean(1 / f)
    scale = units.permittivity_scale(channel.temperature)
    permittivity = jnp.where(solid, channel.membrane.permittivity, series(channel.permittivity(at))[:, None])
    diffusivity = jnp.moveaxis(channel.diffusivity(at), -1, 0)
    diffusivity = jnp.where(solid, 0.0, jax.vmap(series)(diffusivity)[..., None])
    along, across = _geometry(h, r)
    quarters = _quarters(h, r)
    ends = jnp.stack([z[:-1] + _INSET * h, z[1:] - _INSET * h])
    volume = jnp.where(solid, 0.0, quarters)
    charge = _charge(channel, mesh, at, quarters, solid) * units.MILLIMOLAR_PER_CHARGE_DENSITY
    # Each corner has two edges, and each of them half of its quarter.
    halves = lambda value: jnp.stack([jnp.stack([value[edge[end]] / 2 for edge in EDGES]) for end in range(2)])
    energy = jnp.moveaxis(channel.position_energy(ends), -1, 1)[..., None]
    axial = references(slabs)
    inside, _ = for_edges(axial["inside_reference"], axial["inside_reference"] & ~axial["reference_switch"])
    joint = jnp.stack([axial["reference_switch"] & (edge < 2) for edge in range(len(EDGES))])
    edges = Element(
        dielectric_conductance=scale * permittivity * along,
        conductance=diffusivity[:, None] * along,
        volume=halves(volume),
        charge=halves(charge),
        position_energy=jnp.moveaxis(jnp.stack(for_edges(*energy)), 2, 1),
        inside_reference=inside[..., None],
        reference_switch=joint[..., None],
    )
    wet = jnp.zeros(r.shape, bool)
    for corner, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        wet = wet.at[i : slabs + i, j : cells + j].max(volume[corner] > 0)
    bath, conductance = _rims(channel, mesh)
    half = (jnp.arange(z.size) < z.size // 2)[:, None]
    far_field = Element(
        dielectric_conductance=scale * channel.bath_permittivity * conductance,
        conductance=channel.bath_diffusivity[:, None, None] * conductance,
        volume=jnp.zeros((2, 1, 1)),
        charge=jnp.zeros((2, 1, 1)),
        position_energy=jnp.zeros((2, len(channel.ion_names), 1, 1)),
        inside_reference=half,
        reference_switch=jnp.zeros_like(half),
    )
    return Cells(edges, across / along, far_field, bath, ~wet, mesh.wall_index, mesh.membrane_slices)


def _geometry(h, r):
    """Coefficients of the flux through the faces between quarters, along the edge and across it.

    From the metric g of the bilinear map from the unit square with Jacobian J, in the middle of each face: g_tt / 2J
    and g_st / 2J for the axial edges, g_ss / 2J and g_st / 2J for the radial ones.
    """
    h = h[:, None]
    inner, outer = r[:, :-1], r[:, 1:]  # [slice, cell]
    mean = lambda a, b, share: a * (1 - share) + b * share

    def axial(t):
        radius = mean(mean(inner[:-1], outer[:-1], t), mean(inner[1:], outer[1:], t), 0.5)
        r_t = mean(outer[:-1] - inner[:-1], outer[1:] - inner[1:], 0.5)
        r_s = mean(inner[1:] - inner[:-1], outer[1:] - outer[:-1], t)
        return jnp.pi * radius * r_t / h, -jnp.pi * radius * r_s / h

    def radial(s):
        radius = mean(mean(inner[:-1], inner[1:], s), mean(outer[:-1], outer[1:], s), 0.5)
        r_t = mean(outer[:-1] - inner[:-1], outer[1:] - inner[1:], s)
        r_s = mean(inner[1:] - inner[:-1], outer[1:] - outer[:-1], 0.5)
        return jnp.pi * radius * (h**2 + r_s**2) / (h * r_t), -jnp.pi * radius * r_s / h

    faces = [axial(0.25), axial(0.75), radial(0.25), radial(0.75)]
    along, across = map(jnp.stack, zip(*faces, strict=True))
    return along, across


def _quarters(h, r):
    """Volumes of the quarters, [corner, slab, cell], nm³; exact."""
    points, weights = np.polynomial.legendre.leggauss(2)
    points, weights = (points + 1) / 4, weights / 4
    volumes = []
    for near, inner in ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)):
        total = 0.0
        for s, ws in zip(near + points, weights, strict=True):
            low, high = ((1 - s) * r[:-1, j] + s * r[1:, j] for j in (slice(None, -1), slice(1, None)))
            for t, wt in zip(inner + points, weights, strict=True):
                total += ws * wt * 2 * jnp.pi * ((1 - t) * low + t * high) * (high - low)
        volumes.append(h[:, None] * total)
    return jnp.stack(volumes)


def _charge(channel: Channel, mesh: AxisymmetricMesh, at, quarters, solid):
    """Fixed charge of every quarter, e."""
    r, wall = mesh.r, mesh.wall_index
    near, far = mesh.membrane_slices
    half = lambda f: (f(at) @ _WEIGHTS).T  # [half, slab]
    charge = jnp.where(solid, 0.0, quarters * jnp.repeat(half(channel.pore.water_charge), 2, axis=0)[..., None])
    # In the protein: by the part of each ring around the pore that the charge fills.
    h = jnp.diff(mesh.z)
    for end in range(2):
        share = 0.25 + 0.5 * end
        edges = r[:-1] * (1 - share) + r[1:] * share
        middle = (edges[:, 1:] + edges[:, :-1]) / 2
        radius = edges[:, wall, None]
        points = at[:, end]
        for k in range(len(channel.pore.protein_charge(points))):
            density, depth = channel.pore.protein_charge(points)[k]
            line = (density @ _WEIGHTS)[:, None] * h[:, None] / 2
            area = lambda a, b, depth=depth, radius=radius: (
                jnp.pi * (jnp.clip(b, radius, radius + depth) ** 2 - jnp.clip(a, radius, radius + depth) ** 2)
            )
            charge = charge.at[2 * end].add(line * area(edges[:, :-1], middle))
            charge = charge.at[2 * end + 1].add(line * area(middle, edges[:, 1:]))
    # On the wall and on the faces: in the quarters of the solid next to them.
    charge = charge.at[jnp.array([0, 2]), :, wall].add(half(channel.pore.wall_charge) * h / 2)
    for side, (slab, face) in enumerate(((near, near), (far - 1, far))):
        if channel.reservoirs[side].kind != "none":
            sigma = channel.membrane.surface_charge[side] * units.CHARGE_DENSITY_PER_SURFACE_CHARGE
            within, ends = channel.membrane.charged_within[side], r[face, wall:]
            middle = (ends[1:] + ends[:-1]) / 2
            if within is not None:
                ends, middle = (jnp.minimum(each, r[face, wall] + within) for each in (ends, middle))
            rings = jnp.stack([middle**2 - ends[:-1] ** 2, ends[1:] ** 2 - middle**2])
            corners = jnp.array([2 * side, 2 * side + 1])
            charge = charge.at[corners, slab, wall:].add(jnp.pi * rings * sigma)
    return charge


def _rims(channel: Channel, mesh: AxisymmetricMesh):
    """Dirichlet nodes at the baths; and conductance of the far field at each node, per conductivity, nm."""
    z, r = mesh.z, mesh.r
    near, far = mesh.membrane_slices
    bath, conductance = jnp.zeros(r.shape, bool), jnp.zeros(r.shape)
    for side, reservoir in enumerate(channel.reservoirs):
        face, end = (near, 0) if side == 0 else (far, -1)
        own = slice(0, near) if side == 0 else slice(far + 1, None)
        if reservoir.kind == "none":
            bath = bath.at[face, : mesh.wall_index + 1].set(True)
        elif reservoir.kind == "cone":
            bath = bath.at[end].set(True)
            if reservoir.side == "bath":
                bath = bath.at[own, -1].set(True)
        else:
            # ∫ 2πr Z/(r² + Z²) dr over the end, ∫ 2πR R/(R² + d²) dd along the rim.
            depth, rim = jnp.abs(z[end] - z[face]), r[end, -1]
            middle = (r[end, 1:] + r[end, :-1]) / 2
            edges = jnp.concatenate([jnp.zeros(1), middle, rim[None]])
            conductance = conductance.at[end].add(jnp.diff(jnp.pi * depth * jnp.log(edges**2 + depth**2)))
            distance = jnp.abs(z[: near + 1][::-1] - z[near]) if side == 0 else z[far:] - z[far]
            middle = (distance[1:] + distance[:-1]) / 2
            edges = jnp.concatenate([distance[:1], middle, distance[-1:]])
            band = jnp.diff(2 * jnp.pi * rim * jnp.arctan(edges / rim))
            along = slice(0, near + 1) if side == 0 else slice(far, None)
            conductance = conductance.at[along, -1].add(band[::-1] if side == 0 else band)
    return bath, conductance
