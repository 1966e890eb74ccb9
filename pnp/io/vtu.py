"""An axisymmetric steady state as an unstructured VTK grid (.vtu), for ParaView and its kin."""

import dataclasses
from pathlib import Path

import numpy as np

from pnp.analysis.section import Section, make_section
from pnp.analysis.solution import Solution
from pnp.io.atomic_write import write_whole

WATER, MEMBRANE = 0, 1
"""Values of the cells' `region`."""


def write_vtu(solution: Solution, path: str | Path) -> None:
    """Write an axisymmetric solution as .vtu: whole, or not at all.

    Points are (z, r, 0) in nm, cells quadrilaterals. Points: potential (mV), concentration of each ion (mM). Cells:
    flux density of each ion (1/nm²/ns) and current density (pA/nm²) as vectors, region (0 water, 1 membrane).

    Raises ValueError if the solution is axial, OSError if the file cannot be written.
    """
    import meshio

    section, ions = make_section(solution), solution.ion_names
    z, r = section.z, section.r
    points = np.stack([z, r, np.zeros_like(r)], axis=-1).reshape(-1, 3)
    index = np.arange(r.size).reshape(r.shape)
    corners = [index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]]
    units = _units(Solution)
    mesh = meshio.Mesh(
        points,
        [("quad", np.stack(corners, axis=-1).reshape(-1, 4))],
        point_data={
            f"potential ({units['potential']})": section.potential.ravel(),
            **{
                f"{ion} ({units['concentration']})": section.concentration[..., k].ravel() for k, ion in enumerate(ions)
            },
        },
        cell_data={name: [values] for name, values in _cell_data(section, ions).items()},
    )
    write_whole(path, lambda to: mesh.write(to, file_format="vtu"))


def _cell_data(section: Section, ions: tuple[str, ...]) -> dict[str, np.ndarray]:
    def vectors(components):
        along_z, along_r = components
        return np.stack([along_z, along_r, np.zeros_like(along_z)], axis=-1).reshape(-1, 3)

    flux_unit, current_unit = _units(Solution)["flux_density"], _units(Section)["current_density"]
    return {
        "region": np.where(section.solid_cells, MEMBRANE, WATER).astype(np.int32).ravel(),
        f"current density ({current_unit})": vectors(section.current_density),
        **{f"flux density {ion} ({flux_unit})": vectors(section.flux_density[..., k]) for k, ion in enumerate(ions)},
    }


def _units(result: type) -> dict[str, str]:
    """Unit of every field of a class of results that has one."""
    return {field.name: field.metadata["units"] for field in dataclasses.fields(result) if "units" in field.metadata}
