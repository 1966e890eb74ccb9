"""From local laws to the global system: balances at every node and their Jacobian, by autodiff."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Literal, jaxpr_as_fun
from jaxtyping import Array, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.finite_volume.fluxes import Element, Ends, element_balance, element_flux, resistance, solve_activities
from pnp.linalg.block_tridiagonal import BlockCoefficients, to_two_sided

TwoSided = Float[Array, "unknown node arm lane"]
"""phi and mu − mu_ref along two arms, see `linear.to_two_sided`."""


class Problem(eqx.Module):
    """One discretised steady state: elements, ions, and what the two baths hold fixed.

    The unknowns are phi and mu − mu_ref at every node, where mu_ref is the inside bath's mu on the
    first half of the nodes and the outside bath's on the rest. In each bath the unknown is then a
    small deviation, known to all its digits however large mu itself is; the step between the two
    references sits in one element (`Element.joint`) and changes nothing else.

    Elements run from bath to bath ([…, element]), or from both baths to the middle and side by side
    for many cases ([…, element, arm, lane]), as elimination wants them: see `to_two_sided`.
    """

    elements: Any
    """An `Element`, or a `quads.Plane` of them."""
    valence: Float[Array, "ion *lane"]
    log_activity: Float[Array, "2 ion *lane"]
    """ln of the activities in the baths, mM."""
    voltage: Float[Array, "*lane"]
    """phi(inside) − phi(outside), kT/e."""
    charged: Float[Array, "*lane"]
    """How much of the fixed charge and of the energies w of the elements is there: 1 but for a continuation."""
    excess: ActivityCoefficients

    @property
    def bath_mu(self) -> tuple[list[Float[Array, "*lane"]], list[Float[Array, "*lane"]]]:
        """mu of each ion in the two baths, kT."""
        inside, outside = self.log_activity
        return [a + z * self.voltage for a, z in zip(inside, self.valence, strict=True)], list(outside)

    @property
    def reference(self) -> tuple[list[Float[Array, "*place"]], list[Float[Array, "*place"]]]:
        """mu_ref of each ion at the two ends of every element, kT."""
        left = [jnp.where(self.elements.inside, *mu) for mu in zip(*self.bath_mu, strict=True)]
        right = [jnp.where(self.elements.joint, *mu) for mu in zip(self.bath_mu[1], left, strict=True)]
        return left, right

    @property
    def node_reference(self) -> Float[Array, "ion node *rest"]:
        """mu_ref at every node, kT."""
        each = zip(*self.reference, strict=True)
        return jnp.stack([jnp.concatenate([left, right[-1:]]) for left, right in each])

    def absolute(self, unknowns: Float[Array, "unknown node *rest"]) -> Float[Array, "unknown node *rest"]:
        """phi and mu, kT."""
        return jnp.concatenate([unknowns[:1], unknowns[1:] + self.node_reference])

    def relative(self, absolute: Float[Array, "unknown node *rest"]) -> Float[Array, "unknown node *rest"]:
        """The unknowns, given phi and mu."""
        mu = absolute[1:] - self.node_reference
        return jnp.concatenate([jnp.broadcast_to(absolute[:1], mu[:1].shape), mu])

    def apply(self, law: Callable, left, right, excess: Ends | None = None, **more):
        """A law of `pnp.finite_volume.fluxes` for all elements at once, given the states at their ends."""
        charging = lambda elements: (elements.charge, elements.excess)
        elements = eqx.tree_at(charging, self.elements, replace_fn=lambda value: value * self.charged)
        return law(left, right, self.reference, elements, self.valence, excess or (self.excess, self.excess), **more)


def two_sided_elements(elements: Element) -> Element:
    """Elements from bath to bath as two arms that run from the baths to the middle; those of the second
    are turned round, so that `left` is nearer to the bath."""
    arms = jax.tree.map(to_two_sided, elements)
    turned = lambda value: value.at[..., 1, :].set(value[::-1, ..., 1, :])
    return eqx.tree_at(lambda e: (e.volume, e.charge, e.excess), arms, replace_fn=turned)


def ends(unknowns: TwoSided) -> tuple[list, list]:
    """States at the two ends of all elements."""
    return list(unknowns[:, :-1]), list(unknowns[:, 1:])


def expand_to_elements(problem: Problem, axes: int = 2) -> Problem:
    """A problem whose elements are [*items, *place, lane], a place having so many axes (an element and an arm), with
    all its numbers like that, as compiled loops want them."""
    place = tuple(range(-1 - axes, -1))
    wide = jax.tree.map(lambda value: jnp.expand_dims(value, place), problem)
    return eqx.tree_at(lambda p: p.elements, wide, problem.elements)


def fluxes(problem: Problem, left, right) -> Float[Array, "ion *place"]:
    """Flux of each ion through each element, mM nm³/ns, given the states at its ends."""
    return jnp.stack(problem.apply(element_flux, list(left), list(right)))


def resistances(problem: Problem, left, right) -> tuple[Float[Array, "ion *place"], Float[Array, "ion *place"]]:
    """Resistance of each element to each ion, in units that keep it from overflowing, one for each ion; and the
    logarithm of the unit."""
    heights, factors = map(jnp.stack, problem.apply(resistance, left, right))
    along = tuple(range(1, heights.ndim - problem.voltage.ndim))
    highest = jnp.max(heights, axis=along, keepdims=True)
    return jnp.exp(heights - highest) * factors, highest


def resistance_fractions(problem: Problem, unknowns: Float[Array, "unknown node"]) -> Float[Array, "ion element"]:
    """The share each element has of the resistance to each ion; they add up to 1."""
    each, _ = resistances(problem, *ends(unknowns))
    return each / each.sum(1, keepdims=True)


class MeanFlux(NamedTuple):
    """What passes through a pore, mM nm³/ns."""

    mean: Float[Array, " ion"]
    deviation: Float[Array, "ion element"]
    """From the mean; it has no derivative."""
    share: Float[Array, "ion element"]
    """Of the resistance; without derivative."""


def mean_flux(problem: Problem, unknowns) -> MeanFlux:
    """Flux of each ion, averaged over the elements, and its deviation along x.

    The flux is the same in every element but for round-off. Each counts by its share of the resistance, for there the
    driving force is found: where an ion moves freely, behind a barrier say, the last digit of mu is a large flux. For
    the same reason the deviation of an element of less than the average resistance counts in proportion.

    Differentiated is the flux through the element of the highest resistance alone: whatever the problem, it is the
    same through all others.
    """
    fixed = jax.lax.stop_gradient((problem, unknowns))
    along, share = fluxes(fixed[0], *ends(fixed[1])), resistance_fractions(*fixed)
    mean = (along * share).sum(1)
    deviation = (along - mean[:, None]) * jnp.minimum(1.0, share * share.shape[1])
    one = flux_at_largest_resistance(problem, unknowns, share)
    return MeanFlux(mean + (one - jax.lax.stop_gradient(one)), deviation, share)


def flux_at_largest_resistance(problem: Problem, unknowns, share: Float[Array, "ion element"]) -> Float[Array, " ion"]:
    """Flux of each ion through the element that has the largest share of its resistance."""
    where = jnp.argmax(share, axis=1)
    there = eqx.tree_at(lambda p: p.elements, problem, jax.tree.map(lambda a: a[..., where], problem.elements))
    return jnp.diagonal(fluxes(there, unknowns[:, where], unknowns[:, where + 1]))


def with_baths(problem: Problem, interior: Float[Array, "unknown interior"]) -> Float[Array, "unknown node"]:
    """The unknowns with those of the two baths, which are given, at the ends."""
    inside = jnp.zeros_like(interior[:, :1]).at[0].set(problem.voltage)
    return jnp.concatenate([inside, interior, jnp.zeros_like(inside)], axis=1)


def residual(
    problem: Problem, interior: Float[Array, "unknown interior"], known_flux: Float[Array, " ion"] | None = None
) -> Float[Array, "unknown interior"]:
    """Imbalance of charge and of each ion at every node between the baths: flux out, less what the node holds.

    known_flux: as `laws.element_balance` has it, for the sake of derivatives.
    """
    unknowns = with_baths(problem, interior)
    through, left, right = problem.apply(element_balance, *ends(unknowns), known_flux=known_flux)
    outward = jnp.stack([flux[1:] - flux[:-1] for flux in through])
    held = jnp.stack([a[1:] + b[:-1] for a, b in zip(left, right, strict=True)])
    return outward.at[: len(held)].add(-held)


def linearize(
    problem: Problem, near: list, far: list, known_flux: Sequence | None = None
) -> tuple[tuple[list, list, list], BlockCoefficients]:
    """What passes through the elements and what their ends hold (see `laws.element_balance`), with derivatives."""
    count = len(near)
    # The excess is solved for once, not again in every derivative.
    excess = problem.apply(solve_activities, near, far)
    law = lambda *s: list(chain(*problem.apply(element_balance, s[:count], s[count:], excess, known_flux=known_flux)))
    values, rows = derivatives(law, [*near, *far])
    half = (len(rows) - count) // 2
    parts = lambda results: (results[:count], results[count : count + half], results[count + half :])
    through, at_near, at_far = parts(rows)
    nothing = [[None] * (2 * count)] * (count - half)  # is held of the ions
    block = lambda part, columns: [row[columns] for row in part]
    one, other = slice(None, count), slice(count, None)
    held = block([*at_near, *nothing], one), block([*at_far, *nothing], other)
    couplings = BlockCoefficients(block(through, one), block(through, other), *held)
    return parts(values), couplings


def derivatives(law: Callable, states: Sequence) -> tuple[list, list[list]]:
    """Results of a law at some states, and its derivatives, [result][state], None where it does not depend on it.

    The law is one of arrays entry by entry, so that one jvp per state has all its derivatives.
    """
    # Traced once: the law and its derivatives are then read off the trace.
    traced = jax.make_jaxpr(law)(*states)
    value, depends = jaxpr_as_fun(traced), _dependence(traced.jaxpr)
    rows: list[list] = [[None] * len(states) for _ in depends]
    for column, state in enumerate(states):
        alone = lambda moved, c=column: value(*states[:c], moved, *states[c + 1 :])
        _, tangents = jax.jvp(alone, (state,), (jnp.ones_like(state),))
        for row, tangent in enumerate(tangents):
            if column in depends[row]:  # what is zero for every state stays out of the elimination
                rows[row][column] = tangent
    return value(*states), rows


def _dependence(jaxpr) -> list[set[int]]:
    """Which arguments of a trace each of its results depends on at all."""
    known = {variable: {i} for i, variable in enumerate(jaxpr.invars)}
    of = lambda atom: set() if isinstance(atom, Literal) else known.get(atom, set())
    for equation in jaxpr.eqns:
        for variable in equation.outvars:
            known[variable] = set().union(*map(of, equation.invars))
    return [of(result) for result in jaxpr.outvars]
