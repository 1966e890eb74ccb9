"""From local laws to the global system: balances at every node and their Jacobian, by autodiff."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.laws import Element, element_flux, element_residual
from pnp.linear import BlockTridiagonal


class Problem(eqx.Module):
    """One discretised steady state: elements, ions, and what the two baths hold fixed.

    The unknowns are phi and mu − mu_ref at every node, where mu_ref is the inside bath's mu on the
    first half of the nodes and the outside bath's on the rest. In each bath the unknown is then a
    small deviation, known to all its digits however large mu itself is; the step between the two
    references sits in one element (`reference_step`) and changes nothing else.
    """

    elements: Element
    valence: Float[Array, " ion"]
    bath_mu: Float[Array, "2 ion"]
    """ln c + z phi in the two baths, kT."""
    voltage: Float[Array, ""]
    """phi(inside) − phi(outside), kT/e."""

    @property
    def reference(self) -> Float[Array, "node ion"]:
        """mu_ref at every node, kT."""
        count = self.elements.volume.shape[0] + 1
        inside = jnp.arange(count)[:, None] < count // 2
        return jnp.where(inside, self.bath_mu[0], self.bath_mu[1])

    def _mapped(self, law, unknowns, *transforms):
        reference = self.reference
        step = jnp.zeros_like(reference[:-1]).at[reference.shape[0] // 2 - 1].set(self.bath_mu[1] - self.bath_mu[0])
        elements = eqx.tree_at(lambda e: e.reference_step, self.elements, step)
        local = lambda left, right, ref, e: law(left, right, ref, e, self.valence)
        for transform in transforms:
            local = transform(local)
        return jax.vmap(local)(unknowns[:-1], unknowns[1:], reference[:-1], elements)


def make_problem(elements: Element, valence, concentration, voltage) -> Problem:
    """A Problem from bath concentrations [2, ion] (mM, > 0) and the voltage (kT/e)."""
    bath_phi = jnp.stack([voltage, jnp.zeros_like(voltage)])
    bath_mu = jnp.log(concentration) + bath_phi[:, None] * valence
    return Problem(elements, jnp.asarray(valence), bath_mu, voltage)


def fluxes(problem: Problem, unknowns: Float[Array, "node unknown"]) -> Float[Array, "element ion"]:
    """Flux of each ion through each element, mM nm³/ns."""
    return problem._mapped(element_flux, unknowns)


def residual(problem: Problem, unknowns: Float[Array, "node unknown"]) -> Float[Array, "node unknown"]:
    """Imbalance of charge and of each ion at every node; at the two ends, distance from the bath."""
    return _gathered(problem, unknowns, *problem._mapped(element_residual, unknowns))


def linearize(problem: Problem, unknowns) -> tuple[Float[Array, "node unknown"], BlockTridiagonal]:
    """The residual's Jacobian as node blocks, with the residual."""
    with_value = lambda law: lambda *args: 2 * (law(*args),)
    derivative = lambda law: jax.jacfwd(with_value(law), argnums=(0, 1), has_aux=True)
    ((ll, lr), (rl, rr)), sides = problem._mapped(element_residual, unknowns, derivative)
    none, identity = jnp.zeros_like(ll[:1]), jnp.eye(ll.shape[-1])
    diagonal = jnp.concatenate([ll, none]) + jnp.concatenate([none, rr])
    return _gathered(problem, unknowns, *sides), BlockTridiagonal(
        lower=jnp.concatenate([none, rl]).at[-1].set(0.0),
        diagonal=diagonal.at[0].set(identity).at[-1].set(identity),
        upper=jnp.concatenate([lr, none]).at[0].set(0.0),
    )


def _gathered(problem, unknowns, left, right):
    """What the elements add to their two nodes, summed by node; at the ends the distance from the baths."""
    none = jnp.zeros_like(left[:1])
    total = jnp.concatenate([left, none]) + jnp.concatenate([none, right])
    phi = jnp.stack([problem.voltage, jnp.zeros_like(problem.voltage)])
    bath = jnp.zeros_like(unknowns[:2]).at[:, 0].set(phi)
    return total.at[0].set(unknowns[0] - bath[0]).at[-1].set(unknowns[-1] - bath[1])
