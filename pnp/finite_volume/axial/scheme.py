"""The axial scheme: nodes from bath to bath, and two-node elements between them.

At a fixed potential the steady Nernst–Planck equations of point ions have a closed solution (`nernst_planck`). It is
taken before every step, so Newton moves in phi alone: mu follows, through regions without ions and between barriers.
"""

import jax
import jax.numpy as jnp

from pnp.channel.activity import IdealCoefficients
from pnp.finite_volume.axial import assembly
from pnp.finite_volume.axial.nernst_planck import solve_nernst_planck
from pnp.finite_volume.axial.newton_step import newton_update, solve_linearised
from pnp.finite_volume.fluxes import Element, composition
from pnp.finite_volume.initial_guess import by_node
from pnp.finite_volume.scheme import LinearisationPoint, Scheme, damping
from pnp.linalg.block_tridiagonal import from_two_sided, to_two_sided


class AxialScheme(Scheme):
    """[unknown, node]; Newton's layout has two sides that begin in the baths, [unknown, node, side, batch]."""

    # -- for Newton --

    def to_solver_layout(self, values):
        return to_two_sided(values)

    def from_solver_layout(self, values):
        return from_two_sided(values)

    def elements_in_solver_layout(self, elements):
        return two_sided_elements(elements)

    def free_unknowns(self, unknowns):
        return unknowns[:, 1:]

    def with_dirichlet_values(self, problem, unknowns):
        phi = jnp.stack([problem.voltage, jnp.zeros_like(problem.voltage)])
        phi = jnp.broadcast_to(phi, unknowns[0, 0].shape)
        return unknowns.at[:, 0].set(jnp.zeros_like(unknowns[:, 0]).at[0].set(phi))

    def linearisation_point(self, problem, unknowns, size, converging, settings):
        converging = None if converging is None else jnp.ones_like(converging)
        if isinstance(problem.activity, IdealCoefficients):
            return LinearisationPoint(problem, *solve_nernst_planck(problem, unknowns), converging)
        # With an activity model this is not the steady state, though nearer to it than the iterate, far from the
        # solution. Once Newton converges quadratically it does without.
        close = size < settings.quadratic_threshold
        at = jax.lax.cond(jnp.all(close), lambda: unknowns, lambda: solve_nernst_planck(problem, unknowns)[0])
        return LinearisationPoint(problem, jnp.where(close, unknowns, at), None, converging)

    def newton_update(self, problem, unknowns, with_sensitivity, flux):
        return newton_update(problem, unknowns, with_sensitivity, flux)

    def apply_update(self, point, update, size, settings):
        step = damping(point, update, size, settings, settings.max_potential_update)
        return point.unknowns.at[:, 1:].add(step * update)

    def finish(self, problem, unknowns):
        return (
            solve_nernst_planck(problem, unknowns)[0] if isinstance(problem.activity, IdealCoefficients) else unknowns
        )

    def locate(self, index, unknowns):
        unknown, node, side = jnp.unravel_index(index, unknowns[:, 1:, :, 0].shape)
        return jnp.stack([unknown, jnp.where(side == 0, node + 1, 2 * (unknowns.shape[1] - 1) - 1 - node)])

    # -- for derivatives --

    def interior(self, unknowns):
        return unknowns[:, 1:-1]

    def with_baths(self, problem, interior):
        return assembly.with_baths(problem, interior)

    def residual(self, problem, interior, flux=None):
        return assembly.residual(problem, interior, flux)

    def solve_linearised(self, problem, unknowns, rhs, transposed, flux):
        one_sided = to_two_sided(rhs).at[..., -1, 1, :].set(0.0)  # both sides' parts of the middle node are summed
        from_baths = jnp.stack([flux, -flux], axis=-2)[:, None]
        return from_two_sided(solve_linearised(problem, to_two_sided(unknowns), one_sided, transposed, from_baths))

    # -- observables --

    def mean_flux(self, problem, unknowns):
        return assembly.mean_flux(problem, unknowns)

    def flux_sensitivity(self, problem, interior, sensitivity, fraction):
        def flux(voltage, interior):
            at = problem.with_voltage(voltage)
            return assembly.flux_at_largest_resistance(at, assembly.with_baths(at, interior), fraction)

        return jax.jvp(flux, (problem.voltage, interior), (jnp.ones_like(problem.voltage), sensitivity))[1]

    def mouth_potentials(self, problem, unknowns, x, mouths):
        mu = unknowns[1:] + problem.node_reference
        return jnp.stack([jnp.interp(mouths, x, one) for one in mu], axis=1)

    def concentrations(self, problem, unknowns):
        energy, volume = by_node(problem.elements.position_energy, 0.0), by_node(problem.elements.volume, 0.0)
        mu = unknowns[1:] + problem.node_reference
        _, c = composition(unknowns[0], mu, jnp.moveaxis(energy, 1, 0), problem.valence, problem.activity)
        return (jnp.stack(c, -1) * volume[..., None]).sum(0) / volume.sum(0)[:, None]

    def flux_density(self, problem, unknowns, x, r):
        return None


AXIAL_SCHEME = AxialScheme()


def two_sided_elements(elements: Element) -> Element:
    """Elements from bath to bath as two sides that run from the baths to the middle; those of the second side are
    turned round, so that `left` is nearer to the bath."""
    sides = jax.tree.map(to_two_sided, elements)
    turned = lambda value: value.at[..., 1, :].set(value[::-1, ..., 1, :])
    return Element(
        sides.dielectric_conductance,
        sides.conductance,
        turned(sides.volume),
        turned(sides.charge),
        turned(sides.position_energy),
        sides.inside_reference,
        sides.reference_switch,
    )
