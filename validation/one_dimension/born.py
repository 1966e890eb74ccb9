"""Barriers: Born energy at a low-permittivity gate, and an arbitrary potential of mean force.

So dilute that the ions do not disturb the field, each crosses by itself, and its flux over any profile of energy
is an integral,

    J = (c_in e^(zu) − c_out) / ∫ e^ψ/(D A) dx,    ψ = w(x) + z φ(x) e/kT,    u = eV/kT.

Two pores: a gate of permittivity 20 with the Born energy of K+ and Cl-,
w = z²e²/(8πε₀ a kT) (1/ε − 1/ε_w), which the solver works out from the permittivity and the radii of the ions and in
which the field itself is uneven (ε φ' is constant), and one of even permittivity with an energy that slopes and jumps.
The exponentially fitted flux of the solver is exact where ψ is straight between nodes, so PNP must agree on any mesh,
but for the charge of the ions: the departure is O(c), that is (L/λ)², and the case shows that it is.
"""

import numpy as np

import pnp
from pnp import theory, units
from validation.case import Check, Result
from validation.channels import NODES, VOLTAGES, layers

SOURCE = "Born (1920) Z. Phys. 1:45; Kramers (1940) Physica 7:284; Scharfetter & Gummel (1969) IEEE Trans. ED 16:64"
LENGTHS = np.array([1.0, 1.5, 1.0])  # nm
WATER = float(theory.water_permittivity())
RADII = {"K": 0.138, "Cl": 0.181}  # nm, Shannon's
SALT = {"K": pnp.Ion(1, 1.957, RADII["K"]), "Cl": pnp.Ion(-1, 2.032, RADII["Cl"])}
GATE = {k: [0.0, float(theory.born_energy(r, 1, 20.0, WATER)), 0.0] for k, r in RADII.items()}  # kT
ARBITRARY = {"K": [0.0, 1.5, -2.0, 3.0, 0.5, -1.0], "Cl": [1.0, 0.0, 0.5, -2.0, 4.0, 3.0]}  # kT
PORES = {"Born gate": ([WATER, 20.0, WATER], GATE), "arbitrary energy": ([WATER] * 3, ARBITRARY)}
CONCENTRATIONS = (1.0, 1e-2, 1e-4, 1e-6)  # mM inside, a tenth of it outside


def independent(permittivity, barrier, inside):
    """Currents [voltage, ion] of ions that do not interact, pA, by `theory.barrier_flux`."""
    drop = np.cumsum([0.0, *(LENGTHS / permittivity)])
    corner = np.repeat([0, 1, 2, 3], 2)  # the energy is 0 in the baths, whatever it is at the ends
    x = np.concatenate([[0.0], np.cumsum(LENGTHS)])[corner]
    potential = VOLTAGES[:, None] * (1 - drop / drop[-1])[corner]
    currents = []
    for name, ion in SALT.items():
        values = barrier[name]
        energy = np.concatenate([[0.0], np.repeat(values, 2) if len(values) == 3 else values, [0.0]])
        flux = theory.barrier_flux(x, energy, inside, inside / 10, ion.diffusivity, 1.0, ion.valence, potential)
        currents.append(units.CURRENT_PER_FLUX * ion.valence * np.asarray(flux))
    return np.stack(currents, -1)


def run() -> Result:
    """Both pores at all concentrations; errors are the largest relative ones over 11 voltages."""
    checks, drawn = [], {}
    debye = np.array([float(theory.debye_length(np.array([c, c]), np.array([1, -1]), WATER)) for c in CONCENTRATIONS])
    for pore, (permittivity, barrier) in PORES.items():
        curves, exact = [], []
        for inside in CONCENTRATIONS:
            own = {"born": True} if pore == "Born gate" else {"barrier": barrier}
            channel = layers(LENGTHS, inside, inside / 10, ions=SALT, permittivity=permittivity, **own)
            curves.append(np.asarray(pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES)).ion_current))
            exact.append(independent(permittivity, barrier, inside))
        error = [np.abs(i / e - 1).max(0) for i, e in zip(curves, exact, strict=True)]
        drawn[pore] = (curves[-1], exact[-1], np.array(error))
        for k, name in enumerate(SALT):
            # 1e-6 mM is (L/λ)² ~ 1e-10, times how much a well or a gate magnifies it (e³ and more).
            checks.append(
                Check(
                    f"{pore}: {name} at 100 mV",
                    "pA",
                    curves[-1][-1, k],
                    exact[-1][-1, k],
                    1e-7,
                    error=error[-1][k],
                    relative=True,
                    sizes=LENGTHS.sum() / debye,
                    errors=[e[k] for e in error],
                    order=2,
                )
            )
    w = {k: v[1] for k, v in GATE.items()}
    conclusion = (
        f"Without salt to speak of PNP gives the flux over any barrier (the Born energies are {w['K']:.1f} kT for K+ "
        f"and {w['Cl']:.1f} kT for Cl-, the larger ion). It departs as (L/λ)² as the ions begin to "
        "carry their own field: then no barrier formula for one ion holds."
    )
    return Result(checks, lambda figure: draw(figure, drawn, LENGTHS.sum() / debye), conclusion)


def draw(figure, drawn, reduced):
    """I–V of both pores, and the departure against L/λ."""
    *curves, departure = figure.subplots(1, 3)
    for ax, (pore, (computed, exact, error)) in zip(curves, drawn.items(), strict=True):
        scale = np.abs(exact).max()
        for k, name in enumerate(SALT):
            ax.plot(VOLTAGES, exact[:, k] / scale, color=f"C{k}", label=f"{name}, integral")
            ax.plot(VOLTAGES, computed[:, k] / scale, "o", mfc="none", color=f"C{k}", label=f"{name}, PNP")
        ax.set(title=pore, xlabel="voltage, mV", ylabel=f"current / {scale:.2g} pA")
        departure.loglog(reduced, error.max(1), "o-", label=pore)
    curves[0].legend(fontsize="small")
    departure.loglog(reduced, error.max() * (reduced / reduced[0]) ** 2, "k:", label="second order")
    departure.set(xlabel="L/λ", ylabel="largest relative departure")
    departure.legend(fontsize="small")
