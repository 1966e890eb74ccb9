"""The local laws on one cell: along its four edges, and summed at its four corners.

A law is written for `CellStates`, whose arrays are [*items] of one cell or [*items, slab, cell, *batch] of all. The
laws of `fluxes` hold along each edge; the flux through a face that is not at right angles to its edge has a part from
the two edges that meet it (`element_balance`'s `transverse`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axisymmetric.cells import EDGES
from pnp.finite_volume.differentiate import derivatives
from pnp.finite_volume.fluxes import ActivityPair, element_balance, solve_activities
from pnp.finite_volume.problem import Problem, expand_to_elements
from pnp.linalg.pointwise import map_pointwise

Unknowns = Float[Array, "unknown slice node *batch"]
"""phi and mu − mu_ref at every node. Dirichlet nodes (at a bath; mu where there are no ions) are among them."""


class CellStates(NamedTuple):
    """The states at the corners of cells, and the problem along their edges."""

    problem: Problem
    """Of the edges: [*items, edge, …]."""
    skew: Float[Array, "edge ..."]
    states: Float[Array, "unknown corner ..."]
    activity: ActivityPair
    """Solved at these states (`fluxes.solve_activities`), once and not again in every derivative."""

    @property
    def ends(self) -> tuple[list, list]:
        """The unknowns at the near and at the far ends of the edges, [unknown][edge, …]."""
        corners = [list(of) for of in self.states]
        near, far = ([jnp.stack([at[edge[end]] for edge in EDGES]) for at in corners] for end in range(2))
        return near, far

    def apply(self, law: Callable):
        """A law of `fluxes` along the edges."""
        return self.problem.apply(law, *self.ends, self.activity)


def cell_states(problem: Problem, unknowns: Unknowns, expand: bool = False) -> CellStates:
    """The states of all cells. expand: whether all numbers get the axes of the cells, as pointwise laws ask for."""
    edges = problem.with_elements(problem.elements.edges)
    edges = expand_to_elements(edges, 2) if expand else edges
    states = CellStates(edges, problem.elements.skew, _at_corners(unknowns), (edges.activity,) * 2)
    return states._replace(activity=edges.apply(solve_activities, *states.ends))


def map_cells(law: Callable, problem: Problem, *values: Unknowns):
    """A law of `CellStates` on every cell, as one compiled loop where that can be (`linalg.pointwise.map_pointwise`).

    - law: takes the parts of `CellStates`, and one more array [unknown, corner, …] for each further one of `values`.
    - values: the unknowns first.
    """
    unknowns = values[0]
    if unknowns.ndim == 3:
        one = jax.tree.map(lambda value: value[..., None], (problem, *values))
        return jax.tree.map(lambda value: value[..., 0], map_cells(law, *one))
    states = cell_states(problem, unknowns, expand=True)
    return map_pointwise(law, (*states, *map(_at_corners, values[1:])), states.states.shape[2:])


def _at_corners(values: Unknowns) -> Float[Array, "unknown corner slab cell *batch"]:
    halves = (slice(None, -1), slice(1, None))
    return jnp.stack([values[:, i][:, :, j] for i in halves for j in halves], axis=1)


def sum_at_corners(outward: Sequence | Array, inward: Sequence | Array) -> list:
    """Sums at the corners of the values that edges, [edge], have at their near and at their far ends."""
    sums: list = [0.0] * 4
    for edge, *ends in zip(EDGES, outward, inward, strict=True):
        for corner, value in zip(edge, ends, strict=True):
            sums[corner] = sums[corner] + value
    return sums


# --- balances along the edges --------------------------------------------------------------------


def _edge_balance(states: CellStates, near: list, far: list, transverse: list) -> list:
    """Flux through the faces that edges cross, and content of their ends.

    - transverse: differences of the unknowns along the edges that meet each edge, [unknown][edge, …].

    Returns [flux of each unknown, charge at the near and at the far ends] of [edge, …].
    """
    problem = states.problem
    reference = [_transverse(b - a) for a, b in zip(*problem.reference, strict=True)]
    across = [transverse[0], *(m + r for m, r in zip(transverse[1:], reference, strict=True))]
    flux, (content_near,), (content_far,) = problem.apply(
        element_balance, near, far, states.activity, skew=states.skew, transverse=across
    )
    return [*flux, content_near, content_far]


def edge_balances(states: CellStates) -> list:
    """`_edge_balance` at the states of the cell."""
    near, far = states.ends
    return _edge_balance(states, near, far, [_transverse(b - a) for a, b in zip(near, far, strict=True)])


def _transverse(steps: Float[Array, "edge ..."]) -> Float[Array, "edge ..."]:
    """Differences along edges: for each edge the mean of the two that meet it."""
    axial_inner, axial_outer, radial_near, radial_far = steps
    return jnp.stack([(radial_near + radial_far) / 2] * 2 + [(axial_inner + axial_outer) / 2] * 2)


def _meeting(edge: int):
    return EDGES[2:] if edge < 2 else EDGES[:2]


def imbalance(parts: Sequence) -> Float[Array, "corner unknown ..."]:
    """What flows out of each corner less its charge, from `edge_balances` or a derivative of them."""
    *fluxes, content_near, content_far = parts
    rows = [sum_at_corners(flux, -flux) for flux in fluxes]
    content = sum_at_corners(content_near, content_far)
    rows[0] = [flux - charge for flux, charge in zip(rows[0], content, strict=True)]
    return jnp.stack([jnp.stack(corner) for corner in zip(*rows, strict=True)])


def ion_fluxes(*given) -> list:
    """Law: flux of each ion through the faces that edges cross, [ion][edge]."""
    return edge_balances(CellStates(*given))[1:-2]


def ion_flux_sensitivities(*given) -> list:
    """Law: its derivative by the voltage; the last argument is d unknowns / d voltage at the corners."""
    *parts, sensitivity = given
    states = CellStates(*parts)

    def flux(voltage, corners):
        return edge_balances(states._replace(problem=states.problem.with_voltage(voltage), states=corners))[1:-2]

    voltage = states.problem.voltage
    return jax.jvp(flux, (voltage, states.states), (jnp.ones_like(voltage), sensitivity))[1]


# --- their derivatives ---------------------------------------------------------------------------


def linearized_imbalance(*given):
    """Law: `imbalance` [corner, row], and its derivatives by the unknowns at the corners, [corner, corner, row,
    column], and by the voltage, [corner, row]."""
    states = CellStates(*given)
    near, far = states.ends
    parts = (near, far, [_transverse(b - a) for a, b in zip(near, far, strict=True)])
    count = len(near)

    def balance(*moved):
        *own, (voltage,) = (list(moved[i * count : (i + 1) * count]) for i in range(4))
        at = states._replace(problem=states.problem.with_voltage(voltage))
        return _edge_balance(at, *own)

    values, rows = derivatives(balance, [*(one for part in parts for one in part), states.problem.voltage])
    rows = with_zeros(rows, jnp.zeros_like(values[0]))
    return imbalance(values), _corner_derivatives(rows, count), imbalance([row[-1] for row in rows])


def with_zeros(rows: list[list], zero: Array) -> list[list]:
    """With zeros in place of None."""
    return [[zero if value is None else value + zero for value in row] for row in rows]


def _corner_derivatives(rows: list[list], count: int) -> Float[Array, "corner corner row column ..."]:
    """Derivatives of `imbalance` by the unknowns at the corners.

    - rows: derivatives of `_edge_balance` by the unknowns at the ends and by the transverse differences.
    """
    columns = []
    for u in range(count):
        by_near, by_far, by_transverse = ([row[part * count + u] for row in rows] for part in range(3))
        # [edge][row of the edge]
        by_edge = [list(zip(*map(list, by), strict=True)) for by in (by_near, by_far, by_transverse)]
        for corner in range(4):
            parts = []
            for e, edge in enumerate(EDGES):
                near, far, transverse = (by[e] for by in by_edge)
                own = {edge[0]: near, edge[1]: far}.get(corner)
                # An edge sees half the difference along each of the two that meet it.
                sign = next(0.5 if other[1] == corner else -0.5 for other in _meeting(e) if corner in other)
                change = [sign * value for value in transverse]
                parts.append(change if own is None else [a + b for a, b in zip(own, change, strict=True)])
            columns.append(imbalance([jnp.stack(row) for row in zip(*parts, strict=True)]))
    by_corner = [jnp.stack([columns[u * 4 + corner] for u in range(count)], axis=2) for corner in range(4)]
    return jnp.stack(by_corner, axis=1)
