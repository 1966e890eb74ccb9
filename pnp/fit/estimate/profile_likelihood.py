"""Profile likelihood: confidence intervals that do not assume a linear model.

A parameter is fixed at values ever farther from the best fit while the others are fitted; its 95 % interval ends where
chi2 has risen by q², q the quantile of `covariance.quantile` (Venzon & Moolgavkar, 1988, Appl. Stat. 37:87).
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pnp.fit.estimate.covariance import quantile
from pnp.fit.estimate.levenberg_marquardt import minimise
from pnp.fit.estimate.result import Fit
from pnp.fit.model.parameters import FitError

_MAX_ROUNDS = 16
_TOLERANCE = 0.005  # relative, of the square root of the rise of chi2 at an end
_LOWER = 0.1  # of σ²: a fall of chi2 that shows that the fit had missed the minimum


class Interval(NamedTuple):
    """A 95 % profile-likelihood interval; an end is None where chi2 does not rise enough within the bound."""

    low: float | None
    high: float | None


class _End(NamedTuple):
    """One end of one interval."""

    parameter: int
    sign: int
    limit: float
    """The bound on that side, in s."""


def profile(
    fit: Fit, names: Sequence[str] | None = None, *, report: Callable[[int], None] = lambda ends: None
) -> dict[str, Interval]:
    """95 % intervals from the profile of the likelihood, by name of the parameter.

    - names: of parameters, all of them unless given.
    - report: called with the number of ends found so far.

    Raises FitError for a name that was not free, and for a fit that did not converge.
    """
    space = fit.problem.space
    if fit.status != "converged":
        raise FitError(f"there is no minimum to profile: the fit's status is {fit.status}")
    names = space.names if names is None else names
    for name in names:
        if name not in space.names:
            raise FitError(f"{name} was not free; free were {', '.join(space.names)}")
    ends = [
        _End(i, sign, (space.high if sign > 0 else space.low)[i])
        for i in map(space.names.index, names)
        for sign in (-1, 1)
    ]
    position, found = _search(fit, ends, report)
    value = lambda k: space.parameters[ends[k].parameter].value(float(position[k])) if found[k] else None
    return {name: Interval(value(2 * n), value(2 * n + 1)) for n, name in enumerate(names)}


def _search(fit: Fit, ends: Sequence[_End], report) -> tuple[Float[np.ndarray, " end"], Bool[np.ndarray, " end"]]:
    """Position of each end in s, and whether chi2 has risen enough there."""
    space, problem = fit.problem.space, fit.problem
    q, sigma2 = quantile(fit.dof, problem.known_errors), max(fit.variance, 1e-300)
    first = np.where(np.isfinite(fit.uncertainty.std), q * fit.uncertainty.std, space.spread)
    within = lambda end, s: np.clip(s, *sorted((fit.s[end.parameter], end.limit)))
    position = np.array([within(end, fit.s[end.parameter] + end.sign * first[end.parameter]) for end in ends])
    fixed = np.array([[end.parameter == i for i in range(len(space.names))] for end in ends])
    s = np.repeat(fit.s[None], len(ends), 0)
    inner, outer = np.array([fit.s[e.parameter] for e in ends]), np.array([e.limit for e in ends])
    found, at_limit = np.zeros(len(ends), bool), np.zeros(len(ends), bool)
    for _ in range(_MAX_ROUNDS):
        active = np.flatnonzero(~(found | at_limit))
        if not active.size:
            break
        s[active, [ends[k].parameter for k in active.tolist()]] = position[active]
        search = minimise(
            lambda u, start: problem.residuals(u),
            space.u_of_s(s[active]),
            lambda chi2: 1e-4 * sigma2 + 0 * chi2,
            fixed=fixed[active],
        )
        s[active] = space.s_of_u(search.u)
        rise = np.sqrt(np.maximum(search.chi2 - fit.chi2, 0) / sigma2) / q
        if (search.chi2 < fit.chi2 - _LOWER * sigma2).any():
            warnings.warn("the profile found a lower chi2 than the fit: fit again with more starts", stacklevel=3)
        for k, r in zip(active.tolist(), rise, strict=True):
            end, centre = ends[k], fit.s[ends[k].parameter]
            found[k] = abs(r - 1) < _TOLERANCE
            at_limit[k] = not found[k] and r < 1 and position[k] == end.limit
            if found[k] or at_limit[k]:
                continue
            # The square root of the rise is nearly linear in s. Where the model has no value, s is too far out.
            inner[k], outer[k] = (position[k], outer[k]) if r < 1 else (inner[k], position[k])
            step = centre + (position[k] - centre) / max(r, 0.1) if np.isfinite(r) else np.nan
            bracketed = abs(outer[k] - centre) < abs(end.limit - centre)
            outside = not min(inner[k], outer[k]) < step < max(inner[k], outer[k])
            bisect = (outside and bracketed) or not np.isfinite(step)
            position[k] = (inner[k] + outer[k]) / 2 if bisect else within(end, step)
        report(int((found | at_limit).sum()))
    return position, found
