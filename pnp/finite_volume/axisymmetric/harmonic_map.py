"""Lines that meet at nearly right angles: a mesh as a harmonic map of the plane (z, r).

Of all maps that take given points of the boundary to given places, the one with the least

    E = Σ over cells ∫∫ (|x_p|² + |x_q|²) / (x_p × x_q) dp dq = ∫∫ |∇p|² + |∇q|² dA

has harmonic coordinates p and q, and it never folds, since E is infinite where the area x_p × x_q of a piece vanishes.
(Winslow, J. Comput. Phys. 1:149, 1966; as a minimum: Brackbill & Saltzman, J. Comput. Phys. 46:342, 1982.) Here p
counts the length along the wall and q that across, both over the radius of the pore, so that in a straight pore the
straight mesh is the minimum already.

E is a sum of convex functions of expressions that are linear or bilinear in the positions. Newton's method with the
second derivatives of the former only (Gauss–Newton) has a positive matrix; near the minimum all are taken, as long as
that helps. It needs a start without folds: one with the wall no steeper than 60°, from which the wall is moved to its
place while the other nodes follow.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp.finite_volume.axisymmetric.assembly import add_to_nodes, bands_of
from pnp.linalg import slice_elimination as slices

_AT = (0.005, 0.995)  # where in a cell E is evaluated, in each direction: a corner may have 180°
_ITERATIONS = 300
_CONVERGED = 1e-11  # what a step takes off E, relative
_NEAR = 1e-3  # the same, below which all second derivatives are taken
_KEPT = 0.1  # least part of the area of a piece that a step leaves
_LEAST_STEP = 2.0**-16
_STEEPEST = 0.5  # cosine of the steepest angle of the wall of the start


class _State(NamedTuple):
    x: Float[Array, "2 slice node"]
    left: Float[Array, ""]
    """Part of the way of the wall to its place."""
    gain: Float[Array, ""]
    """What the last step took off E, relative; infinite while the wall is on its way."""
    whole: Bool[Array, ""]
    """Whether all second derivatives have helped so far."""
    steps: Float[Array, ""]


def harmonic_map(
    z: Float[Array, " slice"],
    r: Float[Array, "slice node"],
    radius: Float[Array, " slice"],
    fixed_z: Bool[Array, "slice node"],
    fixed_r: Bool[Array, "slice node"],
) -> tuple[Float[Array, "slice node"], Float[Array, "slice node"]]:
    """z and r of the nodes of a mesh, from those of one with slices of constant z.

    - z, r: of that mesh, nm. Slices at a vertical wall have the same z.
    - radius: of the pore at each slice, nm.
    - fixed_z, fixed_r: nodes that keep them.

    NaN, if a mesh without folds was not found.
    """
    steps = jnp.hypot(jnp.diff(z), jnp.diff(radius))
    scale = ((radius[1:] + radius[:-1]) / 2)[:, None]
    across = jnp.diff(r, axis=1)
    p, q = steps[:, None] / scale, (across[1:] + across[:-1]) / 2 / scale
    fixed = jnp.stack([fixed_z, fixed_r])
    gentle = z[0] + jnp.append(0.0, jnp.cumsum(jnp.maximum(jnp.diff(z), _STEEPEST * steps)))
    places = jnp.stack([jnp.broadcast_to(z[:, None], r.shape), r])
    measures = p, q, scale

    def step(state: _State) -> _State:
        corners, moving = _corners(state.x), state.left > 0
        way = jnp.where(fixed, places - state.x, 0.0)
        near = state.whole & (state.gain < _NEAR)
        second = _second_derivatives(corners, *measures, near)
        forces = jax.grad(_energy)(corners, *measures)
        of_wall = jnp.einsum("abuvkl,bvkl->aukl", second, _corners(way))
        update = way + _solved(second, add_to_nodes(forces + of_wall, 1), fixed)
        now, gradient = _energy(corners, *measures), add_to_nodes(forces, 1)
        gain = -(gradient * update).sum()  # as far as it is linear
        areas = _areas(corners, *measures)

        def too_large(size):
            terms = _terms(_corners(state.x + size * update), *measures)
            sound = (terms[4] > _KEPT * areas).all()
            less = (gain > 0) & (_energy_of(terms, p, q) <= now - 1e-4 * size * gain)
            return ~(sound & (moving | less)) & (size > _LEAST_STEP)

        size = jax.lax.while_loop(too_large, lambda size: size / 2, jnp.ones(()))
        size = jnp.where(size > _LEAST_STEP, size, 0.0)
        left = state.left * (1 - size)
        x = jnp.where(fixed & (left == 0), places, state.x + size * update)
        helped = (size > 0) | ~near
        took = jnp.where(moving & (size > 0), jnp.inf, jnp.where(helped, size * gain / now, state.gain))
        return _State(x, left, took, state.whole & helped, state.steps + 1)

    def unfinished(state: _State):
        return (state.gain > _CONVERGED) & (state.steps < _ITERATIONS)

    start = places.at[0].set(jnp.broadcast_to(gentle[:, None], r.shape))
    left = jnp.where((gentle == z).all(), 0.0, 1.0)
    begin = _State(start, left, jnp.asarray(jnp.inf), jnp.asarray(True), jnp.zeros(()))
    end = jax.lax.while_loop(unfinished, step, begin)
    return tuple(jnp.where(end.left > 0, jnp.nan, end.x))  # type: ignore


def _corners(x: Float[Array, "2 slice node"]) -> Float[Array, "corner 2 slab cell"]:
    halves = (slice(None, -1), slice(1, None))
    return jnp.stack([x[:, i][:, :, j] for i in halves for j in halves])


def _tangents(corners, p, q, scale):
    """x_p and x_q at four points of each cell, over the radius of the pore: [point, 2, slab, cell]."""
    near_inner, near_outer, far_inner, far_outer = corners
    along = [((1 - t) * (far_inner - near_inner) + t * (far_outer - near_outer)) / (p * scale) for t in _AT]
    across = [((1 - s) * (near_outer - near_inner) + s * (far_outer - far_inner)) / (q * scale) for s in _AT]
    return jnp.stack([a for _ in _AT for a in along]), jnp.stack([b for b in across for _ in _AT])


def _areas(corners, p, q, scale) -> Float[Array, "point slab cell"]:
    return _terms(corners, p, q, scale)[4]


def _terms(corners, p, q, scale) -> Float[Array, "5 point slab cell"]:
    """x_p, x_q and their area."""
    along, across = _tangents(corners, p, q, scale)
    area = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
    return jnp.stack([along[:, 0], along[:, 1], across[:, 0], across[:, 1], area])


def _energy(corners, p, q, scale) -> Float[Array, ""]:
    return _energy_of(_terms(corners, p, q, scale), p, q)


def _energy_of(terms, p, q):
    return (((terms[:4] ** 2).sum(0) / terms[4]).mean(0) * p * q).sum()


def _second_derivatives(corners, p, q, scale, whole) -> Float[Array, "corner corner 2 2 slab cell"]:
    """Of E by the positions at the corners of each cell; without those of the areas unless `whole`."""
    units = jnp.eye(8).reshape(8, 4, 2)[..., None, None]
    law = lambda c: _terms(c, p, q, scale)
    terms, push = jax.linearize(law, corners)
    by_corner = jax.vmap(lambda unit: push(jnp.broadcast_to(unit, corners.shape)))(units)
    vector, area = terms[:4], terms[4]
    # φ = |v|²/A: φ_vv = 2/A, φ_vA = −2v/A², φ_AA = 2|v|²/A³, that is (2/A) |dv − v dA/A|².
    relative = by_corner[:, :4] - vector * (by_corner[:, 4:] / area)
    second = jnp.einsum("aijkl,bijkl,jkl->abkl", relative, relative, 2 / area)
    (az, ar), (bz, br) = by_corner[:, :2].swapaxes(0, 1), by_corner[:, 2:4].swapaxes(0, 1)
    crossed = jnp.einsum("ajkl,bjkl,jkl->abkl", az, br, slope := -(vector**2).sum(0) / area**2)
    crossed = crossed - jnp.einsum("ajkl,bjkl,jkl->abkl", ar, bz, slope)
    second = second + jnp.where(whole, crossed + crossed.swapaxes(0, 1), 0.0)
    second = second * (p * q) / len(area)
    return jnp.moveaxis(second.reshape(4, 2, 4, 2, *second.shape[2:]), 1, 2)


def _solved(second, gradient, fixed):
    """−H⁻¹ g, zero where fixed."""
    before, own, after = bands_of(second, 2)  # [3, row, column, slice, node]
    diagonal = jnp.stack([own[1, u, u] for u in range(2)])
    scale = 1 / jnp.sqrt(jnp.where(fixed, 1.0, diagonal))
    unit = jnp.zeros((3, 1, 1)).at[1].set(1.0) * jnp.eye(2)

    def band(values, slice_shift, at_fixed):
        # Rows and columns of fixed unknowns are those of the unit matrix.
        column = jnp.stack([_moved(jnp.where(fixed, 0.0, scale), slice_shift, shift - 1) for shift in range(3)])
        scaled = values * jnp.where(fixed, 0.0, scale)[None, :, None] * column[:, None]
        scaled = scaled + jnp.where(fixed[None, :, None], at_fixed, 0.0)
        return jnp.transpose(scaled, (3, 1, 2, 0, 4))

    bands = slices.Bands(band(before, -1, 0.0), band(own, 0, unit[..., None, None]), band(after, 1, 0.0))
    rhs = jnp.moveaxis(jnp.where(fixed, 0.0, -gradient * scale), 0, 1)[..., None]
    found = slices.eliminate(bands, rhs, (0, 0), 0)[..., 0]
    return jnp.where(fixed, 0.0, jnp.moveaxis(found, 0, 1) * scale)


def _moved(values: Float[Array, "2 slice node"], by_slice: int, by_node: int):
    """Values of the node that is so many slices and nodes further; zero beyond the mesh."""
    padded = jnp.pad(values, ((0, 0), (1, 1), (1, 1)))
    _, slices_, nodes = values.shape
    return padded[:, 1 + by_slice : 1 + by_slice + slices_, 1 + by_node : 1 + by_node + nodes]
