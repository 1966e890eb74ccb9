"""The local laws of Poisson–Nernst–Planck: fluxes between two neighbouring nodes, content of the volumes between them.

All the physics of the solver is here, written for *one* element: a pair of nodes and the pore between them. The laws
are plain arithmetic, so they hold as they stand for arrays of elements: the axes after `ion` and `end` (`*place` below)
can be anything. Assembly applies them to a whole mesh and differentiates them; no derivative is written by hand.

    mu_k = ln c_k + z_k phi + w_k + mu_ex_k(c)   electrochemical potential, kT; w_k(x): pmf and Born energy
    J_k  = −D_k c_k ∇mu_k,   ∇·(A J_k) = 0       Nernst–Planck, steady
    ∇·(ε₀ ε A ∇phi) = −A (F Σ z_k c_k + rho)     Poisson

A node's state is the sequence (phi, mu_1 − mu_ref_1, …), where mu_ref is given at both ends of an element. Every law
takes `left` and `right` (states), `reference` (mu_ref [end][ion], kT), `element`, `valence` ([ion]) and `activity`
(activity coefficients at the left and the right end).
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.theory.ghk import bernoulli

State = Sequence[Float[Array, "*#place"]] | Float[Array | np.ndarray, "unknown *#place"]
ActivityPair = tuple[ActivityCoefficients, ActivityCoefficients]
"""Activity coefficients at the left and the right end of an element."""

MAX_ION_ENERGY = 500.0
"""kT: bound on the energy z phi + w of an ion. At e⁻⁵⁰⁰ = 1e-217 of a bath's concentration an ion carries nothing
either way, but that is still a number by which elimination can divide."""


class Element(eqx.Module):
    """The properties of the pore between two nodes; `end` is (left, right)."""

    dielectric_conductance: Float[Array, "*#place"]
    """permittivity_scale · ε A / h of the element, mM nm³ per kT/e."""
    conductance: Float[Array, "ion *#place"]
    """D_k A / h, nm³/ns."""
    volume: Float[Array, "end *#place"]
    """Volume of the half next to the left and to the right node, nm³."""
    charge: Float[Array, "end *#place"]
    """Fixed charge in each half, mM nm³."""
    position_energy: Float[Array, "end ion *#place"]
    """w, the part of mu that position alone sets, at the two ends and seen from inside the element, kT."""
    inside_reference: Bool[Array, "*#place"]
    """Whether mu at the left end is counted from the inside bath's; see `Problem`."""
    reference_switch: Bool[Array, "*#place"]
    """Whether the reference changes to the outside bath's across this element."""


def edge_weight(conductance, left_concentration, psi_step):
    """(D A / h) c_L B(Δψ), of which −expm1(Δμ) is the flux through an element, positive to the right: mM nm³/ns.

    Δψ = Δ(z phi + w + mu_ex) and Δμ are right minus left. This is the exponentially fitted flux of Scharfetter &
    Gummel (1969, IEEE Trans. Electron Devices 16:64), exact for a constant flux in a constant force, factored so that
    a flux driven by Δμ = 1e-12 kT keeps every digit (the form B(−Δψ) c_R − B(Δψ) c_L loses them all).
    """
    return conductance * left_concentration * bernoulli(psi_step)


@jax.custom_jvp
def edge_flux_change(flux, weight, drive):
    """Zero, with the derivatives of the flux −weight · drive, whose value is known to be `flux`.

    The weight is an `edge_weight`, the drive expm1(Δμ). Where an ion is enclosed by barriers, Δμ is round-off: no digit
    of the product is right, nor of its derivative by the weight, in elements that conduct 1e200 times as well as the
    barriers. But the flux is the same all along the pore, and so it is known from the barriers.
    """
    return jnp.zeros(jnp.broadcast_shapes(*map(jnp.shape, (flux, weight, drive))))


@edge_flux_change.defjvp
def _edge_flux_change_jvp(primals, tangents):
    flux, weight, _ = primals
    _, weight_change, drive_change = tangents
    change = flux * (weight_change / weight) - weight * drive_change
    return edge_flux_change(*primals), change


def composition(phi, mu, energy, valence, activity: ActivityCoefficients) -> tuple[list, list]:
    """psi = z phi + w + mu_ex (kT) and c = exp(mu − psi) (mM, positive by construction) of each ion.

    - phi: kT/e. mu, energy (w): kT, [ion].
    """
    electrostatic, log_activity = _energy_and_log_activity(phi, mu, energy, valence)
    excess = activity.excess_from_activity(log_activity, valence)
    return (
        [e + x for e, x in zip(electrostatic, excess, strict=True)],
        [jnp.exp(a - x) for a, x in zip(log_activity, excess, strict=True)],
    )


def _energy_and_log_activity(phi, mu, energy, valence):
    """z phi + w and mu − z phi − w of each ion."""
    whole = [z * phi + w for z, w in zip(valence, energy, strict=True)]
    bounded = [jnp.where(e < MAX_ION_ENERGY, e, MAX_ION_ENERGY) for e in whole]
    return bounded, [m - e for m, e in zip(mu, bounded, strict=True)]


def _at_end(end: int, state: State, reference, element: Element, valence):
    """The arguments of `composition` at one end of an element, seen from inside it."""
    mu = [state[1 + k] + reference[end][k] for k in range(len(valence))]
    return state[0], mu, element.position_energy[end], valence


def _compositions(left, right, reference, element, valence, activity):
    """`composition` at both ends."""
    states = enumerate((left, right))
    return [composition(*_at_end(end, state, reference, element, valence), activity[end]) for end, state in states]


