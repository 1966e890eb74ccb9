"""The axisymmetric system: cell laws summed at the nodes, Dirichlet conditions, the Jacobian and solves with it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axisymmetric.cell_laws import (
    Unknowns,
    cell_states,
    edge_balances,
    imbalance,
    ion_flux_sensitivities,
    ion_fluxes,
    linearized_imbalance,
    map_cells,
    with_zeros,
)
from pnp.finite_volume.axisymmetric.cells import Cells
from pnp.finite_volume.differentiate import derivatives
from pnp.finite_volume.fluxes import ActivityPair, element_balance, solve_activities
from pnp.finite_volume.problem import Problem, expand_to_elements
from pnp.linalg import slice_elimination as slices
from pnp.linalg.pointwise import map_pointwise


class System(NamedTuple):
    """Newton's linear system, its rows scaled to one on the diagonal."""

    bands: slices.Bands
    scale: Unknowns
    """Factors by which the rows were multiplied."""
    balance: Unknowns
    """Imbalance at every node, scaled."""
    dF_dV: Unknowns | None
    """Its derivative by the voltage (kT/e), scaled; None if not asked for."""


# --- sums at the nodes ---------------------------------------------------------------------------


def add_to_nodes(corners: Float[Array, "corner ..."], some: int) -> Float[Array, "..."]:
    """Values at the corners of cells, [corner, *some, slab, cell, *batch], summed at the nodes, [*some, slice, node,
    *batch]. some: the number of axes `*some`."""
    return sum(
        jnp.pad(corners[2 * i + j], (*[(0, 0)] * some, (i, 1 - i), (j, 1 - j), *[(0, 0)] * (corners.ndim - some - 3)))
        for i in range(2)
        for j in range(2)
    )  # type: ignore


def bands_of(couplings: Float[Array, "corner corner ..."], some: int) -> list[Array]:
    """Couplings of nodes to those of the slice before, of their own and of the one after, each [3, *some, slice, node,
    *batch] by the shift of the node.

    - couplings: [row's corner, column's corner, *some, slab, cell, *batch], see `add_to_nodes`.
    """
    bands: list = []
    rest = [(0, 0)] * (couplings.ndim - some - 4)
    for offset in (-1, 0, 1):
        total: Any = 0.0
        for i in range(2):
            if not 0 <= i + offset <= 1:
                continue
            for j in range(2):
                both = couplings[2 * i + j, 2 * (i + offset) : 2 * (i + offset) + 2]  # columns at the nodes 0 and 1
                total = total + jnp.pad(both, ((1 - j, j), *[(0, 0)] * some, (i, 1 - i), (j, 1 - j), *rest))
        bands.append(total)
    return bands


def ion_flux(problem: Problem, unknowns: Unknowns) -> list[Float[Array, "edge slab cell *batch"]]:
    """Flux of each ion through the faces that edges cross, along the edges, mM nm³/ns."""
    return map_cells(ion_fluxes, problem, unknowns)


def ion_flux_sensitivity(problem: Problem, unknowns: Unknowns, sensitivity: Unknowns) -> list[Float[Array, "..."]]:
    """Its derivative by the voltage (kT/e). sensitivity: d unknowns / d voltage."""
    return map_cells(ion_flux_sensitivities, problem, unknowns, sensitivity)


# --- Dirichlet nodes and the far field -----------------------------------------------------------


def dirichlet_values(problem: Problem) -> tuple[list, list]:
    """Where each unknown is given, and its value there, by unknown."""
    cells, voltage = problem.elements, problem.voltage
    ions = [cells.dirichlet_nodes | cells.no_ion_nodes] * len(problem.valence)
    bath = jnp.where(cells.far_field.inside_reference, voltage, 0.0)
    return [cells.dirichlet_nodes, *ions], [bath, *[jnp.zeros(())] * len(ions)]


