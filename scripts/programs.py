"""What the benchmark times: each program is made from a few numbers, run, and asked what it found.

Heavy libraries are imported where a program is made, so that a process holds only what its own programs need.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import charged_pore as problem
import numpy as np
from charged_pore import FailedError


class Program(NamedTuple):
    """Something to time."""

    run: Callable[[], Any]
    """One run, finished and checked: raises FailedError if a solve did not converge."""
    outcome: Callable[[Any], dict]
    """What a run found, in NumPy's arrays."""


# --- pnp -------------------------------------------------------------------------------------


def _channel():
    import jax.numpy as jnp

    import pnp

    return pnp.Channel.from_profiles(
        [0.0, problem.LENGTH],
        area=problem.AREA,
        fixed_charge=lambda x: problem.fixed_charge(x, jnp),
        permittivity=problem.PERMITTIVITY,
        ions={name: pnp.Ion(*numbers) for name, numbers in problem.IONS.items()},
        inside=dict.fromkeys(problem.IONS, problem.INSIDE),
        outside=dict.fromkeys(problem.IONS, problem.OUTSIDE),
        temperature=problem.TEMPERATURE,
    )


def _channels(count, times):
    """`count` channels, each several times, as one of which every number is an array: inside baths of 150 to 600 mM."""
    import jax
    import jax.numpy as jnp

    one = _channel()
    if count == 1:
        return one
    several = [one.with_baths(inside=dict.fromkeys(problem.IONS, salt)) for salt in np.geomspace(150.0, 600.0, count)]
    return jax.tree.map(lambda *numbers: jnp.repeat(jnp.stack(numbers), times, axis=0), *several)


def _checked(result, current, what):
    """A result when it is there; raises FailedError if a current of it is not finite, as pnp's is where a solve did not
    converge."""
    import jax

    result = jax.block_until_ready(result)
    if not np.isfinite(current(result)).all():
        raise FailedError(f"{what}: not every solve converged")
    return result


def pnp_curve(voltages, nodes):
    """`pnp.iv_curve`, with the slope at every voltage and errors, as a user gets it."""
    import pnp

    channel, what = _channel(), f"pnp, {nodes} elements"
    return Program(
        lambda: _checked(pnp.iv_curve(channel, voltages, discretization=pnp.Axial(nodes)), lambda iv: iv.current, what),
        lambda iv: {
            "current": np.asarray(iv.current),
            "fine": np.asarray(iv.mesh_current[:, -1]),
            "steps": float(np.mean(iv.iterations)),
        },
    )


def pnp_preset(name, voltages=None, compiled_blocks=True):
    """A ready-made channel: its curve in one dimension, or without voltages one solve in two, at 100 mV.

    compiled_blocks: False to invert the dense blocks of slices in two dimensions on arrays.
    """
    import pnp
    from pnp.linalg import _cpu

    if not compiled_blocks:
        _cpu.invert_slices = lambda *given: None
    channel = pnp.load(name)
    if voltages is None:
        solve = lambda: pnp.solve(channel, 100.0, discretization=pnp.Axisymmetric())
    else:
        solve = lambda: pnp.iv_curve(channel, voltages)
    current = lambda result: result.current
    return Program(lambda: _checked(solve(), current, name), lambda result: {"current": np.asarray(current(result))})


def pnp_batch(channels, voltages, nodes):
    """`channels` channels at `voltages` voltages each, currents only.

    Its outcome has the steps of a state, and the same weighted by the nodes that each step was taken on.
    """
    import pnp

    many, at = _channels(channels, voltages), np.tile(problem.voltages(voltages), channels)
    what = f"pnp, {channels} channels at {voltages} voltages, {nodes} elements"
    solve = lambda settings: pnp.solve_batch(many, at, discretization=pnp.Axial(nodes), settings=settings)
    run = lambda settings: _checked(solve(settings), lambda result: result.current, what)

    def outcome(result):
        # Any error left is good enough for a tolerance of infinity: all steps but one were on the coarse mesh.
        coarse = run(pnp.Settings(tolerance=np.inf)).iterations - 1
        steps = result.iterations
        return {"steps": steps.mean(), "node_steps": (coarse * (nodes / 2) + (steps - coarse) * nodes).mean()}

    return Program(lambda: run(pnp.Settings()), outcome)


