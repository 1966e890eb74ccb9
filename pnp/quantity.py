"""Numbers as people type them: a plain one is in the unit of its kind, a string carries its own unit.

This is the only place where units are parsed. pint, which does it, is imported when the first string
with a unit is met, so that the solver runs without it.
"""

import functools
import math
import re
from numbers import Real
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pnp import units


class Kind(NamedTuple):
    """A kind of number: what it is called, and the unit in which the package keeps it ("" for none)."""

    name: str
    unit: str


LENGTH = Kind("length", "nm")
POSITION = Kind("position", "nm")
AREA = Kind("area", "nm^2")
CONCENTRATION = Kind("concentration", "mM")
DIFFUSIVITY = Kind("diffusivity", "nm^2/ns")
POTENTIAL = Kind("voltage", "mV")
TEMPERATURE = Kind("temperature", "K")
CHARGE = Kind("charge", "e")
CHARGE_DENSITY = Kind("fixed volume charge", "M")
SURFACE_CHARGE = Kind("surface charge", "C/m^2")
ENERGY = Kind("energy", "kT")
MOLAR_ENERGY = Kind("molar energy", "kJ/mol")
PERMITTIVITY = Kind("relative permittivity", "")
FACTOR = Kind("factor", "")
SCALE = Kind("scale", "")
OFFSET = Kind("offset", "nm")
DAVIES_SLOPE = Kind("slope of Davies' equation", "")
NUMBER = Kind("number", "")

_EXAMPLES = {
    LENGTH: "2 Å",
    POSITION: "2 Å",
    OFFSET: "-1.4 Å",
    AREA: "30 Å^2",
    CONCENTRATION: "0.1 M",
    DIFFUSIVITY: "1.33e-9 m^2/s",
    POTENTIAL: "-0.1 V",
    TEMPERATURE: "25 degC",
    CHARGE: "-1 e",
    CHARGE_DENSITY: "-0.5 M",
    SURFACE_CHARGE: "-20 mC/m^2",
    ENERGY: "10 kJ/mol",
    MOLAR_ENERGY: "17 kJ/mol",
}

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# Names with powers of one digit and nothing else: pint would try to compute 9**9**9.
_FACTOR = r"[A-Za-zµμÅ°%]+(?:(?:\^|\*\*)[-+]?\d|⁻?[¹²³])?"
_UNIT = rf"{_FACTOR}(?:(?:\s*[*/]\s*|\s+){_FACTOR})*"
_TEXT = re.compile(rf"\s*({_NUMBER})\s*({_UNIT})?\s*")


def parse_quantity(value: Any, kind: Kind, temperature: float = units.ROOM_TEMPERATURE) -> float:
    """A number or a string with its unit, such as "0.1 M" or "-20 mC/m^2", as a float in the unit of `kind`.

    - value: a number, taken to be in that unit, or a string of a number and a unit.
    - kind: what is expected.
    - temperature: K, converts kJ/mol to kT.

    Raises ValueError, which names the value, the unit found and the unit expected.
    """
    expected = f"a number in {kind.unit}" if kind.unit else "a plain number"
    if isinstance(value, bool) or not isinstance(value, Real | str):
        raise ValueError(f"expected {expected} or a string with its unit, not {shown(value)}")
    if isinstance(value, str):
        match = _TEXT.fullmatch(value[:64])
        if not match or len(value) > 64:
            raise ValueError(f'expected {expected} or a string such as "{example(kind)}", not {shown(value)}')
        text, unit = match[1], match[2]
        result = float(text) if unit is None else _convert(float(text), unit, kind, temperature, value)
    else:
        try:
            result = float(value)
        except OverflowError:  # a whole number beyond 1e308
            result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"must be finite, not {shown(value)}")
    return result


def as_array(value: Any, kind: Kind, temperature: float = units.ROOM_TEMPERATURE) -> Array:
    """Numbers of one `kind` as a float array in its unit, whatever they come as.

    - value: a number, a string with its unit, a list of either, or an array, which JAX may trace.
    - kind, temperature: as in `parse_quantity`.

    Raises ValueError.
    """
    if isinstance(value, str):
        value = parse_quantity(value, kind, temperature)
    elif isinstance(value, list | tuple) and any(isinstance(each, str) for each in value):
        value = np.array([parse_quantity(each, kind, temperature) for each in value])
    return jnp.asarray(value, float)


def as_millivolts(value: Any) -> Array:
    """Voltages in mV from numbers, which are in mV, or strings with their unit: 100.0, "0.1 V", ["-100 mV", 50]."""
    return as_array(value, POTENTIAL)


def _convert(number: float, unit: str, kind: Kind, temperature: float, text: str) -> float:
    if kind == ENERGY and unit == "kT":
        return number
    if not kind.unit:
        raise ValueError(f"expected a plain number without a unit, not {shown(text)}")
    import pint

    registry = _registry()
    wrong = f"{shown(text)} is not a {kind.name}: expected {kind.unit} or a unit convertible to it"
    try:
        quantity = registry.Quantity(number, registry.parse_units(unit))
        if kind == ENERGY:
            joule_per_mol = registry.Unit("J/mol")
            if quantity.check("[energy]"):
                quantity = quantity * registry.Quantity(units.AVOGADRO, "1/mol")
            return quantity.to(joule_per_mol).magnitude / (units.GAS_CONSTANT * temperature)
        if kind == CHARGE_DENSITY and quantity.check("[current] * [time] / [length]**3"):
            quantity = quantity / registry.Quantity(units.FARADAY, "C/mol")
        return quantity.to(kind.unit).magnitude
    except pint.DimensionalityError as error:
        raise ValueError(wrong) from error
    except (pint.UndefinedUnitError, pint.DefinitionSyntaxError, AttributeError) as error:
        raise ValueError(f"{shown(text)}: the unit '{unit}' is not known; expected {kind.unit}") from error
    except Exception as error:  # pint's parser raises many types on nonsense, all of them bad input
        raise ValueError(wrong) from error


@functools.cache
def _registry():
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def example(kind: Kind) -> str:
    """A string that is a number of this kind."""
    return _EXAMPLES.get(kind, "1.0")


def shown(value: Any) -> str:
    """A value as an error message quotes it, cut short."""
    too_large = f"a {type(value).__name__} too large to show"
    try:
        text = too_large if _is_nested(value, 100) else repr(value)
    except ValueError:  # a number of thousands of digits
        text = too_large
    return text if len(text) <= 60 else f"{text[:57]}…"


def _is_nested(value: Any, depth: int) -> bool:
    """Whether tables and lists are nested deeper than `depth`; how deep `repr` can go depends on Python's version."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(depth == 0 or _is_nested(part, depth - 1) for part in parts)
