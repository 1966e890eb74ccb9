"""Ions: what the equations know of them, and those that are built in."""

import difflib

import equinox as eqx
from jaxtyping import Array, Float


class Ion(eqx.Module):
    """An ion species, or, with valence 0, a neutral solute.

    - valence: charge in e, an integer.
    - diffusivity: in the bath, nm²/ns (1e-9 m²/s).
    - radius: bare ionic radius, nm; None where it is not known. Only the Born energy needs it.
    """

    valence: int = eqx.field(static=True)
    diffusivity: Float[Array, "*case"] | float
    radius: Float[Array, "*case"] | float | None = None


# Diffusivity at 25 °C and infinite dilution: CRC Handbook of Chemistry and Physics, "Ionic
# conductivity and diffusion at infinite dilution" (P. Vanýsek). Radius: Shannon (1976, Acta Cryst.
# A32:751), effective, coordination number 6; NH4, NO3 and HCO3: Marcus (1991, J. Chem. Soc.
# Faraday Trans. 87:2995).
BUILT_IN = {
    "Li": Ion(1, 1.029, 0.076),
    "Na": Ion(1, 1.334, 0.102),
    "K": Ion(1, 1.957, 0.138),
    "Rb": Ion(1, 2.072, 0.152),
    "Cs": Ion(1, 2.056, 0.167),
    "NH4": Ion(1, 1.957, 0.148),
    "Cl": Ion(-1, 2.032, 0.181),
    "Br": Ion(-1, 2.080, 0.196),
    "F": Ion(-1, 1.475, 0.133),
    "NO3": Ion(-1, 1.902, 0.179),
    "HCO3": Ion(-1, 1.185, 0.156),
    "Mg": Ion(2, 0.706, 0.072),
    "Ca": Ion(2, 0.792, 0.100),
    "Ba": Ion(2, 0.847, 0.135),
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
