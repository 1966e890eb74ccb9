"""The fit itself: least squares from many starts, the best of them refined, with uncertainties and warnings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pnp.channel.channel import Channel
from pnp.fit.estimate.covariance import uncertainty
from pnp.fit.estimate.levenberg_marquardt import Search, minimise
from pnp.fit.estimate.problem import Data, FitProblem
from pnp.fit.estimate.result import LOOSE_TOLERANCE, Fit, FitStatus
from pnp.fit.estimate.warnings import fit_warnings
from pnp.fit.model.base import Model
from pnp.fit.model.ghk import GHK
from pnp.fit.model.parameters import FitError, Free
from pnp.fit.model.pnp import PNP
from pnp.settings import Status

MODELS: dict[str, Callable[[], Model]] = {"pnp": PNP, "ghk": GHK}

_TOLERANCE = 1e-8  # of σ²: predicted reduction of chi2 at which the refined start has converged
_MAX_EVALUATIONS, _MAX_REFINEMENTS = 20, 100  # of the model, from every start and in the refinement of the best


def fit(
    channel: Channel,
    data: Data,
    free: Sequence[str | Free],
    *,
    model: str | Model = "pnp",
    starts: int = 16,
    seed: int = 0,
    robust: float | None = None,
    fixed: Mapping[str, float] | None = None,
    begin: Sequence[dict[str, float]] | None = None,
    report: Callable[[FitProblem, Search], None] | None = None,
) -> Fit:
    """Fit numbers of a channel to measured currents or reversal potentials, by least squares.

    - data: `IVData` and `ReversalData`, each with its own baths and temperature; weighted by their standard errors if
      all of them have some, else equally.
    - free: paths, or `Free` for bounds, ties and numbers of each data set.
    - model: "pnp", "ghk", or `PNP(discretization)` for another mesh or two dimensions.
    - starts: number of starts: the channel's own values, and others around them. The best minimum is taken.
    - seed: of the starts.
    - robust: the number of standard errors beyond which a deviation counts less than its square.
    - fixed: values by path of numbers that are not fitted, but differ from the channel's.
    - begin: values by parameter to start from instead, such as those of an interrupted fit.
    - report: called after every round of steps.

    Returns the fit. Interrupted (Ctrl-C), it is the best found so far, with status INTERRUPTED.

    Raises FitError, ChannelError.
    """
    problem = FitProblem(channel, data, free, model if isinstance(model, Model) else _model(model), robust, fixed)
    return fit_problem(problem, starts=starts, seed=seed, begin=begin, report=report)


def fit_problem(
    problem: FitProblem,
    *,
    starts: int = 16,
    seed: int = 0,
    begin: Sequence[dict[str, float]] | None = None,
    report: Callable[[FitProblem, Search], None] | None = None,
) -> Fit:
    """`fit` of a problem that can be fitted again."""
    if starts < 1:
        raise FitError(f"starts must be at least 1, not {starts}")
    space = problem.space
    first = space.starts(starts, seed) if begin is None else _given_starts(problem, begin)
    # Where the model describes the data badly, a chi2 minimised to a fraction of 1 is known no better.
    sigma2 = lambda chi2: np.maximum(chi2 / problem.dof, 1.0 if problem.known_errors else 0.0)
    residuals = lambda u, start: problem.residuals(u)
    latest: list[Search] = []

    def keep(search: Search) -> None:
        latest[:] = [search]
        if report:
            report(problem, search)

    interrupted = False
    try:
        search = minimise(
            residuals,
            space.u_of_s(first),
            lambda chi2: LOOSE_TOLERANCE * sigma2(chi2),
            max_evaluations=_MAX_EVALUATIONS,
            report=keep,
        )
        latest[:] = [search]
        if not np.isfinite(search.chi2).any():
            raise FitError(_no_value(problem, first))
        best = search.u[[int(np.nanargmin(search.chi2))]]
        refined = minimise(
            residuals, best, lambda chi2: _TOLERANCE * sigma2(chi2) + 1e-20, max_evaluations=_MAX_REFINEMENTS
        )
    except KeyboardInterrupt:
        interrupted = True
        if not latest or not np.isfinite(latest[0].chi2).any():
            raise
        search = latest[0]
        at = int(np.nanargmin(search.chi2))
        refined = Search(*(leaf[[at]] for leaf in search))
    return _result(problem, search, refined, interrupted)


def _model(name: str) -> Model:
    if name not in MODELS:
        raise FitError(f"model must be one of {', '.join(MODELS)}, not {name!r}")
    return MODELS[name]()


def _given_starts(problem: FitProblem, begin: Sequence[dict[str, float]]) -> np.ndarray:
    """[start, parameter] in s."""
    names = problem.space.names
    for each in begin:
        if set(each) != set(names):
            raise FitError(f"a start must have a value for each of {', '.join(names)}, not for {', '.join(each)}")
    s = [[p.s(each[p.name]) for p in problem.space.parameters] for each in begin]
    return np.clip(np.array(s), problem.space.low, problem.space.high)


def _no_value(problem: FitProblem, first: np.ndarray) -> str:
    """The message for a model that has no value at any start."""
    status = problem.predict(first[:1]).status[0]
    lost = int((status == Status.NOT_CONVERGED).sum())
    return (
        f"the model has no value at any start: at the channel's own numbers {lost} of {status.size} points did not "
        "converge; compute their I–V first (pnp iv), or narrow the bounds"
    )


def _result(problem: FitProblem, search: Search, refined: Search, interrupted: bool) -> Fit:
    space, u = problem.space, refined.u[0]
    s, chi2 = space.s_of_u(u), float(refined.chi2[0])
    variance = 1.0 if problem.known_errors else chi2 / problem.dof
    residuals = problem.residuals(u[None])
    status = FitStatus.CONVERGED
    if not refined.predicted_reduction[0] <= LOOSE_TOLERANCE * max(variance, chi2 / problem.dof, 1e-300):
        status = FitStatus.NOT_CONVERGED
    if interrupted:
        status = FitStatus.INTERRUPTED
    known = uncertainty(residuals.jacobian[0] / space.slope(u), space, variance)
    fit = Fit(problem, status, s, chi2, known, problem.predict(s[None]), search, ())
    return dataclasses.replace(fit, warnings=tuple(fit_warnings(fit)))
