"""The benchmark's problem, in numbers that all programs share, and what the baselines have in common.

A pore of 1 nm² and 8 nm without reservoirs, with a fixed charge of −1 M between smooth edges in its middle,
K and Cl at 300 mM inside and 100 mM outside, 25 °C. Nothing here comes from pnp.

    (ln c)' = −J/(D c) − z phi',   J' = 0,   phi'' = −(Σ z c + rho)/λ

with phi in kT/e, c and rho in M, x in nm, J in M nm/ns and λ = ε₀ ε kT/(e F) in M nm².
"""

import numpy as np
from scipy import constants

LENGTH, AREA = 8.0, 1.0  # nm, nm²
CHARGE, CHARGE_START, CHARGE_END, EDGE = -1.0, 2.0, 6.0, 0.3  # M; nm
PERMITTIVITY, TEMPERATURE = 78.4, 298.15  # relative; K
IONS = {"K": (1, 1.957), "Cl": (-1, 2.032)}  # valence, diffusivity in nm²/ns
INSIDE, OUTSIDE = 300.0, 100.0  # mM of KCl

VALENCE, DIFFUSIVITY = np.array(list(IONS.values()), float).T
_VOLTS = constants.k * TEMPERATURE / constants.e
_FARADAY = constants.e * constants.N_A
MILLIVOLTS = 1e3 * _VOLTS
"""In kT/e."""
SCREENING = constants.epsilon_0 * PERMITTIVITY * _VOLTS / _FARADAY * 1e18 / 1e3
"""λ, M nm²."""
PICOAMPERES = _FARADAY * 1e-15 * 1e12 * AREA
"""In a flux of 1 M nm/ns of a monovalent ion."""

TOLERANCE, ROUGH_TOLERANCE = 1e-13, 1e-9
"""pnp's own: error of phi (kT), and here of ln c, expected to be left after Newton's last step; and on the coarse one
of two meshes."""
STEP_CAP = 5.0  # kT, largest change in one Newton step
HISTORY = 7  # voltages from which the baselines predict the next one
MOST_STEPS = 60  # Newton steps at one voltage before it counts as failed


class FailedError(RuntimeError):
    """A solve did not converge."""


def voltages(count):
    """`count` voltages from −200 to 200 mV."""
    return np.linspace(-200.0, 200.0, count)


def fixed_charge(x, xp=np):
    """Fixed charge (M) at x (nm), by NumPy or `jax.numpy`: the same function for all programs."""
    return CHARGE / 2 * (xp.tanh((x - CHARGE_START) / EDGE) - xp.tanh((x - CHARGE_END) / EDGE))


def neutral_guess(x, voltage):
    """(phi, ln c [ion, x]) at `voltage` (kT/e), x from bath to bath: the baths blended along the pore, the fixed
    charge balanced at every point between them, the voltage spread evenly."""
    salt = (INSIDE + (OUTSIDE - INSIDE) * x / LENGTH) / 1e3
    phi = np.arcsinh(fixed_charge(x) / (2 * salt))
    phi[[0, -1]] = 0.0  # the tails of the charge reach the baths, which stay what they are
    return phi + voltage * (1 - x / LENGTH), np.log(salt) - np.outer(VALENCE, phi)


def remaining(size, previous):
    """The error (kT) left after a Newton update of `size`, by the rule pnp stops by: K size² with K = size / previous²
    from the last two updates if the one before was below 0.1, and 10 at most."""
    shown = size / previous**2 if previous < 0.1 else 10.0
    return min(shown, 10.0) * size**2


def current_error(current, reference):
    """max |ΔI| / max |I| over the voltages."""
    return float(np.max(np.abs(current - reference)) / np.max(np.abs(reference)))


def extrapolated(fine, coarse):
    """Currents of two nested meshes extrapolated to no mesh at all (Richardson), for a scheme of second order."""
    return fine + (fine - coarse) / 3
