"""Pores that are closed somewhere: nothing flows, whatever else there is."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pnp.channel.channel import Channel
from pnp.channel.profiles import Circle, Profile, Table


class Opened(Profile):
    """1 in place of a quantity, if that is of a closed pore."""

    profile: Profile
    closed: Bool[Array, ""]

    def __call__(self, x):
        return jnp.where(self.closed, 1.0, self.profile(x))

    def reflected(self):
        return Opened(self.profile.reflected(), self.closed)

    def breakpoints(self):
        return self.profile.breakpoints()

    def looked_at(self, start, end):
        return self.profile.looked_at(start, end)

    def table(self):
        table = self.profile.table()
        return None if table is None else Table(table.x, jnp.where(self.closed, 1.0, table.y), table.node_index)


def closed_at(channel: Channel) -> Float[Array, ""]:
    """Where a pore is closed, that is where its radius or area is smallest, if that is not positive, nm; NaN if it is
    open. Decided by values, which may be traced: each of a batch by itself."""
    pore = channel.pore
    shape = pore.area.radius if isinstance(pore.area, Circle) else pore.area
    x, smallest = shape.smallest(pore.start, pore.end)
    return jnp.where(smallest <= 0, x, jnp.nan)


def opened(channel: Channel) -> tuple[Channel, Float[Array, ""]]:
    """A channel that can be solved, with an open pore (1 nm²) in place of a closed one; and `closed_at`.

    What is computed of an open one in its place means nothing, and has no derivative.
    """
    at = closed_at(channel)
    return eqx.tree_at(lambda c: c.pore.area, channel, Opened(channel.pore.area, ~jnp.isnan(at))), at
