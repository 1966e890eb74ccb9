"""The coefficients of a block-tridiagonal system, element by element."""

from typing import NamedTuple

from jaxtyping import Array, Float

Rows = list[list[Float[Array, "element side batch"] | None]]
"""A small matrix for every element, [row][column]; an entry that is zero everywhere is None and costs nothing."""


class BlockCoefficients(NamedTuple):
    """Derivatives of one element's balance with respect to the states at its outer and inner end, [unknown][unknown].

    The outer end is the one nearer to the end of the chain where its side begins, the inner one nearer to the middle.
    """

    flux_outer: Rows
    """Of the flux through the element, positive inwards, with respect to the state at the outer end."""
    flux_inner: Rows
    """The same with respect to the state at the inner end."""
    content_outer: Rows
    """Of the content of the outer half with respect to the state there."""
    content_inner: Rows
    """Of the content of the inner half with respect to the state there."""


class ElementMatrices(NamedTuple):
    """One element's part of a linear system: its coefficients and its right-hand sides, [unknown][right-hand side]."""

    coefficients: BlockCoefficients
    flux: Rows
    """Flux through the element at x = 0."""
    source_outer: Rows
    """Content of the outer half at x = 0."""
    source_inner: Rows
    """Content of the inner half at x = 0."""
