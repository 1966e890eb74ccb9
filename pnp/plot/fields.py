"""Pictures of two dimensions: maps of a pore cut along its axis, and what one dimension says beside them."""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pnp.analysis.section import Section, section
from pnp.analysis.solution import Solution
from pnp.plot.style import DASHED, GUIDE, MEMBRANE, STYLE, TOTAL, color, pretty

# Inches: the figure, heights of its rows, and what lies around and between them.
_WIDTH, _MAP, _GRAPH, _GAP, _BETWEEN = 8.4, 1.75, 1.6, 0.17, 0.55
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.85, 1.05, 0.85, 0.5
_TUBES = 5  # parts of the current, with a line between two of them
_RARE = 1e-6  # of the largest concentration: the foot of the colour scale


# Without its darkest ends, on which black lines would not be seen.
_PALE = ListedColormap(plt.colormaps["RdBu_r"](np.linspace(0.12, 0.88, 256)))


class _Window(NamedTuple):
    """A part of the plane that is shown: z from left to right, r from −top to top, nm."""

    left: float
    right: float
    top: float
    title: str


def plot_field(solution: Solution, figure: Figure | None = None, line: Solution | None = None) -> Figure:
    """A pore in two dimensions, cut along its axis: maps of the potential with lines of the electric current, a fifth
    of it between two of them, and of each ion's concentration; below them the profiles on the axis, the means over the
    cross-section, and those of `line`, a solution of the same channel in one dimension (dashed).

    The pictures show the pore and as much of the baths as its mouths concern, and beside it the narrowest part of a
    pore that is far wider elsewhere. r is not always to the scale of z; a note says how much larger it is drawn.

    Raises ValueError if `solution` has one dimension only.
    """
    cut, ions = section(solution), solution.ion_names
    with plt.rc_context(STYLE):
        heights = [_MAP] * (1 + len(ions)) + [_GRAPH] * 2
        figure = figure or plt.figure(figsize=(_WIDTH, sum(heights) + _GAP * (len(heights) - 1) + _TOP + _BOTTOM))
        axes, bars, shape = _panels(figure, heights, 2 if _has_narrows(cut) else 1)
        windows = _windows(cut, shape, len(axes[0]))
        for row, ion in enumerate([None, *range(len(ions))]):
            norm = _voltage_norm(solution, cut, windows) if ion is None else _amount_norm(cut, ion, windows)
            for ax, window in zip(axes[row], windows, strict=True):
                drawn = _draw_map(ax, cut, window, norm, ion)
                if ion is None and _flows(solution):
                    _draw_current(ax, cut, window, float(solution.current))
            name = "potential (mV)" if ion is None else f"{pretty(ions[ion])} (mM)"
            figure.colorbar(drawn, cax=bars[row], label=name)
        for above, below, window in zip(*axes[-2:], windows, strict=True):
            _draw_profiles(above, below, solution, cut, line, window)
        _legends(axes[-2][0], axes[-1][0], solution, line)
        _label(axes, windows, shape)
        _title(figure, axes[0][0], solution)
        figure.align_ylabels([row[0] for row in axes])
    return figure


def _panels(figure: Figure, heights: list[float], columns: int) -> tuple[list[list[Axes]], list[Axes], float]:
    """Axes by row and column, those of the colour bars beside all rows but the last two, and height over width of a
    map. Placed by hand, for maps to scale have to know their shape."""
    total = sum(heights) + _GAP * (len(heights) - 1) + _TOP + _BOTTOM
    width = (_WIDTH - _LEFT - _RIGHT - _BETWEEN * (columns - 1)) / columns
    axes: list[list[Axes]] = []
    bars: list[Axes] = []
    top = total - _TOP
    place = lambda left, wide, height: (left / _WIDTH, (top - height) / total, wide / _WIDTH, height / total)
    for height in heights:
        row = [place(_LEFT + (width + _BETWEEN) * column, width, height) for column in range(columns)]
        axes.append([figure.add_axes(rectangle) for rectangle in row])
        if len(axes) <= len(heights) - 2:
            bars.append(figure.add_axes(place(_WIDTH - _RIGHT + 0.1, 0.14, height)))
        top -= height + _GAP
    box, (wide, high) = axes[0][0].get_position(), figure.get_size_inches()
    return axes, bars, high * box.height / (wide * box.width)


