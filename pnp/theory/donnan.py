"""Donnan equilibrium: ions shared between a bath and a phase with charge that cannot leave.

Potentials are those of the charged phase less those of the bath. Donnan (1911, Z. Elektrochem. 17:572; in English
1995, J. Membr. Sci. 100:45).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.checks import neutral, per_ion, refuse_unless
from pnp.theory.double_layer import DISPLACEMENT_PER_SURFACE_CHARGE, HIGHEST_POTENTIAL, reduced_displacement
from pnp.theory.electrolyte import boltzmann_concentration
from pnp.theory.roots import monotone_root


class GibbsDonnan(NamedTuple):
    """Equilibrium of two compartments: potential (inside less outside, mV), concentrations [..., ion] (mM) and
    osmotic pressure of the inside over the outside (kPa)."""

    potential: Float[Array, "..."]
    inside: Float[Array, "... ion"]
    outside: Float[Array, "... ion"]
    osmotic_pressure: Float[Array, "..."]


def donnan_potential(
    fixed_charge: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Potential of a phase with fixed charge in equilibrium with a bath, mV: the root of Σ z c e⁻ᶻʸ + X = 0, y = eφ/kT.

    fixed_charge: X, [...] in M; concentration: of the bath, [..., ion] in mM; valence: [ion], any; temperature: K.
    For a z:z salt φ = (kT/ze) asinh(X / 2zc). Holds where the phase is many Debye lengths thick and its charge is
    even. NaN beyond 100 kT/e, as without counter-ions. ValueError for a bath that is not neutral.
    """
    valence, concentration = neutral(valence, concentration=concentration)
    reduced = _two_compartments(1e3 * jnp.asarray(fixed_charge, float), concentration, valence, 0.0)
    return units.thermal_voltage(temperature) * reduced


def donnan_concentration(
    fixed_charge: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "... ion"]:
    """Concentrations in a phase with fixed charge in equilibrium with a bath, mM: c e⁻ᶻʸ at `donnan_potential`.

    Arguments as there. They balance the fixed charge: Σ z c + X = 0. (The temperature has no effect.)
    """
    potential = donnan_potential(fixed_charge, concentration, valence, temperature)
    return boltzmann_concentration(potential, concentration, valence, temperature)


