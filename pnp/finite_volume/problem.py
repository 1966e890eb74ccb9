"""The steady problem on one mesh: elements, ions and baths, and the references its unknowns are counted from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.finite_volume.fluxes import ActivityPair

if TYPE_CHECKING:
    from pnp.finite_volume.scheme import Scheme


class Problem(eqx.Module):
    """One discretised steady state: elements, ions, and what the two baths fix.

    The unknowns are phi and mu − mu_ref at every node, where mu_ref is the inside bath's mu on the first half of the
    nodes and the outside bath's on the rest. In each bath the unknown is then a small deviation, known to all its
    digits however large mu itself is; the step between the two references sits in one element
    (`Element.reference_switch`) and changes nothing else.

    Elements run from bath to bath ([…, element]). The solver may hold them in a layout of its own, see `Scheme`.
    """

    elements: Any
    """An `Element` in one dimension, `axisymmetric.cells.Cells` in two."""
    valence: Float[Array, "ion *#batch"]
    log_activity: Float[Array, "2 ion *#batch"]
    """ln of the activities in the baths, mM."""
    voltage: Float[Array, "*#batch"]
    """phi(inside) − phi(outside), kT/e."""
    charge_fraction: Float[Array, "*#batch"]
    """Fraction of the fixed charge and of the position energies that is present; 1 but for a continuation."""
    activity: ActivityCoefficients
    scheme: "Scheme" = eqx.field(static=True)
    """How the equations on these elements are solved."""

    @property
    def bath_mu(self) -> tuple[list[Float[Array, "*#batch"]], list[Float[Array, "*#batch"]]]:
        """mu of each ion in the inside and in the outside bath, kT."""
        inside, outside = self.log_activity
        return [a + z * self.voltage for a, z in zip(inside, self.valence, strict=True)], list(outside)

    @property
    def reference(self) -> tuple[list[Float[Array, "*#place"]], list[Float[Array, "*#place"]]]:
        """mu_ref of each ion at the two ends of every element, kT."""
        elements = self.elements
        left = [jnp.where(elements.inside_reference, *mu) for mu in zip(*self.bath_mu, strict=True)]
        right = [jnp.where(elements.reference_switch, *mu) for mu in zip(self.bath_mu[1], left, strict=True)]
        return left, right

    @property
    def node_reference(self) -> Float[Array, "ion node *#rest"]:
        """mu_ref at every node, kT."""
        each = zip(*self.reference, strict=True)
        return jnp.stack([jnp.concatenate([left, right[-1:]]) for left, right in each])

    def absolute(self, unknowns: Float[Array, "unknown node *#rest"]) -> Float[Array, "unknown node *#rest"]:
        """phi and mu (kT) from the unknowns."""
        return jnp.concatenate([unknowns[:1], unknowns[1:] + self.node_reference])

    def relative(self, absolute: Float[Array, "unknown node *#rest"]) -> Float[Array, "unknown node *#rest"]:
        """The unknowns from phi and mu (kT)."""
        mu = absolute[1:] - self.node_reference
        return jnp.concatenate([jnp.broadcast_to(absolute[:1], mu[:1].shape), mu])

    def apply(self, law: Callable, left, right, activity: ActivityPair | None = None, **more):
        """A law of `fluxes` on all elements at once.

        - left, right: states at the two ends of the elements, [unknown][*place].
        - activity: activity coefficients at the two ends; the problem's own unless given.
        """
        charging = lambda elements: (elements.charge, elements.position_energy)
        elements = eqx.tree_at(charging, self.elements, replace_fn=lambda value: value * self.charge_fraction)
        return law(left, right, self.reference, elements, self.valence, activity or (self.activity,) * 2, **more)

    # -- parts of it --

    def with_elements(self, elements: Any) -> "Problem":
        """The same with other elements."""
        return eqx.tree_at(lambda p: p.elements, self, elements)

    def with_voltage(self, voltage: Float[Array, "*#batch"]) -> "Problem":
        """The same at another voltage, kT/e."""
        return eqx.tree_at(lambda p: p.voltage, self, voltage)


class MeshSolution(NamedTuple):
    """A problem and the unknowns that solve it, on one mesh."""

    problem: Problem
    unknowns: Float[Array, "unknown *place"]
    report: Any = None
    """What the solver reports, a `solver.newton.Report`."""

    @property
    def absolute(self) -> Float[Array, "unknown *place"]:
        """phi and mu, kT."""
        return self.problem.absolute(self.unknowns)


def expand_to_elements(problem: Problem, axes: int = 2) -> Problem:
    """A problem whose numbers all have the axes of its elements, [*items, *place, batch], of size 1 where they do not
    vary with the place; `axes` is how many axes a place has. Pointwise laws ask for it."""
    place = tuple(range(-1 - axes, -1))
    wide = jax.tree.map(lambda value: jnp.expand_dims(value, place), problem)
    return wide.with_elements(problem.elements)
