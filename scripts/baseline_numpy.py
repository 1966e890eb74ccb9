"""The benchmark's problem as one would write it today with NumPy and SciPy alone.

Finite volumes on a uniform mesh with the flux of Scharfetter & Gummel (1969, IEEE Trans. Electron Devices 16:64),

    J h/D = c_L B(Δψ) − c_R B(−Δψ),   B(x) = x / (eˣ − 1),   Δψ = z (phi_R − phi_L),

Newton for (phi, ln c_K, ln c_Cl) with an analytic Jacobian in banded storage and LAPACK's banded elimination
(`scipy.linalg.solve_banded`). Voltages are swept, each from the ones before (`predicted`).
"""

import numpy as np
from charged_pore import (
    DIFFUSIVITY,
    HISTORY,
    LENGTH,
    MILLIVOLTS,
    MOST_STEPS,
    PICOAMPERES,
    SCREENING,
    STEP_CAP,
    TOLERANCE,
    VALENCE,
    FailedError,
    fixed_charge,
    neutral_guess,
    remaining,
)
from scipy.linalg import solve_banded

BAND = 5  # diagonals on each side: three unknowns at a node, coupled to those of its neighbours


def bernoulli(x):
    """B(x) and its derivative."""
    small = np.abs(x) < 0.2
    safe = np.where(small, 1.0, x)
    value = safe / np.expm1(safe)
    slope = value * (1 - value - safe) / safe
    s = x * x
    series = 1 - x / 2 + s / 12 * (1 - s / 60 * (1 - s / 42 * (1 - s / 40)))
    series_slope = -0.5 + x / 6 * (1 - s / 30 * (1 - s / 28 * (1 - s / 30)))
    return np.where(small, series, value), np.where(small, series_slope, slope)


def fluxes(u, h):
    """Flux of each ion through each element and its derivatives with respect to phi_R (those to phi_L are minus
    that), ln c_L and ln c_R; [ion, element]. u: [unknown, node]."""
    c = np.exp(u[1:])
    step = VALENCE[:, None] * np.diff(u[0])
    b, slope = bernoulli(step)
    by_left = (DIFFUSIVITY / h)[:, None] * c[:, :-1] * b
    by_right = -(DIFFUSIVITY / h)[:, None] * c[:, 1:] * (b + step)  # B(−x) = B(x) + x
    by_phi = (DIFFUSIVITY / h * VALENCE)[:, None] * (c[:, :-1] * slope - c[:, 1:] * (slope + 1))
    return by_left + by_right, by_phi, by_left, by_right


def newton_update(u, h, charge):
    """What Newton adds to the unknowns between the baths, [unknown, interior]."""
    flux, by_phi, by_left, by_right = fluxes(u, h)
    c = np.exp(u[1:, 1:-1])
    count = u.shape[1] - 2
    banded = np.zeros((2 * BAND + 1, count, 3))  # [diagonal, node, column's unknown]: LAPACK's storage

    def put(row, column, offset, values):
        """Derivatives of balance `row` at nodes i with respect to unknown `column` at nodes i + offset."""
        rows = slice(max(0, -offset), count - max(0, offset))
        columns = slice(max(0, offset), count - max(0, -offset))
        banded[BAND + row - column - 3 * offset, columns, column] = values if np.isscalar(values) else values[rows]

    balance = np.empty((3, count))
    balance[0] = SCREENING / h * np.diff(u[0], 2) + h * (VALENCE @ c + charge)
    balance[1:] = flux[:, 1:] - flux[:, :-1]
    for offset, weight in ((-1, 1), (0, -2), (1, 1)):
        put(0, 0, offset, weight * SCREENING / h)
    for k in range(2):
        into, out = slice(None, -1), slice(1, None)  # the elements to the left and right of a node
        put(0, k + 1, 0, h * VALENCE[k] * c[k])
        put(k + 1, 0, -1, by_phi[k, into])
        put(k + 1, 0, 0, -by_phi[k, out] - by_phi[k, into])
        put(k + 1, 0, 1, by_phi[k, out])
        put(k + 1, k + 1, -1, -by_left[k, into])
        put(k + 1, k + 1, 0, by_left[k, out] - by_right[k, into])
        put(k + 1, k + 1, 1, by_right[k, out])
    matrix, rhs = banded.reshape(2 * BAND + 1, -1), -balance.T.ravel()
    update = solve_banded((BAND, BAND), matrix, rhs, overwrite_ab=True, overwrite_b=True, check_finite=False)
    return update.reshape(count, 3).T


def predicted(voltage, known):
    """The unknowns at `voltage` by the polynomial through the last few (voltage, unknowns)."""
    at = [v for v, _ in known]
    weights = [np.prod([(voltage - w) / (v - w) for w in at if w != v]) for v in at]
    u = sum(w * u for w, (_, u) in zip(weights, known, strict=True))
    u[0] += (voltage - u[0, 0]) * np.linspace(1, 0, u.shape[1])  # where there is but one to predict from
    u[1:, [0, -1]] = known[0][1][1:, [0, -1]]  # the baths again, as round-off would grow from voltage to voltage
    return u


def iv_curve(voltages, elements, tolerance=TOLERANCE):
    """Currents (pA) at increasing voltages (mV), and the Newton steps taken at each; raises FailedError."""
    x, h = np.linspace(0.0, LENGTH, elements + 1), LENGTH / elements
    charge = fixed_charge(x[1:-1])
    current, steps, known = np.empty(voltages.size), np.zeros(voltages.size, int), []
    for index, voltage in enumerate(voltages / MILLIVOLTS):
        u = predicted(voltage, known[-HISTORY:]) if known else np.vstack(neutral_guess(x, voltage))
        size, error = np.inf, np.inf
        while not error < tolerance:
            if steps[index] == MOST_STEPS:
                raise FailedError(f"NumPy, {elements} elements, {voltage * MILLIVOLTS:g} mV: not converged")
            update = newton_update(u, h, charge)
            size, previous = np.abs(update).max(), size
            u[:, 1:-1] += min(1.0, STEP_CAP / size) * update
            error = remaining(size, previous)
            steps[index] += 1
        current[index] = PICOAMPERES * VALENCE @ fluxes(u, h)[0].mean(1)
        known.append((voltage, u))
    return current, steps
