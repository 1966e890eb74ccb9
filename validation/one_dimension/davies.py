"""Activities in place of concentrations: Davies' equation in a cell, a junction and a charged layer.

Thermodynamics knows activities only. With mu_ex = ln γ as Davies has it (to I = 0.5 M),

    a pore for one ion      E = (kT/ze) ln(a_out/a_in)
    a thick neutral pore    E = (kT/e) (D₊ − D₋)/(D₊ + D₋) ln(a_out/a_in), of a 1:1 salt
    a thick charged layer   a_k e^(z_k y) that of the bath for every ion, and Σ z c + X = 0

where points would give the same with concentrations, some mV away. The exact columns are worked out here from the
equation itself, and the charged layer by SciPy. The junction needs an electroneutral pore: it departs as (λ/L)².
"""

import numpy as np
from scipy import constants, optimize

import pnp
from pnp import theory
from pnp.channel.activity import Davies
from validation.case import Check, Result
from validation.channels import NODES, VOLTAGES, fine_reversal, layers

SOURCE = (
    "Davies (1962) Ion Association; Nernst (1889) Z. Phys. Chem. 4:129; MacInnes (1939) Principles of Electrochemistry"
)
SLOPE, COEFFICIENT = 0.509, 0.3
THERMAL = 1e3 * constants.k * 298.15 / constants.e  # mV
NACL = {"Na": pnp.Ion(1, 1.334), "Cl": pnp.Ion(-1, 2.032)}
SALTS = {
    "Na in NaCl": (NACL, 1),
    "Ca in CaCl2": ({"Ca": pnp.Ion(2, 0.792), "Cl": pnp.Ion(-1, 2.032)}, 2),
}
INSIDE, OUTSIDE = 150.0, 5.0  # mM of the salt
LENGTHS = (80.0, 160.0, 320.0, 640.0)  # nm of the junction
JUNCTION = (300.0, 30.0)  # mM
LAYER, BATH = -0.15, 100.0  # M of fixed charge, mM


def ln_gamma(strength, z):
    """Davies' equation, natural; strength: M."""
    root = np.sqrt(strength)
    return -np.log(10) * SLOPE * z**2 * (root / (1 + root) - COEFFICIENT * strength)


def cell(ions, z):
    """Computed and exact reversal potential of a pore for the cation only, and what concentrations would give (mV)."""
    names = list(ions)
    bath = lambda c: {names[0]: c, "Cl": z * c}
    channel = layers([1.0, 2.0, 1.0], bath(INSIDE), bath(OUTSIDE), ions=ions, fixed_charge=[0, -0.3, 0],
                     barrier={"Cl": [0, 60, 0]}, activity_model=Davies(SLOPE, COEFFICIENT))  # fmt: skip
    ionic = lambda c: (z**2 + z) * c / 2e3
    ideal = np.log(OUTSIDE / INSIDE)
    exact = ideal + ln_gamma(ionic(OUTSIDE), z) - ln_gamma(ionic(INSIDE), z)
    found = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES)).reversal_potential()
    return found, THERMAL / z * exact, THERMAL / z * ideal


def junction():
    """Reversal potentials of neutral pores of all lengths, their limit, and the scale of the departure (mV)."""
    inside, outside = JUNCTION
    share = (NACL["Na"].diffusivity - NACL["Cl"].diffusivity) / (NACL["Na"].diffusivity + NACL["Cl"].diffusivity)
    ratio = np.log(outside / inside) + ln_gamma(outside / 1e3, 1) - ln_gamma(inside / 1e3, 1)
    exact = THERMAL * share * ratio
    channels = [
        layers([n / 3] * 3, inside, outside, ions=NACL, activity_model=Davies(SLOPE, COEFFICIENT)) for n in LENGTHS
    ]
    debye = float(theory.debye_length(np.array([outside, outside]), np.array([1, -1]), 78.4))
    # At the dilute end c changes over L c_out/(c_in − c_out); the field there bends over that length, and by Gauss's
    # law the charge it takes is this part of c.
    small = debye * (inside - outside) / outside / np.array(LENGTHS)
    return [fine_reversal(channel, exact) for channel in channels], exact, THERMAL * abs(share) * small**2


