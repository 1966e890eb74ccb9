"""`pnp fit`: measured currents in, numbers of a channel out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnp.cli.fit_tables import print_fit, whole_record
from pnp.cli.options import (
    INTERRUPTED,
    NOT_CONVERGED,
    PICTURES,
    ChannelArgument,
    DimensionOption,
    FrameOption,
    HoleOption,
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
from pnp.cli.terminal import Format, Progress, cell, print_table, warn, wrote

if TYPE_CHECKING:
    from pnp.channel.channel import Channel
    from pnp.fit import Fit, Free
    from pnp.fit.estimate.posterior import Posterior
    from pnp.fit.estimate.profile_likelihood import Interval
    from pnp.fit.model.base import Model

CHECKPOINT = 10.0  # s between two writings of what an unfinished fit has


def fit(
    channel: ChannelArgument,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA",
            help="CSV with the columns V_mV, I_pA and, if known, I_sd_pA; or .abf. Baths in its comments "
            "(# outside.K = 10) or after it: a.csv@outside.K=10,outside.Cl=10.",
        ),
    ] = None,
    free: Annotated[
        list[str] | None,
        typer.Option(
            "--free", metavar="PATH[=LOW:HIGH]", help="A number to fit, e.g. pore.charge.0.amount=-5:0. Repeatable."
        ),
    ] = None,
    each: Annotated[
        list[str] | None,
        typer.Option(
            "--each", metavar="PATH[=LOW:HIGH]", help="The same, but another one in every data set. Repeatable."
        ),
    ] = None,
    tie: Annotated[
        list[str] | None,
        typer.Option("--tie", metavar="PATH=[FACTOR*]PATH", help="A number that follows a free one. Repeatable."),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            "--fix", metavar="PATH=VALUE", help="A number that is not the channel's own, but not fitted either."
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="pnp, or ghk for permeabilities in a constant field.")] = "pnp",
    starts: Annotated[
        int | None,
        typer.Option(
            "--starts",
            min=1,
            max=10_000,
            help="Starts, the channel's own values first. Default: 16, in two dimensions 2.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the starts and of the samples.")] = 0,
    robust: Annotated[
        float | None, typer.Option("--robust", metavar="C", help="Deviations beyond C standard errors count less.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Intervals from the profile of the likelihood too.")
    ] = False,
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Sample the posterior by NUTS too (blackjax).")
    ] = False,
    samples: Annotated[int, typer.Option("--samples", min=10, help="Of each of four chains of the posterior.")] = 250,
    compare: Annotated[bool, typer.Option("--compare", help="Fit permeabilities in a constant field as well.")] = False,
    numbers: Annotated[
        bool, typer.Option("--list", help="List the numbers that can be fitted, and do nothing else.")
    ] = False,
    dimension: DimensionOption = 1,
    resolution: ResolutionOption = None,
    change: SetOption = None,
    pore_profile: HoleOption = None,
    frame: FrameOption = 1,
    radius_offset: OffsetOption = "0",
    nodes: Annotated[int, typer.Option("--nodes", min=8, max=1_000_000, help="Elements of the mesh.")] = 200,
    output_format: Annotated[Format, typer.Option("--format", help="How to print the result.")] = Format.table,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE.json", help="Write the result, and beside it the fitted channel as FILE.toml."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="FILE.json", help="Go on from what an interrupted fit has written."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: fit.png, .pdf or .svg.")] = None,
) -> None:
    """Fit numbers of a channel to measured currents: values with 95 % intervals, and what the data leave open."""
    discretization = make_discretization(dimension, nodes, resolution)
    check_suffix(output, (".json",), "--output")
    check_suffix(plot, PICTURES, "--plot")
    if output_format is Format.csv:
        fail("--format: a fit is printed as table or json")
    loaded, _ = load(channel, change, pore_profile, frame, radius_offset)
    chosen = _model(model, discretization)
    if numbers:
        return _list(chosen, loaded)
    with bad_input():
        wanted = _wanted(chosen, loaded, free or [], each or [], tie or [])
        sets = _read(data or [])
        begin = None if resume is None else _resumed(resume)
        fixed = dict(_fixed(chosen, loaded, text) for text in fix or [])
    arguments: dict[str, Any] = {"starts": starts or (16 if dimension == 1 else 2), "seed": seed, "robust": robust}
    arguments |= {"begin": begin, "fixed": fixed}
    found = _fitted(loaded, sets, wanted, chosen, arguments, output)
    more: dict[str, Any] = {"intervals": None, "sampled": None, "against": None}
    interrupted = found.status == "interrupted"
    if found.status == "converged":
        try:
            more["against"] = _constant_field(found, loaded, sets, arguments) if compare else None
            more["intervals"] = _profiled(found) if profile else None
            more["sampled"] = _sampled(found, samples, seed) if posterior else None
        except KeyboardInterrupt:  # the fit itself is there
            interrupted = True
    print_fit(found, output_format, **more)
    _keep(found, output, plot, **more)
    warn([*found.warnings, *(more["sampled"].warnings if more["sampled"] else ())])
    if interrupted:
        fail("interrupted: --resume goes on from what --output has written", INTERRUPTED)
    if found.status != "converged":
        raise typer.Exit(NOT_CONVERGED)


def _model(name: str, discretization) -> "Model":
    from pnp.fit import GHK, PNP

    if name not in ("pnp", "ghk"):
        fail(f"--model must be pnp or ghk, not '{name}'")
    return GHK() if name == "ghk" else PNP(discretization)


def _list(model: "Model", channel: "Channel") -> None:
    rows = [[path, cell(value), measure.unit] for path, (measure, value) in model.numbers(channel).items()]
    print_table(["number", "value", "unit"], rows, left=(0, 2))


def _wanted(model, channel, free: list[str], each: list[str], tie: list[str]) -> "list[Free]":
    from pnp.fit import FitError

    if not free and not each:
        raise FitError(
            "nothing is free: name what to fit, such as --free pore.diffusivity.K; --list shows what there is"
        )
    ties: dict[str, dict[str, float]] = {}
    for text in tie:
        path, equals, other = text.partition("=")
        factor, times, to = other.rpartition("*")
        try:
            ties.setdefault(to.strip(), {})[path.strip()] = float(factor) if times else 1.0
        except ValueError:
            equals = ""
        if not equals or not to.strip():
            raise FitError(f"--tie expects PATH=PATH or PATH=FACTOR*PATH, not '{text}'")
    found = [
        _parsed(model, channel, t, option, ties) for option, ts in (("--free", free), ("--each", each)) for t in ts
    ]
    lost = set(ties) - {f.path for f in found}
    if lost:
        raise FitError(f"--tie: {sorted(lost)[0]} is not free; name it with --free as well")
    return found


def _fixed(model, channel, text: str) -> tuple[str, float]:
    from pnp.fit import FitError

    path, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise FitError(f"--fix expects PATH=VALUE, not '{text}'")
    return path, _quantity(model, channel, "--fix", path, value)


def _quantity(model, channel, option: str, path: str, text: str) -> float:
    """A value of the number of that path, in its unit."""
    from pnp.fit import FitError
    from pnp.io import quantity

    try:
        return quantity.parse_quantity(number(text), model.number(channel, path)[0].quantity)
    except KeyError as error:
        raise FitError(f"{option} {error.args[0]}") from None
    except ValueError as error:
        raise FitError(f"{option} {path}: {error}") from None


def _parsed(model, channel, text: str, option: str, ties: dict) -> "Free":
    """PATH or PATH=LOW:HIGH, either of which may be left out or carry a unit."""
    from pnp.fit import FitError, Free

    path, equals, bounds = (part.strip() for part in text.partition("="))
    first, colon, last = (part.strip() for part in bounds.partition(":"))
    if equals and not colon:
        raise FitError(f"{option} expects PATH or PATH=LOW:HIGH, such as pore.charge.0.amount=-5:0, not '{text}'")
    low, high = (_quantity(model, channel, option, path, b) if b else None for b in (first, last))
    return Free(path, low, high, each=option == "--each", tied=ties.get(path, {}))


def _read(sources: list[str]) -> list:
    from pnp.fit import FitError
    from pnp.fit.data.source import read

    if not sources:
        raise FitError("there are no data: name at least one CSV file with the columns V_mV and I_pA")
    return [read(source) for source in sources]


def _resumed(path: Path):
    from pnp.fit.record import resumed

    return resumed(path)


def _fitted(channel, sets, wanted, model, arguments: dict, output: Path | None) -> "Fit":
    """Under a progress bar; what an unfinished fit has is written now and then."""
    from pnp.fit import fit as fitted
    from pnp.fit.record import unfinished_record, write_record

    count = len(arguments["begin"] or range(arguments["starts"]))
    last = [time.monotonic(), 0]
    with Progress(f"{channel.name}: starts", total=count) as progress, bad_input():

        def report(problem, run):
            done = int(run.done.sum())
            progress.advance(done - last[1])
            last[1] = done
            if output and time.monotonic() - last[0] > CHECKPOINT:
                write_record(unfinished_record(problem, run), output)
                last[0] = time.monotonic()

        try:
            return fitted(channel, sets, wanted, model=model, report=report, **arguments)
        except KeyboardInterrupt:
            fail("interrupted before any start had a value", INTERRUPTED)
            raise


def _profiled(found: "Fit") -> "dict[str, Interval]":
    import warnings

    from pnp.fit.estimate.profile_likelihood import profile

    last = [0]
    names = found.problem.space.names
    with Progress("profile of the likelihood", total=2 * len(names)) as progress:

        def report(ends: int):
            progress.advance(ends - last[0])
            last[0] = ends

        with warnings.catch_warnings(record=True) as said:
            intervals = profile(found, report=report)
    warn(list(dict.fromkeys(str(each.message) for each in said)))
    return intervals


def _sampled(found: "Fit", samples: int, seed: int) -> "Posterior":
    from pnp.fit.estimate.posterior import posterior

    warmup = 150
    with Progress("posterior", total=warmup + samples) as progress, bad_input():
        return posterior(found, samples=samples, warmup=warmup, seed=seed, report=lambda done: progress.advance(1))


def _constant_field(found, channel, sets, arguments):
    from pnp.fit import fit as fitted
    from pnp.fit.estimate.comparison import compare

    ions = [f"permeability.{name}" for name in channel.ion_names]
    with bad_input():
        if found.problem.model.name == "ghk":
            fail("--compare holds a fit by PNP against a constant field: leave out --model ghk")
        return compare(fitted(channel, sets, ions, model="ghk", **{**arguments, "begin": None, "fixed": None}), found)


def _keep(found, output: Path | None, plot: Path | None, intervals, sampled, against) -> None:
    from pnp.fit.record import write_channel, write_record

    with files_checked(), bad_input():
        if output:
            write_record(whole_record(found, intervals, sampled, against), output)
            wrote(output)
            if found.problem.model.name == "pnp" and not any(
                f.each and f.path != "channels" for f in found.problem.free
            ):
                write_channel(found, output.with_suffix(".toml"))
                wrote(output.with_suffix(".toml"))
        if plot:
            from pnp.fit.plot import plot_fit

            save_picture(plot, lambda: plot_fit(found, against.ghk if against else None))
            wrote(plot)
