"""A manufactured solution on a mesh at an angle: second order in φ and both concentrations, with the skew term only.

Choose smooth φ, c₊ and c₋, even in r, in a pore whose wall waves with slopes up to ±1. What Poisson's and Nernst and
Planck's equations leave of them,

    −∇·(ε₀ε ∇φ) − F (c₊ − c₋),   ∇·(−D c ∇mu),   mu = ln c + zφ,

is given to every node as a source, integrated over the node's volume by Gauss points; JAX takes the derivatives. On the
wall and both ends φ and c are given. Without the skew term, by which an edge's face sees the gradient along itself, the
same equations tend to something else: the error stays, whatever the mesh.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import constants

from validation.axisymmetric.dirichlet_problem import (
    PERMITTIVITY,
    draw_errors,
    end_slices,
    meshes,
    newton,
    problem_on,
    tube,
)
from validation.axisymmetric.radial import FARADAY, THERMAL
from validation.case import Check, Result
from validation.channels import SALT

SOURCE = "Roache (2002), J. Fluids Eng. 124:4, for the method; the solution is made here."
LENGTH, CONCENTRATION = 6.0, 100.0  # nm, mM
VALENCE, DIFFUSIVITY = (1.0, -1.0), tuple(ion.diffusivity for ion in SALT.values())
SCREENING = constants.epsilon_0 * PERMITTIVITY * THERMAL / (FARADAY * 1e-18)  # ε₀ε kT/e in mM nm² per kT/e
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(3)


def radius(z):
    """Of the wall, nm."""
    return 2.0 + 0.95 * jnp.cos(2 * jnp.pi * z / LENGTH)


def exact(z, r):
    """phi and mu − ln c, kT."""
    phi = 0.8 * jnp.cos(0.9 * z + 0.3) * (1 + 0.1 * r**2)
    log_c = (0.5 * jnp.sin(0.8 * z) * jnp.cos(0.6 * r), -0.4 * jnp.cos(0.5 * z) * jnp.exp(-0.1 * r**2))
    return jnp.stack([phi, *(own + z * phi for own, z in zip(log_c, VALENCE, strict=True))])


def density(z, r):
    """What is left of the three equations at a point, per nm³."""
    first, second = jax.jacfwd(exact, (0, 1)), jax.jacfwd(jax.jacfwd(exact, (0, 1)), (0, 1))
    value, (by_z, by_r), ((by_zz, _), (_, by_rr)) = exact(z, r), first(z, r), second(z, r)
    laplacian = by_zz + by_rr + by_r / r
    found = [-SCREENING * laplacian[0]]
    for k, valence in enumerate(VALENCE, start=1):
        c = CONCENTRATION * jnp.exp(value[k] - valence * value[0])
        steepness = (by_z[k] - valence * by_z[0]) * by_z[k] + (by_r[k] - valence * by_r[0]) * by_r[k]  # ∇ln c · ∇mu
        found[0] -= valence * c
        found.append(-DIFFUSIVITY[k - 1] * c * (laplacian[k] + steepness))
    return jnp.stack(found)


def sources(mesh):
    """The same over the volume of every node, [unknown, slice, node]."""
    z, r = np.asarray(mesh.z)[:, 0], np.asarray(mesh.r)[:, : mesh.wall_index + 1]
    h, total = np.diff(z)[:, None], np.zeros((3, *mesh.r.shape))
    sampled = jax.jit(jnp.vectorize(density, signature="(),()->(n)"))
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for s, by_s in zip(i / 2 + (POINTS + 1) / 4, WEIGHTS / 4, strict=True):
            low, high = ((1 - s) * r[:-1, at] + s * r[1:, at] for at in (slice(None, -1), slice(1, None)))
            for t, by_t in zip(j / 2 + (POINTS + 1) / 4, WEIGHTS / 4, strict=True):
                at = (1 - t) * low + t * high
                volume = by_s * by_t * 2 * np.pi * at * (high - low) * h
                value = np.moveaxis(sampled(z[:-1, None] + s * h + 0 * at, at), -1, 0)
                total[:, i : len(h) + i, j : mesh.wall_index + j] += value * volume
    return total


def run() -> Result:
    """Three meshes, with the skew term and without."""
    channel = tube(radius, LENGTH, CONCENTRATION)
    sizes, errors, without = [], {"φ": [], "ln c": []}, []
    for mesh in meshes(channel):
        wanted = np.array(exact(np.asarray(mesh.z), mesh.r))
        wanted[1:, :, mesh.wall_index + 1 :] = 0.0  # no ions in the membrane
        fixed = end_slices(mesh) | (np.arange(mesh.r.shape[1]) >= mesh.wall_index)
        problem, begin, source = problem_on(channel, mesh, fixed), np.where(fixed, wanted, 0.0), sources(mesh)
        found = newton(problem, begin, source)
        off = (found - wanted)[:, :, : mesh.wall_index + 1]
        sizes.append(len(mesh.z) - 1)
        errors["φ"].append(np.abs(off[0]).max())
        errors["ln c"].append(max(np.abs(off[1] - off[0]).max(), np.abs(off[2] + off[0]).max()))
        straight = eqx.tree_at(lambda p: p.elements.skew, problem, replace_fn=jnp.zeros_like)
        without.append(np.abs(newton(straight, begin, source) - wanted)[0].max())
    study = lambda name: {"sizes": sizes, "errors": errors[name], "order": 2}
    # Cells of 1/40 of the wave of the wall, which skews them: (2π/40)²/12 of 1 kT is 2e-3.
    checks = [
        Check("largest error of φ", "kT/e", errors["φ"][-1], 0.0, 2e-3, **study("φ")),
        Check("largest error of ln c", "", errors["ln c"][-1], 0.0, 2e-3, **study("ln c")),
        Check(
            "without skew term: error of φ, against that of cells twice as large",
            "",
            without[-1] / without[-2],
            1.0,
            0.2,
        ),
    ]
    conclusion = (
        "Second order in the largest norm where lines of the mesh meet at 45°. Without the skew term an error of "
        f"{without[-1]:.2g} kT/e stays on any mesh."
    )
    studies = {name: (sizes, errors[name]) for name in errors} | {"φ without skew term": (sizes, without)}
    picture = np.asarray(mesh.z)[:, 0], np.asarray(mesh.r), found[0], off[0], mesh.wall_index, studies
    return Result(checks, lambda figure: draw(figure, *picture), conclusion)


def draw(figure, z, r, phi, off, wall, studies):
    """The potential with every fourth line of the mesh, and the errors."""
    picture, errors = figure.subplots(1, 2)
    at, wet = np.broadcast_to(z[:, None], r.shape), slice(0, wall + 1)
    shown = picture.contourf(at[:, wet], r[:, wet], phi[:, wet], 20)
    figure.colorbar(shown, ax=picture, label="φ, kT/e")
    picture.plot(at[::4, wet].T, r[::4, wet].T, at[:, wet][:, ::4], r[:, wet][:, ::4], color="w", lw=0.4)
    picture.set(xlabel="z, nm", ylabel="r, nm")
    draw_errors(errors, studies, "kT or 1")
