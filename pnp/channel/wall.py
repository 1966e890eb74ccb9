"""The wall of a pore in the plane of z and r: a curve from mouth to mouth, with a vertical piece wherever the radius
jumps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.channel.pore import Pore


class WallPoints(NamedTuple):
    """Points of a wall."""

    z: Float[Array, "..."]
    """nm."""
    radius: Float[Array, "..."]
    """nm."""


class Wall(NamedTuple):
    """The wall, cut into pieces where properties, the radius or its slope jump.

    A point has a coordinate `s` along the wall: nm along the axis, and at a jump nm of the radius. Every other piece is
    that of a jump; most of them are empty.
    """

    pore: Pore
    s: Float[Array, " end"]
    """Ends of the pieces, nm; constants to differentiation."""
    z: Float[Array, " end"]
    """nm."""
    radius: Float[Array, " end"]
    """nm: on the side of its piece, where it jumps."""

    def at(self, s: Float[Array, "..."]) -> WallPoints:
        """The points of given coordinates. They move with the ends of their piece and with the radius."""
        piece = jnp.clip(jnp.searchsorted(self.s, s, side="right") - 1, 0, self.s.size - 2)
        first, last = self.s[piece], self.s[piece + 1]
        share = jax.lax.stop_gradient((s - first) / jnp.where(last > first, last - first, 1.0))
        between = lambda ends: ends[piece] + share * (ends[piece + 1] - ends[piece])
        z = between(self.z)
        return WallPoints(z, jnp.where(self.is_jump[piece], between(self.radius), jnp.sqrt(self.pore.area(z) / jnp.pi)))

    def coordinate(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The coordinate where the wall is at z; at a jump, where the jump begins."""
        heights = jnp.diff(self.s)[::2]
        return z + jnp.where(z[..., None] > self.z[::2], heights, 0.0).sum(-1)

    def step_charge(self) -> Float[Array, ""]:
        """Fixed charge on the faces of steps, e; in two dimensions only."""
        faces = jnp.pi * jnp.abs(self.radius[1::2] ** 2 - self.radius[::2] ** 2)
        return (faces * self.pore.step_density(self.z[::2])).sum()

    @property
    def is_jump(self):
        """[piece], whether the radius jumps there."""
        return jnp.arange(self.s.size - 1) % 2 == 0


def wall_of(pore: Pore) -> Wall:
    """The wall of a pore. Where its radius jumps at a mouth, it is that on the inner side of the mouth.

    Positions that differ by rounding alone count as one, which is repeated: the number of pieces is static.
    """
    table = pore.area.table()
    own = pore.area.breakpoints() if table is None else [table.x[i] for i in table.kinks()]
    z = pore.sorted_points([*own, *pore.edges()], pore.start, pore.end)
    before = after = jnp.sqrt(pore.area(z) / jnp.pi)
    if table is not None:
        none = 2e-9 * (pore.end - pore.start)
        first = jnp.clip(jnp.searchsorted(table.x, z - none), 0, table.x.size - 1)
        last = jnp.clip(jnp.searchsorted(table.x, z + none, side="right") - 1, 0, table.x.size - 1)
        given = lambda row, other: jnp.where(jnp.abs(table.x[row] - z) <= none, jnp.sqrt(table.y[row] / jnp.pi), other)
        before, after = given(first, before), given(last, after)
        at_start, at_end = z <= pore.start + none, z >= pore.end - none
        before, after = jnp.where(at_start, after, before), jnp.where(at_end, before, after)
    # Of a repeated position, only the first has the jump.
    repeated = jnp.diff(z, prepend=-jnp.inf) <= 0
    before = jnp.where(repeated, after, before)
    ends = lambda a, b: jnp.stack([a, b], axis=1).ravel()
    passed = jnp.cumsum(jnp.abs(after - before))
    s = jax.lax.stop_gradient(ends(z + passed - jnp.abs(after - before), z + passed))
    return Wall(pore, s, ends(z, z), ends(before, after))
