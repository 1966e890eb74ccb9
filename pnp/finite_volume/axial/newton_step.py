"""One step of Newton's method in one dimension, and other solves with its matrix.

The local laws are linearised at the present states, element by element, and the block-tridiagonal system is eliminated.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axial.assembly import TwoSided, by_element, linearize
from pnp.finite_volume.fluxes import element_balance
from pnp.finite_volume.problem import Problem
from pnp.linalg.block_tridiagonal import eliminate_law
from pnp.linalg.element_matrices import ElementMatrices

Fluxes = Float[Array, "ion #element 2 #batch"]
"""Of each ion from the outer to the inner ends of the elements, mM nm³/ns."""
Solution = Float[Array, "unknown element 2 #batch"]
"""At the inner ends of the elements, that is at the nodes between the baths; the middle node is in both sides."""


def newton_update(
    problem: Problem, unknowns: TwoSided, with_sensitivity: bool, flux: Fluxes | None = None
) -> tuple[Solution, Solution | None]:
    """Newton's update of the unknowns at the nodes between the baths.

    - problem: with its elements in two sides, see `AxialScheme`.
    - unknowns: phi (kT/e) and mu − mu_ref (kT).
    - flux: if the Nernst–Planck equations hold at this potential (`solve_nernst_planck`), the flux of each ion.

    Returns the update, and with `with_sensitivity` the derivative d unknowns / d voltage, kT per kT/e.
    """
    at_inside = jnp.zeros((unknowns.shape[1] - 1, 2, 1), bool).at[0, 0].set(True)
    elements = *by_element(problem, unknowns), at_inside, flux
    update, *sensitivity = eliminate_law(_STEPS[with_sensitivity], elements, unknowns)
    return update, sensitivity[0] if sensitivity else None


def solve_linearised(problem: Problem, unknowns: TwoSided, rhs: Solution, transposed: bool, flux: Fluxes) -> Solution:
    """x at the nodes between the baths with J x = rhs, J the Jacobian of the balance there; or with Jᵀ x = rhs.

    - problem, unknowns: as for `newton_update`.
    - rhs: of each node; what the two sides have for the middle node is added.
    - flux: of each ion, which is in a steady state.
    """
    return eliminate_law(_given_balance, (*by_element(problem, unknowns), rhs, flux), unknowns, transposed)[0]


# --- the laws that are eliminated ---------------------------------------------------------------


def _newton_balance(elements: tuple, outer: Any, inner: Any, with_sensitivity: bool) -> ElementMatrices:
    """The linearised balance, and its derivative with respect to the voltage as a second right-hand side."""
    problem, activity, at_inside, flux = elements
    outer, inner, flux = list(outer), list(inner), None if flux is None else list(flux)
    (passing, *contents), coefficients = linearize(problem, outer, inner, flux, activity)
    if flux is not None:  # the same flux enters and leaves every node
        passing = [passing[0], *[None] * len(flux)]
    columns = [(passing, *contents)]
    if with_sensitivity:

        def balance(voltage):
            # phi at the inside bath is the voltage.
            first = [jnp.where(at_inside, voltage, outer[0]), *outer[1:]]
            return problem.with_voltage(voltage).apply(element_balance, first, inner, activity, known_flux=flux)

        columns.append(jax.jvp(balance, (problem.voltage,), (jnp.ones_like(problem.voltage),))[1])
    passing, *sources = ([list(row) for row in zip(*part, strict=True)] for part in zip(*columns, strict=True))
    nothing = [[None] * len(columns)] * (len(outer) - len(sources[0]))  # no ion is stored
    return ElementMatrices(coefficients, passing, *([*source, *nothing] for source in sources))


_STEPS = tuple(partial(_newton_balance, with_sensitivity=with_sensitivity) for with_sensitivity in (False, True))


def _given_balance(elements: tuple, outer: Any, inner: Any) -> ElementMatrices:
    """The same matrix with a given right-hand side."""
    problem, activity, rhs, flux = elements
    _, coefficients = linearize(problem, list(outer), list(inner), list(flux), activity)
    nothing: list = [[None]] * len(outer)
    return ElementMatrices(coefficients, nothing, nothing, [[row] for row in rhs])
