"""The plane of z and r: an axisymmetric pore's equations at every node, their Jacobian, and solves with it.

Far from the solution a step is taken of an easier problem, in which fluxes along an edge depend on its own ends only
(as if all edges were at right angles). Its ions can be settled in a given potential, by one linear equation each, and
Newton then converges from far away, as in one dimension. Near the solution of that the problem itself is, and Newton's
steps are damped so that concentrations fall no faster than they would by e^−cap and rise only in proportion.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import slices
from pnp.assembly import MeanFlux, Problem, derivatives
from pnp.lanes import lanes_of, over_lanes
from pnp.laws import (
    edge_weight,
    element_balance,
    end_concentrations,
    excess_solved,
    one_way_fluxes,
    resistance,
    skew_flux,
)
from pnp.linear import by_platform
from pnp.quads import EDGES, Plane, at_edges, met
from pnp.scheme import Approach, Scheme, capped

_NEAR = 0.3  # kT: last change in the easier problem before the problem itself is turned to
_CAP = 5.0  # kT, of a step in it

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


def _at_ends(values: Float[Array, "any slice node *lane"]) -> tuple[Array, Array]:
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


def _law(problem: Problem, excess=None):
    """What passes through the faces and what their edges' ends hold, of unknowns at the ends and the `_meeting`
    differences: [through of each unknown, charge at the near and at the far end]."""

    def law(near, far, across):
        def flow(near, far, reference, plane, valence, excess):
            reference = tuple(zip(*(at_edges(*both) for both in zip(*reference, strict=True)), strict=True))
            at = (near, far, reference, plane.edges, valence, excess)
            through, (held_near,), (held_far,) = element_balance(*at)
            skewed = skew_flux(*at, plane.skew, across)
            return [*(a + b for a, b in zip(through, skewed, strict=True)), held_near, held_far]

        return problem.apply(flow, near, far, excess)

    return law


def _at_edge_ends(problem: Problem, law, near, far):
    """A law of `pnp.laws` for all edges."""

    def edgewise(near, far, reference, plane, valence, excess):
        reference = tuple(zip(*(at_edges(*both) for both in zip(*reference, strict=True)), strict=True))
        return law(near, far, reference, plane.edges, valence, excess)

    return problem.apply(edgewise, list(near), list(far))


def _gathered(value: Float[Array, "edge slab cell *lane"], end: int) -> Float[Array, "slice node *lane"]:
    """What edges say of the node at one of their ends, added up."""
    return sum(_at_nodes(value[e], edge[end]) for e, edge in enumerate(EDGES))


def balance(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """Imbalance of charge and of each ion at every node: what flows out of it less what it holds; of held nodes, how
    far they are from what they are held at."""
    near, far = _at_ends(unknowns)
    *through, held_near, held_far = _law(problem)(near, far, _meeting(problem, near, far))
    values = _sums(through, held_near, held_far)
    beyond = _beyond_law(problem)(*unknowns)
    values = [a + b for a, b in zip(values, beyond, strict=True)]
    rows = zip(*held_values(problem), unknowns, values, strict=True)
    return jnp.stack([jnp.where(held, own - at, value) for held, at, own, value in rows])


def _sums(through, held_near, held_far):
    """What flows out of every node, less the charge it holds."""
    outward = [_gathered(flux, 0) - _gathered(flux, 1) for flux in through]
    return [outward[0] - _gathered(held_near, 0) - _gathered(held_far, 1), *outward[1:]]


def held_values(problem: Problem) -> tuple[list, list]:
    """Which nodes are held, and at what, by unknown."""
    plane, voltage = problem.elements, problem.voltage
    dry = [plane.bath | plane.dry] * len(problem.valence)
    return [plane.bath, *dry], [jnp.where(plane.beyond.inside, voltage, 0.0), *[jnp.zeros(())] * len(dry)]


def _held(problem: Problem, unknowns: Unknowns) -> Unknowns:
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


def _at_nodes(value, corner: int, before: int = 0):
    """What each quadrilateral says of one of its corners, at the nodes; `before`: axes that come first."""
    end, side = divmod(corner, 2)
    pad = lambda at: (1, 0) if at else (0, 1)
    none = (0, 0)
    return jnp.pad(value, (*[none] * before, pad(end), pad(side), *[none] * (value.ndim - 2 - before)))


def linearize(problem: Problem, unknowns: Unknowns, count: int | None = None) -> System:
    """The equations of the first `count` unknowns of every node and their derivatives by those."""
    count = count or len(unknowns)
    near, far = _at_ends(unknowns)
    across = _meeting(problem, near, far)
    # The excess is solved for once, not again in every derivative.
    law = _law(problem, _at_edge_ends(problem, excess_solved, near, far))
    parts = (near, far, across)

    def flat(*states):
        given = [[*states[i * count : (i + 1) * count], *part[count:]] for i, part in enumerate(parts)]
        *through, held_near, held_far = law(*given)
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
    column less that of the row), from the derivatives of `_law` by the ends' unknowns and the meeting differences. And
    which rows and columns have anything in common."""
    place = next(value.shape for value in rows[0] if value is not None)
    parts = [[[row[part * count + v] for v in range(count)] for row in rows] for part in range(3)]
    coupled = {(u, v) for u in range(count) for v in range(count) if any(part[u][v] is not None for part in parts)}
    full = lambda table: [[0.0 if value is None else value for value in row] for row in table]
    by_near, by_far, by_met = (_stacked(full(part[:count]), place) for part in parts)
    entries: dict = {}

    def add(row_corner, column_corner, value):
        (i, p), (j, q) = divmod(row_corner, 2), divmod(column_corner, 2)
        key, value = (j - i, q - p), _at_nodes(value, row_corner, 2)
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


