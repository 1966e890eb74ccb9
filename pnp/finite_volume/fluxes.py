"""The local laws of Poisson–Nernst–Planck: what happens between two neighbouring nodes.

Everything the solver knows of physics is here, written for *one* element (a pair of nodes and the
properties of the pore between them). The laws are plain arithmetic, so they hold as they stand for arrays
of elements too: the axes after `ion` and `end` (`*place` below) can be anything. `assembly` applies them
to a whole mesh and takes their derivatives; nothing is derived by hand.

    mu_k = ln c_k + z_k phi + w_k + mu_ex_k(c)   electrochemical potential, kT; w_k(x): pmf and Born energy
    J_k  = −D_k c_k ∇mu_k,   ∇·(A J_k) = 0       Nernst–Planck, steady
    ∇·(ε₀ ε A ∇phi) = −A (F Σ z_k c_k + rho)     Poisson

A node's state is the sequence (phi, mu_1 − mu_ref_1, …), where mu_ref is given at both ends of an element.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.theory.ghk import bernoulli

State = Sequence[Float[Array, "*place"]]
Ends = tuple[ActivityCoefficients, ActivityCoefficients]
"""The law of mu_ex(c) at the left and the right end."""

HIGHEST_ENERGY = 500.0
"""kT: what an ion has, besides mu_ex(c), where it would have more. At e⁻⁵⁰⁰ = 1e-217 of a bath's concentration it
carries nothing either way, but that is still a number, which elimination can divide by."""


class Element(eqx.Module):
    """What the laws need to know of the pore between two nodes; `end` is (left, right)."""

    dielectric_conductance: Float[Array, "*place"]
    """permittivity_scale · ε A / h of the element, mM nm³ per kT/e."""
    conductance: Float[Array, "ion *place"]
    """D_k A / h, nm³/ns."""
    volume: Float[Array, "end *place"]
    """Volume of the half next to the left and to the right node, nm³."""
    charge: Float[Array, "end *place"]
    """Fixed charge in each half, mM nm³."""
    excess: Float[Array, "end ion *place"]
    """w, the part of mu_ex that position alone sets, at the two ends and seen from inside the element, kT."""
    inside: Bool[Array, "*place"]
    """Whether mu at the left end is counted from the inside bath's; see `assembly.Problem`."""
    joint: Bool[Array, "*place"]
    """Whether the reference changes to the outside bath's across this element."""


def edge_weight(conductance, left_concentration, psi_step):
    """(D A / h) c_L B(Δψ), of which −expm1(Δμ) is the flux through an element, positive to the right: mM nm³/ns.

    Δψ = Δ(z phi + mu_ex) and Δμ are right minus left. This is the exponentially fitted flux of
    Scharfetter & Gummel (1969, IEEE Trans. Electron Devices 16:64), exact for a constant flux in a
    constant force, factored so that a flux driven by Δμ = 1e-12 kT still keeps every digit (the
    textbook form B(−Δψ) c_R − B(Δψ) c_L loses them all).
    """
    return conductance * left_concentration * bernoulli(psi_step)


@jax.custom_jvp
def edge_flux_change(flux, weight, drive):
    """Nothing, with the derivatives of −weight · drive where that is known to be `flux`.

    The weight is an `edge_weight`, the drive expm1(Δμ). Where an ion floats between barriers, Δμ is round-off: no digit
    of the product is right, nor of its derivative by the weight, and there are elements that conduct 1e-200 of this.
    But the flux, the same all along the pore, is known.
    """
    return jnp.zeros(jnp.broadcast_shapes(*map(jnp.shape, (flux, weight, drive))))


@edge_flux_change.defjvp
def _edge_flux_change_jvp(primals, tangents):
    flux, weight, _ = primals
    _, weight_change, drive_change = tangents
    change = flux * (weight_change / weight) - weight * drive_change
    return edge_flux_change(*primals), change


def composition(phi, mu, fixed, valence, excess: ActivityCoefficients) -> tuple[list, list]:
    """psi = z phi + w + mu_ex (kT) and c = exp(mu − psi) (mM, positive by construction) of each ion.

    mu, fixed (w), valence: one for each ion.
    """
    energy, log_activity = _by_position(phi, mu, fixed, valence)
    own = excess.of_activity(log_activity, valence)
    return (
        [w + e for w, e in zip(energy, own, strict=True)],
        [jnp.exp(a - e) for a, e in zip(log_activity, own, strict=True)],
    )


def _by_position(phi, mu, fixed, valence):
    """z phi + w and mu − z phi − w."""
    whole = [z * phi + w for z, w in zip(valence, fixed, strict=True)]
    energy = [jnp.where(e < HIGHEST_ENERGY, e, HIGHEST_ENERGY) for e in whole]
    return energy, [m - e for m, e in zip(mu, energy, strict=True)]


def _end(end: int, state: State, reference, element: Element, valence):
    """What `composition` asks for, at one end of an element and seen from inside it."""
    mu = [state[1 + k] + reference[end][k] for k in range(len(valence))]
    return state[0], mu, element.excess[end], valence


def end_concentrations(
    left: State, right: State, reference, element: Element, valence, excess: Ends
) -> list[list[Float[Array, "*place"]]]:
    """c of each ion at the two ends of an element, seen from inside it, [end][ion], mM."""
    return [c for _, c in _both(left, right, reference, element, valence, excess)]


