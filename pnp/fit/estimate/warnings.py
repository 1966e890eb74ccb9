"""Warnings of a fit: parameters at bounds or not determined, doubtful minima, solver errors, and an unlikely chi2."""

import numpy as np

from pnp.fit.estimate.covariance import identifiability_warnings
from pnp.fit.estimate.result import LOOSE_TOLERANCE, Fit, FitStatus
from pnp.settings import Status

CUT_SHORT = "the fit was interrupted: its numbers are the best so far, not the best"

_IMPROBABLE = 1e-3  # probability of a chi2, below which the model or the errors are questioned
_AT_BOUND = 1e-3  # of the interval between the bounds


def fit_warnings(fit: Fit) -> list[str]:
    """Warnings, the gravest first; empty if there is nothing to warn of."""
    warnings = []
    if fit.status is FitStatus.NOT_CONVERGED:
        warnings.append(
            "the fit did not converge: take no number of it for an answer; try more starts or narrower bounds"
        )
    if fit.status is FitStatus.INTERRUPTED:
        warnings.append(CUT_SHORT)
    warnings += _about_bounds(fit) + identifiability_warnings(fit.uncertainty, fit.problem.space)
    return warnings + _about_starts(fit) + _about_solver(fit) + _about_chi2(fit)


def _about_bounds(fit: Fit) -> list[str]:
    space = fit.problem.space
    fraction = (fit.s - space.low) / (space.high - space.low)
    at_bound = (fraction < _AT_BOUND) | (fraction > 1 - _AT_BOUND)
    return [
        f"{space.names[i]} is at its {'lower' if fraction[i] < 0.5 else 'upper'} bound, "
        f"{fit.values[space.names[i]]:.4g}: its error is not known; widen the bounds if the number may be beyond them"
        for i in np.flatnonzero(at_bound)
    ]


def _about_starts(fit: Fit) -> list[str]:
    search, sigma2 = fit.starts, max(fit.variance, 1e-300)
    same = fit.at_minimum
    if search.chi2.size < 4 or fit.status is not FitStatus.CONVERGED:
        return []
    warnings = []
    if same.sum() < 2:
        warnings.append(
            f"only one of {search.chi2.size} starts found this minimum: there may be a lower one; use more starts"
        )
    s, std = fit.problem.space.s_of_u(search.u), fit.uncertainty.std
    with np.errstate(invalid="ignore"):
        distant = (np.abs(s - fit.s) > 4 * std).any(1)
    others = np.flatnonzero(same & distant & (search.predicted_reduction < 2 * LOOSE_TOLERANCE * sigma2))
    if others.size:
        values = fit.problem.space.value(s[others[0]])
        listed = ", ".join(f"{n} = {v:.4g}" for n, v in zip(fit.problem.space.names, values, strict=True))
        warnings.append(
            f"another minimum is as good, chi2 {search.chi2[others[0]]:.4g} at {listed}: the data do not choose"
        )
    return warnings


def _about_solver(fit: Fit) -> list[str]:
    predicted, problem = fit.predicted, fit.problem
    if problem.model.discretization is None:
        return []
    warnings = []
    lost, coarse = (int((predicted.status[0] == s).sum()) for s in (Status.NOT_CONVERGED, Status.MESH_TOO_COARSE))
    total = predicted.status[0].size
    if lost:
        warnings.append(f"at {lost} of {total} values no steady state was found: use more nodes")
    if coarse:
        largest = np.nanmax(np.abs(predicted.discretization_error[0] * predicted.value[0]) / problem.sd)
        _, python, option = problem.model.discretization.refinement
        warnings.append(
            f"{coarse} of {total} values come from a mesh that may be too coarse (errors are estimated at "
            f"{largest / (np.sqrt(fit.variance) or 1.0):.1g} standard errors or less); fit with {python} ({option}) to "
            "make sure"
        )
    return warnings


def _about_chi2(fit: Fit) -> list[str]:
    p = fit.probability
    if p is None or fit.problem.robust is not None:
        return []
    chi2 = f"chi2 is {fit.chi2:.4g} for {fit.dof} degrees of freedom"
    if p < _IMPROBABLE:
        return [f"{chi2} (p = {p:.1g}): the model does not describe the data, or their errors are understated"]
    if p > 1 - _IMPROBABLE:
        return [f"{chi2}: less than chance allows; the errors of the data may be overstated"]
    return []
