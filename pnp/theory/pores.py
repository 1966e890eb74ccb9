"""Pores as resistors: access, charged walls, diffusion layers, barriers and junctions."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.checks import refuse_unless
from pnp.theory.donnan import donnan_concentration
from pnp.theory.electrolyte import conductivity as electrolyte_conductivity
from pnp.theory.ghk import bernoulli


def access_resistance(radius: ArrayLike, conductivity: ArrayLike) -> Float[Array, "..."]:
    """Resistance between a bath and the mouth of a pore, GΩ: R = 1 / (4 σ a).

    radius: a of the mouth, nm; conductivity: σ of the bath, S/m (= nS/nm). Exact for a conducting
    disc in a plane; per mouth. Hall (1975, J. Gen. Physiol. 66:531).
    """
    return 1 / (4 * jnp.asarray(conductivity, float) * radius)


def pore_conductance(
    radius: ArrayLike,
    length: ArrayLike,
    conductivity: ArrayLike,
    bath_conductivity: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Conductance of a cylindrical pore with Hall's access resistance at both mouths, nS: G = π a² σ / (L + π a / 2).

    radius, length: nm; conductivity: in the pore, S/m; bath_conductivity: in the baths, S/m, by default as in the pore.
    Hille (1968, J. Gen. Physiol. 51:199) and Hall (1975, J. Gen. Physiol. 66:531).

    Hall takes each mouth for an equipotential disc. In a pore with a length it is not one, and the flux through it is
    not even either: the true end resistance of a long pore lies between 0.25/(σ a) (equipotential mouth: more
    conducting than it is) and 8/(3π²)/(σ a) = 0.270/(σ a) (even flux), Rayleigh's bounds (The Theory of Sound, vol. 2),
    and is 0.2615/(σ a), 0.8217 a of pore: King (1936, Phil. Mag. 21:128). So this formula is
    exact for L = 0 and otherwise a little above an exact solution in three dimensions, by 3 % at L = a.
    """
    bath = conductivity if bath_conductivity is None else bath_conductivity
    pore = jnp.asarray(length, float) / (np.pi * jnp.asarray(radius, float) ** 2 * conductivity)
    return 1 / (pore + 2 * access_resistance(radius, bath))


def wall_charge_density(surface_charge: ArrayLike, radius: ArrayLike) -> Float[Array, "..."]:
    """Charge of a cylinder's wall spread over its volume, M: X = 2 σ / (F a).

    surface_charge: σ, C/m²; radius: a, nm.
    """
    per_area = jnp.asarray(surface_charge, float) * units.CHARGE_DENSITY_PER_SURFACE_CHARGE
    return 2e-3 * per_area * units.MILLIMOLAR_PER_CHARGE_DENSITY / jnp.asarray(radius)


