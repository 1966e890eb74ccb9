"""Measurements from text files: columns named with their units, one point per row, baths in comments.

# inside.K = 140, in mM unless it says otherwise; one setting a line
V_mV,I_pA,I_sd_pA
-80,-4.1,0.2
"""

import csv
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pnp import quantity as q
from pnp.fit.data import checks as c
from pnp.fit.data import measurements as d
from pnp.fit.data.checks import DataError, DataLocation
from pnp.fit.data.measurements import IVData, ReversalData
from pnp.io.channel_file.messages import unknown_key
from pnp.io.limits import MAX_BYTES

_SHOWN = 5  # bad lines that a message names

_KINDS = {
    "leak": c.CONDUCTANCE,
    "leak_reversal": q.POTENTIAL,
    "series_resistance": c.RESISTANCE,
    "junction": q.POTENTIAL,
}
SETTINGS = ("inside.ION", "outside.ION", "temperature", "label", *_KINDS)
"""What comments, `read_csv` and the command line may set."""

BATH = re.compile(r"(inside|outside)\.([A-Za-z][\w+\-]*)")
_HEAD = re.compile(r"(V|I_sd|I|reversal_sd|reversal)_([A-Za-zµμ]+)")
_ION_CURRENT = re.compile(r"I_(.+)_pA")
_COLUMNS = {
    "V": q.POTENTIAL,
    "I": c.CURRENT,
    "I_sd": c.CURRENT,
    "reversal": q.POTENTIAL,
    "reversal_sd": q.POTENTIAL,
}
_KNOWN = (*(f"{name}_{kind.unit}" for name, kind in _COLUMNS.items()), "inside.ION", "outside.ION", "temperature")
_COMPUTED = ("status", "conservation_error", "discretization_error")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
_COMMA = re.compile(r"(?<=\d),(?=\d)")


class _Column(NamedTuple):
    name: str
    factor: float
    head: str


def read_csv(path: str | Path, settings: Mapping[str, Any] | None = None) -> IVData | ReversalData:
    """An I–V curve, or reversal potentials, from a table with a header, in UTF-8.

    - path: of the file. Those of `pnp iv --format csv` can be read too.
    - settings: values by name that replace those of the file's comments.

    Columns: V_mV, I_pA and, if known, I_sd_pA (in other units V_V, I_nA); or reversal_mV, reversal_sd_mV and those of
    inside.ION, outside.ION (mM) and temperature (K) that differ from row to row. Cells are separated by commas,
    semicolons or tabs, as the header is; decimal commas are read where they are unambiguous.

    A # starts a comment; `# NAME = VALUE` sets inside.ION, outside.ION, temperature, label (by default the file's name)
    or a correction: junction, series_resistance, leak, leak_reversal (`pnp.fit.data.measurements.corrected`). Values
    may have units: "0.1 M", "25 degC".

    Raises DataError that names the lines at fault.
    """
    path = Path(path)
    comments, rows = _lines(_text(path))
    if not rows:
        raise DataError(f"{path}: has no header; expected a line such as V_mV,I_pA and the values below it")
    number, header = rows[0]
    delimiter = next((mark for mark in "\t;" if mark in header), ",")
    try:
        columns = _columns(_cells(header, delimiter))
        _check_columns([column for column in columns if column])
    except ValueError as error:
        raise DataError(f"{path} line {number}: {error}") from error
    combined = _from_comments(path, comments, delimiter)
    for name, value in (settings or {}).items():
        try:
            combined[name] = _setting(name, value)
        except ValueError as error:
            raise DataError(f"{path}: {name}: {error}") from error
    if "leak_reversal" in combined and "leak" not in combined:
        raise DataError(f"{path}: leak_reversal is given without a leak")
    values = _values(path, rows[1:], columns, delimiter)
    make = _reversals if "reversal" in values else _curve
    data = make(DataLocation(str(path), [line for line, _ in rows[1:]]), values, combined)
    data = d.corrected(data, **{name: combined[name] for name in _KINDS if name in combined})
    return d.relabelled(data, combined.get("label", path.stem))


