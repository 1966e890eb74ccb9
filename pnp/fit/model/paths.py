"""The numbers of a channel that can be fitted, by the paths they have in its file.

`pore.charge.0.amount` is what the file calls so. A profile that is one number goes by its own path
(`pore.permittivity`), a table by its rows (`pore.pmf.Cl.1` is the value in row 1), and either as a whole by a factor
(`pore.radius.scale`). A channel that was built in Python has the same paths.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from pnp.channel.activity import Davies, Steric
from pnp.channel.channel import Channel
from pnp.channel.charge import Ring, Segment, VolumeCharge, WallCharge
from pnp.channel.profiles import ChannelError, Circle, Constant, Profile, Table
from pnp.io import quantity as q
from pnp.io.channel_file.reader import override, resolved

_LONG = 32  # rows of a table that are worth a path each


class Measure(NamedTuple):
    """How a kind of number is fitted.

    logarithmic: in its logarithm, so that it stays positive. reach: bounds unless others are given, as factors of the
    start if logarithmic, or else as they are. spread: by how much starts differ from the channel's own value, in the
    logarithm or in the unit; also the change that counts as large where the data leave a direction open.
    """

    quantity: q.Kind
    logarithmic: bool
    reach: tuple[float, float]
    spread: float

    @property
    def unit(self) -> str:
        """As people write it."""
        return self.quantity.unit.replace("^2", "²").replace("^3", "³")


def _positive(kind: q.Kind, factor: float, spread: float) -> Measure:
    return Measure(kind, True, (1 / factor, factor), float(np.log(spread)))


def _signed(kind: q.Kind, largest: float, spread: float) -> Measure:
    return Measure(kind, False, (-largest, largest), spread)


DIFFUSIVITY = _positive(q.DIFFUSIVITY, 1e3, 3.0)
FACTOR = _positive(q.NUMBER, 1e3, 3.0)
PERMITTIVITY = _positive(q.NUMBER, 30.0, 2.0)
LENGTH = _positive(q.LENGTH, 10.0, 1.5)
AREA = _positive(q.Kind("area", "nm^2"), 100.0, 2.0)
SCALE = _positive(q.NUMBER, 10.0, 1.5)
POSITION = _signed(q.LENGTH, 1e5, 0.2)
CHARGE = _signed(q.CHARGE, 100.0, 2.0)
CHARGE_DENSITY = _signed(q.CHARGE_DENSITY, 50.0, 1.0)
SURFACE_CHARGE = _signed(q.SURFACE_CHARGE, 2.0, 0.05)
ENERGY = _signed(q.ENERGY, 50.0, 3.0)
PERMEABILITY = _positive(q.Kind("permeability", "nm^3/ns"), 1e6, 10.0)
COUNT = _positive(q.NUMBER, 1e6, 3.0)


class Place(NamedTuple):
    """One number of a channel: what it is, and how a channel and a file's contents are given another."""

    path: str
    measure: Measure
    value: float
    put: Callable[[Channel, Any], Channel]
    """A copy of the channel with this number, which may be traced."""
    write: Callable[[dict, float], None]
    """The same in what `channel_file.resolved` gives."""


def places(channel: Channel) -> dict[str, Place]:
    """Every number of a channel that can be fitted, by its path."""
    found = [*_of_ions(channel), *_of_charges(channel), *_of_pore(channel), *_of_surroundings(channel)]
    return {place.path: place for place in found}


def find(known: dict[str, Place], path: str) -> Place:
    """The place of that path; KeyError with the nearest that there is."""
    if path in known:
        return known[path]
    rows = [p for p in known if p.startswith(f"{path}.")]
    if rows:
        raise KeyError(f"{path}: is a table; free {' or '.join(rows[-2:])} instead")
    first = path.partition(".")[0]
    if first in ("inside", "outside", "temperature"):
        raise KeyError(f"{path}: belongs to the measurement and is not fitted; give it with the data")
    raise KeyError(no_such(path, list(known)))


def no_such(path: str, known: Sequence[str]) -> str:
    """What to say of a path that is none of those known."""
    near = difflib.get_close_matches(path, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known[:6])} …"
    return f"{path}: the channel has no such number that can be fitted; {hint} (pnp fit CHANNEL --list shows all)"


