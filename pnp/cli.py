"""The command line. Numbers go to stdout, everything else to stderr.

Exit codes: 0 fine, 2 bad input, 3 a point did not converge, 130 interrupted.
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pnp.channel import Channel
    from pnp.steady import IVCurve

BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 2, 3, 130
_BATCH = 64  # voltages solved at once: enough to fill the machine, few enough to show progress

app = typer.Typer(
    help="Poisson–Nernst–Planck for ion channels and nanopores: a pore in, an I–V curve out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: pnp list, then pnp iv gramicidin-a --plot iv.png",
)
stdout, stderr = Console(), Console(stderr=True)


class Format(StrEnum):
    """How numbers are printed."""

    table = "table"
    csv = "csv"
    json = "json"


ChannelArgument = Annotated[
    str,
    typer.Argument(metavar="CHANNEL", help="A ready-made channel (`pnp list`) or the path of a channel file."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value of the channel file, e.g. --set inside.K=150. Repeatable.",
    ),
]
HoleOption = Annotated[
    Path | None,
    typer.Option("--pore-profile", metavar="FILE", help="HOLE output whose radius profile replaces the pore's."),
]
FrameOption = Annotated[int, typer.Option("--frame", min=1, help="Which profile of the HOLE output.")]
OffsetOption = Annotated[
    str,
    typer.Option(
        "--radius-offset",
        metavar="LENGTH",
        help='Added to every HOLE radius, e.g. "-1.4 Å" (bare number: nm).',
    ),
]
NodesOption = Annotated[int, typer.Option("--nodes", min=8, max=1_000_000, help="Elements of the mesh.")]


@app.command("list")
def list_channels() -> None:
    """List the ready-made channels."""
    from pnp.catalogue import presets

    for name, description in presets().items():
        stdout.print(f"[bold]{name:22}[/bold]{description}", soft_wrap=True, highlight=False)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write the template.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented channel file to start from."""
    from importlib.resources import files

    from pnp.atomic import write_whole

    if file.exists() and not force:
        _fail(f"{file} exists; choose another name, or --force to replace it")
    text = files("pnp").joinpath("template.toml").read_text("utf-8")
    with _files_checked():
        write_whole(file, lambda to: to.write_text(text, "utf-8"))
    _wrote(file)
    stderr.print(f"Next: pnp check {file}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def check(
    channel: ChannelArgument,
    change: SetOption = None,
    pore_profile: HoleOption = None,
    frame: FrameOption = 1,
    radius_offset: OffsetOption = "0",
) -> None:
    """Show the resolved problem: units, neutrality, Debye length against the pore, warnings."""
    from rich.table import Table

    loaded, file = _load(channel, change, pore_profile, frame, radius_offset)
    from pnp.summary import summarize

    summary = summarize(loaded)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, value in summary.lines:
        table.add_row(what, value)
    if file.validity:
        table.add_row("validity", file.validity)
    stdout.print(table, highlight=False, markup=False)
    _warn(summary.warnings)


@app.command()
def iv(
    channel: ChannelArgument,
    voltages: Annotated[
        str,
        typer.Option("--voltages", metavar="FIRST:LAST:COUNT", help="Voltages in mV, or a comma-separated list."),
    ] = "-200:200:41",
    change: SetOption = None,
    pore_profile: HoleOption = None,
    frame: FrameOption = 1,
    radius_offset: OffsetOption = "0",
    nodes: NodesOption = 400,
    output_format: Annotated[Format, typer.Option("--format", help="How to print the curve.")] = Format.table,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Also write it to iv.nc, iv.csv or iv.json."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it: iv.png, .pdf or .svg.")
    ] = None,
) -> None:
    """Compute a current–voltage curve, with a status and two error estimates per voltage."""
    at = _voltages(voltages)
    _suffix(output, (".nc", ".csv", ".json"), "--output")
    _suffix(plot, _PICTURES, "--plot")
    loaded, file = _load(channel, change, pore_profile, frame, radius_offset)
    from pnp import results

    curve, interrupted = _computed(loaded, at, nodes)
    _print_curve(curve, output_format)
    with _files_checked():
        if output:
            results.write_curve(curve, output)
            _wrote(output)
        if plot:
            _save(plot, lambda plotting: plotting.plot_iv(curve).figure)
            _wrote(plot)
    _warn_of_points(curve)
    if output_format is Format.table and file.validity:
        stderr.print(f"Validity: {file.validity}", style="dim", highlight=False, markup=False)
    if interrupted:
        _fail(f"interrupted: {curve.voltage.size} of {len(at)} voltages are done", INTERRUPTED)
    if not bool(curve.converged.all()):
        raise typer.Exit(NOT_CONVERGED)


