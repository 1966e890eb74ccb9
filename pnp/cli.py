"""The command line. Numbers go to stdout, everything else to stderr.

Exit codes: 0 fine, 2 bad input, 3 a point did not converge, 130 interrupted.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnp.terminal import (
    Format,
    Progress,
    print_curve,
    print_profile,
    stderr,
    stdout,
    warn,
    warn_of_points,
    wrote,
)

if TYPE_CHECKING:
    from pnp.channel import Channel
    from pnp.hysteresis import Sweep
    from pnp.steady import IVCurve

BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    help="Poisson–Nernst–Planck for ion channels and nanopores: a pore in, an I–V curve out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: pnp list, then pnp iv gramicidin-a --plot iv.png",
)


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
    wrote(file)
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
    warn(summary.warnings)


@app.command()
def iv(
    channel: ChannelArgument,
    voltages: Annotated[
        str,
        typer.Option("--voltages", metavar="FIRST:LAST:COUNT", help="Voltages in mV, or a comma-separated list."),
    ] = "-200:200:41",
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Sweep the voltage up and down, each from the one before, and compare: are there several solutions?",
        ),
    ] = False,
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

    curve: IVCurve | Sweep
    curve, interrupted = _swept(loaded, at, nodes) if sweep else _computed(loaded, at, nodes)
    print_curve(curve, output_format)
    with _files_checked():
        if output:
            results.write_curve(curve, output)
            wrote(output)
        if plot:
            _save(plot, lambda plotting: (plotting.plot_sweep if sweep else plotting.plot_iv)(curve).figure)
            wrote(plot)
    warn_of_points(curve)
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
    from pnp.settings import Status
    from pnp.steady import solve

    with Progress(f"{loaded.name} at {volts:g} mV"), _bad_input():
        solution = solve(loaded, volts, nodes=nodes, throw=False)
    if int(solution.status) == Status.NOT_CONVERGED:
        _fail(f"{loaded.name} at {volts:g} mV {solution.message}", NOT_CONVERGED)
    print_profile(solution)
    with _files_checked():
        if output:
            write_whole(output, lambda to: solution.to_xarray().to_netcdf(to, engine="h5netcdf"))
            wrote(output)
        if plot:
            _save(plot, lambda plotting: plotting.plot_profile(solution))
            wrote(plot)


@app.command()
def doctor() -> None:
    """Show versions, devices and the float precision, for bug reports."""
    import platform
    from importlib.metadata import version

    import jax

    import pnp
    from pnp.llvm import compiler

    lines = {"pnp": pnp.__version__, "python": platform.python_version(), "platform": platform.platform()}
    lines |= {name: version(name) for name in ("jax", "jaxlib", "numpy", "equinox", "optimistix")}
    lines["devices"] = ", ".join(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    lines["compiled steps"] = (
        f"llvmlite {version('llvmlite')}" if compiler() else "none (needs llvmlite, and no Windows)"
    )
    lines["64-bit floats"] = "on" if jax.config.read("jax_enable_x64") else "OFF: pnp needs them"
    for name, value in lines.items():
        stdout.print(f"{name:18}{value}", highlight=False, markup=False, soft_wrap=True)
    if not jax.config.read("jax_enable_x64"):
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the `pnp` command."""
    app()


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

    from pnp import steady
    from pnp.solution import LANES, Currents

    size = min(len(at), LANES)
    parts, interrupted = [], False
    with Progress(channel.name, total=len(at)) as progress, _bad_input():
        try:
            for first in range(0, len(at), size):
                batch = at[first : first + size]
                full = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch))])
                part = jax.block_until_ready(steady.iv_curve(channel, full, nodes=nodes))
                parts.append((part, len(batch)))
                progress.advance(len(batch))
        except KeyboardInterrupt:
            interrupted = True
    if not parts:
        _fail("interrupted before any voltage was done", INTERRUPTED)
    first = parts[0][0]
    names = [name for name in Currents.__dataclass_fields__ if name != "ion_names"]
    by_voltage = lambda curve: (*(getattr(curve, name) for name in names), curve.slope)
    columns = zip(*([leaf[:count] for leaf in by_voltage(part)] for part, count in parts), strict=True)
    return eqx.tree_at(by_voltage, first, tuple(map(jnp.concatenate, columns))), interrupted


def _swept(channel: "Channel", at, nodes: int) -> tuple["Sweep", bool]:
    """The sweeps up and down, under a progress bar."""
    from pnp import hysteresis

    with Progress(channel.name, total=len(at)) as progress, _bad_input():
        try:
            return hysteresis.sweep(channel, at, nodes=nodes, progress=progress.advance), False
        except KeyboardInterrupt:
            _fail("interrupted: there is nothing to compare before both sweeps are through", INTERRUPTED)
            raise


def _save(path: Path, draw) -> None:
    os.environ.setdefault("MPLBACKEND", "Agg")
    from pnp import plot
    from pnp.atomic import write_whole

    figure = draw(plot)
    write_whole(path, lambda to: figure.savefig(to, dpi=160))
