"""Electrolytes at equilibrium, and how they conduct."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.checks import per_ion


def ionic_strength(
    concentration: Float[ArrayLike, "... ion"], valence: Float[ArrayLike, " ion"]
) -> Float[Array, "..."]:
    """Ionic strength, mM: I = ½ Σ z² c.

    concentration: [..., ion] in mM; valence: [ion]. Lewis & Randall (1921, J. Am. Chem. Soc. 43:1112).
    ValueError where the axes of the ions differ.
    """
    valence, concentration = per_ion(valence, concentration=concentration)
    return 0.5 * (concentration * valence**2).sum(-1)


def debye_length(
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Screening length, nm: λ = √(ε₀ ε k T / (e F Σ z² c)).

    concentration: [..., ion] in mM; valence: [ion]; permittivity: relative; temperature: K. Infinite without ions.
    Debye & Hückel (1923, Phys. Z. 24:185). ValueError where the axes of the ions differ.
    """
    screening = 2 * ionic_strength(concentration, valence)
    return jnp.sqrt(units.permittivity_scale(temperature) * permittivity / screening)


def bjerrum_length(permittivity: ArrayLike, temperature: ArrayLike = units.ROOM_TEMPERATURE) -> Float[Array, "..."]:
    """Distance at which two elementary charges repel by kT, nm: ℓ = e² / (4π ε₀ ε k T).

    permittivity: relative; temperature: K. Bjerrum (1926, Kgl. Danske Vidensk. Selsk. Mat.-fys. Medd. 7, no. 9).
    """
    per_charge = units.permittivity_scale(temperature) / units.MILLIMOLAR_PER_CHARGE_DENSITY
    return 1 / (4 * np.pi * per_charge * jnp.asarray(permittivity, float))


def born_energy(
    radius: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    reference: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Energy to take an ion from the medium `reference` into another, kT: W = z² e² (1/ε − 1/ε_ref) / (8π ε₀ k T a).

    radius: a of the ion, nm; permittivity, reference: relative; temperature: K. Arguments broadcast. With `reference`
    1 it is minus the work of dehydration, with `reference` infinite the self-energy. Times RT it is in J/mol.
    Born (1920, Z. Phys. 1:45). Holds for a sphere far (many radii) from any boundary; near a membrane or in a pore
    image forces are missing, and crystal radii overrate the hydration of cations.
    """
    transfer = 1 / jnp.asarray(permittivity, float) - 1 / jnp.asarray(reference, float)
    return jnp.asarray(valence) ** 2 * bjerrum_length(1.0, temperature) / (2 * jnp.asarray(radius)) * transfer


def boltzmann_concentration(
    potential: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "... ion"]:
    """Concentrations in equilibrium with a bath, mM, at a potential above it: c exp(−z e φ / kT).

    potential: φ, [...] in mV; concentration: of the bath, [..., ion] in mM; valence: [ion]; temperature: K.
    """
    valence, concentration = per_ion(valence, concentration=concentration)
    reduced = jnp.asarray(potential, float) / units.thermal_voltage(temperature)
    return concentration * jnp.exp(-valence * reduced[..., None])


def conductivity(
    concentration: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Conductivity of ions that move independently, S/m (= nS/nm): σ = (F²/RT) Σ z² D c.

    concentration, diffusivity: [..., ion] in mM and nm²/ns; valence: [ion]; temperature: K. Nernst (1888, Z. Phys.
    Chem. 2:613) and Einstein. With diffusivities at infinite dilution it is an upper limit: ion pairing of motions
    lowers that of 0.1 M KCl by about 14 %, of 1 M by about 26 %.
    """
    valence, concentration, diffusivity = per_ion(valence, concentration=concentration, diffusivity=diffusivity)
    mobile = (valence**2 * diffusivity * concentration).sum(-1)
    return units.CURRENT_PER_FLUX * mobile / units.thermal_voltage(temperature)
