"""Double layers at a flat wall: potential, charge and capacitance.

The wall's potential is taken against the bath far away, φ → 0. Everything rests on the first integral of the
Poisson–Boltzmann equation, (ε₀ ε / 2) φ'² = excess osmotic pressure, which holds for any ions.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.checks import neutral, refuse_unless_binary
from pnp.theory.electrolyte import boltzmann_concentration, debye_length
from pnp.theory.removable_singularities import exponential_remainder, relative_log1p
from pnp.theory.roots import monotone_root
from pnp.tracing import is_traced

HIGHEST_POTENTIAL = 100.0
"""kT/e (2.6 V at 25 °C) within which potentials are looked for; exp(±zφ) of a trivalent ion still fits a float."""

DISPLACEMENT_PER_SURFACE_CHARGE = units.CHARGE_DENSITY_PER_SURFACE_CHARGE * units.MILLIMOLAR_PER_CHARGE_DENSITY
"""mM nm in 1 C/m²: ε₀ ε times a field, in the solver's units."""


def gouy_chapman_potential(
    distance: ArrayLike,
    surface_potential: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Potential at a distance from a wall, mV, in a z:z, 2:1 or 1:2 salt.

    distance: nm; surface_potential: φ₀, mV; concentration: of the bath, [..., ion] in mM; valence: [ion], two of
    opposite signs; permittivity: relative; temperature: K. With y = zφ e/kT and λ the Debye length,
    z:z  tanh(y/4) = tanh(y₀/4) exp(−x/λ);   2:1  (w − √3)/(w + √3) = (w₀ − √3)/(w₀ + √3) exp(−x/λ), w = √(2eʸ + 1),
    and 1:2 with the sign of y reversed. Point ions, one flat wall. Gouy (1910, J. Phys. Théor. Appl. 9:457; both
    cases); Chapman (1913, Phil. Mag. 25:475). ValueError for other salts and for a bath that is not neutral; the
    valences choose the formula, so they must be known when the program is compiled.
    """
    refuse_unless_binary(valence)
    neutral(valence, concentration=concentration)
    if is_traced(valence):
        raise ValueError("the valences choose the formula: give them as numbers, not as traced arrays")
    cation, anion = max(np.asarray(valence).tolist()), -min(np.asarray(valence).tolist())
    ratio, unit = cation / anion, min(cation, anion)
    if ratio not in (0.5, 1.0, 2.0):
        raise ValueError(f"closed forms exist for z:z, 2:1 and 1:2 salts only, not for valences {valence}")
    depth = jnp.asarray(distance, float) / debye_length(concentration, valence, permittivity, temperature)
    scale = units.thermal_voltage(temperature) / unit
    wall = jnp.asarray(surface_potential, float) / scale
    if ratio == 1.0:
        side = jnp.where(wall < 0, -1.0, 1.0)
        return scale * side * _symmetric(side * wall, depth)
    sign = 1.0 if ratio == 2.0 else -1.0
    return scale * sign * _two_to_one(sign * wall, depth)


def _symmetric(wall, depth):
    """y of a z:z salt for y₀ ≥ 0: y = 4 artanh(tanh(y₀/4) e⁻ˣ) without its loss of digits at large y₀."""
    q, decay = jnp.exp(-wall / 2), jnp.exp(-depth)
    t = -jnp.expm1(-depth) / (1 + decay)
    return 2 * jnp.log1p(-jnp.expm1(-wall / 2) * 2 * decay / (1 + decay) / (q + t))


def _two_to_one(wall, depth):
    """y of a 2:1 salt: eʸ − 1 = 6g/(1 − g)² with g = (w₀ − √3)/(w₀ + √3) e⁻ˣ, free of cancellation."""
    root3, decay, rise = np.sqrt(3.0), jnp.exp(-depth), -jnp.expm1(-depth)
    w = jnp.sqrt(2 * jnp.exp(wall) + 1)
    below = root3 * (1 + decay) + w * rise
    excess = 12 * jnp.expm1(wall) * decay / below**2
    # eʸ = (w(x) − 1)(w(x) + 1)/2 keeps its digits where eʸ is small; the form above where y is.
    deep = excess < -0.5
    w_less_one = 2 * jnp.exp(wall) / (w + 1)
    lower = root3 * w_less_one * (1 + decay) + rise * (3 - w)
    upper = root3 * (w + 1) * (1 + decay) + rise * (3 + w)
    exponential = jnp.where(deep, lower * upper / (2 * below**2), 1.0)
    return jnp.where(deep, jnp.log(exponential), jnp.log1p(jnp.where(deep, 0.0, excess)))


def reduced_displacement(reduced, concentration, valence, permittivity, size=0.0):
    """ε₀ ε times the field of a wall `reduced` kT/e above a bath, mM nm; its sign is that of the potential.

    √(2 ε Π) with Π = Σ c (e⁻ᶻʸ − 1 + zy), or (1/a³) ln(1 + a³ Π) for ions of a size a: written so that the double
    zero of Π under the root is taken out, and smooth through y = 0. `permittivity` is in units of mM nm² and
    a³ in 1/mM. Where the ions carry a net charge, an even background neutralises it and does work, −zy.
    """
    curvature = (concentration * valence**2 * exponential_remainder(-valence * reduced[..., None])).sum(-1)
    crowding = relative_log1p(size * reduced**2 * curvature)
    return reduced * jnp.sqrt(2 * permittivity * curvature * crowding)


def grahame_charge(
    potential: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Charge of a wall at a given potential, C/m²: σ = ±√(2 ε₀ ε R T Σ c (e^(−zeφ/kT) − 1)), with the sign of φ.

    potential: φ₀, [...] in mV; concentration: of the bath, [..., ion] in mM; valence: [ion], any; permittivity:
    relative; temperature: K. Point ions. Grahame (1947, Chem. Rev. 41:441). ValueError for a bath that is not neutral.
    """
    return bikerman_charge(potential, concentration, valence, permittivity, 0.0, temperature)


def grahame_potential(
    charge: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Potential of a wall of a given charge, mV: the inverse of `grahame_charge`, for any ions.

    charge: C/m²; other arguments as there. For a z:z salt (2kT/ze) asinh(σ / √(8 ε₀ ε R T c)). NaN beyond
    `HIGHEST_POTENTIAL`. ValueError for a bath that is not neutral.
    """
    valence, concentration = neutral(valence, concentration=concentration)
    scaled = permittivity * units.permittivity_scale(temperature)
    reduced = _potential_of(
        jnp.asarray(charge, float) * DISPLACEMENT_PER_SURFACE_CHARGE, concentration, valence, scaled
    )
    return units.thermal_voltage(temperature) * reduced


@jax.jit
def _potential_of(charge, concentration, valence, permittivity):
    missing = lambda phi: reduced_displacement(phi, concentration, valence, permittivity) - charge
    bound = jnp.full(jnp.broadcast_shapes(charge.shape, concentration.shape[:-1], jnp.shape(permittivity)), 1.0)
    return monotone_root(missing, -HIGHEST_POTENTIAL * bound, HIGHEST_POTENTIAL * bound)


def bikerman_charge(
    potential: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    size: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Charge of a wall in ions of finite size, C/m²: σ = ±√(2 ε₀ ε k T / a³ · ln(1 + a³ Σ c (e^(−zeφ/kT) − 1))).

    potential: [...] in mV; concentration: of the bath, [..., ion] in mM; valence: [ion], any; permittivity: relative;
    size: a, nm, one for all ions, each of which fills a cube of a lattice; temperature: K. Without size it is
    Grahame's law; far above kT/e it grows as √φ only. Bikerman (1942, Phil. Mag. 33:384); Kilic, Bazant & Ajdari
    (2007, Phys. Rev. E 75:021502). ValueError for a bath that is not neutral.
    """
    valence, concentration = neutral(valence, concentration=concentration)
    reduced = jnp.asarray(potential, float) / units.thermal_voltage(temperature)
    scaled = permittivity * units.permittivity_scale(temperature)
    return reduced_displacement(reduced, concentration, valence, scaled, _cube(size)) / DISPLACEMENT_PER_SURFACE_CHARGE


def bikerman_capacitance(
    potential: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    size: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Differential capacitance of a double layer, F/m²: C = dσ/dφ of `bikerman_charge`, with its arguments.

    For a z:z salt with ν = 2a³c, y = zφe/kT and s = 2ν sinh²(y/2): C = (ε₀ε/λ) cosh(y/2) / (1 + s) · √(s / ln(1 + s)).
    ε₀ε/λ at zero potential; with size 0 Gouy and Chapman's (ε₀ε/λ) cosh(y/2); with size, a maximum and then a fall
    as √(1/φ). Kilic, Bazant & Ajdari (2007, Phys. Rev. E 75:021502).
    """
    charge = lambda phi: bikerman_charge(phi, concentration, valence, permittivity, size, temperature)
    others = (jnp.shape(x) for x in (potential, permittivity, size, temperature))
    potential = jnp.broadcast_to(
        jnp.asarray(potential, float), jnp.broadcast_shapes(*others, jnp.shape(concentration)[:-1])
    )
    return 1e3 * jax.jvp(charge, (potential,), (jnp.ones_like(potential),))[1]  # per mV to per V


def bikerman_concentration(
    potential: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    size: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "... ion"]:
    """Concentrations of ions of finite size, mM: c e⁻ᶻʸ / (1 + a³ Σ c (e⁻ᶻʸ − 1)), y = eφ/kT.

    Arguments as for `bikerman_charge`. No more than 1/a³ in all, one ion to a cube of the lattice.
    """
    valence, concentration = neutral(valence, concentration=concentration)
    point = boltzmann_concentration(potential, concentration, valence, temperature)
    excess = (point - concentration).sum(-1)
    return point / (1 + _cube(size) * excess)[..., None]


def _cube(size):
    """a³ in 1/mM."""
    return jnp.asarray(size, float) ** 3 / units.MILLIMOLAR_PER_CHARGE_DENSITY
