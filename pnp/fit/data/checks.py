"""Whether measurements can be fitted as they are: numbers and their units, the order of voltages, baths."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pnp.io import quantity as q

CURRENT = q.Kind("current", "pA")
CONDUCTANCE = q.Kind("conductance", "nS")
RESISTANCE = q.Kind("resistance", "Mohm")
TIME = q.Kind("time", "s")


class DataError(ValueError):
    """Measurements that cannot be fitted as they are; the message names the file and the line."""


class Place(NamedTuple):
    """Where values stand, for messages: a file with its lines, or a data set with its entries."""

    name: str
    lines: Sequence[int] | None = None

    def row(self, i: int) -> str:
        """Of one value."""
        return f"{self.name}, entry {i + 1}" if self.lines is None else f"{self.name} line {self.lines[i]}"


def checked_curve(
    place: Place, voltage: Any, current: Any, sd: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The columns of an I–V curve as arrays, at increasing voltages.

    DataError unless there are at least two points, all of them finite, voltages that all rise or all fall, and positive
    standard errors; also where the values look as if they were in volts, microvolts or amperes.
    """
    columns = checked_columns(place, {"voltage": voltage, "current": current, "standard error": sd})
    v, i = columns["voltage"], columns["current"]
    if v.size < 2:
        raise DataError(f"{place.name}: {v.size} point{'s' * (v.size != 1)}: an I–V curve needs at least 2")
    turn = slice(None, None, _direction(place, v))
    _question(place, "V", v, 1, 5000)
    if (largest := np.abs(i).max()) and largest < 1e-6:
        raise DataError(
            f"{place.name}: the largest |I| is {largest:g} pA: are these amperes? Give the column as I_A, or multiply "
            "by 1e12"
        )
    error = columns.get("standard error")
    return v[turn], i[turn], None if error is None else error[turn]


def checked_reversals(place: Place, reversal: Any, sd: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """The columns of a table of reversal potentials as arrays; DataError as `checked_curve`, in any order."""
    columns = checked_columns(place, {"reversal potential": reversal, "standard error": sd})
    v = columns["reversal potential"]
    if not v.size:
        raise DataError(f"{place.name}: has no reversal potentials")
    _question(place, "reversal", v, 1 if v.size >= 3 else 0, 1000)
    return v, columns.get("standard error")


def _question(place: Place, column: str, v: np.ndarray, low: float, high: float) -> None:
    """Whether voltages are in mV, as they are said to be."""
    largest = np.abs(v).max()
    asked = f"{place.name}: the largest |V| is {largest:g} mV: are these"
    if largest < low:
        raise DataError(f"{asked} volts? Give the column as {column}_V, or multiply by 1000")
    if largest > high:
        raise DataError(f"{asked} microvolts? Give the column as {column}_uV, or divide by 1000")


def checked_columns(place: Place, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Lists of numbers by what they are, as arrays of one size, finite and not to be written to; DataError."""
    found: dict[str, np.ndarray] = {}
    for name, values in given.items():
        if values is None:
            continue
        try:
            column = np.array(values, float)
        except (TypeError, ValueError) as error:
            raise DataError(f"{place.name}: the {name}s must be numbers ({error})") from error
        first = next(iter(found), name)
        if column.ndim != 1 or column.shape != found.get(first, column).shape:
            other = f", as many as {first}s ({found[first].size})" if found else ""
            raise DataError(f"{place.name}: the {name}s must be a list of numbers{other}, not of shape {column.shape}")
        for bad, why in ((~np.isfinite(column), "finite"), (column <= 0, "positive")):
            if bad.any() and (why == "finite" or name == "standard error"):
                at = int(np.argmax(bad))
                raise DataError(f"{place.row(at)}: the {name} is {column[at]:g}: must be {why}")
        column.flags.writeable = False
        found[name] = column
    return found


def _direction(place: Place, v: np.ndarray) -> int:
    """1 if voltages rise and −1 if they fall."""
    steps = np.sign(np.diff(v))
    direction = 1 if steps.sum() >= 0 else -1
    wrong = steps != direction
    if not wrong.any():
        return direction
    at = int(np.argmax(wrong)) + 1
    if (earlier := np.flatnonzero(v[:at] == v[at])).size:
        raise DataError(
            f"{place.row(at)}: {v[at]:g} mV is repeated, from {place.row(int(earlier[0]))}: average repeats, and give "
            "their standard error"
        )
    raise DataError(
        f"{place.row(at)}: {v[at]:g} mV after {v[at - 1]:g} mV is out of order: sort the points by voltage, and give "
        "sweeps up and down as two data sets"
    )


def concentration(value: Any) -> float:
    """mM, from a number or a text with its unit; ValueError if negative or none."""
    number = parsed(value, q.CONCENTRATION)
    if number < 0:
        raise ValueError(f"must not be negative, but is {number:g} mM")
    return number


def kelvin(value: Any) -> float:
    """K, from a number or a text with its unit; ValueError outside 200 to 500 K."""
    number = parsed(value, q.TEMPERATURE)
    if not 200 <= number <= 500:
        raise ValueError(f'must be between 200 and 500 K, but is {number:g} K; in °C it is written "25 degC"')
    return number


def parsed(value: Any, kind: q.Kind) -> float:
    """`pnp.io.quantity.parse_quantity`, also of arrays without axes and of Ω; ValueError."""
    if isinstance(value, str):
        value = value.replace("Ω", "ohm").replace("\u2126", "ohm")
    elif getattr(value, "ndim", None) == 0:
        value = value.item()
    return q.parse_quantity(value, kind)


def parsed_for(label: str, name: str, value: Any, kind: q.Kind) -> float:
    """`parsed`; DataError, naming where and which value."""
    try:
        return parsed(value, kind)
    except ValueError as error:
        raise DataError(f"{label}: {name}: {error}") from error


def checked_bath(name: str, side: str, bath: Any) -> dict[str, float]:
    """mM by ion; DataError, naming where and which side."""
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
    """K or None; DataError, naming where."""
    try:
        return None if value is None else kelvin(value)
    except ValueError as error:
        raise DataError(f"{name}: temperature: {error}") from error
