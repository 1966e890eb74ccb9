"""Goldman–Hodgkin–Katz: independent ions in a constant field.

Goldman (1943, J. Gen. Physiol. 27:37); Hodgkin & Katz (1949, J. Physiol. 108:37).
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from pnp import units

_SERIES_BELOW = 1e-2  # |x| where the series reaches the last bit of float64


def bernoulli(x):
    """B(x) = x / (exp(x) − 1), accurate to round-off for every x, and so are its derivatives.

    B(0) = 1, B(x) → −x for x → −∞ and → 0 for x → +∞. Below |x| = 0.01 it is the series
    1 − x/2 + x²/12 − x⁴/720 + x⁶/30240 (Abramowitz & Stegun 23.1.1).
    """
    x = jnp.asarray(x, dtype=float)
    small = jnp.abs(x) < _SERIES_BELOW
    safe = jnp.where(small, 1.0, x)  # keeps 0/0 out of the branch that is not taken, for gradients
    near = jnp.where(small, x, 0.0)
    x2 = near * near
    series = 1.0 - near / 2 + x2 / 12 * (1 - x2 / 60 * (1 - x2 / 42))
    return jnp.where(small, series, safe / jnp.expm1(safe))


def ghk_current(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Current of one ion, positive outward: I = z F P u (c_in − c_out e⁻ᵘ) / (1 − e⁻ᵘ), u = zeV/kT.

    voltage: mV, inside minus outside. inside, outside: mM. permeability: nm³/ns (permeability
    D/L in nm/ns times area in nm²), which gives pA. Smooth through V = 0. Arguments broadcast.
    """
    u = jnp.asarray(valence) * jnp.asarray(voltage) / units.thermal_voltage(temperature)
    flux = jnp.asarray(permeability) * (inside * bernoulli(-u) - outside * bernoulli(u))
    return units.CURRENT_PER_FLUX * valence * flux


def ghk_voltage(
    permeability: Float[Array, "... ion"],
    inside: Float[Array, "... ion"],
    outside: Float[Array, "... ion"],
    valence: Float[Array, " ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Voltage (mV) of zero total current for monovalent ions.

    V = (kT/e) ln[(Σ₊ P c_out + Σ₋ P c_in) / (Σ₊ P c_in + Σ₋ P c_out)]; only ratios of `permeability`
    matter; concentrations in mM. Raises ValueError for ions that are not monovalent.
    """
    z = jnp.asarray(valence)
    if not bool(jnp.all(jnp.abs(z) == 1)):
        raise ValueError(f"the GHK voltage equation holds for valences +1 and −1, not {z}")
    permeability, inside, outside = map(jnp.asarray, (permeability, inside, outside))
    forward = (permeability * jnp.where(z > 0, outside, inside)).sum(-1)
    backward = (permeability * jnp.where(z > 0, inside, outside)).sum(-1)
    return units.thermal_voltage(temperature) * jnp.log(forward / backward)