def donnan_interface_potential(
    fixed_charge: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    permittivity_ratio: ArrayLike = 1.0,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Potential at the sharp edge of a thick charged slab against the bath far away, mV.

    permittivity_ratio: of the slab to the bath; other arguments as for `donnan_potential`. There the fields of two
    half double layers meet with one displacement: that of the bath, and that of the slab, whose neutral state is the
    Donnan one. With equal permittivities y₀ = y_D − Σ c (e^(−z y_D) − 1) / X, which is y_D − tanh(y_D/2) for a
    1:1 salt (the drop to the edge is then kT/e at most); otherwise the first integrals leave one equation for y₀.
    Ions have no Born energy here. First integral: Gouy (1910); for charged layers Ohshima & Ohki (1985, Biophys. J.
    47:673).
    """
    valence, concentration = neutral(valence, concentration=concentration)
    thermal = units.thermal_voltage(temperature)
    donnan = donnan_potential(fixed_charge, concentration, valence, temperature) / thermal
    return thermal * _meeting_point(donnan, concentration, valence, jnp.asarray(permittivity_ratio, float))


@jax.jit
def _meeting_point(donnan, concentration, valence, ratio):
    """y₀ where the displacements on both sides of an edge agree; it lies between the bath's y = 0 and the slab's."""
    slab = concentration * jnp.exp(-valence * donnan[..., None])

    def mismatch(phi):
        from_bath = reduced_displacement(phi, concentration, valence, 1.0)
        return from_bath + reduced_displacement(phi - donnan, slab, valence, ratio)

    bound = jnp.ones(jnp.broadcast_shapes(donnan.shape, ratio.shape)) * (jnp.abs(donnan) + 1)
    return monotone_root(mismatch, -bound, bound)


def gibbs_donnan(
    inside: ArrayLike,
    outside: ArrayLike,
    valence: ArrayLike,
    macro_ion: ArrayLike,
    macro_valence: ArrayLike,
    inside_fraction: ArrayLike = 0.0,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> GibbsDonnan:
    """Where a membrane that holds back a macro-ion comes to equilibrium: potential, ions and osmotic pressure.

    inside, outside: at the start, [..., ion] in mM; valence: [ion], any; macro_ion, macro_valence: concentration (mM)
    and mean charge (e) of the impermeant ion, inside only; inside_fraction: of the total volume, below 1, with 0 for a
    cell in a bath that does not change (`inside` then has no effect); temperature: K. All other ions pass, so
    c_in = c_out e⁻ᶻʸ for each, both sides are neutral and no ion is lost. The volumes are held: the pressure
    RT (Σ c_in + c_macro − Σ c_out) that this takes is the one that bursts a passive cell. Ideal solutions.
    ValueError where the charges do not add up to zero.
    """
    valence, inner, outer = per_ion(valence, inside=inside, outside=outside)
    fraction, macro = jnp.asarray(inside_fraction, float), jnp.asarray(macro_ion, float)
    refuse_unless(lambda f: (f >= 0) & (f < 1), "inside_fraction lies in [0, 1)", inside_fraction)
    refuse_unless(_balanced, "the charges of all ions must add up to zero", inside, outside, valence, macro_ion,
                  macro_valence, inside_fraction)  # fmt: skip
    mean = fraction[..., None] * inner + (1 - fraction[..., None]) * outer
    charge = macro * jnp.asarray(macro_valence, float)
    reduced = _two_compartments(charge, mean, valence, fraction)
    after = _shared(reduced, mean, valence, fraction)
    bath = after * jnp.exp(valence * reduced[..., None])
    pressure = 1e-3 * units.GAS_CONSTANT * temperature * (after.sum(-1) + macro - bath.sum(-1))
    return GibbsDonnan(units.thermal_voltage(temperature) * reduced, after, bath, pressure)


def _balanced(inside, outside, valence, macro_ion, macro_valence, fraction):
    """Whether the two compartments together are neutral."""
    mean = fraction[..., None] * inside + (1 - fraction[..., None]) * outside
    held = fraction * macro_ion * macro_valence
    return np.abs((mean * valence).sum(-1) + held) <= 1e-6 * ((mean * np.abs(valence)).sum(-1) + np.abs(held))


def _shared(reduced, mean, valence, fraction):
    """Concentrations in a phase at `reduced` that holds a fraction of the volume, for a mean over both phases."""
    fraction = fraction[..., None]
    return mean / (fraction + (1 - fraction) * jnp.exp(valence * reduced[..., None]))


@jax.jit
def _two_compartments(charge, mean, valence, fraction):
    """y at which the ions in one phase balance `charge` (mM), given their mean over both phases."""
    fraction = jnp.asarray(fraction, float)
    unbalanced = lambda phi: (valence * _shared(phi, mean, valence, fraction)).sum(-1) + charge
    bound = jnp.full(jnp.broadcast_shapes(charge.shape, mean.shape[:-1], fraction.shape), HIGHEST_POTENTIAL)
    return monotone_root(unbalanced, -bound, bound)


def counter_ion_concentration(
    position: ArrayLike,
    radius: ArrayLike,
    surface_charge: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Counter-ions at a distance from the axis of a long charged cylinder without salt, mM.

    position: r ≤ a, nm; radius: a, nm; surface_charge: σ of the wall, C/m²; valence: z of the only ions, opposite in
    sign; permittivity: relative; temperature: K. Arguments broadcast.
    c(r) = 8 ε₀ε RT / (zFa)² · m (1 + m) / (1 + m (1 − r²/a²))² with m = |zσ| F a / (4 ε₀ε RT), half of z times the
    charges per Bjerrum length along the wall: even (2|σ|/zFa) for m ≪ 1, piled up at the wall for m ≫ 1, with
    no more than 8 ε₀ε RT/(zFa)² on the axis. Holds while the counter-ions far outnumber the salt. The regular
    solution of Liouville's equation, as Fuoss, Katchalsky & Lifson (1951, PNAS 37:579) used it outside a rod.
    ValueError for ions that do not balance the wall, or outside of the cylinder.
    """
    m, inner = _cylinder(position, radius, surface_charge, valence, permittivity, temperature)
    scale = 8 * permittivity * units.permittivity_scale(temperature) / (jnp.asarray(valence) * radius) ** 2
    return scale * m * (1 + m) / (1 + m * inner) ** 2


def counter_ion_potential(
    position: ArrayLike,
    radius: ArrayLike,
    surface_charge: ArrayLike,
    valence: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Potential in a charged cylinder without salt against its axis, mV: φ = (2kT/ze) ln(1 − m/(1 + m) · r²/a²).

    Arguments and m as for `counter_ion_concentration`, which it turns into c(0) e^(−zeφ/kT).
    """
    m, inner = _cylinder(position, radius, surface_charge, valence, permittivity, temperature)
    return units.thermal_voltage(temperature) * 2 / jnp.asarray(valence) * (jnp.log1p(m * inner) - jnp.log1p(m))


def _cylinder(position, radius, surface_charge, valence, permittivity, temperature):
    """m, and 1 − r²/a²."""
    refuse_unless(lambda s, z: s * z < 0, "the counter-ions and the wall have opposite signs", surface_charge, valence)
    refuse_unless(lambda r, a: (r >= 0) & (r <= a), "position lies between 0 and the radius", position, radius)
    wall = -jnp.asarray(valence) * jnp.asarray(surface_charge, float) * DISPLACEMENT_PER_SURFACE_CHARGE
    ratio = jnp.asarray(position, float) / radius
    m = wall * radius / (4 * permittivity * units.permittivity_scale(temperature))
    return m, (1 - ratio) * (1 + ratio)