def _weighted_sum(voltages, nodes):
    """A weighted sum of the currents at voltages (mV) as a function of the channel, such as a fit differentiates."""
    import jax
    import jax.numpy as jnp

    import pnp

    weights = jnp.cos(jnp.arange(voltages.size))

    def total(channel):
        current = lambda voltage: pnp.solve(channel, voltage, discretization=pnp.Axial(nodes)).current
        return weights @ jax.vmap(current)(jnp.asarray(voltages))

    return total


def pnp_sum(voltages, nodes):
    """A weighted sum of the currents of a curve."""
    import jax

    channel, total = _channel(), jax.jit(_weighted_sum(voltages, nodes))
    return Program(lambda: _checked(total(channel), lambda value: value, "pnp, weighted currents"), lambda result: {})


def pnp_gradient(voltages, nodes):
    """That sum and its gradient with respect to every number of the channel, in reverse."""
    import jax

    channel, both = _channel(), jax.jit(jax.value_and_grad(_weighted_sum(voltages, nodes)))
    return Program(lambda: _checked(both(channel), lambda result: result[0], "pnp, gradient"), _derivatives)


def pnp_jacobian(voltages, nodes):
    """The currents of a curve, and the gradient of each of them with respect to every number of the channel."""
    import jax

    import pnp

    channel = _channel()
    current = lambda channel, voltage: pnp.solve(channel, voltage, discretization=pnp.Axial(nodes)).current
    both = jax.jit(jax.vmap(jax.value_and_grad(current), (None, 0)))
    return Program(lambda: _checked(both(channel, voltages), lambda result: result[0], "pnp, gradients"), _derivatives)


def _derivatives(result):
    """The derivatives of a result (value, derivatives), one after the other, [..., number]; none may be NaN."""
    import jax

    value, derivatives = result
    columns = [np.asarray(leaf).reshape(*np.shape(value), -1) for leaf in jax.tree.leaves(derivatives)]
    if not all(np.isfinite(column).all() for column in columns):
        raise FailedError("pnp: a derivative is not finite")
    return {"derivatives": np.concatenate(columns, axis=-1)}


def jax_copy(megabytes):
    """An array read and written in its place, as new memory costs more than its use: how fast memory is at best."""
    import jax
    import jax.numpy as jnp

    import pnp  # noqa: F401  (64-bit floats)

    array, step = jnp.ones(megabytes * 125_000), jax.jit(lambda array: array + 1, donate_argnums=0)

    def run():
        nonlocal array
        array = jax.block_until_ready(step(array))
        return array

    return Program(run, lambda result: {"bytes": 2 * result.nbytes})


def devices():
    """What JAX runs on, and the versions in use."""
    import platform

    import jax
    import scipy

    run = lambda: jax.devices()[0]
    versions = f"Python {platform.python_version()}, jax {jax.__version__}, "
    versions += f"numpy {np.__version__}, scipy {scipy.__version__}"
    return Program(run, lambda d: {"platform": d.platform, "kind": d.device_kind, "versions": versions})


# --- baselines -------------------------------------------------------------------------------


def _newton(iv_curve, voltages, elements, extrapolate):
    def run():
        current, steps = iv_curve(voltages, elements)
        if not extrapolate:
            return current, steps
        coarse, coarse_steps = iv_curve(voltages, elements // 2, problem.ROUGH_TOLERANCE)
        return problem.extrapolated(current, coarse), steps + coarse_steps

    return Program(run, lambda result: {"current": result[0], "steps": float(result[1].mean())})


def numpy_curve(voltages, elements, extrapolate):
    """`baseline_numpy`, on one mesh or extrapolated from it and the one half as fine."""
    from baseline_numpy import iv_curve

    return _newton(iv_curve, voltages, elements, extrapolate)


def numba_curve(voltages, elements, extrapolate):
    """`baseline_numba`, alike."""
    from baseline_numba import iv_curve

    return _newton(iv_curve, voltages, elements, extrapolate)


def bvp_curve(voltages, script, tolerance):
    """One of the scripts of `baseline_bvp`."""
    from baseline_bvp import SCRIPTS

    outcome = lambda result: {"current": result[0], "points": result[1]}
    return Program(lambda: SCRIPTS[script](voltages, tolerance), outcome)


def bvp_reference(voltages):
    """What errors are stated against."""
    from baseline_bvp import reference

    return Program(lambda: reference(voltages), lambda current: {"current": current})
