"""What a user asks of a channel: a steady state (`solve`), an I–V curve, a reversal potential, a conductance."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.analysis.discretized import Discretized, discretize
from pnp.analysis.solution import (
    LANES,
    Currents,
    Solution,
    assess,
    check_arguments,
    solve_on_meshes,
    steady_state,
    without_profiles,
)
from pnp.channel.channel import Channel
from pnp.channel.profiles import ChannelError
from pnp.channel.validate import axisymmetric_problems, wall_stretches
from pnp.finite_volume.axial.mesh import DEFAULT_NODES, least_nodes
from pnp.finite_volume.axisymmetric.mesh import CELLS, RESOLUTIONS
from pnp.settings import Settings, Status

_REVERSAL_STEPS = 30
_REVERSAL_TOLERANCE = 1e-9  # mV


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
    slope: Float[Array, " voltage"]
    """dI/dV, nS, from the solution's own derivative. Constant to differentiation: to differentiate a
    conductance, use `pnp.conductance`."""
    permeability: Float[Array, " ion"]
    """1 / ∫ dx / (D A) from bath to bath, nm³/ns: permeability times area of a pore of this shape without
    charges and energies, which `pnp.theory.ghk_current` needs to say what GHK would."""
    mesh: tuple[int, float | None] = eqx.field(static=True)
    """Elements in one dimension, and the resolution in two if that is what was solved."""
    settings: Settings

    @property
    def dimension(self) -> int:
        """1 or 2."""
        return 1 if self.mesh[1] is None else 2

    def reversal_potential(self) -> float:
        """Voltage (mV) of zero current, solved for from the curve's crossing; NaN if it has none.

        Of several crossings the one nearest 0 mV. To differentiate it, use `pnp.reversal_potential`.
        """
        voltage = _crossing(np.asarray(self.voltage), np.asarray(self.current))
        for _ in range(_REVERSAL_STEPS):
            if np.isnan(voltage):
                break
            at = self._at(voltage)
            step = float(at.ion_current.sum()) / at.slope
            voltage -= step
            if abs(step) < _REVERSAL_TOLERANCE:
                return voltage
        return float("nan")

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
        same = np.abs(np.asarray(self.voltage) - voltage) < _REVERSAL_TOLERANCE
        known = np.flatnonzero(same & np.asarray(self.converged))
        if known.size:
            return _Point(np.asarray(self.ion_current)[known[0]], float(self.slope[known[0]]))
        one_by_one = self.dimension == 2 and not _side_by_side()
        same_shape = jnp.full_like(self.voltage[: 1 if one_by_one else LANES], voltage)
        again, slope = _with_line(_solve_curve, discretize(self.channel, *self.mesh), same_shape, self.settings)
        return _Point(np.asarray(again["ion_current"][0]), float(slope[0]))

    def to_xarray(self):
        """An `xarray.Dataset` with units, names and provenance."""
        from pnp.io.datasets import curve_dataset

        return curve_dataset(self)


def solve(
    channel: Channel,
    voltage: ArrayLike,
    *,
    dimension: int = 1,
    nodes: int = DEFAULT_NODES,
    resolution: float = 1.0,
    settings: Settings | None = None,
    throw: bool = True,
) -> Solution:
    """The steady state of a channel at one voltage (mV, inside minus outside).

    dimension: 1, along the axis; or 2, the axisymmetric pore with its mouths and the membrane around it. nodes:
    elements of the mesh of one dimension (made even), from whose solution that of two is found. resolution: of the
    grid of two dimensions, how many times the default number of cells each way. throw: raise ConvergenceError if there
    is no answer; otherwise, and always under `jit`, `grad` and `vmap`, the Solution is NaN and its status says why.
    Differentiable in the channel and in the voltage, forward and reverse.

    Raises ConvergenceError; ChannelError if the channel makes no sense; ValueError for bad arguments.
    """
    mesh = check_problem(channel, nodes, dimension, resolution)
    voltage = jnp.asarray(voltage, float)
    if voltage.ndim:
        raise ValueError(f"solve takes one voltage, not {voltage.shape}; use pnp.iv_curve")
    state = _with_line(_solve_one, discretize(channel, *mesh), voltage, settings or Settings())
    solution = Solution(**vars(state), channel=channel)
    concrete = not any(isinstance(v, jax.core.Tracer) for v in (solution.status, solution.current))
    if throw and concrete and int(solution.status) == Status.NOT_CONVERGED:
        raise ConvergenceError(
            f"{channel.name} at {float(voltage):g} mV {solution.message} "
            f"({int(solution.iterations)} Newton steps were taken)"
        )
    return solution


def iv_curve(
    channel: Channel,
    voltages: ArrayLike,
    *,
    dimension: int = 1,
    nodes: int = DEFAULT_NODES,
    resolution: float = 1.0,
    settings: Settings | None = None,
) -> IVCurve:
    """Currents at many voltages (mV), solved as one batch; in two dimensions on a processor one after the other.

    dimension, nodes, resolution: as in `solve`. Points that do not converge are NaN with status NOT_CONVERGED; nothing
    is raised for them. Raises ChannelError and ValueError as `solve`.
    """
    mesh = check_problem(channel, nodes, dimension, resolution)
    voltages = jnp.asarray(voltages, float)
    if voltages.ndim != 1 or voltages.size == 0:
        raise ValueError(f"voltages must be a list of numbers in mV, not of shape {voltages.shape}")
    discretized, settings = discretize(channel, *mesh), settings or Settings()
    numbers, slope = _with_line(_solve_curve, discretized, voltages, settings)
    return IVCurve(
        **numbers,
        ion_names=channel.ion_names,
        channel=channel,
        slope=slope,
        permeability=discretized.permeability,
        mesh=mesh,
        settings=settings,
    )


def reversal_potential(
    channel: Channel,
    *,
    guess: ArrayLike = 0.0,
    dimension: int = 1,
    nodes: int = DEFAULT_NODES,
    resolution: float = 1.0,
) -> Float[Array, ""]:
    """Voltage (mV) at which the total current vanishes, to round-off; NaN if none is found.

    dimension, nodes, resolution: as in `solve`. A root of `solve(channel, V).current` by Newton's method from `guess`
    (mV); differentiable.
    """
    mesh = check_problem(channel, nodes, dimension, resolution)
    return _reversal(discretize(channel, *mesh), jnp.asarray(guess, float))


def conductance(
    channel: Channel,
    voltage: ArrayLike = 0.0,
    *,
    dimension: int = 1,
    nodes: int = DEFAULT_NODES,
    resolution: float = 1.0,
) -> Float[Array, ""]:
    """Slope conductance dI/dV (nS) at `voltage` (mV), the derivative of the solution itself.

    Arguments as in `solve`.
    """
    mesh = check_problem(channel, nodes, dimension, resolution)
    return _slope(discretize(channel, *mesh), jnp.asarray(voltage, float))


# --- the work --------------------------------------------------------------------------------


# Programs of their own, apart from that of the meshes: they are the same for all channels of as many ions.


def _with_line(solved, discretized, voltage, settings):
    """Of a plane, begun from the line's solution, which the program for one dimension finds."""
    line = None
    if discretized.line is not None:
        _, line = solved(*jax.lax.stop_gradient((discretized.line, voltage)), settings, None)
    result, _ = solved(discretized, voltage, settings, line)
    return result


