"""Poisson and Boltzmann in a long charged cylinder, by programs of their own: SciPy's `solve_bvp` and `quad`.

φ'' + φ'/r = sinh(φ)/λ²,   φ'(0) = 0,   φ'(a) = σ/ε₀ε       (φ in kT/e)
"""

import numpy as np
from scipy import constants
from scipy.integrate import quad, solve_bvp

from pnp import theory

THERMAL = constants.k * 298.15 / constants.e
FARADAY = constants.e * constants.N_A
WATER = float(theory.water_permittivity())


def slope_of(surface_charge, permittivity=WATER):
    """σ/ε₀ε (kT/e per nm) of a surface charge (C/m²): the slope of φ at the wall."""
    return surface_charge / (constants.epsilon_0 * permittivity * THERMAL) * 1e-9


def debye(concentration, permittivity=WATER):
    """λ (nm) of a 1:1 salt (mM)."""
    return 1e9 * np.sqrt(constants.epsilon_0 * permittivity * THERMAL / (2 * FARADAY * concentration))


def potential(radius, surface_charge, concentration):
    """φ(r) (kT/e; r in nm) in a 1:1 salt (mM) as a function, to some ten digits."""
    slope, length = slope_of(surface_charge), debye(concentration)
    r = radius * np.sin(np.pi / 2 * np.linspace(0.0, 1.0, 400))
    mean = np.arcsinh(2 * slope / radius * length**2)  # Donnan's
    guess = np.stack([mean + 0 * r, slope * (r / radius)])
    found = solve_bvp(
        lambda r, y: np.stack([y[1], np.sinh(y[0]) / length**2]),
        lambda axis, wall: np.array([axis[1], wall[1] - slope]),
        r,
        guess,
        S=np.array([[0.0, 0.0], [0.0, -1.0]]),
        tol=1e-10,
        max_nodes=200_000,
    )
    if not found.success:
        raise RuntimeError(found.message)
    return lambda at: found.sol(at)[0]


def conductance_length(radius, phi, concentration, diffusivity):
    """Of each ion of charge ±1: current (pA) in a field of 1 V/nm of an infinitely long cylinder, nS nm.

    diffusivity: of the cation and the anion, nm²/ns.
    """
    mobility = FARADAY * np.asarray(diffusivity) * 1e-9 / THERMAL  # F u, per concentration
    count = lambda z: quad(lambda r: 2 * np.pi * r * np.exp(-z * phi(r)), 0, radius, epsabs=0, epsrel=1e-10, limit=200)
    # m²/s · mol/m³ · nm² / V · C/mol = 1e-18 A m / V
    return mobility * concentration * np.array([count(z)[0] for z in (1, -1)]) * 1e-18 * 1e9 * 1e9
