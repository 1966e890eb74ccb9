"""Half-steps that solve for the ions, or for the potential, alone: Nernst–Planck at fixed potential, and Poisson with
the ions in equilibrium."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pnp.finite_volume.axisymmetric.assembly import (
    add_to_nodes,
    bands_of,
    linearize,
    solve_bands,
    with_dirichlet_values,
)
from pnp.finite_volume.axisymmetric.cell_laws import CellStates, Unknowns, map_cells, sum_at_corners
from pnp.finite_volume.axisymmetric.cells import EDGES
from pnp.finite_volume.fluxes import edge_weight, one_way_fluxes
from pnp.finite_volume.problem import Problem
from pnp.linalg.batching import batch_size, over_batch
from pnp.linalg.slice_elimination import Bands

NEARLY_SOLVED = 0.3
"""kT: last update of an easier problem below which the problem itself is solved next."""

_SMALLEST = 1e-200  # concentration where round-off leaves none
_LARGEST_UPDATE, _STEPS = 3.0, 60  # of Poisson with the ions in equilibrium: kT/e, and at most


def solve_nernst_planck(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """Steady Nernst–Planck of point ions at fixed potential, as if all edges were at right angles.

    The flux along an edge is then linear in c = e^(mu − z phi) at its ends, and all sources are the baths.
    """
    phi, cells, valence = unknowns[0], problem.elements, problem.valence
    reference = problem.node_reference
    unit = jnp.stack([phi, *(z * phi - ref for z, ref in zip(valence, reference, strict=True))])  # where c is 1
    leaving, arriving = map_cells(_exchange, problem, unit)
    far_field = cells.far_field
    bath_phi = jnp.where(far_field.inside_reference, problem.voltage, 0.0)
    bath_mu = [jnp.where(far_field.inside_reference, *mu) for mu in zip(*problem.bath_mu, strict=True)]
    bath = jnp.stack([jnp.exp(mu - z * bath_phi) for mu, z in zip(bath_mu, valence, strict=True)])
    step = jnp.stack([z * (phi - bath_phi) for z in valence])
    leaves = add_to_nodes(leaving, 1) + edge_weight(far_field.conductance, 1.0, -step)
    fixed = cells.dirichlet_nodes | cells.no_ion_nodes
    scale = 1 / jnp.where(fixed, 1.0, leaves)
    bands = [jnp.where(fixed, 0.0, -band * scale) for band in bands_of(arriving, 1)]
    bands[1] = bands[1].at[1].set(1.0)
    given = jnp.where(cells.dirichlet_nodes, bath, 1.0)
    arrives = jnp.where(fixed, given, edge_weight(far_field.conductance, bath, step) * scale)
    # Ions are further cases of the batch.
    merged = lambda value: jnp.moveaxis(value, -4, -2).reshape(*value.shape[:-4], *value.shape[-3:-1], -1)
    by_slice = lambda band: jnp.moveaxis(merged(band), 1, 0)[:, None, None]
    c = solve_bands(cells, Bands(*map(by_slice, bands)), merged(arrives)[None])[0]
    c = jnp.moveaxis(c.reshape(*phi.shape[:2], len(valence), -1), 2, 0)
    mu = jnp.log(jnp.maximum(c, _SMALLEST)) + unit[1:]
    return with_dirichlet_values(problem, jnp.concatenate([phi[None], jnp.where(fixed, unknowns[1:], mu)]))


def _exchange(*given) -> tuple[Array, Array]:
    """What leaves the corners of a cell per concentration there, [corner, ion], and what arrives at each of them from
    each other, [corner, corner, ion]."""
    states = CellStates(*given)
    near, far = states.apply(one_way_fluxes)
    leaving = [sum_at_corners(*sent) for sent in zip(near, far, strict=True)]
    none = jnp.zeros_like(leaving[0][0])
    arriving = [[[none] * len(near) for _ in range(4)] for _ in range(4)]
    for ion, sent in enumerate(zip(near, far, strict=True)):
        for (a, b), from_a, from_b in zip(EDGES, *sent, strict=True):
            arriving[b][a][ion], arriving[a][b][ion] = from_a, from_b
    stacked = lambda rows: jnp.stack([jnp.stack(row) for row in rows])
    return stacked(list(zip(*leaving, strict=True))), jnp.stack([stacked(row) for row in arriving])


def _poisson_boltzmann(problem: Problem, unknowns: Unknowns) -> Unknowns:
    whole = jnp.broadcast_to(unknowns, (*unknowns.shape[:3], batch_size((problem, unknowns))))
    start = with_dirichlet_values(problem, whole)

    def step(state):
        unknowns, _, count = state
        system = linearize(problem, unknowns, 1)
        (change,) = solve_bands(problem.elements, system.bands, -system.balance)
        size = jnp.max(jnp.abs(change), axis=(0, 1))
        step = change * jnp.minimum(1.0, _LARGEST_UPDATE / size)
        return jnp.concatenate([unknowns[:1] + step, unknowns[1:]]), jnp.max(size), count + 1

    unfinished = lambda state: (state[1] > NEARLY_SOLVED) & (state[2] < _STEPS)
    return jax.lax.while_loop(unfinished, step, (start, jnp.array(jnp.inf), 0))[0]


_batched_poisson_boltzmann = over_batch(_poisson_boltzmann)


def poisson_boltzmann_guess(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns with the potential of Poisson's equation at the given mu, roughly; a guess without derivatives."""
    return _batched_poisson_boltzmann(*jax.lax.stop_gradient((problem, unknowns)))
