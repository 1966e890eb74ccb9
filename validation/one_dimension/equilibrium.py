"""Equilibrium in a charged pore with steps of permittivity: no flux, flat electrochemical potentials.

Between equal baths at 0 mV nothing flows, whatever is fixed in the pore: every μ = ln c + z φ e/kT has the value of
the baths. Here ±fixed charges and dielectrics put potentials of tens of mV and steep layers into the pore. A nanovolt
must then drive exactly the conductance times a nanovolt, or a residue of flux hides behind the zero.
"""

import numpy as np
from scipy import constants

import pnp
from validation.case import Check, Result
from validation.channels import NODES, VOLTAGES, layers

SOURCE = "The definition of equilibrium: Guggenheim (1929), J. Phys. Chem. 33:842."

SALT = 100.0  # mM
TEMPERATURE = 298.15


def run() -> Result:
    """Profiles at 0 mV, and the current at voltages down to a nanovolt."""
    channel = layers(
        [1.0, 3.0, 2.0],
        SALT,
        SALT,
        fixed_charge=[0.5, -1.5, 0.2],
        permittivity=[78.4, 10.0, 40.0],
        temperature=TEMPERATURE,
    )
    tiny = 1e-6 * np.arange(-5, 6)  # mV
    curve = pnp.iv_curve(channel, tiny, discretization=pnp.Axial(NODES))
    conductance = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES)).conductance()
    state = pnp.solve(channel, 0.0, discretization=pnp.Axial(NODES))
    x, phi, c = (np.asarray(value) for value in (state.x, state.potential, state.concentration))
    thermal = 1e3 * constants.k * TEMPERATURE / constants.e
    mu = np.log(c / SALT) + np.array([1, -1]) * phi[:, None] / thermal
    ohmic = conductance * thermal  # pA that kT/e drives: what "no flux" is small against
    checks = [
        Check("largest ion current / ohmic at kT/e", "", np.abs(state.ion_current).max() / ohmic, 0.0, 1e-12),
        Check("largest |μ − μ bath|", "kT", np.abs(mu).max(), 0.0, 1e-10),  # ten digits of c and φ
        # An asymmetric pore rectifies in first order of eV/kT, which is the tolerance.
        Check("current at 1 nV", "pA", curve.current[6], conductance * tiny[6], tiny[6] / thermal, relative=True),
    ]
    return Result(
        checks,
        lambda figure: draw(figure, x, phi, np.log(c / SALT), mu),
        f"The potential spans {np.ptp(phi):.0f} mV and the concentrations a factor of {np.exp(np.ptp(np.log(c))):.0f}, "
        "but nothing flows: the unknowns are the μ, and those are flat to round-off.",
    )


def draw(figure, x, phi, log_c, mu):
    """Potential above; below, ln c of both ions, which follows it, and their μ, which do not."""
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(x, phi, color="k")
    above.set_ylabel("potential, mV")
    for k, (name, colour) in enumerate((("K⁺", "C0"), ("Cl⁻", "C1"))):
        below.plot(x, log_c[:, k], color=colour, label=f"ln c/c bath, {name}")
        below.plot(x, mu[:, k], color=colour, ls=("--", ":")[k], label=f"μ, {name}")
    below.set(xlabel="x, nm", ylabel="kT", xlim=(None, 8.2))
    below.legend(loc="center right", fontsize="small")
