"""Activity coefficients of ions in water: natural γ, with activity = γ × concentration.

All of them take the ionic strength in mM and treat mM / 1000 as the molality that the laws are written in, right to
1% for dilute salt in water near room temperature. `slope` is the Debye–Hückel A, (mol/kg)^-½ in decadic logarithms,
0.509 in water at 25 °C; `debye_huckel_slope` gives it for other temperatures and solvents.
At I = 0, where √I has no slope, there is no finite derivative with respect to the ionic strength of an ion's γ.
Robinson & Stokes, Electrolyte Solutions, 2nd ed., 1959, chapter 9.
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.electrolyte import bjerrum_length, debye_length

WATER_SLOPE = 0.509
"""Debye–Hückel A of water at 25 °C, (mol/kg)^-½, for decadic logarithms."""

_STANDARD = 1e3  # mM in the 1 mol/kg that the laws refer to


def debye_huckel_slope(permittivity: ArrayLike, temperature: ArrayLike = units.ROOM_TEMPERATURE) -> Float[Array, "..."]:
    """Debye–Hückel A, M^-½: l_B / (2 λ ln 10), of the Bjerrum length l_B and the Debye length λ at I = 1 M.

    permittivity: relative, at `temperature` (K). Proportional to (ε T)^-3/2. Per √(mol/L); the value per √(mol/kg) is
    √(density in kg/L) times that, 0.15% less in water at 25 °C. Debye & Hückel (1923, Phys. Z. 24:185).
    """
    debye = _debye_length_at_standard(permittivity, temperature)
    return bjerrum_length(permittivity, temperature) / (2 * jnp.log(10.0) * debye)


def debye_huckel(ionic_strength: ArrayLike, valence: ArrayLike, slope: ArrayLike = WATER_SLOPE) -> Float[Array, "..."]:
    """Limiting law: log₁₀ γ = −A z² √I. Exact for I → 0; useful to about 10 mM of 1:1 salt.

    ionic_strength: I, mM; slope: A. Arguments broadcast.
    Debye & Hückel (1923, Phys. Z. 24:185).
    """
    root = _root_ionic_strength(ionic_strength, valence)
    return _coefficient(valence, slope, root)


def extended_debye_huckel(
    ionic_strength: ArrayLike,
    valence: ArrayLike,
    size: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    slope: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """With the distance of closest approach: log₁₀ γ = −A z² √I / (1 + a/λ), a/λ = B a √I. To about 100 mM.

    ionic_strength: I, mM; size: a, nm (0.3 to 0.9 for small ions: Kielland, 1937, J. Am. Chem. Soc. 59:1675);
    permittivity: relative, at `temperature` (K), which give λ and, unless `slope` does, A. Arguments broadcast.
    Debye & Hückel (1923, Phys. Z. 24:185). With a = 0 it is the limiting law.
    """
    slope = debye_huckel_slope(permittivity, temperature) if slope is None else slope
    root = _root_ionic_strength(ionic_strength, valence)
    return _coefficient(valence, slope, root / (1 + size / _debye_length_at_standard(permittivity, temperature) * root))


def davies(
    ionic_strength: ArrayLike,
    valence: ArrayLike,
    slope: ArrayLike = WATER_SLOPE,
    coefficient: ArrayLike = 0.3,
) -> Float[Array, "..."]:
    """Empirical: log₁₀ γ = −A z² (√I / (1 + √I) − 0.3 I). To about 0.5 M.

    ionic_strength: I, mM; slope: A; coefficient: of the linear term, 0.3 (Davies, Ion Association, 1962) or 0.2
    (Davies, 1938, J. Chem. Soc. 2093). Arguments broadcast.
    """
    root = _root_ionic_strength(ionic_strength, valence)
    return _coefficient(valence, slope, root / (1 + root) - jnp.asarray(coefficient) * root**2)


def guntelberg(ionic_strength: ArrayLike, valence: ArrayLike, slope: ArrayLike = WATER_SLOPE) -> Float[Array, "..."]:
    """One size for all ions: log₁₀ γ = −A z² √I / (1 + √I). To about 100 mM.

    ionic_strength: I, mM; slope: A. Arguments broadcast. Güntelberg (1926, Z. Phys. Chem. 123:199).
    """
    return davies(ionic_strength, valence, slope, coefficient=0.0)


def mean_activity_coefficient(
    activity_coefficient: Float[ArrayLike, "... ion"], stoichiometry: Float[ArrayLike, " ion"]
) -> Float[Array, "..."]:
    """γ± of a salt from those of its ions, the only one that can be measured: γ±^Σν = Π γ^ν.

    stoichiometry: ν, ions of each kind per formula unit, as (1, 2) for CaCl2. Robinson & Stokes, chapter 2.
    """
    nu = jnp.asarray(stoichiometry, float)
    return jnp.exp((nu * jnp.log(jnp.asarray(activity_coefficient, float))).sum(-1) / nu.sum(-1))


def _coefficient(valence, slope, shape):
    return 10.0 ** (-jnp.asarray(slope) * jnp.asarray(valence) ** 2 * shape)


def _root_ionic_strength(ionic_strength, valence):
    """√I in (mol/kg)^½. A neutral solute does not see it: its derivative is 0 at I = 0, not 0 · ∞."""
    charged = jnp.asarray(valence) != 0
    return jnp.sqrt(jnp.where(charged, jnp.asarray(ionic_strength, float) / _STANDARD, 1.0))


def _debye_length_at_standard(permittivity, temperature):
    return debye_length(jnp.array([_STANDARD, _STANDARD]), jnp.array([1, -1]), permittivity, temperature)
