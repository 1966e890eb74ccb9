"""Checks of measurements: numbers and their units, the order of voltages, baths and temperatures."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pnp import quantity as q
from pnp.channel.limits import TEMPERATURES

CURRENT = q.Kind("current", "pA")
CONDUCTANCE = q.Kind("conductance", "nS")
RESISTANCE = q.Kind("resistance", "Mohm")
TIME = q.Kind("time", "s")


class DataError(ValueError):
    """Measurements that cannot be fitted; the message names the file and the line."""


class DataLocation(NamedTuple):
    """Where values come from, for error messages: a file with line numbers, or a data set with entries."""

    name: str
    lines: Sequence[int] | None = None

    def row(self, i: int) -> str:
        """The location of value i."""
        return f"{self.name}, entry {i + 1}" if self.lines is None else f"{self.name} line {self.lines[i]}"


def checked_curve(
    location: DataLocation, voltage: Any, current: Any, sd: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The columns of an I–V curve as arrays, at increasing voltages.

    - location: for messages.
    - voltage, current, sd: lists of numbers, mV, pA and pA.

    Raises DataError unless there are at least two points, all of them finite, voltages that all rise or all fall, and
    positive standard errors; also where the values seem to be in volts, microvolts or amperes.
    """
    columns = checked_columns(location, {"voltage": voltage, "current": current, "standard error": sd})
    v, i = columns["voltage"], columns["current"]
    if v.size < 2:
        raise DataError(f"{location.name}: {v.size} point{'s' * (v.size != 1)}: an I–V curve needs at least 2")
    order = slice(None, None, _direction(location, v))
    _check_millivolts(location, "V", v, 1, 5000)
    if (largest := np.abs(i).max()) and largest < 1e-6:
        raise DataError(
            f"{location.name}: the largest |I| is {largest:g} pA: are these amperes? "
            "Give the column as I_A, or multiply by 1e12"
        )
    error = columns.get("standard error")
    return v[order], i[order], None if error is None else error[order]


def checked_reversals(location: DataLocation, reversal: Any, sd: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """The columns of a table of reversal potentials as arrays, in any order; raises DataError as `checked_curve`."""
    columns = checked_columns(location, {"reversal potential": reversal, "standard error": sd})
    v = columns["reversal potential"]
    if not v.size:
        raise DataError(f"{location.name}: has no reversal potentials")
    _check_millivolts(location, "reversal", v, 1 if v.size >= 3 else 0, 1000)
    return v, columns.get("standard error")


def _check_millivolts(location: DataLocation, column: str, v: np.ndarray, low: float, high: float) -> None:
    """Raise DataError if the largest voltage is not between two limits, as if in another unit."""
    largest = np.abs(v).max()
    question = f"{location.name}: the largest |V| is {largest:g} mV: are these"
    if largest < low:
        raise DataError(f"{question} volts? Give the column as {column}_V, or multiply by 1000")
    if largest > high:
        raise DataError(f"{question} microvolts? Give the column as {column}_uV, or divide by 1000")


def checked_columns(location: DataLocation, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns by name as read-only arrays of finite numbers and equal size; raises DataError."""
    columns: dict[str, np.ndarray] = {}
    for name, values in given.items():
        if values is None:
            continue
        try:
            column = np.array(values, float)
        except (TypeError, ValueError) as error:
            raise DataError(f"{location.name}: the {name}s must be numbers ({error})") from error
        first = next(iter(columns), name)
        if column.ndim != 1 or column.shape != columns.get(first, column).shape:
            other = f", as many as {first}s ({columns[first].size})" if columns else ""
            raise DataError(
                f"{location.name}: the {name}s must be a list of numbers{other}, not of shape {column.shape}"
            )
        for bad, expected in ((~np.isfinite(column), "finite"), (column <= 0, "positive")):
            if bad.any() and (expected == "finite" or name == "standard error"):
                at = int(np.argmax(bad))
                raise DataError(f"{location.row(at)}: the {name} is {column[at]:g}: must be {expected}")
        column.flags.writeable = False
        columns[name] = column
    return columns


def _direction(location: DataLocation, v: np.ndarray) -> int:
    """1 if voltages rise and −1 if they fall."""
    steps = np.sign(np.diff(v))
    direction = 1 if steps.sum() >= 0 else -1
    wrong = steps != direction
    if not wrong.any():
        return direction
    at = int(np.argmax(wrong)) + 1
    if (earlier := np.flatnonzero(v[:at] == v[at])).size:
        raise DataError(
            f"{location.row(at)}: {v[at]:g} mV is repeated, from {location.row(int(earlier[0]))}: "
            "average repeats, and give their standard error"
        )
    raise DataError(
        f"{location.row(at)}: {v[at]:g} mV after {v[at - 1]:g} mV is out of order: "
        "sort the points by voltage, and give sweeps up and down as two data sets"
    )


def concentration(value: Any) -> float:
    """mM, from a number or a string with its unit; raises ValueError if it is negative or neither."""
    number = parsed(value, q.CONCENTRATION)
    if number < 0:
        raise ValueError(f"must not be negative, but is {number:g} mM")
    return number


def kelvin(value: Any) -> float:
    """K, from a number or a string with its unit; raises ValueError outside `TEMPERATURES`."""
    number = parsed(value, q.TEMPERATURE)
    lowest, highest = TEMPERATURES
    if not lowest <= number <= highest:
        raise ValueError(
            f'must be between {lowest:g} and {highest:g} K, but is {number:g} K; in °C it is written "25 degC"'
        )
    return number


def parsed(value: Any, kind: q.Kind) -> float:
    """`parse_quantity`, also of zero-dimensional arrays and of Ω; raises ValueError."""
    if isinstance(value, str):
        value = value.replace("Ω", "ohm").replace("\u2126", "ohm")
    elif getattr(value, "ndim", None) == 0:
        value = value.item()
    return q.parse_quantity(value, kind)


def parsed_for(label: str, name: str, value: Any, kind: q.Kind) -> float:
    """`parsed`, but raises DataError that names the data set and the value."""
    try:
        return parsed(value, kind)
    except ValueError as error:
        raise DataError(f"{label}: {name}: {error}") from error


def checked_bath(name: str, side: str, bath: Any) -> dict[str, float]:
    """mM by ion; raises DataError that names the data set and the side."""
    if not isinstance(bath, Mapping):
        raise DataError(f"{name}: {side}: expected concentrations (mM) by ion, not {q.shown(bath)}")
    checked = {}
    for ion, value in bath.items():
        try:
            checked[str(ion)] = concentration(value)
        except ValueError as error:
            raise DataError(f"{name}: {side}.{ion}: {error}") from error
    return checked


def checked_temperature(name: str, value: Any) -> float | None:
    """K or None; raises DataError that names the data set."""
    try:
        return None if value is None else kelvin(value)
    except ValueError as error:
        raise DataError(f"{name}: temperature: {error}") from error
