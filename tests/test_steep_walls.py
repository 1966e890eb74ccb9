"""Pores with steep walls: known currents, and some of the random ones of scripts/steep_walls.py."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import steep_walls

import pnp
from pnp.channel.charge import WallCharge
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, Table

STEEP = [(0, 100), (95, 100), (100, 5), (600, 50), (605, 150), (750, 150)]
"""A cone of 5 to 50 nm over 500 nm whose baths are wide parts of the pore, between flanks of slope 19 and 20; nm."""
LESS_STEEP = [(0, 100), (80, 100), (100, 5), (600, 50), (620, 145), (750, 145)]
BATH = {"K": 100.0, "Cl": 100.0}


def cone(points, sigma):
    x, radius = np.array(points, float).T
    charge = (WallCharge(Constant(sigma), 100.0, 600.0),)
    pore = Pore(0.0, x[-1], Circle(Table(x, radius)), Constant(80.0), charge)
    ions = {"K": pnp.Ion(1, 1.96), "Cl": pnp.Ion(-1, 2.03)}
    return pnp.Channel(ions, pore, BATH, BATH, 298.15, (Reservoir("none"),) * 2, membrane=Membrane(1e-6))


@pytest.mark.parametrize(
    ("points", "sigma", "expected"),
    # by quadratic finite elements on triangles: 1075.2, and 1445.9 by scripts/finite_elements.py
    [(STEEP, 0.0, 1075.2), (LESS_STEEP, -0.02, 1445.9)],
    ids=["uncharged", "charged"],
)
def test_cone_between_steep_flanks(points, sigma, expected):
    run = pnp.solve(cone(points, sigma), 500.0, discretization=pnp.Axisymmetric(resolution=0.5), throw=False)
    assert float(run.discretization_error) < 0.02
    assert abs(float(run.current) / expected - 1) < 2 * float(run.discretization_error)
    assert float(run.current) == pytest.approx(expected, rel=4e-3)


@pytest.mark.slow
def test_current_through_a_cone_between_steep_flanks_is_of_second_order():
    runs = [
        pnp.solve(cone(STEEP, 0.0), 500.0, discretization=pnp.Axisymmetric(resolution=resolution))
        for resolution in (1.0, 2.0, 4.0)
    ]
    for run in runs:
        assert float(run.current) == pytest.approx(1075.2, abs=0.5)
    finest = [abs(float(run.mesh_current[-1]) - 1075.17) for run in runs]
    assert all(1.8 < np.log2(a / b) < 2.2 for a, b in itertools.pairwise(finest))
    on_meshes = np.diff(np.asarray(runs[-1].mesh_current))
    assert np.log2(on_meshes[0] / on_meshes[1]) > 1.8


@pytest.mark.slow
def test_current_is_differentiable_in_steep_walls():
    """By the radii of a step and by where it is."""
    x, radius = np.array([0.0, 6.0, 6.0, 9.0, 9.5, 15.0]), np.array([1.0, 1.0, 3.0, 3.0, 1.5, 1.5])

    def current(moved):
        at = jnp.asarray(x) + moved[0] * np.array([0, 1, 1, 0, 0, 0])
        height = jnp.asarray(radius) + moved[1] * np.array([0, 0, 1, 1, 0, 0]) + moved[2] * np.array([1, 1, 0, 0, 0, 0])
        pore = Pore(0.0, 15.0, Circle(Table(at, height, tuple(range(6)))), Constant(80.0),
                    (WallCharge(Constant(-0.02), 0.0, 15.0),))  # fmt: skip
        ions = {"K": pnp.Ion(1, 1.96), "Cl": pnp.Ion(-1, 2.03)}
        channel = pnp.Channel(ions, pore, BATH, BATH, 298.15)
        return pnp.solve(channel, 100.0, discretization=pnp.Axisymmetric(resolution=1.0)).current

    found = jax.jit(jax.grad(current))(jnp.zeros(3))
    h = 0.02
    differences = [float(current(h * unit) - current(-h * unit)) / (2 * h) for unit in jnp.eye(3)]
    # The mesh is not the same where the wall is moved: they differ by what that changes of the error.
    np.testing.assert_allclose(found, differences, rtol=0.02, atol=2e-3 * np.abs(differences).max())


@pytest.mark.slow
def test_stated_errors_of_random_pores_hold():
    rows = [steep_walls.study(index, seed=2, reference=2.0, elements=False) for index in range(10)]
    true, stated, flagged = map(np.array, zip(*map(steep_walls.errors, rows), strict=True))
    assert np.all(flagged | (true < 0.01))
    assert np.mean(true <= 2 * stated) >= 0.9
    assert flagged.sum() <= 2
    assert len(steep_walls.table(rows).splitlines()) == 12


@pytest.mark.slow
def test_random_pores_agree_with_finite_elements():
    for index in (1, 3):
        numbers = steep_walls.draw_one(np.random.default_rng([3, index]))
        found, elements = steep_walls.solve(numbers, 1.0), steep_walls.by_finite_elements(numbers)
        assert abs(found["current"] / elements["current"] - 1) < 2 * found["stated"] + elements["stated"]
