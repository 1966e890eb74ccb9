"""Values set by their path before a channel file is checked: what `--set` and `overrides` do.

A path is that of a key in the file, and any value that the file may hold there can be set, in place of what it
holds: `reservoir.kind`, `pore.radius` as a table, `pore.charge.0.amount`. The numbers of a channel that are no keys
have paths too (`pnp.channel.numbers`), and are put into the channel that the file makes:

- a number where the file has a table means a factor on it; so does `pore.radius.scale`;
- `pore.radius.3` is the value in row 3 of a table;
- `pore.radius.offset` is added to the radius;
- `density` of a segment that the file gives by its `amount`, and the other way round;
- one side of `membrane.surface_charge`.
"""

from collections.abc import Mapping
from typing import Any


def apply(raw: dict, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set what keys of a file can hold, in place; returns the values that are for the channel.

    Raises ValueError as `path: reason`.
    """
    rest = {}
    for path, value in values.items():
        try:
            if _is_key(raw, path.split("."), value):
                override(raw, path, value)
            else:
                rest[path] = value
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return rest


def override(raw: dict, path: str, value: Any) -> None:
    """Set what a file holds at a path, in place; ValueError if there can be nothing."""
    keys = path.split(".")
    place: Any = raw
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(place, list):
            if not key.isdecimal() or int(key) >= len(place):
                where = ".".join(keys[:depth])
                raise ValueError(f"{where} has no entry '{key}'; it has {len(place)}, counted from 0")
            index: Any = int(key)
        elif isinstance(place, dict):
            index = key
        else:
            raise ValueError(f"{'.'.join(keys[:depth])} is a value, so it has no '{key}'")
        if last:
            place[index] = value
        else:
            place = place.setdefault(index, {}) if isinstance(place, dict) else place[index]


def _is_key(raw: dict, keys: list[str], value: Any) -> bool:
    """Whether a path is that of a key of the file, not of a number that is derived from it."""
    if isinstance(value, bool | list | dict):
        return True
    *parents, last = keys
    parent, here = _at(raw, parents), _at(raw, keys)
    if last == "scale" or (last == "offset" and not isinstance(parent, dict)):
        return False
    if _is_table(here) or (_is_table(parent) and last.isdecimal()):
        return False
    if keys[0] == "pore" and isinstance(_at(raw, ["pore", "segment"]), list) and keys[1:2] != ["segment"]:
        return len(keys) > 1 and keys[1] not in ("radius", "permittivity", "diffusivity", "pmf")
    if parents[:2] == ["pore", "charge"] and last in ("amount", "density") and isinstance(parent, dict):
        return ({"amount": "density", "density": "amount"}[last]) not in parent
    return not (parents == ["membrane", "surface_charge"] and not isinstance(parent, dict))


def _at(raw: Any, keys: list[str]) -> Any:
    """What a file holds at a path, or None."""
    for key in keys:
        if isinstance(raw, dict):
            raw = raw.get(key)
        elif isinstance(raw, list) and key.isdecimal() and int(key) < len(raw):
            raw = raw[int(key)]
        else:
            return None
    return raw


def _is_table(value: Any) -> bool:
    """Whether this is a profile given by rows, or by a HOLE file."""
    rows = isinstance(value, list) and bool(value) and all(isinstance(row, list) for row in value)
    return rows or (isinstance(value, dict) and "hole" in value)
