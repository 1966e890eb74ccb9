"""Fits as files: a JSON record, from which a fit can be resumed, and the fitted channel as a channel file."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from pnp.channel.values import put_values
from pnp.fit.data.measurements import IVData, ReversalData
from pnp.fit.estimate.levenberg_marquardt import Search
from pnp.fit.estimate.posterior import Posterior
from pnp.fit.estimate.problem import FitProblem
from pnp.fit.estimate.profile_likelihood import Interval
from pnp.fit.estimate.result import Estimate, Fit, FitStatus
from pnp.fit.estimate.warnings import CUT_SHORT
from pnp.fit.model.parameters import FitError
from pnp.io.atomic_write import write_whole
from pnp.io.channel_file.reader import ChannelFileError, channel_of
from pnp.io.channel_file.writer import contents, toml_text
from pnp.io.limits import MAX_BYTES
from pnp.io.tables import plain


def fit_record(
    fit: Fit, profile: dict[str, Interval] | None = None, posterior: Posterior | None = None
) -> dict[str, Any]:
    """A fit as plain data; numbers that are not determined are None."""
    problem = fit.problem
    record: dict[str, Any] = {
        "channel": problem.channel.name,
        "model": problem.model.name,
        "status": str(fit.status),
        "parameters": {name: plain(e._asdict()) for name, e in fit.parameters.items()},
        "chi2": fit.chi2,
        "dof": fit.dof,
        "probability": fit.probability,
        "aic": fit.aic,
        "bic": fit.bic,
        "errors_known": problem.known_errors,
        "scatter": fit.scatter,
        "correlation": plain(fit.correlation),
        "warnings": list(fit.warnings),
        "data": [_data_record(d, label) for d, label in zip(problem.data, problem.labels, strict=True)],
        "fitted": plain(fit.predicted.value[0]),
        "residuals": plain(fit.residuals),
        "discretization_error": fit.solver_errors["discretization"],
        "conservation_error": fit.solver_errors["conservation"],
        "starts": starts_record(problem, fit.starts),
    }
    if fit.ratios:
        record["ratios"] = {name: plain(e._asdict()) for name, e in fit.ratios.items()}
    if profile is not None:
        record["profile"] = {name: interval._asdict() for name, interval in profile.items()}
    if posterior is not None:
        record["posterior"] = _posterior_record(posterior)
        record["warnings"] += list(posterior.warnings)
    return record


def _posterior_record(posterior: Posterior) -> dict[str, Any]:
    intervals, median = posterior.interval(), posterior.median
    by_name = {
        name: {
            "median": median[name],
            "low": intervals[name][0],
            "high": intervals[name][1],
            "r_hat": plain(posterior.r_hat[i]),
            "effective_size": plain(posterior.effective_size[i]),
        }
        for i, name in enumerate(posterior.names)
    }
    chains, samples, _ = posterior.samples.shape
    return {
        "parameters": by_name,
        "chains": chains,
        "samples": samples,
        "divergences": posterior.divergences,
        "acceptance": posterior.acceptance,
    }


def _data_record(data: IVData | ReversalData, label: str) -> dict[str, Any]:
    count = data.current.size if isinstance(data, IVData) else data.reversal.size
    return {"label": label, "points": count, "corrections": list(data.corrections)}


def starts_record(problem: FitProblem, search: Search) -> list[dict[str, Any]]:
    """The best values found from every start, for `resumed_starts`."""
    values = problem.space.value(problem.space.s_of_u(search.u))
    return [
        {"values": dict(zip(problem.space.names, row.tolist(), strict=True)), "chi2": plain(chi2), "done": bool(done)}
        for row, chi2, done in zip(values, search.chi2, search.done, strict=True)
    ]


def unfinished_record(problem: FitProblem, search: Search) -> dict[str, Any]:
    """A fit under way as plain data."""
    best = int(np.nanargmin(search.chi2)) if np.isfinite(search.chi2).any() else 0
    values = problem.space.value(problem.space.s_of_u(search.u[best]))
    estimate = lambda i, v: Estimate(float(v), problem.space.parameters[i].measure.unit, None, None, None)._asdict()
    return {
        "channel": problem.channel.name,
        "model": problem.model.name,
        "status": str(FitStatus.INTERRUPTED),
        "parameters": {
            name: estimate(i, v) for i, (name, v) in enumerate(zip(problem.space.names, values, strict=True))
        },
        "chi2": plain(search.chi2[best]),
        "dof": problem.dof,
        "warnings": [CUT_SHORT],
        "correlation": None,
        "starts": starts_record(problem, search),
    }


def resumed_starts(path: str | Path) -> list[dict[str, float]]:
    """The starts of a record, for `fit(begin=…)`. Raises FitError if the file is no record."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FitError(f"{path}: is too large for the record of a fit")
        record = json.loads(path.read_text("utf-8"))
        starts = [{str(k): float(v) for k, v in start["values"].items()} for start in record["starts"]]
    except OSError as error:
        raise FitError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FitError(f"{path}: is not the record of a fit that --output has written") from None
    if not starts or not all(math.isfinite(v) for start in starts for v in start.values()):
        raise FitError(f"{path}: holds no starts to go on from")
    return starts


def write_record(record: dict[str, Any], path: str | Path) -> None:
    """Write a record as JSON, atomically. Raises OSError if it cannot be written."""
    write_whole(path, lambda to: to.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", "utf-8"))


def write_channel(fit: Fit, path: str | Path, label: str | None = None) -> None:
    """Write the fitted channel as a channel file that `pnp.load` reads, in the package's units.

    - label: as in `Fit.channel`.

    Raises FitError as there and for a channel that no file can describe; OSError if the file cannot be written.
    """
    values, channel = fit.channel_values(label), fit.problem.channel
    listed = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
    description = f"{channel.description or channel.name}; fitted: {listed}"[:10_000]
    written = contents(put_values(channel, values).with_texts(description=description))
    try:
        channel_of(written, str(path))
    except ChannelFileError as error:
        raise FitError(f"the fitted channel is not one that can be read: {error}") from None
    head = f"# {channel.name} with what was fitted to {', '.join(fit.problem.labels)}; status: {fit.status}.\n"
    write_whole(path, lambda to: to.write_text(head + toml_text(written), "utf-8"))
