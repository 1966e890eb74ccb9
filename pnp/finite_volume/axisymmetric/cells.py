"""The plane of z and r in terms of elements: quadrilaterals whose four edges are elements of two nodes each.

With its centre joined to the midpoints of its edges, a quarter of a quadrilateral's body of revolution belongs to each
corner. An edge crosses the face between two quarters, so that the laws of one dimension hold along it, with half of
each quarter as its own. But a gradient has two components: unless edges are at right angles, what the two edges differ
by that this one meets drives something through its face as well (see `laws.element_balance`).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp.finite_volume.fluxes import Element

EDGES = ((0, 2), (1, 3), (0, 1), (2, 3))
"""By the corners they join, which are (near, inner), (near, outer), (far, inner), (far, outer): near and far along z,
the inner ones on the side of the axis. The first two edges are axial, the others radial."""


class Plane(eqx.Module):
    """A body of revolution as the solver sees it: quadrilaterals between slices of nodes of the same z, [slab, cell],
    and beyond the nodes at the rim of the reservoirs the rest of the baths."""

    edges: Element
    """[edge, slab, cell]; from which bath mu is counted is the same in all cells of a slab."""
    skew: Float[Array, "edge slab cell"]
    """What the meeting edges' differences count, against the edge's own."""
    beyond: Element
    """From each node, [slice, node], to the bath it belongs to; conducts nothing but at the rim."""
    bath: Bool[Array, "slice node"]
    """Nodes that are held at a bath's potential and concentrations."""
    dry: Bool[Array, "slice node"]
    """Nodes that no ion reaches: mu means nothing there, and is held as well."""
    wall: int = eqx.field(static=True)
    """The node of each slice on the wall of the pore."""
    faces: tuple[int, int] = eqx.field(static=True)
    """The slices at the two faces of the membrane."""

    # What a `Problem` asks of elements.

    @property
    def charge(self):
        """As in `Element`."""
        return self.edges.charge

    @property
    def excess(self):
        """As in `Element`."""
        return self.edges.excess

    @property
    def inside(self):
        """As in `Element`, of an axial edge, [slab, 1]."""
        return self.edges.inside[0]

    @property
    def joint(self):
        """As in `Element`, of an axial edge, [slab, 1]."""
        return self.edges.joint[0]


def for_edges(near, far):
    """What is so at the near and at the far corners of all quadrilaterals, at the two ends of their edges."""
    both = (near, far)
    return tuple(jnp.stack([both[edge[end] // 2] for edge in EDGES]) for end in range(2))
