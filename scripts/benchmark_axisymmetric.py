"""Speed of the axisymmetric solver: one Newton step against SciPy's SuperLU on the same matrix, and whole solves.

    python scripts/benchmark_axisymmetric.py [CHANNEL] [--resolutions 0.5,1,2] [--voltage 200]

SuperLU factorises and solves (column order MMD_AT_PLUS_A, the fastest of its orders for such matrices); its time is
without assembling the matrix, that of the step includes it. The order is that of the current between three meshes. The
derivative of the current by the surface charge of the wall, at resolution 1, is that of d ln I / d ln σ.
"""

import argparse
import resource
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

import pnp
from pnp.analysis.discretized import Discretized
from pnp.analysis.mesh_hierarchy import solve_on_meshes, steady_state
from pnp.channel.charge import WallCharge
from pnp.finite_volume.axisymmetric.assembly import System, linearize
from pnp.finite_volume.axisymmetric.scheme import AXISYMMETRIC_SCHEME
from pnp.settings import Settings


@eqx.filter_jit
def converged(discretized: Discretized, voltage):
    """The problem and unknowns of the fine mesh, with a batch axis."""
    *_, fine = solve_on_meshes(discretized, voltage, Settings())
    return jax.tree.map(lambda leaf: leaf[..., None], (fine.problem, fine.unknowns))


@eqx.filter_jit
def step(problem, unknowns):
    """One Newton update: linearised, eliminated, solved."""
    return AXISYMMETRIC_SCHEME.newton_update(problem, unknowns, False, None)[0]


@eqx.filter_jit
def solved(discretized: Discretized, voltage):
    """On all meshes, with the errors and observables."""
    return steady_state(discretized, voltage, Settings())


@eqx.filter_jit
def gradient(discretized: Discretized, voltage):
    """The current and its gradient by all numbers of the discretised channel."""
    numbers, rest = eqx.partition(discretized, eqx.is_inexact_array)
    current = lambda numbers: steady_state(eqx.combine(numbers, rest), voltage, Settings()).current
    return jax.value_and_grad(current)(numbers)


def wall_charge(channel) -> list:
    """The surface charges of its wall."""
    return [charge.density for charge in channel.pore.charge if isinstance(charge, WallCharge)]


def current_of(channel: pnp.Channel, voltage: float):
    """ln |I| as a function of ln s, where s multiplies all surface charge of the wall."""

    def log_current(log_factor):
        times = lambda charges: jax.tree.map(lambda density: density * jnp.exp(log_factor), charges)
        charged = eqx.tree_at(wall_charge, channel, times(wall_charge(channel)))
        return jnp.log(jnp.abs(pnp.solve(charged, voltage, discretization=pnp.Axisymmetric()).current))

    return log_current


def seconds(work, repeats: int) -> float:
    """Median wall time, after one call to compile."""
    jax.block_until_ready(work())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def sparse(system: System) -> tuple[csc_matrix, np.ndarray]:
    """The matrix and right-hand side of a Newton step, for SciPy."""
    count, slices, nodes, _ = system.balance.shape
    index = np.arange(slices * count * nodes).reshape(slices, count, nodes)
    rows, columns, values = [], [], []
    for offset, band in zip((-1, 0, 1), system.bands, strict=True):
        i, u, v, shift, node = np.nonzero(np.asarray(band)[..., 0])
        rows.append(index[i, u, node])
        columns.append(index[i + offset, v, node + shift - 1])
        values.append(np.asarray(band)[i, u, v, shift, node, 0])
    size = index.size
    matrix = csc_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (size, size))
    return matrix, -np.moveaxis(np.asarray(system.balance)[..., 0], 0, 1).ravel()


def superlu(matrix, rhs, repeats: int) -> tuple[float, np.ndarray]:
    """Median wall time to factorise and solve, and the solution."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        x = splu(matrix, permc_spec="MMD_AT_PLUS_A").solve(rhs)
        times.append(time.perf_counter() - start)
    return float(np.median(times)), x


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("channel", nargs="?", default="conical-nanopore")
    parser.add_argument("--resolutions", default="0.5,1,2")
    parser.add_argument("--voltage", type=float, default=200.0)
    given = parser.parse_args()
    channel, voltage = pnp.load(given.channel), jnp.asarray(given.voltage)
    print(f"{channel.name} at {given.voltage:g} mV; {jax.devices()[0].device_kind}, {len(channel.ion_names)} ions\n")
    print("| nodes | step, s | SuperLU, s | SuperLU / step | solve, s | steps | gradient / solve | peak, GB | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    currents = []
    for resolution in map(float, given.resolutions.split(",")):
        discretized = pnp.Axisymmetric(resolution).discretize(channel)
        problem, unknowns = converged(discretized, voltage)
        repeats = 3 if discretized.r.size > 10_000 else 7
        own = seconds(lambda at=(problem, unknowns): step(*at), repeats)
        system = eqx.filter_jit(linearize)(problem, unknowns * (1 + 1e-6))
        matrix, rhs = sparse(system)
        other, x = superlu(matrix, rhs, repeats)
        found = np.moveaxis(np.asarray(step(problem, unknowns * (1 + 1e-6)))[..., 0], 0, 1).ravel()
        assert np.abs(found - x).max() < 1e-6 * np.abs(x).max(), "SuperLU finds another update"
        state = solved(discretized, voltage)
        whole = seconds(lambda discretized=discretized: solved(discretized, voltage), 3)
        slope = seconds(lambda discretized=discretized: gradient(discretized, voltage), 3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        currents.append(float(state.current))
        print(
            f"| {discretized.r.size} | {own:.3f} | {other:.3f} | {other / own:.2f} | {whole:.2f} | "
            f"{int(state.iterations)} "
            f"| {slope / whole:.2f} | {peak:.1f} | {float(state.discretization_error):.1e} |",
            flush=True,
        )
    if len(currents) > 2:
        first, second = np.diff(currents[-3:])
        print(f"\norder of the current: {np.log2(abs(first / second)):.2f}")
    at = np.linspace(-200.0, 200.0, 11)
    start = time.perf_counter()
    jax.block_until_ready(pnp.iv_curve(channel, at, discretization=pnp.Axisymmetric()).current)
    first = time.perf_counter() - start
    again = seconds(lambda: pnp.iv_curve(channel, at, discretization=pnp.Axisymmetric()).current, 1)
    print(f"I–V of 11 voltages at resolution 1: {again:.1f} s, {first:.1f} s the first time")
    if wall_charge(channel):
        of_charge, at, h = current_of(channel, given.voltage), jnp.asarray(0.0), 1e-4
        forward, reverse = jax.jvp(of_charge, (at,), (jnp.ones(()),))[1], jax.grad(of_charge)(at)
        difference = (of_charge(at + h) - of_charge(at - h)) / (2 * h)
        print(
            f"d ln I / d ln σ at {given.voltage:g} mV: forward {forward:.9f}, reverse {reverse:.9f}, "
            f"by difference {difference:.9f} (in which the mesh moves as well)"
        )


if __name__ == "__main__":
    main()
