"""The command line. Numbers go to stdout, everything else to stderr.

Exit codes: 0 fine, 2 bad input, 3 a point did not converge, 130 interrupted.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pnp.cli.fit import fit
from pnp.cli.options import (
    INTERRUPTED,
    NOT_CONVERGED,
    PICTURES,
    VOLTAGES,
    ChannelArgument,
    DimensionOption,
    FrameOption,
    HoleOption,
    NodesOption,
    OffsetOption,
    ResolutionOption,
    SetOption,
    bad_input,
    check_suffix,
    fail,
    files_checked,
    load,
    make_discretization,
    number,
    read_voltages,
    save_picture,
)
from pnp.cli.terminal import (
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
    from pnp.analysis.discretization import Discretization
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.analysis.solution import Solution
    from pnp.analysis.steady import IVCurve
    from pnp.channel.channel import Channel

app = typer.Typer(
    help="Poisson–Nernst–Planck for ion channels and nanopores: a pore in, an I–V curve out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: pnp list, then pnp iv gramicidin-a --plot iv.png",
)


@app.command("list")
def list_channels() -> None:
    """List the ready-made channels."""
    from pnp.io.presets import presets

    for name, description in presets().items():
        stdout.print(f"[bold]{name:22}[/bold]{description}", soft_wrap=True, highlight=False)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write the template.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented channel file to start from."""
    from importlib.resources import files

    from pnp.io.atomic_write import write_whole

    if file.exists() and not force:
        fail(f"{file} exists; choose another name, or --force to replace it")
    text = files("pnp.io").joinpath("template.toml").read_text("utf-8")
    with files_checked():
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

    loaded, file = load(channel, change, pore_profile, frame, radius_offset)
    from pnp.channel.summary import summarize

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
        str | None,
        typer.Option(
            "--voltages",
            metavar="FIRST:LAST:COUNT",
            help=f"Voltages in mV, or a comma-separated list. Default: {VOLTAGES[1]}, in two dimensions {VOLTAGES[2]}.",
        ),
    ] = None,
    dimension: DimensionOption = 1,
    resolution: ResolutionOption = None,
    hysteresis: Annotated[
        bool,
        typer.Option(
            "--hysteresis",
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
    at = read_voltages(VOLTAGES[dimension] if voltages is None else voltages)
    discretization = make_discretization(dimension, nodes, resolution, hysteresis)
    check_suffix(output, (".nc", ".csv", ".json"), "--output")
    check_suffix(plot, PICTURES, "--plot")
    loaded, file = load(channel, change, pore_profile, frame, radius_offset)
    from pnp.io import datasets as results

    curve = (_swept if hysteresis else _computed)(loaded, at, discretization)
    print_curve(curve, output_format)
    with files_checked():
        if output:
            results.write_curve(curve, output)
            wrote(output)
        if plot:
            save_picture(plot, lambda: _curve_picture(curve))
            wrote(plot)
    warn_of_points(curve)
    if output_format is Format.table and file.validity:
        stderr.print(f"Validity: {file.validity}", style="dim", highlight=False, markup=False)
    if curve.voltage.size < len(at):
        fail(f"interrupted: {curve.voltage.size} of {len(at)} voltages are done", INTERRUPTED)
    if not bool(curve.converged.all()):
        raise typer.Exit(NOT_CONVERGED)


@app.command()
def profile(
    channel: ChannelArgument,
    voltage: Annotated[str, typer.Option("--voltage", help='In mV, or with a unit: "0.1 V".')],
    dimension: DimensionOption = 1,
    resolution: ResolutionOption = None,
    change: SetOption = None,
    pore_profile: HoleOption = None,
    frame: FrameOption = 1,
    radius_offset: OffsetOption = "0",
    nodes: NodesOption = 400,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write it to FILE.nc; in two dimensions also .vtu (ParaView)."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw them: p.png, .pdf or .svg.")] = None,
) -> None:
    """Potential and concentrations along the pore at one voltage; in two dimensions maps of them."""
    from pnp.io import quantity

    try:
        volts = quantity.parse_quantity(number(voltage), quantity.POTENTIAL)
    except ValueError as error:
        fail(f"--voltage: {error}")
    discretization = make_discretization(dimension, nodes, resolution)
    check_suffix(output, (".nc",) if dimension == 1 else (".nc", ".vtu"), "--output")
    check_suffix(plot, PICTURES, "--plot")
    loaded, _ = load(channel, change, pore_profile, frame, radius_offset)
    from pnp.analysis.steady import solve
    from pnp.io.atomic_write import write_whole
    from pnp.settings import Status

    with Progress(f"{loaded.name} at {volts:g} mV"), bad_input():
        solution = solve(loaded, volts, discretization=discretization, throw=False)
    if int(solution.status) == Status.NOT_CONVERGED:
        fail(f"{loaded.name} at {volts:g} mV {solution.message}", NOT_CONVERGED)
    print_profile(solution)
    with files_checked():
        if output and output.suffix == ".vtu":
            solution.to_vtu(output)
        elif output:
            write_whole(output, lambda to: solution.to_xarray().to_netcdf(to, engine="h5netcdf"))
        if output:
            wrote(output)
        if plot:
            save_picture(plot, lambda: _profile_picture(solution))
            wrote(plot)


