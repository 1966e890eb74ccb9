"""What a person sees of a fit."""

import json
import math
from typing import TYPE_CHECKING

from pnp.cli.terminal import Format, cell, print_table, stdout

if TYPE_CHECKING:
    from pnp.fit import Fit


def print_fit(found: "Fit", output_format: Format, intervals, sampled, against) -> None:
    """A fit, and profiles, samples and a comparison if there are any, for people or as JSON for programs."""
    if output_format is Format.json:
        stdout.file.write(json.dumps(whole_record(found, intervals, sampled, against), indent=1) + "\n")
        return
    _print_estimates(found.parameters, intervals, sampled)
    if found.ratios:
        stdout.print()
        _print_estimates(found.ratios, None, None, "permeability ratio")
    _print_correlation(found)
    p = "" if found.probability is None else f", p = {found.probability:.2g}"
    share = f"{int(found.agreeing.sum())} of {found.agreeing.size}"
    left = f"chi2 {cell(found.chi2)}" if found.scatter is None else f"scatter {cell(found.scatter, 4)} {found.unit}"
    stdout.print(
        f"\n{left} for {found.dof} degrees of freedom{p}; "
        f"AIC {cell(found.aic)}, BIC {cell(found.bic)}; "
        f"{found.status.replace('_', ' ')}, {share} starts found this minimum",
        highlight=False,
        soft_wrap=True,
    )
    if found.problem.model.finer:
        errors = (f"{name} {values:.1e}" for name, values in found.solver_errors.items())
        stdout.print(f"solved with errors of at most: {', '.join(errors)}", highlight=False, soft_wrap=True)
    if against is not None:
        stdout.print(against.status_message, highlight=False, soft_wrap=True)


def _print_estimates(estimates: dict, intervals, sampled, what: str = "number") -> None:
    heads = [what, "value", "95 % from", "to", "unit"]
    heads += ["profile from", "to"] if intervals else []
    quantiles = sampled.interval() if sampled else {}
    heads += ["posterior from", "to", "R-hat"] if sampled else []
    rows = []
    for i, (name, e) in enumerate(estimates.items()):
        ends = [_rounded(v, e.std) for v in (e.low, e.high)] if e.std else ["not determined", ""]
        row = [name, _rounded(e.value, e.std), *ends, e.unit]
        row += [_rounded(v, e.std) for v in intervals[name]] if intervals else []
        row += [*(_rounded(v, e.std) for v in quantiles[name]), cell(float(sampled.r_hat[i]), 4)] if sampled else []
        rows.append(row)
    print_table(heads, rows, left=(0, 4))


def _rounded(value: float | None, std: float | None) -> str:
    """To two digits of its error; of what is not determined the order of magnitude."""
    if value is None:
        return "—"
    if not std:
        return f"~{value:.1g}"
    decimals = 1 - math.floor(math.log10(std))
    if not -4 < decimals <= 8:
        return f"{value:.6g}"
    return f"{round(value, decimals):.{max(decimals, 0)}f}"


def _print_correlation(found: "Fit") -> None:
    import numpy as np

    names, matrix = found.problem.space.names, np.asarray(found.correlation)
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


def whole_record(found, intervals, sampled, against) -> dict:
    """All of it as plain data."""
    from pnp.fit.record import fit_record

    record = fit_record(found, intervals, sampled)
    if against is not None:
        record["constant_field"] = {
            "chi2": against.ghk.chi2,
            "dof": against.ghk.dof,
            "aic": against.ghk.aic,
            "bic": against.ghk.bic,
            "status_message": against.status_message,
        }
    return record
