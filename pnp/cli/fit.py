"""`pnp fit`: fit numbers of a channel to measured currents and reversal potentials."""

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pnp.cli.fit_options import NumberOptions, OutputOptions, SearchOptions, fixed_number, free_numbers
from pnp.cli.fit_tables import Analyses, fit_json, print_fit
from pnp.cli.options import (
    INTERRUPTED,
    NOT_CONVERGED,
    ChannelArgument,
    DimensionOption,
    FrameOption,
    HoleOption,
    OffsetOption,
    ResolutionOption,
    SetOption,
    bad_input,
    fail,
    files_checked,
    load,
    make_discretization,
    save_picture,
)
from pnp.cli.terminal import Format, Progress, cell, print_table, warn, wrote

if TYPE_CHECKING:
    from pnp.analysis.discretization import Discretization
    from pnp.channel.channel import Channel
    from pnp.fit import Comparison, Fit, Interval, IVData, Posterior, ReversalData
    from pnp.fit.model.base import Model

CHECKPOINT = 10.0  # s between two writings of an unfinished fit
_WARMUP = 150  # steps of the posterior's chains


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
    nodes: Annotated[int, typer.Option("--nodes", min=16, max=1_000_000, help="Elements of the mesh.")] = 200,
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
    outputs = OutputOptions(profile, posterior, samples, compare, output_format, output, plot)
    outputs.check()
    loaded = load(channel, change, pore_profile, frame, radius_offset)
    chosen = _model(model, discretization)
    if numbers:
        return _list(chosen, loaded)
    options = NumberOptions(free or [], each or [], tie or [], fix or [])
    search = SearchOptions(starts or (16 if dimension == 1 else 2), seed, robust, resume)
    _fit(loaded, data or [], chosen, options, search, outputs)


def _fit(
    channel: "Channel",
    sources: list[str],
    model: "Model",
    options: NumberOptions,
    search: SearchOptions,
    outputs: OutputOptions,
) -> None:
    """Fit, analyse, print and write; exit with the code of how it ended."""
    with bad_input():
        free = free_numbers(model, channel, options)
        data = _read(sources)
        begin = None if search.resume is None else _resumed_starts(search.resume)
        fixed = dict(fixed_number(model, channel, text) for text in options.fix)
    result = _run(channel, data, free, model, search, begin, fixed, outputs.output)
    analyses, interrupted = Analyses(), result.status == "interrupted"
    if result.status == "converged":
        try:
            if outputs.compare:
                analyses.comparison = _compare(result, channel, data, search)
            if outputs.profile:
                analyses.profile = _profile(result)
            if outputs.posterior:
                analyses.posterior = _sample(result, outputs.samples, search.seed)
        except KeyboardInterrupt:  # the fit itself is complete
            interrupted = True
    print_fit(result, outputs.output_format, analyses)
    _write(result, analyses, outputs.output, outputs.plot)
    warn([*result.warnings, *(analyses.posterior.warnings if analyses.posterior else ())])
    if interrupted:
        fail("interrupted: --resume goes on from what --output has written", INTERRUPTED)
    if result.status != "converged":
        raise typer.Exit(NOT_CONVERGED)


def _model(name: str, discretization: "Discretization") -> "Model":
    from pnp.fit import GHK, PNP

    if name not in ("pnp", "ghk"):
        fail(f"--model must be pnp or ghk, not '{name}'")
    return GHK() if name == "ghk" else PNP(discretization)


def _list(model: "Model", channel: "Channel") -> None:
    rows = [[path, cell(value), measure.unit] for path, (measure, value) in model.numbers(channel).items()]
    print_table(["number", "value", "unit"], rows, left=(0, 2))


def _read(sources: list[str]) -> "list[IVData | ReversalData]":
    from pnp.fit import FitError, read

    if not sources:
        raise FitError("there are no data: name at least one CSV file with the columns V_mV and I_pA")
    return [read(source) for source in sources]


def _resumed_starts(path: Path) -> list[dict[str, float]]:
    from pnp.fit.record import resumed_starts

    return resumed_starts(path)


def _run(channel, data, free, model, search: SearchOptions, begin, fixed, output: Path | None) -> "Fit":
    """Fit under a progress bar, and write the unfinished fit now and then."""
    from pnp import fit as fits
    from pnp.fit.record import unfinished_record, write_record

    written, done = time.monotonic(), 0
    with Progress(f"{channel.name}: starts", total=len(begin or range(search.starts))) as progress, bad_input():

        def report(problem, state):
            nonlocal written, done
            before, done = done, int(state.done.sum())
            progress.advance(done - before)
            if output and time.monotonic() - written > CHECKPOINT:
                write_record(unfinished_record(problem, state), output)
                written = time.monotonic()

        try:
            return fits.fit(
                channel,
                data,
                free,
                model=model,
                starts=search.starts,
                seed=search.seed,
                robust=search.robust,
                fixed=fixed,
                begin=begin,
                report=report,
            )
        except KeyboardInterrupt:
            fail("interrupted before any start had a value", INTERRUPTED)
            raise


def _profile(result: "Fit") -> "dict[str, Interval]":
    from pnp.fit.estimate.profile_likelihood import profile

    done = 0
    names = result.problem.space.names
    with Progress("profile of the likelihood", total=2 * len(names)) as progress:

        def report(ends: int):
            nonlocal done
            progress.advance(ends - done)
            done = ends

        with warnings.catch_warnings(record=True) as caught:
            intervals = profile(result, report=report)
    warn(list(dict.fromkeys(str(each.message) for each in caught)))
    return intervals


def _sample(result: "Fit", samples: int, seed: int) -> "Posterior":
    from pnp.fit.estimate.posterior import posterior

    with Progress("posterior", total=_WARMUP + samples) as progress, bad_input():
        return posterior(result, samples=samples, warmup=_WARMUP, seed=seed, report=lambda done: progress.advance(1))


def _compare(result: "Fit", channel: "Channel", data: list, search: SearchOptions) -> "Comparison":
    """With a fit of all permeabilities in a constant field."""
    from pnp import fit as fits

    permeabilities = [f"permeability.{name}" for name in channel.ion_names]
    with bad_input():
        if result.problem.model.name == "ghk":
            fail("--compare compares a fit by PNP with a constant field: leave out --model ghk")
        ghk = fits.fit(
            channel,
            data,
            permeabilities,
            model="ghk",
            starts=search.starts,
            seed=search.seed,
            robust=search.robust,
        )
        return fits.compare(ghk, result)


def _write(result: "Fit", analyses: Analyses, output: Path | None, plot: Path | None) -> None:
    """Write the record, beside it the fitted channel if there is one for all data sets, and the picture."""
    from pnp.fit.record import write_channel, write_record

    with files_checked(), bad_input():
        if output:
            write_record(fit_json(result, analyses), output)
            wrote(output)
            individual = any(f.each and f.path != "channels" for f in result.problem.free)
            if result.problem.model.name == "pnp" and not individual:
                write_channel(result, output.with_suffix(".toml"))
                wrote(output.with_suffix(".toml"))
        if plot:
            from pnp.fit.plot import plot_fit

            save_picture(plot, lambda: plot_fit(result, analyses.comparison.ghk if analyses.comparison else None))
            wrote(plot)
