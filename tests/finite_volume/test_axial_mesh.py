"""Meshes: where the nodes are, and what the elements hold."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.finite_volume.axial import mesh as meshes

make_mesh, make_elements = map(eqx.filter_jit, (meshes.make_mesh, meshes.make_elements))


@pytest.mark.parametrize("name", ["kcsa-like", "gramicidin-a", "conical-nanopore"])
def test_nodes_increase_and_lie_on_every_jump(name):
    channel = pnp.load(name)
    x = np.asarray(make_mesh(channel, 152).nodes)
    assert x.size == 153
    assert np.all(np.diff(x) > 0)
    first, last = map(float, channel.domain)
    assert (x[0], x[-1]) == (first, last)
    for edge in np.asarray(channel.breakpoints()):
        assert np.min(np.abs(x[::4] - edge)) == 0.0, "a jump is not a node of all meshes"


@pytest.mark.parametrize("nodes", [101, 102, 103, 104])
def test_all_meshes_have_a_middle_node(charged, nodes):
    """Elimination meets there: a multiple of eight elements, rounded up."""
    assert make_mesh(charged, nodes).nodes.size == 105


def test_nodes_gather_at_charge_edges(charged):
    x = np.asarray(make_mesh(charged, 200).nodes)
    h = np.diff(x)
    at_edge = h[np.searchsorted(x, 3.0)]
    inside = h[np.searchsorted(x, 4.0)]
    debye = 0.3  # nm, that of some 1 M
    assert at_edge < 0.25 * debye
    assert at_edge < 0.7 * inside


def test_mesh_can_be_made_inside_jit(charged):
    """And follows a traced charge, as it does where a channel is batched."""
    stronger = lambda factor: eqx.tree_at(
        lambda c: c.pore.charge[0].density.y, charged, replace_fn=lambda y: factor * y
    )
    make = eqx.filter_jit(lambda factor: make_mesh(stronger(factor), 64).points)
    batched = eqx.filter_vmap(make)(jnp.array([1.0, 9.0]))
    np.testing.assert_allclose(batched[1], make(9.0), rtol=1e-13)
    edge = jnp.searchsorted(batched[0], 3.0)
    assert jnp.diff(batched[1])[edge] < jnp.diff(batched[0])[edge]


def test_too_few_nodes_say_how_many_are_needed():
    with pytest.raises(ValueError, match="give at least"):
        pnp.solve(pnp.load("kcsa-like"), 0.0, discretization=pnp.Axial(16))


def test_elements_integrate_the_pore():
    channel = pnp.load("uncharged-cylinder")
    mesh = make_mesh(channel, 100)
    elements = make_elements(channel, mesh)
    extent = float(channel.domain[1]) - 5.0
    # Pore π a² L, caps ∫ 2π(a² + x²) dx; resistances L/(π a² D) and 1/(4 a D), a = 1 nm.
    volume = np.pi * 5.0 + 2 * 2 * np.pi * (extent + extent**3 / 3)
    resistance = (5.0 / np.pi + 2 / 4) / 1.957
    assert float(elements.volume.sum()) == pytest.approx(volume, rel=1e-12)
    assert float((1 / elements.conductance[0]).sum()) == pytest.approx(resistance, rel=1e-8)


def test_the_elements_of_a_coarser_mesh_keep_totals():
    channel = pnp.load("conical-nanopore")
    mesh = make_mesh(channel, 104)
    fine, coarse = make_elements(channel, mesh), make_elements(channel, mesh.coarse)
    for name in ("volume", "charge"):
        np.testing.assert_allclose(getattr(coarse, name).sum(), getattr(fine, name).sum(), rtol=1e-5)
    for name in ("conductance", "dielectric_conductance"):
        total = lambda e, n=name: (1 / getattr(e, n)).sum(-1)
        np.testing.assert_allclose(total(coarse), total(fine), rtol=1e-5)
    assert coarse.volume.shape[-1] == fine.volume.shape[-1] // 2
    assert jnp.all(coarse.position_energy[0] == fine.position_energy[0, :, ::2])


def test_the_far_end_of_a_dilute_bath_is_resolved():
    """What comes from a bath of 1 M falls to 1 µM over a millionth of the reservoir, not to 1 M."""
    channel = pnp.load("conical-nanopore").with_baths({"K": 1e3, "Cl": 1e3}, {"K": 1e-3, "Cl": 1e-3})
    x = np.asarray(make_mesh(channel, 400).nodes)
    first, last = np.diff(x)[[0, -1]]
    reservoirs = float(channel.pore.start) - x[0], x[-1] - float(channel.pore.end)
    assert first > 1e-3 * reservoirs[0]
    assert last < 2e-6 * reservoirs[1]


# --- what profiles hold between breakpoints -----------------------------------------------------


def barrier(width, as_table=False):
    """A pore of 10 nm with a barrier of 12 kT for both ions, whose centre is not a round number."""
    energy = lambda x: 12 * jnp.exp(-((x - 4.333) ** 2) / (2 * width**2))
    x = np.linspace(0.0, 10.0, 20_001) if as_table else np.array([0.0, 10.0])
    return pnp.Channel.from_profiles(
        x,
        area=1.0,
        ions={"K": pnp.Ion(1, 1.96), "Cl": pnp.Ion(-1, 2.03)},
        inside={"K": 100.0, "Cl": 100.0},
        outside={"K": 100.0, "Cl": 100.0},
        temperature=298.15,
        pmf=dict.fromkeys(("K", "Cl"), energy(x) if as_table else energy),
    )


OTHERS = [(0.5, False), (0.05, True), (0.001, False), (0.005, True)]


@pytest.mark.parametrize(
    ("width", "as_table"), [(0.005, False), *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)]
)
def test_a_narrow_barrier_is_found(width, as_table):
    """In linear response both ions see the resistance ∫ e^w dx / (D A c): 0.0024171 pA at a width of 5 pm."""
    inner = np.linspace(4.333 - 12 * width, 4.333 + 12 * width, 400_001)
    channel = barrier(width, as_table)
    raised = np.trapezoid(np.expm1(np.asarray(channel.pore.pmf["K"](jnp.asarray(inner)))), inner)
    drive = 1 / float(pnp.units.thermal_voltage(298.15))
    exact = pnp.units.CURRENT_PER_FLUX * (1.96 + 2.03) * 100 * drive / (10.0 + raised)
    solution = pnp.solve(channel, 1.0, discretization=pnp.Axial(200))
    error = abs(float(solution.current) / exact - 1)
    assert error < 3 * float(solution.discretization_error)
    assert error < 5e-3


def test_elements_grow_slowly_beside_a_barrier():
    x = np.asarray(make_mesh(barrier(0.001), 400).nodes)
    h = np.diff(x)
    assert h.min() < 2e-4
    assert np.abs(np.diff(np.log(h))).max() < 0.5
