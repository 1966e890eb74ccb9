"""The plane of z and r: how an axisymmetric pore's equations (`edges`) are solved, and what the solution says.

Far from the solution a step is taken of an easier problem, in which fluxes along an edge depend on its own ends only
(as if all edges were at right angles). Its ions can be settled in a given potential, by one linear equation each, and
Newton then converges from far away, as in one dimension. Near the solution of that the problem itself is, and Newton's
steps are damped so that concentrations fall no faster than they would by e^−cap and rise only in proportion.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axial.assembly import MeanFlux, Problem
from pnp.finite_volume.axisymmetric.assembly import (
    CellStates,
    Unknowns,
    balance,
    banded,
    eliminated,
    flux_along,
    flux_change_along,
    gathered,
    ion_flow,
    linearize,
    map_cells,
    of_corners,
    with_held,
)
from pnp.finite_volume.axisymmetric.cells import EDGES
from pnp.finite_volume.fluxes import edge_weight, end_concentrations, one_way_fluxes, resistance
from pnp.finite_volume.scheme import LinearisationPoint, Scheme, capped
from pnp.linalg import slice_elimination as slices
from pnp.linalg.batching import batch_size, over_batch

_NEAR = 0.3  # kT: last change in the easier problem before the problem itself is turned to
_CAP = 5.0  # kT, of a step in it


def _at_right_angles(problem: Problem, where=None) -> Problem:
    """The easier problem, in the lanes named or in all."""
    skew = problem.elements.skew
    flat = jnp.zeros_like(skew) if where is None else jnp.where(where, 0.0, skew)
    return eqx.tree_at(lambda p: p.elements.skew, problem, flat)


def solve_nernst_planck(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns with point ions in the steady state that they have in the potential given, edges at right angles.

    The flux along an edge is then linear in c = e^(mu − z phi) at its ends, and all that comes in comes from the baths.
    """
    phi, plane, valence = unknowns[0], problem.elements, problem.valence
    reference = problem.node_reference
    even = jnp.stack([phi, *(z * phi - ref for z, ref in zip(valence, reference, strict=True))])  # c is 1 everywhere
    leaving, coming = map_cells(_exchange, problem, even)
    element = plane.beyond
    bath_phi = jnp.where(element.inside, problem.voltage, 0.0)
    bath_mu = [jnp.where(element.inside, *mu) for mu in zip(*problem.bath_mu, strict=True)]
    there = jnp.stack([jnp.exp(mu - z * bath_phi) for mu, z in zip(bath_mu, valence, strict=True)])
    step = jnp.stack([z * (phi - bath_phi) for z in valence])
    leaves = gathered(leaving, 1) + edge_weight(element.conductance, 1.0, -step)
    held = plane.bath | plane.dry
    scale = 1 / jnp.where(held, 1.0, leaves)
    bands = [jnp.where(held, 0.0, -band * scale) for band in banded(coming, 1)]
    bands[1] = bands[1].at[1].set(1.0)
    comes = jnp.where(held, jnp.where(plane.bath, there, 1.0), edge_weight(element.conductance, there, step) * scale)
    # Ions are so many lanes more.
    merged = lambda value: jnp.moveaxis(value, -4, -2).reshape(*value.shape[:-4], *value.shape[-3:-1], -1)
    by_slice = lambda band: jnp.moveaxis(merged(band), 1, 0)[:, None, None]
    c = eliminated(plane, slices.Bands(*map(by_slice, bands)), merged(comes)[None])[0]
    c = jnp.moveaxis(c.reshape(*phi.shape[:2], len(valence), -1), 2, 0)
    mu = jnp.log(jnp.maximum(c, _SMALLEST)) + even[1:]
    return with_held(problem, jnp.concatenate([phi[None], jnp.where(held, unknowns[1:], mu)]))


def _exchange(*given):
    """What quadrilaterals let leave their corners of each ion, [corner, ion], and come from one corner to another,
    [corner, corner, ion], per concentration there."""
    quads = CellStates(*given)
    near, far = quads.apply(one_way_fluxes)
    leaving = [of_corners(*sent) for sent in zip(near, far, strict=True)]
    none = jnp.zeros_like(leaving[0][0])
    coming = [[[none] * len(near) for _ in range(4)] for _ in range(4)]
    for ion, sent in enumerate(zip(near, far, strict=True)):
        for (a, b), from_a, from_b in zip(EDGES, *sent, strict=True):
            coming[b][a][ion], coming[a][b][ion] = from_a, from_b
    stacked = lambda rows: jnp.stack([jnp.stack(row) for row in rows])
    return stacked(list(zip(*leaving, strict=True))), jnp.stack([stacked(row) for row in coming])


