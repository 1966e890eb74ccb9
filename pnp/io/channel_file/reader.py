"""Channel files: TOML in, a `Channel` out, or every mistake at once.

Files are data: nothing in them is executed, and their size is bounded. Sections are checked by
themselves first; what spans them (neutrality, ions that are not there, positions outside the pore)
is then checked on whatever sections are sound, so that one reading shows all that is wrong.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pnp import units
from pnp.channel.activity import ActivityModel, Davies, Ideal, Steric
from pnp.channel.channel import Channel, Pore, Reservoir
from pnp.channel.charge import Charge, Ring, Segment, VolumeCharge, WallCharge
from pnp.channel.ions import BUILT_IN, Ion
from pnp.channel.membrane import Membrane
from pnp.channel.profiles import ChannelError, Circle, Constant, Profile, Table
from pnp.io import presets as catalogue
from pnp.io.channel_file.cross_checks import across, ion_names
from pnp.io.channel_file.messages import mistake, unknown_key
from pnp.io.channel_file.schema import (
    ActivitySection,
    ChannelFile,
    Faces,
    IonSection,
    MembraneSection,
    ReservoirSection,
    RingSection,
    WallSection,
    known_keys,
)
from pnp.io.hole import HoleError, read_hole
from pnp.io.limits import MAX_BYTES


class ChannelFileError(ValueError):
    """A channel file with mistakes: `.mistakes` lists them, one line each, with their paths."""

    def __init__(self, source: str, mistakes: list[str]):
        self.source, self.mistakes = source, mistakes
        count = f"{len(mistakes)} mistake{'s'[: len(mistakes) > 1]}"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {m}" for m in mistakes)]))


# --- reading ------------------------------------------------------------------------------------


def load(
    source: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    pore_profile: str | Path | None = None,
    frame: int = 1,
    offset: float = 0.0,
) -> Channel:
    """A Channel from the name of a ready-made one (`pnp.presets()`) or the path of a TOML file.

    overrides: values by their path in the file, such as {"inside.K": 150, "pore.charge.0.amount": -2}.
    pore_profile: HOLE output whose radius profile replaces the pore's; frame and offset (nm) as in
    `pnp.read_hole`.

    Raises ChannelFileError with every mistake and its path in the file.
    """
    file = read(source, overrides=overrides, pore_profile=pore_profile, frame=frame, offset=offset)
    return build(file, str(source))


def read(
    source: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    pore_profile: str | Path | None = None,
    frame: int = 1,
    offset: float = 0.0,
) -> ChannelFile:
    """The checked contents of a channel file; arguments and errors as in `load`."""
    text, label, folder = _text(source)
    raw = _parsed(text, label)
    for path, value in (overrides or {}).items():
        try:
            override(raw, path, value)
        except ValueError as error:
            raise ChannelFileError(label, [f"{path}: {error}"]) from None
    if pore_profile is not None:
        _replace_radius(raw, label, pore_profile, frame, offset)
    return _validated(raw, label, folder)


def read_contents(text: str, label: str) -> ChannelFile:
    """The same of a file's text. Raises ChannelFileError, naming `label`."""
    return _validated(_parsed(text, label), label, None)


def build(file: ChannelFile, source: str = "") -> Channel:
    """The Channel a checked file describes. Raises ChannelFileError, naming `source`, if its numbers do not fit."""
    try:
        return Channel(
            ions={name: _ion(name, file.ions.get(name)) for name in ion_names(file.inside, file.outside)},
            pore=_pore(file.pore),
            inside=file.inside,
            outside=file.outside,
            temperature=file.temperature,
            reservoirs=(_reservoir(file.reservoir),) * 2,
            bath_permittivity=file.reservoir.permittivity,
            name=file.name,
            source=file.model_dump_json(exclude_defaults=True),
            activity_model=_activity_model(file.activity),
            membrane=_membrane(file.membrane),
        )
    except ChannelError as error:
        raise ChannelFileError(source or file.name, str(error).split("; ")) from None


