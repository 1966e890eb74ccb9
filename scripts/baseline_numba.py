"""The benchmark's problem in compiled loops: as `baseline_numpy`, written for Numba and one core.

The scheme, unknowns, tolerance and prediction along the voltages are those of `baseline_numpy`. What is added is what a
program for one ion of each sign can do: elimination of 3×3 blocks without pivots (Thomas), written out in scalars
without the blocks' zeros; each element linearised as the elimination reaches it, so that no Jacobian is ever
stored; one exponential per ion and node and mostly none per element, as B(x) is a short series below 0.2.
"""

import numba
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
    FailedError,
    fixed_charge,
    neutral_guess,
    remaining,
)

_D_PLUS, _D_MINUS = (float(D) for D in DIFFUSIVITY)
_compiled = numba.njit(error_model="numpy", fastmath={"contract", "arcp", "nsz"})
_remaining = numba.njit(remaining)


@_compiled
def _bernoulli(x):
    """B(x) and its derivative."""
    if abs(x) < 0.2:
        s = x * x
        value = 1 - x / 2 + s * (1 / 12 - s * (1 / 720 - s * (1 / 30240 - s / 1209600)))
        return value, -0.5 + x * (1 / 6 - s * (1 / 180 - s * (1 / 5040 - s / 151200)))
    value = x / np.expm1(x)
    return value, value * (1 - value - x) / x


@_compiled
def _element(step, c, i, h):
    """(flux, −∂flux/∂ ln c_R, ∂flux/∂ ln c_L, ∂flux/∂ phi_R) of the cation and of the anion through element i."""
    b, slope = _bernoulli(step)  # B(−x) = B(x) + x, B'(−x) = −B'(x) − 1
    plus_left, plus_right = _D_PLUS / h * c[i, 0], _D_PLUS / h * c[i + 1, 0]
    minus_left, minus_right = _D_MINUS / h * c[i, 1], _D_MINUS / h * c[i + 1, 1]
    j_left, j_right, j_phi = plus_left * b, plus_right * (b + step), plus_left * slope - plus_right * (slope + 1)
    k_left, k_right, k_phi = minus_left * (b + step), minus_right * b, minus_left * (slope + 1) - minus_right * slope
    return j_left - j_right, j_right, j_left, j_phi, k_left - k_right, k_right, k_left, k_phi


@_compiled
def _cofactors(p00, p01, p02, p10, p11, p12, p20, p21, p22):
    """The adjugate of a matrix, by rows, and one over its determinant: the inverse at the cost of one division."""
    a00, a01, a02 = p11 * p22 - p12 * p21, p02 * p21 - p01 * p22, p01 * p12 - p02 * p11
    a10, a11, a12 = p12 * p20 - p10 * p22, p00 * p22 - p02 * p20, p02 * p10 - p00 * p12
    a20, a21, a22 = p10 * p21 - p11 * p20, p01 * p20 - p00 * p21, p00 * p11 - p01 * p10
    return a00, a01, a02, a10, a11, a12, a20, a21, a22, 1 / (p00 * a00 + p01 * a10 + p02 * a20)


@_compiled
def _newton_update(u, c, charge, h, swept):
    """Newton's update of the unknowns u [node, 3] into `swept` [node, :3]; its largest entry.

    c: [node, 2], exp of u's second and third; swept: [node, 12], room for the elimination, zero at both ends.
    """
    poisson = SCREENING / h
    phi_step = u[1, 0] - u[0, 0]
    j0, j0_right, j0_left, j0_phi, k0, k0_right, k0_left, k0_phi = _element(phi_step, c, 0, h)
    z0 = z1 = z2 = 0.0
    w00 = w01 = w02 = w10 = w11 = w12 = w20 = w21 = w22 = 0.0
    for i in range(1, u.shape[0] - 1):
        next_step = u[i + 1, 0] - u[i, 0]
        j1, j1_right, j1_left, j1_phi, k1, k1_right, k1_left, k1_phi = _element(next_step, c, i, h)
        # Balances b (flux out − in; for Poisson field in − out + charge), of which the part of the node before,
        # L = [[λ/h, 0, 0], [j0_phi, −j0_left, 0], [k0_phi, 0, −k0_left]], is eliminated: pivot P = D − L W.
        a00, a01, a02, a10, a11, a12, a20, a21, a22, inverse = _cofactors(
            -2 * poisson - poisson * w00,
            h * c[i, 0] - poisson * w01,
            -h * c[i, 1] - poisson * w02,
            -j1_phi - j0_phi - (j0_phi * w00 - j0_left * w10),
            j1_left + j0_right - (j0_phi * w01 - j0_left * w11),
            -(j0_phi * w02 - j0_left * w12),
            -k1_phi - k0_phi - (k0_phi * w00 - k0_left * w20),
            -(k0_phi * w01 - k0_left * w21),
            k1_left + k0_right - (k0_phi * w02 - k0_left * w22),
        )
        r0 = -(poisson * (next_step - phi_step) + h * (c[i, 0] - c[i, 1] + charge[i]) + poisson * z0) * inverse
        r1 = -(j1 - j0 + j0_phi * z0 - j0_left * z1) * inverse
        r2 = -(k1 - k0 + k0_phi * z0 - k0_left * z2) * inverse
        z0, z1, z2 = (
            a00 * r0 + a01 * r1 + a02 * r2,
            a10 * r0 + a11 * r1 + a12 * r2,
            a20 * r0 + a21 * r1 + a22 * r2,
        )
        # W = P⁻¹ U with U = [[λ/h, 0, 0], [j1_phi, −j1_right, 0], [k1_phi, 0, −k1_right]].
        u0, u1, u2 = poisson * inverse, j1_phi * inverse, k1_phi * inverse
        v1, v2 = -j1_right * inverse, -k1_right * inverse
        w00, w01, w02 = a00 * u0 + a01 * u1 + a02 * u2, a01 * v1, a02 * v2
        w10, w11, w12 = a10 * u0 + a11 * u1 + a12 * u2, a11 * v1, a12 * v2
        w20, w21, w22 = a20 * u0 + a21 * u1 + a22 * u2, a21 * v1, a22 * v2
        row = swept[i]
        row[0], row[1], row[2], row[3], row[4], row[5] = z0, z1, z2, w00, w01, w02
        row[6], row[7], row[8], row[9], row[10], row[11] = w10, w11, w12, w20, w21, w22
        phi_step, j0, j0_left, j0_right, j0_phi = next_step, j1, j1_left, j1_right, j1_phi
        k0, k0_left, k0_right, k0_phi = k1, k1_left, k1_right, k1_phi
    return _substitute(swept)


