"""The double layer of ions of finite size: Bikerman, and Kilic, Bazant & Ajdari.

A slab of fixed charge that ions cannot enter (60 kT keep them out), between two baths: on either side is a flat wall
with half of the charge, and in front of it ions of 0.7 nm in 0.1 M of a 1:1 salt. At rest PNP with Bikerman's excess
potential must be their theory,

    σ = √(2 ε₀ε kT/a³ · ln(1 + ν (cosh y − 1))),   y = eφ₀/kT,   ν = 2a³c,   C = dσ/dφ₀,

C by `jax.jvp` of the solution itself. At y = 8 the theory gives C = 1.2162911 F/m², after its maximum, and ions that
fill 98.4669 % of the places at the wall; Gouy and Chapman's points would give 19.7 F/m². Only the mesh is left, of
second order.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import pnp
from pnp import theory, units
from pnp.channel.activity import Steric
from validation.case import Check, Result
from validation.channels import NODES, layers

SOURCE = "Bikerman (1942) Phil. Mag. 33:384; Kilic, Bazant & Ajdari (2007) Phys. Rev. E 75:021502"
SALT, SIZE, PERMITTIVITY = 100.0, 0.7, 78.4  # mM, nm
PUBLISHED, FILLED = 1.2162911, 0.984669  # at y = 8: F/m², and of the places at the wall
REDUCED = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
WALL = 1.0  # nm
VALENCE, BATH = np.array([1, -1]), np.array([SALT, SALT])
THERMAL = float(units.thermal_voltage(298.15))  # mV
DEBYE = float(theory.debye_length(BATH, VALENCE, PERMITTIVITY))
MOST = units.MILLIMOLAR_PER_CHARGE_DENSITY / SIZE**3  # mM


PORE = layers([20 * DEBYE, WALL, 20 * DEBYE], SALT, SALT, fixed_charge=[0, 1, 0], permittivity=PERMITTIVITY,
              barrier={"K": [0, 60, 0], "Cl": [0, 60, 0]}, activity_model=Steric(SIZE))  # fmt: skip
EDGE = 20 * DEBYE + WALL


@partial(jax.jit, static_argnames="nodes")
def at_rest(charge, nodes):
    """Potential of all nodes (mV) and its derivative by the charge on either side of the slab (C/m²); x and Σc."""
    density = lambda channel: channel.pore.charge[0].density.y
    molar = 2 / (WALL * 1e-9) / units.FARADAY / 1e3  # in the slab, of 1 C/m² on either side

    def solution(charge):
        state = pnp.solve(
            eqx.tree_at(density, PORE, density(PORE) * charge * molar), 0.0, discretization=pnp.Axial(nodes)
        )
        return state.potential, (state.x, state.concentration.sum(-1))

    return jax.jvp(solution, (charge,), (jnp.ones(()),), has_aux=True)


def measured(reduced, nodes):
    """(y, C in F/m², share of the places taken) at a wall with the charge that the theory has at y = `reduced`."""
    charge = theory.bikerman_charge(reduced * THERMAL, BATH, VALENCE, PERMITTIVITY, SIZE)
    potential, slope, (x, total) = at_rest(charge, nodes)
    edge = int(np.argmin(np.abs(np.asarray(x) - EDGE)))
    near = slice(edge + 1, edge + 5)  # at the edge itself `concentration` is that of both sides
    at_wall = np.polyval(np.polyfit(x[near] - x[edge], np.asarray(total)[near], 3), 0.0)
    return float(potential[edge]) / THERMAL, 1e3 / float(slope[edge]), at_wall / MOST


def run() -> Result:
    """The whole curve, and y = 8 on a quarter of the elements too, for the order."""
    curve = {y: measured(y, NODES) for y in REDUCED}
    exact = {y: float(theory.bikerman_capacitance(y * THERMAL, BATH, VALENCE, PERMITTIVITY, SIZE)) for y in REDUCED}
    meshes = (NODES // 4, NODES // 2, NODES)
    study = [measured(8.0, nodes) for nodes in meshes[:-1]] + [curve[8.0]]
    potential, capacitance, filled = study[-1]
    worst = max(REDUCED, key=lambda y: abs(curve[y][1] / exact[y] - 1))
    errors = lambda k, value: {"sizes": meshes, "errors": [abs(s[k] - value) for s in study], "order": 2}
    # Some 20 elements to the layer, which is thinner than a Debye length: h²/12 of it is 2e-4.
    checks = [
        Check("C at y = 8", "F/m²", capacitance, PUBLISHED, 1e-3, relative=True, **errors(1, PUBLISHED)),
        Check("eφ/kT of the wall", "", potential, 8.0, 1e-3, **errors(0, 8.0)),
        Check("places taken at the wall, y = 8", "", filled, FILLED, 1e-5),
        Check(f"C, worst of y = 0.5 to 12 (at {worst:g})", "F/m²", curve[worst][1], exact[worst], 1e-3, relative=True),
    ]
    conclusion = (
        "With Bikerman's excess potential PNP at rest is the theory of Kilic, Bazant & Ajdari: the capacitance rises "
        "to a maximum and falls again as the layer of ions grows, where that of points would rise without bound."
    )
    return Result(checks, lambda figure: draw(figure, curve), conclusion)


def draw(figure, curve):
    """C(y), with that of points; and the places taken at the wall."""
    capacitance, places = figure.subplots(1, 2)
    y = np.linspace(0.05, 13.0, 200)
    of_size = lambda size: theory.bikerman_capacitance(y * THERMAL, BATH, VALENCE, PERMITTIVITY, size)
    capacitance.plot(y, of_size(SIZE), color="C0", label=f"Bikerman, {SIZE} nm")
    capacitance.plot(y, of_size(0.0), color="C3", label="Gouy and Chapman")
    capacitance.plot(list(curve), [c for _, c, _ in curve.values()], "o", mfc="none", color="C0", label="PNP")
    capacitance.set(xlabel="eφ₀/kT", ylabel="capacitance, F/m²", ylim=(0, 4))
    capacitance.legend()
    exact = theory.bikerman_concentration(y * THERMAL, BATH, VALENCE, SIZE).sum(-1) / MOST
    places.plot(y, exact, color="C0", label="Bikerman")
    places.plot(list(curve), [f for *_, f in curve.values()], "o", mfc="none", color="C0", label="PNP")
    places.set(xlabel="eφ₀/kT", ylabel="places taken at the wall")
    places.legend()
