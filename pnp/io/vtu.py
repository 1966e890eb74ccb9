"""A steady state of two dimensions as an unstructured grid of VTK (.vtu), for ParaView and its kin."""

from pathlib import Path

import numpy as np

from pnp.analysis.section import Section, section
from pnp.analysis.solution import Solution
from pnp.io.atomic_write import write_whole

WATER, MEMBRANE = 0, 1
"""Values of the cells' `region`."""


def write_vtu(solution: Solution, path: str | Path) -> None:
    """Write a solution of two dimensions as .vtu: whole, or not at all.

    Points are (z, r, 0) in nm, cells quadrilaterals. Points: potential (mV), concentration of each ion (mM). Cells:
    flux density of each ion (1/nm²/ns) and current density (pA/nm²) as vectors, region (0 water, 1 membrane).

    Raises ValueError if the solution has one dimension, OSError if the file cannot be written.
    """
    import meshio

    cut, ions = section(solution), solution.ion_names
    z, r = np.broadcast_to(cut.z[:, None], cut.r.shape), cut.r
    points = np.stack([z, r, np.zeros_like(r)], axis=-1).reshape(-1, 3)
    index = np.arange(r.size).reshape(r.shape)
    corners = [index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]]
    mesh = meshio.Mesh(
        points,
        [("quad", np.stack(corners, axis=-1).reshape(-1, 4))],
        point_data={
            "potential (mV)": cut.potential.ravel(),
            **{f"{name} (mM)": cut.concentration[..., k].ravel() for k, name in enumerate(ions)},
        },
        cell_data={name: [values] for name, values in _cells(cut, ions).items()},
    )
    write_whole(path, lambda to: mesh.write(to, file_format="vtu"))


def _cells(cut: Section, ions: tuple[str, ...]) -> dict[str, np.ndarray]:
    def vectors(values):
        along, away = values
        return np.stack([along, away, np.zeros_like(along)], axis=-1).reshape(-1, 3)

    return {
        "region": np.where(cut.solid, MEMBRANE, WATER).astype(np.int32).ravel(),
        "current density (pA/nm2)": vectors(cut.current_density),
        **{f"flux density {name} (1/nm2/ns)": vectors(cut.flux_density[..., k]) for k, name in enumerate(ions)},
    }
