"""Pictures of axisymmetric solutions: maps in the plane of z and r, and profiles below them."""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pnp.analysis.section import Section, make_section
from pnp.analysis.solution import Solution
from pnp.plot.style import DASHED, GUIDE, MEMBRANE, STYLE, TOTAL, color, pretty

# Inches: the figure, heights of its rows, and what lies around and between them.
_WIDTH, _MAP, _GRAPH, _GAP, _BETWEEN = 8.4, 1.75, 1.6, 0.17, 0.55
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.85, 1.05, 0.85, 0.5
_TUBES = 5  # parts of the current, separated by lines
_SMALLEST = 1e-6  # lowest concentration of the colour scale over the largest

# Without its darkest ends, on which black lines would not be seen.
_PALE = ListedColormap(plt.colormaps["RdBu_r"](np.linspace(0.12, 0.88, 256)))


class _Window(NamedTuple):
    """The part of the plane that is shown: z from left to right, r from −top to top, nm."""

    left: float
    right: float
    top: float
    title: str


def plot_field(solution: Solution, figure: Figure | None = None, axial: Solution | None = None) -> Figure:
    """An axisymmetric pore cut along its axis: maps of potential and concentrations above their profiles.

    - solution: an axisymmetric one. The map of the potential has lines of the electric current, a fifth of it between
      two of them. Profiles are those on the axis and the means over the cross-section (dotted).
    - figure: to draw on, a new one unless given.
    - axial: a solution of the same channel in one dimension, whose profiles are drawn dashed.

    The maps show the pore with the baths next to its mouths; beside it, if the pore is far wider elsewhere, its
    narrowest part. r is not always to the scale of z; a note says how much larger it is drawn. Raises ValueError if
    `solution` is axial.
    """
    section, ions = make_section(solution), solution.ion_names
    with plt.rc_context(STYLE):
        heights = [_MAP] * (1 + len(ions)) + [_GRAPH] * 2
        figure = figure or plt.figure(figsize=(_WIDTH, sum(heights) + _GAP * (len(heights) - 1) + _TOP + _BOTTOM))
        axes, bars, shape = _panels(figure, heights, 2 if _is_uneven(section) else 1)
        windows = _windows(section, shape, len(axes[0]))
        for row, ion in enumerate([None, *range(len(ions))]):
            norm = (
                _potential_norm(solution, section, windows)
                if ion is None
                else _concentration_norm(section, ion, windows)
            )
            for ax, window in zip(axes[row], windows, strict=True):
                drawn = _draw_map(ax, section, window, norm, ion)
                if ion is None and _has_current(solution):
                    _draw_current(ax, section, window, float(solution.mesh_current[-1]))
            name = "potential (mV)" if ion is None else f"{pretty(ions[ion])} (mM)"
            figure.colorbar(drawn, cax=bars[row], label=name)
        for above, below, window in zip(*axes[-2:], windows, strict=True):
            _draw_profiles(above, below, solution, section, axial, window)
        _add_legends(axes[-2][0], axes[-1][0], solution, axial)
        _label_axes(axes, windows, shape)
        _add_title(figure, axes[0][0], solution)
        figure.align_ylabels([row[0] for row in axes])
    return figure


def _panels(figure: Figure, heights: list[float], columns: int) -> tuple[list[list[Axes]], list[Axes], float]:
    """Axes by row and column, axes of the colour bars beside all rows but the last two, and height over width of a map.

    They are placed by hand, since the window of a map to scale depends on its shape.
    """
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


# --- windows and scales ---------------------------------------------------------------------------


def _is_uneven(section: Section) -> bool:
    """Whether the pore is far wider elsewhere than at its narrowest, and needs a second window."""
    _, radius = section.wall
    return radius.max() > 8 * radius.min()


def _windows(section: Section, shape: float, columns: int) -> list[_Window]:
    """One window for every column of maps, whose height over width is `shape`."""
    z, radii = section.wall
    whole = _window(section, (z[0], z[-1]), (radii[0], radii[-1]), radii.max(), shape, "the whole pore")
    if columns == 1:
        return [whole]
    # Where it is less than three times as wide as at its narrowest.
    narrow = int(radii.argmin())
    wide = radii > 3 * radii[narrow]
    before, after = np.flatnonzero(wide[:narrow]), narrow + np.flatnonzero(wide[narrow:])
    first, last = (before[-1] + 1 if before.size else 0), (after[0] - 1 if after.size else radii.size - 1)
    margins = [radii[narrow] if index in (0, radii.size - 1) else 0.0 for index in (first, last)]
    ends = z[first], z[last]
    return [whole, _window(section, ends, margins, radii[first : last + 1].max(), shape, "its narrowest part")]