def end_concentrations(
    left: State, right: State, reference, element: Element, valence, activity: ActivityPair
) -> list[list[Float[Array, "*#place"]]]:
    """c of each ion at the two ends of an element, seen from inside it, [end][ion], mM."""
    return [c for _, c in _compositions(left, right, reference, element, valence, activity)]


def solve_activities(
    left: State, right: State, reference, element: Element, valence, activity: ActivityPair
) -> ActivityPair:
    """Activity coefficients with their equations solved at these states, see `ActivityCoefficients.solve_at`."""
    at = lambda end, state: activity[end].solve_at(
        _energy_and_log_activity(*_at_end(end, state, reference, element, valence))[1], valence
    )
    return at(0, left), at(1, right)


def element_flux(
    left: State, right: State, reference, element: Element, valence, activity: ActivityPair
) -> list[Float[Array, "*#place"]]:
    """Flux of each ion through one element, mM nm³/ns."""
    at = (left, right, reference, element, valence)
    return _ion_fluxes(*_weights_and_steps(*at, _compositions(*at, activity)))


def _weights_and_steps(left, right, reference, element, valence, compositions):
    """`edge_weight` and Δμ of each ion."""
    (psi_left, c_left), (psi_right, _) = compositions
    ions = range(len(valence))
    steps = [(right[1 + k] - left[1 + k]) + (reference[1][k] - reference[0][k]) for k in ions]
    return [edge_weight(element.conductance[k], c_left[k], psi_right[k] - psi_left[k]) for k in ions], steps


def _ion_fluxes(weights, steps, known=None):
    drives = [jnp.expm1(step) for step in steps]
    if known is None:
        return [-weight * drive for weight, drive in zip(weights, drives, strict=True)]
    return [edge_flux_change(*each) for each in zip(known, weights, drives, strict=True)]


def one_way_fluxes(
    left: State, right: State, reference, element: Element, valence, activity: ActivityPair
) -> list[list[Float[Array, "*#place"]]]:
    """Flux of each ion from each end if the other end held none, [end][ion].

    The flux of point ions is the first less the second, and each is proportional to the concentration at its end.
    """
    (psi_left, c_left), (psi_right, c_right) = _compositions(left, right, reference, element, valence, activity)
    steps = [b - a for a, b in zip(psi_left, psi_right, strict=True)]
    sent = lambda c, sign: [edge_weight(d, k, sign * s) for d, k, s in zip(element.conductance, c, steps, strict=True)]
    return [sent(c_left, 1), sent(c_right, -1)]


def resistance(
    left: State, right: State, reference, element: Element, valence, activity: ActivityPair
) -> tuple[list[Float[Array, "*#place"]], list[Float[Array, "*#place"]]]:
    """Resistance R of one element to each ion, where R J = e^mu_L − e^mu_R exactly.

    Returns (h, f) with R = e^h f, since e^h may overflow: R is e^ψ integrated over dx / (D A) with ψ linear, that is
    e^max(ψ_L, ψ_R) · (1 − e^−|Δψ|) / |Δψ| · h / (D A). Resistances in series add up, J Σ R = e^mu_inside −
    e^mu_outside: in a given potential the steady state of point ions is known.
    """
    energies = [psi for psi, _ in _compositions(left, right, reference, element, valence, activity)]
    heights, factors = [], []
    for k in range(len(valence)):
        ends = [psi[k] for psi in energies]
        y = jnp.abs(ends[1] - ends[0])
        small = y < 1e-8
        large = jnp.where(small, 1.0, y)
        heights.append(jnp.maximum(*ends))
        factors.append(jnp.where(small, 1 - y / 2, -jnp.expm1(-large)) / (large * element.conductance[k]))
    return heights, factors


def element_balance(
    left: State,
    right: State,
    reference,
    element: Element,
    valence,
    activity: ActivityPair,
    known_flux=None,
    skew=None,
    transverse: State | None = None,
) -> tuple[State, State, State]:
    """Flux through an element, and content of its two halves.

    Flux: [electric flux −ε₀ε A ∇phi, flux of each ion], positive to the right, mM nm³ and mM nm³/ns. Content, left and
    right: [charge, mobile and fixed], mM nm³; of ions none, as none is made or stored in the steady state. At every
    node what flows out through the elements that meet there equals the content of their halves next to it.

    The two are kept apart because the flux leaves one node as it enters the other: elimination needs to know what is
    lost on the way, which a difference of sums could not tell from round-off.

    - known_flux: that of each ion, if it is the same all along the pore. Only its change then enters the flux.
    - skew, transverse: of a face that is not at right angles to the element, whose flux has a part −K ∇phi or −K ∇mu
      from the other component of the gradient. transverse: [phi, mu of each ion], the difference along the face; skew:
      its weight against the element's own difference. K is that of the element's own flux, which for ions is
      `edge_weight` · expm1(Δμ) / Δμ.
    """
    compositions = _compositions(left, right, reference, element, valence, activity)
    weights, steps = _weights_and_steps(left, right, reference, element, valence, compositions)
    electric, flux = -element.dielectric_conductance * (right[0] - left[0]), _ion_fluxes(weights, steps, known_flux)
    if transverse is not None:
        electric = electric - element.dielectric_conductance * skew * transverse[0]
        pairs = zip(flux, weights, steps, transverse[1:], strict=True)
        flux = [own - w / bernoulli(step) * skew * other for own, w, step, other in pairs]
    content_left, content_right = (
        [element.volume[end] * sum(z * c for z, c in zip(valence, concentration, strict=True)) + element.charge[end]]
        for end, (_, concentration) in enumerate(compositions)
    )
    return [electric, *flux], content_left, content_right
