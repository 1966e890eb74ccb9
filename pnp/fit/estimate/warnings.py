"""What to be wary of in a fit, in words."""

import numpy as np

from pnp.fit.estimate.covariance import in_words
from pnp.fit.estimate.result import ROUGHLY, Fit, FitStatus
from pnp.settings import Status

CUT_SHORT = "the fit was interrupted: its numbers are the best so far, not the best"

_IMPROBABLE = 1e-3  # probability of a chi2, below which the model or the errors are questioned
_AT_BOUND = 1e-3  # of the bounds' distance


def cautions(fit: Fit) -> list[str]:
    """What to be wary of, the gravest first; [] if there is nothing."""
    space = fit.problem.space
    found = []
    if fit.status is FitStatus.NOT_CONVERGED:
        found.append("the fit did not converge: take no number of it for an answer; try more starts or narrower bounds")
    if fit.status is FitStatus.INTERRUPTED:
        found.append(CUT_SHORT)
    share = (fit.s - space.low) / (space.high - space.low)
    at_bound = (share < _AT_BOUND) | (share > 1 - _AT_BOUND)
    found += [
        f"{space.names[i]} is at its {'lower' if share[i] < 0.5 else 'upper'} bound, {fit.values[space.names[i]]:.4g}: "
        "its error is not known; widen the bounds if the number may be beyond them"
        for i in np.flatnonzero(at_bound)
    ]
    found += in_words(fit.uncertainty, space)
    return found + _about_starts(fit) + _about_values(fit) + _about_chi2(fit)


def _about_starts(fit: Fit) -> list[str]:
    run, sigma2 = fit.starts, max(fit.variance, 1e-300)
    same = fit.agreeing
    if run.chi2.size < 4 or fit.status is not FitStatus.CONVERGED:
        return []
    found = []
    if same.sum() < 2:
        found.append(
            f"only one of {run.chi2.size} starts found this minimum: there may be a lower one; use more starts"
        )
    s, std = fit.problem.space.s_of_u(run.u), fit.uncertainty.std
    with np.errstate(invalid="ignore"):
        apart = (np.abs(s - fit.s) > 4 * std).any(1)
    others = np.flatnonzero(same & apart & (run.remaining < 2 * ROUGHLY * sigma2))
    if others.size:
        values = fit.problem.space.value(s[others[0]])
        listed = ", ".join(f"{n} = {v:.4g}" for n, v in zip(fit.problem.space.names, values, strict=True))
        found.append(f"another minimum is as good, chi2 {run.chi2[others[0]]:.4g} at {listed}: the data do not choose")
    return found


def _about_values(fit: Fit) -> list[str]:
    predicted, problem = fit.predicted, fit.problem
    found = []
    lost, coarse = (int((predicted.status[0] == s).sum()) for s in (Status.NOT_CONVERGED, Status.MESH_TOO_COARSE))
    total = predicted.status[0].size
    if lost:
        found.append(f"at {lost} of {total} values no steady state was found: use more nodes")
    if coarse:
        error = np.nanmax(np.abs(predicted.error[0] * predicted.value[0]) / problem.sd) / (np.sqrt(fit.variance) or 1.0)
        found.append(
            f"{coarse} of {total} values come from a mesh that may be too coarse (errors are estimated at {error:.1g} "
            f"standard errors or less); fit with {problem.model.finer} to make sure"
        )
    return found


def _about_chi2(fit: Fit) -> list[str]:
    p = fit.probability
    if p is None or fit.problem.robust is not None:
        return []
    what = f"chi2 is {fit.chi2:.4g} for {fit.dof} degrees of freedom"
    if p < _IMPROBABLE:
        return [f"{what} (p = {p:.1g}): the model does not describe the data, or their errors are understated"]
    if p > 1 - _IMPROBABLE:
        return [f"{what}: less than chance allows; the errors of the data may be overstated"]
    return []
