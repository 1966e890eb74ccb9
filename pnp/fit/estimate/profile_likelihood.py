"""Profiles of the likelihood: intervals that do not take the model for linear.

A parameter is moved and held while the others are fitted anew; its 95 % interval ends where chi2 has risen by q², q the
quantile of `uncertainty.quantile` (Venzon & Moolgavkar, 1988, Appl. Stat. 37:87).
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pnp.fit.estimate.covariance import quantile
from pnp.fit.estimate.levenberg_marquardt import minimise
from pnp.fit.estimate.result import Fit
from pnp.fit.model.parameters import FitError

_ROUNDS = 16
_NEAR = 0.005  # of q: how close the root of the rise of chi2 must come to it
_LOWER = 0.1  # of σ²: a fall of chi2 that says that the fit had not found the minimum


class Interval(NamedTuple):
    """95 %, from the profile of the likelihood; an end is None where chi2 does not rise as much before the bound."""

    low: float | None
    high: float | None


class _End(NamedTuple):
    """One end of one interval, while it is looked for."""

    parameter: int
    sign: int
    limit: float


def profile(
    fit: Fit, names: Sequence[str] | None = None, *, report: Callable[[int], None] = lambda ends: None
) -> dict[str, Interval]:
    """95 % intervals of parameters (all unless named), by refitting all others.

    report: called with how many ends are found. Raises FitError for a name that was not free, and for a fit that did
    not converge.
    """
    space = fit.problem.space
    if fit.status != "converged":
        raise FitError(f"there is no minimum to profile: the fit's status is {fit.status}")
    wanted = space.names if names is None else names
    for name in wanted:
        if name not in space.names:
            raise FitError(f"{name} was not free; free were {', '.join(space.names)}")
    ends = [
        _End(i, sign, (space.high if sign > 0 else space.low)[i])
        for i in map(space.names.index, wanted)
        for sign in (-1, 1)
    ]
    at, found = _walk(fit, ends, report)
    value = lambda k: space.parameters[ends[k].parameter].value(float(at[k])) if found[k] else None
    return {name: Interval(value(2 * n), value(2 * n + 1)) for n, name in enumerate(wanted)}


def _walk(fit: Fit, ends: Sequence[_End], report) -> tuple[np.ndarray, np.ndarray]:
    """Where each end is, in s, and whether chi2 has risen enough there."""
    space, problem = fit.problem.space, fit.problem
    q, sigma2 = quantile(fit.dof, problem.known_errors), max(fit.variance, 1e-300)
    first = np.where(np.isfinite(fit.uncertainty.std), q * fit.uncertainty.std, space.spread)
    near = lambda end, s: np.clip(s, *sorted((fit.s[end.parameter], end.limit)))
    at = np.array([near(end, fit.s[end.parameter] + end.sign * first[end.parameter]) for end in ends])
    held = np.array([[end.parameter == i for i in range(len(space.names))] for end in ends])
    s = np.repeat(fit.s[None], len(ends), 0)
    inside, beyond = np.array([fit.s[e.parameter] for e in ends]), np.array([e.limit for e in ends])
    found, over = np.zeros(len(ends), bool), np.zeros(len(ends), bool)
    for _ in range(_ROUNDS):
        going = np.flatnonzero(~(found | over))
        if not going.size:
            break
        s[going, [ends[k].parameter for k in going.tolist()]] = at[going]
        run = minimise(
            lambda u, which: problem.residuals(u),
            space.u_of_s(s[going]),
            lambda c: 1e-4 * sigma2 + 0 * c,
            held=held[going],
        )
        s[going] = space.s_of_u(run.u)
        rise = np.sqrt(np.maximum(run.chi2 - fit.chi2, 0) / sigma2) / q
        if (run.chi2 < fit.chi2 - _LOWER * sigma2).any():
            warnings.warn("the profile found a lower chi2 than the fit: fit again with more starts", stacklevel=3)
        for k, r in zip(going.tolist(), rise, strict=True):
            end, centre = ends[k], fit.s[ends[k].parameter]
            found[k] = abs(r - 1) < _NEAR
            over[k] = not found[k] and r < 1 and at[k] == end.limit
            if found[k] or over[k]:
                continue
            # The root of the rise is nearly linear in s. A value the model has no answer at counts as too far.
            inside[k], beyond[k] = (at[k], beyond[k]) if r < 1 else (inside[k], at[k])
            step = centre + (at[k] - centre) / max(r, 0.1) if np.isfinite(r) else np.nan
            bracketed = abs(beyond[k] - centre) < abs(end.limit - centre)
            outside = not min(inside[k], beyond[k]) < step < max(inside[k], beyond[k])
            at[k] = (inside[k] + beyond[k]) / 2 if (outside and bracketed) or not np.isfinite(step) else near(end, step)
        report(int((found | over).sum()))
    return at, found
