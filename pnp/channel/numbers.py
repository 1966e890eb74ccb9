"""The numbers of a channel by their paths: one table for `Channel.value`, `with_values`, `--set` and `--free`.

A path is what a channel file has: `inside.K`, `pore.charge.0.amount`, `ions.Cl.diffusivity`. Of profiles,

- one number for the whole pore has the path of the profile, `pore.permittivity`;
- the rows of a table have paths of their own, `pore.radius.3` is the value in row 3;
- where the path of a profile names a table, it means a factor on all rows; `pore.radius.scale` always does.

Derived numbers follow from others by a rule: those factors, `pore.radius.offset`, the `density` of a segment that
was given by its `amount`, and the other way round. Channels built in Python have the same paths.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp

from pnp import quantity as q
from pnp import units
from pnp.channel.activity import Davies, Steric
from pnp.channel.channel_number import (
    ChannelNumber,
    Where,
    leaf,
    pair,
    profile_numbers,
    proportional,
    scale_factor,
    table_rows,
)
from pnp.channel.charge import Ring, Segment, VolumeCharge, WallCharge, window
from pnp.channel.diffusivity_law import Q10, Activated, AsGiven, DiffusivityLaw
from pnp.channel.integral import integral
from pnp.channel.profiles import Circle, Constant, Profile, Table
from pnp.theory.activity import debye_huckel_slope
from pnp.theory.water import water_permittivity
from pnp.tracing import is_traced

if TYPE_CHECKING:
    from pnp.channel.channel import Channel

SIDES = ("inside", "outside")
_MOLAR = units.MILLIMOLAR_PER_CHARGE_DENSITY / 1e3  # M in 1 e/nm³


def numbers(channel: "Channel") -> dict[str, ChannelNumber]:
    """Every number of a channel by its path, in the order in which several are put: derived ones come last.

    Which there are depends on the structure of the channel alone; its numbers may be traced.
    """
    table = [*_of_shape(channel), *_of_contents(channel), *_of_ions(channel), *_of_surroundings(channel)]
    return {number.path: number for number in (*table, *_of_charges(channel), *_of_densities(channel))}


# --- the pore -----------------------------------------------------------------------------------


def _of_shape(channel: "Channel") -> Iterator[ChannelNumber]:
    pore = channel.pore
    if pore.segments:
        yield from (_segment_length(i, pore.segments) for i in range(pore.segments))
        yield from _steps("radius", q.LENGTH, channel, lambda c: c.pore.area.radius)
    elif not isinstance(pore.area, Circle):
        yield from profile_numbers("pore.area", q.AREA, channel, lambda c: c.pore.area)
    else:
        if isinstance(pore.area.radius, Constant):
            get = lambda c: c.pore.end - c.pore.start
            yield ChannelNumber("pore.length", q.LENGTH, get, _put_length, "pore.length", smooth=False)
        yield from profile_numbers("pore.radius", q.LENGTH, channel, lambda c: c.pore.area.radius)
    if isinstance(pore.area, Circle) and isinstance(pore.area.radius, Constant | Table):
        name = "value" if isinstance(pore.area.radius, Constant) else "y"
        values = lambda c: getattr(c.pore.area.radius, name)
        put = lambda c, offset: eqx.tree_at(values, c, values(c) + offset)
        rule = "is added to pore.radius; 0 as it is"
        yield ChannelNumber("pore.radius.offset", q.OFFSET, lambda c: jnp.zeros(()), put, "pore.radius", rule)


def _of_contents(channel: "Channel") -> Iterator[ChannelNumber]:
    pore = channel.pore
    of_pore = _steps if pore.segments else _profile_of_pore
    if pore.permittivity is None:
        whole = _of_water("pore.permittivity", lambda c: c.pore.permittivity, Constant)
        by_factor = lambda c, factor: whole.put(c, factor * whole.get(c))
        rule = "multiplies pore.permittivity; 1 as it is"
        yield whole
        yield ChannelNumber("pore.permittivity.scale", q.SCALE, lambda c: jnp.ones(()), by_factor, whole.path, rule)
    else:
        yield from of_pore("permittivity", q.PERMITTIVITY, channel, lambda c: c.pore.permittivity)
    yield from profile_numbers("pore.diffusivity_factor", q.FACTOR, channel, lambda c: c.pore.diffusivity_factor)
    for field, kind in (("diffusivity", q.DIFFUSIVITY), ("pmf", q.ENERGY)):
        for name in channel.ion_names:
            if name in getattr(pore, field):
                yield from of_pore(f"{field}.{name}", kind, channel, lambda c, f=field, n=name: getattr(c.pore, f)[n])
            elif not pore.segments and (field == "pmf" or isinstance(pore.diffusivity_factor, Constant)):
                yield _added(field, name, kind)
            elif pore.segments and field == "pmf":
                yield from (_added_step(name, i) for i in range(pore.segments))


def _of_water(path: str, where: Where, given: Any) -> ChannelNumber:
    """A permittivity that is that of water until another is put, as `given` of its value."""

    def get(channel):
        own = where(channel)
        return water_permittivity(channel.temperature) if own is None else getattr(own, "value", own)

    put = lambda c, value: eqx.tree_at(where, c, given(value), is_leaf=lambda leaf: leaf is None)
    return ChannelNumber(path, q.PERMITTIVITY, get, put, path)


def _profile_of_pore(name: str, kind: q.Kind, channel: "Channel", where: Where):
    return profile_numbers(f"pore.{name}", kind, channel, where)


def _added(field: str, name: str, kind: q.Kind) -> ChannelNumber:
    """One number for all of the pore in place of a profile that it does not have yet."""

    def get(channel):
        own = getattr(channel.pore, field).get(name)
        if own is not None:
            return own.value
        if field == "pmf":
            return jnp.zeros(())
        return channel.ions[name].diffusivity_at(channel.temperature) * channel.pore.diffusivity_factor.value

    put = lambda c, value: _with_profile(c, field, name, Constant(value))
    return ChannelNumber(f"pore.{field}.{name}", kind, get, put, f"pore.{field}.{name}")


def _with_profile(channel: "Channel", field: str, name: str, profile: Profile) -> "Channel":
    changed: Any = {field: {**getattr(channel.pore, field), name: profile}}
    return eqx.tree_at(lambda c: c.pore, channel, dataclasses.replace(channel.pore, **changed))


def _put_length(channel: "Channel", length) -> "Channel":
    end, covering = channel.pore.start + length, _covering(channel)
    where = lambda c: (c.pore.end, *(c.pore.charge[i].end for i in covering))
    return eqx.tree_at(where, channel, (end, *(end for _ in covering)))


def _covering(channel: "Channel") -> list[int]:
    """Charges that cover the wall up to the outside mouth, wherever it is."""
    return [i for i, charge in enumerate(channel.pore.charge) if isinstance(charge, WallCharge) and charge.whole]


# --- a pore of segments, whose profiles are tables of two rows for each -----------------------------


def _steps(name: str, kind: q.Kind, channel: "Channel", where: Where):
    values = lambda c: where(c).y
    for i in range(channel.pore.segments):
        rows = slice(2 * i, 2 * i + 2)
        yield table_rows(f"pore.segment.{i}.{name}", kind, values, rows, f"pore.{name}.{i}")
    yield scale_factor(f"pore.{name}", kind, values, f"pore.{name}")
    yield scale_factor(f"pore.{name}.scale", kind, values, f"pore.{name}")


def _added_step(name: str, i: int) -> ChannelNumber:
    """The potential of mean force in one segment, of an ion that has none anywhere."""

    def put(channel, value):
        like = channel.pore.permittivity
        own = channel.pore.pmf.get(name, Table(like.x, jnp.zeros_like(like.y), like.node_index))
        return _with_profile(channel, "pmf", name, Table(own.x, own.y.at[2 * i : 2 * i + 2].set(value), own.node_index))

    get = lambda c: c.pore.pmf[name].y[2 * i] if name in c.pore.pmf else jnp.zeros(())
    return ChannelNumber(f"pore.segment.{i}.pmf.{name}", q.ENERGY, get, put, f"pore.pmf.{name}.{i}")


def _segment_length(i: int, count: int) -> ChannelNumber:
    """Moves all that comes after; other charges of the pore stay where they are."""

    def get(channel):
        x = channel.pore.area.radius.x
        return x[2 * i + 1] - x[2 * i]

    def put(channel, length):
        by_ion = [(kind, name) for kind in ("diffusivity", "pmf") for name in getattr(channel.pore, kind)]
        first, covering = len(channel.pore.charge) - count, _covering(channel)

        def moved(c) -> list[Any]:
            pore = c.pore
            tables = [pore.area.radius, pore.permittivity, *(getattr(pore, kind)[name] for kind, name in by_ion)]
            ends = [pore.charge[k].end for k in [*covering, *range(first + i, first + count)]]
            starts = [pore.charge[k].start for k in range(first + i + 1, first + count)]
            return [*(table.x for table in tables), *ends, *starts, pore.end]

        change = length - get(channel)
        shift = lambda x: x + change if x.ndim == 0 else x.at[2 * i + 1 :].add(change)
        return eqx.tree_at(moved, channel, [shift(x) for x in moved(channel)])

    path = f"pore.segment.{i}.length"
    return ChannelNumber(path, q.LENGTH, get, put, path, smooth=False)


# --- charges ------------------------------------------------------------------------------------


def _of_charges(channel: "Channel") -> Iterator[ChannelNumber]:
    own = len(channel.pore.charge) - channel.pore.segments
    for i, charge in enumerate(channel.pore.charge):
        if i >= own:
            yield leaf(f"pore.segment.{i - own}.charge", q.CHARGE, lambda c, i=i: c.pore.charge[i].amount)
            continue
        path, at = f"pore.charge.{i}", lambda name, i=i: lambda c: getattr(c.pore.charge[i], name)
        if isinstance(charge, Ring | Segment):
            yield leaf(f"{path}.amount", q.CHARGE, at("amount"))
        if isinstance(charge, Ring):
            yield leaf(f"{path}.position", q.POSITION, at("position"))
            yield leaf(f"{path}.width", q.LENGTH, at("width"))
        if isinstance(charge, VolumeCharge):
            yield from profile_numbers(f"{path}.density", q.CHARGE_DENSITY, channel, at("density"))
        if isinstance(charge, WallCharge):
            yield from profile_numbers(f"{path}.surface_density", q.SURFACE_CHARGE, channel, at("density"))
            yield leaf(f"{path}.start", q.POSITION, at("start"), smooth=False)
            put = functools.partial(_with_charge, i, "end", whole=False)
            yield ChannelNumber(f"{path}.end", q.POSITION, at("end"), put, f"{path}.end", smooth=False)
        if isinstance(charge, Segment | VolumeCharge):
            yield leaf(f"{path}.start", q.POSITION, at("start"), smooth=not charge.sharp)
            yield leaf(f"{path}.end", q.POSITION, at("end"), smooth=not charge.sharp)
            put = functools.partial(_put_edge, i)
            yield ChannelNumber(f"{path}.edge", q.LENGTH, at("edge"), put, f"{path}.edge", smooth=not charge.sharp)
        if charge.depth is not None:
            yield leaf(f"{path}.depth", q.LENGTH, at("depth"))


def _with_charge(i: int, name: str, channel: "Channel", value, **more: Any) -> "Channel":
    charges = list(channel.pore.charge)
    charges[i] = dataclasses.replace(charges[i], **{name: value}, **more)
    return eqx.tree_at(lambda c: c.pore.charge, channel, tuple(charges))


def _put_edge(i: int, channel: "Channel", value) -> "Channel":
    return _with_charge(i, "edge", channel, value, sharp=not is_traced(value) and float(value) == 0.0)


def _of_densities(channel: "Channel") -> Iterator[ChannelNumber]:
    """Of segments, the amount where the density is given, and the other way round."""
    for i, charge in enumerate(channel.pore.charge[: len(channel.pore.charge) - channel.pore.segments]):
        path = f"pore.charge.{i}"
        if isinstance(charge, Segment):
            stored = lambda c, i=i: c.pore.charge[i].amount
            per_volume = lambda c, i=i: _MOLAR / _charged_volume(c, i)
            rule = "amount over the volume of the pore between start and end, edges included"
            yield proportional(f"{path}.density", q.CHARGE_DENSITY, stored, per_volume, f"{path}.amount", rule)
        elif isinstance(charge, VolumeCharge) and isinstance(charge.density, Constant):
            stored = lambda c, i=i: c.pore.charge[i].density.value
            volume = lambda c, i=i: _charged_volume(c, i) / _MOLAR
            rule = "density times the volume of the pore between start and end, edges included"
            yield proportional(f"{path}.amount", q.CHARGE, stored, volume, f"{path}.density", rule)


def _charged_volume(channel: Any, i: int):
    """∫ A w dx of a segment, nm³; w is 1 between its edges."""
    return integral(channel, lambda x: channel.area(x) * window(x, channel.pore.charge[i]))


# --- ions and surroundings ------------------------------------------------------------------------


def _of_ions(channel: "Channel") -> Iterator[ChannelNumber]:
    for name in channel.ion_names:
        yield _bath_diffusivity(name)
        yield from _of_law(name, channel.ions[name].law)
        if channel.ions[name].radius is not None:
            yield leaf(f"ions.{name}.radius", q.LENGTH, lambda c, n=name: c.ions[n].radius)
        for side in SIDES:
            yield leaf(f"{side}.{name}", q.CONCENTRATION, lambda c, n=name, s=side: getattr(c, s)[n])


def _bath_diffusivity(name: str) -> ChannelNumber:
    """That at the channel's temperature. What is put in its place is as given, and does not follow the temperature."""
    path, where = f"ions.{name}.diffusivity", lambda c: [c.ions[name].diffusivity, c.ions[name].law]
    get = lambda c: c.ions[name].diffusivity_at(c.temperature)
    return ChannelNumber(path, q.DIFFUSIVITY, get, lambda c, value: eqx.tree_at(where, c, [value, AsGiven()]), path)


