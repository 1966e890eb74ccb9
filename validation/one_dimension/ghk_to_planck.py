"""From GHK to Planck: KCl at 300 mM against 100 mM, in pores from thin to thick.

Two closed forms meet in one pore without fixed charge. Thin against the Debye length λ, the ions cannot bend the
field, and each follows GHK. Thick, they keep the pore neutral: for one salt the current is then a straight line,
Planck's, with the liquid-junction potential (kT/e) (D₊ − D₋)/(D₊ + D₋) ln(c_out/c_in). PNP must go from one to the
other. As both ions are about as mobile, GHK says that KCl conducts like the arithmetic mean of the baths, 200 mM, and
Planck like their logarithmic mean, 182 mM. The departures are of second order at both ends. Thin: Poisson's equation
gives the charge between the ions a potential of e ρ L²/ε₀ε, (L/λ)² in units of kT/e. Thick: the charge that Poisson's
equation asks of Planck's curved potential, −ε₀ε φ'', is (λ/L)² of the salt. There is no term in λ/L, as a double layer
would give: both ends are neutral baths, and nothing in between is charged (compare `tms`).
"""

import numpy as np

import pnp
from pnp import theory
from validation.case import Check, Result
from validation.channels import NODES, VOLTAGES, bath_arrays, layers

SOURCE = "Planck (1890), Ann. Phys. Chem. 40:561; Goldman (1943), J. Gen. Physiol. 27:37."

INSIDE, OUTSIDE = 300.0, 100.0  # mM
THIN = (0.16, 0.08, 0.04, 0.02)  # L/λ
THICK = (50.0, 100.0, 200.0, 400.0)
BETWEEN = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def run() -> Result:
    """Largest departure of the I–V from both laws at many thicknesses."""
    mean = np.full(2, (INSIDE + OUTSIDE) / 2)
    debye = float(theory.debye_length(mean, np.array([1, -1]), 78.4))
    ghk, planck = {}, {}
    for ratio in (*THIN[::-1], *BETWEEN, *THICK):
        length = ratio * debye
        channel = layers([length / 4, length / 2, length / 4], INSIDE, OUTSIDE)
        inside, outside, valence, diffusivity = bath_arrays(channel)
        arguments = (inside, outside, diffusivity / length, valence)
        current = np.asarray(pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES)).current)
        at_ends = [np.asarray(law.sum(-1)) for law in (theory.ghk_current(VOLTAGES[:, None], *arguments),
                                                       theory.planck_current(VOLTAGES, *arguments))]  # fmt: skip
        ghk[ratio], planck[ratio] = ([i[-1] for i in (current, law)] + [_departure(current, law)] for law in at_ends)
    less = 1 - at_ends[1][-1] / at_ends[0][-1]
    thin, thick = THIN[-1], THICK[-1]
    errors = tuple(ghk[r][2] for r in THIN), tuple(planck[r][2] for r in THICK)
    checks = [
        # Of the largest current. The tolerances are (L/λ)² and, as the charge is largest in the dilute bath, 10 (λ/L)².
        Check(f"current at 100 mV → GHK, L/λ = {thin:g}", "pA", *ghk[thin][:2], thin**2, ghk[thin][2], True,
              THIN, errors[0], 2.0),
        Check(f"current at 100 mV → Planck, L/λ = {thick:g}", "pA", *planck[thick][:2], 10 * thick**-2,
              planck[thick][2], True, tuple(1 / r for r in THICK), errors[1], 2.0),
    ]  # fmt: skip
    return Result(
        checks,
        lambda figure: draw(figure, ghk, planck),
        f"A thick pore passes {100 * less:.0f} % less at 100 mV than GHK says for the same permeabilities. Both limits "
        "are reached as the square of the small length.",
    )


def _departure(current, law):
    return np.abs(current - law).max() / np.abs(law).max()


def draw(figure, ghk, planck):
    """Departures from both laws, and the current between them."""
    left, right = figure.subplots(1, 2)
    ratio = np.array(list(ghk))
    for found, label in ((ghk, "GHK"), (planck, "Planck")):
        left.loglog(ratio, [found[r][2] for r in ratio], ".-", label=f"from {label}")
    left.loglog(ratio[:5], 0.03 * ratio[:5] ** 2, "k:", label="second order")
    left.loglog(ratio[-5:], 3.0 * ratio[-5:] ** -2, "k:")
    left.set(xlabel="L/λ", ylabel="largest departure / largest current")
    left.legend(fontsize="small")
    exact = {label: np.array([found[r][1] for r in ratio]) for label, found in (("GHK", ghk), ("Planck", planck))}
    right.semilogx(ratio, np.array([ghk[r][0] for r in ratio]) / exact["GHK"], "k.-", label="PNP")
    right.semilogx(ratio, exact["GHK"] / exact["GHK"], "C0--", label="GHK")
    right.semilogx(ratio, exact["Planck"] / exact["GHK"], "C1--", label="Planck")
    right.set(xlabel="L/λ", ylabel="I(100 mV) / GHK")
    right.legend(fontsize="small")
