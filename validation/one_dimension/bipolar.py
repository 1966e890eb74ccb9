"""A bipolar pore: two regions of opposite fixed charge are a diode, with Shockley's law.

A negative region inside and a positive one outside. Counter-ions that cross the junction are co-ions beyond it, few and
slow to diffuse on: I = I_s (e^(eV/kT) − 1), I_s = F c² Σ P/|X|, as for a p–n junction with fixed charges as dopants.

PNP must come to it for (c/X)² → 0 and regions thick against their own Debye length λ_X: the depleted junction
and the double layers, some λ_X each, shorten the way, which is an error of first order in λ_X/L. Shockley's
law says also that the currents at ±V stand as e^(eV/kT), and that a pore turned round has its curve reflected.
"""

import numpy as np

import pnp
from pnp import theory, units
from validation.case import Check, Result
from validation.channels import NODES, SALT, VOLTAGES, layers

SOURCE = "Shockley (1949) Bell Syst. Tech. J. 28:435; Mauro (1962) Biophys. J. 2:179; Coster (1965) Biophys. J. 5:669"
BATH, FIXED_CHARGE = 10.0, 5.0  # mM and M: (c/X)² = 4e-6
LENGTHS = np.array([20.0, 40.0, 80.0, 160.0])  # of each region, nm
WAY = 10  # Debye lengths: what junction and double layers together take off the way, about


def charge(turned):
    """Fixed charge of the region inside and outside, M."""
    return np.array([FIXED_CHARGE, -FIXED_CHARGE]) if turned else np.array([-FIXED_CHARGE, FIXED_CHARGE])


def curves(length, turned=False):
    """PNP's and Shockley's currents (pA) at `VOLTAGES`."""
    here, there = charge(turned)
    # The second region is two layers of half the length: the shared structure has three.
    channel = layers([length, length / 2, length / 2], BATH, BATH, fixed_charge=[here, there, there])
    iv = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES))
    co_ion = [SALT["Cl"].diffusivity, SALT["K"].diffusivity]
    permeability = np.array(co_ion[::-1] if turned else co_ion) / length
    exact = theory.bipolar_junction_current(VOLTAGES, BATH, BATH, np.array([here, there]), permeability)
    return np.asarray(iv.current), np.asarray(exact)


def run() -> Result:
    """Four lengths of the regions, and the longest one turned round."""
    pairs = [curves(length) for length in LENGTHS]
    computed, exact = pairs[-1]
    turned, turned_exact = curves(LENGTHS[-1], turned=True)
    # All of the screening is by counter-ions, X of them: λ_X² = ε₀ ε kT/(e F X).
    debye = float(np.sqrt(units.permittivity_scale(298.15) * 78.4 / (1e3 * FIXED_CHARGE)))
    study = {"sizes": debye / LENGTHS, "order": 1}
    errors = [np.abs(i[[0, -1]] / e[[0, -1]] - 1) for i, e in pairs]
    bound = WAY * debye / LENGTHS[-1]
    checks = [
        Check(
            f"current at {VOLTAGES[k]:+.0f} mV",
            "pA",
            computed[k],
            exact[k],
            bound,
            relative=True,
            errors=[e[k] for e in errors],
            **study,
        )
        for k in (0, -1)
    ]
    checks += [
        Check("turned round, at -100 mV", "pA", turned[0], turned_exact[0], bound, relative=True),
        # The way is a little shorter under reverse than under forward bias, where the junction is less depleted.
        Check(
            "I(100 mV) / −I(−100 mV)",
            "",
            -computed[-1] / computed[0],
            np.exp(100 / units.thermal_voltage(298.15)),
            bound,
            relative=True,
        ),
    ]
    conclusion = (
        f"A negative and a positive region in series pass {-computed[-1] / computed[0]:.0f} times more current outward "
        f"than inward at 100 mV. It exceeds Shockley's by {100 * errors[-1][0]:.1f} % at {LENGTHS[-1]:.0f} nm, since "
        "the depleted junction shortens the way of diffusion, and by less the longer the regions are."
    )
    return Result(checks, lambda figure: draw(figure, computed, exact, errors, study["sizes"]), conclusion)


def draw(figure, computed, exact, errors, small):
    """I–V on a logarithmic axis and the errors against λ_X/L."""
    curve, error = figure.subplots(1, 2)
    fine = np.linspace(-100.0, 100.0, 201)
    shape = np.expm1(fine / units.thermal_voltage(298.15)) * exact[-1] / np.expm1(100 / units.thermal_voltage(298.15))
    curve.plot(fine, np.arcsinh(shape / 1e-4), color="C0", label="Shockley")
    curve.plot(VOLTAGES, np.arcsinh(computed / 1e-4), "o", mfc="none", color="C3", label="PNP")
    ticks = np.array([-1e-4, 0.0, 1e-4, 1e-3, 1e-2])
    curve.set_yticks(np.arcsinh(ticks / 1e-4), [f"{1e3 * t:g}" for t in ticks])
    curve.set(xlabel="voltage, mV", ylabel="current, fA; scale asinh", title=f"two regions of {LENGTHS[-1]:.0f} nm")
    for k, label in ((0, "−100 mV"), (1, "+100 mV")):
        error.loglog(small, [e[k] for e in errors], "o-", label=label)
    error.loglog(small, errors[0][0] * small / small[0], "k:", label="first order")
    error.set_xticks(small, [f"{s:.4f}" for s in small])
    error.minorticks_off()
    error.set_yticks([0.01, 0.02, 0.05], ["1 %", "2 %", "5 %"])
    error.set(xlabel="λ_X / L", ylabel="relative departure from Shockley")
    curve.legend()
    error.legend()