def solve_activities(left: State, right: State, reference, element: Element, valence, excess: Ends) -> Ends:
    """The laws of mu_ex at both ends, their equations solved at the states given: see
    `ActivityCoefficients.solve_at`."""
    at = lambda end, state: excess[end].solve_at(
        _by_position(*_end(end, state, reference, element, valence))[1], valence
    )
    return at(0, left), at(1, right)


def element_flux(
    left: State, right: State, reference, element: Element, valence, excess: Ends
) -> list[Float[Array, "*place"]]:
    """Flux of each ion through one element, mM nm³/ns; `reference`: mu_ref [end][ion], kT; `excess`: [end]."""
    at = (left, right, reference, element, valence)
    return _flux(*_weights_and_steps(*at, _both(*at, excess)))


def _both(left, right, reference, element, valence, excess):
    """`composition` at both ends."""
    states = enumerate((left, right))
    return [composition(*_end(end, state, reference, element, valence), excess[end]) for end, state in states]


def _weights_and_steps(left, right, reference, element, valence, compositions):
    """`edge_weight` and Δμ of each ion."""
    (psi_left, c_left), (psi_right, _) = compositions
    ions = range(len(valence))
    steps = [(right[1 + k] - left[1 + k]) + (reference[1][k] - reference[0][k]) for k in ions]
    return [edge_weight(element.conductance[k], c_left[k], psi_right[k] - psi_left[k]) for k in ions], steps


def _flux(weights, steps, known=None):
    drives = [jnp.expm1(step) for step in steps]
    if known is None:
        return [-weight * drive for weight, drive in zip(weights, drives, strict=True)]
    return [edge_flux_change(*each) for each in zip(known, weights, drives, strict=True)]


def one_way_fluxes(
    left: State, right: State, reference, element: Element, valence, excess: Ends
) -> list[list[Float[Array, "*place"]]]:
    """What each end would send to the other if no ion was there, [end][ion]: the flux of point ions is the first less
    the second, and each is proportional to the concentration at its end."""
    (psi_left, c_left), (psi_right, c_right) = _both(left, right, reference, element, valence, excess)
    steps = [b - a for a, b in zip(psi_left, psi_right, strict=True)]
    sent = lambda c, sign: [edge_weight(d, k, sign * s) for d, k, s in zip(element.conductance, c, steps, strict=True)]
    return [sent(c_left, 1), sent(c_right, -1)]


def resistance(
    left: State, right: State, reference, element: Element, valence, excess: Ends
) -> tuple[list[Float[Array, "*place"]], list[Float[Array, "*place"]]]:
    """R of one element for each ion, where R J = e^mu_L − e^mu_R exactly, as (h, f) with R = e^h f: e^h may overflow.

    R = e^ψ integrated over dx / (D A) with ψ linear = e^max(ψ_L, ψ_R) · (1 − e^−|Δψ|) / |Δψ| · h / (D A). Resistances
    in series add up, J Σ R = e^mu_inside − e^mu_outside: in a given potential the steady state of point ions is known.
    """
    energies = [psi for psi, _ in _both(left, right, reference, element, valence, excess)]
    heights, factors = [], []
    for k in range(len(valence)):
        ends = [psi[k] for psi in energies]
        y = jnp.abs(ends[1] - ends[0])
        small = y < 1e-8
        far = jnp.where(small, 1.0, y)
        heights.append(jnp.maximum(*ends))
        factors.append(jnp.where(small, 1 - y / 2, -jnp.expm1(-far)) / (far * element.conductance[k]))
    return heights, factors


def element_balance(
    left: State,
    right: State,
    reference,
    element: Element,
    valence,
    excess: Ends,
    known_flux=None,
    skew=None,
    across: State | None = None,
) -> tuple[State, State, State]:
    """What passes through an element, and what its two halves hold.

    Through: [electric flux −ε₀ε A ∇phi, flux of each ion], positive to the right, mM nm³ and mM nm³/ns. Held, left
    and right: [charge, mobile and fixed], mM nm³, then nothing, for no ion is made or stored in the steady state. At
    every node what flows out through the elements that meet there equals what their halves next to it hold.

    The two are kept apart because the flux leaves one node as it enters the other: elimination (`linear`) needs to
    know what is lost on the way, which a difference of sums could not tell from round-off.

    known_flux: that of each ion, if it is the same all along the pore. Only its change is then said to pass through.

    skew, across: of a face that is not at right angles to the element, whose flux has a part −K ∇phi or −K ∇mu from
    the other component of the gradient. The element's own difference has K with it that makes its flux exact, which for
    ions is `edge_weight` · expm1(Δμ) / Δμ; it is that for the other too. across: [phi, mu of each ion], the difference
    seen in a direction along the face; skew: what that counts against the element's own.
    """
    compositions = _both(left, right, reference, element, valence, excess)
    weights, steps = _weights_and_steps(left, right, reference, element, valence, compositions)
    electric, flux = -element.dielectric_conductance * (right[0] - left[0]), _flux(weights, steps, known_flux)
    if across is not None:
        electric = electric - element.dielectric_conductance * skew * across[0]
        met = zip(flux, weights, steps, across[1:], strict=True)
        flux = [own - w / bernoulli(step) * skew * other for own, w, step, other in met]
    near, far = (
        [element.volume[end] * sum(z * c for z, c in zip(valence, concentration, strict=True)) + element.charge[end]]
        for end, (_, concentration) in enumerate(compositions)
    )
    return [electric, *flux], near, far
