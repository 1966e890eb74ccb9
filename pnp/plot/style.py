"""Colours, line styles and names of ions, shared by all pictures."""

from typing import Any

from pnp.channel.ions import BUILT_IN

TOTAL = "#1a1a1a"
IONS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7570b3"]
GUIDE = "#8a8a8a"
MEMBRANE = "#d9d2c5"
DASHED: Any = (0, (5, 3))
STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def color(index: int) -> str:
    """Colour of the ion of this index."""
    return IONS[index % len(IONS)]


_CHARGE = {1: "⁺", 2: "²⁺", 3: "³⁺", -1: "⁻", -2: "²⁻", -3: "³⁻", 0: ""}
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def pretty(name: str) -> str:
    """K as K⁺ and NH4 as NH₄⁺, for the built-in ions; other names as they are."""
    return name.translate(_SUBSCRIPT) + _CHARGE[BUILT_IN[name].valence] if name in BUILT_IN else name
