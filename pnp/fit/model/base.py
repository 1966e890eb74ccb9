"""The interface between a fit and its model: an experiment and parameters in, predictions with derivatives out.

Every data set is one condition or more: the channel in the baths and at the temperature of that measurement. Models are
`pnp.fit.model.ghk.GHK` and `pnp.fit.model.pnp.PNP`.
"""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from pnp.analysis.discretization import Discretization
from pnp.channel.channel import Channel
from pnp.fit.model.paths import Measure, no_such

CHANNELS = "channels"
"""Path of the number of channels that carry the measured current, 1 unless it is fitted."""


class Predicted(NamedTuple):
    """Predictions of every measured point, for several sets of parameters (cases)."""

    value: Float[np.ndarray, "case point"]
    """pA or mV; NaN where the solver found no steady state."""
    derivative: Float[np.ndarray, "case point parameter"]
    """By the parameters in their own units."""
    status: Int[np.ndarray, "case point"]
    """As `pnp.Status`."""
    discretization_error: Float[np.ndarray, "case point"]
    """As `Solution.discretization_error`."""
    conservation_error: Float[np.ndarray, "case point"]
    """As `Solution.conservation_error`."""


class ParameterMap(eqx.Module):
    """How numbers of a channel follow from the parameters: number = constant + factor · parameter[index]."""

    paths: tuple[str, ...] = eqx.field(static=True)
    """[number], as in `pnp.fit.model.paths`, or CHANNELS."""
    index: Int[np.ndarray, "condition number"]
    """Which parameter a number follows in a condition."""
    factor: Float[np.ndarray, " number"]
    """Zero of the fixed ones."""
    constant: Float[np.ndarray, " number"]
    """Zero of all others."""

    @property
    def channel_count(self) -> int | None:
        """Position of the number of channels among the numbers, if it is one of them."""
        return self.paths.index(CHANNELS) if CHANNELS in self.paths else None

    def numbers(self, theta: Float[ArrayLike, " parameter"], condition: Int[ArrayLike, "*any"]) -> dict[str, Array]:
        """By path, for parameters in their own units and the index of a condition, or of several."""
        values = self.constant + self.factor * jnp.asarray(theta)[jnp.asarray(self.index)[condition]]
        return dict(zip(self.paths, jnp.moveaxis(values, -1, 0), strict=True))


class Experiment(NamedTuple):
    """What was measured in which conditions: currents at voltages, or one reversal potential."""

    conditions: Sequence[Channel]
    voltage: Sequence[Float[np.ndarray, " point"]]
    """mV, by condition: at which currents were measured, or the one reversal potential."""
    reversal: Sequence[bool]
    """By condition, whether a reversal potential was measured."""

    @property
    def sizes(self) -> list[int]:
        """Number of points of each condition."""
        return [len(v) for v in self.voltage]


class Model(abc.ABC):
    """A model of what is measured."""

    name: str
    discretization: Discretization | None = None
    """None for a model in closed form."""

    @abc.abstractmethod
    def numbers(self, channel: Channel) -> dict[str, tuple[Measure, float]]:
        """Kind and value in this channel of every number that can be fitted, by its path."""

    def number(self, channel: Channel, path: str) -> tuple[Measure, float]:
        """The same of one path. Raises KeyError with the nearest path if there is none."""
        known = self.numbers(channel)
        if path not in known:
            raise KeyError(no_such(path, known))
        return known[path]

    @abc.abstractmethod
    def predictor(
        self, channel: Channel, parameter_map: ParameterMap, experiment: Experiment
    ) -> Callable[[Float[np.ndarray, "case parameter"]], Predicted]:
        """A function of parameters in their own units, for many cases at once."""

    @abc.abstractmethod
    def prediction(
        self, channel: Channel, parameter_map: ParameterMap, experiment: Experiment
    ) -> Callable[[Float[Array, " parameter"]], Float[Array, " point"]]:
        """The same of one case as a function that JAX can trace, an `eqx.Module` whose arrays are data: programs that
        take it as an argument are compiled once for all predictions of one structure."""