def _leaf(path: str, measure: Measure, channel: Channel, where: Callable, write=None) -> Place:
    """A number that is a leaf of the channel."""
    put = lambda c, value: eqx.tree_at(where, c, jnp.asarray(value, float))
    return Place(path, measure, float(where(channel)), put, write or (lambda raw, v: override(raw, path, v)))


def _of_ions(channel: Channel) -> Iterator[Place]:
    for name in channel.ion_names:
        yield _leaf(f"ions.{name}.diffusivity", DIFFUSIVITY, channel, lambda c, n=name: c.ions[n].diffusivity)
        if channel.pore.born and channel.ions[name].radius is not None:
            yield _leaf(f"ions.{name}.radius", LENGTH, channel, lambda c, n=name: c.ions[n].radius)


_CHARGES: dict[type, dict[str, tuple[str, Measure]]] = {
    Ring: {"amount": ("amount", CHARGE), "position": ("position", POSITION), "width": ("width", LENGTH)},
    Segment: {"amount": ("amount", CHARGE)},
    VolumeCharge: {"density": ("density", CHARGE_DENSITY)},
    WallCharge: {"surface_density": ("density", SURFACE_CHARGE)},
}
"""Names in a file, attributes and measures of what can be fitted of each kind of charge."""


def _of_charges(channel: Channel) -> Iterator[Place]:
    segments = resolved(channel).get("pore", {}).get("segment", [])
    charged = [i for i, s in enumerate(segments) if s.get("charge")]
    own = len(channel.pore.charge) - len(charged)
    for i, charge in enumerate(channel.pore.charge):
        for name, (attribute, measure) in _CHARGES.get(type(charge), {}).items():
            path = f"pore.charge.{i}.{name}" if i < own else f"pore.segment.{charged[i - own]}.charge"
            where = lambda c, i=i, a=attribute: getattr(c.pore.charge[i], a)
            if isinstance(where(channel), Profile):
                yield from _of_profile(path, measure, channel, where)
            else:
                yield _leaf(path, measure, channel, where)


def _of_pore(channel: Channel) -> Iterator[Place]:
    pore = channel.pore
    yield from _of_profile("pore.diffusivity_factor", FACTOR, channel, lambda c: c.pore.diffusivity_factor)
    if resolved(channel).get("pore", {}).get("segment"):
        yield from _of_segments(channel)
        return
    if isinstance(pore.area, Circle):
        yield from _of_profile("pore.radius", LENGTH, channel, lambda c: c.pore.area.radius)
    else:
        yield from _of_profile("pore.area", AREA, channel, lambda c: c.pore.area)
    yield from _of_profile("pore.permittivity", PERMITTIVITY, channel, lambda c: c.pore.permittivity)
    for kind, measure in (("diffusivity", DIFFUSIVITY), ("pmf", ENERGY)):
        given = getattr(pore, kind)
        for name in channel.ion_names:
            if name in given:
                where = lambda c, k=kind, n=name: getattr(c.pore, k)[n]
                yield from _of_profile(f"pore.{kind}.{name}", measure, channel, where)
            elif kind == "pmf" or isinstance(pore.diffusivity_factor, Constant):
                yield _added(channel, kind, name, measure)


def _added(channel: Channel, kind: str, name: str, measure: Measure) -> Place:
    """A profile that the pore does not have of its own yet, as one number for all of it."""
    factor = channel.pore.diffusivity_factor
    value = 0.0 if kind == "pmf" else float(channel.ions[name].diffusivity) * float(getattr(factor, "value", 1.0))
    path = f"pore.{kind}.{name}"

    def put(channel, value):
        profiles = {**getattr(channel.pore, kind), name: Constant(jnp.asarray(value, float))}
        return eqx.tree_at(lambda c: c.pore, channel, dataclasses.replace(channel.pore, **{kind: profiles}))

    return Place(path, measure, value, put, lambda raw, v: override(raw, path, v))


