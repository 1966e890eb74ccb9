"""Access in three dimensions: from a hole in a film to a long pore, where Hall's formula is not exact.

    R = L/(π a² κ) + 2 α(L/a)/(κ a)

An uncharged pore between equal baths is Ohm's law. A mouth with a pore behind it is no equipotential, so that α grows
from Hall's 1/4 for a hole of no length to King's (and, for sound, Rayleigh's) 0.2615 for a long pore. In between it
is computed by an independent program from modes of the pore and of both half-spaces (see `flanged`). The solver
also says what of it lies outside of the mouths (`State.resistance`), where less is dissipated than α says, for the
current spreads within the pore already. The current is singular at the edge of a mouth; the mesh is graded to that.
"""

import equinox as eqx
import numpy as np

import pnp
from pnp import theory
from validation.axisymmetric import flanged
from validation.case import Check, Result

SOURCE = (
    "Hall (1975) J. Gen. Physiol. 66:531; King (1936) Phil. Mag. 21:128; Rayleigh, Theory of Sound, 1896, §307 and "
    "appendix A"
)
RADIUS, VOLTAGE = 1.0, 0.1  # nm, of the preset; mV
LENGTHS = np.array([0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])  # nm
RESOLUTIONS = (0.5, 1.0)
STUDIED = 1.0  # nm: that length is solved at all resolutions


def run() -> Result:
    """One ready-made pore, its length changed over three decades."""
    pore = pnp.load("uncharged-cylinder")
    bath = np.asarray(pore.bath_concentration)[0]
    diffusivity = np.array([pore.ions[name].diffusivity for name in pore.ion_names])
    sigma = float(theory.conductivity(bath, diffusivity, pore.valence))
    channel = lambda length: eqx.tree_at(lambda c: c.pore.end, pore, np.asarray(length))
    solve = lambda length, resolution: pnp.solve(channel(length), VOLTAGE, discretization=pnp.Axisymmetric(resolution))
    alpha, outside = np.transpose([flanged.access_resistance(length / RADIUS) for length in LENGTHS])
    own = LENGTHS / (np.pi * RADIUS**2 * sigma)
    exact = VOLTAGE / (own + 2 * alpha / (sigma * RADIUS))  # pA
    states = [solve(length, RESOLUTIONS[-1]) for length in LENGTHS]
    checks = []
    for state, length, wanted in zip(states, LENGTHS, exact, strict=True):
        checks.append(Check(f"current, L = {length:g} a", "pA", state.current, wanted, 1e-3, relative=True))
    at = int(np.flatnonzero(LENGTHS == STUDIED)[0])
    coarse = solve(STUDIED, RESOLUTIONS[0])
    off = lambda state: abs(float(state.mesh_current[-1]) / exact[at] - 1)
    # At a right-angled edge the field is singular, and on even cells the order would be 4/3.
    study = {"sizes": RESOLUTIONS, "errors": [off(coarse), off(states[at])], "order": 2, "order_tolerance": 0.4}
    found = float(states[at].current)
    cap = float(states[at].discretization_error)
    checks.append(Check("current, within its own error, L = 1 a", "pA", found, exact[at], cap, relative=True, **study))
    drop = np.array([VOLTAGE / float(state.current) for state in states]) - own
    computed = drop * sigma * RADIUS / 2
    within = np.array([float(state.resistance[0]) for state in states]) * sigma * RADIUS
    for i in (0, -1):
        checks.append(Check(f"α, L = {LENGTHS[i]:g} a", "", computed[i], alpha[i], 2e-3, relative=True))
        checks.append(Check(f"its part outside, L = {LENGTHS[i]:g} a", "", within[i], outside[i], 3e-3, relative=True))
    conclusion = (
        f"From {computed[0]:.4f} for a hole (Hall: 0.25) to {computed[-1]:.4f} for a long pore (King: 0.2615), as the "
        f"modes of the pore say. For L = a access to both mouths is {100 * (4 * computed[at] - 1):.1f} % above Hall's."
    )
    return Result(checks, lambda figure: draw(figure, computed, within), conclusion)


def draw(figure, computed, within):
    """Both α over L/a."""
    axes = figure.subplots()
    fine = np.geomspace(LENGTHS[0], LENGTHS[-1], 60)
    alpha, outside = np.transpose([flanged.access_resistance(length / RADIUS) for length in fine])
    axes.semilogx(fine, alpha, color="C0", label="exact")
    axes.semilogx(fine, outside, "--", color="C0", label="exact, outside of the mouths")
    axes.semilogx(LENGTHS, computed, "o", mfc="none", color="C3", label="PNP, extrapolated")
    axes.semilogx(LENGTHS, within, "s", mfc="none", color="C3", label="PNP, outside of the mouths")
    axes.axhline(0.25, color="k", ls=":", lw=1)
    axes.text(fine[-1], 0.25, "Hall", ha="right", va="bottom")
    axes.set(xlabel="L / a", ylabel="access resistance × κ a")
    axes.legend()
