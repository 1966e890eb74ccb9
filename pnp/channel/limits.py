"""Limits of what a channel may hold: beyond them the equations, or the numbers that solve them, mean nothing."""

TEMPERATURES = (200.0, 500.0)
"""K: the range in which aqueous electrolytes are taken to exist."""

MAX_POSITION_ENERGY = 300.0
"""kT: largest |potential of mean force|, and what a Born energy is cut to. An ion that is kept out by 40 kT carries
no current already; at 700 kT its concentration underflows to zero, and its chemical potential is undefined."""

STEEPEST_WALL = 20.0
"""Largest |dR/dx| of the wall: in two dimensions the mesh follows it, and would fold beyond."""
