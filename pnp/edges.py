"""The equations of the (z, r) plane at every node, their Jacobian, and solves with it.

The laws of one dimension for all edges, gathered at the nodes that these join.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import slices
from pnp.assembly import Problem, derivatives
from pnp.laws import element_balance, excess_solved
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
    pushed: Unknowns | None
    """Its derivative by the voltage (kT/e) alike, if asked for."""


def at_ends(values: Float[Array, "any slice node *lane"]) -> tuple[Array, Array]:
    """Values at the two ends of all edges, [any, edge, slab, cell, *lane]."""
    halves = (slice(None, -1), slice(1, None))
    corners = [values[:, i][:, :, j] for i in halves for j in halves]
    return tuple(jnp.stack([corners[edge[end]] for edge in EDGES], axis=1) for end in range(2))  # type: ignore


def _meeting(near, far) -> Float[Array, "unknown edge slab cell *lane"]:
    """Differences of the unknowns along the edges that each edge meets, given those at the ends of all."""
    return jnp.stack([met([step[0], step[1]], [step[2], step[3]]) for step in far - near])


def _across(problem: Problem, meeting) -> list[Float[Array, "edge slab cell *lane"]]:
    """The same of phi and mu."""
    joint = [b - a for a, b in zip(*problem.reference, strict=True)]
    none = jnp.zeros_like(joint[0])
    return [meeting[0], *(m + met([j, j], [none, none]) for m, j in zip(meeting[1:], joint, strict=True))]


def at_edges(problem: Problem, law, near, far, excess=None, **more):
    """A law of `pnp.laws` for all edges, given the unknowns at their ends."""

    def edgewise(near, far, reference, plane, valence, excess, **more):
        reference = tuple(zip(*(for_edges(*both) for both in zip(*reference, strict=True)), strict=True))
        return law(near, far, reference, plane.edges, valence, excess, **more)

    return problem.apply(edgewise, list(near), list(far), excess, **more)


def _edge_balance(near, far, *problem, **skewed):
    """What passes through the faces and what their edges' ends hold: [through of each unknown, charge at the near and
    at the far end]."""
    through, (held_near,), (held_far,) = element_balance(near, far, *problem, **skewed)
    return [*through, held_near, held_far]


def _edge_balances(problem: Problem, unknowns: Unknowns) -> list:
    near, far = at_ends(unknowns)
    return _edge_balances_at(problem, near, far, _meeting(near, far))


def _edge_balances_at(problem: Problem, near, far, meeting, excess=None) -> list:
    more = {"skew": problem.elements.skew, "across": _across(problem, meeting)}
    return at_edges(problem, _edge_balance, near, far, excess, **more)


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


def linearize(problem: Problem, unknowns: Unknowns, count: int | None = None, respond: bool = False) -> System:
    """The equations of the first `count` unknowns of every node and their derivatives by those, and by the voltage."""
    count = count or len(unknowns)
    near, far = at_ends(unknowns)
    parts = (near, far, _meeting(near, far))
    # The excess is solved for once, not again in every derivative.
    excess = at_edges(problem, excess_solved, near, far)
    at = lambda voltage: eqx.tree_at(lambda p: p.voltage, problem, voltage[0]) if voltage else problem
    voltage = [problem.voltage] if respond else []

    def edgewise(*states):
        own = [[*states[i * count : (i + 1) * count], *part[count:]] for i, part in enumerate(parts)]
        *through, held_near, held_far = _edge_balances_at(at(states[3 * count :]), *own, excess)
        return [*through[:count], held_near, held_far]

    def beyond(*states):
        return _beyond_law(at(states[count:]))(*states[:count], *unknowns[count:])[:count]

    def held_at(*voltage):
        return [jnp.broadcast_to(value, unknowns[0].shape) for value in held_values(at(voltage))[1][:count]]

    values, rows = derivatives(edgewise, [*(part[u] for part in parts for u in range(count)), *voltage])
    outside, local = derivatives(beyond, [*unknowns[:count], *voltage])
    given, moved = derivatives(held_at, voltage)
    total = lambda edges, beyond: jnp.stack(
        [a + b for a, b in zip(_sums(edges[:-2], *edges[-2:]), beyond, strict=True)]
    )
    entries = _entries(rows, count)
    entries[0, 0] = entries[0, 0] + _stacked([row[:count] for row in local], unknowns[0].shape)
    held = jnp.stack([jnp.broadcast_to(which, unknowns[0].shape) for which in held_values(problem)[0][:count]])
    scale = 1 / jnp.where(held, 1.0, jnp.stack([entries[0, 0][u, u] for u in range(count)]))

    def band(offset):
        values = jnp.stack([entries[offset, shift] for shift in (-1, 0, 1)], axis=3)
        unit = jnp.zeros((3, 1, 1)).at[1].set(1.0) * jnp.eye(count)[..., *[None] * 4] if offset == 0 else 0.0
        return jnp.moveaxis(jnp.where(held[:, None, :, None], unit, values * scale[:, None, :, None]), 2, 0)

    imbalance = jnp.where(held, unknowns[:count] - jnp.stack(given), total(values, outside) * scale)
    pushed = None
    if respond:
        change = lambda table, shape: _stacked([row[-1:] for row in table], shape)[:, 0]
        through = total(change(rows, values[0].shape), change(local, unknowns[0].shape))
        pushed = jnp.where(held, -change(moved, unknowns[0].shape), through * scale)
    return System(slices.Bands(*map(band, (-1, 0, 1))), scale, imbalance, pushed)


def _entries(rows, count: int) -> dict[tuple[int, int], Float[Array, "row column slice node *lane"]]:
    """Jacobian of the balances by (slice of the column less that of the row, node of the column less that of the row).

    rows: derivatives of `_edge_balance` by the unknowns at the ends and by the meeting differences, and more.
    """
    place = next(value.shape for value in rows[0] if value is not None)
    parts = [[row[part * count : (part + 1) * count] for row in rows] for part in range(3)]
    by_near, by_far, by_met = (_stacked(part[:count], place) for part in parts)
    nothing = [[None] * count] * (count - 1)
    held = [_stacked([parts[end][count + end], *nothing], place) for end in range(2)]  # the charge, of phi's rows
    of_quads: dict = {}

    def add(row_corner, column_corner, value):
        of_quads[row_corner, column_corner] = of_quads.get((row_corner, column_corner), 0.0) + value

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
        for corner, holding in zip(edge, held, strict=True):
            add(corner, corner, -holding[:, :, e])
    entries: dict = {}
    for (row_corner, column_corner), value in of_quads.items():
        (i, p), (j, q) = divmod(row_corner, 2), divmod(column_corner, 2)
        entries[j - i, q - p] = entries.get((j - i, q - p), 0.0) + at_nodes(value, row_corner, 2)
    return entries


def _stacked(table, place) -> Array:
    entry = lambda value: jnp.broadcast_to(0.0 if value is None else value, place)
    return jnp.stack([jnp.stack([entry(value) for value in row]) for row in table])


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
