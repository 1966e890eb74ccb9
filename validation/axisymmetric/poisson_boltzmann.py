"""Poisson and Boltzmann across a charged pore: in salt, and with counter-ions alone.

Far from the mouths of a long charged cylinder in equilibrium φ(r) is an ordinary differential equation's, which SciPy
solves to ten digits (see `radial`). The pore is given to `pnp.solve` with its baths; half a pore of
twenty Debye lengths is far enough.

With counter-ions alone there is a closed form (as around a line: Fuoss, Katchalsky and Lifson; here within the wall),

    c = c₀ / (1 − κ²r²/8)²,   κ² = F c₀/(ε₀ε kT/e),   4 κ²a/(8 − κ²a²) = −σ/(ε₀ε kT/e)

where c₀ is that on the axis. No bath goes with it, so that its values are given at the pore's ends, with a part
in 10⁹ of co-ions.
"""

import numpy as np
from scipy import constants

import pnp
from pnp.channel.charge import WallCharge
from validation.axisymmetric import radial
from validation.axisymmetric.dirichlet_problem import (
    PERMITTIVITY,
    draw_errors,
    end_slices,
    meshes,
    newton,
    problem_on,
    tube,
)
from validation.case import Check, Result

SOURCE = "Fuoss, Katchalsky & Lifson (1951) PNAS 37:579; Shampine, Gladwell & Thompson (2003), SciPy's solve_bvp"
RADIUS, LENGTH, CONCENTRATION = 3.0, 40.0, 100.0  # nm, nm, mM
SURFACE_CHARGE, ALONE = -0.05, -0.1  # C/m²: in salt, and with counter-ions alone
RESOLUTIONS = (0.5, 1.0)


def in_salt():
    """By resolution: r, φ (kT/e) and c of K+ (mM) halfway along the pore; and the exact φ as a function."""
    channel = tube(RADIUS, LENGTH, CONCENTRATION, charge=[WallCharge(SURFACE_CHARGE, 0.0, LENGTH)], kind="hall")
    found = []
    for resolution in RESOLUTIONS:
        state = pnp.solve(channel, 0.0, discretization=pnp.Axisymmetric(resolution))
        middle, r = int(np.argmin(np.abs(state.x - LENGTH / 2))), np.asarray(state.r)
        wet = slice(0, int(np.argmin(np.abs(r[middle] - RADIUS))) + 1)
        phi = np.asarray(state.potential)[middle, wet] / (1e3 * radial.THERMAL)
        found.append((r[middle, wet], phi, np.asarray(state.concentration)[middle, wet, 0]))
    return found, radial.potential(RADIUS, SURFACE_CHARGE, CONCENTRATION)


def counter_ions():
    """Slabs, and the largest error of φ (kT/e), of three meshes; r and φ of the last."""
    slope = -radial.slope_of(ALONE)
    square = slope / (RADIUS / 2 + slope * RADIUS**2 / 8)  # κ²
    screening = constants.epsilon_0 * PERMITTIVITY * radial.THERMAL / (radial.FARADAY * 1e-18)
    axis = square * screening
    exact = lambda r: 2 * np.log(1 - square * np.minimum(r, RADIUS) ** 2 / 8)
    channel = tube(RADIUS, LENGTH / 4, CONCENTRATION, charge=[WallCharge(ALONE, 0.0, LENGTH / 4)])
    sizes, errors = [], []
    for mesh in meshes(channel):
        fixed, wanted = end_slices(mesh), exact(np.asarray(mesh.r))
        begin = np.zeros((3, *mesh.r.shape))
        begin[0] = np.where(fixed, wanted, wanted.mean())
        problem = problem_on(channel, mesh, fixed, concentration=[axis, 1e-9 * axis])
        found = newton(problem, begin)[0, :, : mesh.wall_index + 1]
        sizes.append(len(mesh.z) - 1)
        errors.append(np.abs(found - wanted[:, : mesh.wall_index + 1]).max())
    return sizes, errors, np.asarray(mesh.r)[0, : mesh.wall_index + 1], found[found.shape[0] // 2], axis, exact


def run() -> Result:
    """Both; the first on the solver's own mesh at two resolutions, the second on three meshes."""
    found, exact = in_salt()
    errors = [np.abs(phi - exact(r)) for r, phi, _ in found]
    r, phi, c = found[-1]
    ratio = [np.abs(c / (CONCENTRATION * np.exp(-exact(r))) - 1).max() for r, _, c in found]
    # The square of the largest step of φ from node to node, which is the order's; its factor is a part of one.
    step = np.abs(np.diff(exact(r))).max() ** 2
    study = lambda errors: {"sizes": RESOLUTIONS, "errors": errors, "order": 2}
    wall = study([error[-1] for error in errors])
    sizes, alone, *profile = counter_ions()
    checks = [
        Check("0.1 M KCl: potential of the wall", "kT/e", phi[-1], exact(RADIUS), step, **wall),
        Check(
            "0.1 M KCl: largest error of φ(r)", "kT/e", errors[-1].max(), 0.0, step, **study([e.max() for e in errors])
        ),
        Check("0.1 M KCl: largest error of c(K+)", "", ratio[-1], 0.0, step, **study(ratio)),
        Check(
            "counter-ions alone: largest error of φ", "kT/e", alone[-1], 0.0, 1e-2, sizes=sizes, errors=alone, order=2
        ),
    ]
    conclusion = (
        "Across a charged pore PNP is Poisson and Boltzmann's theory, with second order, on the mesh of the solver too."
    )
    picture = r, c, exact, profile, {"counter-ions alone": (sizes, alone)}
    return Result(checks, lambda figure: draw(figure, *picture), conclusion)


def draw(figure, r, c, exact, profile, studies):
    """Concentrations across the pore, and the errors with counter-ions alone."""
    across, errors = figure.subplots(1, 2)
    fine = np.linspace(0.0, RADIUS, 300)
    across.semilogy(fine, CONCENTRATION * np.exp(-exact(fine)), color="C0", label=f"KCl, {SURFACE_CHARGE:g} C/m²")
    across.semilogy(r, c, "o", ms=4, mfc="none", color="C0")
    r, phi, axis, alone = profile
    across.semilogy(fine, axis * np.exp(-alone(fine)), color="C1", label=f"counter-ions alone, {ALONE:g} C/m²")
    across.semilogy(r, axis * np.exp(-phi), "o", ms=4, mfc="none", color="C1")
    across.set(xlabel="r, nm", ylabel="K+, mM", title="lines exact, circles PNP")
    across.legend()
    draw_errors(errors, studies, "kT/e")
