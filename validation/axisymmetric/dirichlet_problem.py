"""Axisymmetric problems that no channel can pose: Dirichlet values at any nodes, and sources.

The equations are the solver's own; the values and the sources are those of an exact solution. Newton's method is
written out here, since the package's starts from baths.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pnp.channel.channel import Channel
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import as_profile
from pnp.finite_volume.axisymmetric.assembly import dirichlet_values, linearize, solve_bands
from pnp.finite_volume.axisymmetric.cell_properties import make_cells
from pnp.finite_volume.axisymmetric.mesh import AxisymmetricMesh
from pnp.finite_volume.axisymmetric.observables import flux_along
from pnp.finite_volume.axisymmetric.scheme import AXISYMMETRIC_SCHEME
from pnp.finite_volume.problem import Problem
from pnp.units import CURRENT_PER_FLUX
from validation.channels import SALT

PERMITTIVITY, TEMPERATURE = 78.4, 298.15
SLABS, CORE, SOLID = 64, 32, 8
"""Cells of the finest mesh along the pore, across it and across the membrane."""
NO_FIELD = 1e-6
"""Relative permittivity of a membrane into which next to no field enters."""
_CAP, _STEPS, _TOLERANCE = 2.0, 60, 1e-10  # kT


def tube(radius, length, inside, outside=None, *, charge=(), pmf=None, membrane=NO_FIELD, kind="none"):
    """A pore from z = 0 to `length` (nm) in one piece, for KCl: its radius (nm) a number or a function of z.

    inside, outside: mM; equal if not given. charge: those of `pnp.channel.charge`. pmf: {ion: kT}. kind: of the
    reservoirs.
    """
    ends = jnp.array([0.0, length])
    area = (lambda z: jnp.pi * radius(z) ** 2) if callable(radius) else np.pi * radius**2
    barriers = {name: as_profile(height, ends) for name, height in (pmf or {}).items()}
    pore = Pore(0.0, length, as_profile(area, ends), as_profile(PERMITTIVITY, ends), tuple(charge), pmf=barriers)
    baths = [dict.fromkeys(SALT, value) for value in (inside, inside if outside is None else outside)]
    reservoirs = (Reservoir(kind), Reservoir(kind))
    return Channel(SALT, pore, *baths, TEMPERATURE, reservoirs, PERMITTIVITY, membrane=Membrane(membrane))


def meshes(channel, grading=0.6):
    """Three meshes of the channel, the coarsest first, each of which has every other node of the next.

    Not the solver's own, so that the errors do not depend on its grading. Lines of nodes follow the wall, finer towards
    it, and along z towards both ends (grading > 0) or the middle (< 0).
    """
    s, t = np.linspace(0.0, 1.0, SLABS + 1), np.linspace(0.0, 1.0, CORE + 1)
    z = float(channel.pore.end) * (s - grading * np.sin(2 * np.pi * s) / (2 * np.pi))
    wall = np.asarray(channel.pore.wall_radius(jnp.asarray(z)))[:, None]
    core = wall * np.sin(0.4 * np.pi * t) / np.sin(0.4 * np.pi)
    solid = wall + (1.5 * wall.max() - wall) * np.linspace(0.0, 1.0, SOLID + 1)[1:]
    r = jnp.asarray(np.concatenate([core, solid], axis=1))
    finest = AxisymmetricMesh(jnp.broadcast_to(z[:, None], r.shape), r, CORE, (0, SLABS))
    return [finest.coarse.coarse, finest.coarse, finest]


def problem_on(channel, mesh, fixed, concentration=None) -> Problem:
    """The channel's equations on a mesh, with Dirichlet conditions where `fixed` [slice, node].

    mu is counted from ln `concentration` (mM, one for each ion), the bath's if not given.
    """
    cells = eqx.filter_jit(make_cells)(channel, mesh)
    cells = eqx.tree_at(lambda c: c.dirichlet_nodes, cells, jnp.asarray(fixed))
    bath = channel.bath_concentration if concentration is None else jnp.array([concentration] * 2, float)
    activity = channel.activity_model.coefficients(channel.ion_names, channel.bath_permittivity, channel.temperature)
    valence, none, whole = jnp.asarray(channel.valence), jnp.zeros(()), jnp.ones(())
    problem = Problem(cells, valence, jnp.log(bath), none, whole, activity, AXISYMMETRIC_SCHEME)
    return jax.tree.map(lambda value: jnp.asarray(value)[..., None], problem)


def end_slices(mesh):
    """[slice, node], True on the first and the last slice."""
    return np.zeros(mesh.r.shape, bool) | ((np.arange(len(mesh.z)) % (len(mesh.z) - 1)) == 0)[:, None]


def newton(problem: Problem, begin, source=0.0):
    """phi and mu − mu_ref, [unknown, slice, node] (kT), that balance the problem and a source at every node.

    begin: the values at Dirichlet nodes, and the initial guess at the others.
    """
    unknowns, source = (jnp.asarray(value, float)[..., None] for value in (begin, source))
    for _ in range(_STEPS):
        change = _step(problem, unknowns, source)
        size = float(jnp.abs(change).max())
        unknowns = unknowns + change * min(1.0, _CAP / size) if size else unknowns
        if size < _TOLERANCE:
            return np.asarray(unknowns[..., 0])
    raise RuntimeError(f"Newton's method still changes {size:g} kT after {_STEPS} steps")


@eqx.filter_jit
def _step(problem, unknowns, source):
    system = linearize(problem, unknowns)
    fixed = jnp.stack([jnp.broadcast_to(one, unknowns[0].shape) for one in dirichlet_values(problem)[0]])
    return solve_bands(problem.elements, system.bands, jnp.where(fixed, 0.0, source * system.scale - system.balance))


def currents(problem: Problem, unknowns):
    """Current of each ion from slice to slice, [ion, slab], pA."""
    flux = eqx.filter_jit(flux_along)(problem, jnp.asarray(unknowns)[..., None])[..., 0]
    return CURRENT_PER_FLUX * np.asarray(problem.valence) * np.asarray(flux)


def draw_errors(axes, studies, unit):
    """Errors against the number of slabs, and the slope of second order. studies: {label: (sizes, errors)}."""
    for index, (label, (sizes, errors)) in enumerate(studies.items()):
        axes.loglog(sizes, errors, "o-", color=f"C{index}", label=label)
    sizes, errors = (np.asarray(value) for value in next(iter(studies.values())))
    axes.loglog(sizes, 1.5 * errors[0] * (sizes[0] / sizes) ** 2, "k:", label="order 2")
    axes.set(xlabel="slabs of the mesh", ylabel=f"error, {unit}", xticks=sizes, xticklabels=map(str, sizes))
    axes.minorticks_off()
    axes.legend()
