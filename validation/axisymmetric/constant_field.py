"""GHK is what is left in two dimensions where the pore is too short to hold charge.

Both mouths have the baths' potentials and concentrations, and no field enters the membrane: where L is far below the
Debye length λ the ions' charge bends the field by (L/λ)² only, and each ion's current is Goldman, Hodgkin and Katz's,

    I = P z² F (eV/kT) (c_in − c_out e^(−zeV/kT)) / (1 − e^(−zeV/kT)),   P = π a² D / L

A tenfold gradient of KCl, so that the field is constant in this limit only; λ is that of the inside bath.
"""

import numpy as np

import pnp
from pnp import theory
from validation.axisymmetric.dirichlet_problem import tube
from validation.case import Check, Result
from validation.channels import SALT

SOURCE = "Goldman (1943), J. Gen. Physiol. 27:37; Hodgkin & Katz (1949), J. Physiol. 108:37."
RADIUS, LENGTH, VOLTAGE, RESOLUTION = 0.5, 2.0, 50.0, 0.5  # nm, nm, mV
CONCENTRATIONS = (12.5, 3.125, 0.78125, 0.1953125)  # mM inside, ten times that outside
VALENCE, DIFFUSIVITY = np.array([1.0, -1.0]), np.array([ion.diffusivity for ion in SALT.values()])


def run() -> Result:
    """One pore, its baths diluted fourfold at a time, which doubles λ."""
    ratios, found, wanted = [], [], []
    for concentration in CONCENTRATIONS:
        channel = tube(RADIUS, LENGTH, concentration, 10 * concentration)
        state = pnp.solve(channel, VOLTAGE, discretization=pnp.Axisymmetric(RESOLUTION))
        permeability = np.pi * RADIUS**2 * DIFFUSIVITY / LENGTH
        baths = np.asarray(channel.bath_concentration)
        wanted.append(np.asarray(theory.ghk_current(VOLTAGE, *baths, permeability, VALENCE)))
        found.append(np.asarray(state.ion_current))
        ratios.append(LENGTH / float(channel.debye_length[0]))
    found, wanted = np.array(found), np.array(wanted)
    errors = np.abs(found / wanted - 1)
    at = f"L/λ = {ratios[-1]:.2g}"
    checks = []
    for k, name in enumerate(SALT):
        study = {"sizes": ratios, "errors": errors[:, k], "order": 2}
        # A charge of 10 c over L bends φ by (L/λ)² 10/16 at the middle; a current feels a part of it.
        cap = ratios[-1] ** 2
        checks.append(Check(f"{name} current, {at}", "pA", found[-1, k], wanted[-1, k], cap, relative=True, **study))
    conclusion = (
        f"GHK within {100 * errors[-1].max():.1f} % where the pore is {ratios[-1]:.2g} λ long, and off by up to "
        f"{100 * errors[0].max():.0f} % where it is {ratios[0]:.2g} λ long: what it leaves out is of second order."
    )
    return Result(checks, lambda figure: draw(figure, ratios, found / wanted), conclusion)


def draw(figure, ratios, against):
    """Currents against GHK's, and how far from it."""
    current, departure = figure.subplots(1, 2)
    for k, name in enumerate(SALT):
        current.semilogx(ratios, against[:, k], "o-", color=f"C{k}", label=name)
        departure.loglog(ratios, np.abs(against[:, k] - 1), "o-", color=f"C{k}", label=name)
    ratios = np.array(ratios)
    departure.loglog(ratios, 0.3 * np.abs(against[-1] - 1).max() * (ratios / ratios[-1]) ** 2, "k:", label="order 2")
    current.axhline(1.0, color="k", lw=1)
    current.set(xlabel="L / λ", ylabel="current against GHK's")
    departure.set(xlabel="L / λ", ylabel="|PNP / GHK − 1|")
    for axes in (current, departure):
        axes.set(xticks=ratios, xticklabels=[f"{ratio:.2g}" for ratio in ratios])
        axes.minorticks_off()
    current.legend()
    departure.legend()
