"""A fit for people, as tables, and for programs, as JSON."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pnp.cli.terminal import Format, cell, print_table, stdout

if TYPE_CHECKING:
    from pnp.fit import Comparison, Estimate, Fit, Interval, Posterior


@dataclass
class Analyses:
    """What was computed of a fit besides the fit itself."""

    profile: "dict[str, Interval] | None" = None
    posterior: "Posterior | None" = None
    comparison: "Comparison | None" = None


def print_fit(fit: "Fit", output_format: Format, analyses: Analyses) -> None:
    """Print a fit and its analyses."""
    if output_format is Format.json:
        stdout.file.write(json.dumps(fit_json(fit, analyses), indent=1) + "\n")
        return
    _print_estimates(fit.parameters, analyses)
    if fit.ratios:
        stdout.print()
        _print_estimates(fit.ratios, Analyses(), "permeability ratio")
    _print_correlation(fit)
    p = "" if fit.probability is None else f", p = {fit.probability:.2g}"
    misfit = f"chi2 {cell(fit.chi2)}" if fit.scatter is None else f"scatter {cell(fit.scatter, 4)} {fit.unit}"
    _print_line(
        f"\n{misfit} for {fit.dof} degrees of freedom{p}; "
        f"AIC {cell(fit.aic)}, BIC {cell(fit.bic)}; {fit.status.replace('_', ' ')}, "
        f"{int(fit.at_minimum.sum())} of {fit.at_minimum.size} starts found this minimum"
    )
    if fit.problem.model.discretization is not None:
        errors = (f"{name} {values:.1e}" for name, values in fit.solver_errors.items())
        _print_line(f"solved with errors of at most: {', '.join(errors)}")
    if analyses.comparison is not None:
        _print_line(analyses.comparison.verdict)


def _print_line(text: str) -> None:
    stdout.print(text, highlight=False, soft_wrap=True)


def _print_estimates(estimates: "dict[str, Estimate]", analyses: Analyses, name_heading: str = "number") -> None:
    profile, posterior = analyses.profile, analyses.posterior
    heads = [name_heading, "value", "95 % from", "to", "unit"]
    heads += ["profile from", "to"] if profile else []
    heads += ["posterior from", "to", "R-hat"] if posterior else []
    quantiles = posterior.interval() if posterior else {}
    rows = []
    for i, (name, e) in enumerate(estimates.items()):
        ends = [_rounded(v, e.std) for v in (e.low, e.high)] if e.std else ["not determined", ""]
        row = [name, _rounded(e.value, e.std), *ends, e.unit]
        row += [_rounded(v, e.std) for v in profile[name]] if profile else []
        if posterior:
            row += [*(_rounded(v, e.std) for v in quantiles[name]), cell(float(posterior.r_hat[i]), 4)]
        rows.append(row)
    print_table(heads, rows, left=(0, 4))


def _rounded(value: float | None, std: float | None) -> str:
    """To two digits of its error; the order of magnitude if it is not determined."""
    if value is None:
        return "—"
    if not std:
        return f"~{value:.1g}"
    decimals = 1 - math.floor(math.log10(std))
    if not -4 < decimals <= 8:
        return f"{value:.6g}"
    return f"{round(value, decimals):.{max(decimals, 0)}f}"


def _print_correlation(fit: "Fit") -> None:
    import numpy as np

    names, matrix = fit.problem.space.names, np.asarray(fit.correlation)
    if len(names) < 2 or len(names) > 12:
        return
    stdout.print()
    heads = ["correlation", *(str(i + 1) for i in range(len(names)))]
    rows = [
        [
            f"{i + 1} {name}",
            *(f"{v:.2f}" if np.isfinite(v) else "—" for v in matrix[i, : i + 1]),
            *[""] * (len(names) - i - 1),
        ]
        for i, name in enumerate(names)
    ]
    print_table(heads, rows, left=(0,))


def fit_json(fit: "Fit", analyses: Analyses) -> dict:
    """A fit and its analyses as plain data."""
    from pnp.fit.record import fit_record

    record = fit_record(fit, analyses.profile, analyses.posterior)
    if analyses.comparison is not None:
        ghk = analyses.comparison.ghk
        record["constant_field"] = {
            "chi2": ghk.chi2,
            "dof": ghk.dof,
            "aic": ghk.aic,
            "bic": ghk.bic,
            "verdict": analyses.comparison.verdict,
        }
    return record
