"""Fixed charge: rings, segments, volume densities and charged walls."""

import abc
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.channel.profiles import Profile


class Charge(eqx.Module):
    """Fixed charge along the pore, as charge per length: total charge is what structures give.

    Two dimensions ask where around the axis it is, too: on the wall, in the pore's water, or, if it has a `depth`
    (nm), in the protein from the wall to that distance beyond it. One dimension takes no notice.
    """

    @abc.abstractmethod
    def line_density(self, x: Float[Array, "..."], area: Float[Array, "..."]) -> Float[Array, "..."]:
        """e/nm at positions x (nm), where the cross-section is `area` (nm²)."""

    def breakpoints(self) -> list[Any]:
        """Positions of sharp edges."""
        return []

    def scales(self) -> list[tuple[Any, Any]]:
        """(position, length) pairs: the charge varies over `length` near `position`, both nm."""
        return []

    @property
    def depth(self) -> Any:
        """nm; None unless the charge is in the protein."""
        return None

    @property
    def place(self) -> Literal["water", "wall", "protein"]:
        """Where two dimensions have it."""
        return "water" if self.depth is None else "protein"

    def surface_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """e/nm² on the wall at x, zero unless that is its place."""
        return jnp.zeros(jnp.shape(x))


class Ring(Charge):
    """A ring of charged residues: `amount` e in all, Gaussian along x with standard deviation
    `width` (nm) about `position` (nm)."""

    amount: Float[Array, ""] | float
    position: Float[Array, ""] | float
    width: Float[Array, ""] | float
    depth: Float[Array, ""] | float | None = None

    def line_density(self, x, area):
        t = (x - self.position) / self.width
        return self.amount * jnp.exp(-0.5 * t * t) / (self.width * jnp.sqrt(2 * jnp.pi))

    def scales(self):
        return [(self.position, self.width)]


class Segment(Charge):
    """`amount` e spread evenly from `start` to `end` (nm).

    `edge` = 0 is sharp; otherwise both edges are error functions of standard deviation `edge`
    (nm), which keeps the total.
    """

    amount: Float[Array, ""] | float
    start: Float[Array, ""] | float
    end: Float[Array, ""] | float
    edge: Float[Array, ""] | float = 0.0
    sharp: bool = eqx.field(static=True, default=True)
    depth: Float[Array, ""] | float | None = None

    def line_density(self, x, area):
        return self.amount / (self.end - self.start) * _window(x, self)

    def breakpoints(self):
        return [self.start, self.end] if self.sharp else []

    def scales(self):
        return [] if self.sharp else [(self.start, self.edge), (self.end, self.edge)]


class VolumeCharge(Charge):
    """A volume density (M, a Profile of x) from `start` to `end` (nm), edges as in `Segment`."""

    density: Profile
    start: Float[Array, ""] | float
    end: Float[Array, ""] | float
    edge: Float[Array, ""] | float = 0.0
    sharp: bool = eqx.field(static=True, default=True)
    depth: Float[Array, ""] | float | None = None

    def line_density(self, x, area):
        per_nm3 = 1e3 * self.density(x) / units.MILLIMOLAR_PER_CHARGE_DENSITY
        return per_nm3 * area * _window(x, self)

    def breakpoints(self):
        return self.density.breakpoints() + ([self.start, self.end] if self.sharp else [])

    def scales(self):
        return [] if self.sharp else [(self.start, self.edge), (self.end, self.edge)]


class WallCharge(Charge):
    """Surface charge `density` (C/m², one number or a Profile of x) on the wall from `start` to `end` (nm).

    One-dimensional equations see it as the volume charge 2 sigma / a, that is as 2 π a sigma per
    length; a is the local radius.
    """

    density: Profile | Float[Array, ""] | float
    start: Float[Array, ""] | float
    end: Float[Array, ""] | float

    def line_density(self, x, area):
        return 2 * jnp.sqrt(jnp.pi * area) * self.surface_density(x)

    def surface_density(self, x):
        density = self.density(x) if isinstance(self.density, Profile) else self.density
        inside = (x > self.start) & (x < self.end)
        return jnp.where(inside, density * units.CHARGE_DENSITY_PER_SURFACE_CHARGE, 0.0)

    def breakpoints(self):
        edges = [self.start, self.end]
        return self.density.breakpoints() + edges if isinstance(self.density, Profile) else edges

    @property
    def place(self):
        return "wall"


def _window(x, charge):
    """1 between start and end, 0 elsewhere, with the edges the charge asks for."""
    if charge.sharp:
        return jnp.where((x > charge.start) & (x < charge.end), 1.0, 0.0)
    step = lambda at: jax.scipy.special.ndtr((x - at) / charge.edge)
    return step(charge.start) - step(charge.end)


class ReflectedCharge(Charge):
    """The same charge with x turned round."""

    charge: Charge

    def line_density(self, x, area):
        return self.charge.line_density(-x, area)

    def breakpoints(self):
        return [-j for j in self.charge.breakpoints()]

    def scales(self):
        return [(-position, length) for position, length in self.charge.scales()]

    @property
    def depth(self):
        return self.charge.depth

    @property
    def place(self):
        return self.charge.place

    def surface_density(self, x):
        return self.charge.surface_density(-x)