@_compiled
def _substitute(swept):
    """From z and W of every node its x = z − W x_next, in place of z; the largest entry of all."""
    x0 = x1 = x2 = size = 0.0
    for i in range(swept.shape[0] - 2, 0, -1):
        row = swept[i]
        x0, x1, x2 = (
            row[0] - (row[3] * x0 + row[4] * x1 + row[5] * x2),
            row[1] - (row[6] * x0 + row[7] * x1 + row[8] * x2),
            row[2] - (row[9] * x0 + row[10] * x1 + row[11] * x2),
        )
        row[0], row[1], row[2] = x0, x1, x2
        size = max(size, abs(x0), abs(x1), abs(x2))
    return size


@_compiled
def _concentrations(u, c):
    for i in range(u.shape[0]):
        c[i, 0], c[i, 1] = np.exp(u[i, 1]), np.exp(u[i, 2])


@_compiled
def _current(u, c, h):
    """Mean over the elements, M nm/ns."""
    total = 0.0
    for i in range(u.shape[0] - 1):
        flux = _element(u[i + 1, 0] - u[i, 0], c, i, h)
        total += flux[0] - flux[4]
    return total / (u.shape[0] - 1)


@_compiled
def _predict(voltages, known, index):
    """The unknowns at voltages[index], by the polynomial through the last few."""
    slots = known.shape[0]
    u = known[index % slots]  # in place of the oldest
    count = min(index, HISTORY)
    weights = np.ones(count)
    for a in range(count):
        for b in range(count):
            if a != b:
                v, w = voltages[index - 1 - a], voltages[index - 1 - b]
                weights[a] *= (voltages[index] - w) / (v - w)
    u[:] = 0.0
    for a in range(count):
        past, weight = known[(index - 1 - a) % slots], weights[a]
        for i in range(u.shape[0]):
            for m in range(3):
                u[i, m] += weight * past[i, m]
    for i in (0, u.shape[0] - 1):  # the baths again, as round-off would grow from voltage to voltage
        u[i, 1:] = known[(index - 1) % slots, i, 1:]
    missing = voltages[index] - u[0, 0]  # where there is but one to predict from
    for i in range(u.shape[0]):
        u[i, 0] += missing * (1 - i / (u.shape[0] - 1))
    return u


@_compiled
def _sweep(voltages, first, charge, h, tolerance):
    """(currents in M nm/ns, Newton steps) at voltages (kT/e) from a guess for the first; steps of 0: failed."""
    known = np.zeros((HISTORY + 1, *first.shape))
    known[0] = first
    c, swept = np.empty((first.shape[0], 2)), np.zeros((first.shape[0], 12))
    current, steps = np.full(voltages.size, np.nan), np.zeros(voltages.size, np.int64)
    for index in range(voltages.size):
        u = _predict(voltages, known, index) if index else known[0]
        size = np.inf
        _concentrations(u, c)
        for step in range(1, MOST_STEPS + 1):
            previous = size
            size = _newton_update(u, c, charge, h, swept)
            damping = min(1.0, STEP_CAP / size)
            for i in range(1, u.shape[0] - 1):
                for m in range(3):
                    u[i, m] += damping * swept[i, m]
            _concentrations(u, c)
            if _remaining(size, previous) < tolerance:
                steps[index] = step
                break
        if steps[index] == 0:
            break
        current[index] = _current(u, c, h)
    return current, steps


def iv_curve(voltages, elements, tolerance=TOLERANCE):
    """Currents (pA) at increasing voltages (mV), and the Newton steps taken at each; raises FailedError."""
    x, h = np.linspace(0.0, LENGTH, elements + 1), LENGTH / elements
    scaled = voltages / MILLIVOLTS
    first = np.ascontiguousarray(np.vstack(neutral_guess(x, scaled[0])).T)
    current, steps = _sweep(scaled, first, fixed_charge(x), h, tolerance)
    if not np.isfinite(current).all():
        raise FailedError(f"Numba, {elements} elements: not converged")
    return PICOAMPERES * current, steps