# --- what is shown --------------------------------------------------------------------------------


def _radii(cut: Section) -> np.ndarray:
    """Of the wall, from mouth to mouth, nm."""
    return cut.r[cut.faces[0] : cut.faces[1] + 1, cut.wall]


def _has_narrows(cut: Section) -> bool:
    radii = _radii(cut)
    return radii.max() > 8 * radii.min()


def _windows(cut: Section, shape: float, columns: int) -> list[_Window]:
    """shape: height over width of a map."""
    radii = _radii(cut)
    near, far = cut.faces
    mouths = (radii[0], radii[-1])
    whole = _window(cut, (cut.z[near], cut.z[far]), mouths, radii.max(), shape, "the whole pore")
    if columns == 1:
        return [whole]
    # Where it is less than three times as wide as at its narrowest.
    narrow = int(radii.argmin())
    wide = radii > 3 * radii[narrow]
    before, after = np.flatnonzero(wide[:narrow]), narrow + np.flatnonzero(wide[narrow:])
    first, last = (before[-1] + 1 if before.size else 0), (after[0] - 1 if after.size else radii.size - 1)
    margins = [radii[narrow] if index in (0, radii.size - 1) else 0.0 for index in (first, last)]
    ends = cut.z[near + first], cut.z[near + last]
    return [whole, _window(cut, ends, margins, radii[first : last + 1].max(), shape, "its narrowest part")]


def _window(cut: Section, ends, mouths, radius: float, shape: float, title: str) -> _Window:
    """ends: z shown of the pore, beyond which the baths go on; mouths: their radii there."""
    length = ends[1] - ends[0]
    margins = [min(max(0.2 * length, 2.5 * mouth), 5 * mouth) for mouth in mouths]
    left, right = max(cut.z[0], ends[0] - margins[0]), min(cut.z[-1], ends[1] + margins[1])
    # To scale, if the pore then fills a fair part of it.
    to_scale = (right - left) * shape / 2
    top = to_scale if 1.2 * radius <= to_scale <= 4 * radius else 1.6 * radius
    return _Window(left, right, min(top, cut.r[:, -1].max()), title)


def _shown(cut: Section, window: _Window) -> np.ndarray:
    """[slice, node], True for the nodes in a window."""
    z = cut.z[:, None]
    return (z >= window.left) & (z <= window.right) & (cut.r <= window.top)


def _voltage_norm(solution: Solution, cut: Section, windows: list[_Window]) -> Normalize:
    """White where half of the voltage is left."""
    wet = np.concatenate([cut.potential[_shown(cut, window) & ~cut.dry] for window in windows])
    middle = float(solution.voltage) / 2
    reach = max(np.abs(wet - middle).max(), 1e-3)
    return Normalize(middle - reach, middle + reach)


def _amount_norm(cut: Section, ion: int, windows: list[_Window]) -> Normalize:
    """Logarithmic, unless all is much the same."""
    wet = np.concatenate([cut.concentration[_shown(cut, window) & ~cut.dry, ion] for window in windows])
    low, high = wet.min(), wet.max()
    if high <= 0 or low > high / 3:
        return Normalize(0.0, max(1.05 * high, 1e-12))
    return LogNorm(max(low, _RARE * high), high)


def _title(figure: Figure, ax: Axes, solution: Solution) -> None:
    left, high = ax.get_position().x0, figure.get_figheight()
    name = f"{solution.channel.name} at {_number(solution.voltage)} mV: {_number(solution.current)} pA"
    figure.text(left, 1 - 0.14 / high, name, ha="left", va="top", fontsize=11)
    if _flows(solution):
        inside, pore, outside = (_number(value, 3) for value in np.asarray(solution.resistance))
        note = f"pore {pore} GΩ, access {inside} GΩ inside and {outside} GΩ outside"
        note += "; a fifth of the current flows between two lines"
        figure.text(left, 1 - 0.37 / high, note, ha="left", va="top", fontsize=9)


def _flows(solution: Solution) -> bool:
    """Whether there is any current but what rounding makes of none."""
    return bool(np.isfinite(np.asarray(solution.resistance)).all())