def _at_right_angles(problem: Problem, where=None) -> Problem:
    """The easier problem, in the lanes named or in all."""
    skew = problem.elements.skew
    flat = jnp.zeros_like(skew) if where is None else jnp.where(where, 0.0, skew)
    return eqx.tree_at(lambda p: p.elements.skew, problem, flat)


def settled(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns with point ions in the steady state that they have in the potential given, edges at right angles.

    The flux along an edge is then linear in c = e^(mu − z phi) at its ends, and all that comes in comes from the baths.
    """
    phi, plane, valence = unknowns[0], problem.elements, problem.valence
    reference = problem.node_reference
    even = jnp.stack([phi, *(z * phi - ref for z, ref in zip(valence, reference, strict=True))])  # c is 1 everywhere
    near, far = (jnp.stack(sent, axis=-1) for sent in _at_edge_ends(problem, one_way_fluxes, *_at_ends(even)))
    # [edge, slab, cell, lane, ion], and the ions are so many lanes more.
    leaves = _gathered(near, 0) + _gathered(far, 1)
    element = plane.beyond
    bath_phi = jnp.where(element.inside, problem.voltage, 0.0)
    bath_mu = [jnp.where(element.inside, *mu) for mu in zip(*problem.bath_mu, strict=True)]
    there = jnp.stack([jnp.exp(mu - z * bath_phi) for mu, z in zip(bath_mu, valence, strict=True)], axis=-1)
    step = jnp.stack([z * (phi - bath_phi) for z in valence], axis=-1)
    conductance = jnp.stack(list(element.conductance), axis=-1)
    leaves = leaves + edge_weight(conductance, 1.0, -step)
    held = (plane.bath | plane.dry)[..., None]
    known = jnp.where(plane.bath[..., None], there, 1.0)
    scale = 1 / jnp.where(held, 1.0, leaves)
    entries: dict = {(0, 0): jnp.where(held, 1.0, leaves * scale)}
    for e, edge in enumerate(EDGES):
        for end, sent in ((0, far), (1, near)):
            (i, p), (j, q) = (divmod(edge[which], 2) for which in (end, 1 - end))
            value = jnp.where(held, 0.0, -_at_nodes(sent[e], edge[end]) * scale)
            entries[j - i, q - p] = entries.get((j - i, q - p), 0.0) + value
    zero = jnp.zeros_like(leaves)
    band: Any = lambda offset: [[jnp.stack([entries.get((offset, shift), zero) for shift in (-1, 0, 1)], axis=1)]]
    comes = jnp.where(held, known, edge_weight(conductance, there, step) * scale)
    merged = lambda value: value.reshape(*value.shape[:-2], -1)
    bands = jax.tree.map(merged, slices.Bands(*map(band, (-1, 0, 1))))
    c = eliminated(plane, bands, merged(comes)[None])[0].reshape(zero.shape)
    mu = jnp.log(jnp.maximum(c, _SMALLEST))
    free = [mu[..., k] + even[1 + k] for k in range(len(valence))]
    _, at = held_values(problem)
    own = plane.bath | plane.dry
    return jnp.stack([phi, *(jnp.where(own, given, value) for given, value in zip(at[1:], free, strict=True))])


_SMALLEST = 1e-200  # concentration that round-off may leave none of


def _balanced(problem: Problem, unknowns: Unknowns) -> Unknowns:
    unknowns = _held(problem, jnp.broadcast_to(unknowns, (*unknowns.shape[:3], lanes_of((problem, unknowns)))))

    def step(state):
        unknowns, _, count = state
        system = linearize(problem, unknowns, 1)
        (change,) = eliminated(problem.elements, system.bands, -system.balance)
        size = jnp.max(jnp.abs(change), axis=(0, 1))
        return unknowns.at[0].add(change * jnp.minimum(1.0, _BALANCE_CAP / size)), jnp.max(size), count + 1

    going = lambda state: (state[1] > _NEAR) & (state[2] < _BALANCE_STEPS)
    return jax.lax.while_loop(going, step, (unknowns, jnp.array(jnp.inf), 0))[0]


_BALANCE_CAP, _BALANCE_STEPS = 3.0, 60
_balanced_in_lanes = over_lanes(_balanced)


def balanced(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns with the potential that Poisson and Boltzmann give where mu is as it is, roughly: to begin with.
    Without derivatives."""
    return _balanced_in_lanes(*jax.lax.stop_gradient((problem, unknowns)))


def flux_along(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab *lane"]:
    """Flux of each ion from slice to slice, mM nm³/ns."""
    near, far = _at_ends(unknowns)
    _, *through, _, _ = _law(problem)(near, far, _meeting(problem, near, far))
    return jnp.stack([(flux[0] + flux[1]).sum(1) for flux in through])


class AxialPlane(Scheme):
    """[unknown, slice, node], for Newton as for everyone."""

    def arranged(self, values):
        return values

    natural = moving = interior = arranged

    def arranged_elements(self, elements):
        return elements

    def held(self, problem, unknowns):
        return _held(problem, unknowns)

    def approached(self, problem, unknowns, size, near, settings):
        if near is None:
            return Approach(problem, unknowns, None, None)
        near = near | (size < _NEAR)
        easy = _at_right_angles(problem, ~near)
        at = jax.lax.cond(jnp.all(near), lambda: unknowns, lambda: settled(problem, unknowns))
        return Approach(easy, jnp.where(near, unknowns, at), None, near)

    def update(self, problem, unknowns, respond, flux):
        system = linearize(problem, unknowns)
        columns = [-system.balance]
        if respond:
            pushed = lambda voltage: balance(eqx.tree_at(lambda p: p.voltage, problem, voltage), unknowns)
            _, change = jax.jvp(pushed, (problem.voltage,), (jnp.ones_like(problem.voltage),))
            columns.append(-change * system.scale)
        x = eliminated(problem.elements, system.bands, jnp.stack(columns, axis=3))
        return x[:, :, :, 0], x[:, :, :, 1] if respond else None

    def moved(self, approach, update, size, settings):
        unknowns, valence = approach.unknowns, approach.problem.valence[:, None, None]
        whole = unknowns + capped(approach, update, size, settings, settings.energy_cap) * update
        step = capped(approach, update, size, settings, _CAP) * update
        rise = step[1:] - valence * step[0]  # of ln c
        rise = jnp.where(rise > 0, jnp.log1p(jnp.maximum(rise, 0.0)), jnp.maximum(rise, -_CAP))
        damped = unknowns + jnp.concatenate([step[:1], valence * step[0] + rise])
        far = size >= settings.quadratic_below
        return jnp.where(far if approach.near is None else far & approach.near, damped, whole)

    def finished(self, problem, unknowns):
        return unknowns

    def trouble(self, index, unknowns):
        unknown, where, _ = jnp.unravel_index(index, unknowns.shape[:3])
        return jnp.stack([unknown, where])

    def with_baths(self, problem, interior):
        return interior

    def residual(self, problem, interior, flux=None):
        return balance(problem, interior)

    def linear_solution(self, problem, unknowns, rhs, transposed, flux):
        system = linearize(problem, unknowns)
        if transposed:  # of the matrix before its rows were scaled
            return eliminated(problem.elements, system.bands, rhs, transposed=True) * system.scale
        return eliminated(problem.elements, system.bands, rhs * system.scale)

    def mean_flux(self, problem, unknowns):
        fixed = jax.lax.stop_gradient((problem, unknowns))
        near, far = problem.elements.faces
        along, share = flux_along(*fixed)[:, near:far], _shares(*fixed)
        mean = (along * share).sum(1)
        one = self.highest_flux(problem, unknowns, share)
        return MeanFlux(mean + (one - jax.lax.stop_gradient(one)), along - mean[:, None], share)

    def highest_flux(self, problem, unknowns, share):
        near, far = problem.elements.faces
        along = flux_along(problem, unknowns)[:, near:far]
        return jnp.stack([flux[at] for flux, at in zip(along, jnp.argmax(share, axis=1), strict=True)])

    def apart(self, share, coarse, fine):
        near, far = fine.problem.elements.faces
        # Potentials may differ at a wall whose layer still holds the same ions; it is these that conduct.
        rough, found = (_core_concentrations(*each) for each in (coarse, fine))
        apart = jnp.abs(jnp.log(rough / found[:, ::2]))[:, near // 2 : far // 2 + 1]
        between = (apart[:, 1:] + apart[:, :-1]) / 2
        return (share.reshape(len(share), -1, 2).sum(2) * between).sum(1)

    def mouth_potentials(self, problem, unknowns, x, mouths):
        near, far = _at_ends(unknowns)
        _, *through, _, _ = _law(problem)(near, far, _meeting(problem, near, far))
        mu = unknowns[1:] + problem.node_reference
        near, far = problem.elements.faces
        # Into the membrane at the one face, out of it at the other, by the node that it passes.
        passing = [_gathered_axial(flux) for flux in through]
        found = []
        for flux, value in zip(passing, mu, strict=True):
            ends = (flux[near], near), (flux[far - 1], far)
            weighted = [(_weights(one) * value[at]).sum() for one, at in ends]
            found.append(jnp.stack(weighted))
        return jnp.stack(found, axis=1)

    def concentrations(self, problem, unknowns):
        amount, volume = _amounts(problem, unknowns)
        return jnp.stack(amount, axis=-1) / jnp.where(volume > 0, volume, 1.0)[..., None]


def _gathered_axial(flux) -> Float[Array, "slab node"]:
    """What passes from slice to slice by the node of each it comes from and goes to."""
    return jnp.pad(flux[0], ((0, 0), (0, 1))) + jnp.pad(flux[1], ((0, 0), (1, 0)))


def _core_concentrations(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slice"]:
    """Mean over the cross-section from the axis to the wall of the pore, mM."""
    core = slice(0, problem.elements.wall + 1)
    amounts, volume = _amounts(problem, unknowns)
    return jnp.stack([amount[:, core].sum(1) for amount in amounts]) / volume[:, core].sum(1)


def _weights(flux: Float[Array, " node"]) -> Float[Array, " node"]:
    """Shares of a flux; of none at all, of its absolute values."""
    total, size = flux.sum(), jnp.abs(flux)
    sound = jnp.abs(total) > 1e-6 * size.sum()
    return jnp.where(sound, flux / jnp.where(sound, total, 1.0), size / jnp.maximum(size.sum(), _SMALLEST))


def flux_density(problem: Problem, unknowns: Unknowns, z, r) -> Float[Array, "2 slab cell ion"]:
    """Of each ion along z and away from the axis, mean over the middle of each quadrilateral, mM nm/ns; z, r: of the
    nodes, nm."""
    near, far = _at_ends(unknowns)
    _, *through, _, _ = _law(problem)(near, far, _meeting(problem, near, far))
    h = jnp.diff(z)[:, None]
    middle, radius = (r[1:] + r[:-1]) / 2, (r[1:, 1:] + r[1:, :-1] + r[:-1, 1:] + r[:-1, :-1]) / 4
    slope = (r[1:, 1:] + r[1:, :-1] - r[:-1, 1:] - r[:-1, :-1]) / (2 * h)
    along = [(flux[0] + flux[1]) / (jnp.pi * (middle[:, 1:] ** 2 - middle[:, :-1] ** 2)) for flux in through]
    # The radial faces follow the grid's lines, so that part of what passes them goes along z.
    away = [(flux[2] + flux[3]) / (2 * jnp.pi * radius * h) + a * slope for flux, a in zip(through, along, strict=True)]
    return jnp.stack([jnp.stack(along, -1), jnp.stack(away, -1)])


def _shares(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab"]:
    """The share each slab of the membrane has of the resistance to each ion, its edges in parallel."""
    heights, factors = map(jnp.stack, _at_edge_ends(problem, resistance, *_at_ends(unknowns)))
    near, far = problem.elements.faces
    conductance = -(heights + jnp.log(factors))[:, :2, near:far]
    return jax.nn.softmax(-jax.nn.logsumexp(conductance, axis=(1, 3)), axis=1)


def _amounts(problem: Problem, unknowns: Unknowns):
    """How many ions of each kind a node has, mM nm³, and in what volume, nm³."""
    volume = problem.elements.edges.volume
    concentrations = _at_edge_ends(problem, end_concentrations, *_at_ends(unknowns))
    both = lambda per_end: sum(_gathered(value, end) for end, value in enumerate(per_end))
    amounts = [both([c * v for c, v in zip(ends, volume, strict=True)]) for ends in zip(*concentrations, strict=True)]
    return amounts, both(volume)
