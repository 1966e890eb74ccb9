"""Measurements as the command line names them: a file, and settings that replace those in it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnp.fit.data.checks import DataError
from pnp.fit.data.csv import BATH, SETTINGS, read_csv
from pnp.fit.data.measurements import IVData, ReversalData
from pnp.io.channel_file.messages import unknown_key

ABF_SETTINGS = (*SETTINGS, "window", "channel", "command")
"""Settings of a recording."""


def read(source: str) -> IVData | ReversalData:
    """Measurements from FILE, or FILE@outside.K=10,temperature=25 degC.

    - source: a .csv, .tsv, .txt (`read_csv`) or .abf file (`read_abf`) with settings after an @; of an .abf file also
      window=0.1:0.2 (s), channel=1 and command=-80:-60:-40 (mV, one per sweep). The name of a file may contain an @.

    Raises DataError.
    """
    name, text = _file_and_settings(source)
    settings: dict[str, str] = {}
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not (key and equals and value):
            raise DataError(f"{source}: expected NAME=VALUE after the @, not '{piece}'")
        if key in settings:
            raise DataError(f"{source}: {key} is given twice")
        settings[key] = value
    suffix = Path(name).suffix.lower()
    if suffix == ".abf":
        return _read_abf(name, settings)
    if suffix not in (".csv", ".tsv", ".txt"):
        raise DataError(f"{name}: measurements are read from .csv, .tsv, .txt and .abf files, not '{suffix}'")
    return read_csv(name, settings)


def _file_and_settings(source: str) -> tuple[str, str]:
    """The longest beginning that is an existing file, and the settings after it."""
    marks = [i for i, letter in enumerate(source) if letter == "@"]
    ends = [len(source), *reversed(marks)]
    end = next((i for i in ends if os.path.exists(source[:i])), min(ends))
    return source[:end], source[end + 1 :]


def _read_abf(name: str, settings: Mapping[str, str]) -> IVData:
    from pnp.fit.data.abf import read_abf

    options: dict[str, Any] = {"inside": {}, "outside": {}}
    for key, value in settings.items():
        if match := BATH.fullmatch(key):
            options[match[1]][match[2]] = value
        elif key not in ABF_SETTINGS:
            raise DataError(f"{name}: {key}: {unknown_key(key, ABF_SETTINGS, 'setting')}")
        else:
            options[key] = value.split(":") if key in ("window", "command") else value
    return read_abf(name, **options)
