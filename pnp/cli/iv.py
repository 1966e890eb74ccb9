"""`pnp iv`: a current–voltage curve, or sweeps up and down, printed, written and drawn."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    read_voltages,
    save_picture,
)
from pnp.cli.terminal import Format, Progress, cell, print_table, stderr, stdout, warn, wrote

if TYPE_CHECKING:
    from pnp.analysis.discretization import Discretization
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.analysis.solution import Currents
    from pnp.analysis.steady import IVCurve
    from pnp.channel.channel import Channel


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
    nodes: NodesOption = "auto",
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
    voltage = read_voltages(VOLTAGES[dimension] if voltages is None else voltages)
    discretization = make_discretization(dimension, nodes, resolution, hysteresis)
    check_suffix(output, (".nc", ".csv", ".json"), "--output")
    check_suffix(plot, PICTURES, "--plot")
    loaded = load(channel, change, pore_profile, frame, radius_offset)
    from pnp.channel.flow import flow_warning
    from pnp.io import tables

    curve = (_solve_hysteresis if hysteresis else _solve_curve)(loaded, voltage, discretization)
    _print(curve, output_format)
    with files_checked():
        if output:
            tables.write_curve(curve, output)
            wrote(output)
        if plot:
            save_picture(plot, lambda: _figure(curve))
            wrote(plot)
    _warn_of_points(curve)
    flow = flow_warning(loaded)
    warn([flow] if flow else [])
    if output_format is Format.table and loaded.validity:
        stderr.print(f"Validity: {loaded.validity}", style="dim", highlight=False, markup=False)
    if curve.voltage.size < len(voltage):
        fail(f"interrupted: {curve.voltage.size} of {len(voltage)} voltages are done", INTERRUPTED)
    if not bool(curve.converged.all()):
        raise typer.Exit(NOT_CONVERGED)


# --- solve ----------------------------------------------------------------------------------------


def _solve_curve(channel: "Channel", voltage, discretization: "Discretization") -> "IVCurve":
    """The curve, with a progress bar; if interrupted, of the voltages solved so far."""
    from pnp.analysis.steady import iv_curve

    with Progress(channel.name, total=len(voltage)) as progress, bad_input():
        try:
            return iv_curve(channel, voltage, discretization=discretization, progress=progress.advance)
        except KeyboardInterrupt:
            fail("interrupted before any voltage was done", INTERRUPTED)


def _solve_hysteresis(channel: "Channel", voltage, discretization: "Discretization") -> "Hysteresis":
    """The sweeps up and down, with a progress bar."""
    from pnp.analysis.hysteresis import hysteresis

    with Progress(channel.name, total=len(voltage)) as progress, bad_input():
        try:
            return hysteresis(channel, voltage, discretization=discretization, progress=progress.advance)
        except KeyboardInterrupt:
            fail("interrupted: there is nothing to compare before both sweeps are complete", INTERRUPTED)


# --- print ----------------------------------------------------------------------------------------


def _print(curve: "IVCurve | Hysteresis", output_format: Format) -> None:
    """A table for people, or CSV or JSON for programs."""
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.io import tables

    if output_format is Format.csv:
        sys.stdout.write(tables.as_csv(curve))
    elif output_format is Format.json:
        sys.stdout.write(tables.as_json(curve))
    elif isinstance(curve, Hysteresis):
        _print_hysteresis(tables.hysteresis_record(curve))
    else:
        _print_curve(tables.curve_record(curve))


def _print_curve(record: dict[str, Any]) -> None:
    ions = record["ion_current_pA"]
    rows = zip(
        record["voltage_mV"], record["current_pA"], *ions.values(), record["status"],
        record["conservation_error"], record["discretization_error"], strict=True,
    )  # fmt: skip
    ion_heads = [f"I {name} (pA)" for name in ions]
    print_table(
        ["V (mV)", "I (pA)", *ion_heads, "status", "conservation", "discretization"],
        [
            [*map(cell, numbers), status.replace("_", " "), cell(conservation, 2), cell(discretization, 2)]
            for *numbers, status, conservation, discretization in rows
        ],
    )
    stdout.print(
        f"\nreversal potential  {cell(record['reversal_potential_mV'])} mV\n"
        f"conductance at 0 mV {cell(record['conductance_nS'])} nS",
        highlight=False,
    )
    if record["rectification"] is not None:
        largest = cell(record["largest_voltage_mV"])
        stdout.print(
            f"rectification       {cell(record['rectification'])} = |I({largest} mV) / I(−{largest} mV)|\n"
            f"selectivity         {cell(record['selectivity'])} at {largest} mV (1 cations only, −1 anions only)",
            highlight=False,
            soft_wrap=True,
        )


def _print_hysteresis(record: dict[str, Any]) -> None:
    """The sweep up, and beside it the current of the sweep down."""
    up = record["up"]
    rows = zip(
        record["voltage_mV"], up["current_pA"], record["down"]["current_pA"], record["relative_difference"],
        up["status"], up["conservation_error"], up["discretization_error"], strict=True,
    )  # fmt: skip
    print_table(
        ["V (mV)", "I up (pA)", "I down (pA)", "difference", "status", "conservation", "discretization"],
        [
            [*map(cell, row[:3]), cell(row[3], 2), row[4].replace("_", " "), cell(row[5], 2), cell(row[6], 2)]
            for row in rows
        ],
    )


def _warn_of_points(curve: "IVCurve | Hysteresis") -> None:
    """Name the voltages whose values are missing, coarse or not the only ones, and what to do."""
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.settings import Status

    statuses = [Status.MULTIPLE_SOLUTIONS, Status.MESH_TOO_COARSE, Status.NOT_CONVERGED, Status.CLOSED]
    if isinstance(curve, Hysteresis):
        _warn_of(curve.up, statuses, "")
        _warn_of(curve.down, statuses[1:], " on the way down")  # multiple solutions concern both sweeps
    else:
        _warn_of(curve, statuses, "")


def _warn_of(currents: "Currents", statuses: list, which_sweep: str) -> None:
    messages = currents.messages()
    for status in statuses:
        which = [i for i, s in enumerate(currents.status) if int(s) == status]
        if which:
            listed = ", ".join(f"{float(currents.voltage[i]):g}" for i in which[:8])
            listed += f" … ({len(which)} points)" if len(which) > 8 else ""
            warn([f"at {listed} mV{which_sweep}: {messages[which[0]]}"])


# --- draw -----------------------------------------------------------------------------------------


def _figure(curve: "IVCurve | Hysteresis") -> Any:
    """The curve; an axisymmetric one beside the axial curve of the same channel."""
    from pnp import plot
    from pnp.analysis.discretization import Axisymmetric
    from pnp.analysis.hysteresis import Hysteresis
    from pnp.analysis.steady import iv_curve

    if isinstance(curve, Hysteresis):
        return plot.plot_hysteresis(curve).figure
    axial = None
    if isinstance(curve.discretization, Axisymmetric):
        # One by one, by the program that has found the axial guess of each of them.
        axial = iv_curve(curve.channel, curve.voltage, discretization=curve.discretization.axial, batch=1)
    return plot.plot_iv(curve, axial=axial).figure
