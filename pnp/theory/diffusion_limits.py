"""What diffusion brings to a channel's mouth and takes away from it: limits of supply, and microdomains."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.driving import nernst


def stokes_einstein_diffusivity(
    radius: ArrayLike, viscosity: ArrayLike, temperature: ArrayLike = units.ROOM_TEMPERATURE
) -> Float[Array, "..."]:
    """Diffusivity of a sphere in a viscous liquid, nm²/ns: D = kT / (6π η a).

    radius: hydrodynamic a, nm; viscosity: η, mPa s (water at 25 °C: 0.89); temperature: K. Holds for solutes larger
    than the molecules of the liquid; for small ions it fixes their Stokes radius, and D ∝ 1/η when a solute that
    does not enter the pore thickens the bath. So the entry limits below fall as 1/η and microdomains rise as η.
    Einstein (1905, Ann. Phys. 322:549).
    """
    friction = 6 * np.pi * jnp.asarray(viscosity, float) * radius  # 1e-12 N s/m
    return 1e21 * units.BOLTZMANN * jnp.asarray(temperature) / friction


def hemisphere_entry_current(
    concentration: ArrayLike, diffusivity: ArrayLike, radius: ArrayLike, valence: ArrayLike
) -> Float[Array, "..."]:
    """Largest current that diffusion can bring to a hemisphere of capture, pA: I = 2π z F D c a.

    concentration: of the bath, mM; diffusivity: nm²/ns; radius: a of capture, the mouth's less the ion's, nm;
    valence: z, whose sign the current has (positive where an inside bath supplies cations). Arguments broadcast.
    Every ion that comes within a is taken; no field outside the pore. Hille, Ion Channels of Excitable Membranes,
    3rd ed., 2001, chapter 11; Läuger (1976, Biochim. Biophys. Acta 455:493).
    """
    return units.CURRENT_PER_FLUX * 2 * np.pi * jnp.asarray(valence) * diffusivity * concentration * radius


def disc_entry_current(
    concentration: ArrayLike, diffusivity: ArrayLike, radius: ArrayLike, valence: ArrayLike
) -> Float[Array, "..."]:
    """Largest current that diffusion can bring to a disc in a wall, pA: I = 4 z F D c a.

    Arguments as for `hemisphere_entry_current`, which is π/2 times as large: a pore that ions must reach in its plane.
    Berg & Purcell (1977, Biophys. J. 20:193).
    """
    return hemisphere_entry_current(concentration, diffusivity, radius, valence) * 2 / np.pi


def buffer_length(diffusivity: ArrayLike, binding_rate: ArrayLike, buffer: ArrayLike) -> Float[Array, "..."]:
    """How far an ion diffuses before a buffer in excess binds it, nm: λ = √(D / (k_on B)).

    diffusivity: of the free ion, nm²/ns; binding_rate: k_on, 1/(mM ns) (1e8 /(M s) is 1e-4); buffer: free
    buffer, mM. Infinite without buffer. Neher (1998, Cell Calcium 24:345).
    """
    return jnp.sqrt(jnp.asarray(diffusivity, float) / (jnp.asarray(binding_rate, float) * buffer))


def microdomain_concentration(
    distance: ArrayLike,
    current: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    bulk: ArrayLike = 0.0,
    buffer_length: ArrayLike = jnp.inf,
) -> Float[Array, "..."]:
    """Steady concentration inside, near the mouth of an open channel, mM: c = c_bulk − I e^(−r/λ) / (2π z F D r).

    distance: r from the mouth, nm; current: I of this ion, pA, positive outward, so that inward Ca²⁺ (I < 0) raises c;
    diffusivity: in the cytosol, nm²/ns; valence: z; bulk: far away, mM; buffer_length: λ of `buffer_length`, nm,
    infinite without buffer. Arguments broadcast. A point source on a wall, hence 2π and not 4π; not nearer than the
    mouth's radius. Steady after r²/D: 0.5 µs at 10 nm. With buffer, this is the approximation of a buffer in
    excess, which the current does not use up. Stern (1992, Cell Calcium 13:183); Naraghi & Neher (1997, J.
    Neurosci. 17:6961).
    """
    r = jnp.asarray(distance, float)
    flux = jnp.asarray(current, float) / (units.CURRENT_PER_FLUX * jnp.asarray(valence))
    return jnp.asarray(bulk) - flux * jnp.exp(-r / jnp.asarray(buffer_length, float)) / (2 * np.pi * diffusivity * r)


def microdomain_potential(
    distance: ArrayLike,
    current: ArrayLike,
    diffusivity: ArrayLike,
    valence: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    buffer_length: ArrayLike = jnp.inf,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Equilibrium potential that an open channel meets in its own microdomain, mV.

    `nernst` with the inside concentration of `microdomain_concentration` at `distance`, `inside` being its bulk value;
    outside: mM, taken as even; other arguments as there; temperature: K. A calcium channel has its driving force cut
    in this way by its own current. NaN where an outward current would take more than diffusion brings.
    """
    local = microdomain_concentration(distance, current, diffusivity, valence, inside, buffer_length)
    return nernst(local, outside, valence, temperature)