def _window(section: Section, ends, mouths, radius: float, shape: float, title: str) -> _Window:
    """A window of the pore between two z (`ends`), with margins that grow with the radius of the mouths there."""
    length = ends[1] - ends[0]
    margins = [min(max(0.2 * length, 2.5 * mouth), 5 * mouth) for mouth in mouths]
    left, right = max(section.z[0, 0], ends[0] - margins[0]), min(section.z[-1, 0], ends[1] + margins[1])
    # To scale, if the pore then fills a fair part of it.
    to_scale = (right - left) * shape / 2
    top = to_scale if 1.2 * radius <= to_scale <= 4 * radius else 1.6 * radius
    return _Window(left, right, min(top, section.r[:, -1].max()), title)


def _shown(section: Section, window: _Window) -> np.ndarray:
    """[slice, node], True for the nodes in a window."""
    z, r = section.z, section.r
    return (z >= window.left) & (z <= window.right) & (r <= window.top)


def _potential_norm(solution: Solution, section: Section, windows: list[_Window]) -> Normalize:
    """Colours of the potential, white at half of the voltage."""
    values = np.concatenate([section.potential[_shown(section, window) & ~section.no_ion_nodes] for window in windows])
    middle = float(solution.voltage) / 2
    largest = max(np.abs(values - middle).max(), 1e-3)
    return Normalize(middle - largest, middle + largest)


def _concentration_norm(section: Section, ion: int, windows: list[_Window]) -> Normalize:
    """Colours of a concentration, logarithmic unless it varies by less than a factor of three."""
    values = np.concatenate(
        [section.concentration[_shown(section, window) & ~section.no_ion_nodes, ion] for window in windows]
    )
    low, high = values.min(), values.max()
    if high <= 0 or low > high / 3:
        return Normalize(0.0, max(1.05 * high, 1e-12))
    return LogNorm(max(low, _SMALLEST * high), high)


def _add_title(figure: Figure, ax: Axes, solution: Solution) -> None:
    left, high = ax.get_position().x0, figure.get_figheight()
    name = f"{solution.channel.name} at {_number(solution.voltage)} mV: {_number(solution.current)} pA"
    figure.text(left, 1 - 0.14 / high, name, ha="left", va="top", fontsize=11)
    if _has_current(solution):
        inside, pore, outside = (_number(value, 3) for value in np.asarray(solution.resistance))
        note = f"pore {pore} GΩ, access {inside} GΩ inside and {outside} GΩ outside"
        note += "; a fifth of the current flows between two lines"
        figure.text(left, 1 - 0.37 / high, note, ha="left", va="top", fontsize=9)


def _has_current(solution: Solution) -> bool:
    """Whether there is more current than round-off."""
    return bool(np.isfinite(np.asarray(solution.resistance)).all())


def _number(value, digits: int = 4) -> str:
    return f"{0.0 if abs(value) < 1e-12 else float(value):.{digits}g}".replace("-", "−")


# --- maps -----------------------------------------------------------------------------------------


def _draw_map(ax: Axes, section: Section, window: _Window, norm: Normalize, ion: int | None):
    """Draw one quantity: the potential (ion: None), or an ion's concentration."""
    values = section.potential if ion is None else section.concentration[..., ion]
    cmap = _PALE if ion is None else "viridis"
    inner, outer = section.membrane_slices
    parts = [(0, inner, None), (outer, len(section.z) - 1, None), (inner, outer, section.wall_index)]
    if ion is None:
        parts.insert(0, (inner, outer, None))
    drawn = None
    for part in parts:
        drawn = _draw_part(ax, section, values, window, part, cmap=cmap, norm=norm) or drawn
    # The potential shows faintly through the membrane, unless the mesh ends within the window.
    covers = section.r[inner : outer + 1, -1].min() >= window.top
    _draw_membrane(ax, section, window, 0.8 if ion is None and covers else 1.0)
    ax.set_xlim(window.left, window.right)
    ax.set_ylim(-window.top, window.top)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    return drawn


def _draw_part(ax: Axes, section: Section, values, window: _Window, part, **looks):
    """Draw slices `first` to `last` up to node `last_node` (None: all), mirrored at the axis.

    Only nodes near the window are drawn, since renderers fail on shapes a thousand times larger than the picture.
    """
    first, last, last_node = part
    shown = np.flatnonzero(_shown(section, window).any(axis=1))
    if shown.size == 0:
        return None
    first, last = max(first, shown[0] - 1), min(last, shown[-1] + 1)
    if last <= first:
        return None
    rows = slice(first, last + 1)
    first_outside = int((section.r[rows] <= window.top).any(axis=0).sum())
    nodes = slice(0, min(first_outside if last_node is None else last_node, section.r.shape[1] - 1) + 1)
    z, r, v = section.z[rows, nodes], section.r[rows, nodes], values[rows, nodes]
    z, r, v = (np.concatenate([sign * f[:, :0:-1], f], axis=1) for sign, f in ((1, z), (-1, r), (1, v)))
    return ax.pcolormesh(z, r, v, shading="gouraud", rasterized=True, **looks)


