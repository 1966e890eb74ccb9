"""How well the data know the parameters: covariance, directions that they leave open, profiles of the likelihood.

In s, the logarithm of what must stay positive (`pnp.fit.model.parameters`), near the minimum: cov(s) = σ² (JᵀJ)⁻¹ with
σ = 1 where the errors are known, and σ² = chi2 / dof where they are not.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from pnp.fit.model.parameters import Space

OPEN = 1.0
"""A direction is open where the data let it vary, with one standard error, by as much as a start would: a factor of 3
of a diffusivity, 2 e of a charge (`places.Measure.spread`). No digits of such a number would mean anything."""

HARDLY = 0.98
"""Correlation beyond which two numbers are hardly told apart."""

_SHARE = 0.1  # of a direction's square: parameters that take part in it
_ROUND = 0.15  # exponents this near to a half are written as such


class Uncertainty(NamedTuple):
    """What the data say of the parameters around the best fit, in s."""

    known: np.ndarray
    """[parameter, parameter], covariance along the directions that are determined."""
    open_directions: np.ndarray
    """[direction, parameter], orthonormal in units of the spread: what the data leave open."""
    spread: np.ndarray
    """[parameter], of `pnp.fit.model.paths.Measure`."""

    @property
    def determined(self) -> np.ndarray:
        """[parameter], whether the data determine it, all others being free."""
        return np.asarray(~(self.open_directions**2 > _SHARE**2).any(0))

    @property
    def covariance(self) -> np.ndarray:
        """[parameter, parameter]; NaN in the rows and columns of what is not determined."""
        return np.where(np.outer(self.determined, self.determined), self.known, np.nan)

    @property
    def std(self) -> np.ndarray:
        """[parameter], standard errors."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """[parameter, parameter]."""
        return self.covariance / np.outer(self.std, self.std)

    def std_along(self, step: np.ndarray) -> float:
        """Of the combination step · s, which may be known where none of its parameters is; NaN if it is not."""
        moved = np.abs(self.open_directions @ (self.spread * step))
        return (
            float("nan")
            if (moved > _SHARE * np.abs(self.spread * step).max()).any()
            else float(np.sqrt(step @ self.known @ step))
        )


def uncertainty(jacobian: np.ndarray, space: Space, variance: float) -> Uncertainty:
    """From the residuals' derivatives by s, [point, parameter], and σ²."""
    _, size, directions = np.linalg.svd(jacobian * space.spread, full_matrices=False)
    with np.errstate(divide="ignore"):
        error = np.sqrt(variance) / size
    is_open = ~(error < OPEN)
    known = directions[~is_open] * error[~is_open, None]
    return Uncertainty((known.T @ known) * np.outer(space.spread, space.spread), directions[is_open], space.spread)


def in_words(found: Uncertainty, space: Space) -> list[str]:
    """What the open directions mean, and what is nearly one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        close = np.argwhere(np.triu(np.abs(found.correlation), 1) > HARDLY)
    said = [
        f"the data hardly tell {space.names[i]} and {space.names[j]} apart (correlation "
        f"{found.correlation[i, j]:.3f}): if one of them is known, fix it"
        for i, j in close
    ]
    for direction in found.open_directions:
        part = np.flatnonzero(direction**2 > _SHARE**2)
        names = [space.names[i] for i in part]
        if part.size == 1:
            said.append(f"the data do not determine {names[0]}: leave it fixed, or add data that depend on it")
        elif space.logarithmic[part].all():
            said.append(f"the data do not tell {_listed(names)} apart: {_determined(direction, part, space)}")
        else:
            changes = " as ".join(_change(direction[i] * space.spread[i], i, space) for i in part.tolist())
            said.append(
                f"the data do not tell {_listed(names)} apart: what they change is undone by each other, {changes}; "
                f"fix {'one' if part.size == 2 else 'some'} of them"
            )
    return said


def _determined(direction, part, space) -> str:
    """The product of powers that does not change along the direction."""
    names, v = [space.names[i] for i in part], direction[part] * space.spread[part]
    if part.size > 2:
        powers = " · ".join(n + _power(x / v[0]) for n, x in zip(names, v, strict=True))
        return f"changing them together as {powers} changes nothing that was measured; fix some of them"
    exponent = -v[0] / v[1]  # d ln a : d ln b = v₀ : v₁ leaves ln a + exponent · ln b as it is
    product = f"{names[0]} {'×' if exponent > 0 else '/'} {names[1]}{_power(abs(exponent))}"
    return f"only {product} is determined; fix one of them"


def _power(exponent: float) -> str:
    near = round(2 * exponent) / 2
    exponent = near if near and abs(near - exponent) < _ROUND / 2 else exponent
    return "" if exponent == 1 else f"^{exponent:.2g}"


def _change(s: float, i: int, space: Space) -> str:
    if space.logarithmic[i]:
        return f"{space.names[i]} × {np.exp(s):.2g}"
    return f"{space.names[i]} {s:+.2g} {space.parameters[i].measure.unit}".rstrip()


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def quantile(dof: int, known_errors: bool, level: float = 0.95) -> float:
    """Half the width of the interval that holds `level` of a parameter, in standard errors: of the normal distribution,
    or Student's where σ is known from the residuals alone."""
    share = 0.5 + level / 2
    return float(stats.norm.ppf(share) if known_errors else stats.t.ppf(share, max(dof, 1)))
