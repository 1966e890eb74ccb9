"""Electrochemical potentials, equilibrium potentials and driving forces.

The activity of an ion is its concentration times its activity coefficient (`pnp.theory.activity`), which is 1
unless it is given. See Hille, Ion Channels of Excitable Membranes, 3rd ed., 2001, chapter 1.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.tracing import is_traced

KILOJOULES_PER_MILLIVOLT = 1e-6 * units.FARADAY
"""kJ/mol in 1 mV times 1 e: the energy of a mole of monovalent cations raised by 1 mV."""


class FlowDirection(NamedTuple):
    """Signs of passive flow, +1 outward, −1 inward, 0 none: of the ion itself and of the current it carries."""

    ion: Float[Array, "..."]
    current: Float[Array, "..."]


def electrochemical_potential(
    concentration: ArrayLike,
    potential: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    *,
    activity_coefficient: ArrayLike = 1.0,
) -> Float[Array, "..."]:
    """Electrochemical potential, kJ/mol: μ̃ = RT ln(γc / 1 mM) + z F φ.

    concentration: mM; potential: φ, mV; temperature: K. Arguments broadcast. The standard state is the ideal
    1 mM solution at φ = 0. The first term alone is the chemical potential, which is all that a neutral
    solute (valence 0) has. Guggenheim (1929, J. Phys. Chem. 33:842). −∞ at zero concentration.
    """
    logarithm = jnp.log(jnp.asarray(concentration, float)) + jnp.log(jnp.asarray(activity_coefficient, float))
    millivolts = units.thermal_voltage(temperature) * logarithm + jnp.asarray(valence) * potential
    return KILOJOULES_PER_MILLIVOLT * millivolts


def electrochemical_potential_difference(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    *,
    inside_activity_coefficient: ArrayLike = 1.0,
    outside_activity_coefficient: ArrayLike = 1.0,
) -> Float[Array, "..."]:
    """Free energy of moving one mole outward, kJ/mol: Δμ̃ = μ̃_out − μ̃_in = RT ln(a_out / a_in) − z F V.

    voltage: V, mV; inside, outside: mM; temperature: K. Arguments broadcast. Negative where the solute goes
    out by itself, zero at equilibrium; moving it inward costs −Δμ̃. Equal to −z F (V − E) for an ion. At
    V = 0 it is the chemical part, between equal activities the electrical part.
    """
    there = electrochemical_potential(
        outside, 0.0, valence, temperature, activity_coefficient=outside_activity_coefficient
    )
    here = electrochemical_potential(
        inside, voltage, valence, temperature, activity_coefficient=inside_activity_coefficient
    )
    return there - here


def transport_work(
    outward: ArrayLike,
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Least work to move `outward` moles out, or −`outward` moles in: W = n Δμ̃, kJ (n = 1: kJ/mol).

    Negative where the movement can do work instead, at most −W. Other arguments as for
    `electrochemical_potential_difference`; a = γc may be given in place of concentrations.
    """
    return jnp.asarray(outward) * electrochemical_potential_difference(voltage, inside, outside, valence, temperature)


def nernst(
    inside: ArrayLike,
    outside: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    *,
    inside_activity_coefficient: ArrayLike = 1.0,
    outside_activity_coefficient: ArrayLike = 1.0,
) -> Float[Array, "..."]:
    """Equilibrium potential of an ion, mV: E = (kT / z e) ln(γ_out c_out / γ_in c_in).

    inside, outside: concentrations in mM; temperature: K. Arguments broadcast. The voltage at which
    `electrochemical_potential_difference` is zero. Nernst (1888, Z. Phys. Chem. 2:613). Infinite where the ion
    is absent on one side, as an impermeant ion may be. ValueError for a neutral solute, which no voltage balances.
    """
    _refuse_neutral(valence, "Nernst potential: its equilibrium is equal activities, whatever the voltage")
    outer = jnp.log(jnp.asarray(outside, float)) + jnp.log(jnp.asarray(outside_activity_coefficient, float))
    inner = jnp.log(jnp.asarray(inside, float)) + jnp.log(jnp.asarray(inside_activity_coefficient, float))
    return units.thermal_voltage(temperature) / jnp.asarray(valence) * (outer - inner)


def driving_force(voltage: ArrayLike, equilibrium_potential: ArrayLike) -> Float[Array, "..."]:
    """V − E, mV: positive where it drives current outward, whatever the sign of the ion."""
    return jnp.asarray(voltage, float) - equilibrium_potential


def flow_direction(voltage: ArrayLike, equilibrium_potential: ArrayLike, valence: ArrayLike) -> FlowDirection:
    """Which way an ion and its current flow through an open, passive path at `voltage` (mV).

    The current has the sign of V − E; the ion that of z (V − E), so that an anion moves against its current. Both are
    0 at V = E. ValueError for a neutral solute: see `electrochemical_potential_difference`.
    """
    _refuse_neutral(valence, "equilibrium potential to flow by")
    current = jnp.sign(driving_force(voltage, equilibrium_potential))
    return FlowDirection(ion=jnp.sign(jnp.asarray(valence)) * current, current=current)


def _refuse_neutral(valence, what):
    if is_traced(valence):
        return
    neutral = np.flatnonzero(np.asarray(valence) == 0)
    if neutral.size:
        which = f" (number {', '.join(map(str, neutral))})" if np.ndim(valence) else ""
        raise ValueError(f"a neutral solute{which}, of valence 0, has no {what}")
