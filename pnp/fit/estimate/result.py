"""What a fit finds: values with their errors, how good it is, and the channel that it makes."""

import dataclasses
import enum
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from pnp.channel.channel import Channel
from pnp.fit.data.measurements import IVData
from pnp.fit.estimate.covariance import Uncertainty, quantile
from pnp.fit.estimate.levenberg_marquardt import Run
from pnp.fit.estimate.problem import Problem
from pnp.fit.model.base import CHANNELS, GHK, Predicted
from pnp.fit.model.parameters import FitError

ROUGHLY = 0.1
"""Of σ²: fall of chi2 still to be had, below which a place counts as a minimum."""

_SAME = 0.5  # of σ²: starts whose chi2 differ by less have found the same minimum …
_EXACT = 1e-6  # … or less than this for each point, of what has been measured squared: the model is no more exact


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
    """[parameter], the best found, in the coordinates of `pnp.fit.model.parameters`."""
    chi2: float
    """Sum of squares of the residuals in standard errors; where those are not known, in the mean square of the data."""
    uncertainty: Uncertainty
    predicted: Predicted
    """At the best found, one case."""
    starts: Run
    """Where every start has got to; u as in `pnp.fit.model.parameters`."""
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