def _draw_membrane(ax: Axes, section: Section, window: _Window, opacity: float) -> None:
    z, wall = section.wall
    top = max(1.1 * window.top, 1.1 * wall.max())
    outline = np.concatenate([z[:1], z, z[-1:]]), np.concatenate([[top], wall, [top]])
    for sign in (1, -1):
        ax.fill(outline[0], sign * outline[1], color=MEMBRANE, alpha=opacity, lw=0, zorder=2)
        ax.plot(outline[0], sign * outline[1], color=TOTAL, lw=1.0, zorder=3)


def _draw_current(ax: Axes, section: Section, window: _Window, current: float) -> None:
    """Draw lines along which the current flows, and an arrow on one of them."""
    fraction = section.enclosed_current() / current
    z, r = ((f[1:] + f[:-1]) / 2 for f in (section.z, section.r))
    levels = np.arange(1, _TUBES) / _TUBES
    for sign in (1, -1):
        lines = ax.contour(z, sign * r, fraction, levels, colors=TOTAL, linewidths=0.7, zorder=4)
        _draw_arrow(ax, np.asarray(lines.get_paths()[1].vertices), window, current)


def _draw_arrow(ax: Axes, points: np.ndarray, window: _Window, current: float) -> None:
    """Draw an arrow in the middle of the part of a line that the window shows."""
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


def _draw_profiles(
    above: Axes, below: Axes, solution: Solution, section: Section, axial: Solution | None, window: _Window
) -> None:
    """Draw potential and concentrations along z: on the axis, means over the cross-section, and in one dimension."""
    z, mean_potential = section.means(section.potential)
    _, mean_concentration = section.means(section.concentration)
    axis, mouths = section.z[:, 0], section.wall[0][[0, -1]]
    above.plot(axis, section.potential[:, 0], color=TOTAL, lw=1.6)
    above.plot(z, mean_potential, color=TOTAL, lw=1.2, ls=":")
    if axial is not None:
        above.plot(axial.x, axial.potential, color=TOTAL, lw=1.2, ls=DASHED)
    for k in range(len(solution.ion_names)):
        below.plot(axis, section.concentration[:, 0, k], color=color(k), lw=1.6)
        below.plot(z, mean_concentration[:, k], color=color(k), lw=1.2, ls=":")
        if axial is not None:
            below.plot(axial.x, np.asarray(axial.concentration)[:, k], color=color(k), lw=1.2, ls=DASHED)
    for ax in (above, below):
        ax.set_xlim(window.left, window.right)
        for mouth in mouths:
            ax.axvline(mouth, color=GUIDE, lw=0.8, ls=":", zorder=0)
    _set_scales(above, below, window)


def _set_scales(above: Axes, below: Axes, window: _Window) -> None:
    """Scale the axes to the values within the window."""

    def shown_values(ax):
        parts = []
        for drawn in ax.get_lines():
            x, y = (np.asarray(values, float) for values in drawn.get_data())
            if x.size > 2:
                parts.append(y[(x >= window.left) & (x <= window.right)])
        values = np.concatenate(parts)
        return values[np.isfinite(values)]

    potential, concentration = shown_values(above), shown_values(below)
    if potential.size:
        margin = max(0.08 * np.ptp(potential), 1e-3)
        above.set_ylim(potential.min() - margin, potential.max() + margin)
    if not concentration.size or concentration.max() <= 0:
        return
    if concentration.min() < concentration.max() / 30:
        below.set_yscale("log")
        below.set_ylim(max(concentration.min() / 2, 1e-9 * concentration.max()), 2 * concentration.max())
    else:
        below.set_ylim(0, 1.08 * concentration.max())


def _add_legends(above: Axes, below: Axes, solution: Solution, axial: Solution | None) -> None:
    styles = {"on the axis": "-", "mean over the cross-section": ":"}
    if axial is not None:
        styles[f"one dimension: {_number(axial.current)} pA"] = DASHED
    lines = [Line2D([], [], color=TOTAL, lw=1.4, ls=style, label=name) for name, style in styles.items()]
    above.legend(handles=lines, loc="best", fontsize=8)
    ions = [Line2D([], [], color=color(k), lw=1.6, label=pretty(name)) for k, name in enumerate(solution.ion_names)]
    below.legend(handles=ions, loc="best", fontsize=8, ncols=2)


def _label_axes(axes: list[list[Axes]], windows: list[_Window], shape: float) -> None:
    """Label every row and every column once."""
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
