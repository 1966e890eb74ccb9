"""The axial system: balances at every node, their Jacobian, and the fluxes and resistances of a solution."""

from collections.abc import Sequence
from itertools import chain

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.differentiate import derivatives
from pnp.finite_volume.fluxes import ActivityPair, element_balance, element_flux, resistance, solve_activities
from pnp.finite_volume.problem import Problem, expand_to_elements
from pnp.finite_volume.scheme import MeanFlux
from pnp.linalg.element_matrices import BlockCoefficients
from pnp.linalg.series_resistances import in_common_unit

TwoSided = Float[Array, "unknown _ 2 _"]
"""phi and mu − mu_ref along the two sides of the elimination, see `block_tridiagonal.to_two_sided`."""


def element_ends(unknowns: Float[Array, "unknown node *rest"]) -> tuple[list, list]:
    """States at the two ends of all elements, [unknown][element, *rest]."""
    return list(unknowns[:, :-1]), list(unknowns[:, 1:])


def by_element(problem: Problem, unknowns: Float[Array, "unknown node *rest"]) -> tuple[Problem, ActivityPair]:
    """The problem as local laws take it, by element, and the activity coefficients at both ends of every element.

    Those that follow from an equation are solved for here, once, so that the laws are plain arithmetic.
    """
    problem = expand_to_elements(problem)
    return problem, problem.apply(solve_activities, *element_ends(unknowns))


def fluxes(problem: Problem, left, right) -> Float[Array, "ion *place"]:
    """Flux of each ion through each element, mM nm³/ns, given the states at its ends."""
    return jnp.stack(problem.apply(element_flux, list(left), list(right)))


def resistance_fractions(problem: Problem, unknowns: Float[Array, "unknown node"]) -> Float[Array, "ion element"]:
    """Fraction of the resistance to each ion found in each element; they add up to 1."""
    log_units, factors = map(jnp.stack, problem.apply(resistance, *element_ends(unknowns)))
    each, _ = in_common_unit(log_units, factors, axis=1)
    return each / each.sum(1, keepdims=True)


def mean_flux(problem: Problem, unknowns: Float[Array, "unknown node"]) -> MeanFlux:
    """Flux of each ion, averaged over the elements, and its deviation along x.

    The flux is the same in every element but for round-off. Each counts by its fraction of the resistance, since there
    the driving force is found: where an ion moves freely, behind a barrier say, the last digit of mu is a large flux.
    For the same reason the deviation of an element of less than average resistance counts in proportion.

    The derivative is that of the flux through the element of the largest resistance alone, which is the same as that
    through all others.
    """
    fixed = jax.lax.stop_gradient((problem, unknowns))
    along, fraction = fluxes(fixed[0], *element_ends(fixed[1])), resistance_fractions(*fixed)
    mean = (along * fraction).sum(1)
    deviation = (along - mean[:, None]) * jnp.minimum(1.0, fraction * fraction.shape[1])
    one = flux_at_largest_resistance(problem, unknowns, fraction)
    return MeanFlux(mean + (one - jax.lax.stop_gradient(one)), deviation, fraction)


def flux_at_largest_resistance(
    problem: Problem, unknowns: Float[Array, "unknown node"], fraction: Float[Array, "ion element"]
) -> Float[Array, " ion"]:
    """Flux of each ion through the element that has the largest fraction of its resistance, mM nm³/ns."""
    where = jnp.argmax(fraction, axis=1)
    there = problem.with_elements(jax.tree.map(lambda a: a[..., where], problem.elements))
    return jnp.diagonal(fluxes(there, unknowns[:, where], unknowns[:, where + 1]))


def with_baths(
    problem: Problem, interior: Float[Array, "unknown interior *batch"]
) -> Float[Array, "unknown node *batch"]:
    """The unknowns, with those that the two baths fix at the ends."""
    inside = jnp.zeros_like(interior[:, :1]).at[0].set(problem.voltage)
    return jnp.concatenate([inside, interior, jnp.zeros_like(inside)], axis=1)


def residual(
    problem: Problem, interior: Float[Array, "unknown interior"], known_flux: Float[Array, " ion"] | None = None
) -> Float[Array, "unknown interior"]:
    """Imbalance of charge and of each ion at every node between the baths: flux out, less the node's content.

    - known_flux: see `fluxes.element_balance`; for derivatives.
    """
    unknowns = with_baths(problem, interior)
    flux, left, right = problem.apply(element_balance, *element_ends(unknowns), known_flux=known_flux)
    outward = jnp.stack([each[1:] - each[:-1] for each in flux])
    content = jnp.stack([a[1:] + b[:-1] for a, b in zip(left, right, strict=True)])
    return outward.at[: len(content)].add(-content)


def linearize(
    problem: Problem,
    outer: list,
    inner: list,
    known_flux: Sequence | None = None,
    activity: ActivityPair | None = None,
) -> tuple[tuple[list, list, list], BlockCoefficients]:
    """Flux through the elements and content of their halves (see `fluxes.element_balance`), with derivatives.

    - outer, inner: states at the ends of the elements, [unknown]; the outer end is nearer to the side's bath.
    - activity: activity coefficients solved at these states; they are solved for here unless given.
    """
    count = len(outer)
    # Once, not again in every derivative.
    activity = problem.apply(solve_activities, outer, inner) if activity is None else activity
    law = lambda *s: list(chain(*problem.apply(element_balance, s[:count], s[count:], activity, known_flux=known_flux)))
    values, rows = derivatives(law, [*outer, *inner])
    half = (len(rows) - count) // 2
    parts = lambda results: (results[:count], results[count : count + half], results[count + half :])
    flux, content_outer, content_inner = parts(rows)
    nothing = [[None] * (2 * count)] * (count - half)  # no ion is stored
    block = lambda part, columns: [row[columns] for row in part]
    first, second = slice(None, count), slice(count, None)
    content = block([*content_outer, *nothing], first), block([*content_inner, *nothing], second)
    return parts(values), BlockCoefficients(block(flux, first), block(flux, second), *content)
