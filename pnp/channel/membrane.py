"""What a pore passes through and opens into: the membrane, and the reservoirs in front of its mouths."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Number = Float[Array, "*case"] | float


class Membrane(eqx.Module):
    """The slab that the pore passes through; only two-dimensional problems see it.

    - permittivity: relative; 2 is that of liquid hydrocarbons, and so of the tails of lipids (Huang & Levitt, 1977,
      Biophys. J. 17:111).
    - surface_charge: on its inside and its outside face, C/m².
    - charged_within: how far from the rim of the mouth each face is charged, nm; None for all of it.
    """

    permittivity: Number = 2.0
    surface_charge: tuple[Number, Number] = (0.0, 0.0)
    charged_within: tuple[Number | None, Number | None] = (None, None)

    def reflected(self) -> "Membrane":
        """The same membrane with x turned round."""
        return Membrane(self.permittivity, self.surface_charge[::-1], self.charged_within[::-1])


class Reservoir(eqx.Module):
    """The bath in front of a mouth, as a cross-section that widens with the distance from it.

    - kind "hall": A = 2 (A_mouth + π d²), whose resistance from the mouth to infinity is Hall's access resistance
      1/(4 σ a) (Hall, 1975, J. Gen. Physiol. 66:531). Its last element reaches to infinity. In two dimensions it is a
      half-space without bounds.
    - kind "cone": the radius grows linearly from that of the mouth to `radius` over `length` (nm). In two dimensions it
      is a cylinder of that length and radius, with the bath at its end; `side` says what is around it: a "wall", which
      neither ions nor field cross, or the "bath".
    - kind "none": the bath begins at the mouth.
    """

    kind: str = eqx.field(static=True, default="hall")
    length: Number | None = None
    radius: Number | None = None
    side: str = eqx.field(static=True, default="wall")

    def area(self, distance, mouth_area):
        """Cross-section in nm² at `distance` (nm) from a mouth of `mouth_area` (nm²)."""
        if self.kind == "cone":
            mouth = jnp.sqrt(mouth_area / jnp.pi)
            return jnp.pi * (mouth + (self.radius - mouth) * distance / self.length) ** 2
        return 2 * (mouth_area + jnp.pi * distance**2)

    def extent(self, mouth_area, debye_length):
        """How far the mesh reaches into this bath, nm: so far that double layers fit in, and that potentials are as
        good as the bath's. What lies beyond a Hall reservoir is in `resistance_beyond`.
        """
        if self.kind == "none":
            return jnp.zeros_like(mouth_area)
        if self.kind == "cone":
            return jnp.asarray(self.length, float)
        return jnp.maximum(400 * jnp.sqrt(mouth_area / jnp.pi), 20 * debye_length)

    def resistance_beyond(self, distance, mouth_area):
        """∫ dx/A from `distance` (nm) before a mouth to where the bath is, 1/nm.

        Of a Hall reservoir, which has no end, (π/2 − atan(d/a)) / (2πa).
        """
        if self.kind != "hall":
            return jnp.zeros_like(mouth_area)
        mouth = jnp.sqrt(mouth_area / jnp.pi)
        return jnp.arctan(mouth / distance) / (2 * jnp.pi * mouth)
