"""Thick layers that stay electroneutral: liquid junctions and charged membranes, with their potentials and I–V.

Layers many Debye lengths thick, so that Poisson's equation becomes Σ z c + X = 0. Voltages and currents as everywhere:
inside less outside, positive outward. A permeability is D A / L in nm³/ns, as for `ghk_current`; where no current
flows only ratios of diffusivities matter.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.checks import neutral, per_ion, refuse_unless, refuse_unless_binary
from pnp.theory.donnan import donnan_concentration, donnan_potential
from pnp.theory.double_layer import HIGHEST_POTENTIAL
from pnp.theory.electrolyte import ionic_strength
from pnp.theory.ghk import bernoulli, ghk_current
from pnp.theory.removable_singularities import langevin_weight
from pnp.theory.roots import monotone_root


def henderson_potential(
    inside: ArrayLike,
    outside: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Liquid-junction potential of a zone in which the two solutions are mixed linearly, mV.

    V = (kT/e) · Σ z D (c_out − c_in) / Σ z² D (c_out − c_in) · ln(Σ z² D c_out / Σ z² D c_in), inside less outside;
    inside, outside, diffusivity: [..., ion] in mM and nm²/ns (or mobilities u = D/kT: only ratios matter);
    valence: [ion], any; temperature: K. Exact for one salt and for monovalent ions of equal total concentration;
    otherwise an approximation that stays near Planck's. Henderson (1907, Z. Phys. Chem. 59:118; 1908, 63:325).
    ValueError for a solution that is not neutral.
    """
    valence, inside, outside = neutral(valence, inside=inside, outside=outside)
    valence, diffusivity = per_ion(valence, diffusivity=diffusivity)
    conducting = [(valence**2 * diffusivity * c).sum(-1) for c in (inside, outside)]
    drift = (valence * diffusivity * (outside - inside)).sum(-1)
    # ln(b/a)/(b − a), finite at a = b.
    inverse_mean = bernoulli(jnp.log(conducting[1] / conducting[0])) / conducting[0]
    return units.thermal_voltage(temperature) * drift * inverse_mean


def planck_current(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "... ion"]:
    """Current of each monovalent ion through an uncharged, electroneutral layer, pA; their sum is the current.

    voltage: [...] in mV; inside, outside: [..., ion] in mM; permeability: D A / L, [..., ion] in nm³/ns;
    valence: [ion], +1 and −1; temperature: K. The total concentration is linear in x and φ in its logarithm, so
    each ion obeys the GHK law with ℓ = ln(Σ c_out / Σ c_in) taken off zeV/kT, c_out reduced by e⁻ˡ and P divided
    by B(ℓ); ℓ = 0 is GHK itself. Planck (1890, Ann. Phys. Chem. 40:561). ValueError for other valences, or for
    solutions that are not neutral.
    """
    valence, inside, outside = neutral(valence, inside=inside, outside=outside)
    valence, permeability = per_ion(valence, permeability=permeability)
    refuse_unless(lambda z: abs(z) == 1, "Planck's law holds for ions of valence +1 and −1", valence)
    dilution = jnp.log(outside.sum(-1, keepdims=True) / inside.sum(-1, keepdims=True))
    temperature = jnp.asarray(temperature, float)[..., None]
    shifted = jnp.asarray(voltage, float)[..., None] - valence * dilution * units.thermal_voltage(temperature)
    scaled = permeability / bernoulli(dilution)
    return ghk_current(shifted, inside, outside * jnp.exp(-dilution), scaled, valence, temperature)


