"""A steady state of two dimensions, as pictures and files want it: where the membrane is, what flows, means."""

from typing import NamedTuple

import numpy as np

from pnp import units
from pnp.analysis.solution import Solution

CURRENT_PER_RATE = units.CURRENT_PER_FLUX * units.MILLIMOLAR_PER_CHARGE_DENSITY
"""pA in one elementary charge per ns."""


class Section(NamedTuple):
    """The plane of z and r cut through a pore. Cells lie between slabs' neighbouring slices and nodes."""

    z: np.ndarray
    """[slice], nm."""
    r: np.ndarray
    """[slice, node], nm."""
    wall: int
    """The node of each slice on the wall of the pore."""
    faces: tuple[int, int]
    """The slices at the two faces of the membrane."""
    potential: np.ndarray
    """[slice, node], mV."""
    concentration: np.ndarray
    """[slice, node, ion], mM; zero in the membrane."""
    flux_density: np.ndarray
    """[2, slab, cell, ion], along z and away from the axis, ions/nm²/ns."""
    current_density: np.ndarray
    """[2, slab, cell], pA/nm²."""

    @property
    def solid(self) -> np.ndarray:
        """[slab, cell], True in the membrane."""
        slab, cell = np.indices((self.z.size - 1, self.r.shape[1] - 1))
        return np.asarray((slab >= self.faces[0]) & (slab < self.faces[1]) & (cell >= self.wall))

    @property
    def dry(self) -> np.ndarray:
        """[slice, node], True within the membrane, where no ion comes; its surface is wet."""
        index, node = np.indices(self.r.shape)
        return np.asarray((index > self.faces[0]) & (index < self.faces[1]) & (node > self.wall))

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """z [slab] and r [slab, cell] of the middle of the cells, nm."""
        rows = (self.r[1:] + self.r[:-1]) / 2
        return (self.z[1:] + self.z[:-1]) / 2, (rows[:, 1:] + rows[:, :-1]) / 2

    def enclosed_current(self) -> np.ndarray:
        """[slab, node]: current along z within the circle that a node's line makes in the middle of a slab, pA.

        Stokes' stream function: the current flows along the lines on which it is constant.
        """
        rows = (self.r[1:] + self.r[:-1]) / 2
        rings = np.pi * np.diff(rows**2, axis=1) * self.current_density[0]
        return np.concatenate([np.zeros((len(rings), 1)), np.cumsum(rings, axis=1)], axis=1)

    def means(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z [slice] of the pore, and means [slice, *any] over its cross-section of values [slice, node, *any]."""
        pore = slice(self.faces[0], self.faces[1] + 1)
        r, inner = self.r[pore, : self.wall + 1], values[pore, : self.wall + 1]
        share = np.diff(r**2, axis=1) / r[:, -1:] ** 2
        return self.z[pore], np.einsum("ij,ij...->i...", share, (inner[:, 1:] + inner[:, :-1]) / 2)


def section(solution: Solution) -> Section:
    """The section of a solution of two dimensions.

    Raises ValueError if it has one dimension only.
    """
    if solution.r is None or solution.flux_density is None:
        raise ValueError("this solution has one dimension; solve with discretization=pnp.Axisymmetric()")
    channel = solution.channel
    z, r = np.asarray(solution.x), np.asarray(solution.r)
    mouths = np.array([float(channel.pore.start), float(channel.pore.end)])
    near, far = (int(np.abs(z - mouth).argmin()) for mouth in mouths)
    wall = int(np.abs(r[near] - float(np.asarray(channel.wall_radius(mouths))[0])).argmin())
    flux = np.asarray(solution.flux_density)
    return Section(
        z,
        r,
        wall,
        (near, far),
        np.asarray(solution.potential),
        np.asarray(solution.concentration),
        flux,
        CURRENT_PER_RATE * flux @ channel.valence,
    )