def _text(source: str | Path) -> tuple[str, str, Path | None]:
    """Text of a preset or file, what to call it, and the folder it stands in."""
    name = str(source)
    if isinstance(source, str) and name in catalogue.names():
        return catalogue.text(name), name, None
    path = Path(source)
    try:
        if path.is_dir() or not path.exists():
            near = difflib.get_close_matches(name, catalogue.names(), n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`pnp list` shows the ready-made ones"
            raise ChannelFileError(name, [f"is neither a channel file nor a ready-made channel; {hint}"])
        if path.stat().st_size > MAX_BYTES:
            megabytes = path.stat().st_size / 1e6
            raise ChannelFileError(name, [f"has {megabytes:.0f} MB; a channel file may have {MAX_BYTES / 1e6:.0f} MB"])
        return path.read_text("utf-8"), name, path.parent
    except OSError as error:
        raise ChannelFileError(name, [f"cannot be read ({error.strerror})"]) from None
    except UnicodeDecodeError as error:
        raise ChannelFileError(name, [f"is not text in UTF-8 (byte {error.start})"]) from None


def _parsed(text: str, label: str) -> dict:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ChannelFileError(label, [f"not valid TOML: {error}"]) from None
    except RecursionError:
        raise ChannelFileError(label, ["not valid TOML: nested too deeply"]) from None
    except ValueError:  # Python's own limit
        raise ChannelFileError(label, ["holds a number of thousands of digits"]) from None


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


def _replace_radius(raw: dict, label: str, path: str | Path, frame: int, offset: float) -> None:
    pore = raw.setdefault("pore", {})
    if not isinstance(pore, dict) or "segment" in pore:
        raise ChannelFileError(label, ["pore: is made of segments; a radius profile cannot replace them"])
    try:
        x, radius = read_hole(path, frame=frame, offset=offset)
    except HoleError as error:
        raise ChannelFileError(label, [str(error)]) from None
    pore.pop("length", None)
    pore["radius"] = [list(row) for row in zip(x.tolist(), radius.tolist(), strict=True)]


# --- checking -----------------------------------------------------------------------------------


def _validated(raw: dict, label: str, folder: Path | None) -> ChannelFile:
    context = {"folder": folder, "temperature": units.ROOM_TEMPERATURE}
    sound: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, field in ChannelFile.model_fields.items():
        if key not in raw:
            if field.is_required():
                mistakes.append(f"{key}: is missing")
            else:
                sound[key] = field.default
            continue
        try:
            kind: Any = Annotated[field.annotation, field]  # type: ignore[name-defined]
            sound[key] = TypeAdapter(kind).validate_python(raw[key], context=context)
        except ValidationError as error:
            mistakes += [mistake(key, e, raw[key], known_keys) for e in error.errors()]
        if key == "temperature":
            context["temperature"] = sound.get(key, units.ROOM_TEMPERATURE)
    unknown = [key for key in raw if key not in ChannelFile.model_fields]
    mistakes += [f"{key}: {unknown_key(key, list(ChannelFile.model_fields))}" for key in unknown]
    mistakes += across(sound)
    if mistakes:
        raise ChannelFileError(label, mistakes)
    return ChannelFile.model_construct(_fields_set=set(raw), **sound)


# --- building -----------------------------------------------------------------------------------


def _ion(name: str, section: IonSection | None) -> Ion:
    known = BUILT_IN.get(name)
    given = section.model_dump(exclude_none=True) if section else {}
    base = {} if known is None else {k: getattr(known, k) for k in ("valence", "diffusivity", "radius")}
    return Ion(**{**base, **given})


def _as_profile(value: Any) -> Profile:
    if isinstance(value, float):
        return Constant(value)
    x, y = np.array(value).T
    return Table(x, y)


def _pore(section: Any) -> Pore:
    length = section.total_length
    charges = tuple(_charge(c, length) for c in section.charge)
    if not section.segment:
        return Pore(
            start=0.0,
            end=length,
            area=Circle(_as_profile(section.radius)),
            permittivity=_as_profile(section.permittivity),
            charge=charges,
            diffusivity={k: _as_profile(v) for k, v in section.diffusivity.items()},
            diffusivity_factor=_as_profile(section.diffusivity_factor),
            pmf={k: _as_profile(v) for k, v in section.pmf.items()},
            born=section.born,
        )
    edges = np.concatenate([[0.0], np.cumsum([s.length for s in section.segment])])
    steps = lambda values: Table(np.repeat(edges, 2)[1:-1], np.repeat(values, 2))
    named = lambda kind: dict.fromkeys(n for s in section.segment for n in getattr(s, kind))
    return Pore(
        start=0.0,
        end=float(edges[-1]),
        area=Circle(steps([s.radius for s in section.segment])),
        permittivity=steps([s.permittivity for s in section.segment]),
        charge=charges
        + tuple(
            Segment(s.charge, float(a), float(b))
            for s, a, b in zip(section.segment, edges[:-1], edges[1:], strict=True)
            if s.charge
        ),
        diffusivity={n: steps([s.diffusivity[n] for s in section.segment]) for n in named("diffusivity")},
        diffusivity_factor=_as_profile(section.diffusivity_factor),
        pmf={n: steps([s.pmf.get(n, 0.0) for s in section.segment]) for n in named("pmf")},
        born=section.born,
    )


def _charge(section: Any, length: float) -> Charge:
    if isinstance(section, RingSection):
        return Ring(section.amount, section.position, section.width, section.depth)
    if isinstance(section, WallSection):
        end = length if section.end is None else section.end
        density = section.surface_density
        return WallCharge(density if isinstance(density, float) else _as_profile(density), section.start or 0.0, end)
    edges = (section.start, section.end, section.edge, section.edge == 0.0, section.depth)
    if section.amount is not None:
        return Segment(section.amount, *edges)
    return VolumeCharge(Constant(section.density), *edges)


def _reservoir(section: ReservoirSection) -> Reservoir:
    return Reservoir(section.kind, section.length, section.radius)


def _membrane(section: MembraneSection) -> Membrane:
    charge = section.surface_charge
    faces = (charge.inside, charge.outside) if isinstance(charge, Faces) else (charge, charge)
    return Membrane(section.permittivity, faces)


def _activity_model(section: ActivitySection) -> ActivityModel:
    if section.size is not None:
        return Steric(section.size, section.solvent)
    if section.model == "davies":
        return Davies(section.slope, **({} if section.coefficient is None else {"coefficient": section.coefficient}))
    return Ideal()


def resolved(channel: Channel) -> dict[str, Any]:
    """The contents of the file a channel came from, as plain data; {} if it came from none."""
    return json.loads(channel.source) if channel.source else {}
