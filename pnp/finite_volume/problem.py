"""What Newton is asked for: a steady state, and the way to it from a problem that is easy, or solved already."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.finite_volume.axial.assembly import Problem


class Start(NamedTuple):
    """Where Newton may begin, phi and absolute mu (kT) per node, and how a voltage change spreads."""

    direct: Float[Array, "unknown node *rest"]
    """A guess for the whole problem at zero voltage, or at that of the `Origin`."""
    easy: Float[Array, "unknown node *rest"]
    """A guess for the problem where continuation begins: without fixed charge and voltage, or as `Origin` says."""
    shape: Float[Array, "node *rest"]
    """Fraction of the voltage found at each node, 1 inside and 0 outside."""


class Origin(NamedTuple):
    """Where continuation begins if not at the pore without charge and voltage."""

    progress: Float[Array, "*lane"]
    """0: without charge; 0.5: with all of it. See `Steady.at`."""
    voltage: Float[Array, "*lane"]
    """That of the first half of the way, kT/e."""


class Steady(NamedTuple):
    """The full problem in the terms continuation needs."""

    elements: Any
    """See `Problem.elements`."""
    valence: Float[Array, "ion *lane"]
    activity: Float[Array, "2 ion *lane"]
    """Of the ions in the baths, mM: concentrations times activity coefficients."""
    voltage: Float[Array, "*lane"]
    excess: ActivityCoefficients
    origin: Origin | None = None

    @property
    def first_progress(self) -> Float[Array, "*lane"]:
        """Where on its way continuation begins."""
        return jnp.zeros_like(self.voltage) if self.origin is None else self.origin.progress

    def at(self, progress) -> Problem:
        """The problem part of the way: charge grows over the first half, voltage over the second."""
        charged = jnp.minimum(2 * progress, 1.0)
        voltage = self.voltage_at(progress)
        return Problem(self.elements, self.valence, jnp.log(self.activity), voltage, charged, self.excess)

    def voltage_at(self, progress):
        """kT/e."""
        share = jnp.maximum(2 * progress - 1, 0.0)
        first = 0.0 if self.origin is None else self.origin.voltage * (1 - share)
        return self.voltage * share + first

    def whole(self) -> Problem:
        """The problem at the end of the way."""
        return self.at(jnp.ones_like(self.voltage))
