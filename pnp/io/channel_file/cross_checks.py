"""Checks of a channel file that span its sections: neutrality, ions that are not there, positions."""

import difflib
from collections.abc import Mapping
from typing import Any

from pnp.channel.ions import BUILT_IN
from pnp.channel.validate import bath_problem
from pnp.io.channel_file.messages import unknown_key
from pnp.io.channel_file.schema import MAX_IONS, IonSection, PoreSection, WallSection


def ion_names(*baths: Mapping[str, float]) -> list[str]:
    """The ions of the baths, in the order of their first appearance."""
    return list(dict.fromkeys(name for bath in baths for name in bath))


def across(sound: Mapping[str, Any]) -> list[str]:
    """What is wrong between the sections that are sound by themselves, each as `path: reason`."""
    baths = {side: sound[side] for side in ("inside", "outside") if side in sound}
    declared = sound.get("ions")
    names = ion_names(*baths.values())
    mistakes = []
    if len(names) > MAX_IONS:
        return [f"inside, outside: at most {MAX_IONS} ions, not {len(names)}"]
    if declared is not None:
        for name in names:
            side = next(side for side, bath in baths.items() if name in bath)
            mistakes += _undeclared(name, declared.get(name), side)
        if len(baths) == 2:
            mistakes += [
                f"ions.{n}: is in neither bath; give it a concentration, or 0" for n in declared if n not in names
            ]
        for side, bath in baths.items():
            if all(not _undeclared(n, declared.get(n), side) for n in bath):
                valence = {n: _valence(n, declared.get(n)) for n in bath}
                problem = bath_problem(bath, valence)
                mistakes += [f"{side}: {problem}"] if problem else []
    pore = sound.get("pore")
    if pore is not None:
        mistakes += _misplaced(pore)
        if len(baths) == 2:
            mistakes += [f"{where}: {unknown_key(n, names, 'ion')}" for where, n in _ions_named(pore) if n not in names]
    sizes = getattr(sound.get("activity"), "size", None)
    if len(baths) == 2 and isinstance(sizes, dict):
        mistakes += [f"activity.size.{n}: {unknown_key(n, names, 'ion')}" for n in sizes if n not in names]
    return mistakes


def _undeclared(name: str, section: IonSection | None, side: str) -> list[str]:
    if name in BUILT_IN:
        return []
    missing = [k for k in ("valence", "diffusivity") if section is None or getattr(section, k) is None]
    if not missing:
        return []
    near = difflib.get_close_matches(name, BUILT_IN, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? Otherwise " if near else ""
    path = f"{side if section is None else 'ions'}.{name}"
    return [
        f"{path}: is not a built-in ion ({', '.join(BUILT_IN)}); {hint}give its {' and '.join(missing)} "
        f"under [ions.{name}]"
    ]


def _valence(name: str, section: IonSection | None) -> int:
    given = section.valence if section else None
    return BUILT_IN[name].valence if given is None else given


def _misplaced(pore: PoreSection) -> list[str]:
    first, last, mistakes = pore.start, pore.end, []
    outside = f"outside the pore ({first:g} to {last:g} nm)"
    within = lambda x: first - 1e-9 <= x <= last + 1e-9
    for i, charge in enumerate(pore.charge):
        for key in ("position", "start", "end"):
            at = getattr(charge, key, None)
            if at is not None and not within(at):
                mistakes.append(f"pore.charge.{i}.{key}: {at:g} nm is {outside}")
        for key in ("density", "surface_density"):
            given = getattr(charge, key, None)
            beyond = [(row, x) for row, (x, _) in enumerate(given if isinstance(given, list) else []) if not within(x)]
            mistakes += [f"pore.charge.{i}.{key}: row {row}: {at:g} nm is {outside}" for row, at in beyond[:1]]
        if isinstance(charge, WallSection):
            start = first if charge.start is None else charge.start
            end = last if charge.end is None else charge.end
            if end <= start:
                mistakes.append(f"pore.charge.{i}.end: {end:g} nm must lie after start, {start:g} nm")
    return mistakes


def _ions_named(pore: PoreSection) -> list[tuple[str, str]]:
    places = [("pore.diffusivity", pore.diffusivity), ("pore.pmf", pore.pmf)]
    for i, segment in enumerate(pore.segment):
        places += [
            (f"pore.segment.{i}.diffusivity", segment.diffusivity),
            (f"pore.segment.{i}.pmf", segment.pmf),
        ]
    return [(f"{where}.{name}", name) for where, named in places for name in named]
