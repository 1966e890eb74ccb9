"""A thick charged membrane obeys Teorell, Meyer and Sievers; thinner ones depart from them by λ/L.

Two Donnan potentials at the faces and a neutral layer of fixed charge X between them: the closed form for the
potential and the I–V of ion-exchange membranes and long charged pores. It puts each double layer into a jump. In PNP
the layer has a width λ, and over it the salt is not the membrane's: a fraction λ/L of the membrane has another
resistance and another selectivity, so that PNP approaches TMS as λ/L, in first order. (Between uncharged layers,
`ghk_to_planck`, there is none of this, and the order is two.)

The baths are stirred here, with a diffusivity 10⁶ times that of the membrane.
"""

import numpy as np

import pnp
from pnp import theory
from validation.case import Check, Result
from validation.channels import NODES, VOLTAGES, bath_arrays, fine_reversal, layers

SOURCE = "Teorell (1935), Proc. Soc. Exp. Biol. Med. 33:282; Meyer & Sievers (1936), Helv. Chim. Acta 19:649."

INSIDE, OUTSIDE, CHARGE = 100.0, 20.0, -0.1  # mM, mM, M
RATIOS = (2.0, 10.0, 50.0, 100.0, 200.0, 400.0, 800.0)  # L/λ
STUDIED = RATIOS[3:]
STIRRING, BATH = 1e6, 20.0  # and nm: of each bath layer, nine and four Debye lengths
# The departure is at most a few double layers' share of the membrane, each some tens of mV or of its whole salt.
LAYERS = 4


def run() -> Result:
    """Reversal potential and I–V of membranes from 2 to 800 Debye lengths."""
    debye = float(theory.debye_length(np.full(2, INSIDE), np.array([1, -1]), 78.4))
    reversal, current, law = {}, {}, {}
    for ratio in RATIOS:
        length = ratio * debye
        channel = layers([BATH, length, BATH], INSIDE, OUTSIDE, fixed_charge=[0.0, CHARGE, 0.0],
                         diffusivity_factor=[STIRRING, 1.0, STIRRING])  # fmt: skip
        inside, outside, valence, diffusivity = bath_arrays(channel)
        exact = float(theory.tms_potential(inside, outside, CHARGE, diffusivity, valence))
        law[ratio] = np.asarray(theory.tms_current(VOLTAGES, inside, outside, CHARGE, diffusivity / length, valence))
        law[ratio] = law[ratio].sum(-1)
        current[ratio] = np.asarray(pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES)).current)
        reversal[ratio] = fine_reversal(channel, exact)
    departure = {r: np.abs(current[r] - law[r]).max() / np.abs(law[r]).max() for r in RATIOS}
    last, small = STUDIED[-1], tuple(1 / r for r in STUDIED)
    nernst = float(theory.nernst(INSIDE, OUTSIDE, 1))
    checks = [
        Check(f"reversal, L/λ = {last:g}", "mV", reversal[last], exact, LAYERS * 25.7 / last,
              sizes=small, errors=tuple(abs(reversal[r] - exact) for r in STUDIED), order=1.0, order_tolerance=0.1),
        Check(f"current at 100 mV, L/λ = {last:g}", "pA", current[last][-1], law[last][-1], LAYERS / last,
              departure[last], True, small, tuple(departure[r] for r in STUDIED), 1.0, 0.1),
    ]  # fmt: skip
    return Result(
        checks,
        lambda figure: draw(figure, current, law, reversal, departure, exact, nernst),
        f"TMS says {exact:.2f} mV, between zero and the {nernst:.1f} mV of a perfectly selective membrane; PNP gets "
        f"there as λ/L, the share of the double layers. At L = 2 λ it is {reversal[2.0]:.1f} mV: short pores are less "
        "selective than their charge says.",
    )


def draw(figure, current, law, reversal, departure, exact, nernst):
    """The I–V curves times length; the departures against L/λ."""
    left, right = figure.subplots(1, 2)
    for k, ratio in enumerate((2.0, 10.0, 100.0)):
        left.plot(VOLTAGES, current[ratio] * ratio, ".-", color=f"C{k}", label=f"PNP, L/λ = {ratio:g}")
    left.plot(VOLTAGES, law[100.0] * 100.0, "k--", label="TMS")
    left.axvline(nernst, color="0.6", ls=":", label="E of K⁺")
    left.set(xlabel="voltage, mV", ylabel="current × L/λ, pA")
    ratio = np.array(RATIOS)
    right.loglog(ratio, [abs(reversal[r] - exact) for r in RATIOS], "C3.-", label="reversal potential, mV")
    right.loglog(ratio, [100 * departure[r] for r in RATIOS], "C4.-", label="largest current, %")
    right.loglog(ratio[2:], 40 / ratio[2:], "k:", label="first order")
    right.set(xlabel="L/λ", ylabel="departure from TMS")
    for ax in (left, right):
        ax.legend(fontsize="small")
