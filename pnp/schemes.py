"""Which discretisation elements belong to."""

from typing import Any

from pnp.line import Line
from pnp.plane import AxialPlane
from pnp.quads import Plane
from pnp.scheme import Scheme

_LINE, _PLANE = Line(), AxialPlane()


def scheme_of(elements: Any) -> Scheme:
    """Of `Problem.elements`."""
    return _PLANE if isinstance(elements, Plane) else _LINE
