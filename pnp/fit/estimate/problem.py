"""What a fit minimises: residuals of a model against measurements, and their derivatives by the parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pnp.channel.channel import Channel
from pnp.channel.profiles import ChannelError
from pnp.channel.values import overlap
from pnp.fit.data.measurements import IVData, ReversalData
from pnp.fit.model.base import Experiment, Model, ParameterMap, Predicted
from pnp.fit.model.parameters import FitError, Free, Parameter, ParameterSpace, make_parameter
from pnp.fit.model.paths import Measure, fitted_numbers

Data = Sequence[IVData | ReversalData]


class Residuals(NamedTuple):
    """Residuals of several sets of parameters (cases)."""

    residual: Float[np.ndarray, "case point"]
    """In standard errors, or where these are not known in the root mean square of the data; robust if so chosen."""
    jacobian: Float[np.ndarray, "case point parameter"]
    """By u (`pnp.fit.model.parameters`)."""
    chi2: Float[np.ndarray, " case"]
    """Sum of squares; NaN where the model has no value."""


class FitProblem:
    """Measurements, a model of them and its free numbers. Points are those of all data sets, one after the other."""

    def __init__(
        self,
        channel: Channel,
        data: Data,
        free: Sequence[str | Free],
        model: Model,
        robust: float | None = None,
        fixed: Mapping[str, float] | None = None,
    ):
        """Arguments as of `pnp.fit.fit`. Raises FitError, ChannelError and what the model's solver raises."""
        self.channel, self.data, self.model, self.robust = channel, tuple(data), model, robust
        self.free = tuple(f if isinstance(f, Free) else Free(f) for f in free)
        if not self.data:
            raise FitError("there are no data to fit")
        if not self.free:
            raise FitError("nothing is free: name at least one number of the channel, such as ions.K.diffusivity")
        if robust is not None and not robust > 0:
            raise FitError(f"the scale of a robust loss must be positive (in standard errors), not {robust:g}")
        self.labels = _distinct([d.label for d in self.data])
        self.experiment, self.data_set_of_condition = _experiment(channel, self.data, self.labels)
        self.target = np.concatenate([_measured_values(d) for d in self.data])
        self.known_errors, self.sd = _standard_errors(self.data, self.target)
        self.space, self.parameter_map = _parameters(
            channel, self.free, fixed or {}, model, self.labels, self.data_set_of_condition
        )
        if self.target.size <= len(self.space.names):
            raise FitError(
                f"{self.target.size} measured values are too few for {len(self.space.names)} free numbers: "
                "free fewer, or add data"
            )
        self.data_set_of_point = np.repeat(self.data_set_of_condition, self.experiment.sizes)
        self._predict: Callable | None = None

    @property
    def dof(self) -> int:
        """Degrees of freedom: number of measured values less that of parameters."""
        return self.target.size - len(self.space.names)

    def predict(self, s: Float[np.ndarray, "case parameter"]) -> Predicted:
        """Predictions at s, with derivatives by s."""
        if self._predict is None:
            self._predict = self.model.predictor(self.channel, self.parameter_map, self.experiment)
        predicted = self._predict(self.space.value(s))
        return predicted._replace(derivative=predicted.derivative * self.space.value_slope(s)[:, None, :])

    def residuals(
        self, u: Float[np.ndarray, "case parameter"], targets: Float[np.ndarray, "case point"] | None = None
    ) -> Residuals:
        """Residuals at u.

        - targets: in place of the measured values, pA or mV.
        """
        predicted = self.predict(self.space.s_of_u(u))
        residual = (predicted.value - (self.target if targets is None else targets)) / self.sd
        jacobian = predicted.derivative * (self.space.slope(u)[:, None, :] / self.sd[:, None])
        if self.robust is not None:
            residual, weight = robust_residual(residual, self.robust)
            jacobian = jacobian * weight[..., None]
        return Residuals(residual, jacobian, (residual**2).sum(-1))


def robust_residual(residual, scale: float, xp=np):
    """Residuals of a robust loss, and their derivatives by the plain ones.

    - residual: in standard errors, any shape.
    - scale: c, in standard errors.
    - xp: numpy, or jax.numpy.

    Their squares are 2c²(√(1 + r²/c²) − 1): quadratic below c, linear beyond (Charbonnier et al., 1997, IEEE Trans.
    Image Process. 6:298).
    """
    root = xp.sqrt(1 + (residual / scale) ** 2)
    return residual * xp.sqrt(2 / (root + 1)), xp.sqrt((root + 1) / 2) / root


