"""A sweep up and a sweep down, and where they differ: channels that have several steady states at one voltage."""

from collections.abc import Callable
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float

from pnp.analysis.discretized import discretize
from pnp.analysis.solution import SAFETY, Begin, Currents, assess, solve_on_meshes, without_profiles
from pnp.analysis.steady import check_problem
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.mesh import DEFAULT_NODES
from pnp.finite_volume.problem import Origin, Start
from pnp.settings import Settings, Status

LEAST_DIFFERENCE = 1e-6
"""Relative difference of currents that counts as none whatever their errors: two meshes may agree by chance."""

LONGEST_STEP = 25.0
"""mV; between voltages further apart others are solved, too, lest Newton lands on another branch."""


class Hysteresis(eqx.Module):
    """Currents at several voltages on the way up and on the way down; arrays of NumPy, [voltage] in the order given."""

    up: Currents
    """Each found from the solution at the next lower voltage; the first as `pnp.solve` finds it."""
    down: Currents
    """Each found from the solution at the next higher voltage; the first as `pnp.solve` finds it."""
    relative_difference: Float[np.ndarray, " voltage"]
    """|I_up − I_down| relative to the greater of the two (or to 0.1 % of what kT/e drives through the pore, where both
    are smaller); NaN where one is missing."""
    multistable: Bool[np.ndarray, " voltage"]
    """Where there are several steady states: the difference is above 1e-6 and above five times the sum of what both
    currents say of their errors (conservation and discretisation). The status of both is then MULTIPLE_SOLUTIONS,
    whatever else there was to say. False proves nothing: both sweeps may have followed the same branch."""
    channel: Channel
    nodes: int = eqx.field(static=True)

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
    voltages: ArrayLike,
    *,
    nodes: int = DEFAULT_NODES,
    settings: Settings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Hysteresis:
    """Currents at voltages (mV, [voltage] in any order) swept upwards and downwards, and their difference.

    Each voltage begins from the solution at the one before, so that a branch of steady states is followed as in an
    experiment. If Newton fails, the voltage is changed in smaller steps; where the branch ends, because the I–V curve
    folds back, the point is solved as `pnp.solve` would, which finds another branch. The sweeps know nothing of each
    other: each begins at its own end. They differ where the channel has several steady states between two folds. What
    lies between them no sweep finds, but `pnp.trace` does. A branch ends where it does on the coarser of both meshes.
    Between voltages more than 25 mV apart the sweep takes steps of its own.

    progress: called with the number of voltages done since it was called last. Points that do not converge are NaN
    with status NOT_CONVERGED. Not differentiable. Raises ChannelError and ValueError as `pnp.iv_curve`.
    """
    check_problem(channel, nodes)
    voltages = np.asarray(voltages, float)
    if voltages.ndim != 1 or voltages.size == 0:
        raise ValueError(f"voltages must be a list of numbers in mV, not of shape {voltages.shape}")
    settings, progress = settings or Settings(), progress or (lambda done: None)
    wanted, which, repeats = np.unique(voltages, return_inverse=True, return_counts=True)
    path, stops = _path(wanted)
    discretized = discretize(channel, nodes)
    afresh = _afresh(discretized)
    before, points = afresh, []
    for i in range(path.size):
        at = path[[i, -1 - i]]
        point, after, followed = _step(discretized, before, at, settings)
        if before is not afresh and not bool(np.all(followed)):
            # The branch has ended, or is beyond Newton's reach.
            other, other_after, _ = _step(discretized, afresh, at, settings)
            take = lambda new, old, kept=followed: jnp.where(kept.reshape(2, *[1] * (new.ndim - 1)), old, new)
            point, after = jax.tree.map(take, (other, other_after), (point, after))
        points.append(jax.tree.map(np.asarray, point))
        before = after
        if i in stops:
            progress(int(repeats[stops.index(i)]))
    along = jax.tree.map(lambda *values: np.stack(values, axis=1), *points)
    chosen = np.array(stops)[which]
    up = Currents(**{name: values[0][chosen] for name, values in along.items()}, ion_names=channel.ion_names)
    down = Currents(**{name: values[1][::-1][chosen] for name, values in along.items()}, ion_names=channel.ion_names)
    return _compared(channel, nodes, up, down, float(discretized.least_current))


def _path(wanted: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Voltages from the first to the last in steps short enough, and where among them the wanted ones are."""
    parts, stops = [wanted[:1]], [0]
    for low, high in pairwise(wanted):
        count = int(np.ceil((high - low) / LONGEST_STEP))
        parts.append(np.linspace(low, high, count + 1)[1:])
        stops.append(stops[-1] + count)
    return np.concatenate(parts), stops


def _compared(channel: Channel, nodes: int, up: Currents, down: Currents, least: float) -> Hysteresis:
    size = np.maximum(np.maximum(np.abs(up.current), np.abs(down.current)), least)
    difference = np.abs(up.current - down.current) / size
    errors = sum(c.conservation_error + c.discretization_error for c in (up, down))
    several = difference > np.maximum(LEAST_DIFFERENCE, SAFETY * errors)  # False where a current is NaN
    marked = lambda c: eqx.tree_at(lambda c: c.status, c, np.where(several, Status.MULTIPLE_SOLUTIONS, c.status))
    return Hysteresis(marked(up), marked(down), difference, several, channel, nodes)


def _afresh(discretized) -> Begin:
    """Both sweeps at the start of an ordinary solve."""
    begin = Begin(discretized.coarse.start, discretized.fine.start, Origin(jnp.zeros(()), jnp.zeros(())))
    return jax.tree.map(lambda value: jnp.stack([value, value]), begin)


@eqx.filter_jit
def _step(discretized, before: Begin, voltages, settings):
    """The next point of both sweeps, where each is to go on from there, and whether both meshes got there from
    `before`. The fine mesh begins from the coarse one, and so finds itself on the same branch."""

    def one(before: Begin, voltage):
        coarse, fine = solve_on_meshes(discretized, voltage, settings, begin=before)
        state, _ = assess(discretized, voltage, coarse, fine)
        here = lambda iterate, start: Start(iterate.absolute, iterate.absolute, start.shape)
        origin = Origin(jnp.full_like(voltage, 0.5), fine.steady.voltage)
        after = Begin(here(coarse, before.coarse), here(fine, before.fine), origin)
        lost = [iterate.report.status == Status.NOT_CONVERGED for iterate in (coarse, fine)]
        return without_profiles(state), after, ~(lost[0] | lost[1])

    return jax.vmap(one)(before, voltages)
