"""Equilibrium in two dimensions is exactly at rest: charged cone and hourglass between equal baths, and K+ at Nernst's.

Between equal baths nothing flows, however the pore is shaped and charged and however coarse the mesh, for fluxes are
proportional to differences of mu. Where anions are kept out by 60 kT, a gradient of KCl is at rest as well at Nernst's
potential. What is left is round-off, and is measured against what kT/e drives through the same pore.
"""

import jax.numpy as jnp
import numpy as np

import pnp
from pnp import theory
from pnp.channel.charge import WallCharge
from validation.axisymmetric.dirichlet_problem import TEMPERATURE, tube
from validation.case import Check, Result

SOURCE = "Onsager (1931) Phys. Rev. 37:405: no flux without a difference of mu; Nernst (1889) Z. phys. Chem. 4:129"
RESOLUTION = 0.5
THERMAL = 25.6926  # mV, near kT/e
SURFACE_CHARGE = -0.1  # C/m²
LENGTH = 20.0  # nm
SHAPES = {
    "cone": lambda z: 1.5 + 0.15 * z,
    "hourglass": lambda z: jnp.sqrt(1.0 + 0.15 * (z - LENGTH / 2) ** 2),
}
"""Radius of the wall, nm."""


def pore(shape, inside, outside, barrier=0.0):
    """A charged pore of one of the shapes in KCl (mM), that keeps anions out by `barrier` (kT)."""
    charge, pmf = [WallCharge(SURFACE_CHARGE, 0.0, LENGTH)], {"Cl": barrier}
    return tube(SHAPES[shape], LENGTH, inside, outside, charge=charge, pmf=pmf, membrane=2.0, kind="hall")


def run() -> Result:
    """Each at rest and driven by kT/e."""
    checks, states = [], {}
    nernst = float(theory.nernst(100.0, 10.0, 1.0, TEMPERATURE))
    cases = {
        "charged cone": (pore("cone", 100.0, 100.0), 0.0),
        "charged hourglass": (pore("hourglass", 100.0, 100.0), 0.0),
        "hourglass without anions, 100 | 10 mM": (pore("hourglass", 100.0, 10.0, 60.0), nernst),
    }
    for name, (channel, rest) in cases.items():
        still, driven = (
            pnp.solve(channel, v, discretization=pnp.Axisymmetric(RESOLUTION)) for v in (rest, rest + THERMAL)
        )
        states[name] = still, driven
        unit = float(abs(driven.current))
        current = np.abs(np.asarray(still.ion_current)).max() / unit
        # Some 1e3 nodes across and along, each with the last digit of its sums.
        checks.append(Check(f"{name}: currents at rest", "", current, 0.0, 1e-13))
        if rest == 0.0:
            largest = [np.abs(np.asarray(state.flux_density)).max() for state in (still, driven)]
            checks.append(Check(f"{name}: largest flux density at rest", "", largest[0] / largest[1], 0.0, 1e-13))
    conclusion = (
        "At rest currents vanish even against round-off; what is left of the flux density are last digits of mu in the "
        "widest places, where nothing resists."
    )
    return Result(checks, lambda figure: draw(figure, states), conclusion)


def draw(figure, states):
    """Largest flux densities of K+ at each z, at rest and driven."""
    for axes, (name, pair) in zip(figure.subplots(1, len(states)), states.items(), strict=True):
        for state, label, colour in zip(pair, ("at rest", "kT/e away"), ("C0", "C3"), strict=True):
            density = np.abs(np.asarray(state.flux_density)[..., 0])
            middle = (np.asarray(state.x)[1:] + np.asarray(state.x)[:-1]) / 2
            axes.semilogy(middle, np.hypot(*density).max(1) + 1e-30, color=colour, label=label)
        axes.set(xlim=(-10, 30), xlabel="z, nm", title=name.replace(", ", ",\n"))
        axes.title.set_fontsize("small")
        axes.legend(fontsize="small")
    figure.supylabel("largest flux density of K+, 1/(nm² ns)")
