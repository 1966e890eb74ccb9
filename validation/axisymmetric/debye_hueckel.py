"""Debye and Hückel in a cylinder: a small potential that varies along the pore as well as across it.

Where φ is small, Poisson and Boltzmann say ∇²φ = φ/λ², which a pore whose wall is charged in waves solves by

    φ = A I₀(q r)/I₀(q a) cos(kz),   q² = 1/λ² + k²,   σ = ε₀ε ∂φ/∂r at the wall

Here A is 10⁻⁴ kT/e, so that what is left out of sinh φ is 10⁻⁹ of it. The wall has this charge and, since no field
enters the membrane, that is all; on the cross-sections at both ends φ is given. It tests the charge of the nodes on
the wall, volumes, and fluxes along and across, on the solver's own graded mesh.
"""

import jax.numpy as jnp
import numpy as np
from scipy.special import i0, i1

from pnp.channel.charge import WallCharge
from pnp.channel.profiles import as_profile
from validation.axisymmetric.dirichlet_problem import draw_errors, end_slices, meshes, newton, problem_on, tube
from validation.axisymmetric.radial import debye, slope_of
from validation.case import Check, Result

SOURCE = "Debye & Hückel (1923) Phys. Z. 24:185; separated in cylindrical coordinates"
RADIUS, LENGTH, CONCENTRATION, HEIGHT = 2.0, 6.0, 100.0, 1e-4  # nm, nm, mM, kT/e
WAVE = 1.5 * np.pi / LENGTH  # 1/nm
DECAY = np.hypot(1 / debye(CONCENTRATION), WAVE)


def exact(z, r):
    """φ, kT/e."""
    return HEIGHT * i0(DECAY * r) / i0(DECAY * RADIUS) * np.cos(WAVE * z)


def run() -> Result:
    """Three meshes, each of twice as many cells each way."""
    slope = HEIGHT * DECAY * i1(DECAY * RADIUS) / i0(DECAY * RADIUS)  # of φ at the wall
    density = as_profile(lambda z: slope / slope_of(1.0) * jnp.cos(WAVE * z), jnp.array([0.0, LENGTH]))
    channel = tube(RADIUS, LENGTH, CONCENTRATION, charge=[WallCharge(density, 0.0, LENGTH)])
    sizes, walls, errors = [], [], []
    for mesh in meshes(channel):
        z, r = np.asarray(mesh.z), np.asarray(mesh.r)
        wanted = exact(z, np.minimum(r, RADIUS))
        fixed = end_slices(mesh)
        begin = np.zeros((3, *r.shape))
        begin[0] = np.where(fixed, wanted, 0.0)
        found = newton(problem_on(channel, mesh, fixed), begin)[0]
        wet = slice(0, mesh.wall_index + 1)
        sizes.append(len(mesh.z) - 1)
        errors.append(np.abs(found - wanted)[:, wet].max() / HEIGHT)
        walls.append(np.abs(found - wanted)[:, mesh.wall_index].max() / HEIGHT)
    # The largest cells of the finest mesh are 0.15 nm, of λ = 0.96 nm and a wave of 8 nm: (h/λ)²/12 is 2e-3.
    checks = [
        Check("largest error of φ / A", "", errors[-1], 0.0, 2e-3, sizes=sizes, errors=errors, order=2),
        Check("largest error of φ / A at the wall", "", walls[-1], 0.0, 2e-3, sizes=sizes, errors=walls, order=2),
    ]
    conclusion = "The linear problem is solved with second order, its charge on the wall included."
    picture = (z[:, 0], r[:, wet], found[:, wet], {"all nodes": (sizes, errors), "wall": (sizes, walls)})
    return Result(checks, lambda figure: draw(figure, *picture), conclusion)


def draw(figure, z, r, found, studies):
    """φ along the pore on the axis, halfway and on the wall; the errors."""
    along, errors = figure.subplots(1, 2)
    fine = np.linspace(0.0, LENGTH, 200)
    for index, (name, node) in enumerate((("axis", 0), ("between", r.shape[1] // 2), ("wall", -1))):
        along.plot(fine, exact(fine, r[0, node]) / HEIGHT, color=f"C{index}", label=f"r = {r[0, node]:.2f} nm, {name}")
        along.plot(z[::2], found[::2, node] / HEIGHT, "o", ms=4, mfc="none", color=f"C{index}")
    along.set(xlabel="z, nm", ylabel="φ / A", title="lines exact, circles PNP")
    along.legend()
    draw_errors(errors, studies, "A")
