"""README and docs: short lines, links that lead somewhere, and programs that run. (fitting.md: test_tutorial.)"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OUTPUT = re.compile(r"```console\n.*?```", re.DOTALL)
"""What programs print, as they print it."""
RUN = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("channels", "results", "two-dimensions"))]


def name(page):
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_are_short(page):
    lines = OUTPUT.sub("", page.read_text("utf-8")).splitlines()
    assert not [line for line in lines if len(line) > 100]


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"docs/{page.name}" in readme for page in (ROOT / "docs").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=name)
def test_programs_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with mpl.rc_context():
        for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            exec(compile(code, page.name, "exec"), names)
    if page.stem == "results":
        branch = names["branch"]
        assert branch.folds == pytest.approx(np.array([[419, 0.38], [178, 1.19]]), rel=5e-3, abs=5e-3)
        assert branch.currents_at(250.0) == pytest.approx([0.254, 0.611, 4.98], rel=2e-3)
        assert names["both"].multistable.any()
