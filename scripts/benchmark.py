"""Time of a 41-point I–V curve by pnp and by `scipy.integrate.solve_bvp` at matched accuracy.

The problem: a pore of 1 nm² and 8 nm without reservoirs, with a fixed charge of −1 M between smooth
edges in its middle, K and Cl at 300 mM inside and 100 mM outside, 25 °C, −200 … 200 mV.

SciPy's side is written here from the equations, in NumPy and with SciPy's constants, and shares with
pnp only the numbers above. Its unknowns are logarithms of the concentrations. Errors are
max |ΔI| / max |I| over the voltages against solve_bvp at a tolerance of 1e-10.

pnp's current is the one extrapolated from the two meshes it solves anyway (`extrapolated_current`).
solve_bvp gets the loosest tolerance of 1e-2, 1e-3, … that is as accurate, in three scripts: as a first one is
written, every voltage from an electroneutral guess and derivatives by SciPy's differences; with each voltage
from the solution and mesh of the one before; and with analytic Jacobians as well.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

LENGTH, AREA = 8.0, 1.0  # nm, nm²
CHARGE, CHARGE_START, CHARGE_END, EDGE = -1.0, 2.0, 6.0, 0.3  # M; nm
PERMITTIVITY, TEMPERATURE = 78.4, 298.15  # relative; K
IONS = {"K": (1, 1.957), "Cl": (-1, 2.032)}  # valence, diffusivity in nm²/ns
INSIDE, OUTSIDE = 300.0, 100.0  # mM of KCl
VOLTAGES = np.linspace(-200.0, 200.0, 41)  # mV

START_POINTS = 81  # of solve_bvp's first mesh: from 41 to 121 it takes about as long, and fewer are less accurate
TOLERANCES = [10.0**-n for n in range(2, 10)]
REFERENCE_TOLERANCE = 1e-10
MOST_POINTS = 200_000
TURN = 0.4  # seconds for which a program is called again and again before the next one has its turn


def fixed_charge(x, xp=np):
    """Fixed charge (M) at x (nm), by NumPy or `jax.numpy`: the same function for both programs."""
    return CHARGE / 2 * (xp.tanh((x - CHARGE_START) / EDGE) - xp.tanh((x - CHARGE_END) / EDGE))


class FailedError(RuntimeError):
    """A solve did not converge."""


# --- solve_bvp -------------------------------------------------------------------------------


class CollocationProblem:
    """The equations for solve_bvp: y = (phi, phi', ln c_K, ln c_Cl), p = (J_K, J_Cl), x in nm.

    phi in kT/e, c in M, J in M nm/ns: phi'' = −(Σ z c + rho)/λ and (ln c)' = −J/(D c) − z phi'.
    """

    def __init__(self, analytic):
        from scipy import constants

        self.analytic = analytic
        self.valence, self.diffusivity = np.array(list(IONS.values()), float).T
        volts = constants.k * TEMPERATURE / constants.e
        faraday = constants.e * constants.N_A
        self.millivolts = 1e3 * volts
        self.screening = constants.epsilon_0 * PERMITTIVITY * volts / faraday * 1e18 / 1e3  # λ, M nm²
        self.picoamperes = faraday * 1e-15 * 1e12 * AREA  # pA in a flux of 1 M nm/ns

    def rates(self, x, y, p):
        """dy/dx, [unknown, point]."""
        c = np.exp(y[2:])
        out = np.empty_like(y)
        out[0] = y[1]
        out[1] = -(self.valence @ c + fixed_charge(x)) / self.screening
        out[2:] = -(p / self.diffusivity)[:, None] / c - self.valence[:, None] * y[1]
        return out

    def rates_jacobian(self, x, y, p):
        """The derivatives of `rates` with respect to y and to p."""
        by_y, by_p = np.zeros((4, 4, x.size)), np.zeros((4, 2, x.size))
        by_y[0, 1] = 1
        for i, (z, D, c) in enumerate(zip(self.valence, self.diffusivity, np.exp(y[2:]), strict=True), start=2):
            by_y[1, i] = -z * c / self.screening
            by_y[i, 1] = -z
            by_y[i, i] = p[i - 2] / (D * c)
            by_p[i, i - 2] = -1 / (D * c)
        return by_y, by_p

    def solve(self, voltage, guess, tolerance):
        """solve_bvp's result at `voltage` (kT/e) from a guess (x, y, p)."""
        from scipy.integrate import solve_bvp

        inside, outside = np.log(INSIDE / 1e3), np.log(OUTSIDE / 1e3)
        left, right = np.array([voltage, inside, inside]), np.array([0.0, outside, outside])
        known = [0, 2, 3]  # of y, at both ends
        by_left, by_right, by_p = np.zeros((6, 4)), np.zeros((6, 4)), np.zeros((6, 2))
        by_left[[0, 1, 2], known] = by_right[[3, 4, 5], known] = 1
        solution = solve_bvp(
            self.rates,
            lambda a, b, p: np.concatenate([a[known] - left, b[known] - right]),
            *guess,
            tol=tolerance,
            max_nodes=MOST_POINTS,
            fun_jac=self.rates_jacobian if self.analytic else None,
            bc_jac=(lambda a, b, p: (by_left, by_right, by_p)) if self.analytic else None,
        )
        if not solution.success:
            raise FailedError(f"solve_bvp, {voltage * self.millivolts:g} mV, tol {tolerance:g}: {solution.message}")
        return solution

    def first_guess(self):
        """Baths blended along the pore, with the fixed charge balanced at every point."""
        x = np.linspace(0.0, LENGTH, START_POINTS)
        salt = np.linspace(INSIDE, OUTSIDE, START_POINTS) / 1e3
        phi = np.arcsinh(fixed_charge(x) / (2 * salt))
        return x, np.vstack([phi, np.gradient(phi, x), np.log(salt) - np.outer(self.valence, phi)]), np.zeros(2)

    def anew(self, tolerance):
        """Currents (pA) at VOLTAGES, each from the first guess, and the most points a mesh got."""
        solutions = []
        for voltage in VOLTAGES / self.millivolts:
            x, y, p = self.first_guess()
            y[0] += voltage * (1 - x / LENGTH)
            y[1] -= voltage / LENGTH
            solutions.append(self.solve(voltage, (x, y, p), tolerance))
        currents = np.array([self.picoamperes * self.valence @ s.p for s in solutions])
        return currents, max(s.x.size for s in solutions)

    def swept(self, tolerance):
        """As `anew`, but from 0 mV outwards, each voltage from the solution and mesh of the one before."""
        current, most = np.empty(VOLTAGES.size), 0
        rest = self.solve(0.0, self.first_guess(), tolerance)
        for side in (np.flatnonzero(VOLTAGES >= 0), np.flatnonzero(VOLTAGES < 0)[::-1]):
            last, at = rest, 0.0
            for index in side:
                voltage = VOLTAGES[index] / self.millivolts
                y = last.y.copy()
                y[0] += (voltage - at) * (1 - last.x / LENGTH)
                y[1] -= (voltage - at) / LENGTH
                last, at = self.solve(voltage, (last.x, y, last.p), tolerance), voltage
                current[index] = self.picoamperes * self.valence @ last.p
                most = max(most, last.x.size)
        return current, most


# --- pnp -------------------------------------------------------------------------------------


def pnp_curve():
    """A function that gives the `pnp.IVCurve` for a number of elements, finished and checked."""
    import jax
    import jax.numpy as jnp

    import pnp

    jax.config.update("jax_enable_compilation_cache", False)  # the first call is to show what compiling takes
    channel = pnp.Channel.from_profiles(
        [0.0, LENGTH],
        area=AREA,
        fixed_charge=lambda x: fixed_charge(x, jnp),
        permittivity=PERMITTIVITY,
        ions={name: pnp.Ion(*numbers) for name, numbers in IONS.items()},
        inside=dict.fromkeys(IONS, INSIDE),
        outside=dict.fromkeys(IONS, OUTSIDE),
        temperature=TEMPERATURE,
    )

    def curve(nodes):
        iv = jax.block_until_ready(pnp.iv_curve(channel, VOLTAGES, nodes=nodes))
        if not np.all(iv.converged):
            raise FailedError(f"pnp, {nodes} elements: {np.sum(~iv.converged)} voltages did not converge")
        return iv

    return curve


# --- comparison ------------------------------------------------------------------------------


def timed(call):
    """(seconds, result) of a call."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


@dataclass
class Row:
    """A line of the table: what is timed, its error, the times (s) and, for pnp, that of the first call."""

    name: str
    call: Callable
    error: float
    first: float | None = None
    seconds: list[float] = field(default_factory=list)


def loosest(curve, accurate):
    """(tolerance, currents, points) of the loosest tolerance at which a script of solve_bvp is accurate."""
    for tolerance in TOLERANCES:
        current, points = curve(tolerance)
        if accurate(current):
            return tolerance, current, points
    raise FailedError("solve_bvp does not come within pnp's error")


def compare(nodes, repeats):
    """The rows of the table, timed: pnp as asked for, and solve_bvp as accurate in its three scripts."""
    analytic, plain, solve = CollocationProblem(True), CollocationProblem(False), pnp_curve()
    reference, _ = analytic.swept(REFERENCE_TOLERANCE)
    error = lambda current: np.max(np.abs(current - reference)) / np.max(np.abs(reference))
    first, iv = timed(lambda: solve(nodes))
    own = Row(f"pnp, {nodes} elements", lambda: solve(nodes), error(iv.extrapolated_current), first)
    rows = [own]
    for script, curve in (
        ("every voltage anew", plain.anew),
        ("swept", plain.swept),
        ("swept, Jacobians given", analytic.swept),
    ):
        tolerance, current, points = loosest(curve, lambda current: error(current) <= own.error)
        call = lambda curve=curve, tolerance=tolerance: curve(tolerance)
        rows.append(Row(f"solve_bvp, tol {tolerance:.0e}, {points} points, {script}", call, error(current)))
    for _ in range(repeats):  # in turn, so that a busy moment of the machine meets all of them
        for row in rows:
            row.call()  # not timed: the row before has filled the caches with its own
            turn: list[float] = []
            while sum(turn) < TURN:
                turn.append(timed(row.call)[0])
            row.seconds += turn
    return rows


def report(rows, repeats):
    """Print versions and the table; times are medians with their range."""
    import jax
    import scipy

    device = jax.devices()[0]
    print(
        f"Python {platform.python_version()}, jax {jax.__version__}, scipy {scipy.__version__}, "
        f"numpy {np.__version__}; {os.cpu_count()} CPUs; JAX on {device.platform} ({device.device_kind})"
    )
    voltages = f"{VOLTAGES.size} voltages, {VOLTAGES[0]:g} to {VOLTAGES[-1]:g} mV"
    print(f"{voltages}; medians over {repeats} turns of {TURN:g} s (min–max)\n")
    print(f"{'':60}{'time, ms':>20}{'time / pnp':>12}{'error of I':>12}{'compile, s':>12}")
    base = statistics.median(rows[0].seconds)
    for row in rows:
        seconds = row.seconds
        median = statistics.median(seconds)
        spread = f"{1e3 * median:.1f} ({1e3 * min(seconds):.1f}–{1e3 * max(seconds):.1f})"
        compiling = f"{row.first - median:.1f}" if row.first is not None else "–"
        print(f"{row.name:60}{spread:>20}{median / base:>12.2f}{row.error:>12.1e}{compiling:>12}")


def main():
    """Run the comparison; exit status 1 if a solve fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="turns of each program (default 7)")
    parser.add_argument("--nodes", type=int, default=400, metavar="N", help="elements of pnp's mesh (default 400)")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    try:
        report(compare(options.nodes, options.repeats), options.repeats)
    except (FailedError, ValueError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
