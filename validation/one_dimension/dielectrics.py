"""Dielectrics in series: the voltage divides as over capacitors.

Three layers of different permittivity, length and cross-section, with hardly any ions. Then ε₀ ε A dφ/dx is the same
everywhere, and the voltage falls over each layer in proportion to L/(εA), one over its capacitance. A step of
permittivity is where schemes that keep φ' rather than ε φ' continuous fail.

PNP has ions, and these screen: with salt of concentration c the potentials depart by O(c), that is
as (L/λ)². The case shows this too, by the error at four concentrations.
"""

import numpy as np

import pnp
from pnp import theory
from validation.case import Check, Result
from validation.channels import NODES, layers

SOURCE = "Jackson, Classical Electrodynamics, 3rd ed., 1999, section 4.4: continuity of the normal displacement"
LENGTHS = np.array([1.0, 2.0, 1.5])  # nm
PERMITTIVITY = np.array([80.0, 4.0, 20.0])
AREA = np.array([1.0, 0.5, 2.0])  # nm²
VOLTAGE = 100.0  # mV
CONCENTRATIONS = (1.0, 0.1, 0.01, 0.001)  # mM, equal on both sides


def run() -> Result:
    """Potentials at the two steps, at falling concentrations."""
    elastance = LENGTHS / (PERMITTIVITY * AREA)
    edges = np.cumsum(LENGTHS)
    exact = VOLTAGE * (1 - np.cumsum(elastance) / elastance.sum())
    solve = lambda c: pnp.solve(
        layers(LENGTHS, c, c, area=AREA, permittivity=PERMITTIVITY), VOLTAGE, discretization=pnp.Axial(NODES)
    )
    solutions = [solve(c) for c in CONCENTRATIONS]
    found = np.array([np.interp(edges[:2], s.x, s.potential) for s in solutions])
    valence = np.array([1, -1])
    debye = [float(theory.debye_length(np.array([c, c]), valence, PERMITTIVITY[1])) for c in CONCENTRATIONS]
    reduced = edges[-1] / np.array(debye)
    checks = [
        # The departure at 1 mM is some 0.1 mV; at 0.001 mM (L/λ)² leaves a thousandth of it.
        Check(
            f"potential at the {name} step",
            "mV",
            found[-1, k],
            exact[k],
            1e-3,
            sizes=reduced,
            errors=np.abs(found[:, k] - exact[k]),
            order=2,
        )
        for k, name in enumerate(("first", "second"))
    ]
    conclusion = (
        f"With little salt the potential at the steps is the capacitors', and the layer of permittivity 4 takes "
        f"{100 * elastance[1] / elastance.sum():.0f} % of the voltage. The departure falls as (L/λ)², as that of "
        "ions that screen must."
    )
    return Result(checks, lambda figure: draw(figure, (solve(300.0), solutions[-1]), edges, exact, checks), conclusion)


def draw(figure, states, edges, exact, checks):
    """φ(x) with much and with little salt beside the capacitors' line, and the departures."""
    profile, departure = figure.subplots(1, 2)
    corners = [0.0, *edges]
    profile.plot(corners, [VOLTAGE, *exact], "k", lw=4, alpha=0.3, label="capacitors in series")
    for colour, style, state in zip(("C3", "C0"), ("-", "--"), states, strict=True):
        label = f"PNP, {float(state.channel.inside['K']):g} mM"
        profile.plot(state.x, state.potential, style, color=colour, label=label)
    for start, end, eps in zip(corners[:-1], corners[1:], PERMITTIVITY, strict=True):
        profile.text((start + end) / 2, 1.03, f"ε = {eps:g}", transform=profile.get_xaxis_transform(), ha="center")
        profile.axvline(end, color="0.8", lw=0.8)
    profile.set(xlabel="x, nm", ylabel="potential, mV", xlim=(0, edges[-1]))
    for check in checks:
        departure.loglog(check.sizes, check.errors, "o-", label=check.quantity)
    sizes = np.array(checks[0].sizes)
    departure.loglog(sizes, 2 * checks[1].errors[0] * (sizes / sizes[0]) ** 2, "k:", label="second order")
    departure.set(xlabel="length / Debye length (of ε = 4)", ylabel="departure, mV")
    profile.legend()
    departure.legend()
