"""Measured pores: OmpF, α-hemolysin and gramicidin A, as their ready-made channels give them.

Not a verification: one-dimensional PNP with a handful of parameters from the literature is not expected to agree
closely, and the preset files say which of their numbers were fitted or derived. Computed is what comes out, unchanged;
"exact" is the measured value, and the error the factor between the two, less one. It is shown, not judged.

    OmpF           2 nS in 1 M KCl (Benz 1979); reversal 25.4 ± 0.8 mV for 1 | 0.1 M KCl (García-Giménez 2012)
    α-hemolysin    about 1 nS in 1 M KCl, 1.15 and 0.75 nS with trans positive and negative (Bhattacharya 2011)
    gramicidin A   tens of pS in 1 M KCl, taken as 20 (Eisenman 1978; Finkelstein & Andersen 1981)
"""

import numpy as np

import pnp
from validation.case import Check, Result

SOURCE = (
    "Benz, Janko & Läuger (1979) Biochim. Biophys. Acta 551:238; García-Giménez, Alcaraz & Aguilella (2012) Biochem. "
    "Res. Int. 2012:245786; Bhattacharya et al. (2011) J. Phys. Chem. C 115:4255; Eisenman, Sandblom & Neher (1978) "
    "Biophys. J. 22:307; Finkelstein & Andersen (1981) J. Membr. Biol. 59:155"
)
NODES = 200
VOLTAGES = np.linspace(-100.0, 100.0, 5)  # mV, inside (cis) less outside (trans)


def factor(quantity, unit, computed, measured):
    """A line of the table with the factor between the two as its error."""
    apart = max(computed / measured, measured / computed) if computed * measured > 0 else np.inf
    return Check(quantity, unit, computed, measured, None, error=apart - 1, relative=True)


def run() -> Result:
    """One curve each in 1 M KCl, and OmpF between 1 M and 0.1 M."""
    names = ("ompf", "alpha-hemolysin", "gramicidin-a")
    curves = {name: pnp.iv_curve(pnp.load(name), VOLTAGES, discretization=pnp.Axial(NODES)) for name in names}
    dilute = pnp.load("ompf").with_baths(outside={"K": 100.0, "Cl": 100.0})
    gradient = pnp.iv_curve(dilute, VOLTAGES, discretization=pnp.Axial(NODES))
    hemolysin = np.asarray(curves["alpha-hemolysin"].current)
    conductance = {name: curve.conductance() for name, curve in curves.items()}
    reversal = -gradient.reversal_potential()  # a cation-selective pore is negative on the concentrated side
    checks = [
        factor("OmpF: conductance, 1 M KCl", "nS", conductance["ompf"], 2.0),
        factor("OmpF: −reversal, 1 | 0.1 M KCl", "mV", reversal, 25.4),
        factor("α-hemolysin: conductance (fitted)", "nS", conductance["alpha-hemolysin"], 1.0),
        factor("α-hemolysin: −I(−100 mV) / I(100 mV)", "", -hemolysin[0] / hemolysin[-1], 1.15 / 0.75),
        factor("gramicidin A: conductance, 1 M KCl", "pS", 1e3 * conductance["gramicidin-a"], 20.0),
    ]
    conclusion = (
        "OmpF's conductance follows from its shape and half the bulk diffusivities. Its reversal potential is "
        f"{reversal:.0f} mV, not 25: the effective charge was derived for a pore of even width, and here the wide "
        "mouths and access weaken it. α-Hemolysin's 1 nS is a fit and no prediction; its rectification has the right "
        "sign and is too large, as one dimension overstates charge in a wide pore. Gramicidin's tens of pS rest on "
        "an empirical factor for diffusion in narrow pores and on a chosen charge; ions there pass in single file, "
        "which PNP does not know."
    )
    return Result(checks, lambda figure: draw(figure, curves, gradient, checks), conclusion)


def draw(figure, curves, gradient, checks):
    """Computed I–V curves beside the measured conductances, and computed over measured."""
    curve, ratio = figure.subplots(1, 2)
    measured = {"ompf": (2.0, 2.0), "alpha-hemolysin": (1.15, 0.75), "gramicidin-a": (0.02, 0.02)}
    for k, (name, iv) in enumerate(curves.items()):
        scale = 50.0 if name == "gramicidin-a" else 1.0
        label = f"{name} × 50" if scale > 1 else name
        curve.plot(VOLTAGES, scale * np.asarray(iv.current), "o-", color=f"C{k}", label=label)
        line = scale * VOLTAGES * np.where(VOLTAGES < 0, *measured[name])
        curve.plot(VOLTAGES, line, ":", color=f"C{k}")
    curve.plot(VOLTAGES, gradient.current, "s--", mfc="none", color="C0", label="ompf, 1 | 0.1 M")
    curve.plot([], [], "k:", label="measured")
    curve.set(xlabel="voltage, mV", ylabel="current, pA")
    y = np.arange(len(checks))[::-1]
    ratio.barh(y, [c.computed / c.exact for c in checks], color="C0")
    ratio.axvline(1.0, color="k", lw=1)
    ratio.set_yticks(y, [c.quantity.replace(": ", ":\n") for c in checks], fontsize="small")
    ratio.set(xlabel="computed / measured", xlim=(0, 2))
    curve.legend(fontsize="small")
