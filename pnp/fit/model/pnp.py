"""The Poisson–Nernst–Planck model: currents and reversal potentials of many cases, solved in batches.

A case is one set of parameters; a job is one case in one condition. Two programs serve a batch of jobs: one discretises
the channels, with derivatives by the parameters, the other solves them at all voltages. Both are compiled once for all
fits whose numbers, conditions and voltages have the same structure.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pnp.analysis.discretization import Axial, Discretization, check_problem
from pnp.analysis.mesh_hierarchy import steady_state
from pnp.analysis.reversal import reversal_of_discretized
from pnp.analysis.sensitivity import contract
from pnp.channel.channel import Channel
from pnp.channel.values import put_values
from pnp.fit.model.base import CHANNELS, Experiment, Model, ParameterMap, Predicted
from pnp.fit.model.paths import COUNT, MEASURES, find, fitted_numbers
from pnp.settings import CPU_BATCH, GPU_BATCH, Settings, Status

FIT_DISCRETIZATION = Axial(nodes=200)
"""The discretisation of a fit unless another is given."""


class PNP(Model):
    """The Poisson–Nernst–Planck equations, by `pnp.solve`.

    - discretization: as there. Fewer nodes than for profiles are enough, as currents are extrapolated.
    """

    name = "pnp"

    def __init__(self, discretization: Discretization = FIT_DISCRETIZATION):
        self.discretization = discretization

    def numbers(self, channel):
        values = _values(channel)
        known = {path: (MEASURES[n.kind], float(values[path])) for path, n in fitted_numbers(channel).items()}
        return known | {CHANNELS: (COUNT, 1.0)}

    def number(self, channel, path):
        if path != CHANNELS:
            find(channel, path)  # for its errors
        return self.numbers(channel)[path]

    def predictor(self, channel, parameter_map, experiment):
        for condition in experiment.conditions:
            check_problem(condition, self.discretization)
        return _Predictor(self.discretization, parameter_map, experiment)

    def prediction(self, channel, parameter_map, experiment):
        groups = _groups(experiment)
        flat = np.concatenate([np.where(g.measured, g.points, -1).reshape(-1) for g in groups])
        order = np.argsort(flat)[np.count_nonzero(flat < 0) :]
        return _Prediction(self.discretization, parameter_map, groups, order)


@eqx.filter_jit
def _values(channel: Channel) -> dict[str, Array]:
    """All numbers that can be fitted; derived ones take many operations, so in one program."""
    return {path: number.get(channel) for path, number in fitted_numbers(channel).items()}


def _changed(channel: Channel, numbers: dict[str, Array]) -> Channel:
    """The channel with other numbers by their paths; the number of channels is none of them."""
    return put_values(channel, {path: value for path, value in numbers.items() if path != CHANNELS})


class _Group(eqx.Module):
    """Conditions solved by one program: of all of them currents, or of all of them a reversal potential."""

    observable: Callable = eqx.field(static=True)
    """`_current` or `_reversal`."""
    conditions: Int[np.ndarray, " member"]
    channels: Channel
    """[member], stacked."""
    voltage: Float[np.ndarray, "member voltage"]
    """mV, at which currents are predicted or near which a reversal potential is; the last one is repeated where other
    members have more."""
    points: Int[np.ndarray, "member voltage"]
    """Index of the measured point."""
    measured: Bool[np.ndarray, "member voltage"]
    """False where a voltage is such a repetition."""

    @property
    def batch_size(self) -> int:
        """Number of jobs that one call of a program solves in one dimension: whole cases, if they are small enough."""
        members, points = self.voltage.shape
        largest = CPU_BATCH if jax.default_backend() == "cpu" else GPU_BATCH
        if members * points <= 2 * largest:
            return members * max(1, largest // (members * points))
        return max(1, largest // points)


def _groups(experiment: Experiment) -> tuple[_Group, ...]:
    first = np.cumsum([0, *experiment.sizes])
    groups = []
    for observable in (_current, _reversal):
        members = [i for i, is_reversal in enumerate(experiment.reversal) if is_reversal == (observable is _reversal)]
        if not members:
            continue
        most = max(experiment.sizes[i] for i in members)
        padded = lambda values, most=most: np.concatenate([values, np.repeat(values[-1:], most - len(values))])
        groups.append(
            _Group(
                observable,
                np.array(members),
                jax.tree.map(lambda *n: np.stack(n), *(experiment.conditions[i] for i in members)),
                np.stack([padded(experiment.voltage[i]) for i in members]),
                np.stack([padded(first[i] + np.arange(experiment.sizes[i])) for i in members]),
                np.stack([np.arange(most) < experiment.sizes[i] for i in members]),
            )
        )
    return tuple(groups)


class _Predictor:
    """Predictions of many cases on the host, batch by batch."""

    def __init__(self, discretization: Discretization, parameter_map: ParameterMap, experiment: Experiment):
        self._discretization, self._parameter_map = discretization, parameter_map
        self._groups = _groups(experiment)
        self._points = sum(experiment.sizes)
        self._compiled: set[int] = set()

    def __call__(self, theta: Float[np.ndarray, "case parameter"]) -> Predicted:
        theta = np.asarray(theta, float)
        shape = len(theta), self._points
        unknown = lambda: np.full(shape, np.nan)
        predicted = Predicted(
            unknown(),
            np.full((*shape, theta.shape[1]), np.nan),
            np.full(shape, int(Status.NOT_CONVERGED)),
            unknown(),
            unknown(),
        )
        for i, group in enumerate(self._groups):
            for cases, members, results in self._batches(group, theta, i not in self._compiled):
                for row, (case, member) in enumerate(zip(cases, members, strict=True)):
                    measured = group.measured[member]
                    points = group.points[member][measured]
                    for target, result in zip(predicted, results, strict=True):
                        target[case, points] = result[row, measured]
            self._compiled.add(i)
        return predicted

    def _batches(self, group: _Group, theta: np.ndarray, compiling: bool):
        """Yield cases, members and results, [job] each, of every batch of jobs."""
        case, member = (a.reshape(-1) for a in np.mgrid[: len(theta), : len(group.conditions)])
        size = group.batch_size if self._discretization.dimension == 1 else 1
        batches = [slice(first, first + size) for first in range(0, len(case), size)]
        solve = lambda jobs: (case[jobs], member[jobs], self._solve_batch(group, theta, case[jobs], member[jobs], size))
        # The batch that compiles comes alone, so that no other thread compiles the same program.
        first = [solve(jobs) for jobs in batches[:1]] if compiling else []
        with ThreadPoolExecutor(_workers()) as pool:
            yield from chain(first, pool.map(solve, batches[len(first) :]))

    def _solve_batch(self, group: _Group, theta: np.ndarray, case: np.ndarray, member: np.ndarray, size: int):
        """The fields of Predicted for some jobs, [job, voltage]."""
        jobs, numbers = len(case), self._parameter_map
        case, member = (np.concatenate([a, np.repeat(a[-1:], size - jobs)]) for a in (case, member))
        channels, conditions = jax.tree.map(lambda leaf: leaf[member], group.channels), group.conditions[member]
        discretized, tangents = _discretize(channels, theta[case], conditions, numbers, self._discretization)
        results = _solve(group.observable, discretized, tangents, group.voltage[member], Settings())
        value, derivative, *rest = (np.asarray(leaf) for leaf in jax.tree.leaves(results))
        if numbers.channel_count is not None and group.observable is _current:
            value, derivative = _times_channel_count(value, derivative, theta[case], numbers, conditions)
        return [leaf[:jobs] for leaf in (value, derivative, *rest)]


def _workers() -> int:
    return (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1


def _times_channel_count(value, derivative, theta: np.ndarray, numbers: ParameterMap, conditions: np.ndarray):
    """Currents and their derivatives, of one channel each, times the number of channels."""
    at = numbers.channel_count
    parameter, factor = numbers.index[conditions, at], numbers.factor[at]
    rows = np.arange(len(theta))
    count = numbers.constant[at] + factor * theta[rows, parameter]
    derivative = derivative * count[:, None, None]
    derivative[rows, :, parameter] += factor * value
    return value * count[:, None], derivative


class _Prediction(eqx.Module):
    """Currents and reversal potentials as a function of the parameters."""

    discretization: Discretization = eqx.field(static=True)
    parameter_map: ParameterMap
    groups: tuple[_Group, ...]
    order: Int[np.ndarray, " point"]
    """Positions of the measured points among the voltages of all groups."""

    def __call__(self, theta: Float[Array, " parameter"]) -> Float[Array, " point"]:
        """pA or mV, of parameters in their own units."""
        theta = jnp.asarray(theta)

        def predict(channel, condition, voltage, observable):
            numbers = self.parameter_map.numbers(theta, condition)
            discretized = self.discretization.discretize(_changed(channel, numbers))
            value = jax.vmap(lambda v: observable(discretized, v, Settings())[0])(voltage)
            return value if observable is _reversal else value * numbers.get(CHANNELS, 1.0)

        parts = [
            jax.vmap(partial(predict, observable=g.observable))(g.channels, g.conditions, g.voltage)
            for g in self.groups
        ]
        return jnp.concatenate([part.reshape(-1) for part in parts])[self.order]


@eqx.filter_jit
def _discretize(channels, theta, conditions, parameter_map, discretization):
    """Discretised channels [job] and their derivatives [job, parameter]."""

    def one(channel, theta, condition):
        def discretized(theta):
            return discretization.discretize(_changed(channel, parameter_map.numbers(theta, condition)))

        value, derivative = jax.linearize(discretized, theta)
        return value, jax.vmap(derivative)(jnp.eye(theta.size))

    return _map_jobs(one, discretization.dimension, channels, theta, conditions)


@eqx.filter_jit
def _solve(observable, discretized, tangents, voltage, settings):
    """An observable at voltages [job, voltage], its derivatives [job, voltage, parameter], its status and errors.

    The same program for all channels of as many ions and nodes and as many parameters, whatever these are.
    """
    dimension = 1 if discretized.axial is None else 2

    def one(discretized, tangents, voltage):
        def at(voltage):
            value, pull, rest = jax.vjp(lambda each: observable(each, voltage, settings), discretized, has_aux=True)
            # Of a single value reverse mode costs a fifth of it, forward mode as much for each parameter.
            return value, contract(pull(1.0)[0], tangents), rest

        return jax.vmap(at)(voltage) if dimension == 1 else jax.lax.map(at, voltage)

    return _map_jobs(one, dimension, discretized, tangents, voltage)


def _map_jobs(function, dimension: int, *arguments):
    """A function of one job over the leading axis: a batch in one dimension, a single job in two."""
    if dimension == 1:
        return jax.vmap(function)(*arguments)
    return jax.tree.map(lambda leaf: leaf[None], function(*jax.tree.map(lambda leaf: leaf[0], arguments)))


def _current(discretized, voltage, settings):
    """Current at a voltage, pA, and (status, discretisation error, conservation error)."""
    state = steady_state(discretized, voltage, settings)
    return state.current, (state.status, state.discretization_error, state.conservation_error)


def _reversal(discretized, guess, settings):
    """Reversal potential near a guess, mV, and the same of the state there."""
    voltage = reversal_of_discretized(discretized, guess)
    state = steady_state(discretized, jax.lax.stop_gradient(voltage), settings)
    return voltage, (state.status, state.discretization_error, state.conservation_error)
