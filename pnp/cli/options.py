"""Arguments and options that commands share, and their checks before any work is done.

What is wrong ends a command by `fail`: a message on stderr and an exit code.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pnp.cli.terminal import stderr

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from pnp.analysis.discretization import Axial, Axisymmetric

BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 2, 3, 130
"""Exit codes."""

PICTURES = (".png", ".pdf", ".svg")

VOLTAGES = {1: "-200:200:41", 2: "-200:200:11"}
"""Default voltages of an I–V curve, by dimension."""

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
NodesOption = Annotated[
    str,
    typer.Option(
        "--nodes",
        metavar="COUNT|auto",
        help="Elements of the mesh. auto: 400, in one dimension up to 6400 at the voltages that need it.",
    ),
]
DimensionOption = Annotated[
    int,
    typer.Option(
        "--dimension",
        min=1,
        max=2,
        help="1: along the axis. 2: the axisymmetric pore, with its mouths and the membrane around it.",
    ),
]
ResolutionOption = Annotated[
    float | None,
    typer.Option(
        "--resolution", help="In two dimensions: how many times the default number of cells each way, 0.25 to 8."
    ),
]


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """End the command with a message on stderr."""
    stderr.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def load(name: str, changes: list[str] | None, hole: Path | None, frame: int, offset: str):
    """The channel of that name or file, with the changes of `--set`; bad input ends the command."""
    from pnp import quantity
    from pnp.io.channel_file.reader import load as load_channel

    try:
        overrides = dict(_assignment(text) for text in changes or [])
        nm = quantity.parse_quantity(number(offset), quantity.LENGTH)
        return load_channel(name, overrides=overrides, pore_profile=hole, frame=frame, offset=nm)
    except ValueError as error:
        fail(str(error))


def _assignment(text: str) -> tuple[str, Any]:
    """PATH=VALUE, the value as TOML reads it, or else as text."""
    import tomllib

    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ValueError(f"--set expects PATH=VALUE, such as inside.K=150, not '{text}'")
    try:
        return path.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return path.strip(), value.strip()


def number(text: str) -> float | str:
    """A number if it reads as one, or else the text, which may have a unit."""
    try:
        return float(text)
    except ValueError:
        return text


def read_voltages(text: str):
    """Voltages [voltage] in mV from FIRST:LAST:COUNT or a comma-separated list."""
    import numpy as np

    wrong = (
        f"--voltages expects FIRST:LAST:COUNT in mV, such as -200:200:41, or a list such as -100,0,100; not '{text}'"
    )
    try:
        if ":" in text:
            first, last, count = text.split(":")
            if not 1 <= int(count) <= 100_000:
                fail(f"--voltages: the count must be from 1 to 100000, not {count}")
            ends = [float(first), float(last)]
        else:
            ends = [float(part) for part in text.split(",")]
    except ValueError:
        fail(wrong)
    if not all(abs(v) <= 1e5 for v in ends):
        fail(f"--voltages: values must be finite and not beyond 1e5 mV; not '{text}'")
    return np.linspace(ends[0], ends[1], int(count)) if ":" in text else np.array(ends)


def make_discretization(
    dimension: int, nodes: int | str, resolution: float | None, hysteresis: bool = False
) -> "Axial | Axisymmetric":
    """The discretisation of these options; options that do not belong together end the command."""
    if dimension == 1 and resolution is not None:
        fail("--resolution is of a mesh in two dimensions: add --dimension 2, or give --nodes instead")
    if dimension == 2 and hysteresis:
        fail("--hysteresis follows the solution in one dimension only: leave out --dimension 2")
    from pnp.analysis.discretization import Axial, Axisymmetric

    if isinstance(nodes, str) and nodes != "auto":
        if not nodes.isdecimal():
            fail(f"--nodes: a whole number of elements or auto is expected, not '{nodes}'")
        nodes = int(nodes)
    try:
        axial = Axial() if nodes == "auto" and (dimension == 2 or hysteresis) else Axial(nodes)
    except ValueError as error:
        fail(f"--nodes: {error}")
    try:
        return axial if dimension == 1 else Axisymmetric(1.0 if resolution is None else resolution, axial.nodes)
    except ValueError as error:
        fail(f"--resolution: {error}")


def check_suffix(path: Path | None, suffixes: tuple[str, ...], option: str) -> None:
    """End the command before any work is done if a file could not be written afterwards."""
    if path is None:
        return
    if path.suffix not in suffixes:
        fail(f"{option}: {path} must end in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        fail(f"{option}: the folder {path.parent} does not exist")


def save_picture(path: Path, draw: "Callable[[], Figure]") -> None:
    """Draw a picture and write it: whole, or not at all."""
    import os

    os.environ.setdefault("MPLBACKEND", "Agg")
    from pnp.io.atomic_write import write_whole

    figure = draw()
    write_whole(path, lambda to: figure.savefig(to, dpi=160))


class bad_input:  # noqa: N801 (reads as a statement)
    """Within it, a ValueError of the library becomes a message and exit code 2."""

    errors: tuple[type[Exception], ...] = (ValueError,)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, self.errors):
            fail(str(error))


class files_checked(bad_input):  # noqa: N801
    """Within it, an OSError becomes a message and exit code 2."""

    errors = (OSError,)
