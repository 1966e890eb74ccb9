"""An axisymmetric solution in the plane of z and r: position of the membrane, current density, means over the pore."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from pnp import units
from pnp.analysis.discretization import Axisymmetric
from pnp.analysis.solution import Solution, labels
from pnp.finite_volume.axisymmetric.mesh import layout

CURRENT_PER_RATE = units.CURRENT_PER_FLUX * units.MILLIMOLAR_PER_CHARGE_DENSITY
"""pA in one elementary charge per ns."""


@dataclass(frozen=True)
class Section:
    """The half-plane of z and r of an axisymmetric solution.

    Node (i, j) is node j, counted from the axis, of the axial slice i. Cell (i, j) has the nodes i, i + 1 and j, j + 1
    for its corners; the cells between two slices are a slab.
    """

    z: Float[np.ndarray, "slice node"]
    """nm."""
    r: Float[np.ndarray, "slice node"]
    """nm."""
    wall_index: int
    """Node of each slice on the wall of the pore."""
    membrane_slices: tuple[int, int]
    """Slices at the inner and outer face of the membrane."""
    potential: Float[np.ndarray, "slice node"]
    """mV."""
    concentration: Float[np.ndarray, "slice node ion"]
    """mM, zero in the membrane."""
    flux_density: Float[np.ndarray, "2 slab cell ion"]
    """Ions per nm² and ns, along z and away from the axis."""
    current_density: Float[np.ndarray, "2 slab cell"] = field(metadata=labels("pA/nm2", "electric current density"))
    """Along z and away from the axis."""

    @property
    def solid_cells(self) -> Bool[np.ndarray, "slab cell"]:
        """True for the cells of the membrane."""
        slab, cell = np.indices((self.r.shape[0] - 1, self.r.shape[1] - 1))
        inner, outer = self.membrane_slices
        return np.asarray((slab >= inner) & (slab < outer) & (cell >= self.wall_index))

    @property
    def no_ion_nodes(self) -> Bool[np.ndarray, "slice node"]:
        """True for the nodes within the membrane; those on its surface have ions."""
        index, node = np.indices(self.r.shape)
        inner, outer = self.membrane_slices
        # Where there is no reservoir, the membrane goes on at the face.
        after, before = (index > inner) | (inner == 0), (index < outer) | (outer == len(self.r) - 1)
        return np.asarray(after & before & (node > self.wall_index))

    @property
    def cell_centres(self) -> tuple[Float[np.ndarray, "slab cell"], Float[np.ndarray, "slab cell"]]:
        """z and r of the middle of the cells, nm."""
        rows = [(f[1:] + f[:-1]) / 2 for f in (self.z, self.r)]
        z, r = ((f[:, 1:] + f[:, :-1]) / 2 for f in rows)
        return z, r

    @property
    def wall(self) -> tuple[Float[np.ndarray, " pore_slice"], Float[np.ndarray, " pore_slice"]]:
        """z and radius of the wall of the pore from mouth to mouth, nm."""
        pore = slice(self.membrane_slices[0], self.membrane_slices[1] + 1)
        return self.z[pore, self.wall_index], self.r[pore, self.wall_index]

    def enclosed_current(self) -> Float[np.ndarray, "slab node"]:
        """Current through the part of a slice between the axis and a node, in the middle of a slab, pA.

        Stokes' stream function: the current flows along the lines on which it is constant.
        """
        rows = [(f[1:] + f[:-1]) / 2 for f in (self.z, self.r)]
        (dz, dr), (_, radius) = (np.diff(f, axis=1) for f in rows), self.cell_centres
        along_z, along_r = self.current_density
        rings = 2 * np.pi * radius * (dr * along_z - dz * along_r)
        return np.concatenate([np.zeros((len(rings), 1)), np.cumsum(rings, axis=1)], axis=1)

    def means(
        self, values: Float[np.ndarray, "slice node *any"]
    ) -> tuple[Float[np.ndarray, " pore_slice"], Float[np.ndarray, "pore_slice *any"]]:
        """z (nm) of the slices of the pore on the axis, and the means of nodal values over them, by area around it."""
        pore = slice(self.membrane_slices[0], self.membrane_slices[1] + 1)
        z, r, inner = (f[pore, : self.wall_index + 1] for f in (self.z, self.r, values))
        # ∫ r v dl / ∫ r dl along the slice, with v and r linear between the nodes.
        low, high, step = r[:, :-1], r[:, 1:], np.hypot(np.diff(z, axis=1), np.diff(r, axis=1))
        weights = step / (3 * (step * (low + high)).sum(1, keepdims=True))
        inward, outward = weights * (2 * low + high), weights * (low + 2 * high)
        of = lambda weight, part: np.einsum("ij,ij...->i...", weight, part)
        return z[:, 0], of(inward, inner[:, :-1]) + of(outward, inner[:, 1:])


def make_section(solution: Solution) -> Section:
    """The section of an axisymmetric solution.

    - solution: from `pnp.solve(channel, voltage, discretization=pnp.Axisymmetric())`.

    Raises ValueError if the solution is axial.
    """
    if not isinstance(solution.discretization, Axisymmetric):
        raise ValueError("this solution has one dimension; solve with discretization=pnp.Axisymmetric()")
    channel = solution.channel
    mesh = layout(channel, solution.discretization.resolution)
    flux = np.asarray(solution.flux_density)
    return Section(
        np.asarray(solution.z),
        np.asarray(solution.r),
        mesh.wall_index,
        mesh.membrane_slices,
        np.asarray(solution.potential),
        np.asarray(solution.concentration),
        flux,
        CURRENT_PER_RATE * flux @ channel.valence,
    )
