"""The axisymmetric scheme: how the equations on the cells of the (z, r) plane are solved.

Far from the solution a step is taken of an easier problem, in which the flux along an edge depends on its own ends only
(as if all edges were at right angles). Its Nernst–Planck equations at a fixed potential are linear (`nernst_planck`),
so Newton converges from far away, as in one dimension. Once that has converged, steps are taken of the problem itself,
damped so that concentrations fall no faster than by e^−largest and rise only in proportion.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from pnp.finite_volume.axisymmetric import observables
from pnp.finite_volume.axisymmetric.assembly import balance, linearize, solve_bands, with_dirichlet_values
from pnp.finite_volume.axisymmetric.nernst_planck import NEARLY_SOLVED, solve_nernst_planck
from pnp.finite_volume.problem import Problem
from pnp.finite_volume.scheme import LinearisationPoint, MeanFlux, Scheme, damping

_LARGEST_UPDATE = 5.0  # kT, of a step of the problem itself


def _without_skew(problem: Problem, where) -> Problem:
    """The easier problem, in the cases of the batch named."""
    return eqx.tree_at(lambda p: p.elements.skew, problem, jnp.where(where, 0.0, problem.elements.skew))


class AxisymmetricScheme(Scheme):
    """[unknown, slice, node], for Newton as for everyone."""

    # -- for Newton --

    def to_solver_layout(self, values):
        return values

    from_solver_layout = free_unknowns = interior = to_solver_layout

    def elements_in_solver_layout(self, elements):
        return elements

    def with_dirichlet_values(self, problem, unknowns):
        return with_dirichlet_values(problem, unknowns)

    def linearisation_point(self, problem, unknowns, size, converging, settings):
        if converging is None:
            return LinearisationPoint(problem, unknowns, None, None)
        converging = converging | (size < NEARLY_SOLVED)
        easy = _without_skew(problem, ~converging)
        at = jax.lax.cond(jnp.all(converging), lambda: unknowns, lambda: solve_nernst_planck(problem, unknowns))
        return LinearisationPoint(easy, jnp.where(converging, unknowns, at), None, converging)

    def newton_update(self, problem, unknowns, with_sensitivity, flux):
        system = linearize(problem, unknowns, with_sensitivity=with_sensitivity)
        columns = [-system.balance] + ([-system.dF_dV] if with_sensitivity else [])
        x = solve_bands(problem.elements, system.bands, jnp.stack(columns, axis=3))
        return x[:, :, :, 0], x[:, :, :, 1] if with_sensitivity else None

    def apply_update(self, point, update, size, settings):
        unknowns, valence = point.unknowns, point.problem.valence[:, None, None]
        whole = unknowns + damping(point, update, size, settings, settings.max_potential_update) * update
        step = damping(point, update, size, settings, _LARGEST_UPDATE) * update
        rise = step[1:] - valence * step[0]  # of ln c
        rise = jnp.where(rise > 0, jnp.log1p(jnp.maximum(rise, 0.0)), jnp.maximum(rise, -_LARGEST_UPDATE))
        damped = unknowns + jnp.concatenate([step[:1], valence * step[0] + rise])
        large = size >= settings.quadratic_threshold
        return jnp.where(large if point.converging is None else large & point.converging, damped, whole)

    def finish(self, problem, unknowns):
        return unknowns

    def locate(self, index, unknowns):
        unknown, where, _ = jnp.unravel_index(index, unknowns.shape[:3])
        return jnp.stack([unknown, where])

    # -- for derivatives --

    def with_baths(self, problem, interior):
        return interior

    def residual(self, problem, interior, flux=None):
        return balance(problem, interior)

    def solve_linearised(self, problem, unknowns, rhs, transposed, flux):
        system = linearize(problem, unknowns)
        if transposed:  # of the matrix before its rows were scaled
            return solve_bands(problem.elements, system.bands, rhs, transposed=True) * system.scale
        return solve_bands(problem.elements, system.bands, rhs * system.scale)

    # -- observables --

    def mean_flux(self, problem, unknowns):
        fixed = jax.lax.stop_gradient((problem, unknowns))
        first, last = problem.elements.membrane_slices
        along = observables.flux_along(*fixed)[:, first:last]
        fraction = observables.resistance_fractions(*fixed)
        mean = (along * fraction).sum(1)
        one = observables.at_largest_resistance(observables.flux_along(problem, unknowns)[:, first:last], fraction)
        return MeanFlux(mean + (one - jax.lax.stop_gradient(one)), along - mean[:, None], fraction)

    def flux_sensitivity(self, problem, interior, sensitivity, fraction):
        first, last = problem.elements.membrane_slices
        change = observables.flux_sensitivity_along(problem, interior, sensitivity)
        return observables.at_largest_resistance(change[:, first:last], fraction)

    def mouth_potentials(self, problem, unknowns, x, mouths):
        return observables.mouth_potentials(problem, unknowns)

    def concentrations(self, problem, unknowns):
        return observables.concentrations(problem, unknowns)

    def flux_density(self, problem, unknowns, x, r):
        return observables.flux_density(problem, unknowns, x, r)


AXISYMMETRIC_SCHEME = AxisymmetricScheme()