def layer():
    """(potential in mV, co-ion in mM) of a thick charged layer at rest, computed and exact; and its currents."""
    fixed = 1e3 * LAYER
    channel = layers([60.0] * 3, BATH, BATH, ions=NACL, fixed_charge=[0, LAYER, 0],
                     activity_model=Davies(SLOPE, COEFFICIENT))  # fmt: skip
    gamma = lambda anion: ln_gamma((2 * anion - fixed) / 2e3, 1)
    balance = lambda anion: np.log(anion * (anion - fixed) / BATH**2) + 2 * (gamma(anion) - ln_gamma(BATH / 1e3, 1))
    anion = optimize.brentq(balance, 1e-3, BATH, xtol=1e-13, rtol=1e-15)
    exact = THERMAL * (np.log(BATH / (anion - fixed)) + ln_gamma(BATH / 1e3, 1) - gamma(anion)), anion
    state = pnp.solve(channel, 0.0, discretization=pnp.Axial(NODES))
    middle = np.argmin(np.abs(np.asarray(state.x) - 90.0))
    curve = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES))
    leak = np.abs(np.asarray(curve.ion_current)[np.argmin(np.abs(VOLTAGES))]).max() / float(curve.current[-1])
    return (float(state.potential[middle]), float(state.concentration[middle, 1])), exact, leak


def run() -> Result:
    """Two cells, the junction at four lengths, the layer."""
    checks, shown = [], {}
    for name, (ions, z) in SALTS.items():
        found, exact, ideal = cell(ions, z)
        shown[name] = (found, exact, ideal)
        checks.append(Check(f"cell, {name} (of points {ideal:.2f})", "mV", found, exact, 1e-6))
    potentials, exact, scale = junction()
    errors = np.abs(np.array(potentials) - exact)
    checks.append(Check(f"junction of NaCl, {LENGTHS[-1]:g} nm", "mV", potentials[-1], exact, scale[-1],
                        sizes=LENGTHS, errors=errors, order=2.0))  # fmt: skip
    (potential, co_ion), (exact_potential, exact_co_ion), leak = layer()
    checks += [
        Check("charged layer: potential", "mV", potential, exact_potential, 1e-6),
        Check("charged layer: Cl", "mM", co_ion, exact_co_ion, 1e-8, relative=True),
        Check("charged layer at rest: current / that at 100 mV", "", leak, 0.0, 1e-12),
    ]
    calcium = shown["Ca in CaCl2"]
    conclusion = (
        "With Davies' excess potential the cells, the junction and the charged layer are those of activities, to "
        f"round-off where they must be. In calcium chloride that is {calcium[1] - calcium[2]:.1f} mV away from what "
        "concentrations say."
    )
    return Result(checks, lambda figure: draw(figure, shown, errors), conclusion)


def draw(figure, shown, errors):
    """The cells with activities and with concentrations; the junction's departure."""
    cells, departure = figure.subplots(1, 2)
    for k, (found, exact, ideal) in enumerate(shown.values()):
        cells.plot(k, found, "o", mfc="none", color="k", label="PNP" if k == 0 else None)
        cells.hlines(exact, k - 0.3, k + 0.3, color="C0", label="activities" if k == 0 else None)
        cells.hlines(ideal, k - 0.3, k + 0.3, color="C3", ls="--", label="concentrations" if k == 0 else None)
    cells.set_xticks(range(len(shown)), list(shown))
    cells.set(ylabel="reversal potential, mV")
    cells.legend()
    departure.loglog(LENGTHS, errors, "o-", label="NaCl, 300 to 30 mM")
    departure.loglog(LENGTHS, errors[-1] * (LENGTHS[-1] / np.array(LENGTHS)) ** 2, "k:", label="second order")
    departure.set(xlabel="length, nm", ylabel="departure from the junction's law, mV")
    departure.legend()
