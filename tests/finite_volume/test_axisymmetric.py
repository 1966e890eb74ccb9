"""The axisymmetric scheme: its Jacobian, its geometry, conservation, symmetry and derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp import units
from pnp.analysis.discretized import discretize
from pnp.analysis.mesh_hierarchy import assess, solve_on_meshes, steady_state
from pnp.channel.activity import Davies, Steric
from pnp.channel.charge import Ring, WallCharge
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import ChannelError, Circle, Constant, Table
from pnp.finite_volume.axial.mesh import make_mesh
from pnp.finite_volume.axisymmetric import assembly
from pnp.finite_volume.axisymmetric.cell_properties import make_cells
from pnp.finite_volume.axisymmetric.mesh import make_axisymmetric_mesh
from pnp.finite_volume.axisymmetric.nernst_planck import solve_nernst_planck
from pnp.settings import Settings, Status
from tests.conftest import hold_mesh

COARSE = 0.25
BATH = {"K": 100.0, "Cl": 100.0}


def pore(radii, sigma=0.0, length=10.0, inside=BATH, outside=BATH, **more):
    x = jnp.linspace(0.0, length, len(radii))
    charge = (WallCharge(sigma, 0.0, length),)
    within = Pore(0.0, length, Circle(Table(x, jnp.asarray(radii, float))), Constant(78.4), charge)
    ions = {"K": pnp.Ion(1, 1.96), "Cl": pnp.Ion(-1, 2.03)}
    return pnp.Channel(ions, within, inside, outside, **more)


CONE = pore([1.0, 1.5, 3.0], -0.05)


@eqx.filter_jit
def solved(discretized, voltage):
    return assess(discretized, voltage, solve_on_meshes(discretized, voltage, Settings(), with_sensitivity=True))


def state(channel, voltage):
    # Apart from the discretisation, so that one program serves all pores of two ions.
    return solved(discretize(channel, 400, COARSE), jnp.asarray(voltage))


def current(channel, voltage):
    return state(channel, voltage)[0].current


def problem_of(channel, voltage=2.0):
    discretized = discretize(channel, 400, COARSE)
    return discretized, discretized.problem(0, jnp.asarray(voltage))


# Each is a program of its own: the plain pore stands for the others in the fast suite.
OTHERS = [{"activity_model": Steric(0.5)}, {"reservoirs": (Reservoir("none"),) * 2}]


@pytest.mark.parametrize("more", [{}, *(pytest.param(more, marks=pytest.mark.slow) for more in OTHERS)])
def test_jacobian_is_the_derivative_of_the_balance(more):
    channel = pore([1.0, 1.5, 3.0], -0.05, **more)
    discretized, problem = problem_of(channel)
    unknowns = discretized.guesses[0].full.at[1:].add(-problem.node_reference)
    unknowns = unknowns + 0.1 * jnp.asarray(np.random.default_rng(0).normal(size=unknowns.shape))
    lane = jax.tree.map(lambda leaf: leaf[..., None], (problem, unknowns))
    direction = jnp.asarray(np.random.default_rng(1).normal(size=unknowns.shape))

    @eqx.filter_jit
    def both_ways(lane, problem, unknowns):
        system = assembly.linearize(*lane, with_sensitivity=True)
        exact, change = jax.jvp(lambda u: assembly.balance(problem, u), (unknowns,), (direction,))
        at_voltage = lambda v: assembly.balance(eqx.tree_at(lambda p: p.voltage, problem, v), unknowns)
        _, dF_dV = jax.jvp(at_voltage, (problem.voltage,), (jnp.ones(()),))
        rhs = (change * system.scale[..., 0])[..., None]
        return system, exact, dF_dV, assembly.solve_bands(problem.elements, system.bands, rhs)

    system, exact, dF_dV, found = both_ways(lane, problem, unknowns)
    np.testing.assert_allclose(system.balance[..., 0], exact * system.scale[..., 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(system.dF_dV[..., 0], dF_dV * system.scale[..., 0], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found[..., 0], direction, atol=1e-6)


def test_settled_ions_balance_where_edges_are_at_right_angles():
    discretized, problem = problem_of(CONE)
    flat = eqx.tree_at(lambda p: p.elements.skew, problem, jnp.zeros_like(problem.elements.skew))
    unknowns = discretized.guesses[0].full.at[1:].add(-problem.node_reference)
    lane = jax.tree.map(lambda leaf: leaf[..., None], (flat, unknowns))
    settled = eqx.filter_jit(solve_nernst_planck)(*lane)
    balance = eqx.filter_jit(lambda problem, unknowns: assembly.linearize(problem, unknowns).balance[1:])
    before, after = (balance(lane[0], u) for u in (lane[1], settled))
    assert float(jnp.abs(after).max()) < 1e-9 * float(jnp.abs(before).max())


@pytest.mark.parametrize("radii", [[1.0, 1.0], [1.0, 3.0], [4.0, 1.0, 4.0]])
def test_volumes_and_charges_are_those_of_the_pore(radii):
    amount, sigma, length = -3.0, 0.02, 10.0
    channel = pore(radii, sigma, length, membrane=Membrane(2.0, (0.01, -0.03)))
    ring = Ring(amount, 5.0, 0.8, depth=0.5)
    channel = eqx.tree_at(lambda c: c.pore.charge, channel, (*channel.pore.charge, ring, Ring(2.0, 5.0, 0.8)))
    grid, made = eqx.filter_jit(lambda c: ((grid := make_axisymmetric_mesh(c, 1.0)), make_cells(c, grid)))(channel)
    near, far = grid.membrane_slices
    wall = np.asarray(radii)
    h, a, b = length / (wall.size - 1), wall[:-1], wall[1:]
    rim, depth = np.asarray(grid.r[:, -1]) ** 2, np.abs(np.asarray(grid.z[[0, -1], 0]) - np.array([0.0, length]))
    water = np.sum(np.pi * h * (a * a + a * b + b * b) / 3) + np.pi * rim[[0, -1]] @ depth
    assert np.asarray(made.edges.volume).sum() == pytest.approx(water, rel=1e-12)
    belt = np.sum(np.pi * (a + b) * np.hypot(h, b - a))
    faces = np.pi * (0.01 * (rim[near] - wall[0] ** 2) - 0.03 * (rim[far] - wall[-1] ** 2))
    whole = (sigma * belt + faces) * units.CHARGE_DENSITY_PER_SURFACE_CHARGE + amount + 2.0
    charge = np.asarray(made.edges.charge).sum() / units.MILLIMOLAR_PER_CHARGE_DENSITY
    assert charge == pytest.approx(whole, rel=1e-4)  # rings are integrated by Gauss points


def test_faces_are_charged_up_to_a_distance_from_the_mouth():
    """Each by itself: 5 nm around the inner mouth, all of the outer face."""
    channel = pore([1.0, 3.0], 0.0, 10.0, membrane=Membrane(2.0, (0.01, -0.03), (5.0, None)))
    grid, made = eqx.filter_jit(lambda c: ((grid := make_axisymmetric_mesh(c, 1.0)), make_cells(c, grid)))(channel)
    rim = float(grid.r[grid.membrane_slices[1], -1])
    whole = np.pi * (0.01 * (6.0**2 - 1.0**2) - 0.03 * (rim**2 - 3.0**2)) * units.CHARGE_DENSITY_PER_SURFACE_CHARGE
    charge = np.asarray(made.edges.charge).sum() / units.MILLIMOLAR_PER_CHARGE_DENSITY
    assert charge == pytest.approx(whole, rel=1e-12)
    inner = np.asarray(made.edges.charge)[:, :, : grid.membrane_slices[0] + 1].sum()
    assert inner / units.MILLIMOLAR_PER_CHARGE_DENSITY == pytest.approx(
        np.pi * 0.01 * 35.0 * units.CHARGE_DENSITY_PER_SURFACE_CHARGE, rel=1e-12
    )
    turned = channel.reflected().membrane
    assert [None if reach is None else float(reach) for reach in turned.charged_within] == [None, 5.0]


@pytest.mark.parametrize("side", ["wall", pytest.param("bath", marks=pytest.mark.slow)])
def test_nothing_leaves_a_container_by_its_wall(side):
    """The current through every slice of a container is that through the pore, unless the bath is around it too."""
    channel = pore([1.0, 1.0], 0.0, 2.0, reservoirs=(Reservoir("cone", 8.0, 4.0, side), Reservoir("none")))
    found, _ = state(channel, 100.0)
    z, r = np.asarray(found.x), np.asarray(found.r)
    middle = (r[1:] + r[:-1]) / 2
    density = np.asarray(found.flux_density)[0] @ channel.valence
    along = (density * np.pi * np.diff(middle**2, axis=1)).sum(1)
    pore_slab = np.searchsorted(z, 1.0)
    outermost, within = along[1] / along[pore_slab], along[np.searchsorted(z, 0.0) + 2] / along[pore_slab]
    assert within == pytest.approx(1.0, rel=1e-9)
    if side == "wall":
        assert outermost == pytest.approx(1.0, rel=1e-9)
    else:
        assert outermost < 0.9


def test_equilibrium_is_exactly_still():
    still, moving = state(CONE, 0.0)[0], state(CONE, 25.0)[0]
    assert abs(float(still.current)) < 1e-14 * abs(float(moving.current))
    assert float(jnp.abs(still.flux_density).max()) < 1e-12 * float(jnp.abs(moving.flux_density).max())


def test_current_is_the_same_through_every_plane_and_its_slope_its_derivative():
    found, slope = state(CONE, 200.0)
    assert float(found.conservation_error) < 1e-10
    step = 1e-3
    difference = (float(current(CONE, 200.0 + step)) - float(current(CONE, 200.0 - step))) / (2 * step)
    assert float(slope) == pytest.approx(difference, rel=1e-6)
    assert float(found.resistance.sum()) == pytest.approx(200.0 / float(found.current), rel=1e-9)
    assert int(found.status) != Status.NOT_CONVERGED


def test_a_pore_turned_round_has_the_curve_turned_round():
    there, back = float(current(CONE, 300.0)), float(current(CONE.reflected(), -300.0))
    assert back == pytest.approx(-there, rel=1e-9)
    assert abs(abs(there) - abs(float(current(CONE, -300.0)))) > 0.02 * abs(there)  # and rectifies


def test_concentrations_are_positive_and_absent_from_the_membrane():
    found, _ = state(CONE, 300.0)
    discretized = discretize(CONE, 400, COARSE)
    dry = np.asarray(discretized.elements[-1].no_ion_nodes)
    c = np.asarray(found.concentration)
    assert dry.any()
    assert (c[~dry] > 0).all()
    assert (c[dry] == 0).all()


@pytest.mark.slow
def test_derivatives_forward_reverse_and_by_difference(monkeypatch):
    hold_mesh(monkeypatch, make_mesh(CONE, 400), make_axisymmetric_mesh(CONE, COARSE))
    where = lambda c: (c.pore.charge[0].density.value, c.ions["K"].diffusivity, c.membrane.permittivity, c.inside["K"])
    base = tuple(map(jnp.asarray, where(CONE)))

    @jax.jit
    def at(*values):
        discretized = discretize(eqx.tree_at(where, CONE, values), 400, COARSE)
        return steady_state(discretized, jnp.asarray(-300.0), Settings()).current

    reverse = jax.jit(jax.grad(at, argnums=range(4)))(*base)
    for k, step in enumerate((1e-5, 1e-4, 1e-3, 1e-3)):
        unit = tuple(jnp.asarray(float(i == k)) for i in range(4))
        forward = float(jax.jvp(at, base, unit)[1])
        assert forward == pytest.approx(float(reverse[k]), rel=1e-9)
        moved = (at(*(b + sign * step * u for b, u in zip(base, unit, strict=True))) for sign in (1, -1))
        difference = float(next(moved) - next(moved)) / (2 * step)
        assert forward == pytest.approx(difference, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("activity_model", [Steric(0.5), Davies()])
def test_ions_beyond_points_change_the_current_as_in_one_dimension(activity_model):
    # Without charge and access the problem has one dimension, but for what of the field leaves the pore by the wall.
    salt = {"inside": {"K": 2000.0, "Cl": 2000.0}, "outside": BATH, "reservoirs": (Reservoir("none"),) * 2}
    ideal, other = pore([1.0, 1.0], **salt), pore([1.0, 1.0], activity_model=activity_model, **salt)
    ratios = []
    for discretization in (pnp.Axial(), pnp.Axisymmetric(COARSE)):
        runs = [pnp.solve(channel, 50.0, discretization=discretization) for channel in (ideal, other)]
        ratios.append(float(runs[1].current / runs[0].current))
    assert abs(ratios[0] - 1) > 0.01
    assert ratios[1] == pytest.approx(ratios[0], abs=5e-4)
    still = pore([1.0, 3.0], -0.05, activity_model=activity_model)
    solution = pnp.solve(still, 0.0, discretization=pnp.Axisymmetric(COARSE))
    assert float(jnp.abs(solution.ion_current).max()) < 1e-13  # pA: 1e-15 of what kT/e drives


@pytest.mark.slow
def test_second_derivative_and_several_voltages_of_a_channel_that_is_known():
    of = lambda v: pnp.solve(CONE, v, discretization=pnp.Axisymmetric(COARSE)).current
    at, h = jnp.array([100.0 - 0.1, 100.0 + 0.1]), 0.2
    first = jax.jit(jax.vmap(jax.grad(of)))(at)
    assert float(jax.jit(jax.grad(jax.grad(of)))(100.0)) == pytest.approx(float(first[1] - first[0]) / h, rel=1e-5)


@pytest.mark.slow
def test_one_solution_from_a_start_far_away():
    discretized = discretize(CONE, 400, COARSE)
    walk = eqx.tree_at(lambda s: s.skip_continuation, Settings(), np.asarray(0.0))
    solved = eqx.filter_jit(
        lambda discretized, settings: solve_on_meshes(discretized, jnp.asarray(400.0), settings)[-1]
    )
    direct, walked = solved(discretized, Settings()), solved(discretized, walk)
    assert int(walked.report.status) == Status.CONVERGED_BY_CONTINUATION
    np.testing.assert_allclose(walked.unknowns, direct.unknowns, atol=1e-8)


def test_impossible_pores_are_refused_with_the_position():
    with pytest.raises(ChannelError, match="x = "):
        pnp.solve(pore([1.0, np.inf, 1.0]), 10.0, discretization=pnp.Axisymmetric())
    with pytest.raises(ValueError, match="resolution"):
        pnp.solve(CONE, 10.0, discretization=pnp.Axisymmetric(0.01))


@pytest.mark.slow
@pytest.mark.parametrize("radii", [[1.0, 5.5, 10.0], [8.0, 1.0, 8.0], [2.0, 2.0, 2.0]])
def test_hard_pores_converge(radii):
    """|σ| to 0.3 C/m², to 2 V; baths of 1 and 1000 mM at ±1 V."""
    cases = [(s, 100.0, 100.0, v) for s in (-0.05, -0.15, -0.3, 0.3) for v in (-2000.0, -500.0, 500.0, 2000.0)]
    cases += [(s, *bath, v) for s in (-0.05, -0.3) for bath in ((1.0, 1e3), (1e3, 1.0)) for v in (-1000.0, 1000.0)]
    for sigma, inside, outside, voltage in cases:
        baths = {side: {"K": c, "Cl": c} for side, c in (("inside", inside), ("outside", outside))}
        found, _ = state(pore(radii, sigma, 20.0, **baths), voltage)
        assert int(found.status) != Status.NOT_CONVERGED, (sigma, inside, outside, voltage)
        assert float(found.conservation_error) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conical-nanopore", "kcsa-like"])
def test_presets_converge_at_second_order_within_what_they_say(name):
    channel = pnp.load(name)
    runs = [pnp.solve(channel, 100.0, discretization=pnp.Axisymmetric(r)) for r in (0.5, 1.0, 2.0)]
    currents = [float(run.mesh_current[-1]) for run in runs]
    assert 2.0 < abs(currents[1] - currents[0]) / abs(currents[2] - currents[1]) < 8.0
    best = float(runs[2].current)
    for run in runs:
        assert abs(float(run.current) / best - 1) < 3 * float(run.discretization_error)
        assert float(run.conservation_error) < 1e-10
