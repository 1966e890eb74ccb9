"""The equations of the (z, r) plane at every node, their Jacobian, and solves with it.

The laws of one dimension hold along the four edges of a quadrilateral; what they say is gathered at its corners, which
makes a law of quadrilaterals, and added up at the nodes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axial.assembly import Problem, derivatives, expand_to_elements
from pnp.finite_volume.axisymmetric.cells import EDGES, Plane
from pnp.finite_volume.fluxes import Ends, element_balance, solve_activities
from pnp.linalg import slice_elimination as slices
from pnp.linalg._cpu.pointwise import map_pointwise
from pnp.linalg.block_tridiagonal import dispatch_by_platform

Unknowns = Float[Array, "unknown slice node *lane"]
"""phi and mu − mu_ref at every node. Nodes that are held (at a bath; mu where no ion comes) are among them, with
equations that say so."""


class System(NamedTuple):
    """Newton's linear system, its rows scaled to one on the diagonal."""

    bands: slices.Bands
    scale: Unknowns
    """What the rows were multiplied by."""
    balance: Unknowns
    """Imbalance at every node, as the rows have it."""
    dF_dV: Unknowns | None
    """Its derivative by the voltage (kT/e) alike, if asked for."""


# --- one quadrilateral, or all of them -----------------------------------------------------------


class CellStates(NamedTuple):
    """What laws ask of quadrilaterals: arrays [*items, slab, cell, *lane], or [*items] of one alone."""

    problem: Problem
    """Of the edges: [*items, edge, …]."""
    skew: Float[Array, "edge ..."]
    states: Float[Array, "unknown corner ..."]
    excess: Ends
    """Solved at these states, see `laws.solve_activities`: once, not again in every derivative."""

    @property
    def ends(self) -> tuple[list, list]:
        """The unknowns at the near and at the far ends of the edges, [unknown][edge, …]."""
        corners = [list(of) for of in self.states]
        near, far = ([jnp.stack([at[edge[end]] for edge in EDGES]) for at in corners] for end in range(2))
        return near, far

    def apply(self, law: Callable):
        """A law of `pnp.finite_volume.fluxes` along the edges."""
        return self.problem.apply(law, *self.ends, self.excess)


def map_cells(law: Callable, problem: Problem, *values: Unknowns):
    """What a law of `CellStates` says at each, see `pointwise.map_pointwise`; of unknowns, and of more arrays alike,
    which it is given as it is their states."""
    unknowns = values[0]
    if unknowns.ndim == 3:
        lane = jax.tree.map(lambda value: value[..., None], (problem, *values))
        return jax.tree.map(lambda value: value[..., 0], map_cells(law, *lane))
    quads = _quads(expand_to_elements(_of_edges(problem), 2), problem.elements.skew, unknowns)
    return map_pointwise(law, (*quads, *map(_at_corners, values[1:])), quads.states.shape[2:])


def _of_edges(problem: Problem) -> Problem:
    return eqx.tree_at(lambda p: p.elements, problem, problem.elements.edges)


def _quads(edges: Problem, skew, unknowns: Unknowns) -> CellStates:
    quads = CellStates(edges, skew, _at_corners(unknowns), (edges.excess, edges.excess))
    return quads._replace(excess=edges.apply(solve_activities, *quads.ends))


def _at_corners(values: Unknowns) -> Float[Array, "unknown corner slab cell *lane"]:
    halves = (slice(None, -1), slice(1, None))
    return jnp.stack([values[:, i][:, :, j] for i in halves for j in halves], axis=1)


def _met(steps: Float[Array, "edge ..."]) -> Float[Array, "edge ..."]:
    """Differences along edges: for each edge the mean of those that it meets."""
    along, further, across, beyond = steps
    return jnp.stack([(across + beyond) / 2] * 2 + [(along + further) / 2] * 2)


