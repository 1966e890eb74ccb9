"""The local laws of Poisson–Nernst–Planck: what happens between two neighbouring nodes.

Everything the solver knows of physics is here, written for *one* element (a pair of nodes and the
properties of the pore between them). `assembly` maps these functions over the mesh and takes their
derivatives; nothing is derived by hand.

    mu_k = ln c_k + z_k phi + mu_ex_k            electrochemical potential, kT
    J_k  = −D_k c_k ∇mu_k,   ∇·(A J_k) = 0       Nernst–Planck, steady
    ∇·(ε₀ ε A ∇phi) = −A (F Σ z_k c_k + rho)     Poisson
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.theory.ghk import bernoulli


class Element(eqx.Module):
    """What the laws need to know of the pore between two nodes (arrays may carry a leading
    `element` axis, over which the laws are mapped)."""

    permittance: Float[Array, ""]
    """permittivity_scale · ε A / h of the element, mM nm³ per kT/e."""
    conductance: Float[Array, " ion"]
    """D_k A / h, nm³/ns."""
    volume: Float[Array, " 2"]
    """Volume of the half next to the left and to the right node, nm³."""
    charge: Float[Array, " 2"]
    """Fixed charge in each half, mM nm³."""
    excess: Float[Array, "2 ion"]
    """mu_ex at the left and right end, seen from inside the element, kT."""
    reference_step: Float[Array, " ion"]
    """mu_ref(right) − mu_ref(left), kT: see `assembly.Problem`."""


def edge_flux(conductance, left_concentration, psi_step, mu_step):
    """Flux through an element, positive to the right: −(D A / h) c_L B(Δψ) expm1(Δμ), mM nm³/ns.

    Δψ = Δ(z phi + mu_ex) and Δμ are right minus left. This is the exponentially fitted flux of
    Scharfetter & Gummel (1969, IEEE Trans. Electron Devices 16:64), exact for a constant flux in a
    constant force, factored so that a flux driven by Δμ = 1e-12 kT still keeps every digit (the
    textbook form B(−Δψ) c_R − B(Δψ) c_L loses them all).
    """
    return -conductance * left_concentration * bernoulli(psi_step) * jnp.expm1(mu_step)


def concentration(phi, mu, valence, excess):
    """c = exp(mu − z phi − mu_ex) in mM: positive by construction."""
    return jnp.exp(mu - valence * phi - excess)


def element_flux(left, right, left_reference, element: Element, valence):
    """Flux of each ion through one element, mM nm³/ns.

    `left` and `right` are the nodes' unknowns [phi, mu_1 − mu_ref_1, …].
    """
    phi_step = right[0] - left[0]
    mu_step = (right[1:] - left[1:]) + element.reference_step
    psi_step = valence * phi_step + (element.excess[1] - element.excess[0])
    c_left = concentration(left[0], left[1:] + left_reference, valence, element.excess[0])
    return edge_flux(element.conductance, c_left, psi_step, mu_step)


def element_concentrations(left, right, left_reference, element: Element, valence):
    """Concentrations at the two ends of one element, seen from inside it: [2, ion], mM."""
    right_reference = left_reference + element.reference_step
    return jnp.stack(
        [
            concentration(left[0], left[1:] + left_reference, valence, element.excess[0]),
            concentration(right[0], right[1:] + right_reference, valence, element.excess[1]),
        ]
    )


def element_residual(left, right, left_reference, element: Element, valence):
    """What one element adds to the balances of its two nodes.

    Per node: [electric flux out − charge, flux of each ion out], mM nm³ and mM nm³/ns. Summed over
    the elements that meet at a node they vanish in the steady state.
    """
    flux = element_flux(left, right, left_reference, element, valence)
    c = element_concentrations(left, right, left_reference, element, valence)
    electric = -element.permittance * (right[0] - left[0])
    charge = element.volume * (c @ valence) + element.charge
    out_of_left = jnp.concatenate([(electric - charge[0])[None], flux])
    out_of_right = jnp.concatenate([(-electric - charge[1])[None], -flux])
    return out_of_left, out_of_right
