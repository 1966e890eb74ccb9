"""Steady states of a channel: one (`solve`), an I–V curve, a reversal potential, a conductance."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp.analysis.discretization import AXIAL, Discretization, check_problem
from pnp.analysis.discretized import Discretized
from pnp.analysis.mesh_hierarchy import assess, solve_on_meshes, steady_state, without_profiles
from pnp.analysis.reversal import TOLERANCE, bracket, narrowed, reversal_of_discretized
from pnp.analysis.solution import Currents, Solution, labels
from pnp.channel.channel import Channel
from pnp.finite_volume.problem import MeshSolution
from pnp.quantity import as_millivolts
from pnp.settings import CPU_BATCH, Settings, Status
from pnp.tracing import is_traced


class ConvergenceError(RuntimeError):
    """No steady state was found; the message says where and what to try."""


class _Point(NamedTuple):
    ion_current: np.ndarray
    """[ion], pA."""
    slope: float
    """nS."""


class IVCurve(Currents):
    """Currents of one channel at several voltages. A point that did not converge is NaN, and its status says so."""

    channel: Channel
    slope: Float[Array, " voltage"] = eqx.field(metadata=labels("nS", "slope conductance dI/dV"))
    """From the solution's own derivative. Constant to differentiation: to differentiate a conductance, use
    `pnp.conductance`."""
    permeability: Float[Array, " ion"]
    """1 / ∫ dx / (D A) from bath to bath, nm³/ns: permeability times area of a pore of this shape without charges and
    energies, the input of `pnp.theory.ghk_current`."""
    settings: Settings

    def reversal_potential(self) -> float:
        """Voltage (mV) of zero current, solved for from the curve's crossing; NaN if it has none.

        Of several crossings the one nearest 0 mV. To differentiate it, use `pnp.reversal_potential`.
        """
        crossing = _crossing(*(np.asarray(each) for each in (self.voltage, self.current, self.slope)))
        if crossing is None:
            return float("nan")
        search = bracket(*crossing)
        while bool(search.searching):
            at = self._at(float(search.voltage))
            search = narrowed(search, float(at.ion_current.sum()), at.slope)
        return float(search.root)

    def conductance(self, voltage: float = 0.0) -> float:
        """Slope conductance dI/dV at `voltage` (mV), nS; NaN if that does not converge."""
        return self._at(voltage).slope

    def rectification(self, voltage: float) -> float:
        """|I(V) / I(−V)| at V = `voltage` (mV): above 1 if the pore conducts better at V; NaN without current at −V.

        Each of them is solved for, unless it is a point of the curve.
        """
        there, back = (abs(float(self._at(v).ion_current.sum())) for v in (voltage, -voltage))
        return there / back if back else float("nan")

    def selectivity(self, voltage: float) -> float:
        """(|I₊| − |I₋|) / (|I₊| + |I₋|) of the currents of all cations and of all anions at `voltage` (mV): 1 if
        cations alone carry it, −1 if anions do; NaN without current. Solved for, unless it is a point of the curve.

        It counts what flows: between unlike baths it depends on the voltage, and ions that flow against the current
        count like those that carry it.
        """
        current, valence = self._at(voltage).ion_current, self.channel.valence
        cations, anions = abs(float(current[valence > 0].sum())), abs(float(current[valence < 0].sum()))
        return (cations - anions) / (cations + anions) if cations + anions else float("nan")

    def _at(self, voltage: float) -> "_Point":
        """One voltage: a point of the curve, or solved by the program already compiled for it."""
        same = np.abs(np.asarray(self.voltage) - voltage) < TOLERANCE
        known = np.flatnonzero(same & np.asarray(self.converged))
        if known.size:
            return _Point(np.asarray(self.ion_current)[known[0]], float(self.slope[known[0]]))
        same_shape = jnp.full_like(self.voltage[: _batch(self.discretization)], voltage)
        again, slope = _with_axial_guess(
            _solve_curve, self.discretization.discretize(self.channel), same_shape, self.settings
        )
        return _Point(np.asarray(again["ion_current"][0]), float(slope[0]))

    def to_xarray(self):
        """An `xarray.Dataset` with units, names and provenance."""
        from pnp.io.datasets import curve_dataset

        return curve_dataset(self)


def solve(
    channel: Channel,
    voltage: ArrayLike | str,
    *,
    discretization: Discretization = AXIAL,
    settings: Settings | None = None,
    throw: bool = True,
) -> Solution:
    """The steady state of a channel at one voltage.

    - voltage: inside minus outside, mV, or a string with its unit, "0.1 V".
    - discretization: `pnp.Axial(nodes=…)`, one dimension; or `pnp.Axisymmetric(resolution=…)`, two. With
      `pnp.Axial(nodes="auto")` that of the result is the one that was fine enough.
    - settings: tolerances and limits of Newton's method.
    - throw: whether to raise ConvergenceError if there is no solution. Otherwise, and always under `jit`, `grad` and
      `vmap`, the Solution is NaN and its status says why.

    Differentiable in the channel and in the voltage, forward and reverse: the derivative of the current as shown, with
    the positions of the meshes held. `pnp.sensitivity` gives derivatives with their errors.

    Raises ConvergenceError; ChannelError if the channel makes no sense; TypeError and ValueError for bad arguments.
    """
    check_problem(channel, discretization)
    voltage = as_millivolts(voltage)
    if voltage.ndim:
        raise ValueError(f"solve takes one voltage, not {voltage.shape}; use pnp.iv_curve")
    for tried in discretization.ladder:
        state = _with_axial_guess(_solve_one, tried.discretize(channel), voltage, settings or Settings())
        if is_traced(state.status) or not _needs_finer(state.status):
            break
    solution = Solution(**vars(state), channel=channel, discretization=tried)
    if throw and not is_traced((solution.status, solution.current)) and int(solution.status) == Status.NOT_CONVERGED:
        raise ConvergenceError(
            f"{channel.name} at {float(voltage):g} mV {solution.message} "
            f"({int(solution.iterations)} Newton steps were taken)"
        )
    return solution


def iv_curve(
    channel: Channel,
    voltages: ArrayLike | Sequence,
    *,
    discretization: Discretization = AXIAL,
    settings: Settings | None = None,
    progress: Callable[[int], None] | None = None,
    batch: int | None = None,
) -> IVCurve:
    """Currents at many voltages, solved as one batch; in two dimensions on a CPU one after the other.

    - voltages: mV, [voltage]; each may be a string with its unit.
    - discretization, settings: as in `solve`.
    - batch: how many voltages are solved together. Unless given all of them, or as many as suit the device if there
      is a `progress`.
    - progress: called with the number of voltages of each batch. On KeyboardInterrupt the curve of the voltages solved
      so far is returned, if there are any.

    Points that do not converge are NaN with status NOT_CONVERGED; nothing is raised for them. Raises ChannelError,
    TypeError and ValueError as `solve`.
    """
    check_problem(channel, discretization)
    voltages = as_millivolts(voltages)
    if voltages.ndim != 1 or voltages.size == 0:
        raise ValueError(f"voltages must be a list of numbers in mV, not of shape {voltages.shape}")
    discretization, *finer = discretization.ladder
    discretized, settings = discretization.discretize(channel), settings or Settings()
    solved_on = lambda discretized: lambda part: _with_axial_guess(_solve_curve, discretized, part, settings)
    size = min(voltages.size, batch or _batch(discretization))
    if progress is None and batch is None:
        found = solved_on(discretized)(voltages)
    else:
        found = _in_batches(solved_on(discretized), voltages, size, progress or (lambda done: None))
    for each in finer:
        again = np.flatnonzero([] if is_traced(found) else _needs_finer(found[0]["status"]))
        if not again.size:
            break
        discretization = each
        better = _in_batches(solved_on(each.discretize(channel)), voltages[again], size, lambda done: None)
        found = jax.tree.map(lambda old, new, at=again: old.at[at[: len(new)]].set(new), found, better)
    numbers, slope = found
    return IVCurve(
        **numbers,
        ion_names=channel.ion_names,
        discretization=discretization,
        channel=channel,
        slope=slope,
        permeability=discretized.permeability,
        settings=settings,
    )


def _needs_finer(status):
    """Whether a finer mesh is called for."""
    return (status == Status.MESH_TOO_COARSE) | (status == Status.NOT_CONVERGED)


def _in_batches(solved: Callable, voltages: Array, size: int, progress: Callable[[int], None]):
    """`solved` of batches of equal size, so that one program serves all, joined; on KeyboardInterrupt those done."""
    parts: list[Any] = []
    try:
        for first in range(0, voltages.size, size):
            part = voltages[first : first + size]
            full = jnp.concatenate([part, jnp.repeat(part[-1:], size - part.size)])
            found = jax.block_until_ready(solved(full))
            parts.append(jax.tree.map(lambda leaf, count=part.size: leaf[:count], found))
            progress(part.size)
    except KeyboardInterrupt:
        if not parts:
            raise
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def reversal_potential(
    channel: Channel, *, guess: ArrayLike | str = 0.0, discretization: Discretization = AXIAL
) -> Float[Array, ""]:
    """Voltage (mV) at which the total current vanishes, to round-off.

    It is looked for between the smallest and the largest Nernst potential of the ions, where it must be; NaN if there
    is no steady state there.

    - guess: mV, where the search begins.
    - discretization: as in `solve`.

    Differentiable. Raises as `solve`.
    """
    check_problem(channel, discretization)
    return _reversal(discretization.discretize(channel), as_millivolts(guess))


def conductance(
    channel: Channel, voltage: ArrayLike | str = 0.0, *, discretization: Discretization = AXIAL
) -> Float[Array, ""]:
    """Slope conductance dI/dV (nS) at `voltage` (mV), the derivative of the solution itself.

    - discretization: as in `solve`.

    Differentiable. Raises as `solve`.
    """
    check_problem(channel, discretization)
    return _slope(discretization.discretize(channel), as_millivolts(voltage))


# --- programs, apart from that of the meshes: the same for all channels of as many ions ---------


def _with_axial_guess(solved, discretized: Discretized, voltage, settings):
    """`solved` at a voltage; of an axisymmetric channel with the axial solution as its guess, found by the program for
    one dimension."""
    axial = None
    if discretized.axial is not None:
        _, axial = solved(*jax.lax.stop_gradient((discretized.axial, voltage)), settings, None)
    result, _ = solved(discretized, voltage, settings, axial)
    return result


@eqx.filter_jit
def _solve_one(discretized: Discretized, voltage, settings, axial):
    solutions = solve_on_meshes(discretized, voltage, settings, axial=axial)
    return assess(discretized, voltage, solutions)[0], _axial_guess(discretized, solutions)


@eqx.filter_jit
def _solve_curve(discretized: Discretized, voltages, settings, axial):
    def one(voltage, axial):
        solutions = solve_on_meshes(discretized, voltage, settings, with_sensitivity=True, axial=axial)
        state, slope = assess(discretized, voltage, solutions)
        return (without_profiles(state), slope), _axial_guess(discretized, solutions)

    if discretized.axial is not None and not _as_batch():
        # One problem fills a CPU, and none waits for the slowest.
        return jax.lax.map(lambda each: one(*each), (voltages, axial))
    return jax.vmap(one)(voltages, axial)


def _axial_guess(discretized: Discretized, solutions: tuple[MeshSolution, ...]):
    """phi and mu of an axial solution, the guess of an axisymmetric one."""
    return solutions[-1].absolute if discretized.axial is None else None


def _as_batch() -> bool:
    """Whether axisymmetric problems are solved as a batch."""
    return jax.default_backend() != "cpu"


def _batch(discretization: Discretization) -> int:
    """How many voltages one program solves."""
    return CPU_BATCH if discretization.dimension == 1 or _as_batch() else 1


@eqx.filter_jit
def _slope(discretized: Discretized, voltage):
    current = lambda v: steady_state(discretized, v, Settings()).current
    return jax.jvp(current, (voltage,), (jnp.ones_like(voltage),))[1]


_reversal = eqx.filter_jit(reversal_of_discretized)


def _crossing(voltage, current, slope) -> tuple[float, float, float, float] | None:
    """Where a sampled curve crosses zero nearest 0 mV, as (low, high, direction, guess) of a bracket; None if nowhere.

    The guess is by linear interpolation. A point counts as zero from which a step of Newton's method would end the
    search: of equal baths the current at 0 mV may be round-off.
    """
    order = np.argsort(voltage)
    v, i, slope = (each[order][np.isfinite(current[order])] for each in (voltage, current, slope))
    zero = (np.abs(i) <= TOLERANCE * np.abs(slope)) & (slope != 0)  # a closed pore has no reversal potential
    i = np.where(zero, 0.0, i)
    found = [(at, at, 1.0, at) for at in v[zero]]
    for k in np.flatnonzero(np.sign(i[:-1]) * np.sign(i[1:]) < 0):
        found.append((v[k], v[k + 1], np.sign(i[k + 1]), v[k] - i[k] * (v[k + 1] - v[k]) / (i[k + 1] - i[k])))
    return min(found, key=lambda each: abs(each[3])) if found else None
