"""Levenberg–Marquardt from many starts side by side.

The steps are optimistix's. What they need to know of the model, residuals and Jacobian where each start is, is worked
out before, for all starts that are still under way: so the solver's program is compiled by itself, once, and not for
every optimiser, and a start that has arrived costs nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optimistix

from pnp.fit.estimate.problem import Residuals

# Damping is divided by ten where three quarters of the fall that a step predicted_reduction came true, and multiplied
# by ten where none did (Marquardt, 1963, J. Soc. Ind. Appl. Math. 11:431). optimistix asks for 99 %, and takes many
# short steps after one that had to be taken back.
_SEARCH: Any = optimistix.ClassicalTrustRegion(high_cutoff=0.75, low_cutoff=1e-3, high_constant=10.0, low_constant=0.1)
_SOLVER: Any = eqx.tree_at(lambda solver: solver.search, optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12), _SEARCH)
# A start is given up where after some steps even its own linearisation does not promise to come near what others have
# reached.
_PATIENCE, _FAR = 6, 4.0
_SMALLEST = 1e-9  # step, of u, below which nothing better is to be found
_TOGETHER = 16
_NO_TAGS: frozenset = frozenset()


class Run(NamedTuple):
    """Where every start has got to, [start, …]."""

    u: np.ndarray
    """[start, parameter], the best place found from there."""
    chi2: np.ndarray
    """NaN where the model has no value at the start itself."""
    remaining: np.ndarray
    """By how much the linearised residuals say that chi2 can still fall."""
    steps: np.ndarray
    """Places that were looked at."""
    done: np.ndarray
    """Whether chi2 has settled."""


def minimise(
    residuals: Callable[[np.ndarray, np.ndarray], Residuals],
    u: np.ndarray,
    settled: Callable[[np.ndarray], np.ndarray],
    *,
    most: int = 60,
    held: np.ndarray | None = None,
    report: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Minimise the sum of squares from each of [start, parameter].

    residuals: of places to look at, [start, parameter], and which of the starts they are for.
    settled: of chi2 [start], the fall still to be had below which a start is done. most: places looked at from each.
    held: [start, parameter], True where a parameter stays as it is. report: called after every round.
    """
    free = np.ones(u.shape) if held is None else 1.0 - held
    found = residuals(u, np.arange(len(u)))
    residual, jacobian = np.array(found.residual), found.jacobian * free[:, None]
    # A cost of ½ at the start, so that tolerances mean the same for all problems.
    unit = np.sqrt(np.where(np.isfinite(found.chi2) & (found.chi2 > 0), found.chi2, 1.0))[:, None]
    run = Run(u.copy(), found.chi2, np.full(len(u), np.inf), np.ones(len(u), int), ~np.isfinite(found.chi2))
    looked_at, state = u, None
    while True:
        known = _padded(residual / unit), _padded(jacobian / unit[..., None])
        y = _padded(run.u)
        state = _begun(y, known) if state is None else state
        y, state = _stepped(y, known, state)
        better = ~run.done & (np.asarray(y)[: len(u)] == looked_at).all(1)
        run = _advanced(run, better, looked_at, residual, jacobian, settled, most)
        report(run)
        looked_at = np.array(state.y_eval)[: len(u)]
        stuck = (np.abs(looked_at - run.u) < _SMALLEST * (1 + np.abs(run.u))).all(1)
        run = run._replace(done=run.done | stuck)
        going = np.flatnonzero(~run.done)
        if not going.size:
            return run
        found = residuals(looked_at[going], going)
        residual[going], jacobian[going] = found.residual, found.jacobian * free[going, None]
        run.steps[going] += 1


def _padded(rows: np.ndarray) -> np.ndarray:
    """To a multiple of so many rows, that one program of steps serves them all."""
    return np.concatenate([rows, np.zeros((-len(rows) % _TOGETHER, *rows.shape[1:]))])


def _advanced(run: Run, better, looked_at, residual, jacobian, settled, most) -> Run:
    """With the starts that have found a better place moved there."""
    chi2 = np.where(better, (residual**2).sum(-1), run.chi2)
    remaining = run.remaining.copy()
    for i in np.flatnonzero(better):
        remaining[i] = predicted_reduction(residual[i], jacobian[i])
    arrived = np.where(run.done, chi2, np.inf).min()
    hopeless = (run.steps >= _PATIENCE) & (chi2 - remaining > np.maximum(_FAR * arrived, chi2 / 2))
    done = run.done | (remaining <= settled(chi2)) | (run.steps >= most) | hopeless
    return Run(np.where(better[:, None], looked_at, run.u), chi2, remaining, run.steps, done)


def predicted_reduction(residual: np.ndarray, jacobian: np.ndarray) -> float:
    """By how much the sum of squares of [point] falls to where its linearisation is least: |U Uᵀ r|², J = U S Vᵀ."""
    left, size, _ = np.linalg.svd(jacobian, full_matrices=False)
    known = size > 1e-10 * max(size[0], 1e-300)
    return float(((left[:, known].T @ residual) ** 2).sum())


@jax.custom_jvp
def _known(u, residual, jacobian):
    return residual


@_known.defjvp
def _known_jvp(primals, tangents):
    _, residual, jacobian = primals
    return residual, jacobian @ tangents[0]


def _residual(u, args):
    return _known(u, *args), None


@eqx.filter_jit
def _begun(u, args):
    one = lambda u, args: _SOLVER.init(_residual, u, args, {}, jax.eval_shape(_residual, u, args)[0], None, _NO_TAGS)
    return eqx.filter_vmap(one)(u, args)


@eqx.filter_jit
def _stepped(u, args, state):
    one = lambda u, args, state: _SOLVER.step(_residual, u, args, {}, state, _NO_TAGS)[:2]
    return eqx.filter_vmap(one)(u, args, state)
