"""The pore itself: its profiles and charges, and the wall it has in two dimensions."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pnp.channel.charge import Charge
from pnp.channel.profiles import Constant, Profile, Table


class Pore(eqx.Module):
    """What lies between the two mouths, from `start` (inside) to `end` (outside), nm.

    `area`: nm². `permittivity`: relative. `diffusivity`: nm²/ns for the ions named, all others
    have their bath value times `diffusivity_factor`. `pmf`: potential of mean force in kT, zero
    for ions not named. `charge`: fixed charges, added up. `born`: whether ions have the Born energy of the
    pore's permittivity against the bath's as well, `theory.born_energy`, cut to ±`limits.MAX_POSITION_ENERGY`.
    """

    start: Float[Array, ""] | float
    end: Float[Array, ""] | float
    area: Profile
    permittivity: Profile
    charge: tuple[Charge, ...] = ()
    diffusivity: dict[str, Profile] = eqx.field(default_factory=dict)
    diffusivity_factor: Profile = Constant(1.0)
    pmf: dict[str, Profile] = eqx.field(default_factory=dict)
    born: bool = eqx.field(static=True, default=False)

    def contents(self) -> list[Profile]:
        """Every profile of the pore but its area."""
        return [self.permittivity, self.diffusivity_factor, *self.diffusivity.values(), *self.pmf.values()]

    def wall_radius(self, x):
        """Radius of the wall at x, nm; see `Channel.wall_radius`."""
        x = jnp.clip(x, self.start, self.end)
        radius = jnp.sqrt(self.area(x) / jnp.pi)
        table = self.area.table()
        if table is None:
            return radius
        at = self._wall(table)
        point = jnp.clip(jnp.searchsorted(at.x, x, side="right") - 1, 0, at.x.size - 2)
        first, last = at.first[point], at.last[point]
        left, right, low, high = at.x[first], at.x[last], at.radius[first], at.radius[last]
        share = (x - left) / jnp.where(right > left, right - left, 1.0)
        return jnp.where((point < last) & (right > left), low + share * (high - low), radius)

    def wall_breakpoints(self) -> list[Any]:
        """Positions where the radius of the wall or its slope jumps."""
        table = self.area.table()
        if table is None:
            return self.area.breakpoints()
        x = self._wall(table).x
        return [x[i] for i in table.kinks()]

    def _wall(self, area: Table) -> "_Wall":
        """Where the points of a table of areas come to lie on the wall: at jumps, at the ends of shoulders."""
        x, radius = area.x, jnp.sqrt(area.y / jnp.pi)
        index = jnp.arange(x.size)
        first, last = jnp.searchsorted(x, x), jnp.searchsorted(x, x, side="right") - 1
        before = x - jnp.maximum(jnp.where(first > 0, x[first - 1], -jnp.inf), self.start)
        after = jnp.minimum(jnp.where(last < x.size - 1, x[(last + 1) % x.size], jnp.inf), self.end) - x
        none = 1e-9 * (self.end - self.start)
        rise = jnp.where((before < -none) | (after < -none), 0.0, jnp.abs(radius[last] - radius[first]))
        half = jnp.minimum(rise, jnp.minimum(before, after)) / 2
        to_left = jnp.where(before <= none, 0.0, jnp.where(after <= none, jnp.minimum(rise, before / 2), half))
        to_right = jnp.where(after <= none, 0.0, jnp.where(before <= none, jnp.minimum(rise, after / 2), half))
        shift = jnp.where(index == last, to_right, 0.0) - jnp.where(index == first, to_left, 0.0)
        # A point that is in no jump has no rise, and stays where it is.
        moved = jnp.sqrt(self.area(x + shift) / jnp.pi)
        return _Wall(x + shift, jnp.where(shift == 0, radius, moved), first, last)


class _Wall(NamedTuple):
    """Points of the wall, and for each the first and the last one of the jump that it came from."""

    x: Float[Array, " point"]
    radius: Float[Array, " point"]
    first: Int[Array, " point"]
    last: Int[Array, " point"]
