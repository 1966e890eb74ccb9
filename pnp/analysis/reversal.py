"""The voltage at which the current of a channel vanishes: Newton's method within a bracket."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp import units
from pnp.analysis.discretized import Discretized
from pnp.analysis.mesh_hierarchy import assess, solve_on_meshes, steady_state
from pnp.settings import Settings
from pnp.theory.roots import implicit_root

TOLERANCE = 1e-9
"""Largest last step, mV."""

MOST_STEPS = 80
"""Halvings alone leave 1e-9 mV of 1 V after 40."""

_GOLDEN = 0.618  # a sequence of its multiples, without their whole parts, leaves no part of a bracket unvisited


class Bracket(eqx.Module):
    """Two voltages between which the current changes sign, and where to look next."""

    low: Float[Array, ""]
    """mV."""
    high: Float[Array, ""]
    """mV."""
    direction: Float[Array, ""]
    """1 if the current rises from low to high, −1 if it falls."""
    voltage: Float[Array, ""]
    """Where the current is wanted next, mV; the root itself once found."""
    last_step: Float[Array, ""]
    """mV."""
    found: Bool[Array, ""]
    steps: Int[Array, ""]

    @property
    def searching(self) -> Bool[Array, ""]:
        """Whether there is more to do."""
        return ~self.found & (self.steps < MOST_STEPS)

    @property
    def root(self) -> Float[Array, ""]:
        """mV; NaN if not found."""
        return jnp.where(self.found, self.voltage, jnp.nan)


@jax.jit
def bracket(low, high, direction, voltage) -> Bracket:
    """A bracket before its first step; its fields as in `Bracket`."""
    low, high, direction, voltage = (jnp.asarray(each, float) for each in (low, high, direction, voltage))
    return Bracket(
        low, high, direction, jnp.clip(voltage, low, high), jnp.array(jnp.inf), jnp.array(False), jnp.array(0)
    )


@jax.jit
def narrowed(given: Bracket, current: Float[Array, ""], slope: Float[Array, ""]) -> Bracket:
    """The bracket after the current (pA) and its slope (nS) at its voltage have been found.

    A step of Newton's method that leaves the bracket, or is more than half of the step before, becomes a halving of the
    bracket. Where there is no steady state (NaN) another voltage of the bracket is tried.
    """
    at, known, signed = given.voltage, jnp.isfinite(current), current * given.direction
    low = jnp.where(known & (signed <= 0), at, given.low)
    high = jnp.where(known & (signed >= 0), at, given.high)
    newton = jnp.where(current == 0, at, at - current / slope)
    step = jnp.abs(newton - at)
    found = known & ((step <= TOLERANCE) | (high - low <= TOLERANCE))
    fast = (newton >= low) & (newton <= high) & (2 * step <= given.last_step)
    elsewhere = low + (high - low) * ((given.steps + 1) * _GOLDEN % 1.0)
    following = jnp.where(found | fast, jnp.clip(newton, low, high), (low + high) / 2)
    return Bracket(
        low,
        high,
        given.direction,
        jnp.where(known, following, elsewhere),
        jnp.where(known, jnp.abs(following - at), given.last_step),
        found,
        given.steps + 1,
    )


def reversal_range(discretized: Discretized) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Smallest and largest Nernst potential of the ions, mV.

    The reversal potential lies between them: each ion flows down the difference of its electrochemical potential
    between the baths, so that beyond all Nernst potentials all ions carry current in one direction.
    """
    charged = discretized.valence != 0
    across = discretized.log_activity[1] - discretized.log_activity[0]
    nernst = across / jnp.where(charged, discretized.valence, 1.0) * discretized.thermal_voltage
    return jnp.where(charged, nernst, jnp.inf).min(), jnp.where(charged, nernst, -jnp.inf).max()


def reversal_of_discretized(discretized: Discretized, guess: Float[Array, ""]) -> Float[Array, ""]:
    """`pnp.reversal_potential` of a discretised channel, as part of a larger program; differentiable."""
    fixed = jax.lax.stop_gradient(discretized)

    def step(given):
        solutions = solve_on_meshes(fixed, given.voltage, Settings(), with_sensitivity=True)
        state, slope = assess(fixed, given.voltage, solutions)
        return narrowed(given, state.current, slope)

    margin = 1e3 * TOLERANCE  # a root at an end, as with one ion alone, is found by steps that pass it by round-off
    low, high = reversal_range(fixed)
    first = bracket(low - margin, high + margin, 1.0, jax.lax.stop_gradient(guess))
    root = jax.lax.while_loop(lambda given: given.searching, step, first).root
    # A search that has gone to an end of its bracket, where no current was computed, has seen no change of sign.
    inside = (root > first.low + 2 * TOLERANCE) & (root < first.high - 2 * TOLERANCE)
    # Nor has one through a closed pore.
    return implicit_root(_current, jnp.where(inside & ~fixed.closed, root, jnp.nan), discretized)


def _current(voltage: Float[Array, ""], discretized: Discretized) -> Float[Array, ""]:
    """In units of the pore's ohmic conductance, so that derivatives are of the size of 1."""
    unit = jax.lax.stop_gradient(units.CURRENT_PER_FLUX * discretized.ohmic_flux)
    return jnp.divide(steady_state(discretized, voltage, Settings()).current, unit)
