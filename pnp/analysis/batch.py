"""Many cases at once, of channels, voltages or both: in parts that fit a processor, on all cores or devices."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import ArrayLike

from pnp.analysis.discretized import discretize
from pnp.analysis.solution import LANES, Currents, check_arguments, steady_state, without_profiles
from pnp.channel.channel import Channel
from pnp.finite_volume.axial.mesh import DEFAULT_NODES
from pnp.settings import Settings

FEW_LANES = 8
"""The same on a processor for continuations, of which one may take a hundred times as long as its neighbour."""

GPU_LANES = 8192
"""Cases side by side on a GPU, which has that many threads and more."""


def solve_batch(
    channels: Channel,
    voltages: ArrayLike,
    *,
    nodes: int = DEFAULT_NODES,
    settings: Settings | None = None,
    devices: Sequence[jax.Device] | None = None,
    lanes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Currents:
    """Currents of many channels, voltages or both, up to millions of cases; not differentiable.

    channels: one Channel, or many of the same structure as one whose numbers are arrays [case], as
    `jax.tree.map(lambda *n: jnp.stack(n), *channels)` and `jax.vmap` make them. voltages: mV, [case] or one for all.
    devices: JAX devices to share the cases (default: all of them). lanes: cases that a device solves side by side.
    progress: called with the number of cases done since it was called last.

    The cases go through in parts, each with its own Newton loop, first in a hurry; those that need more steps than
    most are then solved together, and at last the few that need a continuation. All arrays of the result are NumPy's,
    [case] (see `Currents`).

    Raises TypeError, ValueError for bad arguments; what is wrong with a channel shows in its status.
    """
    check_arguments(channels, nodes)
    many = channels.temperature.ndim == 1
    count = np.broadcast_shapes(np.shape(voltages), channels.temperature.shape)
    if len(count) != 1 or 0 in count:
        raise ValueError(
            f"cases are channels [case], voltages [case] or both, not {channels.temperature.shape} "
            f"and {np.shape(voltages)}"
        )
    devices = list(devices or jax.devices())
    on_processor = devices[0].platform == "cpu"
    lanes = min(lanes or (LANES if on_processor else GPU_LANES), -(-count[0] // len(devices)))
    mesh = Mesh(np.array(devices), ("case",))
    place = lambda tree, cut: jax.device_put(tree, NamedSharding(mesh, PartitionSpec(*(["case"] * cut))))
    voltages = np.broadcast_to(np.asarray(voltages, float), count)
    channels = jax.tree.map(np.asarray, channels)
    one = None if many else place(discretize(channels, nodes), False)

    def part(cases: np.ndarray, how: Settings, size: int) -> Currents:
        """The cases named, on all devices; the last one again and again if they are too few."""
        here = np.concatenate([cases, np.repeat(cases[-1:], size - cases.size)])
        discretized = one or _levels_of(place(jax.tree.map(lambda numbers: numbers[here], channels), True), nodes)
        result = _solve_part(discretized, place(voltages[here], True), how, mesh, many)
        found: Any = {name: np.asarray(value)[: cases.size] for name, value in result.items()}
        return Currents(**found, ion_names=channels.ion_names)

    def solved(cases: np.ndarray, how: Settings, lanes: int, report: Callable[[Currents], None]) -> Currents:
        # Parts are independent programs, so that as many threads as cores keep a processor busy.
        workers = max(1, (os.cpu_count() or 1) // len(devices)) if on_processor else 2
        size = lanes * len(devices)
        parts = np.split(cases, np.arange(size, cases.size, size))
        results = []
        with ThreadPoolExecutor(workers) as pool:
            first = part(parts[0], how, size)  # which compiles it for all of them
            for result in chain([first], pool.map(lambda p: part(p, how, size), parts[1:])):
                report(result)
                results.append(result)
        return jax.tree.map(lambda *values: np.concatenate(values), *results)

    settings, progress = settings or Settings(), progress or (lambda done: None)
    succeeded = lambda part: progress(int(np.sum(_whole(part))))
    result = solved(np.arange(count[0]), settings.few_iterations(), lanes, succeeded)
    few = min(lanes, FEW_LANES) if on_processor else lanes
    last = lambda part: progress(part.status.size)
    for how, wide, report in ((settings.without_continuation(), lanes, succeeded), (settings, few, last)):
        late = np.flatnonzero(~_whole(result))
        if late.size:
            result = jax.tree.map(partial(_with_entries, late), result, solved(late, how, wide, report))
    return result


def _whole(result: Currents):
    """Which cases have a value on both meshes."""
    return np.isfinite(result.discretization_error)


def _with_entries(at, values, others):
    values = values.copy()
    values[at] = others
    return values


@eqx.filter_jit
def _levels_of(channels, nodes):
    return jax.vmap(lambda channel: discretize(channel, nodes))(channels)


@eqx.filter_jit
def _solve_part(discretized, voltages, settings, mesh, many):
    def one(discretized, voltage, settings):
        return without_profiles(steady_state(discretized, voltage, settings))

    def share(discretized, voltages, settings):
        """What one device does; no other has to wait for its Newton loop."""
        return jax.vmap(one, (0 if many else None, 0, None))(discretized, voltages, settings)

    if mesh.size == 1:
        return share(discretized, voltages, settings)
    case, none = PartitionSpec("case"), PartitionSpec()
    specs = (case if many else none, case, none)
    return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=case, check_vma=False)(
        discretized, voltages, settings
    )
