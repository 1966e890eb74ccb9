"""Meshes whose lines meet steep walls at nearly right angles."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.channel.channel import Channel
from pnp.channel.ions import ion
from pnp.channel.membrane import Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, Function, Table
from pnp.finite_volume.axisymmetric.mesh import make_axisymmetric_mesh

SALT = {"K": 100.0, "Cl": 100.0}
STEPPED = ([0.0, 4.0, 4.0, 6.0, 6.5, 9.0], [1.0, 1.0, 3.0, 3.0, 1.0, 1.0])
"""A step up, and a flank of slope 4 down; nm."""
WALLS = {
    "steps and flanks": STEPPED,
    "steps down and up": ([0.0, 3.0, 3.0, 5.0, 5.0, 9.0], [4.0, 4.0, 1.0, 1.0, 5.0, 5.0]),
    "a slot": ([0.0, 4.0, 4.0, 4.5, 4.5, 9.0], [1.0, 1.0, 6.0, 6.0, 1.0, 1.0]),
    "a fin": ([0.0, 4.0, 4.0, 4.5, 4.5, 9.0], [6.0, 6.0, 1.0, 1.0, 6.0, 6.0]),
    "countersunk": ([0.0, 0.5, 6.0, 6.2, 7.0, 9.0], [9.0, 1.0, 1.0, 7.0, 7.0, 7.0]),
}


def make(radius, kind="hall"):
    area = Circle(Table(*radius)) if isinstance(radius, tuple) else Circle(radius)
    end = radius[0][-1] if isinstance(radius, tuple) else 9.0
    pore = Pore(0.0, end, area, Constant(80.0))
    return Channel({k: ion(k) for k in SALT}, pore, SALT, SALT, reservoirs=(Reservoir(kind), Reservoir(kind)))


mesh_of = eqx.filter_jit(make_axisymmetric_mesh)


def angles(mesh):
    """Of the corners of all cells, degrees: [corner, slab, cell]."""
    at = np.stack([np.asarray(mesh.z), np.asarray(mesh.r)], axis=-1)
    near, far = at[:-1], at[1:]
    around = [near[:, :-1], far[:, :-1], far[:, 1:], near[:, 1:]]
    found = []
    for k in range(4):
        a, b = around[k - 1] - around[k], around[(k + 1) % 4] - around[k]
        turn = b[..., 0] * a[..., 1] - b[..., 1] * a[..., 0]
        found.append(np.degrees(np.arctan2(turn, (a * b).sum(-1))))
    return np.stack(found)


@pytest.mark.parametrize("kind", ["hall", "none"])
@pytest.mark.parametrize("name", WALLS)
def test_cells_of_steep_walls_are_not_folded(name, kind):
    channel = make(WALLS[name], kind)
    mesh = mesh_of(channel, 0.5)
    for each in (mesh, mesh.coarse, mesh.coarse.coarse):
        assert np.all(angles(each) > 0)
    inner, outer = mesh.membrane_slices
    wall = np.stack([mesh.z[inner : outer + 1, mesh.wall_index], mesh.r[inner : outer + 1, mesh.wall_index]], axis=1)
    corners = np.stack(WALLS[name], axis=1)
    assert all(np.abs(wall - corner).max(1).min() < 1e-9 for corner in corners)
    # all on the wall: on one of its pieces, or between its ends where that is vertical
    distance = []
    for (z, r), (to_z, to_r) in itertools.pairwise(corners):
        step = np.array([to_z - z, to_r - r])
        share = np.clip((wall - [z, r]) @ step / (step @ step), 0, 1)
        distance.append(np.abs(wall - [z, r] - share[:, None] * step).max(1))
    assert np.min(distance, axis=0).max() < 1e-9


def test_lines_meet_a_steep_wall_at_nearly_right_angles():
    """Of slices of constant z, those on the flank of slope 4 would have 14°, and those of the step none."""
    mesh = mesh_of(make(STEPPED), 1.0)
    inner, outer = mesh.membrane_slices
    in_water = angles(mesh)[:, inner:outer, : mesh.wall_index]
    assert np.quantile(in_water, 0.05) > 40
    assert in_water.min() > 20


def test_straight_pore_keeps_straight_slices():
    mesh = mesh_of(make(([0.0, 9.0], [1.0, 1.0])), 0.5)
    np.testing.assert_allclose(mesh.z, np.broadcast_to(mesh.z[:, :1], mesh.z.shape), atol=1e-9)
    np.testing.assert_allclose(mesh.r[:, : mesh.wall_index + 1], np.broadcast_to(
        mesh.r[0, : mesh.wall_index + 1], mesh.r[:, : mesh.wall_index + 1].shape), atol=1e-9)  # fmt: skip


def test_mesh_of_a_pore_turned_round_is_turned_round():
    channel = make(STEPPED)
    mesh, turned = mesh_of(channel, 0.5), mesh_of(channel.reflected(), 0.5)
    np.testing.assert_allclose(turned.z, -mesh.z[::-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(turned.r, mesh.r[::-1], rtol=1e-4, atol=1e-5)


def test_mesh_in_a_batch_is_that_of_each():
    channels = [make((STEPPED[0], [r * height for height in STEPPED[1]])) for r in (1.0, 2.0)]
    together = jax.jit(jax.vmap(lambda c: make_axisymmetric_mesh(c, 0.25)))(pnp.stack(channels))
    for k, channel in enumerate(channels):
        alone = mesh_of(channel, 0.25)
        np.testing.assert_allclose(together.z[k], alone.z, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(together.r[k], alone.r, rtol=1e-6, atol=1e-6)


def test_slices_are_flat_where_the_water_changes():
    """At a step the one at its narrow end, so that no cell holds both kinds of water."""
    permittivity = Table([0.0, 4.0, 4.0, 9.0], [80.0, 80.0, 20.0, 20.0])
    channel = eqx.tree_at(lambda c: c.pore.permittivity, make(STEPPED), permittivity)
    mesh = mesh_of(channel, 0.5)
    z, r = np.asarray(mesh.z)[:, : mesh.wall_index + 1], np.asarray(mesh.r)[:, mesh.wall_index]
    (flat,) = np.flatnonzero((np.abs(z - 4.0).max(1) < 1e-9) & (np.abs(r - 1.0) < 1e-9))
    assert np.all(angles(mesh) > -1e-6)
    assert np.ptp(z[flat + 4]) > 0.1  # the others are not


def test_mesh_follows_a_smooth_wall():
    """A waist that turns by 150° within half a nanometre, given by a function."""
    radius = Function(lambda x: jnp.sqrt(1 + (4.0 * (x - 4.5)) ** 2))
    channel = make(radius)
    mesh = mesh_of(channel, 0.5)
    assert np.all(angles(mesh) > 0)
    inner, outer = mesh.membrane_slices
    z, r = (np.asarray(f)[inner : outer + 1, mesh.wall_index] for f in (mesh.z, mesh.r))
    np.testing.assert_allclose(r, np.asarray(channel.pore.wall_radius(jnp.asarray(z))), rtol=1e-12)
    assert np.sum(np.abs(z - 4.5) < 0.25) > 10
