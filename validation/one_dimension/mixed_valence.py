"""Reversal with Ca²⁺: where the GHK voltage equation is exact, and where it is not.

With divalent ions the GHK currents add up to zero at w = exp(eV/kT) with (A + 4Q) w² + (A − B) w − (B + 4R) = 0, in
which A, B are Σ P c of monovalent ions from inside and outside and Q, R those of the divalent. It takes a constant
field, which PNP has if Σ c is equal in both baths *for each valence* (see `ghk`; the sum of all ions is not enough),
or if the pore is thin. So K⁺ and Na⁺ exchanged across equal CaCl₂ must reverse there at any thickness; CaCl₂ against
KCl only as L/λ → 0, with an error of (L/λ)². A thick pore has no constant field. It stays neutral, which makes

    dφ/dx = −(kT/e) Σ (z J/D) / Σ z² c,   dc/dx = −J/D − z c (e/kT) dφ/dx

an ordinary problem, solved here by SciPy with V such that Σ z J = 0, and linearisation_point as (λ/L)². There is no
closed form; Henderson's, which assumes linear profiles, comes near.
"""

import numpy as np
from scipy import constants
from scipy.integrate import solve_bvp

from pnp import theory
from validation.case import Check, Result
from validation.channels import bath_arrays, fine_reversal, four_ions

SOURCE = "Lewis (1979), J. Physiol. 286:417; Planck (1890), Ann. Phys. Chem. 40:561 for neutrality."

EXCHANGED = ([100.0, 5.0, 20.0], [5.0, 100.0, 20.0])  # K, Na, Ca; mM
SALTS = ([0.0, 0.0, 100.0], [100.0, 0.0, 0.0])  # CaCl₂ inside, KCl outside
THIN, BETWEEN, THICK = (0.16, 0.08, 0.04, 0.02), (0.5, 2.0, 5.0, 15.0), (50.0, 100.0, 200.0, 400.0)


def run() -> Result:
    """Reversals of the exact case, and of CaCl₂ against KCl at many thicknesses."""
    checks = []
    for length in (0.02, 4.0, 200.0):
        channel = _pore(length, EXCHANGED)
        checks.append(Check(f"K|Na with equal CaCl₂, {length:g} nm", "mV", fine_reversal(channel, 0.0),
                            _ghk(channel), 1e-6))  # fmt: skip
    debye = float(_pore(1.0, SALTS).debye_length[0])
    found = {r: fine_reversal(_pore(r * debye, SALTS), 0.0) for r in (*THIN[::-1], *BETWEEN, *THICK)}
    channel = _pore(1.0, SALTS)
    ghk, thick, henderson = _ghk(channel), _neutral_reversal(), float(theory.henderson_potential(*_all(channel)))
    order = lambda ratios, exact: tuple(abs(found[r] - exact) for r in ratios)
    checks += [
        # The tolerances are (L/λ)² and, as the charge is largest where salt is scarce, 10 (λ/L)² of kT/e.
        Check(f"CaCl₂|KCl → GHK, L/λ = {THIN[-1]:g}", "mV", found[THIN[-1]], ghk, 25.7 * THIN[-1] ** 2,
              sizes=THIN, errors=order(THIN, ghk), order=2.0),
        Check(f"CaCl₂|KCl → neutral, L/λ = {THICK[-1]:g}", "mV", found[THICK[-1]], thick, 257 * THICK[-1] ** -2,
              sizes=tuple(1 / r for r in THICK), errors=order(THICK, thick), order=2.0),
    ]  # fmt: skip
    return Result(
        checks,
        lambda figure: draw(figure, found, ghk, thick, henderson),
        f"CaCl₂ against KCl reverses at {ghk:.2f} mV in a thin pore and at {thick:.2f} mV in a thick one, without any "
        "charge or selectivity having changed: only the field has.",
    )


def _pore(length, baths):
    return four_ions([length / 4, length / 2, length / 4], *baths)


def _all(channel):
    inside, outside, valence, diffusivity = bath_arrays(channel)
    return inside, outside, diffusivity, valence


def _ghk(channel):
    inside, outside, diffusivity, valence = _all(channel)
    return float(theory.ghk_voltage(diffusivity, inside, outside, valence))


def _neutral_reversal():
    """Reversal potential (mV) of a neutral layer between the two `SALTS`: c_Ca, c_K and φ, with both fluxes unknown."""
    _, _, diffusivity, valence = _all(_pore(1.0, SALTS))
    z, D = valence[[2, 0, 3]], diffusivity[[2, 0, 3]]

    def rates(x, y, p):
        c = np.array([y[0], y[1], 2 * y[0] + y[1]])
        drag = np.array([p[0], p[1], 2 * p[0] + p[1]]) / D  # J/D, with no current
        slope = -(z @ drag) / (z**2 @ c)
        return np.vstack([-drag[:2, None] - z[:2, None] * c[:2] * slope, slope])

    ends = lambda a, b, p: np.array([a[0] - 1, a[1], b[0], b[1] - 1, b[2]])
    x = np.linspace(0, 1, 41)
    solution = solve_bvp(rates, ends, x, np.array([1 - x, x, 0 * x]), [0.8, -2.0], tol=1e-10, max_nodes=100_000)
    if not solution.success:
        raise RuntimeError(f"the neutral layer: {solution.message}")
    return 1e3 * constants.k * 298.15 / constants.e * solution.y[2, 0]


def draw(figure, found, ghk, thick, henderson):
    """Reversal potential against thickness, and its departure from both limits."""
    left, right = figure.subplots(1, 2)
    ratio = np.array(list(found))
    voltage = np.array(list(found.values()))
    left.semilogx(ratio, voltage, "k.-", label="PNP")
    for value, label, colour in ((ghk, "GHK", "C0"), (thick, "neutral layer", "C1"), (henderson, "Henderson", "C2")):
        left.axhline(value, color=colour, ls="--", label=label)
    left.set(xlabel="L/λ", ylabel="reversal potential, CaCl₂ | KCl, mV")
    right.loglog(ratio, np.abs(voltage - ghk), "C0.-", label="from GHK")
    right.loglog(ratio, np.abs(voltage - thick), "C1.-", label="from the neutral layer")
    right.loglog(ratio[:4], np.abs(voltage[0] - ghk) * (ratio[:4] / ratio[0]) ** 2, "k:", label="second order")
    right.loglog(ratio[-4:], np.abs(voltage[-1] - thick) * (ratio[-1] / ratio[-4:]) ** 2, "k:")
    right.set(xlabel="L/λ", ylabel="departure, mV")
    for ax in (left, right):
        ax.legend(fontsize="small")
