"""Liquid water at 0.1 MPa: how far it screens charges, and how it flows."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units

WATER_TEMPERATURES = (253.15, 383.15)
"""K: the range of both formulas."""

_PERMITTIVITY = np.array([[-43.7527, -0.05], [299.504, -1.47], [-399.364, -2.11], [221.327, -2.31]])
_VISCOSITY = np.array([[280.68, -1.9], [511.45, -7.7], [61.131, -19.6], [0.45903, -40.0]])  # µPa s


def water_permittivity(temperature: ArrayLike = units.ROOM_TEMPERATURE) -> Float[Array, "..."]:
    """Relative permittivity of water without field, 78.375 at 25 °C: Σ aᵢ (T / 300 K)^bᵢ.

    temperature: K, 253 to 383 (`WATER_TEMPERATURES`); to 0.01 between 0 and 100 °C. Pátek, Hrubý, Klomfar, Součková &
    Harvey (2009, J. Phys. Chem. Ref. Data 38:21), after Fernández et al. (1997, ibid. 26:1125).
    """
    return _series(_PERMITTIVITY, temperature)


def water_viscosity(temperature: ArrayLike = units.ROOM_TEMPERATURE) -> Float[Array, "..."]:
    """Dynamic viscosity of water, mPa s, 0.890 at 25 °C: Σ aᵢ (T / 300 K)^bᵢ.

    temperature: K, 253 to 383 (`WATER_TEMPERATURES`); to 1 % between 0 and 100 °C. Source as for `water_permittivity`,
    after the formulation of IAPWS (2008).
    """
    return 1e-3 * _series(_VISCOSITY, temperature)


def walden_factor(temperature: ArrayLike, reference: ArrayLike = units.ROOM_TEMPERATURE) -> Float[Array, "..."]:
    """Diffusivity in water over that at another temperature: T η(T₀) / (T₀ η(T)).

    temperature, reference: T and T₀, K. The product of mobility and viscosity is taken to stay the same (Walden, 1906,
    Z. Phys. Chem. 55:207), which holds to some per cent for ions in water: of K⁺ and Cl⁻ from 25 to 37 °C the rule
    gives 1.34.
    """
    viscosity = water_viscosity(reference) / water_viscosity(temperature)
    return jnp.asarray(temperature, float) / jnp.asarray(reference, float) * viscosity


def _series(terms, temperature):
    reduced = jnp.asarray(temperature, float)[..., None] / 300
    return (terms[:, 0] * reduced ** terms[:, 1]).sum(-1)
