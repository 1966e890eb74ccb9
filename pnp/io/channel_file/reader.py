"""Channel files: TOML in, a `Channel` out, or every mistake at once.

Files are data: nothing in them is executed, and their size is bounded. Sections are checked by themselves first;
what spans them (neutrality, ions that are not there, positions outside the pore) is then checked on the sections that
are sound, so that one reading shows all that is wrong.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from pnp import units
from pnp.channel.channel import Channel
from pnp.channel.profiles import ChannelError
from pnp.io import presets
from pnp.io.channel_file.builder import build
from pnp.io.channel_file.cross_checks import across
from pnp.io.channel_file.messages import mistake, unknown_key
from pnp.io.channel_file.overrides import apply
from pnp.io.channel_file.schema import ChannelFile, known_keys
from pnp.io.hole import HoleError, read_hole
from pnp.io.limits import MAX_BYTES


class ChannelFileError(ValueError):
    """A channel file with mistakes: `.mistakes` lists them, one line each, with their paths."""

    def __init__(self, source: str, mistakes: list[str]):
        self.source, self.mistakes = source, mistakes
        count = f"{len(mistakes)} mistake{'s'[: len(mistakes) > 1]}"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {m}" for m in mistakes)]))


def load(
    source: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    pore_profile: str | Path | None = None,
    frame: int = 1,
    offset: float = 0.0,
) -> Channel:
    """A Channel from the name of a ready-made one or from a TOML file.

    - source: one of `pnp.presets()`, or the path of a file.
    - overrides: values by their path, such as {"inside.K": 150, "pore.charge.0.amount": "-2 e"}: of keys of the file
      (`pnp.io.channel_file.overrides`) and of numbers of the channel (`pnp.channel.numbers`).
    - pore_profile: HOLE output whose radius profile replaces the pore's.
    - frame, offset (nm): as in `pnp.read_hole`.

    Raises ChannelFileError with every mistake and its path.
    """
    text, label, folder = _text(source)
    raw = _parsed(text, label)
    if pore_profile is not None:
        _replace_radius(raw, label, pore_profile, frame, offset)
    try:
        derived = apply(raw, overrides or {})
    except ValueError as error:
        raise ChannelFileError(label, [str(error)]) from None
    channel = _made(_validated(raw, label, folder), label)
    try:
        return channel.with_values(derived) if derived else channel
    except ChannelError as error:
        raise ChannelFileError(label, str(error).split("; ")) from None
    except (KeyError, ValueError) as error:
        raise ChannelFileError(label, [str(error.args[0])]) from None


def read(source: str | Path) -> ChannelFile:
    """The checked contents of a channel file; sources and errors as in `load`."""
    text, label, folder = _text(source)
    return _validated(_parsed(text, label), label, folder)


def channel_of(contents: dict[str, Any], label: str) -> Channel:
    """The Channel of a file's contents as plain data. Raises ChannelFileError, naming `label`."""
    return _made(_validated(contents, label, None), label)


def _made(file: ChannelFile, label: str) -> Channel:
    try:
        return build(file)
    except ChannelError as error:
        raise ChannelFileError(label, str(error).split("; ")) from None


# --- text ---------------------------------------------------------------------------------------


def _text(source: str | Path) -> tuple[str, str, Path | None]:
    """Text of a preset or file, what to call it in messages, and the folder it stands in."""
    name = str(source)
    if isinstance(source, str) and name in presets.names():
        return presets.text(name), name, None
    path = Path(source)
    try:
        if path.is_dir() or not path.exists():
            near = difflib.get_close_matches(name, presets.names(), n=2, cutoff=0.5)
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


def _replace_radius(raw: dict, label: str, path: str | Path, frame: int, offset: float) -> None:
    pore = raw.setdefault("pore", {})
    if not isinstance(pore, dict) or "segment" in pore:
        raise ChannelFileError(label, ["pore: is made of segments; a radius profile cannot replace them"])
    try:
        x, radius = read_hole(path, frame=frame, offset=offset)
    except HoleError as error:
        raise ChannelFileError(label, [str(error)]) from None
    for key in ("length", "area", "start"):
        pore.pop(key, None)
    pore["radius"] = [list(row) for row in zip(x.tolist(), radius.tolist(), strict=True)]


# --- checks -------------------------------------------------------------------------------------


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