def _of_law(name: str, law: DiffusivityLaw) -> Iterator[ChannelNumber]:
    if isinstance(law, Q10):
        yield leaf(f"ions.{name}.q10", q.FACTOR, lambda c: c.ions[name].law.q10)
    if isinstance(law, Activated):
        path = f"ions.{name}.activation_energy"
        yield leaf(path, q.MOLAR_ENERGY, lambda c: c.ions[name].law.activation_energy)


def _of_surroundings(channel: "Channel") -> Iterator[ChannelNumber]:
    yield leaf("temperature", q.TEMPERATURE, lambda c: c.temperature)
    yield _of_water("reservoir.permittivity", lambda c: c.given_bath_permittivity, lambda value: value)
    if all(r.kind == "cone" for r in channel.reservoirs):
        both = lambda name: lambda c: [getattr(r, name) for r in c.reservoirs]
        yield pair("reservoir.length", q.LENGTH, both("length"), smooth=False)
        yield pair("reservoir.radius", q.LENGTH, both("radius"))
    yield leaf("membrane.permittivity", q.PERMITTIVITY, lambda c: c.membrane.permittivity)
    yield pair("membrane.surface_charge", q.SURFACE_CHARGE, lambda c: list(c.membrane.surface_charge))
    for i, side in enumerate(SIDES):
        where = lambda c, i=i: c.membrane.surface_charge[i]
        yield leaf(f"membrane.surface_charge.{side}", q.SURFACE_CHARGE, where)
        if channel.membrane.charged_within[i] is not None:
            within = lambda c, i=i: c.membrane.charged_within[i]
            yield leaf(f"membrane.charged_within.{side}", q.LENGTH, within)
    yield from _of_activity(channel)


def _of_activity(channel: "Channel") -> Iterator[ChannelNumber]:
    model = channel.activity_model
    if isinstance(model, Steric):
        if isinstance(model.size, dict):
            for name in model.size:
                yield leaf(f"activity.size.{name}", q.LENGTH, lambda c, n=name: c.activity_model.size[n])
        else:
            yield leaf("activity.size", q.LENGTH, lambda c: c.activity_model.size)
        if model.solvent is not None:
            yield leaf("activity.solvent", q.LENGTH, lambda c: c.activity_model.solvent)
    if isinstance(model, Davies):
        yield ChannelNumber("activity.slope", q.DAVIES_SLOPE, _davies_slope, _put_slope, "activity.slope")
        yield leaf("activity.coefficient", q.NUMBER, lambda c: c.activity_model.coefficient)


def _davies_slope(channel: Any):
    """As given, or that of Debye and Hückel."""
    own = channel.activity_model.slope
    return debye_huckel_slope(channel.bath_permittivity, channel.temperature) if own is None else own


def _put_slope(channel: Any, value) -> "Channel":
    return eqx.tree_at(lambda c: c.activity_model.slope, channel, value, is_leaf=lambda leaf: leaf is None)