def planck_potential(
    inside: ArrayLike,
    outside: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Liquid-junction potential of a zone of constrained diffusion, mV: the root of Planck's equation of 1890.

    The voltage, inside less outside, at which `planck_current` adds up to zero; arguments as there, with the
    diffusivity, or anything in proportion, in place of the permeability. Monovalent ions in any mixture.
    """
    valence, inside, outside = neutral(valence, inside=inside, outside=outside)
    valence, diffusivity = per_ion(valence, diffusivity=diffusivity)
    refuse_unless(lambda z: abs(z) == 1, "Planck's law holds for ions of valence +1 and −1", valence)
    reference = units.ROOM_TEMPERATURE  # the potential in kT/e does not depend on the temperature
    reduced = _planck_root(inside, outside, diffusivity, valence) / units.thermal_voltage(reference)
    return units.thermal_voltage(temperature) * reduced


@jax.jit
def _planck_root(inside, outside, diffusivity, valence):
    total = lambda voltage: planck_current(voltage, inside, outside, diffusivity, valence).sum(-1)
    shape = jnp.broadcast_shapes(inside.shape, outside.shape, diffusivity.shape)[:-1]
    bound = jnp.full(shape, HIGHEST_POTENTIAL * units.thermal_voltage(units.ROOM_TEMPERATURE))
    return monotone_root(total, -bound, bound)


def tms_potential(
    inside: ArrayLike,
    outside: ArrayLike,
    fixed_charge: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Zero-current potential of a charged membrane between two solutions of one salt, mV (Teorell, Meyer & Sievers).

    Two Donnan potentials and the diffusion potential between them,
    V = ψ_out − ψ_in + (kT/e) (D₁ − D₂) / (z₁D₁ − z₂D₂) · ln(Σ z² D c̄_out / Σ z² D c̄_in), c̄ inside the membrane;
    inside, outside: [..., ion] in mM; fixed_charge: X, [...] in M; diffusivity: in the membrane, [..., ion] in nm²/ns;
    valence: [ion], a cation and an anion; temperature: K. The Nernst potential of the counter-ion for |X| far above the
    baths, Henderson's for X = 0. Holds for thick, evenly charged membranes without convection. Teorell (1935,
    Proc. Soc. Exp. Biol. Med. 33:282); Meyer & Sievers (1936, Helv. Chim. Acta 19:649). ValueError for other than
    two ions, or for a solution that is not neutral.
    """
    refuse_unless_binary(valence)
    valence, diffusivity = per_ion(valence, diffusivity=diffusivity)
    solutions = [neutral(valence, inside=inside)[1], neutral(valence, outside=outside)[1]]
    psi = [donnan_potential(fixed_charge, c, valence, temperature) for c in solutions]
    within = [donnan_concentration(fixed_charge, c, valence, temperature) for c in solutions]
    conducting = [(valence**2 * diffusivity * c).sum(-1) for c in within]
    contrast = (diffusivity[..., 0] - diffusivity[..., 1]) / (valence * diffusivity * jnp.array([1, -1])).sum(-1)
    interior = units.thermal_voltage(temperature) * contrast * jnp.log(conducting[1] / conducting[0])
    return psi[1] - psi[0] + interior


def tms_current(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    fixed_charge: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "... ion"]:
    """Current of each ion of one salt through a charged membrane, pA; their sum is the current.

    voltage: [...] in mV; permeability: D A / L in the membrane, without partition, [..., ion] in nm³/ns; other
    arguments and the regime as for `tms_potential`, which is where the sum vanishes.

    Within the membrane let Q = Σ z² c, p = |z₁z₂| and Δy the change of eφ/kT from inside to outside. Neutrality makes
    Q Q' = −p (A Q + X K) with two constants of the flux, A = Σ J/D and K = Σ z J/D, and its integrals leave one
    equation for θ = ln((A Q_L + X K) / (A Q_0 + X K)): Q_L B(θ) − Q_0 B(−θ) = p X Δy, monotone; then K L = −Q̄ Δy and
    A L = −θ Q̄ / p with a mean Q̄ = w(θ) Q_L + (1 − w(θ)) Q_0, w = 1/θ − 1/(e^θ − 1).
    """
    refuse_unless_binary(valence)
    valence, permeability = per_ion(valence, permeability=permeability)
    solutions = [neutral(valence, inside=inside)[1], neutral(valence, outside=outside)[1]]
    thermal = units.thermal_voltage(temperature)
    psi = [donnan_potential(fixed_charge, c, valence, temperature) for c in solutions]
    within = [donnan_concentration(fixed_charge, c, valence, temperature) for c in solutions]
    fall = (psi[1] - psi[0] - jnp.asarray(voltage, float)) / thermal
    q = [2 * ionic_strength(c, valence) for c in within]
    product = -valence[0] * valence[1]
    theta = _tms_root(1e3 * jnp.asarray(fixed_charge, float) * product * fall, *q)
    weight = langevin_weight(theta)
    mean = weight * q[1] + (1 - weight) * q[0]
    drive, spread = -mean * fall, -mean * theta / product  # K L and A L
    # J L / D of the two ions, from their sum A L and their sum weighted by z, K L.
    span = valence[0] - valence[1]
    flux = jnp.stack([drive - valence[1] * spread, valence[0] * spread - drive], axis=-1) / span
    return units.CURRENT_PER_FLUX * valence * permeability * flux


@jax.jit
def _tms_root(target, near, far):
    # Q_L B(θ) − Q_0 B(−θ), as B(−θ) = B(θ) + θ: equal ends then give θ to full relative accuracy.
    mismatch = lambda theta: (far - near) * bernoulli(theta) - near * theta - target
    # Beyond ±bound B is so close to −θ or 0 that the sum has passed any target.
    bound = jnp.abs(target) / jnp.minimum(near, far) + jnp.abs(jnp.log(far / near)) + 1
    return monotone_root(mismatch, -bound, bound)
