"""A pore that lets only one ion through reverses at the Nernst potential of that ion.

    E = (RT / zF) ln(c_out / c_in)

for K⁺, Cl⁻ and Ca²⁺ in turn, between cell and plasma at 310.15 K; 60 kT keep out the other three ions. The law is
thermodynamics and knows nothing of the pore: fixed charge, dielectric and a narrow part are there to prove it. The
other ions carry e⁻⁶⁰ of the current, so that only the solver's own tolerance of 1e-9 mV or so is left.
"""

import numpy as np
from scipy import constants

import pnp
from validation.case import Check, Result
from validation.channels import FOUR_IONS, NODES, VOLTAGES, four_ions

SOURCE = "Nernst (1888), Z. Phys. Chem. 2:613."

TEMPERATURE = 310.15
INSIDE, OUTSIDE = [130.0, 20.0, 0.5], [5.0, 95.0, 2.0]  # K, Na, Ca; mM
BARRIER = 60.0  # kT


def run() -> Result:
    """One curve per ion; the reversal potential of each."""
    checks, curves = [], []
    for ion in ("K", "Cl", "Ca"):
        channel = four_ions(
            [1.0, 2.0, 1.0],
            INSIDE,
            OUTSIDE,
            area=[2.0, 0.5, 1.0],
            fixed_charge=[0.0, -0.3, 0.1],
            permittivity=[78.4, 30.0, 78.4],
            barrier={other: [0.0, BARRIER, 0.0] for other in FOUR_IONS if other != ion},
            temperature=TEMPERATURE,
        )
        z, inside, outside = FOUR_IONS[ion].valence, float(channel.inside[ion]), float(channel.outside[ion])
        exact = 1e3 * constants.R * TEMPERATURE / (z * constants.physical_constants["Faraday constant"][0])
        exact *= np.log(outside / inside)
        curve = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES))
        checks.append(Check(f"reversal, only {ion} (z = {z:+d})", "mV", curve.reversal_potential(), exact, 1e-6))
        curves.append((f"{ion}, z = {z:+d}", np.asarray(curve.current), exact))
    return Result(
        checks,
        lambda figure: draw(figure, curves),
        "Each current stops at the ion's own equilibrium, while the curves themselves bend as the pore has it: the "
        "Nernst potential is all that a perfectly selective pore owes to thermodynamics.",
    )


def draw(figure, curves):
    """The currents, each scaled by its largest, and the Nernst potentials."""
    ax = figure.subplots()
    for k, (label, current, exact) in enumerate(curves):
        ax.plot(VOLTAGES, current / np.abs(current).max(), ".-", color=f"C{k}", label=label)
        ax.axvline(exact, color=f"C{k}", ls=":", label=f"its Nernst potential, {exact:.1f} mV")
    ax.axhline(0.0, color="0.7", lw=0.8)
    ax.set(xlabel="voltage, mV", ylabel="current / largest current")
    ax.legend(fontsize="small")
