"""Tolerances and limits of the nonlinear solve, statuses of its results, batch sizes."""

import enum
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Status(enum.IntEnum):
    """How a solve ended; `.text` says what to do about it.

    Of those of a single solve the greater is the worse; MULTIPLE_SOLUTIONS is that of two sweeps, CLOSED that of a pore
    through which nothing can flow, and of which nothing was solved.
    """

    CONVERGED = 0
    CONVERGED_BY_CONTINUATION = 1
    MESH_TOO_COARSE = 2
    NOT_CONVERGED = 3
    MULTIPLE_SOLUTIONS = 4
    CLOSED = 5

    @property
    def text(self) -> str:
        """One line for people."""
        return self.advice(Refinement("a finer mesh", "", ""))

    def advice(self, refinement: "Refinement", error: str = "may be above 1 %") -> str:
        """The same, with the finer mesh to ask for; error: what is said of that of a mesh that is too coarse."""
        ways = " or ".join(way for way in refinement[1:] if way)
        return _TEXT[self].format(finer=f"{refinement.what} ({ways})" if ways else refinement.what, error=error)


class Refinement(NamedTuple):
    """How to ask for a finer mesh."""

    what: str
    """In words: "more nodes"."""
    python: str
    """As an argument in Python: "discretization=pnp.Axial(nodes=800)"."""
    option: str
    """On the command line: "--nodes 800"."""


_TEXT = {
    Status.CONVERGED: "converged",
    Status.CONVERGED_BY_CONTINUATION: (
        "converged, by raising the fixed charge and the voltage in steps; nothing to do, but the "
        "problem is hard: compare with {finer}"
    ),
    Status.MESH_TOO_COARSE: (
        "converged, but the mesh is too coarse: the error of the current {error}; solve again with {finer}"
    ),
    Status.NOT_CONVERGED: (
        "did not converge, so there is no value: try {finer}, a smaller voltage, or softer charge edges"
    ),
    Status.MULTIPLE_SOLUTIONS: (
        "converged, but not to the only steady state: sweeps up and down find different currents, and which one "
        "flows depends on the past; pnp.trace follows the branch through all of them"
    ),
    Status.CLOSED: "closed: nothing flows through a pore whose radius is zero or less somewhere",
}


def _limit(value):
    # Arrays, so that another value does not compile another program; NumPy's, so that making one costs nothing.
    as_array = lambda given: given if isinstance(given, jax.Array) else np.asarray(given, float)
    return eqx.field(default=value, converter=as_array)


CPU_BATCH = 64
"""Cases that are best solved together on a CPU: enough to fill its vectors, few enough for its caches, for showing
progress, and for not waiting long for the slowest of them."""

CPU_CONTINUATION_BATCH = 8
"""The same for continuations, of which one may take a hundred times as long as its neighbour."""

GPU_BATCH = 8192
"""Cases solved together on a GPU, which has that many threads and more."""


class Settings(eqx.Module):
    """Tolerances and limits of the nonlinear solve; the defaults are meant to be left alone."""

    tolerance: Float[Array, ""] = _limit(1e-13)
    """Largest error of phi (kT/e) expected after the last step. The relative error of the currents of point ions, whose
    mu follows phi exactly, is about the same."""
    nonideal_tolerance: Float[Array, ""] = _limit(1e-18)
    """The same of phi and mu with an activity model, where mu, too, is found by Newton's method: its error is
    multiplied by the conductance of an element over the pore's, thousands, in the error of a flux, which may be
    small."""
    loose_tolerance: Float[Array, ""] = _limit(1e-9)
    """The same on the coarse mesh, whose result corrects that of the fine one by a small fraction of itself, and at the
    intermediate steps of a continuation."""
    max_potential_update: Float[Array, ""] = _limit(15.0)
    """Largest change in one step of z phi (kT) of the ion of highest valence. Linearised Boltzmann factors say little
    beyond a few kT, but layers of 100 kT have to be crossed, while a step too far is taken back by 1 kT a step.
    Of 15 to 80 tried on channels of scripts/stress.py 15 needs the fewest steps."""
    quadratic_threshold: Float[Array, ""] = _limit(0.1)
    """Largest update (kT) after which Newton is taken to converge quadratically: Boltzmann factors are then linear to
    some per cent, and steps are not damped."""
    attempt_iterations: Float[Array, ""] = _limit(250.0)
    """Steps allowed to reach one target before it counts as failed. Direct solves take 5–15; where barriers of
    100 kT leave a region without ions, up to 200."""
    skip_continuation: Float[Array, ""] = _limit(1.0)
    """1: the whole problem is tried at once, from the initial guess. 0: every problem is solved by continuation from
    the pore without charge and voltage. A solution found both ways is more certain to be the only one."""
    first_continuation_step: Float[Array, ""] = _limit(0.25)
    """First step of the continuation, of a path of length 1 (charge to 0.5, voltage from there)."""
    smallest_continuation_step: Float[Array, ""] = _limit(1e-4)
    """The continuation gives up below this."""

    def few_iterations(self) -> "Settings":
        """These settings for easy cases: at most 20 Newton steps, no continuation."""
        quick = jnp.minimum(20.0, self.attempt_iterations)
        return eqx.tree_at(lambda s: s.attempt_iterations, self.without_continuation(), quick)

    def without_continuation(self) -> "Settings":
        """These settings without the continuation that follows a failed first attempt."""
        return eqx.tree_at(lambda s: s.smallest_continuation_step, self, jnp.asarray(jnp.inf))

    def loose(self) -> "Settings":
        """These settings with the loose tolerance everywhere."""
        return eqx.tree_at(lambda s: (s.tolerance, s.nonideal_tolerance), self, (self.loose_tolerance,) * 2)