def _number(value, digits: int = 4) -> str:
    return f"{0.0 if abs(value) < 1e-12 else float(value):.{digits}g}".replace("-", "−")


# --- maps -----------------------------------------------------------------------------------------


def _draw_map(ax: Axes, cut: Section, window: _Window, norm: Normalize, ion: int | None):
    """One quantity: the potential, or an ion's concentration."""
    values = cut.potential if ion is None else cut.concentration[..., ion]
    cmap = _PALE if ion is None else "viridis"
    near, far = cut.faces
    parts = [(0, near, None), (far, len(cut.z) - 1, None), (near, far, cut.wall)]
    if ion is None:
        parts.insert(0, (near, far, None))  # within the membrane as well, faintly
    drawn = None
    for first, last, most in parts:
        drawn = _draw_part(ax, cut, values, window, (first, last, most), cmap=cmap, norm=norm) or drawn
    # Within the membrane the potential shows faintly, unless the grid ends in sight.
    reached = cut.r[near : far + 1, -1].min() >= window.top
    _draw_membrane(ax, cut, window, 0.8 if ion is None and reached else 1.0)
    ax.set_xlim(window.left, window.right)
    ax.set_ylim(-window.top, window.top)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    return drawn


def _draw_part(ax: Axes, cut: Section, values, window: _Window, part, **looks):
    """The slices of one part up to one node, mirrored at the axis; only what the window needs, as renderers go wrong
    with what is a thousand times larger."""
    first, last, most = part
    first = max(first, int(np.searchsorted(cut.z, window.left)) - 1)
    last = min(last, int(np.searchsorted(cut.z, window.right, side="right")))
    if last <= first:
        return None
    rows = slice(first, last + 1)
    beyond = int((cut.r[rows] <= window.top).any(axis=0).sum())
    nodes = slice(0, min(beyond if most is None else most, cut.r.shape[1] - 1) + 1)
    r, v = cut.r[rows, nodes], values[rows, nodes]
    r, v = np.concatenate([-r[:, :0:-1], r], axis=1), np.concatenate([v[:, :0:-1], v], axis=1)
    z = np.broadcast_to(cut.z[rows, None], r.shape)
    return ax.pcolormesh(z, r, v, shading="gouraud", rasterized=True, **looks)


def _draw_membrane(ax: Axes, cut: Section, window: _Window, veil: float) -> None:
    near, far = cut.faces
    z, wall = cut.z[near : far + 1], _radii(cut)
    top = max(1.1 * window.top, 1.1 * wall.max())
    outline = np.concatenate([z[:1], z, z[-1:]]), np.concatenate([[top], wall, [top]])
    for sign in (1, -1):
        ax.fill(outline[0], sign * outline[1], color=MEMBRANE, alpha=veil, lw=0, zorder=2)
        ax.plot(outline[0], sign * outline[1], color=TOTAL, lw=1.0, zorder=3)


def _draw_current(ax: Axes, cut: Section, window: _Window, current: float) -> None:
    """Lines along which the current flows, and an arrow on one of them."""
    z, share = (cut.z[1:] + cut.z[:-1]) / 2, cut.enclosed_current() / current
    r = (cut.r[1:] + cut.r[:-1]) / 2
    levels = np.arange(1, _TUBES) / _TUBES
    for sign in (1, -1):
        lines = ax.contour(
            np.broadcast_to(z[:, None], r.shape), sign * r, share, levels, colors=TOTAL, linewidths=0.7, zorder=4
        )
        _draw_arrow(ax, np.asarray(lines.get_paths()[1].vertices), window, current)


def _draw_arrow(ax: Axes, points: np.ndarray, window: _Window, current: float) -> None:
    """In the middle of what the window shows of a line."""
    inside = (points[:, 0] > window.left) & (points[:, 0] < window.right) & (np.abs(points[:, 1]) < window.top)
    points = points[inside]
    if len(points) < 3:
        return
    points = points[np.argsort(points[:, 0], kind="stable")]
    middle = int(np.abs(points[:, 0] - (window.left + window.right) / 2).argmin())
    middle = min(max(middle, 1), len(points) - 2)
    ends = points[middle - 1], points[middle + 1]
    start, end = ends if current > 0 else ends[::-1]
    looks: dict[str, Any] = {"arrowstyle": "-|>", "color": TOTAL, "lw": 0, "mutation_scale": 8, "shrinkA": 0}
    ax.annotate("", end, start, arrowprops={**looks, "shrinkB": 0}, zorder=5, annotation_clip=True)


