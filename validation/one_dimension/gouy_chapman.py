"""The diffuse layer at a charged surface: Gouy and Chapman, in 1:1 and 2:1 salt.

A thick slab of fixed charge in equilibrium with a bath on either side. Outside of it there are only point ions, which
is all that Gouy and Chapman assume of a charged wall, so that PNP without flux must give their profile exactly,

    KCl    tanh(y/4) = tanh(y₀/4) e^(−x/λ)
    CaCl2  (w − √3)/(w + √3) = (w₀ − √3)/(w₀ + √3) e^(−x/λ),   w = √(2eʸ + 1),   y = eφ/kT,

with the potential φ₀ that the slab's edge has by theory, and in the layer the charge that Grahame's law says,
σ² = 2 ε₀ε RT Σ c (e^(−zy₀) − 1). Nothing in the exact column comes from the solver. What is left is the error of the
mesh, of second order.
"""

import numpy as np

import pnp
from pnp import theory
from pnp.theory.double_layer import DISPLACEMENT_PER_SURFACE_CHARGE
from validation.case import Check, Result
from validation.channels import FOUR_IONS, NODES, SALT, layers

SOURCE = (
    "Gouy (1910) J. Phys. Théor. Appl. 9:457; Chapman (1913) Phil. Mag. 25:475; Grahame (1947) Chem. Rev. 41:441; "
    "edge of a charged slab: Ohshima & Ohki (1985) Biophys. J. 47:673"
)
FIXED_CHARGE = -5.0  # M
THICKNESS = 20  # of slab and baths in Debye lengths: e⁻²⁰ is far below the error of any mesh
PERMITTIVITY = 78.4
SALTS = {
    "KCl": (SALT, {"K": 100.0, "Cl": 100.0}),
    "CaCl2": (FOUR_IONS, {"Ca": 100.0, "Cl": 200.0}),  # without K and Na
}


def compare(salt, nodes):
    """Outside the slab: distance in Debye lengths, potential, its exact value (mV); charge and exact charge (C/m²)."""
    ions, bath = SALTS[salt]
    valence, concentration = np.array([ions[name].valence for name in bath]), np.array(list(bath.values()))
    debye = float(theory.debye_length(concentration, valence, PERMITTIVITY))
    slab = layers([THICKNESS * debye] * 3, bath, bath, ions=ions, fixed_charge=[0, FIXED_CHARGE, 0])
    solution = pnp.solve(slab, 0.0, discretization=pnp.Axial(nodes))
    edge = 2 * THICKNESS * debye
    outside = np.asarray(solution.x) > edge * (1 - 1e-9)
    x, potential = np.asarray(solution.x)[outside] - edge, np.asarray(solution.potential)[outside]
    surface = theory.donnan_interface_potential(FIXED_CHARGE, concentration, valence)
    exact = theory.gouy_chapman_potential(x, surface, concentration, valence, PERMITTIVITY)
    density = np.asarray(solution.concentration)[outside] @ slab.valence
    charge = np.trapezoid(density, x) / DISPLACEMENT_PER_SURFACE_CHARGE
    exact_charge = -theory.grahame_charge(surface, concentration, valence, PERMITTIVITY)
    return x / debye, potential, np.asarray(exact), charge, float(exact_charge)


def run() -> Result:
    """Both salts, and KCl on a quarter of the elements too, for the order."""
    checks, finest = [], {}
    for salt, sizes in (("KCl", (NODES // 4, NODES)), ("CaCl2", (NODES,))):
        runs = [compare(salt, nodes) for nodes in sizes]
        finest[salt] = runs[-1]
        _, potential, exact, charge, exact_charge = runs[-1]
        worst = [np.abs(p - e).max() for _, p, e, _, _ in runs]
        study = {"sizes": sizes, "errors": worst, "order": 2} if len(sizes) > 1 else {}
        # Twice what second order with (h/λ)²/12 of φ'' says for some 15 elements per Debye length; the charge is
        # summed by the trapezoidal rule on the same mesh.
        checks += [
            Check(f"{salt}: potential of the edge", "mV", potential[0], exact[0], 0.02),
            Check(f"{salt}: largest error of φ(x)", "mV", worst[-1], 0.0, 0.02, **study),
            Check(f"{salt}: charge of the layer", "C/m²", charge, exact_charge, 3e-3, relative=True),
        ]
    conclusion = (
        "Outside a charged slab PNP is Gouy and Chapman's theory, in both salts, with second-order convergence. The "
        "calcium layer is thinner and its surface less negative than potassium's at the same fixed charge: two charges "
        "per ion screen better."
    )
    return Result(checks, lambda figure: draw(figure, finest), conclusion)


def draw(figure, finest):
    """φ(x) of both salts, and the error."""
    profile, error = figure.subplots(1, 2)
    for colour, (salt, (x, potential, exact, _, _)) in zip(("C0", "C3"), finest.items(), strict=True):
        near = x < 6
        profile.plot(x[near], exact[near], color=colour, label=f"{salt}, Gouy–Chapman")
        profile.plot(x[near][::4], potential[near][::4], "o", ms=4, mfc="none", color=colour, label=f"{salt}, PNP")
        error.semilogy(x[near], np.abs(potential - exact)[near], color=colour, label=salt)
    profile.set(xlabel="distance from the slab, Debye lengths", ylabel="potential, mV")
    error.set(xlabel="distance from the slab, Debye lengths", ylabel="|PNP − exact|, mV", title=f"{NODES} elements")
    profile.legend()
    error.legend()