app.command()(fit)


@app.command()
def doctor() -> None:
    """Show versions, devices and the float precision, for bug reports."""
    import platform
    from importlib.metadata import version

    import jax

    import pnp
    from pnp.linalg._cpu.llvm import compiler

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


# --- working --------------------------------------------------------------------------------------


def _computed(channel: "Channel", at, discretization: "Discretization") -> "IVCurve":
    """The curve, under a progress bar; of the voltages solved so far if it is interrupted."""
    from pnp.analysis.steady import iv_curve

    with Progress(channel.name, total=len(at)) as progress, bad_input():
        try:
            return iv_curve(channel, at, discretization=discretization, progress=progress.advance)
        except KeyboardInterrupt:
            fail("interrupted before any voltage was done", INTERRUPTED)
            raise


def _swept(channel: "Channel", at, discretization: "Discretization") -> "Hysteresis":
    """The sweeps up and down, under a progress bar."""
    from pnp.analysis.hysteresis import hysteresis

    with Progress(channel.name, total=len(at)) as progress, bad_input():
        try:
            return hysteresis(channel, at, discretization=discretization, progress=progress.advance)
        except KeyboardInterrupt:
            fail("interrupted: there is nothing to compare before both sweeps are through", INTERRUPTED)
            raise


def _curve_picture(curve: "IVCurve | Hysteresis"):
    """One of two dimensions beside that of one."""
    from pnp import plot
    from pnp.analysis import steady
    from pnp.analysis.discretization import Axisymmetric
    from pnp.analysis.hysteresis import Hysteresis

    if isinstance(curve, Hysteresis):
        return plot.plot_hysteresis(curve).figure
    line = None
    if isinstance(curve.discretization, Axisymmetric):
        # One by one, by the program that has found the axial guess of each of them.
        line = steady.iv_curve(curve.channel, curve.voltage, discretization=curve.discretization.axial, batch=1)
    return plot.plot_iv(curve, line=line).figure


def _profile_picture(solution: "Solution"):
    """One of two dimensions beside that of one."""
    from pnp.analysis import steady
    from pnp.analysis.discretization import Axisymmetric

    if not isinstance(solution.discretization, Axisymmetric):
        from pnp.plot.curves import plot_profile

        return plot_profile(solution)
    from pnp.plot.fields import plot_field

    axial = solution.discretization.axial
    return plot_field(
        solution, line=steady.solve(solution.channel, solution.voltage, discretization=axial, throw=False)
    )
