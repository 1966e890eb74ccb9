"""Fixed charge: rings, segments, volume densities and charged walls."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.profiles import Profile


class Charge(eqx.Module):
    """Fixed charge along the pore, as charge per length: total charge is what structures give."""

    @abc.abstractmethod
    def line_density(self, x: Float[Array, "..."], area: Float[Array, "..."]) -> Float[Array, "..."]:
        """e/nm at positions x (nm), where the cross-section is `area` (nm²)."""

    def breakpoints(self) -> list[Any]:
        """Positions of sharp edges."""
        return []

    def scales(self) -> list[tuple[Any, Any]]:
        """(position, length) pairs: the charge varies over `length` near `position`, both nm."""
        return []


class Ring(Charge):
    """A ring of charged residues: `amount` e in all, Gaussian along x with standard deviation
    `width` (nm) about `position` (nm)."""

    amount: Float[Array, ""] | float
    position: Float[Array, ""] | float
    width: Float[Array, ""] | float

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

    def line_density(self, x, area):
        per_nm3 = 1e3 * self.density(x) / units.MILLIMOLAR_PER_CHARGE_DENSITY
        return per_nm3 * area * _window(x, self)

    def breakpoints(self):
        return self.density.breakpoints() + ([self.start, self.end] if self.sharp else [])

    def scales(self):
        return [] if self.sharp else [(self.start, self.edge), (self.end, self.edge)]


class WallCharge(Charge):
    """Surface charge `density` (C/m²) on the wall from `start` to `end` (nm).

    One-dimensional equations see it as the volume charge 2 sigma / a, that is as 2 π a sigma per
    length; a is the local radius.
    """

    density: Float[Array, ""] | float
    start: Float[Array, ""] | float
    end: Float[Array, ""] | float

    def line_density(self, x, area):
        per_nm2 = self.density * units.CHARGE_DENSITY_PER_SURFACE_CHARGE
        inside = (x > self.start) & (x < self.end)
        return jnp.where(inside, 2 * jnp.sqrt(jnp.pi * area) * per_nm2, 0.0)

    def breakpoints(self):
        return [self.start, self.end]


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
