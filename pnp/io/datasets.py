"""Results for other programs: labelled datasets, records and files written in one piece."""

import csv
import dataclasses
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from pnp.analysis.discretization import Discretization
from pnp.analysis.hysteresis import Hysteresis
from pnp.analysis.section import section
from pnp.analysis.solution import Currents, Solution
from pnp.analysis.steady import IVCurve
from pnp.io.atomic_write import write_whole
from pnp.settings import Status

FORMATS = (".nc", ".csv", ".json")


def curve_dataset(iv: IVCurve) -> xr.Dataset:
    """An I–V curve over (voltage, ion) with `units`, `long_name` and provenance attributes."""
    data = {**_points(("voltage",), iv), "slope": ("voltage", iv.slope, "nS", "slope conductance dI/dV")}
    dataset = _dataset(data, _voltages_and_ions(iv), iv.channel)
    dataset.attrs |= _discretization_attributes(iv.discretization)
    return dataset


def hysteresis_dataset(sweep: Hysteresis) -> xr.Dataset:
    """A sweep up and down over (direction, voltage, ion) with `units`, `long_name` and provenance attributes."""
    both = jax.tree.map(lambda up, down: np.stack([up, down]), sweep.up, sweep.down)
    data = {
        **_points(("direction", "voltage"), both),
        "relative_difference": (
            "voltage",
            sweep.relative_difference,
            "1",
            "difference of the currents up and down / |I|",
        ),
        "multistable": ("voltage", sweep.multistable.astype(int), "1", "whether there are several steady states"),
    }
    coordinates = {
        **_voltages_and_ions(sweep.up),
        "direction": ("direction", ["up", "down"], None, "direction in which the voltage was swept"),
    }
    dataset = _dataset(data, coordinates, sweep.channel)
    dataset.attrs |= _discretization_attributes(sweep.discretization)
    return dataset


def _discretization_attributes(discretization: Discretization) -> dict[str, Any]:
    """The dimension and the numbers of a discretisation."""
    return {"dimension": discretization.dimension, **dataclasses.asdict(discretization)}  # type: ignore[call-overload]


def _points(dims: tuple[str, ...], points: Currents) -> dict[str, tuple]:
    return {
        "current": (dims, points.current, "pA", "total current, positive outward"),
        "ion_current": ((*dims, "ion"), points.ion_current, "pA", "current of each ion, positive outward"),
        "extrapolated_current": (dims, points.extrapolated_current, "pA", "current extrapolated from both meshes"),
        "status": (dims, points.status, "1", "how the solve ended"),
        **_errors(dims, points),
    }


def _voltages_and_ions(points: Currents) -> dict[str, tuple]:
    return {
        "voltage": ("voltage", points.voltage, "mV", "potential inside minus outside"),
        "ion": ("ion", list(points.ion_names), None, "ion species"),
    }


PARTS = ("inside access", "pore", "outside access")
"""Where the resistance of a solution is."""


def solution_dataset(solution: Solution) -> xr.Dataset:
    """A steady state with `units`, `long_name` and provenance attributes: over (x, ion) in one dimension; over (z,
    across, ion) in two, fluxes over (component, slab, cell, ion), the cells between the nodes."""
    data, coordinates = _line_fields(solution) if solution.dimension == 1 else _plane_fields(solution)
    data |= {
        "flux": ("ion", solution.flux, "1/ns", "ions through the pore, positive outward"),
        "ion_current": ("ion", solution.ion_current, "pA", "current of each ion, positive outward"),
        "current": ((), solution.current, "pA", "total current, positive outward"),
        "extrapolated_current": ((), solution.extrapolated_current, "pA", "current extrapolated from both meshes"),
        "resistance": ("part", solution.resistance, "GΩ", "what is dissipated in each part, over the current squared"),
        "voltage": ((), solution.voltage, "mV", "potential inside minus outside"),
        "status": ((), solution.status, "1", "how the solve ended"),
        **_errors((), solution),
    }
    coordinates |= {
        "ion": ("ion", list(solution.ion_names), None, "ion species"),
        "part": ("part", list(PARTS), None, "part of the way from bath to bath"),
    }
    dataset = _dataset(data, coordinates, solution.channel)
    dataset.attrs |= _discretization_attributes(solution.discretization)
    return dataset


_POTENTIAL = "mV", "electric potential, zero in the outside bath"


def _line_fields(solution: Solution) -> tuple[dict[str, tuple], dict[str, tuple]]:
    data = {
        "potential": ("x", solution.potential, *_POTENTIAL),
        "concentration": (("x", "ion"), solution.concentration, "mM", "concentration"),
        "area": ("x", solution.channel.area(solution.x), "nm2", "cross-section"),
    }
    return data, {"x": ("x", solution.x, "nm", "position from inside to outside, 0 at the inside mouth")}


