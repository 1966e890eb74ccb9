"""Integrals along a channel, such as the fixed charge in all."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

if TYPE_CHECKING:
    from pnp.channel.channel import Channel

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_WIDTHS = np.array([-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0])  # where smooth edges are cut into pieces


def integral(channel: "Channel", density: Callable[[Array], Array]) -> Float[Array, ""]:
    """∫ density(x) dx from bath to bath, x in nm, by Gauss–Legendre on the pieces between which it is smooth.

    Exact to rounding for a density made of the channel's profiles and charges; may be traced.
    """
    edges = [channel.breakpoints()]
    tables = [p.table() for p in (channel.pore.area, channel.pore_permittivity)]
    edges += [t.x for t in tables if t is not None]
    edges += [position + length * _WIDTHS for charge in channel.pore.charge for position, length in charge.scales()]
    first, last = edges[0][0], edges[0][-1]
    points = jnp.sort(jnp.clip(jnp.concatenate(edges), first, last))
    half = jnp.diff(points)[:, None] / 2
    return (density(points[:-1, None] + half * (1 + _POINTS)) * half * _WEIGHTS).sum()
