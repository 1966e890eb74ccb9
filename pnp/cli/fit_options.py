"""Options of `pnp fit` in groups, and the free and fixed numbers that they describe."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pnp.cli.options import PICTURES, check_suffix, fail, number
from pnp.cli.terminal import Format

if TYPE_CHECKING:
    from pnp.channel.channel import Channel
    from pnp.fit import Free
    from pnp.fit.model.base import Model


@dataclass(frozen=True)
class NumberOptions:
    """What is fitted: --free, --each, --tie and --fix as they were typed."""

    free: list[str]
    each: list[str]
    tie: list[str]
    fix: list[str]


@dataclass(frozen=True)
class SearchOptions:
    """How the minimum is searched."""

    starts: int
    seed: int
    robust: float | None
    resume: Path | None


@dataclass(frozen=True)
class OutputOptions:
    """What is computed besides the fit, and where the results go."""

    profile: bool
    posterior: bool
    samples: int
    compare: bool
    output_format: Format
    output: Path | None
    plot: Path | None

    def check(self) -> None:
        """Refuse files that could not be written, before any work is done."""
        check_suffix(self.output, (".json",), "--output")
        check_suffix(self.plot, PICTURES, "--plot")
        if self.output_format is Format.csv:
            fail("--format: a fit is printed as table or json")


def free_numbers(model: "Model", channel: "Channel", options: NumberOptions) -> "list[Free]":
    """The free numbers, with their bounds and ties. Raises FitError."""
    from pnp.fit import FitError

    if not options.free and not options.each:
        raise FitError(
            "nothing is free: name what to fit, such as --free pore.diffusivity.K; --list shows what there is"
        )
    ties = _ties(options.tie)
    free = [_free_number(model, channel, text, "--free", ties) for text in options.free]
    free += [_free_number(model, channel, text, "--each", ties) for text in options.each]
    unknown = set(ties) - {f.path for f in free}
    if unknown:
        raise FitError(f"--tie: {sorted(unknown)[0]} is not free; name it with --free as well")
    return free


def _ties(texts: list[str]) -> dict[str, dict[str, float]]:
    """Factors of the tied numbers by their paths, for each number that they follow."""
    from pnp.fit import FitError

    ties: dict[str, dict[str, float]] = {}
    for text in texts:
        path, equals, other = text.partition("=")
        factor, times, free = other.rpartition("*")
        try:
            ties.setdefault(free.strip(), {})[path.strip()] = float(factor) if times else 1.0
        except ValueError:
            equals = ""
        if not equals or not free.strip():
            raise FitError(f"--tie expects PATH=PATH or PATH=FACTOR*PATH, not '{text}'")
    return ties


def fixed_number(model: "Model", channel: "Channel", text: str) -> tuple[str, float]:
    """Path and value from PATH=VALUE. Raises FitError."""
    from pnp.fit import FitError

    path, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise FitError(f"--fix expects PATH=VALUE, not '{text}'")
    return path, _quantity(model, channel, "--fix", path, value)


def _quantity(model: "Model", channel: "Channel", option: str, path: str, text: str) -> float:
    """A value of the number at that path, in its unit."""
    from pnp import quantity
    from pnp.fit import FitError

    try:
        return quantity.parse_quantity(number(text), model.number(channel, path)[0].quantity)
    except KeyError as error:
        raise FitError(f"{option} {error.args[0]}") from None
    except ValueError as error:
        raise FitError(f"{option} {path}: {error}") from None


def _free_number(model: "Model", channel: "Channel", text: str, option: str, ties: dict) -> "Free":
    """From PATH or PATH=LOW:HIGH, where either bound may be left out or have a unit."""
    from pnp.fit import FitError, Free

    path, equals, bounds = (part.strip() for part in text.partition("="))
    first, colon, last = (part.strip() for part in bounds.partition(":"))
    if equals and not colon:
        raise FitError(f"{option} expects PATH or PATH=LOW:HIGH, such as pore.charge.0.amount=-5:0, not '{text}'")
    low, high = (_quantity(model, channel, option, path, bound) if bound else None for bound in (first, last))
    return Free(path, low, high, each=option == "--each", tied=ties.get(path, {}))
