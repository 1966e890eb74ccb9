"""The pore itself: its profiles and charges, and the wall that it has in two dimensions."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.channel.charge import Charge
from pnp.channel.profiles import Constant, Profile


class Pore(eqx.Module):
    """What lies between the two mouths, from `start` (inside) to `end` (outside), nm.

    - area: cross-section, nm².
    - permittivity: relative; None for that of water at the channel's temperature, see `Channel.pore_permittivity`.
    - charge: fixed charges, added up.
    - diffusivity: nm²/ns, by ion; other ions have that of the bath times `diffusivity_factor`.
    - pmf: potential of mean force by ion, kT; zero for other ions.
    - born: whether ions also have the Born energy of the pore's permittivity against the bath's,
      `theory.born_energy`, cut to ±`limits.MAX_POSITION_ENERGY`.
    - segments: of how many pieces the pore was described, 0 if by profiles. Its tables then have two rows
      for each piece, and its last charges are those of the pieces.
    """

    start: Float[Array, "*case"] | float
    end: Float[Array, "*case"] | float
    area: Profile
    permittivity: Profile | None
    charge: tuple[Charge, ...] = ()
    diffusivity: dict[str, Profile] = eqx.field(default_factory=dict)
    diffusivity_factor: Profile = Constant(1.0)
    pmf: dict[str, Profile] = eqx.field(default_factory=dict)
    born: bool = eqx.field(static=True, default=False)
    segments: int = eqx.field(static=True, default=0)

    def reflected(self) -> "Pore":
        """The same pore with x turned round. It is described by profiles."""
        turned = lambda profiles: {name: profile.reflected() for name, profile in profiles.items()}
        return Pore(
            start=-self.end,
            end=-self.start,
            area=self.area.reflected(),
            permittivity=None if self.permittivity is None else self.permittivity.reflected(),
            charge=tuple(c.reflected() for c in self.charge),
            diffusivity=turned(self.diffusivity),
            diffusivity_factor=self.diffusivity_factor.reflected(),
            pmf=turned(self.pmf),
            born=self.born,
        )

    def edges(self) -> list[Any]:
        """Where what the pore holds jumps, its mouths included, nm; where its area does is not."""
        profiles: list[Any] = [
            *([] if self.permittivity is None else [self.permittivity]),
            self.diffusivity_factor,
            *self.diffusivity.values(),
            *self.pmf.values(),
        ]
        inner = [point for part in (*profiles, *self.charge) for point in part.breakpoints()]
        return [self.start, self.end, *inner]

    def sorted_points(self, points: list[Any], first: Any, last: Any) -> Float[Array, " point"]:
        """Positions in increasing order from `first` to `last`, which are included, nm.

        Positions that differ by rounding alone count as one, which is repeated: their number is static.
        """
        every = jnp.stack([jnp.asarray(p, float) for p in [first, *points, last]])
        every = jnp.sort(jnp.clip(every, first, last))
        distinct = jnp.diff(every, prepend=-jnp.inf) > 1e-9 * (self.end - self.start)
        return every[jax.lax.cummax(jnp.where(distinct, jnp.arange(every.size), 0))]

    def wall_area(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Area of the wall per length at x, 2πr √(1 + r′²), nm²/nm, of a pore whose cross-sections are circles; zero
        outside the pore."""
        radius, slope = self._radius_and_slope(x)
        return self._inside(x, 2 * jnp.pi * radius * jnp.sqrt(1 + slope**2))

    def _radius_and_slope(self, x):
        """r and dr/dx."""
        x = jnp.asarray(x, float)
        return jax.jvp(lambda at: jnp.sqrt(self.area(at) / jnp.pi), (x,), (jnp.ones_like(x),))

    # --- two dimensions ---

    def wall_radius(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Radius of the pore's wall at x, nm; beyond a mouth that of the mouth."""
        return jnp.sqrt(self.area(jnp.clip(x, self.start, self.end)) / jnp.pi)

    def surface_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Fixed charge on the wall at x, e/nm²; zero outside the pore."""
        return self._inside(x, sum((c.surface_density(x) for c in self.charge), jnp.zeros(jnp.shape(x))))

    def wall_charge(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Fixed charge on the wall per length at x, e/nm; zero outside the pore."""
        return self.wall_area(x) * self.surface_density(x)

    def step_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Fixed charge on the face of the step where the radius jumps at x, e/nm²: the mean of both sides."""
        beside = 1e-7 * (self.end - self.start)
        of = lambda at: sum((c.surface_density(at) for c in self.charge if c.on_steps), jnp.zeros(jnp.shape(x)))
        return (of(x - beside) + of(x + beside)) / 2

    def water_charge(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Fixed charge in the water at x, spread over the cross-section, e/nm³; zero outside the pore."""
        area = jnp.pi * self.wall_radius(x) ** 2
        charges = [c for c in self.charge if c.place == "water"]
        line = sum((c.line_density(x, area, 0.0) for c in charges), jnp.zeros(jnp.shape(x)))
        return self._inside(x, line / area)

    def protein_charge(self, x: Float[Array, "..."]) -> list[tuple[Float[Array, "..."], Any]]:
        """(density at x in e/nm³, depth in nm) of each charge that is in the protein, from the wall to its depth.

        Rings and segments keep their amount, volume charges their density. Zero outside the pore.
        """
        wall, found = self.wall_radius(x), []
        for charge in (c for c in self.charge if c.place == "protein"):
            area = jnp.pi * ((wall + charge.depth) ** 2 - wall**2)
            found.append((self._inside(x, charge.line_density(x, area, 0.0) / area), charge.depth))
        return found

    def _inside(self, x, value):
        return jnp.where((x < self.start) | (x > self.end), 0.0, value)
