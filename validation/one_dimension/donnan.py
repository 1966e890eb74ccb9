"""Donnan equilibrium of a thick charged layer: its plateau, and the potential at its edge.

Far inside, mobile ions balance the fixed charge X, and the potential is Donnan's, φ_D = (kT/e) asinh(X/2c). At the edge
two half double layers meet. The first integral of Poisson–Boltzmann on both sides, with one potential and one
displacement where they meet, gives y = eφ/kT there:

    y_edge = y_D − tanh(y_D / 2)        for equal permittivities,

and one equation in y_edge otherwise. PNP at rest is Poisson–Boltzmann, so all of it must hold: the plateau to
round-off and e⁻²⁰ (it is 20 Debye lengths from the edges), the edge to second order in the mesh.
"""

import numpy as np
from scipy import constants

import pnp
from pnp import theory
from validation.case import Check, Result
from validation.channels import NODES, layers

SOURCE = "Donnan (1911), Z. Elektrochem. 17:572; for the edge Ohshima & Ohki (1985), Biophys. J. 47:673."

SALT, CHARGE = 100.0, -1.0  # mM, M
TEMPERATURE = 298.15
PERMITTIVITY = {"equal permittivities": 78.4, "a quarter inside": 19.6}
MESHES = (NODES, 4 * NODES)


def run() -> Result:
    """Plateau and edge of −1 M in 0.1 M KCl, with two permittivities and on two meshes."""
    thermal = 1e3 * constants.k * TEMPERATURE / constants.e
    y = np.arcsinh(1e3 * CHARGE / (2 * SALT))
    bath = np.array([SALT, SALT])
    checks, profiles = [], {}
    for name, permittivity in PERMITTIVITY.items():
        channel = layers([20.0, 20.0, 20.0], SALT, SALT, fixed_charge=[0.0, CHARGE, 0.0],
                         permittivity=[78.4, permittivity, 78.4], temperature=TEMPERATURE)  # fmt: skip
        states = [pnp.solve(channel, 0.0, discretization=pnp.Axial(nodes)) for nodes in MESHES]
        at = lambda state, x: float(np.interp(x, state.x, state.potential))
        ratio = permittivity / 78.4
        edge = thermal * (y - np.tanh(y / 2))
        if ratio != 1:
            edge = float(theory.donnan_interface_potential(CHARGE, bath, np.array([1, -1]), ratio, TEMPERATURE))
        errors = tuple(abs(at(state, 20.0) - edge) for state in states)
        middle = np.argmin(np.abs(np.asarray(states[1].x) - 30.0))
        co_ion = float(states[1].concentration[middle, 1])
        checks += [
            Check(f"plateau, {name}", "mV", states[1].potential[middle], thermal * y, 1e-6),
            Check(f"Cl in the plateau, {name}", "mM", co_ion, SALT * np.exp(y), 1e-8, relative=True),
            # Second order, with finest elements of λ/16 on the mesh of 400, of λ/64 here: (h/λ)²/12 of kT/e.
            Check(f"edge, {name}", "mV", at(states[1], 20.0), edge, thermal / 12 / 64**2,
                  sizes=MESHES, errors=errors, order=2.0),
        ]  # fmt: skip
        profiles[name] = (np.asarray(states[1].x), np.asarray(states[1].potential), edge)
    return Result(
        checks,
        lambda figure: draw(figure, profiles, thermal * y),
        "The plateau is Donnan's to round-off, whatever the dielectric, which only shapes the edge: a low permittivity "
        "inside moves the potential there towards that of the bath's own double layer.",
    )


def draw(figure, profiles, plateau):
    """The potential about one edge of the charged layer."""
    ax = figure.subplots()
    for k, (name, (x, phi, edge)) in enumerate(profiles.items()):
        near = (x > 17.0) & (x < 23.0)
        ax.plot(x[near] - 20.0, phi[near], color=f"C{k}", label=f"PNP, {name}")
        ax.plot(0.0, edge, "o", mfc="none", color=f"C{k}", label=f"its edge in closed form, {edge:.1f} mV")
    ax.axhline(plateau, color="k", ls="--", lw=0.8, label=f"Donnan, {plateau:.1f} mV")
    ax.axvline(0.0, color="0.8", lw=0.8)
    ax.set(xlabel="distance into the charged layer, nm", ylabel="potential, mV")
    ax.legend(fontsize="small")