@app.command()
def profile(
    channel: ChannelArgument,
    voltage: Annotated[str, typer.Option("--voltage", help='In mV, or with a unit: "0.1 V".')],
    change: SetOption = None,
    pore_profile: HoleOption = None,
    frame: FrameOption = 1,
    radius_offset: OffsetOption = "0",
    nodes: NodesOption = 400,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the profiles to FILE.nc.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw them: p.png, .pdf or .svg.")] = None,
) -> None:
    """Potential and concentrations along the pore at one voltage."""
    from pnp import quantity

    try:
        volts = quantity.parse_quantity(_number(voltage), quantity.POTENTIAL)
    except ValueError as error:
        _fail(f"--voltage: {error}")
    _suffix(output, (".nc",), "--output")
    _suffix(plot, _PICTURES, "--plot")
    loaded, _ = _load(channel, change, pore_profile, frame, radius_offset)
    from pnp.atomic import write_whole
    from pnp.steady import solve

    with _progress(f"{loaded.name} at {volts:g} mV"), _bad_input():
        solution = solve(loaded, volts, nodes=nodes, throw=False)
    if int(solution.status) == NOT_CONVERGED:
        _fail(f"{loaded.name} at {volts:g} mV {_status_text(solution.status)}", NOT_CONVERGED)
    _print_profile(solution)
    with _files_checked():
        if output:
            write_whole(output, lambda to: solution.to_xarray().to_netcdf(to, engine="h5netcdf"))
            _wrote(output)
        if plot:
            _save(plot, lambda plotting: plotting.plot_profile(solution))
            _wrote(plot)


@app.command()
def doctor() -> None:
    """Show versions, devices and the float precision, for bug reports."""
    import platform
    from importlib.metadata import version

    import jax

    import pnp

    lines = {"pnp": pnp.__version__, "python": platform.python_version(), "platform": platform.platform()}
    lines |= {name: version(name) for name in ("jax", "jaxlib", "numpy", "equinox", "optimistix")}
    lines["devices"] = ", ".join(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    lines["64-bit floats"] = "on" if jax.config.read("jax_enable_x64") else "OFF: pnp needs them"
    for name, value in lines.items():
        stdout.print(f"{name:15}{value}", highlight=False, markup=False, soft_wrap=True)
    if not jax.config.read("jax_enable_x64"):
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the `pnp` command."""
    # Compiled programs are kept between runs: a second run starts in a fraction of the time.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache_folder()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    app()


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pnp" / "jax"


# --- reading arguments ----------------------------------------------------------------------------

_PICTURES = (".png", ".pdf", ".svg")


def _fail(message: str, code: int = BAD_INPUT) -> Any:
    stderr.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _load(name: str, changes: list[str] | None, hole: Path | None, frame: int, offset: str):
    """The channel and the checked contents of its file."""
    from pnp import channel_file, quantity

    try:
        overrides = dict(_assignment(text) for text in changes or [])
        nm = quantity.parse_quantity(_number(offset), quantity.LENGTH)
        file = channel_file.read(name, overrides=overrides, pore_profile=hole, frame=frame, offset=nm)
        return channel_file.build(file, name), file
    except ValueError as error:
        _fail(str(error))


def _assignment(text: str) -> tuple[str, Any]:
    """PATH=VALUE, the value as TOML would read it, or else as the text it is."""
    import tomllib

    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ValueError(f"--set expects PATH=VALUE, such as inside.K=150, not '{text}'")
    try:
        return path.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return path.strip(), value.strip()


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _voltages(text: str):
    import numpy as np

    wrong = (
        f"--voltages expects FIRST:LAST:COUNT in mV, such as -200:200:41, or a list such as -100,0,100; not '{text}'"
    )
    try:
        if ":" in text:
            first, last, count = text.split(":")
            if not 1 <= int(count) <= 100_000:
                _fail(f"--voltages: the count must be from 1 to 100000, not {count}")
            ends = [float(first), float(last)]
        else:
            ends = [float(part) for part in text.split(",")]
    except ValueError:
        _fail(wrong)
    if not all(abs(v) <= 1e5 for v in ends):
        _fail(f"--voltages: values must be finite and not beyond 1e5 mV; not '{text}'")
    return np.linspace(ends[0], ends[1], int(count)) if ":" in text else np.array(ends)


def _suffix(path: Path | None, known: tuple[str, ...], option: str) -> None:
    """Refuse a file that could not be written before the work is done, not after."""
    if path is None:
        return
    if path.suffix not in known:
        _fail(f"{option}: {path} must end in {' or '.join(known)}")
    if not path.parent.is_dir():
        _fail(f"{option}: the folder {path.parent} does not exist")


class _bad_input:  # noqa: N801 (reads as a statement)
    """Within it, what the library refuses becomes a message and exit code 2."""

    errors: tuple[type[Exception], ...] = (ValueError,)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, self.errors):
            _fail(str(error))


class _files_checked(_bad_input):  # noqa: N801
    errors = (OSError,)


# --- working --------------------------------------------------------------------------------------


def _computed(channel: "Channel", at, nodes: int) -> tuple["IVCurve", bool]:
    """The curve, solved in batches under a progress bar; and whether it was cut short."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    from pnp.steady import iv_curve

    size = min(len(at), _BATCH)
    parts, interrupted = [], False
    with _progress(channel.name, total=len(at)) as progress, _bad_input():
        try:
            for first in range(0, len(at), size):
                batch = at[first : first + size]
                full = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch))])
                part = jax.block_until_ready(iv_curve(channel, full, nodes=nodes))
                parts.append((part, len(batch)))
                progress.advance(len(batch))
        except KeyboardInterrupt:
            interrupted = True
    if not parts:
        _fail("interrupted before any voltage was done", INTERRUPTED)
    first = parts[0][0]
    by_voltage = lambda curve: (
        curve.voltage,
        curve.current,
        curve.ion_current,
        curve.extrapolated_current,
        curve.status,
        curve.conservation_error,
        curve.discretization_error,
        curve.iterations,
        curve.slope,
    )
    columns = zip(*([leaf[:count] for leaf in by_voltage(part)] for part, count in parts), strict=True)
    return eqx.tree_at(by_voltage, first, tuple(map(jnp.concatenate, columns))), interrupted