@eqx.filter_jit
def _solve_one(discretized, voltage, settings, line):
    coarse, fine = solve_on_meshes(discretized, voltage, settings, line=line)
    return assess(discretized, voltage, coarse, fine)[0], _along(discretized, fine)


@eqx.filter_jit
def _solve_curve(discretized, voltages, settings, lines):
    def one(voltage, line):
        coarse, fine = solve_on_meshes(discretized, voltage, settings, with_sensitivity=True, line=line)
        state, slope = assess(discretized, voltage, coarse, fine)
        return (without_profiles(state), slope), _along(discretized, fine)

    if discretized.r is not None and not _side_by_side():
        # A processor is busy with one, and none has to wait for the slowest.
        return jax.lax.map(lambda each: one(*each), (voltages, lines))
    return jax.vmap(one)(voltages, lines)


def _along(discretized, fine):
    """What a plane can be begun from."""
    return fine.absolute if discretized.r is None else None


def _side_by_side() -> bool:
    """Whether several problems of two dimensions are solved together."""
    return jax.default_backend() != "cpu"


@eqx.filter_jit
def _slope(discretized, voltage):
    current = lambda v: steady_state(discretized, v, Settings()).current
    return jax.jvp(current, (voltage,), (jnp.ones_like(voltage),))[1]


def reversal_of_discretized(discretized: Discretized, guess: Array) -> Array:
    """`reversal_potential` of what `discretize` makes of a channel, as part of a larger program."""
    # In units of the pore's ohmic conductance, so that Newton's tolerances mean the same for every pore.
    unit = jax.lax.stop_gradient(units.CURRENT_PER_FLUX * discretized.ohmic)
    current = lambda v, discretized: steady_state(discretized, v, Settings()).current / unit
    newton: Any = optimistix.Newton(rtol=1e-11, atol=1e-11)
    root: Any = optimistix.root_find(current, newton, guess, args=discretized, max_steps=30, throw=False)
    return jnp.where(root.result == optimistix.RESULTS.successful, root.value, jnp.nan)


_reversal = eqx.filter_jit(reversal_of_discretized)


def check_problem(
    channel: Channel, nodes: int, dimension: int = 1, resolution: float = 1.0
) -> tuple[int, float | None]:
    """Raise what `solve` raises of its arguments; of a channel that is being traced only what can be known.

    What `discretize` wants to know besides the channel.
    """
    check_arguments(channel, nodes)
    if dimension not in (1, 2):
        raise ValueError(f"dimension must be 1 or 2, not {dimension!r}")
    least, most = RESOLUTIONS
    if not least <= resolution <= most:
        raise ValueError(f"resolution must be from {least:g} to {most:g}, not {resolution!r}")
    mesh = (nodes, None if dimension == 1 else float(resolution))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(channel)):
        return mesh
    channel.validate()
    with jax.ensure_compile_time_eval():
        needed = int(least_nodes(channel))
    if nodes < needed:
        raise ValueError(f"{nodes} nodes are too few for the jumps and kinks of {channel.name}; give at least {needed}")
    if dimension == 2:
        found = axisymmetric_problems(channel)
        if found:
            raise ChannelError("; ".join(found))
        stretches = wall_stretches(channel)
        enough = 2 * stretches / CELLS["membrane"]
        if resolution < enough:
            raise ValueError(
                f"a resolution of {resolution:g} is too low for the {stretches} stretches between jumps and kinks of "
                f"{channel.name}; give at least {enough:.2g}"
            )
    return mesh


def _crossing(voltage, current) -> float:
    """Where a sampled curve crosses zero nearest 0 mV, by linear interpolation; NaN if nowhere."""
    order = np.argsort(voltage)
    v, i = voltage[order], current[order]
    v, i = v[np.isfinite(i)], i[np.isfinite(i)]
    zeros = list(v[i == 0.0])
    left = np.flatnonzero(i[:-1] * i[1:] < 0)
    zeros += list(v[left] - i[left] * (v[left + 1] - v[left]) / (i[left + 1] - i[left]))
    return float(min(zeros, key=abs)) if zeros else float("nan")
