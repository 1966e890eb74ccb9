"""Derivatives of the current: reverse and forward, against differences.

The derivative that `jax.grad` and `jax.jvp` give is that of the solution itself, by the implicit function theorem: one
transposed, or one plain, linear solve. The two must agree to round-off, and with the fourth-order difference of
solutions at ±h and ±2h.

Voltage and diffusivity do not move the mesh, and there the agreement is that of the difference. Fixed charge and
bath do: nodes follow the Debye length, and their positions are constants to the derivative. The difference then
contains the change of the discretisation error, of second order in the mesh: the tolerance is ten
times the solver's own estimate of that error. (A complex step is of no use: the solver computes in real
numbers.)
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import pnp
from validation.case import Check, Result
from validation.channels import NODES, layers

SOURCE = "implicit function theorem; five-point difference: Abramowitz & Stegun 25.3.6"
NAMES = ("fixed charge", "diffusivity of K", "voltage", "inside bath")
UNITS = ("pA/M", "pA ns/nm²", "nS", "pA/mM")
START = np.array([-1.0, 1.957, 80.0, 300.0])  # M, nm²/ns, mV, mM
STEP = 1e-3  # relative; truncation is of the order of its fourth power, round-off some 1e-13 / 1e-3
PORE = layers([3.0, 2.0, 3.0], 300.0, 100.0, fixed_charge=[0.0, START[0], 0.0])


def current(parameters):
    """pA, from the numbers `NAMES`."""
    charge, diffusivity, voltage, bath = parameters
    where = lambda c: (c.pore.charge[0].density.y, c.pore.diffusivity["K"].y, c.inside["K"], c.inside["Cl"])
    density, own = PORE.pore.charge[0].density.y / START[0], PORE.pore.diffusivity["K"].y / START[1]
    bath = jnp.asarray(bath, float)
    channel = eqx.tree_at(where, PORE, (density * charge, own * diffusivity, bath, bath))
    return pnp.solve(channel, voltage, discretization=pnp.Axial(NODES)).current


@jax.jit
def both(parameters):
    """Forward and reverse derivatives: what `jax.jvp` and `jax.grad` do, with one solution for the two."""
    _, along = jax.linearize(current, parameters)
    back = jax.linear_transpose(along, parameters)
    return jax.vmap(along)(jnp.eye(START.size)), back(1.0)[0]


def difference(k):
    """Fourth-order difference in the k-th parameter."""
    step = STEP * START[k]
    at = lambda n: float(current(START + n * step * np.eye(START.size)[k]))
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def run() -> Result:
    """All four parameters of a charged pore between unequal baths."""
    forward, reverse = map(np.asarray, both(jnp.asarray(START)))
    differences = np.array([difference(k) for k in range(START.size)])
    discretization = float(pnp.solve(PORE, START[2], discretization=pnp.Axial(NODES)).discretization_error)
    mesh_moves = (True, False, False, True)
    checks = []
    for k, (name, unit) in enumerate(zip(NAMES, UNITS, strict=True)):
        tolerance = 10 * discretization if mesh_moves[k] else 1e-9
        checks.append(Check(f"{name}: reverse", unit, reverse[k], differences[k], tolerance, relative=True))
    worst = np.argmax(np.abs(forward / reverse - 1))
    checks.append(Check(f"{NAMES[worst]}: forward", UNITS[worst], forward[worst], reverse[worst], 1e-10, relative=True))
    conclusion = (
        "Forward and reverse derivatives agree to round-off, and with differences to the accuracy of these where the "
        "mesh stays; where it moves, to the change of the discretisation error, which itself is "
        f"{discretization:.0e} of the current."
    )
    return Result(checks, lambda figure: draw(figure, forward, reverse, differences), conclusion)


def draw(figure, forward, reverse, differences):
    """Logarithmic sensitivities, and how far apart the ways to get them are."""
    size, apart = figure.subplots(1, 2)
    y = np.arange(len(NAMES))
    size.barh(y, reverse * START / float(current(START)), color="C0")
    size.set_yticks(y, NAMES)
    size.axvline(0.0, color="k", lw=0.8)
    size.set(xlabel="∂ ln|I| / ∂ ln|parameter|")
    floor = 1e-17  # so that exact agreement has a place on the axis
    apart.semilogx(np.abs(reverse / differences - 1) + floor, y, "o", color="C3", label="reverse and difference")
    apart.semilogx(np.abs(forward / reverse - 1) + floor, y, "s", mfc="none", color="C0", label="forward and reverse")
    apart.set_yticks(y, [])
    apart.set(xlabel="relative difference", xlim=(1e-18, 1e-2), ylim=(-0.5, len(NAMES) + 0.2))
    apart.legend(loc="upper center")