class _progress:  # noqa: N801
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
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
        if self.total:
            columns.insert(2, MofNCompleteColumn())
        bar = Progress(*columns, console=stderr, transient=True)
        self.task = bar.add_task(self.what, total=self.total, completed=self.done)
        bar.start()
        self.bar = bar

    def advance(self, count: int) -> None:
        self.done += count
        if self.bar:
            self.bar.update(self.task, completed=self.done)

    def __exit__(self, *_):
        self.timer.cancel()
        if self.bar:
            self.bar.stop()


# --- printing -------------------------------------------------------------------------------------


def _print_curve(curve: "IVCurve", output_format: Format) -> None:
    from pnp import results

    if output_format is Format.csv:
        sys.stdout.write(results.curve_csv(curve))
        return
    import json

    record = results.curve_record(curve)
    if output_format is Format.json:
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
        return
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
    _table(
        heads,
        [
            [_cell(v) for v in row[: len(ions) + 2]] + [row[-3].replace("_", " ")] + [_cell(v, 2) for v in row[-2:]]
            for row in rows
        ],
    )
    stdout.print(
        f"\nreversal potential  {_cell(record['reversal_potential_mV'])} mV\n"
        f"conductance at 0 mV {_cell(record['conductance_nS'])} nS",
        highlight=False,
    )


def _print_profile(solution) -> None:
    import numpy as np

    heads = ["x (nm)", "potential (mV)", *(f"{name} (mM)" for name in solution.ion_names)]
    start, end = float(solution.channel.pore.start), float(solution.channel.pore.end)
    x, reach = np.asarray(solution.x), 0.5 * (end - start)
    wanted = np.linspace(max(x[0], start - reach), min(x[-1], end + reach), 41)
    columns = [solution.potential, *np.asarray(solution.concentration).T]
    rows = np.column_stack([wanted, *(np.interp(wanted, x, np.asarray(c)) for c in columns)])
    _table(heads, [[_cell(v) for v in row] for row in rows])
    stdout.print(
        f"\ncurrent {_cell(float(solution.current))} pA ("
        + ", ".join(f"{n} {_cell(float(i))}" for n, i in zip(solution.ion_names, solution.ion_current, strict=True))
        + f"); conservation {float(solution.conservation_error):.1e}, "
        f"discretization {float(solution.discretization_error):.1e}; {_status_text(solution.status)}",
        highlight=False,
        soft_wrap=True,
    )


def _table(heads: list[str], rows: list[list[str]]) -> None:
    """Right-aligned columns at any width: a terminal must not decide how many digits there are."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        stdout.print(
            "  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True)),
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


def _cell(value: float | None, digits: int = 6) -> str:
    if value is None:
        return "—"
    return f"{0.0 if abs(value) < 1e-12 else value:.{digits}g}"


def _status_text(status) -> str:
    from pnp.newton import Status

    return Status(int(status)).text


def _wrote(path: Path) -> None:
    stderr.print(f"Wrote {path}", highlight=False, markup=False, soft_wrap=True)


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        stderr.print(f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _warn_of_points(curve: "IVCurve") -> None:
    from pnp.newton import Status

    for status in (Status.MESH_TOO_COARSE, Status.NOT_CONVERGED):
        at = [f"{float(v):g}" for v, s in zip(curve.voltage, curve.status, strict=True) if int(s) == status]
        if at:
            listed = ", ".join(at[:8]) + (f" … ({len(at)} points)" if len(at) > 8 else "")
            _warn([f"at {listed} mV: {status.text}"])


def _save(path: Path, draw) -> None:
    os.environ.setdefault("MPLBACKEND", "Agg")
    from pnp import plot
    from pnp.atomic import write_whole

    figure = draw(plot)
    write_whole(path, lambda to: figure.savefig(to, dpi=160))
