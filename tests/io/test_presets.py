"""The ready-made pores: order, stated errors, conservation, symmetry, and what was published of them."""

import equinox as eqx
import numpy as np
import pytest

import pnp
from pnp.channel.channel import Reservoir
from pnp.channel.profiles import SHORT_TABLE
from pnp.settings import Status

pytestmark = pytest.mark.slow
V = np.array([-100.0, 0.0, 100.0])


@pytest.fixture(scope="module", params=["gramicidin-a", "kcsa-like", "conical-nanopore"])
def refined(request):
    """One preset on 200, 400, 800 and 3200 elements."""
    channel = pnp.load(request.param)
    return channel, [pnp.iv_curve(channel, V, discretization=pnp.Axial(n)) for n in (200, 400, 800, 3200)]


def test_each_mesh_is_of_second_order(refined):
    """But for a pore with a long table of radii, whose rows are no nodes: what quadrature misses there is irregular."""
    channel, curves = refined
    current = np.array([c.mesh_current[:, -1] for c in curves])[:, [0, 2]]
    if channel.pore.area.table().x.size <= SHORT_TABLE:
        ratio = (current[0] - current[1]) / (current[1] - current[2])
        assert np.all((ratio > 3.4) & (ratio < 4.6)), ratio
    assert np.all(np.abs(current[1] - current[2]) < 1e-3 * np.abs(current[2]))


def test_the_error_is_no_larger_than_stated(refined):
    _, (*curves, finest) = refined
    limit = np.asarray(finest.current)[[0, 2]]
    for curve in curves:
        error = np.abs(np.asarray(curve.current)[[0, 2]] / limit - 1)
        stated = np.asarray(curve.discretization_error)[[0, 2]]
        assert np.all(error < 1.5 * stated), (error, stated)
        assert np.all(stated < 1e-3)


def test_flux_is_conserved(refined):
    for curve in refined[1]:
        assert np.all(np.asarray(curve.status) == Status.CONVERGED)
        assert np.max(curve.conservation_error) < 1e-10


def test_no_current_without_a_driving_force(refined):
    for curve in refined[1]:
        assert abs(curve.current[1]) < 1e-9 * abs(curve.current[2])


def test_a_pore_turned_round_has_the_reflected_curve(refined):
    channel, curves = refined
    turned = pnp.iv_curve(channel.reflected(), V, discretization=pnp.Axial(200))
    tolerance = 0.02 * np.nanmax(curves[0].discretization_error)  # the mesh is turned round but for rounding
    np.testing.assert_allclose(-turned.current[::-1], curves[0].current, rtol=tolerance, atol=1e-9)


class Far(Reservoir):
    """A reservoir whose last element begins twice as far away."""

    def extent(self, mouth_area, debye_length):
        return 2 * super().extent(mouth_area, debye_length)


@pytest.mark.parametrize("name", ["alpha-hemolysin", "conical-nanopore"])
def test_reservoirs_reach_far_enough(name):
    channel = pnp.load(name)
    far = eqx.tree_at(lambda c: c.reservoirs, channel, (Far(), Far()))
    near, twice = (pnp.iv_curve(c, V[[0, 2]], discretization=pnp.Axial(400)).current for c in (channel, far))
    np.testing.assert_allclose(near, twice, rtol=1e-4)  # the meshes differ by 2e-5


def test_kcsa_like_against_the_published_curve():
    """Chao, Geng & Krasny (2023, arXiv:2304.04371) recomputed this model: 0, 3.5 … 19.4 pA. Ours is 9 to 16 %
    above theirs; how they resolve the funnel of the baths explains about 1 %, the rest is not known."""
    published = np.array([3.5, 7.1, 11.2, 15.3, 19.4])
    curve = pnp.iv_curve(pnp.load("kcsa-like"), [20.0, 40.0, 60.0, 80.0, 100.0], discretization=pnp.Axial(400))
    np.testing.assert_allclose(curve.current, published, rtol=0.17)


@pytest.mark.parametrize(
    ("name", "low", "high"),  # nS at 1 M; measured, with sources in the files
    [("gramicidin-a", 0.01, 0.05), ("alpha-hemolysin", 0.75, 1.25), ("ompf", 1.3, 2.5)],
)
def test_conductance_is_of_the_measured_size(name, low, high):
    assert low < float(pnp.conductance(pnp.load(name), discretization=pnp.Axial(200))) < high