_SMALLEST = 1e-200  # concentration that round-off may leave none of


def _balanced(problem: Problem, unknowns: Unknowns) -> Unknowns:
    unknowns = with_held(problem, jnp.broadcast_to(unknowns, (*unknowns.shape[:3], batch_size((problem, unknowns)))))

    def step(state):
        unknowns, _, count = state
        system = linearize(problem, unknowns, 1)
        (change,) = eliminated(problem.elements, system.bands, -system.balance)
        size = jnp.max(jnp.abs(change), axis=(0, 1))
        step = change * jnp.minimum(1.0, _BALANCE_CAP / size)
        return jnp.concatenate([unknowns[:1] + step, unknowns[1:]]), jnp.max(size), count + 1

    going = lambda state: (state[1] > _NEAR) & (state[2] < _BALANCE_STEPS)
    return jax.lax.while_loop(going, step, (unknowns, jnp.array(jnp.inf), 0))[0]


_BALANCE_CAP, _BALANCE_STEPS = 3.0, 60
_balanced_in_lanes = over_batch(_balanced)


def balanced(problem: Problem, unknowns: Unknowns) -> Unknowns:
    """The unknowns with the potential that Poisson and Boltzmann give where mu is as it is, roughly: to begin with.
    Without derivatives."""
    return _balanced_in_lanes(*jax.lax.stop_gradient((problem, unknowns)))