def _edge_balance(quads: CellStates, near: list, far: list, meeting: list) -> list:
    """What passes through the faces that edges cross, and what their ends hold: [through of each unknown, charge at the
    near and at the far ends] of [edge, …]. meeting: differences of the unknowns along the edges that they meet."""
    problem = quads.problem
    joint = [_met(b - a) for a, b in zip(*problem.reference, strict=True)]
    across = [meeting[0], *(m + j for m, j in zip(meeting[1:], joint, strict=True))]
    through, (content_outer,), (content_inner,) = problem.apply(
        element_balance, near, far, quads.excess, skew=quads.skew, across=across
    )
    return [*through, content_outer, content_inner]


def _edge_balances(quads: CellStates) -> list:
    near, far = quads.ends
    return _edge_balance(quads, near, far, [_met(b - a) for a, b in zip(near, far, strict=True)])


def of_corners(outward: Sequence, inward: Sequence) -> list:
    """Sums at the corners of what edges, [edge], say of their near and of their far ends."""
    sums: list = [0.0] * 4
    for edge, *said in zip(EDGES, outward, inward, strict=True):
        for corner, value in zip(edge, said, strict=True):
            sums[corner] = sums[corner] + value
    return sums


def _imbalance(parts: Sequence) -> Float[Array, "corner unknown ..."]:
    """Of `_edge_balance`, or of a derivative of it: what flows out of each corner less the charge it holds."""
    *through, content_outer, content_inner = parts
    rows = [of_corners(flux, -flux) for flux in through]
    held = of_corners(content_outer, content_inner)
    rows[0] = [flux - charge for flux, charge in zip(rows[0], held, strict=True)]
    return jnp.stack([jnp.stack(corner) for corner in zip(*rows, strict=True)])


def _linearized(*given):
    """What flows out of the corners of quadrilaterals less what these hold, [corner, row], and its derivatives by the
    unknowns there, [corner, corner, row, column], and by the voltage."""
    quads = CellStates(*given)
    near, far = quads.ends
    parts = (near, far, [_met(b - a) for a, b in zip(near, far, strict=True)])
    count = len(near)

    def balance(*moved):
        *own, (voltage,) = (list(moved[i * count : (i + 1) * count]) for i in range(4))
        at = quads._replace(problem=_at_voltage(quads.problem, voltage))
        return _edge_balance(at, *own)

    values, rows = derivatives(balance, [*(one for part in parts for one in part), quads.problem.voltage])
    rows = _filled(rows, jnp.zeros_like(values[0]))
    return _imbalance(values), _couplings(rows, count), _imbalance([row[-1] for row in rows])


def _filled(rows: list[list], zero: Array) -> list[list]:
    """With zeros for what is None."""
    return [[zero if value is None else value + zero for value in row] for row in rows]


def _couplings(rows: list[list], count: int) -> Float[Array, "corner corner row column ..."]:
    """Derivatives of `_imbalance` by the unknowns at the corners. rows: those of `_edge_balance` by the unknowns at
    the ends and by the meeting differences."""
    columns = []
    for u in range(count):
        by_near, by_far, by_met = ([row[part * count + u] for row in rows] for part in range(3))
        # [edge][row of the edge]
        by_edge = [list(zip(*map(list, by), strict=True)) for by in (by_near, by_far, by_met)]
        for corner in range(4):
            parts = []
            for e, edge in enumerate(EDGES):
                near, far, met = (by[e] for by in by_edge)
                own = {edge[0]: near, edge[1]: far}.get(corner)
                # An edge sees half the difference along each of the two that it meets.
                sign = next(0.5 if other[1] == corner else -0.5 for other in _meeting(e) if corner in other)
                change = [sign * value for value in met]
                parts.append(change if own is None else [a + b for a, b in zip(own, change, strict=True)])
            columns.append(_imbalance([jnp.stack(row) for row in zip(*parts, strict=True)]))
    by_corner = [jnp.stack([columns[u * 4 + corner] for u in range(count)], axis=2) for corner in range(4)]
    return jnp.stack(by_corner, axis=1)


def _meeting(edge: int):
    return EDGES[2:] if edge < 2 else EDGES[:2]


def _at_voltage(problem: Problem, voltage) -> Problem:
    return eqx.tree_at(lambda p: p.voltage, problem, voltage)


