"""The equations of the (z, r) plane at every node, their Jacobian, and solves with it.

The laws of one dimension for all edges, gathered at the nodes that these join.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import slices
from pnp.assembly import Problem, derivatives
from pnp.laws import element_balance, excess_solved, skew_flux
from pnp.linear import by_platform
from pnp.quads import EDGES, Plane, for_edges, met

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


def at_ends(values: Float[Array, "any slice node *lane"]) -> tuple[Array, Array]:
    """Values at the two ends of all edges, [any, edge, slab, cell, *lane]."""
    halves = (slice(None, -1), slice(1, None))
    corners = [values[:, i][:, :, j] for i in halves for j in halves]
    return tuple(jnp.stack([corners[edge[end]] for edge in EDGES], axis=1) for end in range(2))  # type: ignore


def _meeting(problem: Problem, near, far) -> Float[Array, "unknown edge slab cell *lane"]:
    """Differences of phi and mu along the edges that each edge meets, given the unknowns at the ends of all."""
    steps = far - near
    joint = [jnp.zeros(()), *(b - a for a, b in zip(*problem.reference, strict=True))]
    own = zip(steps, joint, strict=True)
    return jnp.stack([met([step[0] + more, step[1] + more], [step[2], step[3]]) for step, more in own])


def at_edges(problem: Problem, law, near, far, excess=None, **more):
    """A law of `pnp.laws` for all edges, given the unknowns at their ends."""

    def edgewise(near, far, reference, plane, valence, excess, **more):
        reference = tuple(zip(*(for_edges(*both) for both in zip(*reference, strict=True)), strict=True))
        return law(near, far, reference, plane.edges, valence, excess, **more)

    return problem.apply(edgewise, list(near), list(far), excess, **more)


def _edge_balance(near, far, reference, edges, valence, excess, skew, across):
    """What passes through the faces and what their edges' ends hold: [through of each unknown, charge at the near and
    at the far end]; across: `_meeting` differences."""
    at = (near, far, reference, edges, valence, excess)
    through, (held_near,), (held_far,) = element_balance(*at)
    skewed = skew_flux(*at, skew, across)
    return [*(a + b for a, b in zip(through, skewed, strict=True)), held_near, held_far]


def _edge_balances(problem: Problem, unknowns: Unknowns) -> list:
    near, far = at_ends(unknowns)
    across = _meeting(problem, near, far)
    return at_edges(problem, _edge_balance, near, far, skew=problem.elements.skew, across=across)


def ion_flow(problem: Problem, unknowns: Unknowns) -> list[Float[Array, "edge slab cell *lane"]]:
    """Flux of each ion through the faces that edges cross, along these, mM nm³/ns."""
    return _edge_balances(problem, unknowns)[1:-2]


def gathered(value: Float[Array, "edge slab cell *lane"], end: int) -> Float[Array, "slice node *lane"]:
    """What edges say of the node at one of their ends, added up."""
    return sum(at_nodes(value[e], edge[end]) for e, edge in enumerate(EDGES))


def balance(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """Imbalance of charge and of each ion at every node: what flows out of it less what it holds; of held nodes, how
    far they are from what they are held at."""
    *through, held_near, held_far = _edge_balances(problem, unknowns)
    values = _sums(through, held_near, held_far)
    beyond = _beyond_law(problem)(*unknowns)
    values = [a + b for a, b in zip(values, beyond, strict=True)]
    rows = zip(*held_values(problem), unknowns, values, strict=True)
    return jnp.stack([jnp.where(held, own - at, value) for held, at, own, value in rows])


def _sums(through, held_near, held_far):
    """What flows out of every node, less the charge it holds."""
    outward = [gathered(flux, 0) - gathered(flux, 1) for flux in through]
    return [outward[0] - gathered(held_near, 0) - gathered(held_far, 1), *outward[1:]]


def held_values(problem: Problem) -> tuple[list, list]:
    """Which nodes are held, and at what, by unknown."""
    plane, voltage = problem.elements, problem.voltage
    dry = [plane.bath | plane.dry] * len(problem.valence)
    return [plane.bath, *dry], [jnp.where(plane.beyond.inside, voltage, 0.0), *[jnp.zeros(())] * len(dry)]


def with_held(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns, at held nodes what these are held at."""
    given = zip(*held_values(problem), unknowns, strict=True)
    return jnp.stack([jnp.where(held, at, value) for held, at, value in given])


def _beyond_law(problem: Problem):
    """What flows from every node to the bath beyond it."""
    element = problem.elements.beyond
    reference = [jnp.where(element.inside, *mu) for mu in zip(*problem.bath_mu, strict=True)]
    voltage = jnp.where(element.inside, problem.voltage, 0.0)

    def law(*state):
        bath = [voltage, *[jnp.zeros_like(voltage)] * len(reference)]
        laws = (problem.excess, problem.excess)
        through, *_ = element_balance(state, bath, (reference, reference), element, problem.valence, laws)
        return through

    return law


def at_nodes(value, corner: int, before: int = 0):
    """What each quadrilateral says of one of its corners, at the nodes; `before`: axes that come first."""
    end, side = divmod(corner, 2)
    pad = lambda at: (1, 0) if at else (0, 1)
    none = (0, 0)
    return jnp.pad(value, (*[none] * before, pad(end), pad(side), *[none] * (value.ndim - 2 - before)))


