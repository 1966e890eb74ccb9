"""The benchmark's problem by `scipy.integrate.solve_bvp`, in three scripts.

As a first one is written, every voltage from an electroneutral guess and derivatives by SciPy's differences; with
each voltage from the solution and mesh of the one before; and with analytic Jacobians as well. The unknowns are
logarithms of the concentrations.
"""

import numpy as np
from charged_pore import (
    DIFFUSIVITY,
    INSIDE,
    LENGTH,
    MILLIVOLTS,
    OUTSIDE,
    PICOAMPERES,
    SCREENING,
    VALENCE,
    FailedError,
    fixed_charge,
    neutral_guess,
)
from scipy.integrate import solve_bvp

START_POINTS = 81  # of the first mesh: from 41 to 121 it takes about as long, and fewer are less accurate
MOST_POINTS = 200_000
REFERENCE_TOLERANCE = 1e-8  # which is 1e-11 of the currents: a tolerance of 1e-10 changes them by no more


def rates(x, y, p):
    """dy/dx, [unknown, point], of y = (phi, phi', ln c_K, ln c_Cl) with p = (J_K, J_Cl)."""
    c = np.exp(y[2:])
    out = np.empty_like(y)
    out[0] = y[1]
    out[1] = -(VALENCE @ c + fixed_charge(x)) / SCREENING
    out[2:] = -(p / DIFFUSIVITY)[:, None] / c - VALENCE[:, None] * y[1]
    return out


def rates_jacobian(x, y, p):
    """The derivatives of `rates` with respect to y and to p."""
    by_y, by_p = np.zeros((4, 4, x.size)), np.zeros((4, 2, x.size))
    by_y[0, 1] = 1
    for i, (z, D, c) in enumerate(zip(VALENCE, DIFFUSIVITY, np.exp(y[2:]), strict=True), start=2):
        by_y[1, i] = -z * c / SCREENING
        by_y[i, 1] = -z
        by_y[i, i] = p[i - 2] / (D * c)
        by_p[i, i - 2] = -1 / (D * c)
    return by_y, by_p


def solve(voltage, guess, tolerance, analytic):
    """solve_bvp's result at `voltage` (kT/e) from a guess (x, y, p)."""
    inside, outside = np.log(INSIDE / 1e3), np.log(OUTSIDE / 1e3)
    left, right = np.array([voltage, inside, inside]), np.array([0.0, outside, outside])
    known = [0, 2, 3]  # of y, at both ends
    by_left, by_right, by_p = np.zeros((6, 4)), np.zeros((6, 4)), np.zeros((6, 2))
    by_left[[0, 1, 2], known] = by_right[[3, 4, 5], known] = 1
    solution = solve_bvp(
        rates,
        lambda a, b, p: np.concatenate([a[known] - left, b[known] - right]),
        *guess,
        tol=tolerance,
        max_nodes=MOST_POINTS,
        fun_jac=rates_jacobian if analytic else None,
        bc_jac=(lambda a, b, p: (by_left, by_right, by_p)) if analytic else None,
    )
    if not solution.success:
        raise FailedError(f"solve_bvp, {voltage * MILLIVOLTS:g} mV, tol {tolerance:g}: {solution.message}")
    return solution


def first_guess(voltage):
    """(x, y, p) at `voltage` (kT/e)."""
    x = np.linspace(0.0, LENGTH, START_POINTS)
    phi, log_c = neutral_guess(x, voltage)
    return x, np.vstack([phi, np.gradient(phi, x), log_c]), np.zeros(2)


def anew(voltages, tolerance):
    """Currents (pA) at voltages (mV), each from the first guess, and the most points a mesh got."""
    solutions = [solve(v, first_guess(v), tolerance, analytic=False) for v in voltages / MILLIVOLTS]
    return np.array([PICOAMPERES * VALENCE @ s.p for s in solutions]), max(s.x.size for s in solutions)


def swept(voltages, tolerance, analytic=False):
    """As `anew`, but from 0 mV outwards, each voltage from the solution and mesh of the one before."""
    current, most = np.empty(voltages.size), 0
    rest = solve(0.0, first_guess(0.0), tolerance, analytic)
    for side in (np.flatnonzero(voltages >= 0), np.flatnonzero(voltages < 0)[::-1]):
        last, at = rest, 0.0
        for index in side:
            voltage = voltages[index] / MILLIVOLTS
            y = last.y.copy()
            y[0] += (voltage - at) * (1 - last.x / LENGTH)
            y[1] -= (voltage - at) / LENGTH
            last, at = solve(voltage, (last.x, y, last.p), tolerance, analytic), voltage
            current[index] = PICOAMPERES * VALENCE @ last.p
            most = max(most, last.x.size)
    return current, most


def given_jacobians(voltages, tolerance):
    """As `swept`, with analytic Jacobians in place of SciPy's differences."""
    return swept(voltages, tolerance, analytic=True)


SCRIPTS = {"every voltage anew": anew, "swept": swept, "swept, Jacobians given": given_jacobians}


def reference(voltages):
    """Currents (pA) at voltages (mV), against which errors are stated."""
    walk = np.union1d(np.linspace(voltages.min(), voltages.max(), 41), voltages)  # in strides it can follow
    return given_jacobians(walk, REFERENCE_TOLERANCE)[0][np.searchsorted(walk, voltages)]
