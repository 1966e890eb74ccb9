"""How a steady state is looked for, and how that ended."""

import enum

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Status(enum.IntEnum):
    """How a solve ended; `.text` says what to do about it.

    Of those of a single solve the greater is the worse; MULTIPLE_SOLUTIONS is the status_message of two sweeps.
    """

    CONVERGED = 0
    CONVERGED_BY_CONTINUATION = 1
    MESH_TOO_COARSE = 2
    NOT_CONVERGED = 3
    MULTIPLE_SOLUTIONS = 4

    @property
    def text(self) -> str:
        """One line for people."""
        return self.advice(1)

    def advice(self, dimension: int) -> str:
        """The same where the mesh has so many dimensions."""
        finer = ("more nodes", "nodes=800") if dimension == 1 else ("a higher resolution", "resolution=2")
        return _TEXT[self].format(more=finer[0], finer=finer[1], option=f"--{finer[1].replace('=', ' ')}")


_TEXT = {
    Status.CONVERGED: "converged",
    Status.CONVERGED_BY_CONTINUATION: (
        "converged, by raising the fixed charge and the voltage in steps; nothing to do, but the "
        "problem is hard: compare with a finer mesh ({finer})"
    ),
    Status.MESH_TOO_COARSE: (
        "converged, but the mesh is too coarse, as for a Debye layer that it does not resolve: the error of "
        "the current may be above 1 %; solve again with {more} ({finer} or {option})"
    ),
    Status.NOT_CONVERGED: (
        "did not converge, so there is no value: try {more} ({finer} or {option}), a smaller "
        "voltage, or softer charge edges"
    ),
    Status.MULTIPLE_SOLUTIONS: (
        "converged, but not to the only steady state: sweeps up and down find different currents, and which one "
        "flows depends on the past; pnp.trace follows the branch through all of them"
    ),
}


def _limit(value):
    # Arrays, so that another value does not compile another program; NumPy's, so that making one costs nothing.
    as_array = lambda given: given if isinstance(given, jax.Array) else np.asarray(given, float)
    return eqx.field(default=value, converter=as_array)


class Settings(eqx.Module):
    """Tolerances and limits of the nonlinear solve; the defaults are meant to be left alone."""

    tolerance: Float[Array, ""] = _limit(1e-13)
    """Largest error of phi (kT) expected to be left after the last step: to about as much of themselves the currents of
    point ions are known, whose mu follows exactly."""
    nonideal_tolerance: Float[Array, ""] = _limit(1e-18)
    """The same of phi and mu where ions have an excess potential, so that mu, too, is found by steps: its error is
    multiplied by the conductance of an element over the pore's, thousands, to that of a flux, which may be small."""
    loose_tolerance: Float[Array, ""] = _limit(1e-9)
    """The same of either on the coarse mesh, whose answer corrects that of the fine one by a small part of itself, and
    at the stops of a continuation."""
    max_potential_update: Float[Array, ""] = _limit(15.0)
    """Largest change in one step of z phi (kT) of the ion of highest valence. Linearised Boltzmann factors say little
    beyond a few kT, but layers of 100 kT have to be crossed, while a step too far is taken back by 1 kT a step.
    Of 15 to 80 tried on channels of scripts/stress.py 15 needs the fewest steps."""
    quadratic_threshold: Float[Array, ""] = _limit(0.1)
    """Largest update (kT) after which Newton is taken to converge quadratically: Boltzmann factors are then
    linear to some per cent, and no cap is in the way."""
    attempt_iterations: Float[Array, ""] = _limit(250.0)
    """Steps allowed to reach one target before it counts as failed. Direct solves take 5–15; where barriers of
    100 kT leave a region without ions, up to 200."""
    direct: Float[Array, ""] = _limit(1.0)
    """1: the whole problem is tried at once, from the start that is given. 0: never, every problem is walked to from
    the pore without charge and voltage. A solution reached on both ways is more certain to be the only one."""
    first_continuation_step: Float[Array, ""] = _limit(0.25)
    """First step of the continuation, of a path of length 1 (charge to 0.5, voltage from there)."""
    smallest_continuation_step: Float[Array, ""] = _limit(1e-4)
    """The continuation gives up below this."""

    def few_iterations(self) -> "Settings":
        """These, for cases that are in no way hard: given up after 20 steps, without a continuation."""
        quick = jnp.minimum(20.0, self.attempt_iterations)
        return eqx.tree_at(lambda s: s.attempt_iterations, self.without_continuation(), quick)

    def without_continuation(self) -> "Settings":
        """These, but a target that is not reached at once is given up."""
        return eqx.tree_at(lambda s: s.smallest_continuation_step, self, jnp.asarray(jnp.inf))

    def rough(self) -> "Settings":
        """These, with the rough tolerance everywhere."""
        return eqx.tree_at(lambda s: (s.tolerance, s.nonideal_tolerance), self, (self.loose_tolerance,) * 2)
