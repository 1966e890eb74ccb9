"""Levenberg–Marquardt from many starts side by side.

The steps are optimistix's. Residuals and Jacobian are computed before each step, in one batch for all starts that are
not done. The solver of the model is therefore compiled by itself, once, and not within every optimiser, and a start
that has converged costs nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optimistix
from jaxtyping import Bool, Float, Int

from pnp.fit.estimate.problem import Residuals

# Damping is divided by ten after a step that achieved three quarters of its predicted reduction, and multiplied by ten
# after one that achieved none (Marquardt, 1963, J. Soc. Ind. Appl. Math. 11:431). The default of optimistix, 99 %,
# leads to many short steps after a rejected one.
_SEARCH: Any = optimistix.ClassicalTrustRegion(high_cutoff=0.75, low_cutoff=1e-3, high_constant=10.0, low_constant=0.1)
_SOLVER: Any = eqx.tree_at(lambda solver: solver.search, optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12), _SEARCH)
# A start is abandoned if after so many evaluations even its predicted reduction leaves it above so many times the
# lowest chi2 that another start has converged to.
_PATIENCE, _ABANDONED_ABOVE = 6, 4.0
_SMALLEST_STEP = 1e-9  # relative step of u below which the search ends
_START_MULTIPLE, _POINT_MULTIPLE = 16, 32  # sizes are padded to these, so that few programs are compiled
_NO_TAGS: frozenset = frozenset()


class Search(NamedTuple):
    """State of the minimisation from every start."""

    u: Float[np.ndarray, "start parameter"]
    """The best found from there."""
    chi2: Float[np.ndarray, " start"]
    """NaN where the model has no value at the start itself."""
    predicted_reduction: Float[np.ndarray, " start"]
    """By how much the linearised residuals say that chi2 can still fall."""
    evaluations: Int[np.ndarray, " start"]
    """How often the model was evaluated."""
    done: Bool[np.ndarray, " start"]
    """Whether the search from this start has ended."""


def minimise(
    residuals: Callable[[np.ndarray, np.ndarray], Residuals],
    u: Float[np.ndarray, "start parameter"],
    tolerance: Callable[[np.ndarray], np.ndarray],
    *,
    max_evaluations: int = 60,
    fixed: Bool[np.ndarray, "start parameter"] | None = None,
    report: Callable[[Search], None] = lambda search: None,
) -> Search:
    """Minimise a sum of squares from each of several starts.

    - residuals: a function of u, [case, parameter], and the indices of the starts that these cases belong to.
    - tolerance: of chi2 [start], the predicted reduction below which a start has converged.
    - max_evaluations: of the model, for each start.
    - fixed: True where a parameter stays as it is.
    - report: called after every round of steps.
    """
    free = np.ones(u.shape) if fixed is None else 1.0 - fixed
    evaluated = residuals(u, np.arange(len(u)))
    residual, jacobian = np.array(evaluated.residual), evaluated.jacobian * free[:, None]
    # Scaled to a cost of ½ at the start, so that tolerances mean the same for all problems.
    known = np.isfinite(evaluated.chi2)
    unit = np.sqrt(np.where(known & (evaluated.chi2 > 0), evaluated.chi2, 1.0))[:, None]
    search = Search(u.copy(), evaluated.chi2, np.full(len(u), np.inf), np.ones(len(u), int), ~known)
    trial, state = u, None
    while True:
        linearisation = _padded(residual / unit), _padded(jacobian / unit[..., None])
        y = _padded_starts(search.u)
        state = _init(y, linearisation) if state is None else state
        y, state = _step(y, linearisation, state)
        accepted = ~search.done & (np.asarray(y)[: len(u)] == trial).all(1)
        search = _updated(search, accepted, trial, residual, jacobian, tolerance, max_evaluations)
        report(search)
        trial = np.array(state.y_eval)[: len(u)]
        stuck = (np.abs(trial - search.u) < _SMALLEST_STEP * (1 + np.abs(search.u))).all(1)
        search = search._replace(done=search.done | stuck)
        active = np.flatnonzero(~search.done)
        if not active.size:
            return search
        evaluated = residuals(trial[active], active)
        residual[active], jacobian[active] = evaluated.residual, evaluated.jacobian * free[active, None]
        search.evaluations[active] += 1


def _padded_starts(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.zeros((-len(rows) % _START_MULTIPLE, *rows.shape[1:]))])


def _padded(rows: np.ndarray) -> np.ndarray:
    """[start, point, …] with zeros added to both axes."""
    rows = _padded_starts(rows)
    zeros = np.zeros((len(rows), -rows.shape[1] % _POINT_MULTIPLE, *rows.shape[2:]))
    return np.concatenate([rows, zeros], 1)


def _updated(search: Search, accepted, trial, residual, jacobian, tolerance, max_evaluations) -> Search:
    """The state with accepted trials as the best found."""
    chi2 = np.where(accepted, (residual**2).sum(-1), search.chi2)
    reduction = search.predicted_reduction.copy()
    for i in np.flatnonzero(accepted):
        reduction[i] = predicted_reduction(residual[i], jacobian[i])
    lowest = np.where(search.done, chi2, np.inf).min()
    abandoned = (search.evaluations >= _PATIENCE) & (chi2 - reduction > np.maximum(_ABANDONED_ABOVE * lowest, chi2 / 2))
    done = search.done | (reduction <= tolerance(chi2)) | (search.evaluations >= max_evaluations) | abandoned
    return Search(np.where(accepted[:, None], trial, search.u), chi2, reduction, search.evaluations, done)


def predicted_reduction(residual: Float[np.ndarray, " point"], jacobian: Float[np.ndarray, "point parameter"]) -> float:
    """By how much the sum of squares falls to the minimum of its linearisation: |U Uᵀ r|² with J = U S Vᵀ."""
    left, size, _ = np.linalg.svd(jacobian, full_matrices=False)
    nonzero = size > 1e-10 * max(size[0], 1e-300)
    return float(((left[:, nonzero].T @ residual) ** 2).sum())


@jax.custom_jvp
def _evaluated(u, residual, jacobian):
    """Residuals at u that are known already, with their known Jacobian as derivative."""
    return residual


@_evaluated.defjvp
def _evaluated_jvp(primals, tangents):
    _, residual, jacobian = primals
    return residual, jacobian @ tangents[0]


def _residual(u, args):
    return _evaluated(u, *args), None


@eqx.filter_jit
def _init(u, args):
    one = lambda u, args: _SOLVER.init(_residual, u, args, {}, jax.eval_shape(_residual, u, args)[0], None, _NO_TAGS)
    return eqx.filter_vmap(one)(u, args)


@eqx.filter_jit
def _step(u, args, state):
    one = lambda u, args, state: _SOLVER.step(_residual, u, args, {}, state, _NO_TAGS)[:2]
    return eqx.filter_vmap(one)(u, args, state)
