"""Surface conduction: at low salt a charged pore conducts by its counter-ions, however dilute the baths.

Far from its mouths a long charged cylinder conducts, per length,

    G' = F²/(kT N_A) Σ D_k ∫ c_k 2πr dr,   c_k = c e^(−z_k φ(r)),

with the φ(r) of Poisson and Boltzmann (see `radial`; without flow, which PNP does not know). In dilute baths the
integral is that of the charge on the wall, 2πaσ/F of counter-ions, and G' no longer falls. Of the solver's pores,
whose mouths have the baths' values, two lengths are compared: what their ends add to the resistance is the same and
drops out.
"""

import numpy as np

import pnp
from pnp.channel.charge import WallCharge
from validation.axisymmetric import radial
from validation.axisymmetric.dirichlet_problem import tube
from validation.case import Check, Result
from validation.channels import SALT

SOURCE = "Stein, Kruithof & Dekker (2004) Phys. Rev. Lett. 93:035901; Bocquet & Charlaix (2010) Chem. Soc. Rev. 39:1073"
RADIUS, SURFACE_CHARGE, LENGTHS = 5.0, -0.02, (500.0, 1000.0)  # nm, C/m², nm
CONCENTRATIONS = (1.0, 10.0, 100.0, 1000.0)  # mM
VOLTAGE = 0.1  # mV: conductances at 0 mV to (V e/kT)²
RESOLUTION = 0.5
DIFFUSIVITY = tuple(ion.diffusivity for ion in SALT.values())


def exact(concentration):
    """Conductance of 1 µm, pS, of each ion."""
    phi = radial.potential(RADIUS, SURFACE_CHARGE, concentration)
    return radial.conductance_length(RADIUS, phi, concentration, DIFFUSIVITY)


def computed(concentration):
    """The same of both ions, from the resistances of two lengths; and the larger error that the solver states."""
    states = []
    for length in LENGTHS:
        channel = tube(RADIUS, length, concentration, charge=[WallCharge(SURFACE_CHARGE, 0.0, length)])
        states.append(pnp.solve(channel, VOLTAGE, discretization=pnp.Axisymmetric(RESOLUTION)))
    short, long = (VOLTAGE / float(state.current) for state in states)  # GΩ
    return np.diff(LENGTHS)[0] / (long - short), max(float(state.discretization_error) for state in states)


def run() -> Result:
    """Four salts over three decades."""
    checks, found, shares = [], [], []
    for concentration in CONCENTRATIONS:
        ions = exact(concentration)
        value, stated = computed(concentration)
        found.append(value)
        shares.append(ions[0] / ions.sum())
        # Twice the error that the solver states of the two currents; and the square of the share of the resistance that
        # the entrances have, λ/L at most, since there the ions share the current otherwise.
        cap = 2 * stated + (radial.debye(CONCENTRATIONS[0]) / LENGTHS[0]) ** 2
        checks.append(Check(f"conductance of 1 µm, {concentration:g} mM", "pS", value, ions.sum(), cap, relative=True))
    conclusion = (
        f"A thousand times less salt, and {found[-1] / found[0]:.0f} times less conductance: at "
        f"{CONCENTRATIONS[0]:g} mM K+ carries {100 * shares[0]:.1f} % of the current, and how much of it there is only "
        "the charge on the wall says."
    )
    return Result(checks, lambda figure: draw(figure, np.array(found)), conclusion)


def draw(figure, found):
    """G(c), with what the bulk alone and the charge alone would conduct."""
    axes = figure.subplots()
    fine = np.geomspace(CONCENTRATIONS[0], CONCENTRATIONS[-1], 13)
    ions = np.array([exact(c) for c in fine])
    axes.loglog(fine, ions.sum(1), color="C0", label="Poisson–Boltzmann, SciPy")
    axes.loglog(fine, ions[:, 0], "--", color="C0", lw=1, label="of it K+")
    bulk = radial.conductance_length(RADIUS, lambda r: 0 * r, 1.0, DIFFUSIVITY).sum()
    axes.loglog(fine, bulk * fine, "k:", label="without charge")
    axes.loglog(CONCENTRATIONS, found, "o", mfc="none", color="C3", label="PNP")
    axes.set(xlabel="KCl, mM", ylabel="conductance of 1 µm, pS", ylim=(10, 3000))
    axes.legend()
