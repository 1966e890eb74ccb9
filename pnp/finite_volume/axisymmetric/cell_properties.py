"""Properties of the channel in the cells of the axisymmetric mesh.

A reservoir of kind "hall" ends some ten mouth radii away, where current and field spread like those of a point source:
the far field conducts at each node of the rim, per area and conductivity, n·ρ/ρ² for the half space's φ ∝ 1/ρ, where ρ
is the vector from the middle of the mouth; exact but for terms that fall off faster.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp import units
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.mesh import references
from pnp.finite_volume.axisymmetric.cells import EDGES, Cells, corners_of, for_edges
from pnp.finite_volume.axisymmetric.mesh import AxisymmetricMesh
from pnp.finite_volume.fluxes import Element

_INSET = 1e-7  # "just inside" a cell, as a fraction of the way to its middle

# Gauss–Legendre points in half of a slab, so that no point ever lies on a jump.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_POINTS, _WEIGHTS = (_POINTS + 1) / 2, _WEIGHTS / 2


def make_cells(channel: Channel, mesh: AxisymmetricMesh) -> Cells:
    """The properties of a channel in the cells of a mesh."""
    z, r = mesh.z, mesh.r
    slabs, cells = r.shape[0] - 1, r.shape[1] - 1
    near, far = mesh.membrane_slices
    slab, cell = jnp.arange(slabs)[:, None], jnp.arange(cells)
    solid = (slab >= near) & (slab < far) & (cell >= mesh.wall_index)
    middle = (z[:, 1:] + z[:, :-1]) / 2
    at = _within_slabs(middle)  # [slab, cell, half, point]
    series = lambda f: 1 / ((1 / f) @ _WEIGHTS).mean(-1)
    scale = units.permittivity_scale(channel.temperature)
    permittivity = jnp.where(solid, channel.membrane.permittivity, series(channel.permittivity(at)))
    diffusivity = jnp.moveaxis(channel.diffusivity(at), -1, 0)
    diffusivity = jnp.where(solid, 0.0, jax.vmap(series)(diffusivity))
    along, across = _geometry(z, r)
    quarters = _quarters(z, r)
    volume = jnp.where(solid, 0.0, quarters)
    charge = _charge(channel, mesh, at, quarters, solid) * units.MILLIMOLAR_PER_CHARGE_DENSITY
    at_ends = lambda value: jnp.stack([jnp.stack([value[edge[end]] for edge in EDGES]) for end in range(2)])
    # Each corner has two edges, and each of them half of its quarter.
    halves = lambda value: at_ends(value) / 2
    corners = jnp.stack(corners_of(z))
    inside_cell = corners + _INSET * (corners.mean(0) - corners)
    energy = jnp.moveaxis(channel.position_energy(inside_cell), -1, 1)  # [corner, ion, slab, cell]
    axial = references(slabs)
    inside, _ = for_edges(axial["inside_reference"], axial["inside_reference"] & ~axial["reference_switch"])
    joint = jnp.stack([axial["reference_switch"] & (edge < 2) for edge in range(len(EDGES))])
    edges = Element(
        dielectric_conductance=scale * permittivity * along,
        conductance=diffusivity[:, None] * along,
        volume=halves(volume),
        charge=halves(charge),
        position_energy=jnp.moveaxis(at_ends(energy), 2, 1),
        inside_reference=inside[..., None],
        reference_switch=joint[..., None],
    )
    wet = jnp.zeros(r.shape, bool)
    for corner, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        wet = wet.at[i : slabs + i, j : cells + j].max(volume[corner] > 0)
    bath, conductance = _rims(channel, mesh)
    half = (jnp.arange(len(z)) < len(z) // 2)[:, None]
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


def _within_slabs(z: Float[Array, "slice *any"]) -> Float[Array, "slab *any 2 point"]:
    """z of quadrature points between slices, in each half of a slab."""
    h = jnp.diff(z, axis=0)[..., None, None]
    return z[:-1, ..., None, None] + h * (jnp.arange(2)[:, None] + _POINTS) / 2


class _Bilinear(NamedTuple):
    """The map of the unit square (s, t) to a cell, at one point: r, its Jacobian, tangents along s and t as (z, r)."""

    r: Array
    jacobian: Array
    along: tuple[Array, ...]
    across: tuple[Array, ...]


def _bilinear(z, r, s: float, t: float) -> _Bilinear:
    corners = [corners_of(f) for f in (z, r)]
    along = tuple((1 - t) * (c - a) + t * (d - b) for a, b, c, d in corners)
    across = tuple((1 - s) * (b - a) + s * (d - c) for a, b, c, d in corners)
    inner, outer, far_inner, far_outer = corners[1]
    radius = (1 - s) * ((1 - t) * inner + t * outer) + s * ((1 - t) * far_inner + t * far_outer)
    return _Bilinear(radius, along[0] * across[1] - across[0] * along[1], along, across)


def _geometry(z, r):
    """Coefficients of the flux through the faces between quarters, along the edge and across it, [edge, slab, cell].

    From the metric g of the bilinear map from the unit square with Jacobian J, in the middle of each face: g_tt / 2J
    and g_st / 2J for the axial edges, g_ss / 2J and g_st / 2J for the radial ones.
    """
    faces = []
    for edge, (s, t) in enumerate(((0.5, 0.25), (0.5, 0.75), (0.25, 0.5), (0.75, 0.5))):
        radius, jacobian, along, across = _bilinear(z, r, s, t)
        a, b = across if edge < 2 else along
        factor = jnp.pi * radius / jacobian
        faces.append((factor * (a**2 + b**2), -factor * (along[0] * across[0] + along[1] * across[1])))
    own, skew = map(jnp.stack, zip(*faces, strict=True))
    return own, skew


def _quarters(z, r):
    """Volumes of the quarters, [corner, slab, cell], nm³; exact."""
    points, weights = np.polynomial.legendre.leggauss(2)
    points, weights = (points + 1) / 4, weights / 4
    volumes = []
    for near, inner in ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)):
        total = 0.0
        for s, ws in zip(near + points, weights, strict=True):
            for t, wt in zip(inner + points, weights, strict=True):
                here = _bilinear(z, r, s, t)
                total += ws * wt * 2 * jnp.pi * here.r * here.jacobian
        volumes.append(total)
    return jnp.stack(volumes)


def _charge(channel: Channel, mesh: AxisymmetricMesh, at, quarters, solid):
    """Fixed charge of every quarter, e."""
    z, r, wall = mesh.z, mesh.r, mesh.wall_index
    near, far = mesh.membrane_slices
    in_water = jnp.moveaxis(channel.pore.water_charge(at) @ _WEIGHTS, -1, 0)  # [half, slab, cell]
    charge = jnp.where(solid, 0.0, quarters * jnp.repeat(in_water, 2, axis=0))
    # Behind the wall and on it: what is between two slices at the wall, in the solid next to it.
    at_wall = _within_slabs(z[:, wall])
    half = jnp.diff(z[:, wall]) / 2
    for density, depth in channel.pore.protein_charge(at_wall):
        shares = _shares_behind(z[:, wall:], r[:, wall:], depth)
        area = jnp.pi * ((r_at := channel.pore.wall_radius(at_wall)) + depth) ** 2 - jnp.pi * r_at**2
        amount = ((density * area) @ _WEIGHTS).T * half  # [half, slab]
        charge = charge.at[:, :, wall:].add(jnp.repeat(amount, 2, axis=0)[..., None] * shares)
    on_wall = (channel.pore.wall_charge(at_wall) @ _WEIGHTS).T * half
    on_wall = on_wall + _step_charge(channel, z[:, wall], r[:, wall])
    charge = charge.at[jnp.array([0, 2]), :, wall].add(on_wall)
    # On the faces.
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


def _shares_behind(z, r, depth) -> Float[Array, "corner slab cell"]:
    """Shares of the quarters behind the wall in what is spread evenly from the wall to `depth` behind it; of the halves
    of each slab they add up to one.

    z, r: of the nodes from the wall outward. The distance from the wall is that along the slices.
    """
    shares = []
    for s in (0.25, 0.75):
        at = [f[:-1] * (1 - s) + f[1:] * s for f in (z, r)]
        steps = jnp.hypot(*(jnp.diff(f, axis=1) for f in at))
        halves = jnp.repeat(steps / 2, 2, axis=1)
        behind = jnp.concatenate([jnp.zeros((len(steps), 1)), jnp.cumsum(halves, axis=1)], axis=1)
        rings = jnp.diff((at[1][:, :1] + jnp.minimum(behind, depth)) ** 2, axis=1)
        rings = rings / rings.sum(1, keepdims=True)
        shares += [rings[:, ::2], rings[:, 1::2]]
    return jnp.stack(shares)


def _step_charge(channel: Channel, z, radius) -> Float[Array, "2 slab"]:
    """Charge of the halves of the wall between slices where its radius jumps, e: of wall charges that have it."""
    jump = jnp.diff(z) <= 0
    middle = (radius[1:] + radius[:-1]) / 2
    rings = jnp.pi * jnp.abs(jnp.stack([middle**2 - radius[:-1] ** 2, radius[1:] ** 2 - middle**2]))
    return jnp.where(jump, rings * channel.pore.step_density(z[:-1]), 0.0)


def _rims(channel: Channel, mesh: AxisymmetricMesh):
    """Dirichlet nodes at the baths; and conductance of the far field at each node, per conductivity, nm."""
    z, r = mesh.z[:, -1], mesh.r
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
