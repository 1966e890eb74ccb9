"""Where the constant field fails: fixed charge, a low-permittivity gate, excluded co-ions.

GHK assumes E = V/L. Between baths of equal totals (K⁺ 140 | 5, Na⁺ 10 | 145, Cl⁻ 150 | 150 mM) this is exact in a
uniform uncharged pore, so here any departure is due to what is in the pore and to nothing else. Three pores of 4 nm
have one thing each in their middle 2 nm:

    charge      −1 M of fixed charge
    gate        permittivity 40 with the Born energies of the three ions
    exclusion   8 kT that keep Cl⁻ out, without any charge

Of each: the field by PNP beside the constant one (the middle is shaded); the current at 100 mV against GHK with the
pore's own P = D A/L; the reversal potential against that of GHK; and the permeability ratio that GHK infers from PNP's
reversal potential against the ratio of the diffusivities, which is what it is in the constant field.

Two kinds of checks. With the cause scaled down to s = 1/256 of it GHK must come back, at first order in s. At
full strength the departure must have its sign and at least the size given: in the table "exact" is what GHK says, and
the error is by how much the departure falls short, 0 if it does not.
"""

from dataclasses import dataclass

import numpy as np

import pnp
from pnp import theory
from validation.case import Check, Result
from validation.channels import FOUR_IONS, NODES, VOLTAGES, bath_arrays, four_ions

SOURCE = (
    "Goldman (1943) J. Gen. Physiol. 27:37; Hodgkin & Katz (1949) J. Physiol. 108:37; "
    "Eisenberg (1996) J. Membr. Biol. 150:1, on the field that charges make"
)
INSIDE, OUTSIDE = [140.0, 10.0, 0.0], [5.0, 145.0, 0.0]  # K, Na, Ca; mM
LENGTHS = [1.0, 2.0, 1.0]  # nm
WATER, GATE, EXCLUSION = 78.4, 40.0, 8.0  # relative permittivities; kT
RADII = {"K": 0.138, "Na": 0.102, "Cl": 0.181}  # nm, Shannon's
STRENGTHS = (1.0, 1 / 64, 1 / 128, 1 / 256)


def charge(strength):
    """Properties of the first pore."""
    return {"fixed_charge": [0.0, -strength, 0.0]}


def gate(strength):
    """Properties of the second: 1/ε, and so the Born energy, goes in proportion to the strength."""
    within = 1 / (1 / WATER + strength * (1 / GATE - 1 / WATER))
    energy = {k: [0.0, float(theory.born_energy(r, 1, within, WATER)), 0.0] for k, r in RADII.items()}
    return {"permittivity": [WATER, within, WATER], "barrier": energy}


def exclusion(strength):
    """Properties of the third."""
    return {"barrier": {"Cl": [0.0, strength * EXCLUSION, 0.0]}}


@dataclass(frozen=True)
class Pore:
    """A pore's name and properties; the ion whose permeability against K⁺ is inferred; the least departures.

    current, reversal, ratio: of the current at 100 mV relative to GHK's, of the reversal potential (mV) and of the
    logarithm of the permeability ratio, with their signs.
    """

    name: str
    properties: object
    ion: str
    current: float
    reversal: float
    ratio: float


# The charge draws in K⁺ and Na⁺, up to 1 M of them against 0.15 M, and keeps Cl⁻ out, so that the current grows, the
# potential goes towards that of the cations alone and Cl⁻ seems hardly permeant. The gate holds back the small Na⁺
# most and all ions by 2 kT and more: less than a third passes. Without Cl⁻ the cations repel one another:
# less than half passes, and no Cl⁻.
PORES = (
    Pore("charge", charge, "Cl", 0.1, -2.0, np.log(1 / 3)),
    Pore("gate", gate, "Na", -2 / 3, -1.0, np.log(0.9)),
    Pore("exclusion", exclusion, "Cl", -1 / 2, -2.0, np.log(1 / 3)),
)


