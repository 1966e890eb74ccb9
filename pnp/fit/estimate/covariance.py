"""Covariance of the parameters, and the directions in parameter space that the data do not determine.

In s (`pnp.fit.model.parameters`), near the minimum: cov(s) = σ² (JᵀJ)⁻¹ with σ = 1 where the errors are known, and
σ² = chi2 / dof where they are not.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from pnp.fit.model.parameters import ParameterSpace

LARGEST_ERROR = 1.0
"""A direction is undetermined if its standard error exceeds this multiple of the spread of the starts
(`paths.Measure.spread`): a factor of 3 of a diffusivity, 2 e of a charge. No digits of such a number would mean
anything."""

HIGH_CORRELATION = 0.98
"""Correlation above which two parameters can hardly be distinguished."""

_PARTICIPATION = 0.1  # component of a direction above which a parameter takes part in it
_ROUND = 0.15  # exponents this near to a multiple of a half are written as such


class Uncertainty(NamedTuple):
    """Covariance of the parameters around the best fit, in s."""

    determined_covariance: Float[np.ndarray, "parameter parameter"]
    """Along the directions that are determined."""
    undetermined: Float[np.ndarray, "direction parameter"]
    """Directions that the data do not determine, orthonormal in units of the spread."""
    spread: Float[np.ndarray, " parameter"]
    """As of `pnp.fit.model.paths.Measure`."""

    @property
    def determined(self) -> Bool[np.ndarray, " parameter"]:
        """Whether the data determine a parameter while all others are free."""
        return np.asarray(~(self.undetermined**2 > _PARTICIPATION**2).any(0))

    @property
    def covariance(self) -> Float[np.ndarray, "parameter parameter"]:
        """NaN in the rows and columns of parameters that are not determined."""
        return np.where(np.outer(self.determined, self.determined), self.determined_covariance, np.nan)

    @property
    def std(self) -> Float[np.ndarray, " parameter"]:
        """Standard errors; NaN of parameters that are not determined."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Float[np.ndarray, "parameter parameter"]:
        """NaN in the rows and columns of parameters that are not determined."""
        return self.covariance / np.outer(self.std, self.std)

    def std_along(self, step: Float[np.ndarray, " parameter"]) -> float:
        """Standard error of the combination step · s; NaN unless the data determine it."""
        scaled = self.spread * step
        along_undetermined = np.abs(self.undetermined @ scaled)
        if (along_undetermined > _PARTICIPATION * np.abs(scaled).max()).any():
            return float("nan")
        return float(np.sqrt(step @ self.determined_covariance @ step))


def uncertainty(jacobian: Float[np.ndarray, "point parameter"], space: ParameterSpace, variance: float) -> Uncertainty:
    """The uncertainty from the residuals' derivatives by s, and σ²."""
    _, size, directions = np.linalg.svd(jacobian * space.spread, full_matrices=False)
    with np.errstate(divide="ignore"):
        error = np.sqrt(variance) / size
    undetermined = ~(error < LARGEST_ERROR)
    scaled = directions[~undetermined] * error[~undetermined, None]
    covariance = (scaled.T @ scaled) * np.outer(space.spread, space.spread)
    return Uncertainty(covariance, directions[undetermined], space.spread)


def identifiability_warnings(uncertainty: Uncertainty, space: ParameterSpace) -> list[str]:
    """Warnings of undetermined directions and of high correlations."""
    with np.errstate(invalid="ignore", divide="ignore"):
        correlated = np.argwhere(np.triu(np.abs(uncertainty.correlation), 1) > HIGH_CORRELATION)
    warnings = [
        f"the data hardly tell {space.names[i]} and {space.names[j]} apart (correlation "
        f"{uncertainty.correlation[i, j]:.3f}): if one of them is known, fix it"
        for i, j in correlated
    ]
    return warnings + [_undetermined_warning(direction, space) for direction in uncertainty.undetermined]


def _undetermined_warning(direction: np.ndarray, space: ParameterSpace) -> str:
    part = np.flatnonzero(direction**2 > _PARTICIPATION**2)
    names = [space.names[i] for i in part]
    if part.size == 1:
        return f"the data do not determine {names[0]}: leave it fixed, or add data that depend on it"
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    if space.logarithmic[part].all():
        return f"the data do not tell {listed} apart: {_determined_product(direction, part, space)}"
    changes = " as ".join(_change(direction[i] * space.spread[i], i, space) for i in part.tolist())
    return (
        f"the data do not tell {listed} apart: what they change is undone by each other, {changes}; "
        f"fix {'one' if part.size == 2 else 'some'} of them"
    )


def _determined_product(direction, part, space) -> str:
    """The product of powers that does not change along the direction."""
    names, v = [space.names[i] for i in part], direction[part] * space.spread[part]
    if part.size > 2:
        powers = " · ".join(n + _power(x / v[0]) for n, x in zip(names, v, strict=True))
        return f"changing them together as {powers} changes nothing that was measured; fix some of them"
    exponent = -v[0] / v[1]  # d ln a : d ln b = v₀ : v₁ leaves ln a + exponent · ln b as it is
    product = f"{names[0]} {'×' if exponent > 0 else '/'} {names[1]}{_power(abs(exponent))}"
    return f"only {product} is determined; fix one of them"


def _power(exponent: float) -> str:
    rounded = round(2 * exponent) / 2
    exponent = rounded if rounded and abs(rounded - exponent) < _ROUND / 2 else exponent
    return "" if exponent == 1 else f"^{exponent:.2g}"


def _change(s: float, i: int, space: ParameterSpace) -> str:
    if space.logarithmic[i]:
        return f"{space.names[i]} × {np.exp(s):.2g}"
    return f"{space.names[i]} {s:+.2g} {space.parameters[i].measure.unit}".rstrip()


def quantile(dof: int, known_errors: bool, level: float = 0.95) -> float:
    """Half the width of a confidence interval, in standard errors.

    Of the normal distribution, or of Student's where σ is known from the residuals alone.
    """
    probability = 0.5 + level / 2
    return float(stats.norm.ppf(probability) if known_errors else stats.t.ppf(probability, max(dof, 1)))
