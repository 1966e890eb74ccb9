"""Files written in one piece: whole, or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a temporary file beside `path` with `write(temporary)`, then move it to `path` in one step.

    Raises FileNotFoundError if the folder does not exist, and what `write` raises; `path` is then as it was.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "the folder does not exist", str(path.parent))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's files are private, results are not
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