def linearize(problem: Problem, unknowns: Unknowns, count: int | None = None) -> System:
    """The equations of the first `count` unknowns of every node and their derivatives by those."""
    count = count or len(unknowns)
    near, far = at_ends(unknowns)
    across = _meeting(problem, near, far)
    # The excess is solved for once, not again in every derivative.
    excess = at_edges(problem, excess_solved, near, far)
    parts = (near, far, across)

    def flat(*states):
        own = [[*states[i * count : (i + 1) * count], *part[count:]] for i, part in enumerate(parts)]
        more = {"skew": problem.elements.skew, "across": own[2]}
        *through, held_near, held_far = at_edges(problem, _edge_balance, *own[:2], excess, **more)
        return [*through[:count], held_near, held_far]

    (*through, held_near, held_far), rows = derivatives(flat, [part[u] for part in parts for u in range(count)])
    beyond, local = derivatives(
        lambda *state: _beyond_law(problem)(*state, *unknowns[count:])[:count], list(unknowns[:count])
    )
    totals = [a + b for a, b in zip(_sums(through, held_near, held_far), beyond, strict=True)]
    entries, coupled = _entries(rows, count)
    full = lambda table: [[0.0 if value is None else value for value in row] for row in table]
    entries[0, 0] = entries[0, 0] + _stacked(full(local), unknowns[0].shape)
    held, at = (jnp.stack(jnp.broadcast_arrays(*values)) for values in held_values(problem))
    held, at = held[:count], at[:count]
    unit = jnp.eye(count)[(..., *[None] * unknowns[0].ndim)]
    scale = 1 / jnp.where(held, 1.0, jnp.stack([entries[0, 0][u, u] for u in range(count)]))

    def band(offset):
        free = [jnp.where(held[:, None], 0.0, entries[offset, s] * scale[:, None]) for s in (-1, 0, 1)]
        if offset == 0:
            free[1] = jnp.where(held[:, None], unit, free[1])
        both = jnp.stack(free, axis=3)
        pairs = coupled | ({(u, u) for u in range(count)} if offset == 0 else set())
        return [[both[u, v] if (u, v) in pairs else None for v in range(count)] for u in range(count)]

    imbalance = jnp.where(held, unknowns[:count] - at, jnp.stack(totals) * scale)
    return System(slices.Bands(*map(band, (-1, 0, 1))), scale, imbalance)


def _entries(rows, count: int) -> tuple[dict, set]:
    """Jacobian of the balances, [row, column, slice, node], by (slice of the column less that of the row, node of the
    column less that of the row). And which rows and columns have anything in common.

    rows: derivatives of `_edge_balance` by the unknowns at the ends and by the meeting differences.
    """
    place = next(value.shape for value in rows[0] if value is not None)
    parts = [[[row[part * count + v] for v in range(count)] for row in rows] for part in range(3)]
    coupled = {(u, v) for u in range(count) for v in range(count) if any(part[u][v] is not None for part in parts)}
    full = lambda table: [[0.0 if value is None else value for value in row] for row in table]
    by_near, by_far, by_met = (_stacked(full(part[:count]), place) for part in parts)
    entries: dict = {}

    def add(row_corner, column_corner, value):
        (i, p), (j, q) = divmod(row_corner, 2), divmod(column_corner, 2)
        key, value = (j - i, q - p), at_nodes(value, row_corner, 2)
        entries[key] = entries[key] + value if key in entries else value

    for e, edge in enumerate(EDGES):
        slope: dict[int, Any] = dict.fromkeys(range(4), 0.0)
        for corner, by in zip(edge, (by_near, by_far), strict=True):
            slope[corner] = slope[corner] + by[:, :, e]
        for met_edge in EDGES[2:] if e < 2 else EDGES[:2]:  # their mean
            for corner, sign in zip(met_edge, (-0.5, 0.5), strict=True):
                slope[corner] = slope[corner] + sign * by_met[:, :, e]
        for corner, value in slope.items():
            add(edge[0], corner, value)
            add(edge[1], corner, -value)
    for end, part in enumerate(parts[:2]):  # the charge that it holds
        coupled |= {(0, v) for v in range(count) if part[count + end][v] is not None}
        nothing = [[0.0] * count] * (count - 1)
        held = _stacked(full([part[count + end]]) + nothing, place)
        for e, edge in enumerate(EDGES):
            add(edge[end], edge[end], -held[:, :, e])
    return entries, coupled


def _stacked(table, place) -> Array:
    return jnp.stack([jnp.stack([jnp.broadcast_to(value, place) for value in row]) for row in table])


def eliminated(plane: Plane, bands: slices.Bands, rhs, transposed: bool = False):
    """x with A x = rhs, or Aᵀ x = rhs, of [row, slice, node, *column, lane]: slice after slice on CPUs; on GPUs, which
    would wait for each, in a few steps."""

    def one_by_one(bands, rhs):
        factors = slices.factor(bands, plane.wall, plane.faces)
        return (slices.solve_transposed if transposed else slices.solve)(factors, rhs)

    together = partial(slices.solve_by_reduction, transposed=transposed)
    ways = dict.fromkeys(("cuda", "rocm"), together)
    one = lambda bands, rhs: jnp.moveaxis(by_platform(ways, one_by_one, bands, jnp.moveaxis(rhs, 0, 1)), 1, 0)
    if rhs.shape[-1] == 1:
        alone = lambda value: value[..., 0]
        return one(jax.tree.map(alone, bands), alone(rhs))[..., None]
    return jax.vmap(one, in_axes=-1, out_axes=-1)(bands, rhs)


def flux_along(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab *lane"]:
    """Flux of each ion from slice to slice, mM nm³/ns."""
    return jnp.stack([(flux[0] + flux[1]).sum(1) for flux in ion_flow(problem, unknowns)])
