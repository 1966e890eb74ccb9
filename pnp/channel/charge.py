"""Fixed charge: rings, segments, volume densities and charged walls."""

import abc
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.channel.profiles import Profile, as_profile

Number = Float[Array, "*case"] | float


class Charge(eqx.Module):
    """Fixed charge along the pore, as charge per length.

    In one dimension only its position along x counts. In two dimensions it also has a place around the
    axis: the wall, the water of the pore, or, if it has a `depth` (nm), the protein from the wall to that
    distance behind it.
    """

    @abc.abstractmethod
    def line_density(
        self, x: Float[Array, "..."], area: Float[Array, "..."], wall_area: Float[Array, "..."] | float
    ) -> Float[Array, "..."]:
        """e/nm at positions x (nm), where the cross-section is `area` (nm²) and the area of the wall per length is
        `wall_area` (nm²/nm)."""

    @abc.abstractmethod
    def reflected(self) -> "Charge":
        """The same charge with x turned round."""

    def breakpoints(self) -> list[Any]:
        """Positions of sharp edges, nm."""
        return []

    def scales(self) -> list[tuple[Any, Any]]:
        """(position, length) pairs: the charge varies over `length` near `position`, both nm."""
        return []

    @property
    def depth(self) -> Any:
        """nm behind the wall up to which it lies in the protein; None if it does not."""
        return None

    @property
    def place(self) -> Literal["water", "wall", "protein"]:
        """Where it is in two dimensions."""
        return "water" if self.depth is None else "protein"

    @property
    def on_steps(self) -> bool:
        """Whether the face of a step, where the radius jumps, is charged too in two dimensions."""
        return False

    def surface_density(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """e/nm² on the wall at x: zero unless the wall is its place."""
        return jnp.zeros(jnp.shape(x))


class Ring(Charge):
    """A ring of charged residues, Gaussian along x.

    amount: e in all. position: of its centre, nm. width: standard deviation, nm. depth: nm, see `Charge`.
    """

    amount: Number
    position: Number
    width: Number
    depth: Number | None = None

    def line_density(self, x, area, wall_area):
        t = (x - self.position) / self.width
        return self.amount * jnp.exp(-0.5 * t * t) / (self.width * jnp.sqrt(2 * jnp.pi))

    def reflected(self):
        return Ring(self.amount, -self.position, self.width, self.depth)

    def scales(self):
        return [(self.position, self.width)]


class Segment(Charge):
    """`amount` e spread evenly from `start` to `end` (nm).

    edge: nm; 0 is sharp, otherwise both edges are error functions of this standard deviation, which keeps
    the amount. depth: nm, see `Charge`.
    """

    amount: Number
    start: Number
    end: Number
    edge: Number = 0.0
    sharp: bool = eqx.field(static=True, default=True)
    depth: Number | None = None

    def line_density(self, x, area, wall_area):
        return self.amount / (self.end - self.start) * window(x, self)

    def reflected(self):
        return Segment(self.amount, -self.end, -self.start, self.edge, self.sharp, self.depth)

    def breakpoints(self):
        return [self.start, self.end] if self.sharp else []

    def scales(self):
        return [] if self.sharp else [(self.start, self.edge), (self.end, self.edge)]


class VolumeCharge(Charge):
    """A volume density (M, a Profile of x) from `start` to `end` (nm), with edges as in `Segment`."""

    density: Profile
    start: Number
    end: Number
    edge: Number = 0.0
    sharp: bool = eqx.field(static=True, default=True)
    depth: Number | None = None

    def line_density(self, x, area, wall_area):
        per_nm3 = 1e3 * self.density(x) / units.MILLIMOLAR_PER_CHARGE_DENSITY
        return per_nm3 * area * window(x, self)

    def reflected(self):
        return VolumeCharge(self.density.reflected(), -self.end, -self.start, self.edge, self.sharp, self.depth)

    def breakpoints(self):
        return self.density.breakpoints() + ([self.start, self.end] if self.sharp else [])

    def scales(self):
        return [] if self.sharp else [(self.start, self.edge), (self.end, self.edge)]


class WallCharge(Charge):
    """Surface charge `density` (C/m², a number or a Profile of x) on the wall from `start` to `end` (nm).

    Per length that is 2πr √(1 + r′²) times the density, as of the wall's own area.

    - steps: whether, in two dimensions, the face of a step is charged as well, the ring between the two radii where the
      radius jumps; in one dimension it has no place.
    - whole: whether it ends at the outside mouth wherever that is, so that it follows a change of the pore's length.
    """

    density: Profile = eqx.field(converter=as_profile)
    start: Number
    end: Number
    whole: bool = eqx.field(static=True, default=False)
    steps: bool = eqx.field(static=True, default=False)

    def line_density(self, x, area, wall_area):
        return wall_area * self.surface_density(x)

    def surface_density(self, x):
        inside = (x > self.start) & (x < self.end)
        return jnp.where(inside, self.density(x) * units.CHARGE_DENSITY_PER_SURFACE_CHARGE, 0.0)

    def reflected(self):
        return WallCharge(self.density.reflected(), -self.end, -self.start, steps=self.steps)

    def breakpoints(self):
        return [*self.density.breakpoints(), self.start, self.end]

    @property
    def place(self):
        return "wall"

    @property
    def on_steps(self):
        return self.steps


def window(x, charge: Segment | VolumeCharge):
    """1 between the start and the end of a charge, 0 elsewhere, with its edges."""
    if charge.sharp:
        return jnp.where((x > charge.start) & (x < charge.end), 1.0, 0.0)
    step = lambda at: jax.scipy.special.ndtr((x - at) / charge.edge)
    return step(charge.start) - step(charge.end)
