"""How the diffusivity of an ion follows the temperature from 25 °C on."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp import units
from pnp.theory.water import walden_factor

Number = Float[Array, "*case"] | float


class DiffusivityLaw(eqx.Module):
    """A factor on a diffusivity at 25 °C."""

    @abc.abstractmethod
    def factor(self, temperature: Float[Array, "*case"]) -> Float[Array, "*case"]:
        """At a temperature in K."""

    @abc.abstractmethod
    def describe(self) -> str:
        """A few words for people."""


class AsGiven(DiffusivityLaw):
    """The same at all temperatures: the number is that at the channel's own."""

    def factor(self, temperature):
        return jnp.ones_like(temperature)

    def describe(self):
        return "as given"


class Walden(DiffusivityLaw):
    """In proportion to the temperature over the viscosity of water, `theory.walden_factor`."""

    def factor(self, temperature):
        return walden_factor(temperature)

    def describe(self):
        return "with water's viscosity"


class Q10(DiffusivityLaw):
    """Times `q10` for every 10 K."""

    q10: Number

    def factor(self, temperature):
        return jnp.asarray(self.q10) ** ((temperature - units.ROOM_TEMPERATURE) / 10)

    def describe(self):
        return f"with a Q10 of {float(self.q10):g}"


class Activated(DiffusivityLaw):
    """exp(−E/RT), with an activation energy E in kJ/mol."""

    activation_energy: Number

    def factor(self, temperature):
        inverse = 1 / units.ROOM_TEMPERATURE - 1 / temperature
        return jnp.exp(1e3 * jnp.asarray(self.activation_energy) / units.GAS_CONSTANT * inverse)

    def describe(self):
        return f"with an activation energy of {float(self.activation_energy):g} kJ/mol"