def with_dirichlet_values(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns with their given values at Dirichlet nodes."""
    rows = zip(*dirichlet_values(problem), unknowns, strict=True)
    return jnp.stack([jnp.where(fixed, given, value) for fixed, given, value in rows])


def _far_field(problem: Problem) -> Problem:
    """The problem of the elements between the nodes at the rim and the baths beyond them."""
    return problem.with_elements(problem.elements.far_field)


def _at_bath(far_field: Problem) -> list:
    """The unknowns in the bath beyond a node."""
    voltage = jnp.where(far_field.elements.inside_reference, far_field.voltage, 0.0)
    return [voltage, *[jnp.zeros_like(voltage)] * len(far_field.valence)]


def _to_far_field(far_field: Problem, states: list, activity: ActivityPair | None = None) -> list:
    """Flux from nodes to the bath beyond them, by unknown."""
    flux, *_ = far_field.apply(element_balance, states, _at_bath(far_field), activity)
    return flux


def _to_far_field_linearized(far_field: Problem, unknowns, activity: ActivityPair):
    """The same with its derivatives by the unknowns and by the voltage: [row], [row, column], [row]."""
    law = lambda *moved: _to_far_field(far_field.with_voltage(moved[-1]), list(moved[:-1]), activity)
    values, rows = derivatives(law, [*unknowns, far_field.voltage])
    rows = with_zeros(rows, jnp.zeros_like(values[0]))
    stacked = lambda columns: jnp.stack([jnp.stack(row[columns]) for row in rows])
    return jnp.stack(values), stacked(slice(0, -1)), stacked(slice(-1, None))[:, 0]


# --- the system ----------------------------------------------------------------------------------


def balance(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """Imbalance of charge and of each ion at every node: flux out, less the node's content; at Dirichlet nodes the
    difference from the given value."""
    values = add_to_nodes(imbalance(edge_balances(cell_states(problem, unknowns))), 1)
    values = values + jnp.stack(_to_far_field(_far_field(problem), list(unknowns)))
    rows = zip(*dirichlet_values(problem), unknowns, values, strict=True)
    return jnp.stack([jnp.where(fixed, own - given, value) for fixed, given, own, value in rows])


def linearize(problem: Problem, unknowns: Unknowns, count: int | None = None, with_sensitivity: bool = False) -> System:
    """The equations of the first `count` unknowns of every node, and their derivatives by those and by the voltage."""
    rows = slice(0, count or len(unknowns))
    # One law for all counts: it takes longer to compile than to run for what is not needed.
    values, couplings, by_voltage = map_cells(linearized_imbalance, problem, unknowns)
    far_field = expand_to_elements(_far_field(problem), 2)
    activity = far_field.apply(solve_activities, list(unknowns), _at_bath(far_field))
    far_values, far_couplings, far_by_voltage = map_pointwise(
        _to_far_field_linearized, (far_field, unknowns, activity), unknowns.shape[1:]
    )
    fixed, given = (
        jnp.stack([jnp.broadcast_to(value, unknowns[0].shape) for value in each[rows]])
        for each in dirichlet_values(problem)
    )
    before, own, after = bands_of(couplings[:, :, rows, rows], 2)
    own = own.at[1].add(far_couplings[rows, rows])
    every = range(len(fixed))
    scale = 1 / jnp.where(fixed, 1.0, jnp.stack([own[1, u, u] for u in every]))
    unit = jnp.zeros((3, 1, 1)).at[1].set(1.0) * jnp.eye(len(fixed))

    def band(values, at_fixed):
        scaled = jnp.where(fixed[:, None], at_fixed, values * scale[:, None])
        return jnp.transpose(scaled, (3, 1, 2, 0, 4, 5))

    bands = slices.Bands(band(before, 0.0), band(own, unit[..., None, None, None]), band(after, 0.0))
    scaled = lambda cell, far: (add_to_nodes(cell[:, rows], 1) + far[rows]) * scale
    imbalances = jnp.where(fixed, unknowns[rows] - given, scaled(values, far_values))
    if not with_sensitivity:
        return System(bands, scale, imbalances, None)
    voltage = problem.voltage
    of_voltage = lambda v: dirichlet_values(problem.with_voltage(v))[1][rows]
    _, moved = jax.jvp(of_voltage, (voltage,), (jnp.ones_like(voltage),))
    moved = jnp.stack([jnp.broadcast_to(value, unknowns[0].shape) for value in moved])
    return System(bands, scale, imbalances, jnp.where(fixed, -moved, scaled(by_voltage, far_by_voltage)))


def solve_bands(cells: Cells, bands: slices.Bands, rhs, transposed: bool = False):
    """x with A x = rhs, or Aᵀ x = rhs, of [row, slice, node, *column, batch]: see `slices.eliminate`."""
    # In the membrane no ion comes beyond the wall: mu is fixed there.
    solid = cells.membrane_slices, cells.wall_index + 1
    by_slice = lambda values: jnp.moveaxis(values, 0, 1)
    one = lambda bands, rhs: by_slice(slices.eliminate(bands, by_slice(rhs), *solid, transposed))
    if bands.own.shape[-1] == 1:  # the batch of the right-hand side is further columns of one matrix
        return one(jax.tree.map(lambda band: band[..., 0], bands), rhs)
    return jax.vmap(one, in_axes=-1, out_axes=-1)(bands, jnp.broadcast_to(rhs, (*rhs.shape[:-1], bands.own.shape[-1])))