def charged_pore_conductance(
    radius: ArrayLike,
    length: ArrayLike,
    surface_charge: ArrayLike,
    concentration: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Conductance of a cylindrical pore with charged walls between equal baths, nS.

    radius, length: nm; surface_charge: C/m²; concentration: of the baths, [..., ion] in mM; diffusivity: [..., ion] in
    nm²/ns; valence: [ion], any; temperature: K. The ions of the pore are those of Donnan equilibrium with the wall's
    charge spread over the volume, X = 2σ/(Fa); for a 1:1 salt of equal D, σ_pore = (F²D/RT) √(X² + 4c²): flat, at
    the counter-ions of the wall alone, where c ≪ |X|. Access as in `pore_conductance`. Exact for thin pores (a ≪ λ)
    and for high salt; electro-osmosis and slower ions at the wall are left out. Charge-governed conductance:
    Stein, Kruithof & Dekker (2004, Phys. Rev. Lett. 93:035901). ValueError for a bath that is not neutral.
    """
    density = wall_charge_density(surface_charge, radius)
    within = donnan_concentration(density, concentration, valence, temperature)
    conducting = [electrolyte_conductivity(c, diffusivity, valence, temperature) for c in (within, concentration)]
    return pore_conductance(radius, length, *conducting)


def limiting_current(
    concentration: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    co_valence: ArrayLike,
    area: ArrayLike,
    thickness: ArrayLike,
) -> Float[Array, "..."]:
    """Largest current of an ideally selective membrane behind a diffusion layer, pA: I = |z| F D c (1 − z/z_co) A / δ.

    concentration, diffusivity, valence: c in the bath (mM), D (nm²/ns) and z of the ion that passes; co_valence: of
    the ion that does not; area: A, nm²; thickness: δ of the layer, nm. Arguments broadcast. 2 F D c A / δ for a 1:1
    salt: half diffusion, half drift in the field that holds the co-ions still. The salt at the membrane is then
    used up; space charge, convection and water splitting carry more. Levich, Physicochemical Hydrodynamics, 1962.
    ValueError where the valences do not have opposite signs.
    """
    refuse_unless(lambda z, w: z * w < 0, "the valences of a salt have opposite signs", valence, co_valence)
    z = jnp.asarray(valence, float)
    flux = jnp.asarray(diffusivity, float) * concentration * area / jnp.asarray(thickness)
    return units.CURRENT_PER_FLUX * jnp.abs(z) * (1 - z / co_valence) * flux


def barrier_flux(
    x: Float[Array, " node"],
    energy: Float[Array, "... node"],
    inside: ArrayLike,
    outside: ArrayLike,
    diffusivity: ArrayLike,
    area: ArrayLike = 1.0,
    valence: ArrayLike = 0,
    potential: ArrayLike = 0.0,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Steady flux of one solute over a given potential of mean force, mM nm³/ns, positive outward.

    J = (c_in e^ψ(in) − c_out e^ψ(out)) / ∫ e^ψ / (D A) dx, ψ = energy + zeφ/kT; times CURRENT_PER_FLUX z, pA.
    x: [node] in nm, increasing, a repeated x is a jump; energy: [..., node] in kT, 0 in the baths (a step at an end
    counts); inside, outside: mM; diffusivity: nm²/ns and area: nm², scalar or [node]; potential: φ, mV, scalar or
    [..., node], its end values those of the baths (V (1 − x/L) for a constant field); temperature: K.
    The integral is exact where ψ and ln(D A) are linear between nodes, and of second order otherwise.
    Over a high barrier it becomes a rate, J ∝ e^−barrier. Kramers (1940, Physica 7:284). Holds for ions
    that do not interact. ValueError unless x increases and the profiles fit it.
    """
    refuse_unless(lambda x: np.diff(x) >= 0, "x must not decrease", x)
    x, energy, potential = (jnp.asarray(a, float) for a in (x, energy, potential))
    if x.ndim != 1 or energy.shape[-1:] != x.shape:
        raise ValueError(f"x has the shape [node] and energy [..., node], not {x.shape} and {energy.shape}")
    reduced = jnp.broadcast_to(potential, jnp.broadcast_shapes(potential.shape, x.shape))
    electric = jnp.asarray(valence / units.thermal_voltage(temperature))[..., None] * reduced
    exponent = energy + electric - jnp.log(jnp.asarray(diffusivity, float) * area)
    top = jax.lax.stop_gradient(exponent.max(-1))  # a scale only: the result does not depend on it
    start, end = exponent[..., :-1], exponent[..., 1:]
    # ∫ exp of a straight line: h e^start (e^Δ − 1)/Δ, taken from the higher end so that nothing overflows.
    rising = end > start
    higher = jnp.where(rising, end, start) - top[..., None]
    integral = (jnp.diff(x) * jnp.exp(higher) / bernoulli(jnp.where(rising, start - end, end - start))).sum(-1)
    return (inside * jnp.exp(electric[..., 0] - top) - outside * jnp.exp(electric[..., -1] - top)) / integral


def bipolar_junction_current(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    fixed_charge: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike = 1,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Current through two thick regions of opposite fixed charge in series, pA: the ideal diode.

    voltage: mV; inside, outside: of the z:z salt, mM; fixed_charge: [..., 2] in M, of the region next to the inside
    and of the one next to the outside; permeability: D A / L of the *co-ion* of each region, [..., 2] in nm³/ns;
    valence: z > 0; temperature: K. Between equal baths I = ± I_s (e^(±zeV/kT) − 1), I_s = z F c² Σ P/|X|,
    with + where the negative region is inside: counter-ions cross the junction, diffuse on as co-ions and so leave.
    With unequal baths each region's co-ions are c_in c_out e^(±zeV/kT)/|X| at the junction and c²/|X| at its bath.

    Shockley's law (1949, Bell Syst. Tech. J. 28:435) with fixed charges as dopants: Mauro (1962, Biophys. J. 2:179);
    Coster (1965, Biophys. J. 5:669). Holds to (c/X)², in reverse and at low forward bias, where the co-ions are
    still few (c_in c_out e^(±zeV/kT) ≪ X²) and before the depleted junction spans a region or splits water.
    ValueError unless the two charges have opposite signs.
    """
    refuse_unless(lambda X: X[..., 0] * X[..., 1] < 0, "the two fixed charges have opposite signs", fixed_charge)
    charge, permeability = 1e3 * jnp.asarray(fixed_charge, float), jnp.asarray(permeability, float)
    inside, outside, valence = (jnp.asarray(a, float) for a in (inside, outside, valence))
    direction = jnp.where(charge[..., 0] < 0, 1.0, -1.0)
    bias = direction * valence * jnp.asarray(voltage, float) / units.thermal_voltage(temperature)
    baths = jnp.stack(jnp.broadcast_arrays(inside, outside), axis=-1)
    # c_in c_out e^bias − c², written so that small currents survive.
    injected = (inside * outside * jnp.expm1(bias))[..., None] + baths * (baths[..., ::-1] - baths)
    flux = (permeability / jnp.abs(charge) * injected).sum(-1)
    return units.CURRENT_PER_FLUX * valence * direction * flux
