"""Resistances of pores and of the way to them."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


def access_resistance(radius: ArrayLike, conductivity: ArrayLike) -> Float[Array, "..."]:
    """Resistance between a bath and the mouth of a pore, GΩ: R = 1 / (4 σ a).

    radius: a of the mouth, nm; conductivity: σ of the bath, S/m (= nS/nm). Exact for a conducting
    disc in a plane; per mouth. Hall (1975, J. Gen. Physiol. 66:531).
    """
    return 1 / (4 * jnp.asarray(conductivity, float) * radius)