def _plane_fields(solution: Solution) -> tuple[dict[str, tuple], dict[str, tuple]]:
    cut = section(solution)
    nodes, cells, vectors = ("z", "across"), ("slab", "cell"), ("component", "slab", "cell")
    data = {
        "potential": (nodes, cut.potential, *_POTENTIAL),
        "concentration": ((*nodes, "ion"), cut.concentration, "mM", "concentration, zero in the membrane"),
        "wall_radius": ("z", cut.r[:, cut.wall], "nm", "radius of the pore, beyond its mouths that of the mouth"),
        "flux_density": ((*vectors, "ion"), cut.flux_density, "1/(nm2 ns)", "ions per area and time"),
        "current_density": (vectors, cut.current_density, "pA/nm2", "electric current density"),
        "membrane": (cells, cut.solid.astype(int), "1", "whether a cell is of the membrane"),
    }
    z, r = cut.centres
    coordinates = {
        "z": ("z", cut.z, "nm", "position along the axis from inside to outside, 0 at the inside mouth"),
        "r": (nodes, cut.r, "nm", "distance from the axis"),
        "z_cell": ("slab", z, "nm", "position of the middle of a cell along the axis"),
        "r_cell": (cells, r, "nm", "distance of the middle of a cell from the axis"),
        "component": ("component", ["z", "r"], None, "direction: along the axis, away from it"),
    }
    return data, coordinates


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


def _asymmetry_record(iv: IVCurve) -> dict[str, Any]:
    """Rectification and selectivity at the largest voltage that the curve has with either sign; None if it has none."""
    known = np.asarray(iv.voltage)[np.asarray(iv.converged)]
    both = [v for v in known if v > 0 and np.isclose(known, -v, rtol=0, atol=1e-9).any()]
    largest = max(both, default=None)
    return {
        "largest_voltage_mV": None if largest is None else float(largest),
        "rectification": None if largest is None else plain(iv.rectification(largest)),
        "selectivity": None if largest is None else plain(iv.selectivity(largest)),
    }


def hysteresis_record(sweep: Hysteresis) -> dict[str, Any]:
    """A sweep up and down as plain data, what `--format json` prints; a missing value is None."""
    return {
        "channel": sweep.channel.name,
        "voltage_mV": plain(sweep.voltage),
        "up": {**_current_record(sweep.up), **_status_record(sweep.up)},
        "down": {**_current_record(sweep.down), **_status_record(sweep.down)},
        "relative_difference": plain(sweep.relative_difference),
        "multistable": sweep.multistable.tolist(),
    }


def _current_record(points: Currents) -> dict[str, Any]:
    columns = zip(points.ion_names, np.asarray(points.ion_current).T, strict=True)
    return {
        "current_pA": plain(points.current),
        "ion_current_pA": {name: plain(column) for name, column in columns},
    }


def _status_record(points: Currents) -> dict[str, Any]:
    return {
        "status": [Status(int(s)).name.lower() for s in np.asarray(points.status)],
        "conservation_error": plain(points.conservation_error),
        "discretization_error": plain(points.discretization_error),
    }


def curve_csv(iv: IVCurve) -> str:
    """An I–V curve as CSV, one voltage a row; a missing value is empty."""
    return _csv([_heads(iv), *_rows(iv)])


def hysteresis_csv(sweep: Hysteresis) -> str:
    """A sweep as CSV, one voltage a row, first the whole way up, then the way down; a missing value is empty."""
    rows = [[_text(d), "up", *row] for d, row in zip(sweep.relative_difference, _rows(sweep.up), strict=True)]
    rows += [[_text(d), "down", *row] for d, row in zip(sweep.relative_difference, _rows(sweep.down), strict=True)]
    table = [["relative_difference", "direction", *_heads(sweep.up)], *rows]
    return _csv([[*row[1:], row[0]] for row in table])


def _heads(points: Currents) -> list[str]:
    names = [f"I_{name}_pA" for name in points.ion_names]
    return ["V_mV", "I_pA", *names, "status", "conservation_error", "discretization_error"]


def _rows(points: Currents) -> list[list[str]]:
    columns = [points.voltage, points.current, *np.asarray(points.ion_current).T]
    errors = [points.conservation_error, points.discretization_error]
    status = [Status(int(s)).name.lower() for s in np.asarray(points.status)]
    texts = lambda columns: [[_text(v) for v in np.asarray(column)] for column in columns]
    return [list(row) for row in zip(*texts(columns), status, *texts(errors), strict=True)]


def _text(value) -> str:
    known = plain(value)
    return "" if known is None else repr(known)


def _csv(table: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def write_curve(iv: IVCurve | Hysteresis, path: str | Path) -> None:
    """Write an I–V curve, or a sweep, as .nc, .csv or .json: whole, or not at all.

    Raises ValueError for another suffix, OSError if the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".nc":
        write_whole(path, lambda to: iv.to_xarray().to_netcdf(to, engine="h5netcdf"))
    elif path.suffix in (".csv", ".json"):
        text = as_csv(iv) if path.suffix == ".csv" else as_json(iv)
        write_whole(path, lambda to: to.write_text(text, "utf-8"))
    else:
        raise ValueError(f"{path}: results are written as {', '.join(FORMATS)}, not '{path.suffix}'")


def as_csv(iv: IVCurve | Hysteresis) -> str:
    """`curve_csv` or `hysteresis_csv`."""
    return hysteresis_csv(iv) if isinstance(iv, Hysteresis) else curve_csv(iv)


def as_json(iv: IVCurve | Hysteresis) -> str:
    """`curve_record` or `hysteresis_record` as JSON."""
    record = hysteresis_record(iv) if isinstance(iv, Hysteresis) else curve_record(iv)
    return json.dumps(record, indent=1) + "\n"


def _errors(dims: Any, result: Currents | Solution) -> dict[str, tuple]:
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


def plain(value: Any) -> Any:
    """Arrays as lists and NaN or infinity as None, which is what JSON has; tables by their values."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value, float)
    if array.ndim:
        return [plain(v) for v in array]
    return float(array) if np.isfinite(array) else None
