"""From measurements to numbers of a channel: `fit`, and what it finds."""

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from pnp.channel import Channel
from pnp.fit.data import IVData
from pnp.fit.models import CHANNELS, GHK, Model, Predicted
from pnp.fit.optimise import Run, minimise
from pnp.fit.parameters import FitError, Free
from pnp.fit.problem import Data, Problem
from pnp.fit.solved import PNP
from pnp.fit.uncertainty import Uncertainty, in_words, quantile, uncertainty
from pnp.settings import Status

MODELS: dict[str, Callable[[], Model]] = {"pnp": PNP, "ghk": GHK}

_ROUGHLY, _FINALLY = 0.1, 1e-8  # of σ²: fall of chi2 still to be had where a start, and where the best of them, is done
_LOOKS, _MORE_LOOKS = 20, 100  # places looked at from a start, and from the best of them
_SAME = 0.5  # of σ²: starts whose chi2 differ by less have found the same minimum …
_EXACT = 1e-6  # … or less than this for each point, of what has been measured squared: the model is no more exact
_IMPROBABLE = 1e-3  # probability of a chi2, below which the model or the errors are questioned
_AT_BOUND = 1e-3  # of the bounds' distance


class FitStatus(enum.StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    NOT_CONVERGED = "not_converged"
    INTERRUPTED = "interrupted"


class Estimate(NamedTuple):
    """What is known of one number: its value and its 95 % interval; None where the data do not determine it."""

    value: float
    unit: str
    std: float | None
    low: float | None
    high: float | None


def _estimate(s, std, width, unit, value: Callable, bounds) -> Estimate:
    """From s and its standard error; value: what s stands for, itself or its exponential."""
    if not np.isfinite(std):
        return Estimate(float(value(s)), unit, None, None, None)
    low, high = (float(value(np.clip(s + sign * width * std, *bounds))) for sign in (-1, 1))
    slope = 1.0 if value(0.0) == 0 else float(value(s))
    return Estimate(float(value(s)), unit, float(std) * slope, low, high)


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of a fit. A fit that did not converge says so in its status and its warnings."""

    problem: Problem
    status: FitStatus
    s: np.ndarray
    """[parameter], the best found, in the coordinates of `pnp.fit.parameters`."""
    chi2: float
    """Sum of squares of the residuals in standard errors; where those are not known, in the mean square of the data."""
    uncertainty: Uncertainty
    predicted: Predicted
    """At the best found, one case."""
    starts: Run
    """Where every start has got to; u as in `pnp.fit.parameters`."""
    warnings: tuple[str, ...]

    @property
    def dof(self) -> int:
        """Measured values less free numbers."""
        return self.problem.dof

    @property
    def variance(self) -> float:
        """σ² of the residuals: 1 where errors are known, else chi2 / dof."""
        return 1.0 if self.problem.known_errors else self.chi2 / self.dof

    @property
    def agreeing(self) -> np.ndarray:
        """[start], whether it found this minimum, or another as good."""
        return self.starts.chi2 < self.chi2 + max(_SAME * self.variance, _EXACT * self.problem.target.size)

    @property
    def solver_errors(self) -> dict[str, float]:
        """The largest of all values, as `pnp.Solution` has them; that of discretisation before it is extrapolated."""
        found = self.predicted
        return {"conservation": float(np.nanmax(found.unbalanced)), "discretization": float(np.nanmax(found.error))}

    @property
    def scatter(self) -> float | None:
        """Standard error of a measured value, from what is left over; None where errors are known."""
        return None if self.problem.known_errors else float(np.sqrt(self.variance) * self.problem.sd[0])

    @property
    def unit(self) -> str:
        """Of what was measured first."""
        return "pA" if isinstance(self.problem.data[0], IVData) else "mV"

    @property
    def parameters(self) -> dict[str, Estimate]:
        """What was free, with 95 % intervals within the bounds: symmetric in the logarithm of what must be positive."""
        width, space = quantile(self.dof, self.problem.known_errors), self.problem.space
        return {
            p.name: _estimate(s, std, width, p.measure.unit, p.value, (low, high))
            for p, s, std, low, high in zip(
                space.parameters, self.s, self.uncertainty.std, space.low, space.high, strict=True
            )
        }

    @property
    def correlation(self) -> np.ndarray:
        """[parameter, parameter], of s; NaN where a parameter is not determined."""
        return self.uncertainty.correlation

    @property
    def ratios(self) -> dict[str, Estimate]:
        """Of permeabilities that were free, to the first of them; {} unless there are two."""
        space, width = self.problem.space, quantile(self.dof, self.problem.known_errors)
        which = [i for i, name in enumerate(space.names) if name.startswith("permeability.") and "/" not in name]
        found = {}
        for i in which[1:]:
            name = f"{space.names[i].partition('.')[2]}/{space.names[which[0]].partition('.')[2]}"
            step = np.eye(len(space.names))[i] - np.eye(len(space.names))[which[0]]
            found[name] = _estimate(
                step @ self.s, self.uncertainty.std_along(step), width, "", np.exp, (-np.inf, np.inf)
            )
        return found

    @property
    def values(self) -> dict[str, float]:
        """The best found, by parameter."""
        return dict(zip(self.problem.space.names, self.problem.space.value(self.s).tolist(), strict=True))

    @property
    def residuals(self) -> np.ndarray:
        """[point], model less measurement, in standard errors; where those are not known, in the one chi2 gives."""
        return (self.predicted.value[0] - self.problem.target) / (self.problem.sd * np.sqrt(self.variance))

    def channel(self, label: str | None = None) -> Channel:
        """The channel with what was fitted; label: of which data set, where one has numbers of its own.

        Raises FitError where that is not said, and for permeabilities, which no channel has.
        """
        return self.problem.with_values(self.channel_values(label))

    def channel_values(self, label: str | None = None) -> dict[str, float]:
        """By path, what `channel` has of its own, ties included. Raises as that does."""
        problem = self.problem
        if isinstance(problem.model, GHK):
            raise FitError("a fit of permeabilities has no channel: fit with model='pnp' for one")
        labels = problem.labels
        if label is not None and label not in labels:
            raise FitError(f"no data set is called {label}; they are {', '.join(labels)}")
        own = [f.path for f in problem.free if f.each and f.path != CHANNELS]
        if own and label is None:
            raise FitError(f"{own[0]} is another in every data set: name one of {', '.join(labels)}")
        row = problem.source.index(labels.index(label or labels[0]))
        values = problem.wiring.numbers(problem.space.value(self.s), problem.wiring.follows[row])
        return {p: float(v) for p, v in zip(problem.wiring.paths, values, strict=True) if p != CHANNELS}

    @property
    def aic(self) -> float:
        """Akaike's criterion, up to what models of the same data share (1974, IEEE Trans. Autom. Control 19:716)."""
        return self._misfit + 2 * self._count

    @property
    def bic(self) -> float:
        """Schwarz's criterion, alike (1978, Ann. Stat. 6:461)."""
        return self._misfit + np.log(self.problem.target.size) * self._count

    @property
    def _misfit(self) -> float:
        """−2 ln of the largest likelihood."""
        count = self.problem.target.size
        return self.chi2 if self.problem.known_errors else count * np.log(self.chi2 / count)

    @property
    def _count(self) -> int:
        return len(self.problem.space.names) + (not self.problem.known_errors)

    @property
    def probability(self) -> float | None:
        """Of a chi2 this large or larger if model and errors are right; None where errors are not known."""
        return float(stats.chi2.sf(self.chi2, self.dof)) if self.problem.known_errors else None


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
        run = minimise(residuals, space.u_of_s(first), lambda c: _ROUGHLY * sigma2(c), most=_LOOKS, report=reported)
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
    if not final.remaining[0] <= _ROUGHLY * max(variance, chi2 / problem.dof, 1e-300):
        status = FitStatus.NOT_CONVERGED
    if interrupted:
        status = FitStatus.INTERRUPTED
    known = uncertainty(found.jacobian[0] / space.slope(u), space, variance)
    fit = Fit(problem, status, s, chi2, known, problem.predict(s[None]), run, ())
    return dataclasses.replace(fit, warnings=tuple(_warnings(fit)))


def _warnings(fit: Fit) -> list[str]:
    space = fit.problem.space
    found = []
    if fit.status is FitStatus.NOT_CONVERGED:
        found.append("the fit did not converge: take no number of it for an answer; try more starts or narrower bounds")
    if fit.status is FitStatus.INTERRUPTED:
        found.append("the fit was interrupted: its numbers are the best so far, not the best")
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
    others = np.flatnonzero(same & apart & (run.remaining < 2 * _ROUGHLY * sigma2))
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
