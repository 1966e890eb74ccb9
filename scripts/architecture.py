"""Writes what docs/architecture.md shows of the code: the tree of packages, and docs/architecture.svg.

    python scripts/architecture.py

The tree has the first sentence of each package's docstring, and its modules. The picture has the way of a fixed charge
among the packages, which stand in the order of the import contract in pyproject.toml: blue boxes are containers with
the function that makes them, orange ones the functions of a Newton step.
"""

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "architecture.svg"
BLOCK = re.compile(r"(?<=```text\n)pnp/.*?(?=```)", re.DOTALL)
"""The tree within the page."""

ROWS = {
    "cli": "the command line",
    "fit": "measured currents in, numbers out",
    "plot": "pictures",
    "io": "files in and out",
    "analysis": "what a user calls",
    "solver": "Newton, continuation, arclength",
    "finite_volume": "the equations on a mesh",
    "linalg": "chains of small blocks",
    "channel": "what is solved: data and checks",
    "theory": "closed forms",
    "units": "units, settings and the like",
}
"""Of the picture."""
# name or container, the function that makes it, package, column
STEPS = [
    ("ChannelFile", "read", "io", 0),
    ("Channel", "build", "channel", 0),
    ("Discretized", "Axial.discretize", "analysis", 1),
    ("Problem", "Discretized.problem", "finite_volume", 1),
    ("element_balance", "the flux law", "finite_volume", 2),
    ("solve_root", "Newton's method", "solver", 2),
    ("eliminate", "the linear system", "linalg", 2),
    ("MeshSolution", "solve_on_meshes", "finite_volume", 3),
    ("Solution", "assess", "analysis", 3),
]
ARROWS = [(0, 1), (1, 2), (2, 3), (3, 5), (5, 4), (4, 6), (5, 7), (7, 8)]
BACK = (6, 5)
"""Closes Newton's loop, at the right of its boxes."""
FUNCTIONS = {4, 5, 6}
COLUMNS = (5.9, 8.2, 10.6, 13.4)
"""Middles of the boxes."""
WIDTH, HEIGHT = 1.9, 0.68


def layers() -> list[str]:
    """The packages in the order of the import contract; the last ones are single modules."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return project["tool"]["importlinter"]["contracts"][0]["layers"]


def tree() -> str:
    """The packages with their purpose and modules, one below the other."""
    return "\n".join(_lines(ROOT / "pnp", 0)) + "\n"


def _lines(package: Path, depth: int) -> Iterator[str]:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    purpose = re.split(r"(?<=\.)\s", docstring.partition("\n")[0])[0]
    modules = sorted(file.stem for file in package.glob("*.py") if file.stem != "__init__")
    name = f"{'  ' * depth}{package.name}/".ljust(20)
    yield from textwrap.wrap(purpose, 100, initial_indent=name, subsequent_indent=" " * 20)
    if modules:
        yield from textwrap.wrap(", ".join(modules), 100, initial_indent=" " * 20 + "· ", subsequent_indent=" " * 22)
    order = layers() if depth == 0 else []
    inner = {file.parent.name: file.parent for file in package.glob("*/__init__.py")}
    for inner_name in sorted(inner, key=lambda each: (order.index(each) if each in order else 0, each)):
        yield from _lines(inner[inner_name], depth + 1)


# --- the picture ---------------------------------------------------------------------------------


def center(step: int) -> tuple[float, float]:
    """Of a box."""
    _, _, package, column = STEPS[step]
    return COLUMNS[column], -list(ROWS).index(package)


def draw():
    """The picture, a matplotlib Figure."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(11, 6.8))
    ax = figure.add_axes((0.005, 0.005, 0.99, 0.99))
    right = COLUMNS[-1] + WIDTH / 2 + 0.3
    ax.set(xlim=(0, right), ylim=(-len(ROWS) + 0.45, 0.55))
    ax.set_axis_off()
    for row, (name, purpose) in enumerate(ROWS.items()):
        ax.axhspan(-row - 0.47, -row + 0.47, color="0.95" if row % 2 else "0.9", lw=0)
        ax.text(0.12, -row, name, va="center", weight="bold", size=11)
        ax.text(1.75, -row, purpose, va="center", size=9, color="0.25")
    for start, end in ARROWS:
        (x, y), (u, v) = center(start), center(end)
        # From the side of a box that faces the other one.
        if abs(x - u) < 0.1:
            sign = 1 if v > y else -1
            y, v = y + sign * HEIGHT / 2, v - sign * HEIGHT / 2
        else:
            x, u = x + WIDTH / 2, u - WIDTH / 2
        ax.annotate("", (u, v), (x, y), arrowprops={"arrowstyle": "-|>", "color": "0.3", "lw": 1.2})
    (x, y), (u, v) = center(BACK[0]), center(BACK[1])
    style = {"arrowstyle": "-|>", "color": "0.3", "lw": 1.2, "connectionstyle": "arc3,rad=0.6"}
    ax.annotate("", (u + WIDTH / 2, v - 0.1), (x + WIDTH / 2, y), arrowprops=style)
    for step, (name, by, _, _) in enumerate(STEPS):
        x, y = center(step)
        face, edge = ("white", "C0") if step not in FUNCTIONS else ("0.99", "C1")
        box = (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT
        ax.add_patch(FancyBboxPatch(*box, boxstyle="round,pad=0,rounding_size=0.12", fc=face, ec=edge, lw=1.5))
        ax.text(x, y + 0.13, name, ha="center", va="center", weight="bold", size=10)
        ax.text(x, y - 0.17, by, ha="center", va="center", size=8.5, color="0.25")
    return figure


def main() -> None:
    """Write both; the same code writes the same files."""
    import matplotlib as mpl

    PAGE.write_text(BLOCK.sub(lambda _: tree(), PAGE.read_text("utf-8")), "utf-8")
    mpl.rcParams["svg.hashsalt"] = "pnp"
    draw().savefig(PICTURE, metadata={"Date": None})
    print(PAGE, PICTURE, sep="\n")


if __name__ == "__main__":
    main()
