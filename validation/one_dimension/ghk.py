"""GHK is exact, at any thickness, where both baths have the same total concentration.

In a constant field each c(x) is a constant plus a multiple of exp(−z φ e/kT). With the sum over the ions of each
valence equal in both baths, the exponentials cancel in Σ z c, the pore is neutral everywhere, and a constant field
solves Poisson's equation whatever L/λ, with λ the Debye length: PNP must equal

    I = P z² F (eV/kT) (c_in − c_out e^(−zeV/kT)) / (1 − e^(−zeV/kT)),  P = D A / L

for each ion, and reverse at the GHK voltage. K⁺ and Na⁺ are exchanged here, with Cl⁻ equal. The scheme is exact for
constant fields, so that only round-off is left at 1e-9: no error of the mesh.
"""

import numpy as np

import pnp
from pnp import theory
from validation.case import Check, Result
from validation.channels import NODES, VOLTAGES, bath_arrays, four_ions

SOURCE = "Goldman (1943), J. Gen. Physiol. 27:37; Hodgkin & Katz (1949), J. Physiol. 108:37."

LENGTHS = (0.02, 4.0, 200.0)  # nm, against a Debye length of 0.8 nm


def run() -> Result:
    """Currents of each ion and reversal potential at three thicknesses."""
    checks, curves = [], []
    for length in LENGTHS:
        channel = four_ions([length / 4, length / 2, length / 4], [140.0, 10.0, 0.0], [5.0, 145.0, 0.0], area=0.7)
        inside, outside, valence, diffusivity = bath_arrays(channel)
        permeability = diffusivity * 0.7 / length
        exact = np.asarray(theory.ghk_current(VOLTAGES[:, None], inside, outside, permeability, valence))
        curve = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES))
        error = np.abs(curve.ion_current - exact).max() / np.abs(exact).max()
        ratio = length / float(channel.debye_length[0])
        at = f"L/λ = {ratio:.2g}"
        checks += [
            Check(f"K current at 100 mV, {at}", "pA", curve.ion_current[-1, 0], exact[-1, 0], 1e-9, error, True),
            Check(
                f"reversal, {at}",
                "mV",
                curve.reversal_potential(),
                theory.ghk_voltage(permeability, inside, outside, valence),
                1e-7,
            ),
        ]
        curves.append((at, np.asarray(curve.ion_current) * length, exact * length))
    return Result(
        checks,
        lambda figure: draw(figure, curves),
        "The errors are the largest over three ions and eleven voltages, against the largest current. One law for "
        "pores from a fortieth of a Debye length to 250 of them: nowhere is there charge to bend the field.",
    )


def draw(figure, curves):
    """Current times length of each ion: one curve for all thicknesses."""
    ax = figure.subplots()
    for k, name in ((0, "K⁺"), (1, "Na⁺"), (3, "Cl⁻")):
        ax.plot(VOLTAGES, curves[0][2][:, k], color=f"C{k}", label=f"GHK, {name}")
        for marker, (at, current, _) in zip("ox+", curves, strict=True):
            size = {"o": 9, "x": 7, "+": 10}[marker]
            label = f"PNP, {at}" if k == 3 else None
            ax.plot(VOLTAGES, current[:, k], marker, mfc="none", ms=size, color="0.3", label=label)
    ax.set(xlabel="voltage, mV", ylabel="current × length, pA nm")
    ax.legend(fontsize="small")
