"""docs/architecture.md: its tree is the real one, its walks run, and they name what they pass."""

import re
import sys
import tomllib
from pathlib import Path

import architecture
import jax.numpy as jnp
import numpy as np
import pytest

import pnp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CHARGE, VOLTAGE, PARAMETER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAMED = re.compile(r"^(?:(\w+) = .*?|([\w.\[\]-]+))  # ([A-Z]\w+|dict)$", re.MULTILINE)
"""A line that makes or shows something, with its type behind it."""


def walk(code):
    """What the names of a walk are after it; checks the types that it states."""
    names: dict = {}
    exec(compile(code, "docs/architecture.md", "exec"), names)
    stated = [(made or shown, kind) for made, shown, kind in NAMED.findall(code)]
    assert stated
    for name, kind in stated:
        assert type(eval(name, names)).__name__ == kind, name
    return names, {kind for _, kind in stated}


def test_tree_is_the_real_one():
    printed, path = {}, []
    for line in re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1].splitlines():
        if package := re.match(r"( *)(\w+)/", line):
            path = [*path[: len(package[1]) // 2], package[2]]
            printed["/".join(path)] = []
        elif modules := re.match(r" {20}(?:· |  )((?:\w+(?:, |,?$))+)", line):
            printed["/".join(path)] += re.findall(r"\w+", modules[1])
    packages = {file.parent for file in (ROOT / "pnp").rglob("__init__.py")}
    real = {
        package.relative_to(ROOT).as_posix(): {f.stem for f in package.glob("*.py")} - {"__init__"}
        for package in packages
    }
    assert {name: set(modules) for name, modules in printed.items()} == real


def test_the_page_is_what_the_script_writes():
    assert architecture.tree() in PAGE
    names = [name.strip() for layer in architecture.layers() for name in layer.split("|")]
    packages = [name for name in names if (ROOT / "pnp" / name).is_dir()]
    assert list(architecture.ROWS) == [*packages, "units"]
    assert (ROOT / "docs" / "architecture.svg").exists()


def test_all_packages_are_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    packages = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "pnp").rglob("__init__.py")}
    assert set(settings["packages"]) == packages | {"pnp.geometries"}


def test_a_fixed_charge_passes_at_most_five_containers():
    names, containers = walk(CHARGE)
    assert containers == {"ChannelFile", "Channel", "Discretized", "MeshSolution", "Solution"}
    fixed = float(names["discretized"].elements[-1].charge.sum()) / pnp.units.MILLIMOLAR_PER_CHARGE_DENSITY
    assert fixed == pytest.approx(sum(segment.charge for segment in names["contents"].pore.segment))
    np.testing.assert_allclose(names["current"], names["solution"].mesh_current[-1], rtol=1e-10)


def test_the_residual_reaches_the_flux_law_without_linalg():
    problem = pnp.Axial(400).discretize(pnp.load("kcsa-like")).problem(0, jnp.asarray(4.0))
    interior = jnp.zeros((1 + len(problem.valence), problem.elements.charge.shape[1] - 1))
    called: list[tuple[str, str]] = []

    def note(frame, event, _):
        if event == "call":
            called.append((frame.f_globals.get("__name__", ""), frame.f_code.co_name))

    sys.setprofile(note)
    try:
        problem.scheme.residual(problem, interior)
    finally:
        sys.setprofile(None)
    assert ("pnp.finite_volume.fluxes", "element_balance") in called
    assert not [module for module, _ in called if module.startswith("pnp.linalg")]


@pytest.mark.slow
@pytest.mark.parametrize("code", [VOLTAGE, PARAMETER], ids=["voltage", "parameter"])
def test_the_other_walks_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, _ = walk(code)
    if code == VOLTAGE:
        assert float(abs(names["balance"](names["fine"].problem, names["fine"].unknowns)).max()) < 1e-6
    else:
        assert (tmp_path / "fit.json").exists()
        assert names["fit"].parameters[names["path"]].value == pytest.approx(-1.2, rel=1e-6)
