"""From the checked contents of a channel file to the `Channel` they describe; `writer` goes the other way."""

from typing import Any

import numpy as np

from pnp.channel.activity import ActivityModel, Davies, Ideal, Steric
from pnp.channel.channel import Channel
from pnp.channel.charge import Charge, Ring, Segment, VolumeCharge, WallCharge
from pnp.channel.diffusivity_law import Q10, Activated, AsGiven, Walden
from pnp.channel.ions import BUILT_IN, Ion
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, Profile, Table
from pnp.io.channel_file.cross_checks import ion_names
from pnp.io.channel_file.fields import Faces, Reaches
from pnp.io.channel_file.schema import (
    ActivitySection,
    ChannelFile,
    IonSection,
    MembraneSection,
    PoreSection,
    ReservoirSection,
    RingSection,
    WallSection,
)
from pnp.theory.water import water_permittivity


def build(file: ChannelFile) -> Channel:
    """The Channel that a checked file describes. Raises ChannelError if its numbers do not fit together."""
    return Channel(
        ions={name: _ion(name, file.ions.get(name)) for name in ion_names(file.inside, file.outside)},
        pore=_pore_of_segments(file.pore, file.temperature) if file.pore.segment else _pore(file.pore),
        inside=file.inside,
        outside=file.outside,
        temperature=file.temperature,
        reservoirs=(_reservoir(file.reservoir),) * 2,
        bath_permittivity=file.reservoir.permittivity,
        name=file.name,
        activity_model=_activity_model(file.activity),
        membrane=_membrane(file.membrane),
        description=file.description,
        validity=file.validity,
    )


def _ion(name: str, section: IonSection | None) -> Ion:
    known = BUILT_IN.get(name)
    given = section.model_dump(exclude_none=True) if section else {}
    base = {} if known is None else {k: getattr(known, k) for k in ("valence", "diffusivity", "radius", "law")}
    if "diffusivity" in given:
        base["law"] = AsGiven()
    for key, law in (("q10", Q10), ("activation_energy", Activated), ("temperature_law", lambda _: Walden())):
        if key in given:
            base["law"] = law(given.pop(key))
    return Ion(**{**base, **given})


def _profile(value: Any) -> Profile:
    """Of a number, or of rows [x, value]."""
    return Constant(value) if isinstance(value, float) else Table(*np.array(value).T)


def _pore(section: PoreSection) -> Pore:
    return Pore(
        start=section.start,
        end=section.end,
        area=Circle(_profile(section.radius)) if section.area is None else _profile(section.area),
        permittivity=None if section.permittivity is None else _profile(section.permittivity),
        charge=tuple(_charge(c, section) for c in section.charge),
        diffusivity={k: _profile(v) for k, v in section.diffusivity.items()},
        diffusivity_factor=_profile(section.diffusivity_factor),
        pmf={k: _profile(v) for k, v in section.pmf.items()},
        born=section.born,
    )


def _pore_of_segments(section: PoreSection, temperature: float) -> Pore:
    """Its profiles are steps, with two rows for each segment, and each segment has a charge of its own. A permittivity
    that is not given is that of water at the file's temperature."""
    pieces, water = section.segment, float(water_permittivity(temperature))
    edges = np.concatenate([[0.0], np.cumsum([s.length for s in pieces])])
    steps = lambda values: Table(np.repeat(edges, 2)[1:-1], np.repeat(values, 2))
    named = lambda kind: dict.fromkeys(n for s in pieces for n in getattr(s, kind))
    own = (Segment(s.charge, float(a), float(b)) for s, a, b in zip(pieces, edges[:-1], edges[1:], strict=True))
    return Pore(
        start=0.0,
        end=float(edges[-1]),
        area=Circle(steps([s.radius for s in pieces])),
        permittivity=steps([water if s.permittivity is None else s.permittivity for s in pieces]),
        charge=(*(_charge(c, section) for c in section.charge), *own),
        diffusivity={n: steps([s.diffusivity[n] for s in pieces]) for n in named("diffusivity")},
        diffusivity_factor=_profile(section.diffusivity_factor),
        pmf={n: steps([s.pmf.get(n, 0.0) for s in pieces]) for n in named("pmf")},
        born=section.born,
        segments=len(pieces),
    )


def _charge(section: Any, pore: PoreSection) -> Charge:
    if isinstance(section, RingSection):
        return Ring(section.amount, section.position, section.width, section.depth)
    if isinstance(section, WallSection):
        start = pore.start if section.start is None else section.start
        end = pore.end if section.end is None else section.end
        return WallCharge(_profile(section.surface_density), start, end, section.end is None, section.steps)
    stretch = (section.start, section.end, section.edge, section.edge == 0.0, section.depth)
    if section.amount is not None:
        return Segment(section.amount, *stretch)
    return VolumeCharge(_profile(section.density), *stretch)


def _membrane(section: MembraneSection) -> Membrane:
    charge = section.surface_charge
    faces = (charge.inside, charge.outside) if isinstance(charge, Faces) else (charge, charge)
    within = section.charged_within
    reaches = (within.inside, within.outside) if isinstance(within, Reaches) else (within, within)
    return Membrane(section.permittivity, faces, reaches)


def _reservoir(section: ReservoirSection) -> Reservoir:
    return Reservoir(section.kind, section.length, section.radius, section.side or "wall")


def _activity_model(section: ActivitySection) -> ActivityModel:
    if section.size is not None:
        return Steric(section.size, section.solvent)
    if section.model == "davies":
        return Davies(section.slope, **({} if section.coefficient is None else {"coefficient": section.coefficient}))
    return Ideal()
