"""Ohm's law at the membrane, and conductances read from a current–voltage curve.

Hodgkin & Huxley (1952, J. Physiol. 116:449) split the current of each ion into conductance times driving force.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.driving import driving_force
from pnp.tracing import is_traced


class OhmicLine(NamedTuple):
    """A straight I–V: conductance in nS, reversal potential in mV."""

    conductance: Float[Array, "..."]
    reversal_potential: Float[Array, "..."]


def ohmic_current(conductance: ArrayLike, voltage: ArrayLike, reversal_potential: ArrayLike) -> Float[Array, "..."]:
    """Current, pA, positive outward: I = g (V − E). conductance: nS; voltages: mV. Arguments broadcast."""
    return jnp.asarray(conductance) * driving_force(voltage, reversal_potential)


def chord_conductance(voltage: ArrayLike, current: ArrayLike, reversal_potential: ArrayLike) -> Float[Array, "..."]:
    """g = I / (V − E), nS: slope of the chord from the reversal potential to a point of the I–V.

    voltage, reversal_potential: mV; current: pA. Arguments broadcast. At V = E there is no chord and the result is
    NaN; its limit there is the slope conductance.
    """
    return jnp.asarray(current, float) / driving_force(voltage, reversal_potential)


def chord_conductance_voltage(
    conductance: Float[ArrayLike, "... ion"],
    equilibrium_potential: Float[ArrayLike, "... ion"],
    pump_current: ArrayLike = 0.0,
) -> Float[Array, "..."]:
    """Voltage of zero total current through ohmic paths in parallel, mV: V = (Σ g E − I_pump) / Σ g.

    conductance: g, nS; equilibrium_potential: E, mV; pump_current: of electrogenic pumps, pA, positive outward, and
    taken as independent of voltage. Without pumps, the mean of E weighted by g: the chord-conductance equation.
    An ion with g = 0 has no say, even where its E is infinite. Holds while the g do not change between their E and V;
    `ghk_voltage` is the counterpart for permeabilities.
    """
    g = jnp.asarray(conductance, float)
    drive = jnp.where(g == 0, 0.0, jnp.asarray(equilibrium_potential, float))
    return ((g * drive).sum(-1) - pump_current) / g.sum(-1)


def slope_conductance(
    voltage: Float[ArrayLike, " point"], current: Float[ArrayLike, "... point"]
) -> Float[Array, "... point"]:
    """dI/dV at each point of an I–V, nS, from the parabola through it and its neighbours.

    voltage: mV, rising or falling, evenly spaced or not; current: pA. Second order in the spacing everywhere: at an
    end it is the parabola of the last three points. ValueError for fewer than three points, for shapes that do not
    match and for voltages that do not rise or fall strictly.
    """
    _check_curve(voltage, current, points=3)
    voltage, current = jnp.asarray(voltage, float), jnp.asarray(current, float)
    step = jnp.diff(voltage)
    chord = jnp.diff(current) / step  # first and second divided differences
    bend = jnp.diff(chord) / (voltage[2:] - voltage[:-2])
    first = chord[..., :1] - bend[..., :1] * step[:1]
    inner = chord[..., :-1] + bend * step[:-1]
    last = chord[..., -1:] + bend[..., -1:] * step[-1:]
    return jnp.concatenate([first, inner, last], axis=-1)


def ohmic_line(voltage: Float[ArrayLike, " 2"], current: Float[ArrayLike, "... 2"]) -> OhmicLine:
    """Conductance (nS) and reversal potential (mV) of the straight line through two points of an I–V.

    voltage: mV; current: pA. The reversal potential is infinite where the currents are equal and not zero.
    ValueError for other than two points or for two equal voltages.
    """
    _check_curve(voltage, current, points=2, exactly=True)
    voltage, current = jnp.asarray(voltage, float), jnp.asarray(current, float)
    conductance = jnp.diff(current)[..., 0] / jnp.diff(voltage)[0]
    return OhmicLine(conductance, voltage[0] - current[..., 0] / conductance)


def slope_resistance(voltage: Float[ArrayLike, " 2"], current: Float[ArrayLike, "... 2"]) -> Float[Array, "..."]:
    """ΔV / ΔI between two points of an I–V, GΩ: the inverse of the conductance of `ohmic_line`."""
    return 1 / ohmic_line(voltage, current).conductance


def ion_conductance(
    permeability: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Conductance of one ion in a pore that it fills evenly, nS: g = z² e F P c / kT, with P = D A / L.

    permeability: nm³/ns, diffusivity (nm²/ns) times area (nm²) over length (nm); concentration: in the pore, mM;
    temperature: K. Arguments broadcast. Proportional to z²: one z for the force on the ion, one for the charge that
    it carries. Nernst–Planck with a uniform concentration; between equal baths it is the GHK conductance.
    """
    charge = units.CURRENT_PER_FLUX * jnp.asarray(valence) ** 2 / units.thermal_voltage(temperature)
    return charge * permeability * concentration


def _check_curve(voltage, current, points, exactly=False):
    shape, found = np.shape(voltage), np.shape(current)
    if len(shape) != 1 or shape[0] < points or (exactly and shape[0] != points):
        raise ValueError(f"voltage needs one axis of {points} points{'' if exactly else ' or more'}, not shape {shape}")
    if found[-1:] != shape:
        raise ValueError(f"the last axis of current, of shape {found}, must match the {shape[0]} voltages")
    if is_traced(voltage):
        return
    step = np.diff(np.asarray(voltage))
    if not (np.all(step > 0) or np.all(step < 0)):
        raise ValueError("voltages must rise or fall strictly")
