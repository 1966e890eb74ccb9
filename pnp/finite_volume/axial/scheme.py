"""One dimension: nodes from bath to bath, and two-node elements between them.

In a given potential the steady state of point ions is known (`settle`). So they are settled before every step, and
Newton walks in phi alone: mu follows it, through regions without ions and between barriers too.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from pnp.channel.activity import PointIons
from pnp.finite_volume.axial import assembly
from pnp.finite_volume.axial.assembly import two_sided_elements
from pnp.finite_volume.axial.nernst_planck import solve_nernst_planck
from pnp.finite_volume.axial.newton_step import linear_solution, newton_update
from pnp.finite_volume.fluxes import composition
from pnp.finite_volume.initial_guess import by_node
from pnp.finite_volume.scheme import LinearisationPoint, Scheme, capped
from pnp.linalg.block_tridiagonal import from_two_sided, to_two_sided


class Line(Scheme):
    """[unknown, node]; Newton has two arms that begin in the baths, [unknown, node, arm, lane], see `linear`."""

    def arranged(self, values):
        return to_two_sided(values)

    def natural(self, values):
        return from_two_sided(values)

    def arranged_elements(self, elements):
        return two_sided_elements(elements)

    def moving(self, unknowns):
        return unknowns[:, 1:]

    def held(self, problem, unknowns):
        phi = jnp.stack([problem.voltage, jnp.zeros_like(problem.voltage)])
        phi = jnp.broadcast_to(phi, unknowns[0, 0].shape)
        return unknowns.at[:, 0].set(jnp.zeros_like(unknowns[:, 0]).at[0].set(phi))

    def linearisation_point(self, problem, unknowns, size, near, settings):
        near = None if near is None else jnp.ones_like(near)
        if isinstance(problem.excess, PointIons):
            return LinearisationPoint(problem, *solve_nernst_planck(problem, unknowns), near)
        # If ions have an excess potential this is not their steady state, though nearer to it than what there is, far
        # from the solution. As near to it as to converge quadratically Newton does without.
        close = size < settings.quadratic_threshold
        at = jax.lax.cond(jnp.all(close), lambda: unknowns, lambda: solve_nernst_planck(problem, unknowns)[0])
        return LinearisationPoint(problem, jnp.where(close, unknowns, at), None, near)

    def update(self, problem, unknowns, with_sensitivity, flux):
        return newton_update(problem, unknowns, with_sensitivity, flux)

    def moved(self, approach, update, size, settings):
        step = capped(approach, update, size, settings, settings.max_potential_update)
        return approach.unknowns.at[:, 1:].add(step * update)

    def finished(self, problem, unknowns):
        return solve_nernst_planck(problem, unknowns)[0] if isinstance(problem.excess, PointIons) else unknowns

    def worst(self, index, unknowns):
        unknown, node, arm = jnp.unravel_index(index, unknowns[:, 1:, :, 0].shape)
        return jnp.stack([unknown, jnp.where(arm == 0, node + 1, 2 * (unknowns.shape[1] - 1) - 1 - node)])

    def interior(self, unknowns):
        return unknowns[:, 1:-1]

    def with_baths(self, problem, interior):
        return assembly.with_baths(problem, interior)

    def residual(self, problem, interior, flux=None):
        return assembly.residual(problem, interior, flux)

    def linear_solution(self, problem, unknowns, rhs, transposed, flux):
        shared = to_two_sided(rhs).at[..., -1, 1, :].set(0.0)  # the arms' parts of the middle node are summed
        from_baths = jnp.stack([flux, -flux], axis=-2)[:, None]
        return from_two_sided(linear_solution(problem, to_two_sided(unknowns), shared, transposed, from_baths))

    def mean_flux(self, problem, unknowns):
        return assembly.mean_flux(problem, unknowns)

    def flux_change(self, problem, interior, sensitivity, share):
        def flux(voltage, interior):
            at = eqx.tree_at(lambda p: p.voltage, problem, voltage)
            return assembly.flux_at_largest_resistance(at, assembly.with_baths(at, interior), share)

        return jax.jvp(flux, (problem.voltage, interior), (jnp.ones_like(problem.voltage), sensitivity))[1]

    def apart(self, share, coarse, fine):
        apart = jnp.abs(coarse.unknowns[0] - fine.unknowns[0, ::2])
        between = (apart[1:] + apart[:-1]) / 2
        return jnp.abs(fine.problem.valence) * (share.reshape(len(share), -1, 2).sum(2) @ between)

    def mouth_potentials(self, problem, unknowns, x, mouths):
        mu = unknowns[1:] + problem.node_reference
        return jnp.stack([jnp.interp(mouths, x, one) for one in mu], axis=1)

    def concentrations(self, problem, unknowns):
        fixed, volume = by_node(problem.elements.excess, 0.0), by_node(problem.elements.volume, 0.0)
        mu = unknowns[1:] + problem.node_reference
        _, c = composition(unknowns[0], mu, jnp.moveaxis(fixed, 1, 0), problem.valence, problem.excess)
        return (jnp.stack(c, -1) * volume[..., None]).sum(0) / volume.sum(0)[:, None]
