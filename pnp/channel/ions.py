"""Ions: what the equations know of them, and those that are built in."""

import difflib

import equinox as eqx
from jaxtyping import Array, Float

from pnp.channel.diffusivity_law import AsGiven, DiffusivityLaw, Walden


class Ion(eqx.Module):
    """An ion species, or, with valence 0, a neutral solute.

    - valence: charge in e, an integer.
    - diffusivity: in the bath, nm²/ns (1e-9 m²/s); at 25 °C, if its law has it follow the temperature.
    - radius: bare ionic radius, nm; None where it is not known. Only the Born energy needs it.
    - law: how the diffusivity follows the temperature. Built-in ions follow the viscosity of water (`Walden`).
    """

    valence: int = eqx.field(static=True)
    diffusivity: Float[Array, "*case"] | float
    radius: Float[Array, "*case"] | float | None = None
    law: DiffusivityLaw = AsGiven()

    def diffusivity_at(self, temperature: Float[Array, "*case"]) -> Float[Array, "*case"]:
        """In the bath at a temperature in K, nm²/ns."""
        return self.diffusivity * self.law.factor(temperature)


# Diffusivity at 25 °C and infinite dilution: CRC Handbook of Chemistry and Physics, "Ionic
# conductivity and diffusion at infinite dilution" (P. Vanýsek). Radius: Shannon (1976, Acta Cryst.
# A32:751), effective, coordination number 6; NH4, NO3 and HCO3: Marcus (1991, J. Chem. Soc.
# Faraday Trans. 87:2995).
BUILT_IN = {
    "Li": Ion(1, 1.029, 0.076, Walden()),
    "Na": Ion(1, 1.334, 0.102, Walden()),
    "K": Ion(1, 1.957, 0.138, Walden()),
    "Rb": Ion(1, 2.072, 0.152, Walden()),
    "Cs": Ion(1, 2.056, 0.167, Walden()),
    "NH4": Ion(1, 1.957, 0.148, Walden()),
    "Cl": Ion(-1, 2.032, 0.181, Walden()),
    "Br": Ion(-1, 2.080, 0.196, Walden()),
    "F": Ion(-1, 1.475, 0.133, Walden()),
    "NO3": Ion(-1, 1.902, 0.179, Walden()),
    "HCO3": Ion(-1, 1.185, 0.156, Walden()),
    "Mg": Ion(2, 0.706, 0.072, Walden()),
    "Ca": Ion(2, 0.792, 0.100, Walden()),
    "Ba": Ion(2, 0.847, 0.135, Walden()),
}


def ion(name: str) -> Ion:
    """The built-in ion of that name. Raises KeyError, which names the nearest."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    near = difflib.get_close_matches(name, BUILT_IN, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise KeyError(
        f"no built-in ion is called '{name}'{hint} Built in: {', '.join(BUILT_IN)}; "
        "any other needs its valence and diffusivity."
    )
