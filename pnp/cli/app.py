"""The command line. Numbers go to stdout, everything else to stderr.

Exit codes: 0 fine, 2 bad input, 3 a point did not converge, 130 interrupted.
"""

from pathlib import Path
from typing import Annotated

import typer

from pnp.cli.fit import fit
from pnp.cli.iv import iv
from pnp.cli.options import (
    ChannelArgument,
    FrameOption,
    HoleOption,
    OffsetOption,
    SetOption,
    fail,
    files_checked,
    load,
)
from pnp.cli.profile import profile
from pnp.cli.terminal import stderr, stdout, warn, wrote

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

    loaded = load(channel, change, pore_profile, frame, radius_offset)
    from pnp.channel.summary import summarize

    summary = summarize(loaded)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, value in summary.lines:
        table.add_row(what, value)
    if loaded.validity:
        table.add_row("validity", loaded.validity)
    stdout.print(table, highlight=False, markup=False)
    warn(summary.warnings)


for command in (iv, profile, fit):
    app.command()(command)


@app.command()
def doctor() -> None:
    """Show versions, devices and the float precision, for bug reports."""
    import platform
    from importlib.metadata import version

    import jax

    import pnp
    from pnp.linalg.dispatch import why_no_compiled_loops

    lines = {"pnp": pnp.__version__, "python": platform.python_version(), "platform": platform.platform()}
    lines |= {name: version(name) for name in ("jax", "jaxlib", "numpy", "equinox", "optimistix")}
    lines["devices"] = ", ".join(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    reason = why_no_compiled_loops()
    lines["compiled loops"] = f"none ({reason})" if reason else f"llvmlite {version('llvmlite')}"
    lines["64-bit floats"] = "on" if jax.config.read("jax_enable_x64") else "OFF: pnp needs them"
    for name, value in lines.items():
        stdout.print(f"{name:18}{value}", highlight=False, markup=False, soft_wrap=True)
    if not jax.config.read("jax_enable_x64"):
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the `pnp` command."""
    app()
