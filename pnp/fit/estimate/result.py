"""The result of a fit: values with their errors, goodness of fit, and the fitted channel."""

import dataclasses
import enum
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from pnp.channel.channel import Channel
from pnp.fit.data.measurements import IVData
from pnp.fit.estimate.covariance import Uncertainty, quantile
from pnp.fit.estimate.levenberg_marquardt import Search
from pnp.fit.estimate.problem import FitProblem
from pnp.fit.model.base import CHANNELS, Predicted
from pnp.fit.model.ghk import GHK
from pnp.fit.model.parameters import FitError

LOOSE_TOLERANCE = 0.1
"""Of σ²: predicted reduction of chi2 below which a start counts as converged."""

# Starts have found the same minimum if their chi2 differ by less than this fraction of σ², or by less than this per
# point, the accuracy of the model itself.
_SAME_CHI2, _SAME_CHI2_PER_POINT = 0.5, 1e-6


class FitStatus(enum.StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    NOT_CONVERGED = "not_converged"
    INTERRUPTED = "interrupted"


class Estimate(NamedTuple):
    """One number: its value, standard error and 95 % interval, None where the data do not determine them."""

    value: float
    unit: str
    std: float | None
    low: float | None
    high: float | None


def _estimate(s, std, width, unit, value: Callable, bounds) -> Estimate:
    """From s and its standard error; value: a function of s, the identity or the exponential."""
    if not np.isfinite(std):
        return Estimate(float(value(s)), unit, None, None, None)
    low, high = (float(value(np.clip(s + sign * width * std, *bounds))) for sign in (-1, 1))
    slope = 1.0 if value(0.0) == 0 else float(value(s))
    return Estimate(float(value(s)), unit, float(std) * slope, low, high)


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """The result of a fit. One that did not converge says so in its status and its warnings."""

    problem: FitProblem
    status: FitStatus
    s: Float[np.ndarray, " parameter"]
    """The best fit, in the coordinate s of `pnp.fit.model.parameters`."""
    chi2: float
    """Sum of squares of the residuals in standard errors; where these are not known, in the mean square of the data."""
    uncertainty: Uncertainty
    predicted: Predicted
    """One case, the best fit."""
    starts: Search
    """State of the search from every start; u as in `pnp.fit.model.parameters`."""
    warnings: tuple[str, ...]

    @property
    def dof(self) -> int:
        """Degrees of freedom: number of measured values less that of parameters."""
        return self.problem.dof

    @property
    def variance(self) -> float:
        """σ² of the residuals: 1 where errors are known, else chi2 / dof."""
        return 1.0 if self.problem.known_errors else self.chi2 / self.dof

    @property
    def at_minimum(self) -> Bool[np.ndarray, " start"]:
        """Whether a start found this minimum, or another as good."""
        margin = max(_SAME_CHI2 * self.variance, _SAME_CHI2_PER_POINT * self.problem.target.size)
        return self.starts.chi2 < self.chi2 + margin

    @property
    def solver_errors(self) -> dict[str, float]:
        """The largest errors of all points, as of `pnp.Solution`."""
        return {
            "conservation": float(np.nanmax(self.predicted.conservation_error)),
            "discretization": float(np.nanmax(self.predicted.discretization_error)),
        }

    @property
    def scatter(self) -> float | None:
        """Standard error of a measured value, from the residuals, pA or mV; None where errors are known."""
        return None if self.problem.known_errors else float(np.sqrt(self.variance) * self.problem.sd[0])

    @property
    def unit(self) -> str:
        """Of the first data set: pA or mV."""
        return "pA" if isinstance(self.problem.data[0], IVData) else "mV"

    @property
    def parameters(self) -> dict[str, Estimate]:
        """Free numbers by name, with 95 % intervals within the bounds, symmetric in s."""
        width, space = quantile(self.dof, self.problem.known_errors), self.problem.space
        return {
            p.name: _estimate(s, std, width, p.measure.unit, p.value, (low, high))
            for p, s, std, low, high in zip(
                space.parameters, self.s, self.uncertainty.std, space.low, space.high, strict=True
            )
        }

    @property
    def correlation(self) -> Float[np.ndarray, "parameter parameter"]:
        """Of s; NaN where a parameter is not determined."""
        return self.uncertainty.correlation

    @property
    def ratios(self) -> dict[str, Estimate]:
        """Ratios of the free permeabilities to the first of them; empty unless there are two."""
        space, width = self.problem.space, quantile(self.dof, self.problem.known_errors)
        free = [i for i, name in enumerate(space.names) if name.startswith("permeability.") and "/" not in name]
        ratios = {}
        for i in free[1:]:
            name = f"{space.names[i].partition('.')[2]}/{space.names[free[0]].partition('.')[2]}"
            step = np.eye(len(space.names))[i] - np.eye(len(space.names))[free[0]]
            ratios[name] = _estimate(
                step @ self.s, self.uncertainty.std_along(step), width, "", np.exp, (-np.inf, np.inf)
            )
        return ratios

    @property
    def values(self) -> dict[str, float]:
        """The best fit, by parameter."""
        return dict(zip(self.problem.space.names, self.problem.space.value(self.s).tolist(), strict=True))

    @property
    def residuals(self) -> Float[np.ndarray, " point"]:
        """Model less measurement, in standard errors; where these are not known, in `scatter`."""
        return (self.predicted.value[0] - self.problem.target) / (self.problem.sd * np.sqrt(self.variance))

    def channel(self, label: str | None = None) -> Channel:
        """The channel with the fitted numbers.

        - label: of the data set, needed where every data set has a number of its own.

        Raises FitError where it is needed and not given, and for permeabilities, which no channel has; ChannelError if
        the numbers make no sense together.
        """
        return self.problem.channel.with_values(self.channel_values(label))

    def channel_values(self, label: str | None = None) -> dict[str, float]:
        """The fitted and tied numbers of `channel`, by path. Arguments and errors as there."""
        problem = self.problem
        if isinstance(problem.model, GHK):
            raise FitError("a fit of permeabilities has no channel: fit with model='pnp' for one")
        labels = problem.labels
        if label is not None and label not in labels:
            raise FitError(f"no data set is called {label}; they are {', '.join(labels)}")
        individual = [f.path for f in problem.free if f.each and f.path != CHANNELS]
        if individual and label is None:
            raise FitError(f"{individual[0]} is another in every data set: name one of {', '.join(labels)}")
        condition = problem.data_set_of_condition.index(labels.index(label or labels[0]))
        numbers = problem.parameter_map.numbers(problem.space.value(self.s), condition)
        return {path: float(value) for path, value in numbers.items() if path != CHANNELS}

    @property
    def aic(self) -> float:
        """Akaike's criterion, up to a constant of the data (1974, IEEE Trans. Autom. Control 19:716)."""
        return self._misfit + 2 * self._count

    @property
    def bic(self) -> float:
        """Schwarz's criterion, up to a constant of the data (1978, Ann. Stat. 6:461)."""
        return self._misfit + np.log(self.problem.target.size) * self._count

    @property
    def _misfit(self) -> float:
        """−2 ln of the largest likelihood, up to a constant of the data."""
        count = self.problem.target.size
        return self.chi2 if self.problem.known_errors else count * np.log(self.chi2 / count)

    @property
    def _count(self) -> int:
        return len(self.problem.space.names) + (not self.problem.known_errors)

    @property
    def probability(self) -> float | None:
        """Of a chi2 this large or larger, given model and errors; None where errors are not known."""
        return float(stats.chi2.sf(self.chi2, self.dof)) if self.problem.known_errors else None
