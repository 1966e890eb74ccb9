"""Measurements, a model and what is free in it, put together: residuals and their derivatives."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from pnp.channel.channel import Channel
from pnp.channel.profiles import ChannelError
from pnp.fit.data.measurements import IVData, ReversalData
from pnp.fit.model.base import Experiment, Model, ParameterMap, Predicted
from pnp.fit.model.parameters import FitError, Free, Parameter, Space, make_parameter
from pnp.fit.model.paths import find, places

Data = Sequence[IVData | ReversalData]


class Residuals(NamedTuple):
    """Of several sets of parameters."""

    residual: np.ndarray
    """[case, point], in standard errors, or where those are not known in the scale of the data; robust, if asked."""
    jacobian: np.ndarray
    """[case, point, parameter], by u (`pnp.fit.model.parameters`)."""
    chi2: np.ndarray
    """[case], the sum of the squares; NaN where the model has no value."""


class Problem:
    """What `pnp.fit.fit` minimises. Points are those of all data sets, one after the other."""

    def __init__(
        self,
        channel: Channel,
        data: Data,
        free: Sequence[str | Free],
        model: Model,
        robust: float | None = None,
        fixed: Mapping[str, float] | None = None,
    ):
        """Raises FitError, ChannelError and what the model's solver raises."""
        self.channel, self.data, self.model, self.robust = channel, tuple(data), model, robust
        self.free = tuple(f if isinstance(f, Free) else Free(f) for f in free)
        if not self.data:
            raise FitError("there are no data to fit")
        if not self.free:
            raise FitError("nothing is free: name at least one number of the channel, such as ions.K.diffusivity")
        if robust is not None and not robust > 0:
            raise FitError(f"the scale of a robust loss must be positive (in standard errors), not {robust:g}")
        self.labels = _distinct([d.label for d in self.data])
        asked, self.source = _question(channel, self.data, self.labels)
        self.target = np.concatenate([_measured(d) for d in self.data])
        self.known_errors, self.sd = _errors(self.data, self.target)
        self.space, self.wiring = _wired(channel, self.free, fixed or {}, model, self.labels, self.source)
        if self.target.size <= len(self.space.names):
            raise FitError(
                f"{self.target.size} measured values are too few for {len(self.space.names)} free numbers: "
                "free fewer, or add data"
            )
        self.asked = asked
        self.points = np.concatenate([np.full(size, i) for i, size in zip(self.source, asked.sizes, strict=True)])
        self._predict: Callable | None = None

    @property
    def dof(self) -> int:
        """Degrees of freedom: measured values less free numbers."""
        return self.target.size - len(self.space.names)

    def predict(self, s: np.ndarray) -> Predicted:
        """What the model says at [case, parameter] in s, with derivatives by s."""
        if self._predict is None:
            self._predict = self.model.predictor(self.channel, self.wiring, self.asked)
        found = self._predict(self.space.value(s))
        return found._replace(derivative=found.derivative * self.space.value_slope(s)[:, None, :])

    def residuals(self, u: np.ndarray, targets: np.ndarray | None = None) -> Residuals:
        """Of [case, parameter] in u; targets: [case, point] in place of what was measured."""
        found = self.predict(self.space.s_of_u(u))
        residual = (found.value - (self.target if targets is None else targets)) / self.sd
        jacobian = found.derivative * (self.space.slope(u)[:, None, :] / self.sd[:, None])
        if self.robust is not None:
            residual, weight = robust_residual(residual, self.robust)
            jacobian = jacobian * weight[..., None]
        return Residuals(residual, jacobian, (residual**2).sum(-1))

    def with_values(self, values: dict[str, float]) -> Channel:
        """The channel with fitted numbers by their paths."""
        known, channel = places(self.channel), self.channel
        for path, value in values.items():
            channel = find(known, path).put(channel, value)
        return channel


def robust_residual(residual, scale: float, xp=np):
    """Residuals whose squares are 2c²(√(1 + r²/c²) − 1), and their derivatives by r.

    xp: NumPy, or JAX's in its place. Quadratic below c, linear beyond (Charbonnier et al., 1997, IEEE Trans. Image
    Process. 6:298).
    """
    root = xp.sqrt(1 + (residual / scale) ** 2)
    return residual * xp.sqrt(2 / (root + 1)), xp.sqrt((root + 1) / 2) / root


