"""`pnp profile`: potential and concentrations at one voltage, printed, written and drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pnp.cli.options import (
    BAD_INPUT,
    NOT_CONVERGED,
    PICTURES,
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
    save_picture,
)
from pnp.cli.terminal import Progress, cell, print_table, stdout, wrote

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pnp.analysis.solution import Solution


def profile(
    channel: ChannelArgument,
    voltage: Annotated[str, typer.Option("--voltage", help='In mV, or with a unit: "0.1 V".')],
    dimension: DimensionOption = 1,
    resolution: ResolutionOption = None,
    change: SetOption = None,
    pore_profile: HoleOption = None,
    frame: FrameOption = 1,
    radius_offset: OffsetOption = "0",
    nodes: NodesOption = "auto",
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write it to FILE.nc; in two dimensions also .vtu (ParaView)."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw them: p.png, .pdf or .svg.")] = None,
) -> None:
    """Potential and concentrations along the pore at one voltage; in two dimensions maps of them."""
    from pnp import quantity

    try:
        millivolts = quantity.parse_quantity(number(voltage), quantity.POTENTIAL)
    except ValueError as error:
        fail(f"--voltage: {error}")
    discretization = make_discretization(dimension, nodes, resolution)
    check_suffix(output, (".nc",) if dimension == 1 else (".nc", ".vtu"), "--output")
    check_suffix(plot, PICTURES, "--plot")
    loaded = load(channel, change, pore_profile, frame, radius_offset)
    from pnp.analysis.steady import solve
    from pnp.settings import Status

    with Progress(f"{loaded.name} at {millivolts:g} mV"), bad_input():
        solution = solve(loaded, millivolts, discretization=discretization, throw=False)
    if int(solution.status) == Status.NOT_CONVERGED:
        fail(f"{loaded.name} at {millivolts:g} mV {solution.message}", NOT_CONVERGED)
    if int(solution.status) == Status.CLOSED:
        fail(f"{loaded.name}: {solution.message}; there is no profile", BAD_INPUT)
    _print(solution)
    with files_checked():
        if output:
            _write(solution, output)
            wrote(output)
        if plot:
            save_picture(plot, lambda: _figure(solution))
            wrote(plot)


def _print(solution: "Solution") -> None:
    """Profiles at 41 points across the pore, of an axisymmetric solution on its axis; currents, errors, resistances."""
    import numpy as np

    axial = solution.dimension == 1
    on_axis = lambda values: np.asarray(values if axial else values[:, 0])
    start, end = float(solution.channel.pore.start), float(solution.channel.pore.end)
    x, margin = np.asarray(solution.x), 0.5 * (end - start)
    positions = np.linspace(max(x[0], start - margin), min(x[-1], end + margin), 41)
    columns = [on_axis(solution.potential), *on_axis(solution.concentration).T]
    rows = np.column_stack([positions, *(np.interp(positions, x, column) for column in columns)])
    heads = ["x (nm)" if axial else "z (nm)", "potential (mV)", *(f"{name} (mM)" for name in solution.ion_names)]
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


def _write(solution: "Solution", path: Path) -> None:
    from pnp.io.atomic_write import write_whole

    if path.suffix == ".vtu":
        solution.to_vtu(path)
    else:
        write_whole(path, lambda to: solution.to_xarray().to_netcdf(to, engine="h5netcdf"))


def _figure(solution: "Solution") -> "Figure":
    """Profiles; of an axisymmetric solution maps, with the axial profiles of the same channel."""
    from pnp import plot
    from pnp.analysis.discretization import Axisymmetric
    from pnp.analysis.steady import solve

    if not isinstance(solution.discretization, Axisymmetric):
        return plot.plot_profile(solution)
    axial = solve(solution.channel, solution.voltage, discretization=solution.discretization.axial, throw=False)
    return plot.plot_field(solution, axial=axial)
