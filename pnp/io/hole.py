"""Pore-radius profiles from the text output of HOLE (Smart et al., 1993, Biophys. J. 65:2455).

HOLE gives the radius (Å) of the largest sphere that fits between the van der Waals surfaces at each position along the
pore. It is taken as the radius of the conducting cross-section. The *centre* of an ion of radius b is confined to the
radius r − b; to use that convention give an offset of −b (nm).
"""

import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from pnp.io.limits import MAX_HOLE_BYTES, MAX_ROWS

_WIDTH = 12  # Fortran columns, which may touch
_ROW = re.compile(r"\((?:sampled|mid-point)\)\s*$")


class HoleError(ValueError):
    """A file that does not hold a usable HOLE profile; the message says where and why."""


def read_hole(path: str | Path, *, frame: int = 1, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Read one profile from a HOLE output file.

    - path: the whole text that HOLE printed, with the log lines before and after.
    - frame: which profile, from 1, if there are several.
    - offset: added to every radius, nm.

    Returns positions [point] and radii [point], nm; positions start at 0 and run in HOLE's order, from the negative end
    (taken as inside) to the positive. Raises HoleError, which names the line.
    """
    path = Path(path)
    if frame < 1:
        raise HoleError(f"frame must be 1 or more, not {frame}")
    if not math.isfinite(offset):
        raise HoleError(f"the offset must be finite, not {offset} nm")
    try:
        size = path.stat().st_size
        if size > MAX_HOLE_BYTES:
            raise HoleError(
                f"{path}: {size / 1e6:.0f} MB is more than the {MAX_HOLE_BYTES / 1e6:.0f} MB a HOLE file may have"
            )
        with path.open(encoding="utf-8", errors="replace") as file:
            rows = _frame(file, frame, path)
    except OSError as error:
        raise HoleError(f"{path}: cannot be read ({error.strerror})") from error
    x, radius = np.array([row[:2] for row in rows]).T / 10
    lines = [row[2] for row in rows]
    if np.any(np.diff(x) <= 0):
        at = int(np.argmax(np.diff(x) <= 0)) + 1
        raise HoleError(f"{path}, line {lines[at]}: the coordinate does not increase")
    return x - x[0], radius + offset


def _frame(file: IO[str], frame: int, path: Path) -> list[tuple[float, float, int]]:
    found = 0
    numbered = enumerate(file, start=1)
    for _, line in numbered:
        if line.split()[:2] == ["cenxyz.cvec", "radius"]:
            found += 1
            if found == frame:
                rows = list(islice(_rows(numbered, path), MAX_ROWS + 1))
                if len(rows) > MAX_ROWS:
                    raise HoleError(f"{path}: a profile may have at most {MAX_ROWS} points")
                if len(rows) < 2:
                    raise HoleError(f"{path}: profile {frame} has {len(rows)} points; at least 2 are needed")
                return rows
    if found:
        raise HoleError(f"{path}: has {found} profile{'s'[: found > 1]}, so there is no frame {frame}")
    raise HoleError(
        f"{path}: no HOLE profile found; expected the text HOLE prints, with a line "
        "'cenxyz.cvec radius cen_line_D …' followed by the table"
    )


def _rows(numbered: Iterator[tuple[int, str]], path: Path) -> Iterator[tuple[float, float, int]]:
    for number, line in numbered:
        if not _ROW.search(line):
            return
        yield _float(line[:_WIDTH], path, number), _float(line[_WIDTH : 2 * _WIDTH], path, number), number


def _float(text: str, path: Path, number: int) -> float:
    try:
        value = float(text.replace("D", "E").replace("d", "e"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise HoleError(f"{path}, line {number}: '{text.strip()}' is not a number")
    return value
