"""From measurements to numbers of a channel: many starts, the best of them to the end, and what it is worth."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pnp.channel.channel import Channel
from pnp.fit.estimate.covariance import uncertainty
from pnp.fit.estimate.levenberg_marquardt import Run, minimise
from pnp.fit.estimate.problem import Data, Problem
from pnp.fit.estimate.result import ROUGHLY, Fit, FitStatus
from pnp.fit.estimate.warnings import cautions
from pnp.fit.model.base import GHK, Model
from pnp.fit.model.parameters import FitError, Free
from pnp.fit.model.pnp import PNP
from pnp.settings import Status

MODELS: dict[str, Callable[[], Model]] = {"pnp": PNP, "ghk": GHK}

_FINALLY = 1e-8  # of σ²: fall of chi2 still to be had where the best of the starts is done
_LOOKS, _MORE_LOOKS = 20, 100  # places looked at from a start, and from the best of them


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
    report: Callable[[Problem, Run], None] | None = None,
) -> Fit:
    """Fit numbers of a channel to measured currents or reversal potentials, by least squares.

    data: `IVData` and `ReversalData`, each with its own baths and temperature; weighted by their standard errors if all
    of them have some, else alike. free: paths, or `Free` for bounds, ties and numbers of each data set. model: "pnp",
    "ghk", or `PNP(…)` with its own mesh or in two dimensions. starts: the channel's own values and others around them,
    of which the best end is taken. robust: beyond how many standard errors a deviation counts less than its square.
    fixed: numbers by their paths that are not fitted, but other than the channel's own.
    begin: values by parameter to start from instead, such as those of an interrupted fit. report: called after every
    round of steps. Interrupted (Ctrl-C), it returns the best found so far, with that status.

    Raises FitError, ChannelError.
    """
    chosen = model if isinstance(model, Model) else _model(model)
    problem = Problem(channel, data, free, chosen, robust, fixed)
    return fit_problem(problem, starts=starts, seed=seed, begin=begin, report=report)


def fit_problem(
    problem: Problem,
    *,
    starts: int = 16,
    seed: int = 0,
    begin: Sequence[dict[str, float]] | None = None,
    report: Callable[[Problem, Run], None] | None = None,
) -> Fit:
    """`fit` of what is put together already, whose programs are compiled once however often it is fitted."""
    if starts < 1:
        raise FitError(f"starts must be at least 1, not {starts}")
    space = problem.space
    first = space.starts(starts, seed) if begin is None else _values(problem, begin)
    # Where the model describes the data badly, chi2 is known no better for being minimised to a part of one.
    sigma2 = lambda chi2: np.maximum(chi2 / problem.dof, 1.0 if problem.known_errors else 0.0)
    residuals = lambda u, which: problem.residuals(u)
    latest: list[Run] = []

    def reported(run: Run) -> None:
        latest[:] = [run]
        if report:
            report(problem, run)

    interrupted = False
    try:
        run = minimise(residuals, space.u_of_s(first), lambda c: ROUGHLY * sigma2(c), most=_LOOKS, report=reported)
        latest[:] = [run]
        if not np.isfinite(run.chi2).any():
            raise FitError(_nowhere(problem, first))
        best = run.u[[int(np.nanargmin(run.chi2))]]
        final = minimise(residuals, best, lambda c: _FINALLY * sigma2(c) + 1e-20, most=_MORE_LOOKS)
    except KeyboardInterrupt:
        interrupted = True
        if not latest or not np.isfinite(latest[0].chi2).any():
            raise
        run = latest[0]
        at = int(np.nanargmin(run.chi2))
        final = Run(*(leaf[[at]] for leaf in run))
    return _concluded(problem, run, final, interrupted)


def _model(name: str) -> Model:
    if name not in MODELS:
        raise FitError(f"model must be one of {', '.join(MODELS)}, not {name!r}")
    return MODELS[name]()


def _values(problem: Problem, begin: Sequence[dict[str, float]]) -> np.ndarray:
    """[start, parameter] in s."""
    names = problem.space.names
    for each in begin:
        if set(each) != set(names):
            raise FitError(f"a start must have a value for each of {', '.join(names)}, not for {', '.join(each)}")
    s = [[p.s(each[p.name]) for p in problem.space.parameters] for each in begin]
    return np.clip(np.array(s), problem.space.low, problem.space.high)


def _nowhere(problem: Problem, first: np.ndarray) -> str:
    """Why no start has a value."""
    status = problem.predict(first[:1]).status[0]
    lost = int((status == Status.NOT_CONVERGED).sum())
    return (
        f"the model has no value at any start: at the channel's own numbers {lost} of {status.size} points did not "
        "converge; compute their I–V first (pnp iv), or narrow the bounds"
    )


def _concluded(problem: Problem, run: Run, final: Run, interrupted: bool) -> Fit:
    space, u = problem.space, final.u[0]
    s, chi2 = space.s_of_u(u), float(final.chi2[0])
    variance = 1.0 if problem.known_errors else chi2 / problem.dof
    found = problem.residuals(u[None])
    status = FitStatus.CONVERGED
    if not final.remaining[0] <= ROUGHLY * max(variance, chi2 / problem.dof, 1e-300):
        status = FitStatus.NOT_CONVERGED
    if interrupted:
        status = FitStatus.INTERRUPTED
    known = uncertainty(found.jacobian[0] / space.slope(u), space, variance)
    fit = Fit(problem, status, s, chi2, known, problem.predict(s[None]), run, ())
    return dataclasses.replace(fit, warnings=tuple(cautions(fit)))