def _of_profile(path: str, measure: Measure, channel: Channel, where: Callable) -> Iterator[Place]:
    profile = where(channel)
    number = isinstance(profile, Constant)
    if not isinstance(profile, Constant | Table):
        return  # a function of Python, or one turned round
    values = (lambda c: where(c).value) if number else (lambda c: where(c).y)
    own = values(channel)

    def write_scaled(raw: dict, factor: float):
        rows = float(own) * factor if number else np.column_stack([where(channel).x, own * factor]).tolist()
        override(raw, path, rows)

    def write_row(raw: dict, value: float, i: int):
        override(raw, f"{path}.{i}.1", value)

    if number:
        yield _leaf(path, measure, channel, values)
    elif own.size <= _LONG:
        for i in range(own.size):
            yield _row(f"{path}.{i}", measure, channel, values, (i,), functools.partial(write_row, i=i))
    scaled = lambda c, factor: eqx.tree_at(values, c, own * factor)
    yield Place(f"{path}.scale", SCALE if measure.logarithmic else FACTOR, 1.0, scaled, write_scaled)


def _row(path: str, measure: Measure, channel: Channel, values: Callable, rows: tuple[int, ...], write=None) -> Place:
    """Rows of a table that have one value."""
    put = lambda c, value: eqx.tree_at(values, c, values(c).at[np.array(rows)].set(value))
    value = float(values(channel)[rows[0]])
    return Place(path, measure, value, put, write or (lambda raw, v: override(raw, path, v)))


def _of_segments(channel: Channel) -> Iterator[Place]:
    """Of a pore made of segments, whose profiles are tables with two rows for each of them."""
    pore = channel.pore
    tables: dict[str, tuple[Measure, Callable]] = {"radius": (LENGTH, lambda c: c.pore.area.radius.y)}
    tables["permittivity"] = (PERMITTIVITY, lambda c: c.pore.permittivity.y)
    for kind, measure in (("diffusivity", DIFFUSIVITY), ("pmf", ENERGY)):
        for name in getattr(pore, kind):
            tables[f"{kind}.{name}"] = (measure, lambda c, k=kind, n=name: getattr(c.pore, k)[n].y)
    count = len(resolved(channel)["pore"]["segment"])
    for i in range(count):
        for name, (measure, values) in tables.items():
            yield _row(f"pore.segment.{i}.{name}", measure, channel, values, (2 * i, 2 * i + 1))
    for name, (measure, values) in tables.items():
        own = values(channel)

        def write(raw: dict, factor: float, name=name, own=own):
            for i in range(count):
                override(raw, f"pore.segment.{i}.{name}", float(own[2 * i]) * factor)

        def scaled(channel: Channel, factor, values=values, own=own):
            return eqx.tree_at(values, channel, own * factor)

        yield Place(f"pore.{name}.scale", SCALE if measure.logarithmic else FACTOR, 1.0, scaled, write)


def _of_surroundings(channel: Channel) -> Iterator[Place]:
    yield _leaf("reservoir.permittivity", PERMITTIVITY, channel, lambda c: c.bath_permittivity)
    yield _leaf("membrane.permittivity", PERMITTIVITY, channel, lambda c: c.membrane.permittivity)
    faces = [float(charge) for charge in channel.membrane.surface_charge]
    for i, side in enumerate(("inside", "outside")):

        def write(raw: dict, value: float, i=i):
            section = raw.setdefault("membrane", {})
            given = section.get("surface_charge")
            before = given if isinstance(given, dict) else dict(zip(("inside", "outside"), faces, strict=True))
            section["surface_charge"] = {**before, ("inside", "outside")[i]: value}

        path, where = f"membrane.surface_charge.{side}", lambda c, i=i: c.membrane.surface_charge[i]
        yield _leaf(path, SURFACE_CHARGE, channel, where, write)
    model = channel.activity_model
    if isinstance(model, Steric) and isinstance(model.size, dict):
        for name in model.size:
            yield _leaf(f"activity.size.{name}", LENGTH, channel, lambda c, n=name: c.activity_model.size[n])
    elif isinstance(model, Steric):
        yield _leaf("activity.size", LENGTH, channel, lambda c: c.activity_model.size)
    elif isinstance(model, Davies):
        yield _leaf("activity.slope", FACTOR, channel, lambda c: c.activity_model.slope)


def file_with(channel: Channel, values: dict[str, float]) -> dict[str, Any]:
    """The contents of the file a channel came from, with other numbers at these paths.

    Raises ChannelError if the channel came from no file.
    """
    raw = resolved(channel)
    if not raw:
        raise ChannelError(f"{channel.name} was built in Python, so there is no channel file to write it as")
    known = places(channel)
    for path, value in values.items():
        find(known, path).write(raw, float(value))
    return raw
