"""Electrolytes at equilibrium."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from pnp import units


def debye_length(
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Screening length, nm: λ = √(ε₀ ε k T / (e F Σ z² c)).

    concentration: [..., ion] in mM; valence: [ion]; permittivity: relative; temperature: K. Infinite without ions.
    Debye & Hückel (1923, Phys. Z. 24:185).
    """
    screening = (jnp.asarray(concentration) * jnp.asarray(valence) ** 2).sum(-1)
    return jnp.sqrt(units.permittivity_scale(temperature) * permittivity / screening)
