"""What is varied in a fit: which numbers, between which bounds, and in which coordinates.

    value — in its unit;   s — its logarithm if it must stay positive, else the value;   u — free of bounds

s is where uncertainties are told, u where the optimiser works: s = a + (b − a) / (1 + exp(−4u / (b − a))) between the
bounds a and b, which moves s as much as u half-way between them and never reaches them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import qmc

from pnp.fit.model.paths import Measure

_EDGE = 1e-9  # of the bounds' distance: where a start on a bound is put, and no farther


class FitError(ValueError):
    """A fit that cannot be done as it is asked for; the message says why and what to do."""


@dataclass(frozen=True)
class Free:
    """A number to be fitted.

    path: `pore.charge.0.amount`; see `pnp.fit.model.paths`. low, high: bounds, those of its kind unless given. start:
    where the first start is, the channel's own value unless given. each: whether every data set has its own. tied:
    other paths that are this one times a factor, {"ions.Cl.diffusivity": 1.04}.
    """

    path: str
    low: float | None = None
    high: float | None = None
    start: float | None = None
    each: bool = False
    tied: Mapping[str, float] = field(default_factory=dict)


class Parameter(NamedTuple):
    """One number that the optimiser varies; its bounds and its start in its own unit."""

    name: str
    measure: Measure
    start: float
    low: float
    high: float
    bounded: bool
    """Whether both bounds were given."""

    def s(self, value: float) -> float:
        """The coordinate in which its uncertainty is told."""
        return math.log(value) if self.measure.logarithmic else value

    def value(self, s: float) -> float:
        """In its own unit."""
        return math.exp(s) if self.measure.logarithmic else float(s)


def make_parameter(free: Free, name: str, measure: Measure, value: float) -> Parameter:
    """A parameter of which a channel has this `value`. Raises FitError for bounds that make no sense or exclude it."""
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


class Space:
    """All parameters of a fit, and the ways between their coordinates; arrays are [..., parameter]."""

    def __init__(self, parameters: Sequence[Parameter]):
        self.parameters = tuple(parameters)
        self.names = tuple(p.name for p in parameters)
        self.logarithmic = np.array([p.measure.logarithmic for p in parameters], bool)
        self.spread = np.array([p.measure.spread for p in parameters])
        self.low, self.high, self.start = (
            np.array([p.s(value) for p, value in zip(parameters, each, strict=True)])
            for each in ([p.low for p in parameters], [p.high for p in parameters], [p.start for p in parameters])
        )
        self._width = self.high - self.low

    def s_of_u(self, u, xp=np):
        """s from u, by NumPy or in its place JAX's."""
        return self.low + self._width * self._share(u, xp)

    def u_of_s(self, s: np.ndarray) -> np.ndarray:
        """u from s, for s on a bound that of a point just inside."""
        share = np.clip((s - self.low) / self._width, _EDGE, 1 - _EDGE)
        return self._width / 4 * (np.log(share) - np.log1p(-share))

    def slope(self, u, xp=np):
        """ds/du."""
        share = self._share(u, xp)
        return 4 * share * (1 - share)

    def _share(self, u, xp):
        return 0.5 * (1 + xp.tanh(2 * u / self._width))

    def value(self, s, xp=np):
        """In the parameters' own units."""
        return xp.where(self.logarithmic, xp.exp(xp.where(self.logarithmic, s, 0.0)), s)

    def value_slope(self, s: np.ndarray) -> np.ndarray:
        """d value / ds."""
        return np.where(self.logarithmic, self.value(s), 1.0)

    def starts(self, count: int, seed: int) -> np.ndarray:
        """[start, parameter] in s: the channel's own values, then a Latin hypercube: between the bounds of a parameter
        that was given both, or else around its own value."""
        cube = qmc.LatinHypercube(len(self.parameters), rng=np.random.default_rng(seed)).random(max(count - 1, 1))
        given = np.array([p.bounded for p in self.parameters])
        first = np.where(given, self.low, np.maximum(self.low, self.start - self.spread))
        last = np.where(given, self.high, np.minimum(self.high, self.start + self.spread))
        return np.concatenate([self.start[None], first + (last - first) * cube])[:count]
