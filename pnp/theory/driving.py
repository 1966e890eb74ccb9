"""Driving forces across a membrane."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from pnp import units


def nernst(
    inside: ArrayLike,
    outside: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Equilibrium potential of an ion, mV: E = (kT / z e) ln(c_out / c_in).

    inside, outside: concentrations (or activities) in mM; temperature: K. Arguments broadcast.
    Nernst (1888, Z. Phys. Chem. 2:613). Infinite where the ion is absent on one side.
    """
    ratio = jnp.log(jnp.asarray(outside, float)) - jnp.log(jnp.asarray(inside, float))
    return units.thermal_voltage(temperature) / jnp.asarray(valence) * ratio
