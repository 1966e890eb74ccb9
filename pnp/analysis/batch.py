"""Many cases of channels, voltages or both: in batches that suit the device, on all cores or devices."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import ArrayLike

from pnp.analysis.discretization import AXIAL, Axial, Discretization, axial_only, check_precision
from pnp.analysis.mesh_hierarchy import steady_state, without_profiles
from pnp.analysis.solution import Currents
from pnp.channel.channel import Channel
from pnp.quantity import as_millivolts
from pnp.settings import CPU_BATCH, CPU_CONTINUATION_BATCH, GPU_BATCH, Settings


def solve_batch(
    channels: Channel,
    voltages: ArrayLike | Sequence,
    *,
    discretization: Discretization = AXIAL,
    settings: Settings | None = None,
    devices: Sequence[jax.Device] | None = None,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Currents:
    """Currents of many channels, voltages or both, up to millions of cases; not differentiable.

    - channels: one Channel, or many of the same structure as one whose numbers are arrays [case], as `pnp.stack` makes
      them.
    - voltages: mV, [case] or one for all.
    - discretization: a `pnp.Axial`.
    - devices: JAX devices to share the cases (default: all of them).
    - batch: cases that a device solves together.
    - progress: called with the number of cases done since it was called last.

    The cases are solved in parts, each with its own Newton loop: first with few iterations allowed; those that need
    more are then solved together, and at last the few that need a continuation. All arrays of the result are NumPy's,
    [case] (see `Currents`).

    Raises TypeError, ValueError for bad arguments; what is wrong with a channel shows in its status.
    """
    check_precision()
    discretization = axial_only(discretization, "solve_batch")
    if not isinstance(channels, Channel):
        raise TypeError(f"expected a pnp.Channel, not {type(channels).__name__}; pnp.stack makes one of many")
    voltages = np.asarray(as_millivolts(voltages))
    count = np.broadcast_shapes(np.shape(voltages), channels.temperature.shape)
    if len(count) != 1 or 0 in count:
        raise ValueError(
            f"cases are channels [case], voltages [case] or both, not {channels.temperature.shape} "
            f"and {np.shape(voltages)}"
        )
    cases = _Cases.on_devices(channels, np.broadcast_to(voltages, count), discretization, devices or jax.devices())
    on_cpu = cases.on_cpu
    batch = min(batch or (CPU_BATCH if on_cpu else GPU_BATCH), -(-count[0] // cases.mesh.size))

    settings, progress = settings or Settings(), progress or (lambda done: None)
    succeeded = lambda part: progress(int(np.sum(_whole(part))))
    result = cases.solve(np.arange(count[0]), settings.few_iterations(), batch, succeeded)
    few = min(batch, CPU_CONTINUATION_BATCH) if on_cpu else batch
    last = lambda part: progress(part.status.size)
    for limits, size, report in ((settings.without_continuation(), batch, succeeded), (settings, few, last)):
        late = np.flatnonzero(~_whole(result))
        if late.size:
            result = jax.tree.map(partial(_with_entries, late), result, cases.solve(late, limits, size, report))
    return result


class _Cases(NamedTuple):
    """All cases, and the devices that solve them."""

    channels: Channel
    voltages: np.ndarray
    """mV, [case]."""
    discretization: Axial
    shared: Any
    """The one channel of all cases, discretised and placed on all devices; None if each case has its own."""
    mesh: Mesh
    """Of devices."""

    @classmethod
    def on_devices(cls, channels: Channel, voltages, discretization: Axial, devices) -> "_Cases":
        mesh = Mesh(np.array(list(devices)), ("case",))
        channels = jax.tree.map(np.asarray, channels)
        one = None if channels.stacked else _placed(discretization.discretize(channels), mesh, False)
        return cls(channels, voltages, discretization, one, mesh)

    @property
    def on_cpu(self) -> bool:
        return bool(self.mesh.devices.flat[0].platform == "cpu")

    def solve(self, cases: np.ndarray, settings: Settings, batch: int, report: Callable[[Currents], None]) -> Currents:
        """Solve these cases, `batch` of them per device at a time, and report every part."""
        # Parts are independent programs, so that as many threads as cores keep a CPU busy.
        workers = max(1, (os.cpu_count() or 1) // self.mesh.size) if self.on_cpu else 2
        size = batch * self.mesh.size
        parts = np.split(cases, np.arange(size, cases.size, size))
        results = []
        with ThreadPoolExecutor(workers) as pool:
            first = self._solve_part(parts[0], settings, size)  # which compiles it for all of them
            others = pool.map(lambda part: self._solve_part(part, settings, size), parts[1:])
            for result in chain([first], others):
                report(result)
                results.append(result)
        return jax.tree.map(lambda *values: np.concatenate(values), *results)

    def _solve_part(self, cases: np.ndarray, settings: Settings, size: int) -> Currents:
        """Solve these cases on all devices; the last one is repeated if they are too few."""
        here = np.concatenate([cases, np.repeat(cases[-1:], size - cases.size)])
        discretized = self.shared
        if discretized is None:
            channels = jax.tree.map(lambda numbers: numbers[here], self.channels)
            discretized = _discretized(_placed(channels, self.mesh, True), self.discretization)
        voltages = _placed(self.voltages[here], self.mesh, True)
        result = _solve_part(discretized, voltages, settings, self.mesh, self.shared is None)
        found: Any = {name: np.asarray(value)[: cases.size] for name, value in result.items()}
        return Currents(**found, ion_names=self.channels.ion_names, discretization=self.discretization)


def _placed(tree, mesh: Mesh, split: bool):
    """A tree on all devices, split among them along its first axis or whole on each."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("case") if split else PartitionSpec()))


def _whole(result: Currents):
    """Whether each case has a value on all meshes."""
    return np.isfinite(result.discretization_error)


def _with_entries(at, values, others):
    values = values.copy()
    values[at] = others
    return values


@eqx.filter_jit
def _discretized(channels, discretization: Axial):
    return jax.vmap(discretization.discretize)(channels)


@eqx.filter_jit
def _solve_part(discretized, voltages, settings, mesh, many):
    def one(discretized, voltage, settings):
        return without_profiles(steady_state(discretized, voltage, settings))

    def share(discretized, voltages, settings):
        """The cases of one device, whose Newton loop no other device waits for."""
        return jax.vmap(one, (0 if many else None, 0, None))(discretized, voltages, settings)

    if mesh.size == 1:
        return share(discretized, voltages, settings)
    case, none = PartitionSpec("case"), PartitionSpec()
    specs = (case if many else none, case, none)
    return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=case, check_vma=False)(
        discretized, voltages, settings
    )
