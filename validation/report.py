"""The table of all checks, and the report: one self-contained HTML file, and a picture per case."""

import base64
import html
import importlib.metadata
import inspect
import io
import platform
import textwrap
from pathlib import Path

import jax
from matplotlib.figure import Figure

from pnp.io.atomic_write import write_whole

HEAD = ("case", "quantity", "computed", "exact", "error", "tolerance", "order", "status")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0 }
td, th { padding: 0.15rem 0.7rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap }
th.kind { background: #f2f2f2 } .failed { background: #fdd } img { max-width: 100% } pre { font-size: 0.9rem }
h2 { margin-top: 3rem } .source { color: #555 }
"""


def versions() -> str:
    """The programs and the device behind the numbers."""
    found = [f"{name} {importlib.metadata.version(name)}" for name in ("jax-pnp", "jax", "numpy", "scipy")]
    device = jax.devices()[0]
    return f"{', '.join(found)}, Python {platform.python_version()}; {device.platform} ({device.device_kind})"


def rows(run) -> list[tuple[str, ...]]:
    """The lines of the table that a case fills, as `HEAD`."""
    if run.result is None:
        return [(run.name, "raised an exception", "", "", "", "", "", "FAILED")]
    return [(run.name, *_cells(check)) for check in run.result.checks]


def _cells(check) -> tuple[str, ...]:
    value = lambda x: f"{x:.8g} {check.unit}".strip()
    size = lambda x, digits: f"{x:.{digits}g} {'rel.' if check.relative else check.unit}".strip()
    order = "" if check.observed_order is None else f"{check.observed_order:.2f}"
    if check.order is not None:
        order += f" ({check.order:g})"
    tolerance = "" if check.tolerance is None else size(check.tolerance, 2)
    status = "FAILED" if not check.passed else "ok" if tolerance else "shown"
    return check.quantity, value(check.computed), value(check.exact), size(check.error, 2), tolerance, order, status


def table(runs) -> str:
    """Versions, and all checks, aligned, by kind."""
    lines = [HEAD, *(row for run in runs for row in rows(run))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    join = lambda row: "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    text, kind = [versions(), "", join(HEAD)], None
    for run in runs:
        if run.kind != kind:
            kind = run.kind
            text += ["", f"-- {kind} --"]
        text += map(join, rows(run))
    failed = [run.name for run in runs if not run.passed]
    outcome = f"failed: {', '.join(failed)}" if failed else "all passed"
    text += ["", f"{len(runs)} cases, {len(lines) - 1} checks: {outcome}"]
    return "\n".join(text)


def picture(result) -> bytes:
    """The picture of a case as PNG."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    result.draw(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def write(folder: Path, runs, text: str) -> Path:
    """Write the report into `folder`: pictures, `table.txt` and `index.html`, which needs none of the others."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {run.name: picture(run.result) for run in runs if run.result}
    for name, image in pictures.items():
        write_whole(folder / f"{name}.png", lambda path, image=image: path.write_bytes(image))
    write_whole(folder / "table.txt", lambda path: path.write_text(text + "\n", encoding="utf-8"))
    index = folder / "index.html"
    write_whole(index, lambda path: path.write_text(_page(runs, pictures), encoding="utf-8"))
    return index


def _page(runs, pictures) -> str:
    failed = [run.name for run in runs if not run.passed]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Validation of pnp</title><style>{STYLE}</style></head><body>
<h1>Validation of pnp</h1>
<p>{html.escape(versions())}</p>
<p>{html.escape(f"Failed: {', '.join(failed)}" if failed else "All cases passed.")}
Order: observed (expected).</p>
{_html_table(runs)}
{"".join(_section(run, pictures.get(run.name)) for run in runs)}</body></html>
"""


def _html_table(runs) -> str:
    line = lambda row, tag: "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
    text, kind = [f"<tr>{line(HEAD, 'th')}</tr>"], None
    for run in runs:
        if run.kind != kind:
            kind = run.kind
            text.append(f'<tr><th class="kind" colspan="{len(HEAD)}">{html.escape(kind)}</th></tr>')
        for row in rows(run):
            mark = ' class="failed"' if row[-1] == "FAILED" else ""
            link = f'<td><a href="#{run.name}">{run.name}</a></td>'
            text.append(f"<tr{mark}>{link}{line(row[1:], 'td')}</tr>")
    return "<table>" + "\n".join(text) + "</table>"


def _section(run, image) -> str:
    """Title, text, picture and conclusion of a case."""
    if run.result is None:
        return f'<h2 id="{run.name}">{run.name}</h2><pre>{html.escape(run.failure)}</pre>'
    title, _, text = inspect.cleandoc(run.module.__doc__).partition("\n")
    code = base64.b64encode(image).decode()
    return f"""
<h2 id="{run.name}">{run.name}: {html.escape(title)}</h2>
{"".join(map(_paragraph, text.strip().split(chr(10) * 2)))}
<p class="source">{html.escape(run.module.SOURCE)}</p>
<p><img alt="{html.escape(title, True)}" src="data:image/png;base64,{code}"></p>
<p><b>{html.escape(run.result.conclusion)}</b> ({run.seconds:.1f} s)</p>
"""


def _paragraph(text: str) -> str:
    """Indented lines of a docstring are formulae."""
    indented = all(line.startswith("    ") for line in text.splitlines())
    tag, text = ("pre", textwrap.dedent(text)) if indented else ("p", text)
    return f"<{tag}>{html.escape(text)}</{tag}>" if text.strip() else ""