def _measured_values(data: IVData | ReversalData) -> np.ndarray:
    return data.current if isinstance(data, IVData) else data.reversal


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels, numbered where they are the same."""
    repeated = {label for label in labels if list(labels).count(label) > 1}
    return [f"{label}#{i + 1}" if label in repeated else label for i, label in enumerate(labels)]


def _experiment(channel: Channel, data: Data, labels: Sequence[str]) -> tuple[Experiment, list[int]]:
    """The experiment, and the index of the data set of each condition."""
    conditions, voltage, reversal, data_set = [], [], [], []
    for i, (each, label) in enumerate(zip(data, labels, strict=True)):
        rows = _rows(each)
        for row, (inside, outside, temperature, at) in enumerate(rows):
            where = label if len(rows) == 1 else f"{label}, row {row + 1}"
            conditions.append(_condition(channel, where, inside, outside, temperature))
            voltage.append(at)
            reversal.append(isinstance(each, ReversalData))
            data_set.append(i)
    return Experiment(conditions, voltage, reversal), data_set


def _rows(data: IVData | ReversalData):
    """(inside, outside, temperature, voltages) of each condition of a data set."""
    if isinstance(data, IVData):
        return [(data.inside, data.outside, data.temperature, data.voltage)]
    return list(zip(data.inside, data.outside, data.temperature, data.reversal[:, None], strict=True))


def _condition(channel: Channel, where: str, inside, outside, temperature) -> Channel:
    """The channel in the baths and at the temperature of a measurement."""
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


def _standard_errors(data: Data, target: np.ndarray) -> tuple[bool, np.ndarray]:
    """Whether standard errors are known, and they, or else the root mean square of all values."""
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


def _parameters(
    channel, free: Sequence[Free], fixed: Mapping[str, float], model: Model, labels, data_set_of_condition
) -> tuple[ParameterSpace, ParameterMap]:
    """The parameters, and how numbers of the channel follow from them."""
    parameters: list[Parameter] = []
    paths: list[str] = []
    columns, factors = [], []
    for each in free:
        names = [f"{each.path}@{label}" for label in labels] if each.each else [each.path]
        measure, value = _number(model, channel, each.path)
        first = len(parameters)
        parameters += [make_parameter(each, name, measure, value) for name in names]
        for path, factor in {each.path: 1.0, **each.tied}.items():
            _check_tie(path, factor, _number(model, channel, path)[0], each.path, measure)
            paths.append(path)
            factors.append(factor)
            columns.append([first + (i if each.each else 0) for i in data_set_of_condition])
    for path, constant in fixed.items():
        measure, _ = _number(model, channel, path)
        if not np.isfinite(constant) or (measure.logarithmic and constant <= 0):
            raise FitError(f"{path}: cannot be fixed at {constant:g}: it must be positive")
    paths += fixed
    _check_paths(channel, paths)
    columns += [[0] * len(data_set_of_condition)] * len(fixed)
    constants = [0.0] * len(factors) + list(fixed.values())
    factors += [0.0] * len(fixed)
    parameter_map = ParameterMap(tuple(paths), np.array(columns).T, np.array(factors), np.array(constants))
    return ParameterSpace(parameters), parameter_map


def _number(model: Model, channel: Channel, path: str) -> tuple[Measure, float]:
    try:
        return model.number(channel, path)
    except KeyError as error:
        raise FitError(str(error.args[0])) from None


def _check_tie(path: str, factor: float, tied: Measure, free_path: str, measure: Measure) -> None:
    """Raise FitError unless a number can be a factor times the free one."""
    if tied.quantity.unit != measure.quantity.unit:
        raise FitError(f"{path} ({tied.unit}) cannot be tied to {free_path} ({measure.unit}): they differ in kind")
    if not np.isfinite(factor) or (tied.logarithmic and factor <= 0):
        raise FitError(f"{path}: the factor of a tie must be positive, not {factor:g}")


def _check_paths(channel: Channel, paths: Sequence[str]) -> None:
    """Raise FitError if a number is set twice."""
    known = fitted_numbers(channel)
    for i, path in enumerate(paths):
        if path in paths[:i]:
            raise FitError(f"{path}: is free, tied or fixed twice")
        same = [other for other in paths[:i] if {path, other} <= known.keys() and overlap(known[other], known[path])]
        if same:
            raise FitError(f"{same[0]} and {path} set the same numbers: free one of them")
        first = path.partition("/")[0]
        if "/" in path and any(p.partition("/")[0] == first for p in paths if p != path):
            raise FitError(f"{path}: {first} is given twice")