class AxisymmetricScheme(Scheme):
    """[unknown, slice, node], for Newton as for everyone."""

    def arranged(self, values):
        return values

    natural = moving = interior = arranged

    def arranged_elements(self, elements):
        return elements

    def held(self, problem, unknowns):
        return with_held(problem, unknowns)

    def linearisation_point(self, problem, unknowns, size, near, settings):
        if near is None:
            return LinearisationPoint(problem, unknowns, None, None)
        near = near | (size < _NEAR)
        easy = _at_right_angles(problem, ~near)
        at = jax.lax.cond(jnp.all(near), lambda: unknowns, lambda: solve_nernst_planck(problem, unknowns))
        return LinearisationPoint(easy, jnp.where(near, unknowns, at), None, near)

    def update(self, problem, unknowns, with_sensitivity, flux):
        system = linearize(problem, unknowns, with_sensitivity=with_sensitivity)
        columns = [-system.balance] + ([-system.dF_dV] if with_sensitivity else [])
        x = eliminated(problem.elements, system.bands, jnp.stack(columns, axis=3))
        return x[:, :, :, 0], x[:, :, :, 1] if with_sensitivity else None

    def moved(self, approach, update, size, settings):
        unknowns, valence = approach.unknowns, approach.problem.valence[:, None, None]
        whole = unknowns + capped(approach, update, size, settings, settings.max_potential_update) * update
        step = capped(approach, update, size, settings, _CAP) * update
        rise = step[1:] - valence * step[0]  # of ln c
        rise = jnp.where(rise > 0, jnp.log1p(jnp.maximum(rise, 0.0)), jnp.maximum(rise, -_CAP))
        damped = unknowns + jnp.concatenate([step[:1], valence * step[0] + rise])
        far = size >= settings.quadratic_threshold
        return jnp.where(far if approach.near is None else far & approach.near, damped, whole)

    def finished(self, problem, unknowns):
        return unknowns

    def worst(self, index, unknowns):
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
        one = _highest(flux_along(problem, unknowns)[:, near:far], share)
        return MeanFlux(mean + (one - jax.lax.stop_gradient(one)), along - mean[:, None], share)

    def flux_change(self, problem, interior, sensitivity, share):
        near, far = problem.elements.faces
        return _highest(flux_change_along(problem, interior, sensitivity)[:, near:far], share)

    def apart(self, share, coarse, fine):
        near, far = fine.problem.elements.faces
        # Potentials may differ at a wall whose layer still holds the same ions; it is these that conduct.
        rough, found = (_core_concentrations(*each) for each in (coarse, fine))
        apart = jnp.abs(jnp.log(rough / found[:, ::2]))[:, near // 2 : far // 2 + 1]
        between = (apart[:, 1:] + apart[:, :-1]) / 2
        return (share.reshape(len(share), -1, 2).sum(2) * between).sum(1)

    def mouth_potentials(self, problem, unknowns, x, mouths):
        mu = unknowns[1:] + problem.node_reference
        near, far = problem.elements.faces
        # Into the membrane at the one face, out of it at the other, by the node that it passes.
        passing = [_by_node(flux) for flux in ion_flow(problem, unknowns)]
        found = []
        for flux, value in zip(passing, mu, strict=True):
            ends = (flux[near], near), (flux[far - 1], far)
            weighted = [(_weights(one) * value[at]).sum() for one, at in ends]
            found.append(jnp.stack(weighted))
        return jnp.stack(found, axis=1)

    def concentrations(self, problem, unknowns):
        amount, volume = _amounts(problem, unknowns)
        return jnp.moveaxis(amount, 0, -1) / jnp.where(volume > 0, volume, 1.0)[..., None]


def _highest(along: Float[Array, "ion slab"], share) -> Float[Array, " ion"]:
    """Where each ion meets the greatest resistance."""
    return jnp.stack([flux[at] for flux, at in zip(along, jnp.argmax(share, axis=1), strict=True)])


def _by_node(flux) -> Float[Array, "slab node"]:
    """What passes from slice to slice by the node of each it comes from and goes to."""
    return jnp.pad(flux[0], ((0, 0), (0, 1))) + jnp.pad(flux[1], ((0, 0), (1, 0)))


def _core_concentrations(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slice"]:
    """Mean over the cross-section from the axis to the wall of the pore, mM."""
    core = slice(0, problem.elements.wall + 1)
    amounts, volume = _amounts(problem, unknowns)
    return amounts[:, :, core].sum(2) / volume[:, core].sum(1)


def _weights(flux: Float[Array, " node"]) -> Float[Array, " node"]:
    """Shares of a flux; of none at all, of its absolute values."""
    total, size = flux.sum(), jnp.abs(flux)
    sound = jnp.abs(total) > 1e-6 * size.sum()
    return jnp.where(sound, flux / jnp.where(sound, total, 1.0), size / jnp.maximum(size.sum(), _SMALLEST))


def flux_density(problem: Problem, unknowns: Unknowns, z, r) -> Float[Array, "2 slab cell ion"]:
    """Of each ion along z and away from the axis, mean over the middle of each quadrilateral, mM nm/ns; z, r: of the
    nodes, nm."""
    through = ion_flow(problem, unknowns)
    h = jnp.diff(z)[:, None]
    middle, radius = (r[1:] + r[:-1]) / 2, (r[1:, 1:] + r[1:, :-1] + r[:-1, 1:] + r[:-1, :-1]) / 4
    slope = (r[1:, 1:] + r[1:, :-1] - r[:-1, 1:] - r[:-1, :-1]) / (2 * h)
    along = [(flux[0] + flux[1]) / (jnp.pi * (middle[:, 1:] ** 2 - middle[:, :-1] ** 2)) for flux in through]
    # The radial faces follow the grid's lines, so that part of what passes them goes along z.
    away = [(flux[2] + flux[3]) / (2 * jnp.pi * radius * h) + a * slope for flux, a in zip(through, along, strict=True)]
    return jnp.stack([jnp.stack(along, -1), jnp.stack(away, -1)])


def _shares(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab"]:
    """The share each slab of the membrane has of the resistance to each ion, its edges in parallel."""
    near, far = problem.elements.faces
    conductance = map_cells(_log_conductance, problem, unknowns)[:, :, near:far]
    return jax.nn.softmax(-jax.nn.logsumexp(conductance, axis=(1, 3)), axis=1)


def _log_conductance(*given):
    """Of the axial edges, [ion, edge]."""
    quads = CellStates(*given)
    resistances = zip(*quads.apply(resistance), strict=True)
    return jnp.stack([-(height + jnp.log(factor))[:2] for height, factor in resistances])


def _amounts(problem: Problem, unknowns: Unknowns):
    """How many ions of each kind a node has, mM nm³, [ion, slice, node], and in what volume, nm³."""
    amounts, volume = map_cells(_contents, problem, unknowns)
    return gathered(amounts, 1), gathered(volume, 0)


def _contents(*given):
    """The same of corners, [corner, ion] and [corner]."""
    quads = CellStates(*given)
    volume = quads.problem.elements.volume
    concentrations = quads.apply(end_concentrations)
    of_ion = lambda ends: jnp.stack(of_corners(*(c * v for c, v in zip(ends, volume, strict=True))))
    amounts = [of_ion(ends) for ends in zip(*concentrations, strict=True)]
    return jnp.stack(amounts, axis=1), jnp.stack(of_corners(*volume))
