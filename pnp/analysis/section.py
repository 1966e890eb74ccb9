"""An axisymmetric solution in the plane of z and r: position of the membrane, current density, means over the pore."""

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pnp import units
from pnp.analysis.solution import Solution, labels

CURRENT_PER_RATE = units.CURRENT_PER_FLUX * units.MILLIMOLAR_PER_CHARGE_DENSITY
"""pA in one elementary charge per ns."""


@dataclass(frozen=True)
class Section:
    """The half-plane of z and r of an axisymmetric solution.

    Node (i, j) is node j, counted from the axis, of the axial slice i. Cell (i, j) has the nodes i, i + 1 and j, j + 1
    for its corners; the cells between two slices are a slab.
    """

    z: Float[np.ndarray, " slice"]
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
        slab, cell = np.indices((self.z.size - 1, self.r.shape[1] - 1))
        inner, outer = self.membrane_slices
        return np.asarray((slab >= inner) & (slab < outer) & (cell >= self.wall_index))

    @property
    def no_ion_nodes(self) -> Bool[np.ndarray, "slice node"]:
        """True for the nodes within the membrane; those on its surface have ions."""
        index, node = np.indices(self.r.shape)
        inner, outer = self.membrane_slices
        return np.asarray((index > inner) & (index < outer) & (node > self.wall_index))

    @property
    def cell_centres(self) -> tuple[Float[np.ndarray, " slab"], Float[np.ndarray, "slab cell"]]:
        """z and r of the middle of the cells, nm."""
        rows = (self.r[1:] + self.r[:-1]) / 2
        return (self.z[1:] + self.z[:-1]) / 2, (rows[:, 1:] + rows[:, :-1]) / 2

    @property
    def wall_radius(self) -> Float[np.ndarray, " pore_slice"]:
        """Radius of the pore from mouth to mouth, nm."""
        return self.r[self.membrane_slices[0] : self.membrane_slices[1] + 1, self.wall_index]

    def enclosed_current(self) -> Float[np.ndarray, "slab node"]:
        """Current along z within the circle through a node, in the middle of a slab, pA.

        Stokes' stream function: the current flows along the lines on which it is constant.
        """
        rows = (self.r[1:] + self.r[:-1]) / 2
        rings = np.pi * np.diff(rows**2, axis=1) * self.current_density[0]
        return np.concatenate([np.zeros((len(rings), 1)), np.cumsum(rings, axis=1)], axis=1)

    def means(
        self, values: Float[np.ndarray, "slice node *any"]
    ) -> tuple[Float[np.ndarray, " pore_slice"], Float[np.ndarray, "pore_slice *any"]]:
        """z (nm) of the slices of the pore, and the means of nodal values over its cross-section there."""
        pore = slice(self.membrane_slices[0], self.membrane_slices[1] + 1)
        r, inner = self.r[pore, : self.wall_index + 1], values[pore, : self.wall_index + 1]
        # ∫ 2r v dr / R² with v linear between the nodes.
        low, high = r[:, :-1], r[:, 1:]
        weights = (high - low) / (3 * r[:, -1:] ** 2)
        inward, outward = weights * (2 * low + high), weights * (low + 2 * high)
        of = lambda weight, part: np.einsum("ij,ij...->i...", weight, part)
        return self.z[pore], of(inward, inner[:, :-1]) + of(outward, inner[:, 1:])


def make_section(solution: Solution) -> Section:
    """The section of an axisymmetric solution.

    - solution: from `pnp.solve(channel, voltage, discretization=pnp.Axisymmetric())`.

    Raises ValueError if the solution is axial.
    """
    if solution.r is None or solution.flux_density is None:
        raise ValueError("this solution has one dimension; solve with discretization=pnp.Axisymmetric()")
    channel = solution.channel
    z, r = np.asarray(solution.x), np.asarray(solution.r)
    mouths = np.array([float(channel.pore.start), float(channel.pore.end)])
    inner, outer = (int(np.abs(z - mouth).argmin()) for mouth in mouths)
    wall_index = int(np.abs(r[inner] - float(np.asarray(channel.pore.wall_radius(jnp.asarray(mouths)))[0])).argmin())
    flux = np.asarray(solution.flux_density)
    return Section(
        z,
        r,
        wall_index,
        (inner, outer),
        np.asarray(solution.potential),
        np.asarray(solution.concentration),
        flux,
        CURRENT_PER_RATE * flux @ channel.valence,
    )
