"""Results for other programs: labelled datasets, records and files written in one piece."""

import csv
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pnp.atomic import write_whole
from pnp.newton import Status
from pnp.solution import Solution
from pnp.steady import IVCurve

FORMATS = (".nc", ".csv", ".json")


def curve_dataset(iv: IVCurve) -> xr.Dataset:
    """An I–V curve over (voltage, ion) with `units`, `long_name` and provenance attributes."""
    data = {
        "current": ("voltage", iv.current, "pA", "total current, positive outward"),
        "ion_current": (("voltage", "ion"), iv.ion_current, "pA", "current of each ion, positive outward"),
        "extrapolated_current": ("voltage", iv.extrapolated_current, "pA", "current extrapolated from both meshes"),
        "slope": ("voltage", iv.slope, "nS", "slope conductance dI/dV"),
        "status": ("voltage", iv.status, "1", "how the solve ended"),
        **_errors("voltage", iv),
    }
    coordinates = {
        "voltage": ("voltage", iv.voltage, "mV", "potential inside minus outside"),
        "ion": ("ion", list(iv.ion_names), None, "ion species"),
    }
    dataset = _dataset(data, coordinates, iv.channel)
    dataset.attrs["nodes"] = iv.nodes
    return dataset


def solution_dataset(solution: Solution) -> xr.Dataset:
    """A steady state over (x, ion) with `units`, `long_name` and provenance attributes."""
    data = {
        "potential": ("x", solution.potential, "mV", "electric potential, zero in the outside bath"),
        "concentration": (("x", "ion"), solution.concentration, "mM", "concentration"),
        "area": ("x", solution.channel.area(solution.x), "nm2", "cross-section"),
        "flux": ("ion", solution.flux, "1/ns", "ions through the pore, positive outward"),
        "ion_current": ("ion", solution.ion_current, "pA", "current of each ion, positive outward"),
        "current": ((), solution.current, "pA", "total current, positive outward"),
        "extrapolated_current": ((), solution.extrapolated_current, "pA", "current extrapolated from both meshes"),
        "voltage": ((), solution.voltage, "mV", "potential inside minus outside"),
        "status": ((), solution.status, "1", "how the solve ended"),
        **_errors((), solution),
    }
    coordinates = {
        "x": ("x", solution.x, "nm", "position from inside to outside, 0 at the inside mouth"),
        "ion": ("ion", list(solution.ion_names), None, "ion species"),
    }
    return _dataset(data, coordinates, solution.channel)


def curve_record(iv: IVCurve) -> dict[str, Any]:
    """An I–V curve as plain data, what `--format json` prints; a missing value is None."""
    return {
        "channel": iv.channel.name,
        "voltage_mV": _plain(iv.voltage),
        "current_pA": _plain(iv.current),
        "ion_current_pA": {
            name: _plain(column) for name, column in zip(iv.ion_names, np.asarray(iv.ion_current).T, strict=True)
        },
        "reversal_potential_mV": _plain(iv.reversal_potential()),
        "conductance_nS": _plain(iv.conductance()),
        "status": [Status(int(s)).name.lower() for s in np.asarray(iv.status)],
        "conservation_error": _plain(iv.conservation_error),
        "discretization_error": _plain(iv.discretization_error),
    }


def curve_csv(iv: IVCurve) -> str:
    """An I–V curve as CSV, one voltage a row; a missing value is empty."""
    names = [f"I_{name}_pA" for name in iv.ion_names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["V_mV", "I_pA", *names, "status", "conservation_error", "discretization_error"])
    for row in range(iv.voltage.size):
        status = Status(int(iv.status[row])).name.lower()
        currents = [iv.voltage[row], iv.current[row], *iv.ion_current[row]]
        errors = [iv.conservation_error[row], iv.discretization_error[row]]
        values = [["" if v is None else repr(v) for v in map(_plain, part)] for part in (currents, errors)]
        writer.writerow([*values[0], status, *values[1]])
    return text.getvalue()


def write_curve(iv: IVCurve, path: str | Path) -> None:
    """Write an I–V curve as .nc, .csv or .json: whole, or not at all.

    Raises ValueError for another suffix, OSError if the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".nc":
        write_whole(path, lambda to: curve_dataset(iv).to_netcdf(to, engine="h5netcdf"))
    elif path.suffix == ".csv":
        write_whole(path, lambda to: to.write_text(curve_csv(iv), "utf-8"))
    elif path.suffix == ".json":
        text = json.dumps(curve_record(iv), indent=1) + "\n"
        write_whole(path, lambda to: to.write_text(text, "utf-8"))
    else:
        raise ValueError(f"{path}: results are written as {', '.join(FORMATS)}, not '{path.suffix}'")


def _errors(dims: Any, result: IVCurve | Solution) -> dict[str, tuple]:
    return {
        "conservation_error": (dims, result.conservation_error, "1", "largest |ΔI|/|I| along x"),
        "discretization_error": (
            dims,
            result.discretization_error,
            "1",
            "estimated error of the current / |I|",
        ),
        "iterations": (dims, result.iterations, "1", "Newton steps on both meshes"),
    }


def _dataset(data: dict, coordinates: dict, channel) -> xr.Dataset:
    def variable(entry):
        dims, values, unit, meaning = entry
        attrs = {"long_name": meaning, **({"units": unit} if unit else {})}
        return xr.Variable(dims, np.asarray(values), attrs)

    dataset = xr.Dataset(
        {name: variable(entry) for name, entry in data.items()},
        {name: variable(entry) for name, entry in coordinates.items()},
        {
            "title": f"{channel.name}: Poisson–Nernst–Planck, steady state",
            "source": f"pnp {version('pnp')}",
            "channel": channel.name,
            "resolved_channel": channel.source,
            "temperature_K": float(channel.temperature),
        },
    )
    status = dataset["status"].attrs
    status["flag_values"] = np.array([int(s) for s in Status])
    status["flag_meanings"] = " ".join(s.name.lower() for s in Status)
    return dataset


def _plain(value: Any) -> Any:
    """Arrays as lists and NaN or infinity as None, which is what JSON has."""
    array = np.asarray(value, float)
    if array.ndim:
        return [_plain(v) for v in array]
    return float(array) if np.isfinite(array) else None
