"""What is computed from an axisymmetric solution: fluxes between slices, concentrations, resistances, densities."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axisymmetric.assembly import add_to_nodes, ion_flux, ion_flux_sensitivity
from pnp.finite_volume.axisymmetric.cell_laws import CellStates, Unknowns, map_cells, sum_at_corners
from pnp.finite_volume.axisymmetric.cells import corners_of
from pnp.finite_volume.fluxes import end_concentrations, resistance
from pnp.finite_volume.problem import Problem


def flux_along(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab *batch"]:
    """Flux of each ion from slice to slice, mM nm³/ns."""
    return _sum_over_slices(ion_flux(problem, unknowns))


def flux_sensitivity_along(
    problem: Problem, unknowns: Unknowns, sensitivity: Unknowns
) -> Float[Array, "ion slab *batch"]:
    """Its derivative by the voltage (kT/e). sensitivity: d unknowns / d voltage."""
    return _sum_over_slices(ion_flux_sensitivity(problem, unknowns, sensitivity))


def _sum_over_slices(flux):
    return jnp.stack([(each[0] + each[1]).sum(1) for each in flux])


def at_largest_resistance(along: Float[Array, "ion slab"], fraction) -> Float[Array, " ion"]:
    """Values of each ion in the slab that has the largest fraction of its resistance."""
    return jnp.stack([value[at] for value, at in zip(along, jnp.argmax(fraction, axis=1), strict=True)])


def resistance_fractions(problem: Problem, unknowns: Unknowns) -> Float[Array, "ion slab"]:
    """Fraction of the membrane's resistance to each ion found in each of its slabs, whose edges are in parallel."""
    first, last = problem.elements.membrane_slices
    conductance = map_cells(_log_conductance, problem, unknowns)[:, :, first:last]
    return jax.nn.softmax(-jax.nn.logsumexp(conductance, axis=(1, 3)), axis=1)


def _log_conductance(*given):
    """Of the axial edges, [ion, edge]."""
    resistances = zip(*CellStates(*given).apply(resistance), strict=True)
    return jnp.stack([-(height + jnp.log(factor))[:2] for height, factor in resistances])


def concentrations(problem: Problem, unknowns: Unknowns) -> Float[Array, "slice node ion"]:
    """At the nodes, the mean over each node's volume of water, mM."""
    amount, volume = _amounts(problem, unknowns)
    return jnp.moveaxis(amount, 0, -1) / jnp.where(volume > 0, volume, 1.0)[..., None]


def _amounts(problem: Problem, unknowns: Unknowns):
    """Amount of each ion at a node, mM nm³, [ion, slice, node], and its volume of water, nm³."""
    amounts, volume = map_cells(_contents, problem, unknowns)
    return add_to_nodes(amounts, 1), add_to_nodes(volume, 0)


def _contents(*given):
    """The same of the corners of a cell, [corner, ion] and [corner]."""
    states = CellStates(*given)
    volume = states.problem.elements.volume
    of_ion = lambda ends: jnp.stack(sum_at_corners(*(c * v for c, v in zip(ends, volume, strict=True))))
    amounts = [of_ion(ends) for ends in zip(*states.apply(end_concentrations), strict=True)]
    return jnp.stack(amounts, axis=1), jnp.stack(sum_at_corners(*volume))


def mouth_potentials(problem: Problem, unknowns: Unknowns) -> Float[Array, "2 ion"]:
    """mu of each ion at the inside and the outside mouth, weighted by the flux through each node, kT."""
    mu = unknowns[1:] + problem.node_reference
    first, last = problem.elements.membrane_slices
    found = []
    for flux, value in zip(ion_flux(problem, unknowns), mu, strict=True):
        by_node = jnp.pad(flux[0], ((0, 0), (0, 1))) + jnp.pad(flux[1], ((0, 0), (1, 0)))  # [slab, node]
        mouths = (by_node[first], first), (by_node[last - 1], last)
        found.append(jnp.stack([(_weights(one) * value[at]).sum() for one, at in mouths]))
    return jnp.stack(found, axis=1)


def _weights(flux: Float[Array, " node"]) -> Float[Array, " node"]:
    """Fractions of a flux; where it vanishes, of its absolute values."""
    total, size = flux.sum(), jnp.abs(flux)
    sound = jnp.abs(total) > 1e-6 * size.sum()
    return jnp.where(sound, flux / jnp.where(sound, total, 1.0), size / jnp.maximum(size.sum(), 1e-200))


def flux_density(problem: Problem, unknowns: Unknowns, z, r) -> Float[Array, "2 slab cell ion"]:
    """Flux density of each ion along z and away from the axis, the mean over the middle of each cell, mM nm/ns.

    From the fluxes between slices and between lines, J = (F_s x_s + F_t x_t) / (2πr |x_s × x_t|) with the tangents x_s
    and x_t of the cell.

    - z, r [slice, node]: of the nodes, nm.
    """
    corners = [corners_of(f) for f in (z, r)]
    along = [((c + d) - (a + b)) / 2 for a, b, c, d in corners]
    across = [((b + d) - (a + c)) / 2 for a, b, c, d in corners]
    area = 2 * jnp.pi * sum(corners[1]) / 4 * (along[0] * across[1] - across[0] * along[1])
    fluxes = [(each[0] + each[1], each[2] + each[3]) for each in ion_flux(problem, unknowns)]
    of = lambda k: jnp.stack([(f * along[k] + g * across[k]) / area for f, g in fluxes], -1)
    return jnp.stack([of(0), of(1)])
