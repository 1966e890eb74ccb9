"""Pictures of I–V curves, hysteresis and axial profiles. Each function draws on given or new axes and returns them."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from pnp import theory, units
from pnp.analysis.branch import Branch
from pnp.analysis.hysteresis import Hysteresis
from pnp.analysis.solution import Solution
from pnp.analysis.steady import IVCurve
from pnp.channel.channel import Channel
from pnp.plot.style import DASHED, GUIDE, IONS, MEMBRANE, STYLE, TOTAL, color, pretty


def plot_iv(iv: IVCurve, ax: Axes | None = None, axial: IVCurve | None = None) -> Axes:
    """Current against voltage through the origin: total, each ion, reversal potential and GHK's current (dashed) of a
    pore of the same shape without charges and energies.

    - iv: the curve. Points that did not converge are gaps, marked on the voltage axis.
    - ax: axes to draw on, new ones unless given.
    - axial: for an axisymmetric curve, the axial curve of the same channel, drawn dashed.
    """
    with plt.rc_context(STYLE):
        ax = ax or plt.figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
        voltage, order = np.asarray(iv.voltage), np.argsort(np.asarray(iv.voltage))
        v = voltage[order]
        if len(iv.ion_names) > 1:
            for k, name in enumerate(iv.ion_names):
                ax.plot(v, np.asarray(iv.ion_current)[order, k], color=color(k), lw=1.4, label=pretty(name), zorder=3)
        # Wide and below the ions: where one of them carries all the current, both are seen.
        marker, total = "o" if v.size < 3 else None, "total" if iv.dimension == 1 else "total, two dimensions"
        ax.plot(v, np.asarray(iv.current)[order], color=TOTAL, lw=3.2, marker=marker, label=total, zorder=2)
        if axial is not None:
            ascending = np.argsort(np.asarray(axial.voltage))
            points = np.asarray(axial.voltage)[ascending], np.asarray(axial.current)[ascending]
            ax.plot(*points, color=TOTAL, lw=1.2, ls=DASHED, label="total, one dimension", zorder=4)
        style = DASHED if axial is None else ":"
        ax.plot(v, _ghk(iv, v), color=GUIDE, lw=1.2, ls=style, label="GHK, same shape, no charge", zorder=1)
        _axes_through_origin(ax)
        _mark_reversal(ax, iv)
        _mark_unconverged(ax, voltage[~np.asarray(iv.converged)])
        _add_title(ax, iv.channel.name)
    return ax


def plot_hysteresis(result: Hysteresis, ax: Axes | None = None, branch: Branch | None = None) -> Axes:
    """Current against voltage on the way up and on the way down, shaded where there are several steady states.

    - result: of `pnp.hysteresis`.
    - ax: axes to draw on, new ones unless given.
    - branch: of `pnp.trace`, drawn dashed.
    """
    with plt.rc_context(STYLE):
        ax = ax or plt.figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
        order = np.argsort(result.voltage)
        v, up, down = (np.asarray(each)[order] for each in (result.voltage, result.up.current, result.down.current))
        marker = "o" if v.size < 3 else None
        ax.plot(v, down, color=IONS[1], lw=2.4, marker=marker, label="on the way down", zorder=2)
        ax.plot(v, up, color=TOTAL, lw=1.6, marker=marker, label="on the way up", zorder=3)
        if branch is not None:
            ax.plot(branch.voltage, branch.current, color=GUIDE, lw=1.2, ls=DASHED, label="the branch", zorder=4)
        if result.multistable.any():
            where = result.multistable[order]
            ax.fill_between(v, up, down, where=where, color=MEMBRANE, alpha=0.6, lw=0, label="several solutions")
        _axes_through_origin(ax)
        _mark_unconverged(ax, result.voltage[~result.converged])
        _add_title(ax, result.channel.name)
    return ax


def plot_profile(solution: Solution, figure: Figure | None = None) -> Figure:
    """Potential and concentrations along the pore, above its silhouette coloured by fixed charge.

    - solution: an axial one. The pore is shown with the baths next to its mouths.
    - figure: to draw on, a new one unless given.

    Raises ValueError for an axisymmetric solution, which `plot_field` draws.
    """
    if solution.dimension == 2:
        raise ValueError("this solution has two dimensions: draw it with pnp.plot.plot_field")
    channel = solution.channel
    start, end = float(channel.pore.start), float(channel.pore.end)
    margin = 0.2 * (end - start)
    if any(r.kind != "none" for r in channel.reservoirs):
        margin = max(margin, 2 * float(jnp.sqrt(channel.mouth_area.max() / jnp.pi)))
    margin = min(margin, 0.6 * (end - start))
    left, right = max(float(solution.x[0]), start - margin), min(float(solution.x[-1]), end + margin)
    with plt.rc_context(STYLE):
        figure = figure or plt.figure(figsize=(6.6, 6.6), layout="constrained")
        potential, concentration, pore = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.25, 0.9])
        x = np.asarray(solution.x)
        shown = (x >= left) & (x <= right)
        potential.plot(x[shown], np.asarray(solution.potential)[shown], color=TOTAL, lw=1.8)
        potential.set_ylabel("potential (mV)")
        _draw_concentrations(concentration, x[shown], np.asarray(solution.concentration)[shown], solution)
        _draw_silhouette(figure, pore, channel, left, right)
        for ax in (potential, concentration):
            for mouth in (start, end):
                ax.axvline(mouth, color=GUIDE, lw=0.8, ls=":")
        pore.set_xlim(left, right)
        pore.set_xlabel("x (nm), from inside to outside")
        potential.set_title(
            f"{channel.name} at {float(solution.voltage):g} mV: {float(solution.current):.4g} pA",
            fontsize=11,
            loc="left",
        )
        figure.align_ylabels()
    return figure


def _draw_concentrations(ax, x, values, solution):
    for k, name in enumerate(solution.ion_names):
        ax.plot(x, values[:, k], color=color(k), lw=1.6, label=pretty(name))
    largest = np.nanmax(values)
    if np.nanmin(values) < largest / 30:
        ax.set_yscale("log")
        # A concentration 1e9 times smaller carries no current; without a floor it would set the scale.
        ax.set_ylim(bottom=max(np.nanmin(values) / 2, largest * 1e-9))
    else:
        ax.set_ylim(bottom=0, top=1.08 * largest)
    ax.set_ylabel("concentration (mM)")
    ax.legend(loc="best", fontsize=9)


def _draw_silhouette(figure, ax, channel: Channel, left, right):
    start, end = float(channel.pore.start), float(channel.pore.end)
    inset = 1e-9 * (end - start)
    x = np.linspace(start + inset, end - inset, 1200)
    area = np.asarray(channel.area(jnp.asarray(x)))
    radius = np.sqrt(area / np.pi)
    top = 1.25 * radius.max()
    density = np.asarray(channel.line_charge(jnp.asarray(x))) / area * units.MILLIMOLAR_PER_CHARGE_DENSITY / 1e3
    largest = np.abs(density).max()
    if largest > 0:
        mesh = ax.pcolormesh(
            x,
            [-0.98 * top, 0.98 * top],
            np.stack([density, density]),
            cmap="RdBu",
            norm=TwoSlopeNorm(0.0, -largest, largest),
            shading="gouraud",
            rasterized=True,
        )
        figure.colorbar(mesh, ax=ax, label="fixed charge (M)", aspect=12, pad=0.02)
    for sign in (1, -1):
        ax.fill_between(x, sign * radius, sign * top, color=MEMBRANE, lw=0)
        ax.plot(x, sign * radius, color=TOTAL, lw=1.0)
    ax.set_ylim(-top, top)
    ax.set_ylabel("radius (nm)")
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    ax.text(left, 0, " inside", va="center", ha="left", fontsize=9, color=GUIDE)
    ax.text(right, 0, "outside ", va="center", ha="right", fontsize=9, color=GUIDE)


def _ghk(iv: IVCurve, voltage):
    """GHK's total current at voltages (mV), pA."""
    inside, outside = iv.channel.bath_concentration
    currents = theory.ghk_current(
        voltage[:, None], inside, outside, iv.permeability, iv.channel.valence, iv.channel.temperature
    )
    return np.asarray(currents).sum(1)


