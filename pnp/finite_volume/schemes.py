"""Which discretisation elements belong to."""

from typing import Any

from pnp.finite_volume.axial.scheme import Line
from pnp.finite_volume.axisymmetric.cells import Plane
from pnp.finite_volume.axisymmetric.scheme import AxisymmetricScheme
from pnp.finite_volume.scheme import Scheme

_LINE, _PLANE = Line(), AxisymmetricScheme()


def scheme_of(elements: Any) -> Scheme:
    """Of `Problem.elements`."""
    return _PLANE if isinstance(elements, Plane) else _LINE