def outcome(pore, strength):
    """PNP's and GHK's current at 100 mV (pA), reversal (mV) and ratio of permeabilities, as two arrays."""
    channel = four_ions(LENGTHS, INSIDE, OUTSIDE, **pore.properties(strength))
    curve = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES))
    inside, outside, valence, diffusivity = bath_arrays(channel)
    permeability = diffusivity / sum(LENGTHS)
    constant = theory.ghk_current(VOLTAGES[-1], inside, outside, permeability, valence).sum()
    reversal, constant_reversal = curve.reversal_potential(), theory.ghk_voltage(permeability, inside, outside, valence)
    names = list(FOUR_IONS)
    order = [names.index(pore.ion), *(k for k, n in enumerate(names) if n != pore.ion)]
    reference = (permeability / permeability[names.index("K")])[order[1:]]
    inferred = theory.permeability_ratio(
        reversal, inside[order], outside[order], valence[order], reference_permeability=reference
    )
    true = permeability[order[0]] / permeability[names.index("K")]
    return np.array([curve.current[-1], reversal, inferred]), np.array([constant, constant_reversal, true])


def checks_of(pore, outcomes):
    """Six lines of the table."""
    unit = np.array([outcomes[0][1][0], 1.0, 1.0])  # currents in units of GHK's
    (full, ghk), *weak = [(p / unit, g / unit) for p, g in outcomes]
    found = {"current": full[0] - 1, "reversal": full[1] - ghk[1], "ratio": np.log(full[2] / ghk[2])}
    quantities = (
        ("current", "current / GHK's at 100 mV", ""),
        ("reversal", "reversal", "mV"),
        ("ratio", f"P_{pore.ion}/P_K by GHK", ""),
    )
    checks = []
    for k, (kind, text, unit) in enumerate(quantities):
        least = getattr(pore, kind)
        short = np.maximum(0.0, abs(least) - np.sign(least) * found[kind])  # NaN stays NaN, and fails
        checks.append(Check(f"{pore.name}: {text}", unit, full[k], ghk[k], 0.0, error=short))
    errors = np.array([np.abs(p / g - 1) for p, g in weak])
    for k, (_, text, unit) in enumerate(quantities):
        # First order in the cause: 1/256 of departures that are of the order of ghk itself, or a few times that.
        checks.append(
            Check(f"{pore.name} / 256: {text}", unit, weak[-1][0][k], ghk[k], 5 / 256, relative=True,
                  sizes=STRENGTHS[1:], errors=errors[:, k], order=1)
        )  # fmt: skip
    return checks


def run() -> Result:
    """Three pores, at full strength and at 1/64 to 1/256 of it."""
    checks, drawn = [], []
    for pore in PORES:
        outcomes = [outcome(pore, strength) for strength in STRENGTHS]
        checks += checks_of(pore, outcomes)
        state = pnp.solve(
            four_ions(LENGTHS, INSIDE, OUTSIDE, **pore.properties(1.0)), 100.0, discretization=pnp.Axial(NODES)
        )
        drawn.append((pore, state, *outcomes[0]))
    conclusion = (
        "Each cause bends the field, and GHK misjudges what it should tell: it would call the charged pore nearly "
        "impermeable to Cl⁻ though Cl⁻ diffuses as fast as K⁺ in it, and gives three or four times the current where "
        "ions are kept out. The fault is that of the constant field alone, as GHK comes back in proportion when "
        "the cause is taken away."
    )
    return Result(checks, lambda figure: draw(figure, drawn), conclusion)


def draw(figure, drawn):
    """E(x) at 100 mV in each pore beside V/L, with the currents of PNP and GHK."""
    axes = figure.subplots(1, 3)
    for ax, (pore, state, found, ghk) in zip(axes, drawn, strict=True):
        x, potential = np.asarray(state.x), np.asarray(state.potential)
        ax.axvspan(LENGTHS[0], LENGTHS[0] + LENGTHS[1], color="0.93")
        ax.plot((x[1:] + x[:-1]) / 2, -np.diff(potential) / np.diff(x), color="C3", label="PNP")
        ax.axhline(100.0 / sum(LENGTHS), color="C0", ls="--", label="constant field")
        ax.set(xlabel="x, nm", title=pore.name)
        text = "\n".join(
            f"{name:10}{p:9.3g}{g:9.3g}"
            for name, p, g in zip(("I, pA", "Vrev, mV", f"P_{pore.ion}/P_K"), found, ghk, strict=True)
        )
        ax.text(0.0, -0.2, f"{'':10}{'PNP':>9}{'GHK':>9}\n{text}", transform=ax.transAxes, va="top", family="monospace",
                fontsize="small")  # fmt: skip
    axes[0].set_ylabel("field at 100 mV, mV/nm")
    axes[0].legend(fontsize="small")