def _mark_reversal(ax, iv: IVCurve):
    """The reversal potential on the axis, and each ion's Nernst potential where the baths differ."""
    inside, outside = np.asarray(iv.channel.bath_concentration)
    charged = np.flatnonzero(iv.channel.valence).tolist()
    valence = iv.channel.valence[charged]
    nernst = np.asarray(theory.nernst(inside[charged], outside[charged], valence, iv.channel.temperature))
    low, high = float(iv.voltage.min()), float(iv.voltage.max())
    labelled = False
    for k, potential in zip(charged, nernst, strict=True):
        if np.isfinite(potential) and low <= potential <= high and not np.isclose(inside[k], outside[k]):
            label = None if labelled else "Nernst potential of the ion"
            ax.plot([potential], [0], "v", color=color(k), ms=8, mec="white", mew=0.8, zorder=6, label=label)
            labelled = True
    reversal = iv.reversal_potential()
    if not np.isfinite(reversal):
        return
    ax.plot([reversal], [0], "o", ms=7, mfc="white", mec=TOTAL, mew=1.6, zorder=5)
    if abs(reversal) > 1e-3:
        ax.annotate(
            f"$V_\\mathrm{{rev}}$ = {reversal:.1f} mV",
            (reversal, 0),
            xytext=(8, -26) if reversal > 0 else (-8, 22),
            textcoords="offset points",
            ha="left" if reversal > 0 else "right",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": GUIDE, "lw": 0.8},
        )


