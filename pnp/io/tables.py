"""I–V curves and hysteresis as records (plain data, JSON) and tables (CSV), and their files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from pnp.analysis.hysteresis import Hysteresis
from pnp.analysis.solution import Currents
from pnp.analysis.steady import IVCurve
from pnp.io.atomic_write import write_whole
from pnp.settings import Status

SUFFIXES = (".nc", ".csv", ".json")
"""Of the files that `write_curve` writes."""


def write_curve(curve: IVCurve | Hysteresis, path: str | Path) -> None:
    """Write an I–V curve, or sweeps up and down, as .nc, .csv or .json: whole, or not at all.

    Raises ValueError for another suffix, OSError if the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".nc":
        write_whole(path, lambda to: curve.to_xarray().to_netcdf(to, engine="h5netcdf"))
    elif path.suffix in (".csv", ".json"):
        text = as_csv(curve) if path.suffix == ".csv" else as_json(curve)
        write_whole(path, lambda to: to.write_text(text, "utf-8"))
    else:
        raise ValueError(f"{path}: results are written as {', '.join(SUFFIXES)}, not '{path.suffix}'")


def as_csv(curve: IVCurve | Hysteresis) -> str:
    """One voltage per row; a missing value is empty. Of sweeps first all rows up, then all rows down."""
    if isinstance(curve, IVCurve):
        table = [_heads(curve), *_rows(curve)]
    else:
        difference = [_text(value) for value in curve.relative_difference]
        table = [["direction", *_heads(curve.up), "relative_difference"]]
        for direction, currents in (("up", curve.up), ("down", curve.down)):
            rows = zip(_rows(currents), difference, strict=True)
            table += [[direction, *row, change] for row, change in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def as_json(curve: IVCurve | Hysteresis) -> str:
    """The record of a curve, or of sweeps up and down, as JSON."""
    record = curve_record(curve) if isinstance(curve, IVCurve) else hysteresis_record(curve)
    return json.dumps(record, indent=1) + "\n"


def curve_record(iv: IVCurve) -> dict[str, Any]:
    """An I–V curve as plain data, what `--format json` prints; a missing value is None."""
    return {
        "channel": iv.channel.name,
        "voltage_mV": plain(iv.voltage),
        **_current_record(iv),
        "reversal_potential_mV": plain(iv.reversal_potential()),
        "conductance_nS": plain(iv.conductance()),
        **_asymmetry_record(iv),
        **_status_record(iv),
    }


def hysteresis_record(result: Hysteresis) -> dict[str, Any]:
    """Sweeps up and down as plain data, what `--format json` prints; a missing value is None."""
    return {
        "channel": result.channel.name,
        "voltage_mV": plain(result.voltage),
        "up": {**_current_record(result.up), **_status_record(result.up)},
        "down": {**_current_record(result.down), **_status_record(result.down)},
        "relative_difference": plain(result.relative_difference),
        "multistable": result.multistable.tolist(),
    }


def plain(value: Any) -> Any:
    """Arrays as lists, and NaN or infinity, which JSON does not have, as None; the values of dicts alike."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value, float)
    if array.ndim:
        return [plain(v) for v in array]
    return float(array) if np.isfinite(array) else None


def _asymmetry_record(iv: IVCurve) -> dict[str, Any]:
    """Rectification and selectivity at the largest voltage that the curve has with either sign; None if it has none."""
    voltages = np.asarray(iv.voltage)[np.asarray(iv.converged)]
    both = [v for v in voltages if v > 0 and np.isclose(voltages, -v, rtol=0, atol=1e-9).any()]
    largest = max(both, default=None)
    return {
        "largest_voltage_mV": None if largest is None else float(largest),
        "rectification": None if largest is None else plain(iv.rectification(largest)),
        "selectivity": None if largest is None else plain(iv.selectivity(largest)),
    }


def _current_record(currents: Currents) -> dict[str, Any]:
    columns = zip(currents.ion_names, np.asarray(currents.ion_current).T, strict=True)
    return {
        "current_pA": plain(currents.current),
        "ion_current_pA": {name: plain(column) for name, column in columns},
    }


def _status_record(currents: Currents) -> dict[str, Any]:
    return {
        "status": _status_names(currents),
        "conservation_error": plain(currents.conservation_error),
        "discretization_error": plain(currents.discretization_error),
    }


def _status_names(currents: Currents) -> list[str]:
    return [Status(int(s)).name.lower() for s in np.asarray(currents.status)]


def _heads(currents: Currents) -> list[str]:
    names = [f"I_{name}_pA" for name in currents.ion_names]
    return ["V_mV", "I_pA", *names, "status", "conservation_error", "discretization_error"]


def _rows(currents: Currents) -> list[list[str]]:
    numbers = [currents.voltage, currents.current, *np.asarray(currents.ion_current).T]
    errors = [currents.conservation_error, currents.discretization_error]
    texts = lambda columns: [[_text(v) for v in np.asarray(column)] for column in columns]
    return [list(row) for row in zip(*texts(numbers), _status_names(currents), *texts(errors), strict=True)]


def _text(value: Any) -> str:
    number = plain(value)
    return "" if number is None else repr(number)
