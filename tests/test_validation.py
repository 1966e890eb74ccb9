"""The suite's own machinery: what counts as passed, and exit codes. The cases run by `python -m validation`."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import validation
from validation.__main__ import main
from validation.case import Check, Result
from validation.report import _cells


def check(computed=1.0, **more):
    return Check("current", "pA", computed, 1.0, 1e-3, **more)


@pytest.mark.parametrize(
    ("line", "error", "passed"),
    [
        (check(1.0005), 5e-4, True),
        (check(0.99), 1e-2, False),
        (Check("current", "pA", -200.1, -200.0, 1e-3, relative=True), 5e-4, True),
        (check(1.0, error=0.1), 0.1, False),
        (check(np.nan), np.nan, False),
        (Check("current", "pA", 2.0, 1.0, None), 1.0, True),
        (Check("current", "pA", np.nan, 1.0, None), np.nan, False),
    ],
)
def test_error_against_tolerance(line, error, passed):
    assert line.error == pytest.approx(error, nan_ok=True)
    assert line.passed == passed
    assert line.observed_order is None


@pytest.mark.parametrize("sizes", [(100, 200, 400), (4.0, 2.0, 1.0)], ids=["elements", "parameter"])
@pytest.mark.parametrize(("power", "passed"), [(2.0, True), (1.8, True), (1.0, False), (-2.0, False)])
def test_observed_order(sizes, power, passed):
    errors = [1e-4, 1e-4 * 2**-power, 1e-4 * 4**-power]
    line = check(1.0, sizes=sizes, errors=errors, order=2.0)
    assert line.observed_order == pytest.approx(power)
    assert line.passed == passed


def test_an_order_without_a_study_is_refused():
    with pytest.raises(ValueError, match="two sizes"):
        check(order=2.0)
    with pytest.raises(ValueError, match="2 sizes and 1 errors"):
        check(sizes=(1, 2), errors=(1,))


def fake(monkeypatch, name, run):
    """A case called `name`, beside the real ones."""
    module = ModuleType(f"validation.{name}", "A title.\n\nText.\n\n    a = b\n")
    module.SOURCE, module.run = "<nobody>", run
    monkeypatch.setitem(sys.modules, f"validation.{name}", module)
    monkeypatch.setitem(validation.CASES, "experiment", (*validation.CASES["experiment"], name))


def test_measurements_are_shown_and_not_judged():
    status = lambda line: _cells(line)[-1]
    assert [status(each) for each in (check(), check(2.0), Check("current", "pA", 2.0, 1.0, None))] == [
        "ok",
        "FAILED",
        "shown",
    ]


def result(computed):
    return lambda: Result([check(computed)], lambda figure: figure.subplots().plot([1, 2]), "It is seen.")


def broken():
    raise RuntimeError("on purpose")


def test_exit_codes_and_report(monkeypatch, capsys, tmp_path):
    fake(monkeypatch, "good", result(1.0))
    fake(monkeypatch, "bad", result(2.0))
    fake(monkeypatch, "raises", broken)
    assert main(["--only", "good", "--report", str(tmp_path / "new" / "folder")]) == 0
    page = (tmp_path / "new" / "folder" / "index.html").read_text(encoding="utf-8")
    for words in ("A title.", "<pre>a = b</pre>", "&lt;nobody&gt;", "data:image/png;base64", "It is seen."):
        assert words in page
    assert (tmp_path / "new" / "folder" / "good.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()

    assert main(["--only", "bad", "raises", "good"]) == 1, "the others run, and the exit code tells"
    out, err = capsys.readouterr()
    assert "3 cases, 3 checks" in out
    assert "failed: bad, raises" in out
    assert "RuntimeError: on purpose" in err

    with pytest.raises(SystemExit) as stop:
        main(["--only", "none-such"])
    assert stop.value.code == 2
    assert "none-such" in capsys.readouterr().err


def test_every_module_with_a_source_is_a_case():
    """And nothing else is; `--only` takes a folder for all its cases."""
    folder = Path(validation.__file__).parent
    files = [file for part in ("one_dimension", "axisymmetric") for file in (folder / part).glob("*.py")]
    found = {f"{file.parent.name}.{file.stem}" for file in files if "\nSOURCE = " in file.read_text("utf-8")}
    assert found == {name for names in validation.CASES.values() for name in names if "." in name}


def test_only_takes_a_folder(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "validation.folder", ModuleType("validation.folder"))
    for name in ("folder.one", "folder.two"):
        fake(monkeypatch, name, result(1.0))
    assert main(["--only", "folder"]) == 0
    assert "2 cases, 2 checks" in capsys.readouterr().out


def test_a_result_without_checks_has_not_passed():
    assert not Result([], lambda figure: None, "").passed


def test_help_and_list_do_without_jax():
    script = "import sys; from validation.__main__ import main; main(['--list']); assert 'jax' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "ghk" in run.stdout
