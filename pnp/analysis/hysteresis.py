"""Hysteresis: voltage swept up and down, and where the currents differ; for channels with several steady states."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float

from pnp.analysis.discretization import AXIAL, Discretization, axial_only, check_problem
from pnp.analysis.discretized import Discretized
from pnp.analysis.mesh_hierarchy import SAFETY, assess, follow_on_meshes, without_profiles
from pnp.analysis.solution import Currents, labels
from pnp.channel.channel import Channel
from pnp.finite_volume.initial_guess import InitialGuess, guess_from
from pnp.quantity import as_millivolts
from pnp.settings import Settings, Status

LEAST_DIFFERENCE = 1e-6
"""Relative difference of currents below which they count as equal: the estimated errors may be too small by chance."""

LONGEST_STEP = 25.0
"""mV; voltages further apart have others solved in between, so that Newton stays on its branch."""


class Hysteresis(eqx.Module):
    """Currents at several voltages swept up and swept down; NumPy arrays, [voltage] in the order given."""

    up: Currents
    """Each found from the solution at the next lower voltage; the first from the guess that `pnp.solve` has."""
    down: Currents
    """Each found from the solution at the next higher voltage; the first from the guess that `pnp.solve` has."""
    relative_difference: Float[np.ndarray, " voltage"] = eqx.field(
        metadata=labels("1", "difference of the currents up and down / |I|")
    )
    """|I_up − I_down| relative to the greater of the two (or to 0.1 % of what kT/e drives through the pore, where both
    are smaller); NaN where one is missing."""
    multistable: Bool[np.ndarray, " voltage"] = eqx.field(
        metadata=labels("1", "whether there are several steady states")
    )
    """Whether there are several steady states: the difference is above 1e-6, and above three times the sum of both
    conservation errors and of what both extrapolations change. The status of both is then MULTIPLE_SOLUTIONS, whatever
    it would be otherwise. False proves nothing: both sweeps may have followed the same branch."""
    channel: Channel
    discretization: Discretization = eqx.field(static=True)

    @property
    def voltage(self) -> Float[np.ndarray, " voltage"]:
        """mV."""
        return np.asarray(self.up.voltage)

    @property
    def converged(self) -> Bool[np.ndarray, " voltage"]:
        """True where both sweeps have a value."""
        return np.asarray(self.up.converged & self.down.converged)

    def to_xarray(self):
        """An `xarray.Dataset` over (direction, voltage, ion) with units, names and provenance."""
        from pnp.io.datasets import hysteresis_dataset

        return hysteresis_dataset(self)


def hysteresis(
    channel: Channel,
    voltages: ArrayLike | Sequence,
    *,
    discretization: Discretization = AXIAL,
    settings: Settings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Hysteresis:
    """Currents with the voltage swept up and swept down, and their difference.

    - voltages: mV, [voltage] in any order; each may be a string with its unit.
    - discretization: a `pnp.Axial`. settings: as in `pnp.solve`.
    - progress: called with the number of voltages done since it was called last.

    Each voltage begins from the solution at the one before, so that a branch of steady states is followed as in an
    experiment. If Newton fails, the voltage is changed in smaller steps; where the branch ends, because the I–V curve
    folds back, the point is solved as `pnp.solve` would, which finds another branch. The two sweeps are independent:
    each begins at its own end. They differ where the channel has several steady states between two folds. States
    between the folds are found by `pnp.trace` only. A branch ends where it does on the mesh of half as many elements;
    the coarsest may have no such states, and then the error is not known. Between voltages more than 25 mV apart the
    sweep takes steps of its own.

    Points that do not converge are NaN with status NOT_CONVERGED. Not differentiable. Raises ChannelError and
    ValueError as `pnp.iv_curve`.
    """
    discretization = axial_only(discretization, "hysteresis")
    check_problem(channel, discretization)
    voltages = np.asarray(as_millivolts(voltages))
    if voltages.ndim != 1 or voltages.size == 0:
        raise ValueError(f"voltages must be a list of numbers in mV, not of shape {voltages.shape}")
    settings, progress = settings or Settings(), progress or (lambda done: None)
    distinct, which, repeats = np.unique(voltages, return_inverse=True, return_counts=True)
    path, stops = _path(distinct)
    discretized = discretization.discretize(channel)
    own = _own_guesses(discretized)
    before, points = own, []
    for i in range(path.size):
        at = path[[i, -1 - i]]
        point, after, followed = _step(discretized, before, at, settings)
        if before is not own and not bool(np.all(followed)):
            # The branch has ended, or Newton does not converge.
            other, other_after, _ = _step(discretized, own, at, settings)
            take = lambda new, old, kept=followed: jnp.where(kept.reshape(2, *[1] * (new.ndim - 1)), old, new)
            point, after = jax.tree.map(take, (other, other_after), (point, after))
        points.append(jax.tree.map(np.asarray, point))
        before = after
        if i in stops:
            progress(int(repeats[stops.index(i)]))
    along = jax.tree.map(lambda *values: np.stack(values, axis=1), *points)
    chosen = np.array(stops)[which]
    currents = lambda along: Currents(**along, ion_names=channel.ion_names, discretization=discretization)
    up = currents({name: values[0][chosen] for name, values in along.items()})
    down = currents({name: values[1][::-1][chosen] for name, values in along.items()})
    return _compared(channel, discretization, up, down, float(discretized.least_current))


def _path(voltages: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Voltages from the first to the last in steps short enough, and the indices of those given."""
    parts, stops = [voltages[:1]], [0]
    for low, high in pairwise(voltages):
        count = int(np.ceil((high - low) / LONGEST_STEP))
        parts.append(np.linspace(low, high, count + 1)[1:])
        stops.append(stops[-1] + count)
    return np.concatenate(parts), stops


def _compared(channel: Channel, discretization: Discretization, up: Currents, down: Currents, least) -> Hysteresis:
    size = np.maximum(np.maximum(np.abs(up.current), np.abs(down.current)), least)
    difference = np.abs(up.current - down.current) / size
    # Of the two finest meshes: near a fold the coarsest may have no such state, or be on another branch.
    errors = sum(c.conservation_error + np.abs(c.current - c.mesh_current[:, -1]) / size for c in (up, down))
    several = difference > np.maximum(LEAST_DIFFERENCE, SAFETY * errors)  # False where a current is NaN
    marked = lambda c: eqx.tree_at(lambda c: c.status, c, np.where(several, Status.MULTIPLE_SOLUTIONS, c.status))
    return Hysteresis(marked(up), marked(down), difference, several, channel, discretization)


def _own_guesses(discretized: Discretized) -> tuple[InitialGuess, ...]:
    """The guesses of an ordinary solve, for both directions."""
    return jax.tree.map(lambda value: jnp.stack([value, value]), discretized.guesses)


@eqx.filter_jit
def _step(discretized: Discretized, before: tuple[InitialGuess, ...], voltages, settings):
    """The next point of both directions, guesses for the one after, and whether Newton converged from `before`."""

    def one(before: tuple[InitialGuess, ...], voltage):
        solutions = follow_on_meshes(discretized, voltage, settings, before)
        state, _ = assess(discretized, voltage, solutions)
        after = tuple(guess_from(solution, guess) for solution, guess in zip(solutions, before, strict=True))
        return without_profiles(state), after, state.status != Status.NOT_CONVERGED

    return jax.vmap(one)(before, voltages)