def _mark_unconverged(ax: Axes, voltage) -> None:
    if voltage.size:
        ax.plot(voltage, np.zeros_like(voltage), "x", color="crimson", ms=6, label="not converged", zorder=4)


def _axes_through_origin(ax):
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0), max(high, 0))
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0), max(high, 0))
    ax.spines["left"].set_position("zero")
    ax.spines["bottom"].set_position("zero")
    for axis in (ax.xaxis, ax.yaxis):
        # The origin's two labels would sit on the crossing of the axes.
        axis.set_major_formatter(lambda value, _: "" if value == 0 else f"{value:g}".replace("-", "−"))
        axis.set_zorder(4.5)  # above the curves: a small current runs across the labels
        for label in axis.get_ticklabels():
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6})
    ax.annotate(
        "voltage (mV)", (1, 0), xycoords=("axes fraction", "data"), xytext=(0, -20),
        textcoords="offset points", ha="right", va="top",
    )  # fmt: skip
    ax.set_ylabel("current (pA)", loc="top", rotation=0, labelpad=2)
    ax.yaxis.set_label_coords(_axis_at(ax), 1.02)


def _axis_at(ax: Axes) -> float:
    """Position of the current axis, from 0 at the left edge to 1 at the right."""
    low, high = ax.get_xlim()
    return min(max((0.0 - low) / (high - low), 0.0), 1.0)


def _add_title(ax: Axes, title: str) -> None:
    """Title and legend at the upper left, which I–V curves leave free; clear of the current axis if it is there."""
    crowded = _axis_at(ax) < 0.3
    left = _axis_at(ax) if crowded else 0.0
    ax.legend(loc="upper left", bbox_to_anchor=(left + 0.02, 1.0), fontsize=9, handlelength=2.2)
    ax.set_title(title, fontsize=11, loc="left", pad=28 if crowded else 14)
    ax.yaxis.label.set_horizontalalignment("center")