def _measured(data: IVData | ReversalData) -> np.ndarray:
    return data.current if isinstance(data, IVData) else data.reversal


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels, numbered where they are the same."""
    again = {label for label in labels if list(labels).count(label) > 1}
    return [f"{label}#{i + 1}" if label in again else label for i, label in enumerate(labels)]


def _question(channel: Channel, data: Data, labels: Sequence[str]) -> tuple[Experiment, list[int]]:
    """What is asked of the model, and which data set each condition is from."""
    conditions, voltage, reversal, source = [], [], [], []
    for i, (each, label) in enumerate(zip(data, labels, strict=True)):
        rows = _rows(each)
        for row, (inside, outside, temperature, at) in enumerate(rows):
            where = label if len(rows) == 1 else f"{label}, row {row + 1}"
            conditions.append(_condition(channel, where, inside, outside, temperature))
            voltage.append(at)
            reversal.append(isinstance(each, ReversalData))
            source.append(i)
    return Experiment(conditions, voltage, reversal), source


def _rows(data: IVData | ReversalData):
    """(inside, outside, temperature, voltages) of each condition of a data set."""
    if isinstance(data, IVData):
        return [(data.inside, data.outside, data.temperature, data.voltage)]
    return list(zip(data.inside, data.outside, data.temperature, data.reversal[:, None], strict=True))


def _condition(channel: Channel, where: str, inside, outside, temperature) -> Channel:
    """The channel as it was measured."""
    for side, bath in (("inside", inside), ("outside", outside)):
        for name in bath:
            if name not in channel.ions:
                known = ", ".join(channel.ion_names)
                raise FitError(f"{where}: {side}.{name}: the channel has no such ion (its ions are {known})")
    try:
        if temperature is not None:
            channel = eqx.tree_at(lambda c: c.temperature, channel, jnp.asarray(temperature, float))
        return channel.with_baths(inside, outside)
    except ChannelError as error:
        raise FitError(f"{where}: {error}") from None


def _errors(data: Data, target: np.ndarray) -> tuple[bool, np.ndarray]:
    """Whether standard errors are known, and they, or else one scale for all values."""
    given = [d.sd is not None for d in data]
    if all(given):
        return True, np.concatenate([np.asarray(d.sd) for d in data])
    if any(given):
        lacking = next(d.label for d, has in zip(data, given, strict=True) if not has)
        raise FitError(
            f"{lacking} has no standard errors, while other data have: give them (I_sd_pA) for all or for none"
        )
    if len({type(d) for d in data}) > 1:
        raise FitError("currents and reversal potentials can only be fitted together if both have standard errors")
    return False, np.full(target.size, np.sqrt(np.mean(target**2)) or 1.0)


def _wired(
    channel, free: Sequence[Free], fixed: Mapping[str, float], model: Model, labels, source
) -> tuple[Space, ParameterMap]:
    """The parameters, and which of them each number follows in each condition."""
    parameters: list[Parameter] = []
    paths: list[str] = []
    columns, factors = [], []
    for each in free:
        names = [f"{each.path}@{label}" for label in labels] if each.each else [each.path]
        measure, value = _number(model, channel, each.path)
        first = len(parameters)
        parameters += [make_parameter(each, name, measure, value) for name in names]
        for path, factor in {each.path: 1.0, **each.tied}.items():
            tied, _ = _number(model, channel, path)
            if tied.quantity.unit != measure.quantity.unit:
                raise FitError(
                    f"{path} ({tied.unit}) cannot be tied to {each.path} ({measure.unit}): they differ in kind"
                )
            if not np.isfinite(factor) or (tied.logarithmic and factor <= 0):
                raise FitError(f"{path}: the factor of a tie must be positive, not {factor:g}")
            paths.append(path)
            factors.append(factor)
            columns.append([first + (i if each.each else 0) for i in source])
    for path, constant in fixed.items():
        measure, _ = _number(model, channel, path)
        if not np.isfinite(constant) or (measure.logarithmic and constant <= 0):
            raise FitError(f"{path}: cannot be fixed at {constant:g}: it must be positive")
    paths += fixed
    _check_paths(paths)
    columns += [[0] * len(source)] * len(fixed)
    constants = [0.0] * len(factors) + list(fixed.values())
    factors += [0.0] * len(fixed)
    return Space(parameters), ParameterMap(tuple(paths), np.array(columns).T, np.array(factors), np.array(constants))


def _number(model: Model, channel: Channel, path: str):
    try:
        return model.number(channel, path)
    except KeyError as error:
        raise FitError(str(error.args[0])) from None


def _check_paths(paths: Sequence[str]) -> None:
    """No number may be set twice."""
    for i, path in enumerate(paths):
        if path in paths[:i]:
            raise FitError(f"{path}: is free, tied or fixed twice")
        whole = path.removesuffix(".scale")
        other = [p for p in paths if p != path and (p == whole or p.rpartition(".")[0] == whole)]
        if whole != path and other:
            raise FitError(f"{path} and {other[0]} set the same numbers: free one of them")
        first = path.partition("/")[0]
        if "/" in path and any(p.partition("/")[0] == first for p in paths if p != path):
            raise FitError(f"{path}: {first} is given twice")
