"""Free numbers of a fit, their bounds and their coordinates.

- value: in the number's own unit.
- s: the logarithm of a number that must stay positive, else the value. Uncertainties are computed and reported in s.
- u: unbounded, the coordinate of the optimiser: s = a + (b − a) / (1 + exp(−4u / (b − a))) between the bounds a and b,
  with ds/du = 1 half-way between them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from pnp.fit.model.paths import Measure

_EDGE = 1e-9  # fraction of the interval by which a start on a bound is moved inside


class FitError(ValueError):
    """A fit that cannot be done as described; the message says why and what to do."""


@dataclass(frozen=True)
class Free:
    """A number to be fitted.

    - path: such as `pore.charge.0.amount`; see `pnp.fit.model.paths`.
    - low, high: bounds in the number's unit, those of its kind unless given.
    - start: value of the first start, that of the channel unless given.
    - each: whether every data set has a value of its own.
    - tied: other paths that are this number times a factor, {"ions.Cl.diffusivity": 1.04}.
    """

    path: str
    low: float | None = None
    high: float | None = None
    start: float | None = None
    each: bool = False
    tied: Mapping[str, float] = field(default_factory=dict)


class Parameter(NamedTuple):
    """One number that the optimiser varies; start and bounds in its own unit."""

    name: str
    measure: Measure
    start: float
    low: float
    high: float
    bounded: bool
    """Whether both bounds were given."""

    def s(self, value: float) -> float:
        """The coordinate s of a value."""
        return math.log(value) if self.measure.logarithmic else value

    def value(self, s: float) -> float:
        """The value at s, in its own unit."""
        return math.exp(s) if self.measure.logarithmic else float(s)


def make_parameter(free: Free, name: str, measure: Measure, value: float) -> Parameter:
    """A free number as a parameter.

    - value: that of the channel, the start unless another is given.

    Raises FitError for bounds that make no sense or exclude the start.
    """
    start = value if free.start is None else free.start
    low, high = measure.reach
    if measure.logarithmic:
        if start <= 0:
            raise FitError(f"{name}: is fitted in its logarithm, so it must start above zero, not at {start:g}")
        low, high = low * start, high * start
    low, high = (low if free.low is None else free.low), (high if free.high is None else free.high)
    unit = f" {measure.unit}".rstrip()
    if not low < high:
        raise FitError(f"{name}: the lower bound, {low:g}{unit}, must be below the upper one, {high:g}{unit}")
    if measure.logarithmic and low <= 0:
        raise FitError(f"{name}: must stay positive, so its lower bound cannot be {low:g}{unit}")
    if not low <= start <= high:
        raise FitError(
            f"{name}: starts at {start:g}{unit}, which its bounds, {low:g} to {high:g}{unit}, exclude; "
            "change the bounds or the start"
        )
    return Parameter(name, measure, start, low, high, None not in (free.low, free.high))


class ParameterSpace:
    """All parameters of a fit, and the conversions between their coordinates; arrays are [..., parameter]."""

    def __init__(self, parameters: Sequence[Parameter]):
        self.parameters = tuple(parameters)
        self.names = tuple(p.name for p in parameters)
        self.logarithmic = np.array([p.measure.logarithmic for p in parameters], bool)
        self.spread = np.array([p.measure.spread for p in parameters])
        self.low = np.array([p.s(p.low) for p in parameters])
        self.high = np.array([p.s(p.high) for p in parameters])
        self.start = np.array([p.s(p.start) for p in parameters])
        self._width = self.high - self.low

    def s_of_u(self, u, xp=np):
        """s at u; xp: numpy, or jax.numpy."""
        return self.low + self._width * self._fraction(u, xp)

    def u_of_s(self, s: Float[np.ndarray, "*any parameter"]) -> Float[np.ndarray, "*any parameter"]:
        """u at s; where s is on a bound, that of a point just inside."""
        fraction = np.clip((s - self.low) / self._width, _EDGE, 1 - _EDGE)
        return self._width / 4 * (np.log(fraction) - np.log1p(-fraction))

    def slope(self, u, xp=np):
        """ds/du."""
        fraction = self._fraction(u, xp)
        return 4 * fraction * (1 - fraction)

    def _fraction(self, u, xp):
        """Of the interval between the bounds."""
        return 0.5 * (1 + xp.tanh(2 * u / self._width))

    def value(self, s, xp=np):
        """Values at s, in the parameters' own units."""
        return xp.where(self.logarithmic, xp.exp(xp.where(self.logarithmic, s, 0.0)), s)

    def value_slope(self, s: Float[np.ndarray, "*any parameter"]) -> Float[np.ndarray, "*any parameter"]:
        """d value / ds."""
        return np.where(self.logarithmic, self.value(s), 1.0)

    def starts(self, count: int, seed: int) -> Float[np.ndarray, "start parameter"]:
        """Starts in s: the channel's own values, then a Latin hypercube.

        The hypercube spans the bounds of a parameter if both were given, else the spread of its kind about its start.
        """
        cube = qmc.LatinHypercube(len(self.parameters), rng=np.random.default_rng(seed)).random(max(count - 1, 1))
        bounded = np.array([p.bounded for p in self.parameters])
        first = np.where(bounded, self.low, np.maximum(self.low, self.start - self.spread))
        last = np.where(bounded, self.high, np.minimum(self.high, self.start + self.spread))
        return np.concatenate([self.start[None], first + (last - first) * cube])[:count]
