"""Mistakes in channel files as messages: pydantic's errors in plain words, with their path in the file."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from pnp import quantity as q

CHARGES = ("ring", "segment", "wall")
"""Kinds of charge."""


class BelowError(ValueError):
    """A mistake at a key below the section that found it."""

    def __init__(self, *keys: str | int, reason: str):
        super().__init__(reason)
        self.keys = keys


def mistake(section: str, error: Any, given: Any, known_keys: Callable[[tuple, list[str]], list[str]]) -> str:
    """One pydantic error as `path: what is wrong`.

    - section: the key of the section, of which `given` was read.
    - error: one of pydantic's.
    - known_keys: gives the keys that may stand at a location, pydantic's and that of the file.
    """
    keys, place = [section], given
    for part in error["loc"]:
        # pydantic names the member of a union in the path; a file has no such key
        if isinstance(place, dict) and part not in place and error["type"] not in ("missing", "extra_forbidden"):
            continue
        if isinstance(place, dict) and part not in place and part in CHARGES:
            continue
        keys.append(str(part))
        place = place[part] if isinstance(place, dict | list) and _has(place, part) else None
    reason = reason_of(error, keys, known_keys(error["loc"], keys))
    if error["type"].startswith("union_tag"):
        keys.append("kind")
    elif isinstance(at := error.get("ctx", {}).get("error"), BelowError):
        keys += map(str, at.keys)
    return f"{'.'.join(keys)}: {reason}"


def _has(place: Any, key: Any) -> bool:
    return key in place if isinstance(place, dict) else isinstance(key, int) and key < len(place)


_EXPECTED = {
    "dict_type": "a table of key = value",
    "model_type": "a table of key = value",
    "model_attributes_type": "a table of key = value",
    "list_type": "a list of tables, each headed [[{}]]",
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false",
}


def reason_of(error: Any, keys: Sequence[str] = (), known: Sequence[str] = ()) -> str:
    """What one pydantic error means, in words.

    - keys: its path. known: keys that may stand there.
    """
    kind, given = error["type"], error.get("input")
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "extra_forbidden":
        return unknown_key(str(error["loc"][-1]), known)
    if kind == "missing":
        return "is missing"
    if kind == "union_tag_invalid":
        return f"must be one of {error['ctx']['expected_tags']}, not '{error['ctx']['tag']}'"
    if kind == "union_tag_not_found":
        return f"is missing: one of {', '.join(map(repr, CHARGES))}"
    if kind == "too_long":
        return f"may hold at most {error['ctx']['max_length']} entries, not {len(given)}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind].format('.'.join(keys))}, not {q.shown(given)}"
    return f"{error['msg'].replace('Input should', 'must')}, not {q.shown(given)}"


def unknown_key(key: str, known: Sequence[str], what: str = "key") -> str:
    """The message for an unknown key: the nearest known one, and all of them."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"unknown {what}; {f'did you mean {near[0]}? ' if near else ''}known are {', '.join(known)}"
