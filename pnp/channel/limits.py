"""Limits of what a channel may hold: beyond them the equations, or the numbers that solve them, mean nothing."""

TEMPERATURES = (200.0, 500.0)
"""K: the range in which aqueous electrolytes are taken to exist."""

MAX_POSITION_ENERGY = 300.0
"""kT: largest |potential of mean force|, and what a Born energy is cut to. An ion that is kept out by 40 kT carries
no current already; at 700 kT its concentration underflows to zero, and its chemical potential is undefined."""

LARGEST = {
    "concentration": 1e5,  # mM
    "length": 1e9,  # nm, of pores and radii: 1 m
    "permittivity": 1e6,
    "diffusivity": 1e12,  # nm²/ns; that of H⁺ in water is 9.3, and a stirred layer may be given as fast as one likes
    "factor": 1e12,
    "charge": 1e9,  # e
    "charge density": 1e4,  # M
    "surface charge": 1e3,  # C/m²
}
"""What no number of a channel exceeds that means something; the solver's arithmetic would overflow far beyond."""