# --- their sums at the nodes ---------------------------------------------------------------------


def gathered(corners: Float[Array, "corner ..."], some: int) -> Float[Array, "..."]:
    """What quadrilaterals say of their corners, [corner, *some, slab, cell, *lane], added up at the nodes, [*some,
    slice, node, *lane]. some: how many axes these are."""
    return sum(
        jnp.pad(corners[2 * i + j], (*[(0, 0)] * some, (i, 1 - i), (j, 1 - j), *[(0, 0)] * (corners.ndim - some - 3)))
        for i in range(2)
        for j in range(2)
    )  # type: ignore


def banded(couplings: Float[Array, "corner corner ..."], some: int) -> list[Array]:
    """What couples nodes to those of the slice before, of their own and of the one after, [3, *some, slice, node,
    *lane] by the shift of the node. couplings: [row's, column's corner, *some, slab, cell, *lane], see `gathered`."""
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


def balance(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """Imbalance of charge and of each ion at every node: what flows out of it less what it holds; of held nodes, how
    far they are from what they are held at."""
    quads = _quads(_of_edges(problem), problem.elements.skew, unknowns)
    values = gathered(_imbalance(_edge_balances(quads)), 1)
    values = values + jnp.stack(_leaving(_beyond(problem), list(unknowns)))
    rows = zip(*held_values(problem), unknowns, values, strict=True)
    return jnp.stack([jnp.where(held, own - at, value) for held, at, own, value in rows])


def ion_flow(problem: Problem, unknowns: Unknowns) -> list[Float[Array, "edge slab cell *lane"]]:
    """Flux of each ion through the faces that edges cross, along these, mM nm³/ns."""
    return map_cells(_ion_flow, problem, unknowns)


def _ion_flow(*given):
    return _edge_balances(CellStates(*given))[1:-2]


def flux_along(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab *lane"]:
    """Flux of each ion from slice to slice, mM nm³/ns."""
    return _along(ion_flow(problem, unknowns))


def flux_change_along(problem: Problem, unknowns: Unknowns, sensitivity: Unknowns) -> Float[Array, "ion slab *lane"]:
    """Its derivative by the voltage (kT/e), which the unknowns answer by `sensitivity`."""
    return _along(map_cells(_ion_flow_change, problem, unknowns, sensitivity))


def _ion_flow_change(*given):
    *of, sensitivity = given
    quads = CellStates(*of)

    def flow(voltage, states):
        return _edge_balances(quads._replace(problem=_at_voltage(quads.problem, voltage), states=states))[1:-2]

    voltage = quads.problem.voltage
    return jax.jvp(flow, (voltage, quads.states), (jnp.ones_like(voltage), sensitivity))[1]


def _along(flow):
    return jnp.stack([(flux[0] + flux[1]).sum(1) for flux in flow])


def held_values(problem: Problem) -> tuple[list, list]:
    """Which nodes are held, and at what, by unknown."""
    plane, voltage = problem.elements, problem.voltage
    dry = [plane.bath | plane.dry] * len(problem.valence)
    return [plane.bath, *dry], [jnp.where(plane.beyond.inside, voltage, 0.0), *[jnp.zeros(())] * len(dry)]


def with_held(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns, at held nodes what these are held at."""
    given = zip(*held_values(problem), unknowns, strict=True)
    return jnp.stack([jnp.where(held, at, value) for held, at, value in given])


def _beyond(problem: Problem) -> Problem:
    """Of what lies between the nodes and the baths beyond them."""
    return eqx.tree_at(lambda p: p.elements, problem, problem.elements.beyond)


def _at_bath(beyond: Problem) -> list:
    """The unknowns in the bath beyond a node."""
    voltage = jnp.where(beyond.elements.inside, beyond.voltage, 0.0)
    return [voltage, *[jnp.zeros_like(voltage)] * len(beyond.valence)]


def _leaving(beyond: Problem, states: list, excess: Ends | None = None) -> list:
    """What flows from nodes to the bath beyond them."""
    through, *_ = beyond.apply(element_balance, states, _at_bath(beyond), excess)
    return through


def _leaving_linearized(beyond: Problem, unknowns, excess: Ends):
    """The same with its derivatives, as `_linearized` has them: [row], [row, column], [row]."""
    leaving = lambda *moved: _leaving(_at_voltage(beyond, moved[-1]), list(moved[:-1]), excess)
    values, rows = derivatives(leaving, [*unknowns, beyond.voltage])
    rows = _filled(rows, jnp.zeros_like(values[0]))
    stacked = lambda columns: jnp.stack([jnp.stack(row[columns]) for row in rows])
    return jnp.stack(values), stacked(slice(0, -1)), stacked(slice(-1, None))[:, 0]


def linearize(problem: Problem, unknowns: Unknowns, count: int | None = None, with_sensitivity: bool = False) -> System:
    """The equations of the first `count` unknowns of every node and their derivatives by those, and by the voltage."""
    rows = slice(0, count or len(unknowns))
    # One law for all counts: it takes longer to compile than to run for what is not asked.
    values, couplings, dF_dV = map_cells(_linearized, problem, unknowns)
    beyond = expand_to_elements(_beyond(problem), 2)
    excess = beyond.apply(solve_activities, list(unknowns), _at_bath(beyond))
    leaving = map_pointwise(_leaving_linearized, (beyond, unknowns, excess), unknowns.shape[1:])
    outside, local, pushed_outside = leaving
    held, at = (
        jnp.stack([jnp.broadcast_to(value, unknowns[0].shape) for value in given[rows]])
        for given in held_values(problem)
    )
    before, own, after = banded(couplings[:, :, rows, rows], 2)
    own = own.at[1].add(local[rows, rows])
    every = range(len(held))
    scale = 1 / jnp.where(held, 1.0, jnp.stack([own[1, u, u] for u in every]))
    unit = jnp.zeros((3, 1, 1)).at[1].set(1.0) * jnp.eye(len(held))

    def band(values, at_held):
        filled = jnp.where(held[:, None], at_held, values * scale[:, None])
        return jnp.transpose(filled, (3, 1, 2, 0, 4, 5))

    bands = slices.Bands(band(before, 0.0), band(own, unit[..., None, None, None]), band(after, 0.0))
    imbalance = jnp.where(held, unknowns[rows] - at, (gathered(values[:, rows], 1) + outside[rows]) * scale)
    if not with_sensitivity:
        return System(bands, scale, imbalance, None)
    voltage = problem.voltage
    _, moved = jax.jvp(lambda v: held_values(_at_voltage(problem, v))[1][rows], (voltage,), (jnp.ones_like(voltage),))
    moved = jnp.stack([jnp.broadcast_to(value, unknowns[0].shape) for value in moved])
    through = (gathered(dF_dV[:, rows], 1) + pushed_outside[rows]) * scale
    return System(bands, scale, imbalance, jnp.where(held, -moved, through))


def eliminated(plane: Plane, bands: slices.Bands, rhs, transposed: bool = False):
    """x with A x = rhs, or Aᵀ x = rhs, of [row, slice, node, *column, lane]: slice after slice on CPUs; on GPUs, which
    would wait for each, in a few steps."""

    def one_by_one(bands, rhs):
        factors = slices.factor(bands, plane.wall, plane.faces)
        return (slices.solve_transposed if transposed else slices.solve)(factors, rhs)

    together = partial(slices.solve_by_cyclic_reduction, transposed=transposed)
    ways = dict.fromkeys(("cuda", "rocm"), together)
    one = lambda bands, rhs: jnp.moveaxis(dispatch_by_platform(ways, one_by_one, bands, jnp.moveaxis(rhs, 0, 1)), 1, 0)
    if bands.own.shape[-1] == 1:  # lanes of the right-hand side are so many columns
        return one(jax.tree.map(lambda band: band[..., 0], bands), rhs)
    return jax.vmap(one, in_axes=-1, out_axes=-1)(bands, jnp.broadcast_to(rhs, (*rhs.shape[:-1], bands.own.shape[-1])))
