"""Results as labelled datasets (xarray), with units, long names and provenance as attributes.

Units and long names of a variable are metadata of the field of the result's class; names of dimensions are given here.
"""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
import xarray as xr

from pnp import __version__
from pnp.analysis.discretization import Discretization
from pnp.analysis.hysteresis import Hysteresis
from pnp.analysis.section import make_section
from pnp.analysis.solution import CaseResult, Currents, Solution, labels
from pnp.analysis.steady import IVCurve
from pnp.channel.channel import Channel
from pnp.io.channel_file.writer import contents
from pnp.settings import Status

PARTS = ("inside access", "pore", "outside access")
"""Where the resistance of a solution is."""

Variables = dict[str, xr.Variable]


def curve_dataset(iv: IVCurve) -> xr.Dataset:
    """An I–V curve over (voltage, ion) with `units`, `long_name` and provenance attributes."""
    variables = _case_variables(iv, "voltage") | {"slope": _field(iv, "slope", "voltage")}
    return _dataset(variables, _voltages_and_ions(iv), iv.channel, iv.discretization)


def hysteresis_dataset(result: Hysteresis) -> xr.Dataset:
    """Sweeps up and down over (direction, voltage, ion) with `units`, `long_name` and provenance attributes."""
    both = jax.tree.map(lambda up, down: np.stack([up, down]), result.up, result.down)
    variables = _case_variables(both, "direction", "voltage") | {
        "relative_difference": _field(result, "relative_difference", "voltage"),
        "multistable": _field(result, "multistable", "voltage").astype(int),
    }
    coordinates = _voltages_and_ions(result.up) | {
        "direction": _names(("up", "down"), "direction", "direction in which the voltage was swept")
    }
    return _dataset(variables, coordinates, result.channel, result.discretization)


def solution_dataset(solution: Solution) -> xr.Dataset:
    """A steady state with `units`, `long_name` and provenance attributes.

    Axial: over (x, ion). Axisymmetric: over (z, across, ion), flux densities over (component, slab, cell, ion), where
    the cells of a slab are those between two slices of nodes.
    """
    variables, coordinates = (_axial_fields if solution.dimension == 1 else _axisymmetric_fields)(solution)
    variables |= _case_variables(solution) | {
        "voltage": _field(solution, "voltage"),
        "flux": _field(solution, "flux", "ion"),
        "resistance": _field(solution, "resistance", "part"),
    }
    coordinates |= {
        "ion": _ions(solution.ion_names),
        "part": _names(PARTS, "part", "part of the way from bath to bath"),
    }
    return _dataset(variables, coordinates, solution.channel, solution.discretization)


def _axial_fields(solution: Solution) -> tuple[Variables, Variables]:
    variables = {
        "potential": _field(solution, "potential", "x"),
        "concentration": _field(solution, "concentration", "x", "ion"),
        "area": _variable(solution.channel.area(solution.x), labels("nm2", "cross-section"), "x"),
    }
    return variables, {"x": _field(solution, "x", "x")}


def _axisymmetric_fields(solution: Solution) -> tuple[Variables, Variables]:
    section = make_section(solution)
    nodes, cells, vectors = ("slice", "across"), ("slab", "cell"), ("component", "slab", "cell")
    radius = labels("nm", "radius of the pore, beyond its mouths that of the mouth")
    variables = {
        "potential": _field(solution, "potential", *nodes),
        "concentration": _field(solution, "concentration", *nodes, "ion"),
        "wall_radius": _variable(section.r[:, section.wall_index], radius, "slice"),
        "flux_density": _field(solution, "flux_density", *vectors, "ion"),
        "current_density": _field(section, "current_density", *vectors),
        "membrane": _variable(
            section.solid_cells.astype(int), labels("1", "whether a cell is of the membrane"), *cells
        ),
    }
    z, r = section.cell_centres
    coordinates = {
        "x": _field(solution, "x", "slice"),
        "z": _field(solution, "z", *nodes),
        "r": _field(solution, "r", *nodes),
        "z_cell": _variable(z, labels("nm", "position of the middle of a cell along the axis"), *cells),
        "r_cell": _variable(r, labels("nm", "distance of the middle of a cell from the axis"), *cells),
        "component": _names(("z", "r"), "component", "direction: along the axis, away from it"),
    }
    return variables, coordinates


def _case_variables(result: CaseResult, *dims: str) -> Variables:
    """What every case has, over the dimensions of the cases."""
    one = "current", "status", "conservation_error", "discretization_error", "elements", "iterations"
    variables = {name: _field(result, name, *dims) for name in one}
    return variables | {
        "ion_current": _field(result, "ion_current", *dims, "ion"),
        "mesh_current": _field(result, "mesh_current", *dims, "mesh"),
    }


def _voltages_and_ions(result: Currents) -> Variables:
    return {"voltage": _field(result, "voltage", "voltage"), "ion": _ions(result.ion_names)}


def _ions(names: tuple[str, ...]) -> xr.Variable:
    return _names(names, "ion", "ion species")


def _names(names: tuple[str, ...], dim: str, long_name: str) -> xr.Variable:
    return xr.Variable(dim, np.asarray(names), {"long_name": long_name})


def _field(result: Any, name: str, *dims: str) -> xr.Variable:
    """A field of a result with the metadata of its class."""
    (metadata,) = (field.metadata for field in dataclasses.fields(result) if field.name == name)
    return _variable(getattr(result, name), dict(metadata), *dims)


def _variable(values: Any, attributes: dict[str, str], *dims: str) -> xr.Variable:
    return xr.Variable(dims, np.asarray(values), attributes)


def _dataset(
    variables: Variables, coordinates: Variables, channel: Channel, discretization: Discretization
) -> xr.Dataset:
    dataset = xr.Dataset(
        variables,
        coordinates,
        {
            "title": f"{channel.name}: Poisson–Nernst–Planck, steady state",
            "source": f"pnp {__version__}",
            "channel": channel.name,
            "resolved_channel": json.dumps(contents(channel)),
            "temperature_K": float(channel.temperature),
            "dimension": discretization.dimension,
            **dataclasses.asdict(discretization),  # type: ignore[call-overload]
        },
    )
    status = dataset["status"].attrs
    status["flag_values"] = np.array([int(s) for s in Status])
    status["flag_meanings"] = " ".join(s.name.lower() for s in Status)
    return dataset
