"""Pictures of fits: measured and fitted values, and the residuals."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pnp.fit.data.measurements import IVData
from pnp.fit.estimate.result import Fit
from pnp.plot.style import DASHED, GUIDE, STYLE, TOTAL, color


def plot_fit(fit: Fit, other: Fit | None = None, figure: Figure | None = None) -> Figure:
    """Measured and fitted currents with residuals (standard errors) below them; reversal potentials beside them.

    - other: another fit of the same data, drawn dashed, without residuals.
    - figure: to draw on, a new one unless given.
    """
    problem = fit.problem
    currents = [i for i, d in enumerate(problem.data) if isinstance(d, IVData)]
    reversals = [i for i in range(len(problem.data)) if i not in currents]
    columns = [each for each in (currents, reversals) if each]
    with plt.rc_context(STYLE):
        figure = figure or plt.figure(figsize=(6.4 * len(columns), 6.0), layout="constrained")
        axes = figure.subplots(2, len(columns), height_ratios=[3, 1], squeeze=False, sharex="col")
        for column, sets in zip(axes.T, columns, strict=True):
            draw = _draw_currents if sets is currents else _draw_reversals
            draw(column[0], fit, other, sets)
            _draw_residuals(column[1], fit, sets, draw is _draw_reversals)
        axes[0, 0].set_title(_title(fit), fontsize=11, loc="left")
    return figure


def _title(fit: Fit) -> str:
    p = fit.probability
    probability = "" if p is None else f", p = {p:.2g}"
    state = "" if fit.status == "converged" else f" ({fit.status.replace('_', ' ')})"
    name = f"{fit.problem.channel.name}, {fit.problem.model.name.upper()}{state}"
    return f"{name}: χ² = {fit.chi2:.4g}, {fit.dof} d.o.f.{probability}"


def _points(fit: Fit, i: int) -> np.ndarray:
    return np.flatnonzero(fit.problem.data_set_of_point == i)


def _draw_currents(ax: Axes, fit: Fit, other: Fit | None, sets: list[int]) -> None:
    for i in sets:
        data, at = fit.problem.data[i], _points(fit, i)
        assert isinstance(data, IVData)
        ax.errorbar(
            data.voltage,
            data.current,
            data.sd,
            fmt="o",
            ms=3.5,
            lw=0,
            elinewidth=1,
            color=color(i),
            mfc="none",
            zorder=2,
        )
        ax.plot(data.voltage, fit.predicted.value[0, at], color=color(i), lw=1.6, label=fit.problem.labels[i], zorder=3)
        if other is not None:
            label = f"{other.problem.model.name.upper()}, fitted" if i == sets[-1] else None
            ax.plot(data.voltage, other.predicted.value[0, at], color=TOTAL, lw=1, ls=DASHED, label=label, zorder=4)
    ax.axhline(0, color=GUIDE, lw=0.8, zorder=0)
    ax.axvline(0, color=GUIDE, lw=0.8, zorder=0)
    ax.set_ylabel("current (pA), outward positive")
    ax.legend(fontsize=9)


def _draw_reversals(ax: Axes, fit: Fit, other: Fit | None, sets: list[int]) -> None:
    at = np.concatenate([_points(fit, i) for i in sets])
    row = np.arange(1, at.size + 1)
    error = fit.problem.sd[at] if fit.problem.known_errors else None
    ax.errorbar(
        row, fit.problem.target[at], error, fmt="o", ms=4, color=color(0), mfc="none", label="measured", zorder=3
    )
    ax.plot(
        row,
        fit.predicted.value[0, at],
        "_",
        ms=14,
        mew=2,
        color=TOTAL,
        label=fit.problem.model.name.upper(),
        zorder=2,
    )
    if other is not None:
        name = other.problem.model.name.upper()
        ax.plot(row, other.predicted.value[0, at], "_", ms=14, mew=2, color=GUIDE, label=name, zorder=1)
    ax.set_ylabel("reversal potential (mV)")
    ax.margins(x=0.1)
    ax.legend(fontsize=9)


def _draw_residuals(ax: Axes, fit: Fit, sets: list[int], numbered: bool) -> None:
    residuals, count = fit.residuals, 0
    for i in sets:
        data, at = fit.problem.data[i], _points(fit, i)
        x = data.voltage if isinstance(data, IVData) else np.arange(count + 1, count + at.size + 1)
        count += at.size
        ax.plot(x, residuals[at], "o", ms=3, color=color(i), mfc="none")
    ax.axhspan(-2, 2, color=GUIDE, alpha=0.15, lw=0)
    ax.axhline(0, color=GUIDE, lw=0.8)
    most = max(3.0, float(np.nanmax(np.abs(residuals))) * 1.1)
    ax.set_ylim(-most, most)
    ax.set_ylabel("residual (σ)")
    if numbered:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("row of the table" if numbered else "voltage (mV), inside minus outside")
