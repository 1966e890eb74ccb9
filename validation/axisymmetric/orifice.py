"""An orifice with slanting walls: Ohm's law through a hyperboloid of revolution, whose resistance is known exactly.

Between the two halves of space, through a hole in an insulator with the wall r²/(f sin v)² − z²/(f cos v)² = 1, the
potential of an ohmic current depends on one oblate spheroidal coordinate only, and with C half of what falls over π,

    φ = −C arctan(sinh ξ),   I = 2π κ C f (1 − cos v),   R = 1/(2 κ f (1 − cos v))

κ being the conductivity. A flat plate with a round hole of radius a is v = π/2, with Hall's 1/(2 κ a). Here the slab
is cut at z = ±L/2, which are no equipotentials: φ there has its exact value at every node, which accounts for the rest
of both halves of space, and the current is that of the whole. Walls slant by up to 79°. The meshes are those of the
solver, whose lines meet such walls at nearly right angles.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from pnp.finite_volume.axisymmetric.mesh import AxisymmetricMesh, make_axisymmetric_mesh
from validation.axisymmetric.dirichlet_problem import currents, draw_errors, end_slices, newton, problem_on, tube
from validation.axisymmetric.radial import FARADAY, THERMAL
from validation.case import Check, Result
from validation.channels import SALT

SOURCE = "Morse & Feshbach (1953) Methods of Theoretical Physics, §10.3; Maxwell, Treatise, 1873, §308, for the hole"
WAIST, LENGTH, CONCENTRATION, HALF_DROP = 1.0, 6.0, 100.0, 0.5  # nm, nm, mM, kT/e
LEFT_OUT = 48
"""Slices next to each mouth."""
SLOPES = (0.5, 1.5, 3.0, 5.0)
"""Of the wall far from the waist, tan v."""


class Orifice:
    """A hyperboloid by the slope of its wall."""

    def __init__(self, slope):
        self.angle = np.arctan(slope)
        self.focus = WAIST / np.sin(self.angle)

    def radius(self, z):
        """Of the wall, nm."""
        return WAIST * jnp.sqrt(1 + ((z - LENGTH / 2) / (self.focus * np.cos(self.angle))) ** 2)

    def potential(self, z, r):
        """kT/e."""
        z = z - LENGTH / 2
        half = (r**2 + z**2 - self.focus**2) / 2
        sinh = np.sign(z) * np.sqrt(half + np.sqrt(half**2 + (self.focus * z) ** 2)) / self.focus
        return -HALF_DROP * np.arctan(sinh)

    @property
    def current(self):
        """pA."""
        conductivity = FARADAY * CONCENTRATION / THERMAL * sum(ion.diffusivity * 1e-9 for ion in SALT.values())  # S/m
        return 2 * np.pi * conductivity * HALF_DROP * THERMAL * self.focus * (1 - np.cos(self.angle)) * 1e3


def inner_meshes(channel):
    """Three meshes of a channel without reservoirs, each of which has every other node of the next; without the slices
    next to the mouths, which are flat, so that all lines meet the wall at nearly right angles."""
    whole = eqx.filter_jit(make_axisymmetric_mesh)(channel, 2.0)
    last = len(whole.z) - 1 - LEFT_OUT
    inner = slice(LEFT_OUT, last + 1)
    mesh = AxisymmetricMesh(whole.z[inner], whole.r[inner], whole.wall_index, (0, last - LEFT_OUT))
    return mesh.coarse.coarse, mesh.coarse, mesh


def solve_orifice(slope):
    """Slabs of three meshes, current and largest error of mu (kT) on each; mesh and phi of the last."""
    orifice, runs = Orifice(slope), []
    channel = tube(orifice.radius, LENGTH, CONCENTRATION)
    for mesh in inner_meshes(channel):
        fixed, phi = end_slices(mesh), orifice.potential(np.asarray(mesh.z), np.asarray(mesh.r))
        wanted = np.stack([phi, phi, -phi])
        wanted[1:, :, mesh.wall_index + 1 :] = 0.0  # no ions in the membrane
        problem = problem_on(channel, mesh, fixed)
        found = newton(problem, np.where(fixed, wanted, 0.0))
        off = np.abs(found - wanted)[1:, :, : mesh.wall_index + 1].max()
        runs.append((len(mesh.z) - 1, currents(problem, found).sum(0).mean(), off))
    return *zip(*runs, strict=True), mesh, found[0]


def run() -> Result:
    """Three walls, three meshes each."""
    checks, studies = [], {}
    for slope in SLOPES:
        exact = Orifice(slope).current
        sizes, current, off, mesh, phi = solve_orifice(slope)
        errors = np.abs(np.array(current) / exact - 1)
        studies[f"slope {slope:g}"] = sizes, errors
        study = {"sizes": sizes, "errors": errors, "order": 2}
        # The wall turns by up to 158° at the waist, in some forty cells there: (2.8/40)²/2 is 2.5e-3.
        checks.append(Check(f"current, slope {slope:g}", "pA", current[-1], exact, 4e-3, relative=True, **study))
        if slope == 1.5:
            study = {"sizes": sizes, "errors": off, "order": 2}
            checks.append(Check(f"largest error of mu, slope {slope:g}", "kT", off[-1], 0.0, 1e-3, **study))
            picture = (
                np.asarray(mesh.z)[:, : mesh.wall_index + 1] - LENGTH / 2,
                np.asarray(mesh.r)[:, : mesh.wall_index + 1],
                phi[:, : mesh.wall_index + 1],
            )
    worst = np.abs([check.computed / check.exact - 1 for check in checks if check.unit == "pA"]).max()
    conclusion = (
        "The resistance of a slanting wall is the exact one, with second order whatever the slope; the steeper the "
        f"wall, the more it curves at the waist and the finer must be its cells there ({100 * worst:.1f} % at slope "
        f"{SLOPES[-1]:g})."
    )
    return Result(checks, lambda figure: draw(figure, *picture, studies), conclusion)


def draw(figure, z, r, phi, studies):
    """Equipotentials, computed and exact, and the errors."""
    picture, errors = figure.subplots(1, 2)
    orifice = Orifice(1.5)
    heights = np.linspace(phi.min(), phi.max(), 14)[1:-1]
    picture.contour(z, r, phi, heights, colors="C3", linestyles="-")
    picture.contour(z, r, orifice.potential(z + LENGTH / 2, r), heights, colors="k", linestyles=":")
    picture.plot(z[:, -1], r[:, -1], color="0.5", lw=3)
    picture.set(xlabel="z, nm", ylabel="r, nm", title="equipotentials: red PNP, dotted exact", aspect="equal")
    draw_errors(errors, studies, "of the current")
