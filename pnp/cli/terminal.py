"""What a person sees: numbers on stdout; progress, warnings and news on stderr."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.analysis.solution import Currents
    from pnp.analysis.steady import IVCurve

stdout, stderr = Console(), Console(stderr=True)


class Format(StrEnum):
    """How numbers are printed."""

    table = "table"
    csv = "csv"
    json = "json"


class Progress:
    """A bar on stderr once the work has lasted two seconds, and only for someone who watches."""

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
        """`count` more pieces are done."""
        self.done += count
        if self.bar:
            self.bar.update(self.task, completed=self.done)

    def __exit__(self, *_):
        self.timer.cancel()
        if self.bar:
            self.bar.stop()


def print_curve(curve: "IVCurve | Hysteresis", output_format: Format) -> None:
    """The curve, or both of a sweep, as a table for people, or as CSV or JSON for programs."""
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.io import datasets as results

    if output_format is Format.csv:
        sys.stdout.write(results.as_csv(curve))
    elif output_format is Format.json:
        sys.stdout.write(results.as_json(curve))
    elif isinstance(curve, Hysteresis):
        _print_sweep(results.hysteresis_record(curve))
    else:
        _print_curve(results.curve_record(curve))


def _print_curve(record: dict[str, Any]) -> None:
    ions = record["ion_current_pA"]
    rows = zip(
        record["voltage_mV"], record["current_pA"], *ions.values(), record["status"],
        record["conservation_error"], record["discretization_error"], strict=True,
    )  # fmt: skip
    heads = [
        "V (mV)",
        "I (pA)",
        *(f"I {name} (pA)" for name in ions),
        "status",
        "conservation",
        "discretization",
    ]
    print_table(
        heads,
        [
            [cell(v) for v in row[: len(ions) + 2]] + [row[-3].replace("_", " ")] + [cell(v, 2) for v in row[-2:]]
            for row in rows
        ],
    )
    stdout.print(
        f"\nreversal potential  {cell(record['reversal_potential_mV'])} mV\n"
        f"conductance at 0 mV {cell(record['conductance_nS'])} nS",
        highlight=False,
    )
    if record["rectification"] is not None:
        at = cell(record["largest_voltage_mV"])
        stdout.print(
            f"rectification       {cell(record['rectification'])} = |I({at} mV) / I(−{at} mV)|\n"
            f"selectivity         {cell(record['selectivity'])} at {at} mV (1 cations only, −1 anions only)",
            highlight=False,
            soft_wrap=True,
        )


def _print_sweep(record: dict[str, Any]) -> None:
    """The way up, and beside it the current on the way down."""
    up = record["up"]
    heads = ["V (mV)", "I up (pA)", "I down (pA)", "difference", "status", "conservation", "discretization"]
    rows = zip(
        record["voltage_mV"], up["current_pA"], record["down"]["current_pA"], record["relative_difference"],
        up["status"], up["conservation_error"], up["discretization_error"], strict=True,
    )  # fmt: skip
    print_table(
        heads,
        [
            [*(cell(v) for v in row[:3]), cell(row[3], 2), row[4].replace("_", " "), *(cell(v, 2) for v in row[5:])]
            for row in rows
        ],
    )


def print_profile(solution) -> None:
    """The profiles at some 40 points across the pore, in two dimensions on its axis, and what the solution says of
    itself."""
    import numpy as np

    on_axis = (lambda values: values) if solution.dimension == 1 else (lambda values: values[:, 0])
    heads = [
        "x (nm)" if solution.dimension == 1 else "z (nm)",
        "potential (mV)",
        *(f"{name} (mM)" for name in solution.ion_names),
    ]
    start, end = float(solution.channel.pore.start), float(solution.channel.pore.end)
    x, reach = np.asarray(solution.x), 0.5 * (end - start)
    wanted = np.linspace(max(x[0], start - reach), min(x[-1], end + reach), 41)
    columns = [on_axis(solution.potential), *np.asarray(on_axis(solution.concentration)).T]
    rows = np.column_stack([wanted, *(np.interp(wanted, x, np.asarray(c)) for c in columns)])
    print_table(heads, [[cell(v) for v in row] for row in rows])
    stdout.print(
        f"\ncurrent {cell(float(solution.current))} pA ("
        + ", ".join(f"{n} {cell(float(i))}" for n, i in zip(solution.ion_names, solution.ion_current, strict=True))
        + f"); conservation {float(solution.conservation_error):.1e}, "
        f"discretization {float(solution.discretization_error):.1e}; {solution.message}",
        highlight=False,
        soft_wrap=True,
    )
    inside, pore, outside = (float(value) for value in solution.resistance)
    if np.isfinite(pore):
        stdout.print(
            f"resistance {cell(pore, 4)} GΩ of the pore, {cell(inside, 4)} of the access inside, "
            f"{cell(outside, 4)} outside",
            highlight=False,
            soft_wrap=True,
        )


def print_table(heads: list[str], rows: list[list[str]], left: tuple[int, ...] = ()) -> None:
    """Columns at any width, since a terminal must not decide how many digits there are; aligned to the right but for
    those of `left`."""
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
    """A number as tables have it."""
    if value is None:
        return "—"
    return f"{0.0 if abs(value) < 1e-12 else value:.{digits}g}"


def wrote(path: Path) -> None:
    """Say that a file was written."""
    stderr.print(f"Wrote {path}", highlight=False, markup=False, soft_wrap=True)


def warn(warnings: list[str]) -> None:
    """Show warnings."""
    for warning in warnings:
        stderr.print(f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def warn_of_points(curve: "IVCurve | Hysteresis") -> None:
    """Name the voltages whose values are missing, coarse or not the only ones, and what to do."""
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.settings import Status

    statuses = [Status.MULTIPLE_SOLUTIONS, Status.MESH_TOO_COARSE, Status.NOT_CONVERGED]
    if isinstance(curve, Hysteresis):
        _warn_of(curve.up, statuses, "")
        _warn_of(curve.down, statuses[1:], " on the way down")  # several solutions are so on both ways
    else:
        _warn_of(curve, statuses, "")


def _warn_of(curve: "Currents", statuses: list, which_way: str) -> None:
    messages = curve.messages()
    for status in statuses:
        which = [i for i, s in enumerate(curve.status) if int(s) == status]
        if which:
            listed = ", ".join(f"{float(curve.voltage[i]):g}" for i in which[:8])
            listed += f" … ({len(which)} points)" if len(which) > 8 else ""
            warn([f"at {listed} mV{which_way}: {messages[which[0]]}"])
