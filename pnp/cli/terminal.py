"""Output in the terminal: numbers on stdout; progress, warnings and the names of written files on stderr."""

from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console

stdout, stderr = Console(), Console(stderr=True)


class Format(StrEnum):
    """How numbers are printed."""

    table = "table"
    csv = "csv"
    json = "json"


class Progress:
    """A progress bar on stderr, shown after two seconds and only in a terminal."""

    def __init__(self, what: str, total: int | None = None):
        self.what, self.total, self.done = what, total, 0
        self.bar: Any = None

    def __enter__(self):
        import threading

        self.timer = threading.Timer(2.0, self._show)
        self.timer.daemon = True
        if stderr.is_terminal:
            self.timer.start()
        return self

    def _show(self):
        from rich import progress

        columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TimeElapsedColumn()]
        if self.total:
            columns.insert(2, progress.MofNCompleteColumn())
        bar = progress.Progress(*columns, console=stderr, transient=True)
        self.task = bar.add_task(self.what, total=self.total, completed=self.done)
        bar.start()
        self.bar = bar

    def advance(self, count: int) -> None:
        """Add `count` pieces of work done."""
        self.done += count
        if self.bar:
            self.bar.update(self.task, completed=self.done)

    def __exit__(self, *_):
        self.timer.cancel()
        if self.bar:
            self.bar.stop()


def print_table(heads: list[str], rows: list[list[str]], left: tuple[int, ...] = ()) -> None:
    """Print a table, as wide as it is, so that no terminal cuts off digits.

    - heads: of the columns.
    - rows: cells as text.
    - left: columns aligned to the left; the others are aligned to the right.
    """
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        cells = zip(row, widths, strict=True)
        stdout.print(
            "  ".join(text.ljust(w) if i in left else text.rjust(w) for i, (text, w) in enumerate(cells)).rstrip(),
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


def cell(value: float | None, digits: int = 6) -> str:
    """A number for a table; a missing one is a dash."""
    if value is None:
        return "—"
    return f"{0.0 if abs(value) < 1e-12 else value:.{digits}g}"


def wrote(path: Path) -> None:
    """Print the name of a written file."""
    stderr.print(f"Wrote {path}", highlight=False, markup=False, soft_wrap=True)


def warn(warnings: list[str]) -> None:
    """Print warnings."""
    for warning in warnings:
        stderr.print(f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)
