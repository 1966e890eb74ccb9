"""The steady Nernst–Planck equations at a fixed potential (a Gummel half-step): in one dimension a sum of resistances.

With the potential given, the flux J of an ion is the same everywhere and R J = e^mu_outer − e^mu_inner over every
element (`fluxes.resistance`), so that e^mu at a node follows from the resistances on its two sides.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axial.assembly import TwoSided, by_element
from pnp.finite_volume.fluxes import resistance
from pnp.finite_volume.problem import Problem
from pnp.linalg.series_resistances import accumulate_resistances

_SMALLEST = 1e-300  # argument of a logarithm: a very small resistance fraction may underflow
_LARGEST = 700.0  # kT, argument of an exponential


def solve_nernst_planck(
    problem: Problem, unknowns: TwoSided
) -> tuple[TwoSided, Float[Array, "ion element side batch"]]:
    """Solve the steady Nernst–Planck equations at fixed potential; exact for point ions.

    - problem: with its elements in two sides, see `AxialScheme`.
    - unknowns: phi (kT/e) and mu − mu_ref (kT); only phi is used.

    Returns the unknowns with the new mu, and the flux of each ion from the outer to the inner ends of the elements,
    mM nm³/ns. At a node with the fraction r of the resistance between it and the bath of its own side
    e^mu = e^mu_own (1 − r) + e^mu_other r; mu_own is also what mu is counted from.
    """
    inside, outside = (jnp.stack(mu)[:, None, None] for mu in problem.bath_mu)
    sides = lambda *both: jnp.concatenate(jnp.broadcast_arrays(*both), axis=-2)
    own, rise = sides(inside, outside), sides(outside - inside, inside - outside)
    elements = by_element(problem, unknowns)
    mu, flux = accumulate_resistances(_resistance, _relative_mu, _flux, elements, unknowns, (own, rise))
    # Both sides count the middle node from the outside bath's mu.
    mu = mu.at[:, -1, 0].add(-rise[:, 0, 0])
    return unknowns.at[1:, 1:].set(mu), flux


def _resistance(elements, outer, inner):
    problem, activity = elements
    return problem.apply(resistance, list(outer), list(inner), activity)


def _relative_mu(before, beyond, inverse, own, rise):
    """mu − mu_own of a node between the resistances `before` and `beyond` it; the other bath's mu is higher by `rise`.

    Small differences keep their digits, since they drive an ion to a barrier.
    """
    fraction = before * inverse
    increase = fraction * jnp.expm1(jnp.minimum(rise, _LARGEST))  # of e^(mu − mu_own)
    above = jnp.maximum(rise, 0.0)
    mean = beyond * inverse * jnp.exp(-above) + fraction * jnp.exp(rise - above)
    small = jnp.abs(increase) < 0.5
    # ln(1 + y) as y ln(x) / (x − 1) with x = 1 + y rounded (Kahan), so that one logarithm serves both cases.
    x = jnp.where(small, 1 + increase, jnp.maximum(mean, _SMALLEST))
    logarithm, rounded = jnp.log(x), x - 1
    near_zero = jnp.where(rounded == 0, increase, increase * logarithm / jnp.where(rounded == 0, 1.0, rounded))
    return jnp.where(small, near_zero, above + logarithm)


def _flux(inverse, log_unit, own, rise):
    """(e^mu_own − e^mu_other) / R, where R is one over `inverse` in units of e^log_unit."""
    return -jnp.expm1(jnp.minimum(rise, _LARGEST)) * jnp.exp(own - log_unit) * inverse
