"""The cells of the (z, r) plane: quadrilaterals whose four edges are elements of two nodes each.

Joining its centre to the midpoints of its edges divides a cell's body of revolution into four quarters, one for each
corner. An edge crosses the face between two quarters, so that the local laws hold along it, with half of each quarter
as its own. But a gradient has two components: unless edges are at right angles, differences along the two edges that
meet this one drive a flux through its face as well (see `fluxes.element_balance`).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp.finite_volume.fluxes import Element

EDGES = ((0, 2), (1, 3), (0, 1), (2, 3))
"""By the corners they join, which are (near, inner), (near, outer), (far, inner), (far, outer): near and far along z,
inner on the side of the axis. The first two edges are axial, the others radial."""


class Cells(eqx.Module):
    """The elements of an axisymmetric problem: cells between slices of nodes of the same z, [slab, cell], and the far
    field beyond the nodes at the rim of the reservoirs."""

    edges: Element
    """[edge, slab, cell]; the reference of mu is the same in all cells of a slab."""
    skew: Float[Array, "edge slab cell"]
    """Weight of the differences along the meeting edges against the edge's own."""
    far_field: Element
    """From each node, [slice, node], to its bath; conducts at the rim only."""
    dirichlet_nodes: Bool[Array, "slice node"]
    """Nodes fixed at the potential and the concentrations of a bath."""
    no_ion_nodes: Bool[Array, "slice node"]
    """Nodes without ions, inside the membrane: mu means nothing there and is fixed as well."""
    wall_index: int = eqx.field(static=True)
    """The node of each slice on the wall of the pore."""
    membrane_slices: tuple[int, int] = eqx.field(static=True)
    """The slices at the two faces of the membrane."""

    # -- the properties of elements that a `Problem` reads --

    @property
    def charge(self):
        """As in `Element`."""
        return self.edges.charge

    @property
    def position_energy(self):
        """As in `Element`."""
        return self.edges.position_energy

    @property
    def inside_reference(self):
        """As in `Element`, of an axial edge, [slab, 1]."""
        return self.edges.inside_reference[0]

    @property
    def reference_switch(self):
        """As in `Element`, of an axial edge, [slab, 1]."""
        return self.edges.reference_switch[0]


def corners_of(values: Float[Array, "slice node"]) -> tuple[Array, Array, Array, Array]:
    """Values at the nodes as values at the corners of all cells."""
    near, far = values[:-1], values[1:]
    return near[:, :-1], near[:, 1:], far[:, :-1], far[:, 1:]


def for_edges(near, far):
    """Values at the near and at the far corners of all cells, as values at the two ends of their edges."""
    both = (near, far)
    return tuple(jnp.stack([both[edge[end] // 2] for edge in EDGES]) for end in range(2))
