"""What currents and reversal potentials a channel should have, and their derivatives by what is fitted.

Two models with one face: GHK's constant field, whose numbers are permeabilities, and Poisson–Nernst–Planck, whose
numbers are those of the channel (`pnp.fit.model.pnp`). Every data set is a condition: the channel in the baths and at
the temperature of that measurement.
"""

import abc
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pnp.analysis.discretization import Axial
from pnp.channel.channel import Channel
from pnp.fit.model.paths import COUNT, PERMEABILITY, Measure, no_such
from pnp.theory.ghk import ghk_current, ghk_voltage

CHANNELS = "channels"
"""How many channels carry the measured current: a number like others, 1 unless it is fitted."""


class Predicted(NamedTuple):
    """What a model says of every measured number, for each of several sets of parameters."""

    value: np.ndarray
    """[case, point], pA or mV; NaN where the solver found no steady state."""
    derivative: np.ndarray
    """[case, point, parameter], by the parameters in their own units."""
    status: np.ndarray
    """[case, point], as `pnp.Status`."""
    error: np.ndarray
    """[case, point], estimated error of the value, relative as `Solution.discretization_error`."""
    unbalanced: np.ndarray
    """[case, point], as `Solution.conservation_error`."""


class ParameterMap(NamedTuple):
    """What each number of a channel follows: number = constant + factor · parameter[follows], by condition."""

    paths: tuple[str, ...]
    follows: np.ndarray
    """[condition, number]."""
    factor: np.ndarray
    """[number], zero of those that are fixed."""
    constant: np.ndarray
    """[number], zero of all others."""

    @property
    def counted(self) -> int | None:
        """Which of the numbers is that of channels, if any is."""
        return self.paths.index(CHANNELS) if CHANNELS in self.paths else None

    def numbers(self, theta, follows):
        """[..., number] of parameters [parameter], where `follows` is that of a condition."""
        return self.constant + self.factor * theta[follows]


class Experiment(NamedTuple):
    """What is asked of a model: currents at voltages, or reversal potentials, by condition."""

    conditions: Sequence[Channel]
    voltage: Sequence[np.ndarray]
    """mV, [condition][point]: at which currents are asked for, or near which one reversal potential is."""
    reversal: Sequence[bool]
    """[condition], whether that is asked for."""

    @property
    def sizes(self) -> list[int]:
        """How many numbers are asked for of each condition."""
        return [len(v) for v in self.voltage]


class Model(abc.ABC):
    """A model of what is measured."""

    name: str
    finer = ""
    """What to ask for where its mesh is too coarse."""

    @abc.abstractmethod
    def numbers(self, channel: Channel) -> dict[str, tuple[Measure, float]]:
        """What can be fitted: the kind of each number and what it is in the channel, by its path."""

    def number(self, channel: Channel, path: str) -> tuple[Measure, float]:
        """The same of one path; KeyError with the nearest if there is none."""
        known = self.numbers(channel)
        if path not in known:
            raise KeyError(no_such(path, list(known)))
        return known[path]

    @abc.abstractmethod
    def predictor(self, channel: Channel, wiring: ParameterMap, asked: Experiment) -> Callable[[np.ndarray], Predicted]:
        """A function of [case, parameter], in the parameters' own units."""

    @abc.abstractmethod
    def traced(self, channel: Channel, wiring: ParameterMap, asked: Experiment) -> Callable[[Array], Array]:
        """[parameter] → [point], as a function of JAX alone."""


class GHK(Model):
    """Independent ions in a constant field (`theory.ghk_current`).

    Its numbers are `permeability.K` (D A / L, nm³/ns), as the pore would have it without charges and energies unless
    fitted, and ratios `permeability.Na/K`; one of either kind for an ion.
    """

    name = "ghk"

    def numbers(self, channel):
        own = np.asarray(Axial(64).discretize(channel).permeability, float)
        known = {f"permeability.{n}": (PERMEABILITY, float(p)) for n, p in zip(channel.ion_names, own, strict=True)}
        for a, first in zip(channel.ion_names, own, strict=True):
            for b, second in zip(channel.ion_names, own, strict=True):
                if a != b:
                    known[f"permeability.{a}/{b}"] = (PERMEABILITY_RATIO, float(first / second))
        return known | {CHANNELS: (COUNT, 1.0)}

    def predictor(self, channel, wiring, asked):
        predicted = self.traced(channel, wiring, asked)
        both = jax.jit(jax.vmap(lambda theta: (predicted(theta), jax.jacfwd(predicted)(theta))))

        def predict(theta: np.ndarray) -> Predicted:
            # As many cases as a power of two, so that few programs are compiled.
            padded = np.concatenate(
                [theta, np.repeat(theta[-1:], (1 << (len(theta) - 1).bit_length()) - len(theta), 0)]
            )
            value, derivative = (np.array(found[: len(theta)]) for found in both(padded))
            none = np.zeros(value.shape)
            return Predicted(value, derivative, none.astype(int), none, none)

        return predict

    def traced(self, channel, wiring, asked):
        own = jnp.asarray(Axial(64).discretize(channel).permeability)
        permeability = partial(_permeabilities, channel.ion_names, wiring.paths, own)
        valence = np.asarray(channel.valence)
        bath = [np.asarray(c.bath_concentration) for c in asked.conditions]
        temperature = [float(c.temperature) for c in asked.conditions]

        def one(values, i):
            p, voltage = permeability(values), asked.voltage[i]
            if asked.reversal[i]:
                return ghk_voltage(p, bath[i][0], bath[i][1], valence, temperature[i])[None]
            each = ghk_current(voltage[:, None], bath[i][0], bath[i][1], p, valence, temperature[i])
            return each.sum(-1) * values.get(CHANNELS, 1.0)

        def predicted(theta):
            named = lambda i: dict(zip(wiring.paths, wiring.numbers(theta, wiring.follows[i]), strict=True))
            return jnp.concatenate([one(named(i), i) for i in range(len(asked.conditions))])

        return predicted


PERMEABILITY_RATIO = PERMEABILITY._replace(quantity=COUNT.quantity)


def _permeabilities(names, paths, own, values):
    """[ion], from what is given of them by path; ratios are worked out after what they refer to."""
    found = dict(zip(names, own, strict=True))
    found |= {path.partition(".")[2]: values[path] for path in paths if path != CHANNELS and "/" not in path}
    for path in sorted((p for p in paths if "/" in p), key=lambda p: p.partition("/")[2] in _above(paths)):
        first, second = path.partition(".")[2].split("/")
        found[first] = values[path] * found[second]
    return jnp.stack([found[name] for name in names])


def _above(paths) -> set[str]:
    """Ions that are given as a ratio to another."""
    return {p.partition(".")[2].split("/")[0] for p in paths if "/" in p}