# --- profiles -------------------------------------------------------------------------------------


def _draw_profiles(above: Axes, below: Axes, solution: Solution, cut: Section, line: Solution | None, window: _Window):
    """Potential and concentrations along z: on the axis, means over the cross-section, and in one dimension."""
    z, of_potential = cut.means(cut.potential)
    _, of_ions = cut.means(cut.concentration)
    above.plot(cut.z, cut.potential[:, 0], color=TOTAL, lw=1.6)
    above.plot(z, of_potential, color=TOTAL, lw=1.2, ls=":")
    if line is not None:
        above.plot(line.x, line.potential, color=TOTAL, lw=1.2, ls=DASHED)
    for k in range(len(solution.ion_names)):
        below.plot(cut.z, cut.concentration[:, 0, k], color=color(k), lw=1.6)
        below.plot(z, of_ions[:, k], color=color(k), lw=1.2, ls=":")
        if line is not None:
            below.plot(line.x, np.asarray(line.concentration)[:, k], color=color(k), lw=1.2, ls=DASHED)
    for ax in (above, below):
        ax.set_xlim(window.left, window.right)
        for face in cut.faces:
            ax.axvline(cut.z[face], color=GUIDE, lw=0.8, ls=":", zorder=0)
    _fit(above, below, window)


def _fit(above: Axes, below: Axes, window: _Window) -> None:
    """Scales that what the window shows asks for."""

    def seen(ax):
        parts = []
        for drawn in ax.get_lines():
            x, y = (np.asarray(values, float) for values in drawn.get_data())
            if x.size > 2:
                parts.append(y[(x >= window.left) & (x <= window.right)])
        values = np.concatenate(parts)
        return values[np.isfinite(values)]

    potential, amount = seen(above), seen(below)
    if potential.size:
        room = max(0.08 * np.ptp(potential), 1e-3)
        above.set_ylim(potential.min() - room, potential.max() + room)
    if not amount.size or amount.max() <= 0:
        return
    if amount.min() < amount.max() / 30:
        below.set_yscale("log")
        below.set_ylim(max(amount.min() / 2, 1e-9 * amount.max()), 2 * amount.max())
    else:
        below.set_ylim(0, 1.08 * amount.max())


def _legends(above: Axes, below: Axes, solution: Solution, line: Solution | None) -> None:
    styles = {"on the axis": "-", "mean over the cross-section": ":"}
    if line is not None:
        styles[f"one dimension: {_number(line.current)} pA"] = DASHED
    lines = [Line2D([], [], color=TOTAL, lw=1.4, ls=style, label=name) for name, style in styles.items()]
    above.legend(handles=lines, loc="best", fontsize=8)
    ions = [Line2D([], [], color=color(k), lw=1.6, label=pretty(name)) for k, name in enumerate(solution.ion_names)]
    below.legend(handles=ions, loc="best", fontsize=8, ncols=2)


def _label(axes: list[list[Axes]], windows: list[_Window], shape: float) -> None:
    """What the axes mean, once for every row and column."""
    for row in axes[:-1]:
        for ax in row:
            ax.tick_params(labelbottom=False)
    for row in axes[:-2]:
        row[0].set_ylabel("r (nm)")
    axes[-2][0].set_ylabel("potential (mV)")
    axes[-1][0].set_ylabel("concentration (mM)")
    for column, window in enumerate(windows):
        for row in axes:
            row[column].xaxis.set_major_locator(MaxNLocator(6 if len(windows) == 1 else 4))
        axes[-1][column].set_xlabel("z (nm), from inside to outside")
        larger = (window.right - window.left) * shape / (2 * window.top)
        scale = "to scale" if abs(larger - 1) < 0.01 else f"r drawn {larger:.2g} × larger than z"
        title = scale if len(windows) == 1 else f"{window.title}; {scale}"
        axes[0][column].set_title(title, fontsize=9, loc="left", color=GUIDE)
