"""A charged pore under voltage, exactly: every cross-section has the Poisson–Boltzmann profile.

In a long pore of one salt under a field E along z,

    φ = φ_PB(r) − E z,   c_k = c e^(−z_k φ_PB(r)),   J_k = z_k D_k c_k E,   I = F E Σ D_k ∫ c_k 2πr dr

solve Poisson, Nernst and Planck together: the ions' flux has the same strength in every cross-section and none goes
across. With these values on both end cross-sections this is the only answer. φ_PB and the integral come from SciPy.
"""

import numpy as np

from pnp.channel.charge import WallCharge
from validation.axisymmetric import radial
from validation.axisymmetric.dirichlet_problem import (
    currents,
    draw_errors,
    end_slices,
    meshes,
    newton,
    problem_on,
    tube,
)
from validation.case import Check, Result
from validation.channels import SALT

SOURCE = "Gross & Osterle (1968) J. Chem. Phys. 49:228, without flow"
RADIUS, LENGTH, CONCENTRATION, SURFACE_CHARGE = 2.0, 6.0, 100.0, -0.05  # nm, nm, mM, C/m²
FIELD = 0.7  # kT/e per nm
VALENCE = np.array([1.0, -1.0])


def exact(z, r, phi):
    """phi and mu − ln c, kT."""
    fall = -FIELD * z + 0 * r
    return np.stack([phi(np.minimum(r, RADIUS)) + fall, *(valence * fall for valence in VALENCE)])


def run() -> Result:
    """Three meshes; profiles, current, and the flux across."""
    phi = radial.potential(RADIUS, SURFACE_CHARGE, CONCENTRATION)
    diffusivity = [ion.diffusivity for ion in SALT.values()]
    total = 1e3 * radial.THERMAL * FIELD * radial.conductance_length(RADIUS, phi, CONCENTRATION, diffusivity)
    channel = tube(RADIUS, LENGTH, CONCENTRATION, charge=[WallCharge(SURFACE_CHARGE, 0.0, LENGTH)])
    sizes, errors = [], {"φ": [], "mu": [], "current": []}
    for mesh in meshes(channel):
        z, r, wet = np.asarray(mesh.z), np.asarray(mesh.r), slice(0, mesh.wall_index + 1)
        wanted, fixed = exact(z, r, phi), end_slices(mesh)
        problem = problem_on(channel, mesh, fixed)
        found = newton(problem, np.where(fixed, wanted, 0.0))
        off = np.abs(found - wanted)[:, :, wet].max((1, 2))
        current = currents(problem, found)
        sizes.append(len(mesh.z) - 1)
        for name, error in zip(
            errors, (off[0], off[1:].max(), abs(current.sum(0).mean() / total.sum() - 1)), strict=True
        ):
            errors[name].append(error)
    uneven = np.ptp(current, axis=1).max() / total.sum()
    study = lambda name: {"sizes": sizes, "errors": errors[name], "order": 2}
    ratio = current.mean(1) / total
    # Where φ falls by s = 0.1 kT/e from one node to the next, s²/12 is 1e-3 of what holds there; the charge is given,
    # so that the current feels only where it is.
    checks = [
        Check("largest error of φ", "kT/e", errors["φ"][-1], 0.0, 4e-3, **study("φ")),
        Check("current", "pA", current.sum(0).mean(), total.sum(), 5e-4, relative=True, **study("current")),
        Check("share of it that K+ carries", "", ratio[0], 1.0, 5e-4),
        Check("difference of currents between cross-sections", "", uneven, 0.0, 1e-11),
    ]
    conclusion = (
        "The charged cross-section is carried along by the field as it should be: potential and current are of second "
        f"order, and mu is linear to {errors['mu'][-1]:.0e} kT."
    )
    concentration = CONCENTRATION * np.exp(found[1:, :, wet] - VALENCE[:, None, None] * found[0, :, wet])
    picture = (
        r[0, wet],
        concentration[:, len(z) // 2],
        phi,
        {name: (sizes, errors[name]) for name in ("φ", "current")},
    )
    return Result(checks, lambda figure: draw(figure, *picture), conclusion)


def draw(figure, r, concentration, phi, studies):
    """Both ions across the pore, and the errors."""
    across, errors = figure.subplots(1, 2)
    fine = np.linspace(0.0, RADIUS, 200)
    for index, (name, valence) in enumerate(zip(("K+", "Cl-"), VALENCE, strict=True)):
        across.semilogy(fine, CONCENTRATION * np.exp(-valence * phi(fine)), color=f"C{index}", label=f"{name}, exact")
        across.semilogy(r, concentration[index], "o", ms=4, mfc="none", color=f"C{index}", label=f"{name}, PNP")
    across.set(xlabel="r, nm", ylabel="concentration, mM", title="halfway along the pore")
    across.legend()
    draw_errors(errors, studies, "kT/e, or of the current")
