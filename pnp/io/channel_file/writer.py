"""From a `Channel` to the contents of a channel file, by the channel's own numbers; `builder` goes the other way.

A channel that a file can describe is the same again, to the last bit, when its contents are read. What no file can
describe is written all the same, for the record of a result: functions as samples, reservoirs by their side.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from pnp.channel.activity import ActivityModel, Davies, Ideal, Steric
from pnp.channel.channel import Channel
from pnp.channel.charge import Charge, Ring, Segment, VolumeCharge, WallCharge
from pnp.channel.diffusivity_law import DiffusivityLaw, Walden
from pnp.channel.ions import Ion
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, Profile, Table
from pnp.io.channel_file.schema import ChannelFile, PoreSection, PoreSegment, ReservoirSection

SAMPLES = 401
"""Points, evenly spaced from mouth to mouth, at which a function is written down."""


def contents(channel: Channel) -> dict[str, Any]:
    """What a channel file of this channel holds, as plain data in the units of `pnp.units`.

    - channel: with known numbers, and not stacked.

    What a file may leave out is left out where it has its default, except for the numbers of the ions.
    """
    defaults = {name: field.default for name, field in ChannelFile.model_fields.items()}
    texts = {"name": channel.name, "description": channel.description, "validity": channel.validity}
    written = {
        **texts,
        "temperature": float(channel.temperature),
        "inside": {name: float(channel.inside[name]) for name in channel.ion_names},
        "outside": {name: float(channel.outside[name]) for name in channel.ion_names},
        "ions": {name: _ion(channel.ions[name]) for name in channel.ion_names},
        "pore": _segments(channel.pore) or _pore(channel.pore),
        "reservoir": _reservoirs(channel.reservoirs, channel.given_bath_permittivity),
        "membrane": _membrane(channel.membrane),
        "activity": _activity(channel.activity_model),
    }
    return {key: value for key, value in written.items() if value not in ({}, defaults[key])}


def toml_text(written: dict[str, Any]) -> str:
    """Contents as the text of a channel file, the rows of tables one on a line."""
    import tomli_w

    return re.sub(r"\[\s+([^\s\[\],]+),\s+([^\s\[\],]+),\s+\]", r"[\1, \2]", tomli_w.dumps(written))


def _without(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}


def _ion(ion: Ion) -> dict[str, Any]:
    radius = {} if ion.radius is None else {"radius": float(ion.radius)}
    return {"valence": ion.valence, "diffusivity": float(ion.diffusivity)} | radius | _law(ion.law)


def _law(law: DiffusivityLaw) -> dict[str, Any]:
    """How the diffusivity follows the temperature."""
    if isinstance(law, Walden):
        return {"temperature_law": "walden"}
    return {field.name: float(getattr(law, field.name)) for field in dataclasses.fields(law)}


def _profile(profile: Profile, pore: Pore) -> Any:
    """A number, rows [x, value], or a record of samples."""
    if isinstance(profile, Constant):
        return float(profile.value)
    if isinstance(profile, Table):
        return np.column_stack([profile.x, profile.y]).tolist()
    return _sampled(profile, pore, "a function")


def _sampled(function: Callable, pore: Pore, of: str) -> dict[str, Any]:
    x = np.linspace(float(pore.start), float(pore.end), SAMPLES)
    rows = np.column_stack([x, np.asarray(function(jnp.asarray(x)))])
    return {"origin": f"sampled from {of} at {SAMPLES} points", "table": rows.tolist()}


# --- the pore -----------------------------------------------------------------------------------


def _pore(pore: Pore) -> dict[str, Any]:
    start, end = float(pore.start), float(pore.end)
    name, shape = ("radius", pore.area.radius) if isinstance(pore.area, Circle) else ("area", pore.area)
    own = _profile(shape, pore)
    covers = isinstance(own, list) and (own[0][0], own[-1][0]) == (start, end)
    written = {
        "start": start,
        **({} if covers else {"length": _difference(start, end)}),
        name: own,
        **({} if pore.permittivity is None else {"permittivity": _profile(pore.permittivity, pore)}),
        "diffusivity": {k: _profile(p, pore) for k, p in pore.diffusivity.items()},
        **_common(pore, pore.charge),
        "pmf": {k: _profile(p, pore) for k, p in pore.pmf.items()},
    }
    return _without(written, {k: field.default for k, field in PoreSection.model_fields.items()})


def _common(pore: Pore, charges: tuple[Charge, ...]) -> dict[str, Any]:
    return {
        "diffusivity_factor": _profile(pore.diffusivity_factor, pore),
        "born": pore.born,
        "charge": [_charge(c, pore) for c in charges],
    }


def _segments(pore: Pore) -> dict[str, Any] | None:
    """A pore of segments, as long as its tables and charges are still those of segments."""
    count = pore.segments
    if not count:
        return None
    tables = {"radius": pore.area.radius, "permittivity": pore.permittivity}  # type: ignore[attr-defined]
    tables |= {f"diffusivity.{k}": p for k, p in pore.diffusivity.items()}
    tables |= {f"pmf.{k}": p for k, p in pore.pmf.items()}
    own = pore.charge[len(pore.charge) - count :]
    edges = np.append(np.asarray(tables["radius"].x)[::2], float(pore.end))
    x = np.repeat(edges, 2)[1:-1]
    steps = all(np.array_equal(t.x, x) and np.array_equal(t.y[::2], t.y[1::2]) for t in tables.values())
    placed = all(
        isinstance(c, Segment) and c.sharp and (float(c.start), float(c.end)) == (a, b)
        for c, a, b in zip(own, edges[:-1], edges[1:], strict=True)
    )
    if not (steps and placed and edges[0] == float(pore.start) == 0.0):
        return None
    pieces: list[dict[str, Any]] = []
    for i, charge in enumerate(own):
        values = {name: float(table.y[2 * i]) for name, table in tables.items()}
        by_ion = {kind: {k: values[f"{kind}.{k}"] for k in getattr(pore, kind)} for kind in ("diffusivity", "pmf")}
        piece = {"length": _difference(edges[i], edges[i + 1]), "radius": values["radius"]}
        more = {"permittivity": values["permittivity"], **by_ion, "charge": float(charge.amount)}  # type: ignore
        pieces.append({**piece, **_without(more, {k: f.default for k, f in PoreSegment.model_fields.items()})})
    common = _common(pore, pore.charge[: len(pore.charge) - count])
    defaults = {k: field.default for k, field in PoreSection.model_fields.items()}
    return {**_without(common, defaults), "segment": pieces}


def _difference(first: float, last: float) -> float:
    """The length of fewest digits to which `first + length == last` in floating point."""
    length = float(last) - float(first)
    shortest = float(f"{length:.12g}")
    candidates = [shortest, length, np.nextafter(length, np.inf), np.nextafter(length, -np.inf)]
    return float(next((each for each in candidates if first + each == last), length))


def _charge(charge: Charge, pore: Pore) -> dict[str, Any]:
    number = lambda name: float(getattr(charge, name))
    if isinstance(charge, WallCharge):
        ends = {"start": number("start"), "end": number("end")}
        written = {"kind": "wall", "surface_density": _profile(charge.density, pore), **ends}
        follows = {"end": float(pore.end)} if charge.whole else {}
        written |= {"steps": True} if charge.steps else {}
        return _without(written, {"start": float(pore.start), **follows})
    if isinstance(charge, Ring):
        written = {"kind": "ring", **{name: number(name) for name in ("amount", "position", "width")}}
    elif isinstance(charge, Segment | VolumeCharge):
        amount: dict[str, Any] = (
            {"amount": number("amount")} if isinstance(charge, Segment) else {"density": _profile(charge.density, pore)}
        )
        written = {"kind": "segment", **amount, "start": number("start"), "end": number("end")}
        written |= {} if charge.sharp else {"edge": number("edge")}
    else:
        line = lambda x: charge.line_density(x, pore.area(x), pore.wall_area(x))
        return {"kind": type(charge).__name__, "line_density": _sampled(line, pore, "charge per length (e/nm)")}
    return {**written, **({} if charge.depth is None else {"depth": number("depth")})}


# --- its surroundings ---------------------------------------------------------------------------


def _reservoirs(reservoirs: tuple[Reservoir, Reservoir], permittivity) -> dict[str, Any]:
    given = {} if permittivity is None else {"permittivity": float(permittivity)}
    inside, outside = ({"kind": r.kind, **_size(r)} for r in reservoirs)
    if inside == outside:
        defaults = {k: field.default for k, field in ReservoirSection.model_fields.items()}
        return _without({**inside, **given}, defaults)
    return {"inside": inside, "outside": outside, **given}


def _size(reservoir: Reservoir) -> dict[str, Any]:
    given = {"length": reservoir.length, "radius": reservoir.radius}
    side = {"side": "bath"} if reservoir.side == "bath" else {}
    return {name: float(value) for name, value in given.items() if value is not None} | side


def _reach(membrane: Membrane) -> dict[str, Any]:
    """How far from the mouths the faces are charged."""
    reaches = zip(("inside", "outside"), membrane.charged_within, strict=True)
    given = {side: float(reach) for side, reach in reaches if reach is not None}
    return {"charged_within": given} if given else {}


def _membrane(membrane: Membrane) -> dict[str, Any]:
    inside, outside = (float(charge) for charge in membrane.surface_charge)
    charge: Any = inside if inside == outside else {"inside": inside, "outside": outside}
    written = {"permittivity": float(membrane.permittivity), "surface_charge": charge} | _reach(membrane)
    return _without(written, {"permittivity": Membrane().permittivity, "surface_charge": 0.0})


def _activity(model: ActivityModel) -> dict[str, Any]:
    if isinstance(model, Ideal):
        return {}
    if isinstance(model, Steric):
        sizes = model.size
        size: Any = {k: float(a) for k, a in sizes.items()} if isinstance(sizes, dict) else float(sizes)  # type: ignore
        return {"model": "steric", "size": size} | _given(model, "solvent")
    if isinstance(model, Davies):
        default = {"coefficient": Davies().coefficient}
        return {"model": "davies"} | _without(_given(model, "slope", "coefficient"), default)
    return {"model": type(model).__name__}


def _given(model: ActivityModel, *names: str) -> dict[str, float]:
    return {name: float(getattr(model, name)) for name in names if getattr(model, name) is not None}