def _curve(location: DataLocation, values: dict[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    voltage, current, sd = c.checked_curve(location, values["V"], values["I"], values.get("I_sd"))
    inside, outside = _baths(settings, "inside"), _baths(settings, "outside")
    return IVData(voltage, current, sd, inside, outside, settings.get("temperature"), location.name)


def _reversals(location: DataLocation, values: dict[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    reversal, sd = c.checked_reversals(location, values["reversal"], values.get("reversal_sd"))
    by_row: dict[str, Any] = {"temperature": [settings.get("temperature")] * reversal.size}
    for side in ("inside", "outside"):
        by_row[side] = [_baths(settings, side) for _ in reversal]
    for name, column in values.items():
        match = BATH.fullmatch(name)
        if (match or name == "temperature") and name in settings:
            raise DataError(f"{location.name}: {name} is given both for all rows and as a column: give it once")
        for i, value in enumerate(column if match or name == "temperature" else ()):
            try:
                if match:
                    by_row[match[1]][i][match[2]] = c.concentration(value)
                else:
                    by_row[name][i] = c.kelvin(value)
            except ValueError as error:
                raise DataError(f"{location.row(i)}: {name}: {error}") from error
    return ReversalData(reversal, sd, label=location.name, **by_row)


def _baths(settings: Mapping[str, Any], side: str) -> dict[str, float]:
    return {name.removeprefix(f"{side}."): value for name, value in settings.items() if name.startswith(f"{side}.")}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error
    if len(raw) > MAX_BYTES:
        raise DataError(f"{path}: is larger than the {MAX_BYTES / 1e6:.0f} MB that a table may have")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8 (byte {error.start}): save it as CSV in UTF-8") from error


def _lines(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Comments that have a line to themselves, and rows without comments, with line numbers."""
    comments, rows = [], []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        row, mark, comment = line.partition("#")
        # Spreadsheets pad lines with delimiters, and quote cells that contain one.
        if row.strip(' \t;,"'):
            rows.append((number, row))
        elif mark:
            comments.append((number, comment.strip(' \t;,"#')))
    return comments, rows


def _from_comments(path: Path, comments: Sequence[tuple[int, str]], delimiter: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for number, comment in comments:
        name, equals, value = (part.strip() for part in comment.partition("="))
        if not equals or not _is_setting(name):
            continue
        if name in settings:
            raise DataError(f"{path} line {number}: {name} is given twice")
        if delimiter != "," and name != "label":
            value = _COMMA.sub(".", value)
        try:
            settings[name] = _setting(name, value)
        except ValueError as error:
            raise DataError(f"{path} line {number}: {name}: {error}") from error
    return settings


def _is_setting(name: str) -> bool:
    """Whether the name before an = is a setting or a misspelt one."""
    from pnp.channel.ions import BUILT_IN

    if name in SETTINGS or re.fullmatch(r"[A-Za-z]\w*\.[\w.+\-]+", name):
        return True
    known = [*SETTINGS, *(f"{side}.{ion}" for side in ("inside", "outside") for ion in BUILT_IN)]
    return bool(difflib.get_close_matches(name, known, n=1, cutoff=0.75))


def _setting(name: str, value: Any) -> Any:
    """The value of a setting in the package's units; raises ValueError."""
    if BATH.fullmatch(name):
        return c.concentration(value)
    if name not in SETTINGS:
        raise ValueError(unknown_key(name, SETTINGS, "setting"))
    if name == "label":
        return str(value)
    if name == "temperature":
        return c.kelvin(value)
    if name == "junction" and isinstance(value, str) and re.match(r"\s*[A-Za-z]", value):
        if value.strip().lower() != "henderson":
            raise ValueError(f"expected a number in mV or the word henderson, not {q.shown(value)}")
        return "henderson"
    return c.parsed(value, _KINDS[name])


def _cells(row: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([row], delimiter=delimiter, skipinitialspace=True))]
    except csv.Error as error:
        raise ValueError(f"is not a row of a table ({error})") from error


def _columns(heads: list[str]) -> list[_Column | None]:
    """The columns, None for ignored ones; raises ValueError for unknown names."""
    while heads and not heads[-1]:
        heads.pop()
    heads = [re.sub(r"[\s()\[\]/]+", "_", head).strip("_") for head in heads]
    if any(re.fullmatch(r"[-+−]?[\d.,]+", head) for head in heads):
        raise ValueError("has numbers where the columns must be named, such as V_mV,I_pA")
    computed = set(_COMPUTED) <= set(heads)
    columns: list[_Column | None] = []
    for head in heads:
        try:
            columns.append(_column(head, computed))
        except ValueError as error:
            raise ValueError(f"column '{head}': {error}") from error
    return columns


def _check_columns(columns: Sequence[_Column]) -> None:
    """Raise ValueError unless the columns make a table."""
    names = [column.name for column in columns]
    table = "reversal" in names
    for needed in ("reversal",) if table else ("V", "I"):
        if needed not in names:
            raise ValueError(f"there is no column {needed}_{_COLUMNS[needed].unit}")
    for name, _, head in columns:
        if names.count(name) > 1:
            raise ValueError(f"column '{head}': there is more than one for {name}")
        if name in _COLUMNS and name.startswith("reversal") != table:
            raise ValueError(f"column '{head}': currents and reversal potentials go into separate files")
        if name not in _COLUMNS and not table:
            raise ValueError(f"column '{head}': an I–V curve has one for all rows: write it as '# {name} = VALUE'")


def _column(head: str, computed: bool) -> _Column | None:
    """The column of a header cell, None if it is ignored; raises ValueError if its name is unknown."""
    from pnp.channel.ions import BUILT_IN

    if match := _HEAD.fullmatch(head):
        name, unit = match.groups()
        kind = _COLUMNS[name]
        try:
            # Twelve digits, because pint may miss 1e3 by a rounding error.
            return _Column(name, float(f"{q.parse_quantity(f'1 {unit}', kind):.12g}"), head)
        except ValueError:
            raise ValueError(f"'{unit}' is no unit of {kind.name}; in {kind.unit} it is {name}_{kind.unit}") from None
    if (match := BATH.fullmatch(head)) and "_" in match[2]:
        ion_name = match[2].partition("_")[0]
        raise ValueError(f"concentrations in columns are in mM, and named without it: {match[1]}.{ion_name}")
    if match or head == "temperature":
        return _Column(head, 1.0, head)
    if (ion := _ION_CURRENT.fullmatch(head)) and (computed or ion[1] in BUILT_IN):
        return None
    if head in _COMPUTED:
        return None
    raise ValueError(unknown_key(head, _KNOWN, "column"))


def _values(
    path: Path, rows: Sequence[tuple[int, str]], columns: Sequence[_Column | None], delimiter: str
) -> dict[str, np.ndarray]:
    """The columns by name, in the package's units."""
    values: dict[str, list[float]] = {column.name: [] for column in columns if column}
    errors: list[str] = []
    cells_with: dict[str, dict[str, int]] = {",": {}, ".": {}}
    for number, row in rows:
        try:
            for column, cell in _row(row, columns, delimiter):
                values[column.name].append(column.factor * _number(cell, column.head))
                for mark in filter(cell.count, cells_with):
                    cells_with[mark][cell] = number
        except ValueError as error:
            errors.append(f"{path} line {number}: {error}")
    if errors:
        more = [f"… and {len(errors) - _SHOWN} more lines"] if len(errors) > _SHOWN else []
        raise DataError("\n".join([*errors[:_SHOWN], *more]))
    _check_commas(path, cells_with[","], cells_with["."], delimiter)
    return {name: np.array(column) for name, column in values.items()}


def _row(row: str, columns: Sequence[_Column | None], delimiter: str) -> list[tuple[_Column, str]]:
    cells = _cells(row, delimiter)
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    if len(cells) != len(columns):
        hint = "; decimal commas need ; between the cells" if delimiter == "," else ""
        raise ValueError(f"has {len(cells)} cells, and the header {len(columns)}{hint}")
    return [(column, cell) for column, cell in zip(columns, cells, strict=True) if column]


def _number(cell: str, head: str) -> float:
    if not cell:
        raise ValueError(f"the cell of {head} is empty")
    try:
        if "_" in cell:
            raise ValueError
        number = float(cell.replace(",", ".").replace("−", "-"))
    except ValueError:
        raise ValueError(f"'{cell[:40]}' is not a number ({head})") from None
    if not math.isfinite(number):
        raise ValueError(f"'{cell[:40]}' is not a finite number ({head})")
    return number


def _check_commas(path: Path, commas: Mapping[str, int], points: Mapping[str, int], delimiter: str) -> None:
    """Raise DataError where a comma may separate thousands or decimals; cells with either mark, and their lines."""
    if not commas:
        return
    comma, line = next(iter(commas.items()))
    if points:
        point, other = next(iter(points.items()))
        raise DataError(
            f"{path} line {line}: '{comma}' has a decimal comma, and '{point}' in line {other} a point: use one of the "
            "two, and nothing for thousands"
        )
    if delimiter == "," and all(map(_THOUSANDS.fullmatch, commas)):
        raise DataError(
            f"{path} line {line}: '{comma}' may be thousands or a decimal fraction: write it without a comma"
        )
