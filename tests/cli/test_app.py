"""The command line: bad input, `list`, `init`, `check`, `doctor`, and exit codes of a process."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import pnp
from pnp import units
from tests.cli.command import run

# --- bad input ----------------------------------------------------------------------------------

IV = ["iv", "uncharged-cylinder"]
BAD = {
    "unknown channel": (["iv", "uncharged-cylindr"], ["did you mean uncharged-cylinder?"]),
    "no channel": (["iv"], ["Missing argument", "CHANNEL"]),
    "unknown command": (["ivy"], ["No such command", "ivy"]),
    "unknown option": ([*IV, "--node", "64"], ["No such option", "--nodes"]),
    "two fields": ([*IV, "--voltages", "1:2"], ["--voltages expects FIRST:LAST:COUNT in mV", "'1:2'"]),
    "words": ([*IV, "--voltages", "a,b"], ["--voltages expects FIRST:LAST:COUNT in mV", "'a,b'"]),
    "empty list": ([*IV, "--voltages", ""], ["--voltages expects FIRST:LAST:COUNT in mV"]),
    "no points": ([*IV, "--voltages", "0:1:0"], ["--voltages: the count must be from 1 to 100000, not 0"]),
    "many points": ([*IV, "--voltages", "0:1:100001"], ["--voltages: the count", "100001"]),
    "half a point": ([*IV, "--voltages", "0:1:2.5"], ["--voltages expects", "'0:1:2.5'"]),
    "NaN": ([*IV, "--voltages", "nan"], ["--voltages: values must be finite", "'nan'"]),
    "infinity": ([*IV, "--voltages", "0:inf:3"], ["--voltages: values must be finite", "'0:inf:3'"]),
    "lightning": ([*IV, "--voltages", "0,1e9"], ["--voltages: values", "1e5 mV", "'0,1e9'"]),
    "set without value": ([*IV, "--set", "inside.K"], ["--set expects PATH=VALUE", "'inside.K'"]),
    "set nowhere": ([*IV, "--set", "pore.lenght=3"], ["pore.lenght: unknown key; did you mean length?"]),
    "set a charge imbalance": ([*IV, "--set", "inside.K=150"], ["inside: ", "not electroneutral", "+50 mM"]),
    "set a wrong unit": ([*IV, "--set", "pore.length=5 mV"], ["pore.length: '5 mV' is not a length"]),
    "set beyond the physics": ([*IV, "--set", "temperature=1000"], ["uncharged-cylinder: 1 mistake", "1000 K"]),
    "format": ([*IV, "--format", "xml"], ["--format", "xml"]),
    "suffix of output": ([*IV, "--output", "x.txt"], ["--output: x.txt must end in .nc or .csv or .json"]),
    "suffix of plot": ([*IV, "--plot", "x.nc"], ["--plot: x.nc must end in .png or .pdf or .svg"]),
    "folder of output": ([*IV, "--output", "no/x.nc"], ["--output: the folder no does not exist"]),
    "folder of plot": ([*IV, "--plot", "no/x.png"], ["--plot: the folder no does not exist"]),
    "few nodes": ([*IV, "--nodes", "3"], ["--nodes"]),
    "no number of nodes": ([*IV, "--nodes", "many"], ["--nodes"]),
    "missing HOLE file": ([*IV, "--pore-profile", "gone.txt"], ["gone.txt: cannot be read"]),
    "offset in volts": ([*IV, "--radius-offset", "1 mV"], ["'1 mV' is not a length"]),
    "frame zero": ([*IV, "--frame", "0"], ["--frame"]),
    "voltage of a profile": (["profile", "ompf", "--voltage", "1 nm"], ["--voltage: '1 nm' is not a voltage"]),
    "no voltage of a profile": (["profile", "ompf"], ["Missing option", "--voltage"]),
    "suffix of a profile": (["profile", "ompf", "--voltage", "1", "--output", "x.csv"], ["must end in .nc"]),
    "three dimensions": ([*IV, "--dimension", "3"], ["--dimension", "2"]),
    "resolution in one dimension": ([*IV, "--resolution", "2"], ["--resolution", "--dimension 2"]),
    "resolution": ([*IV, "--dimension", "2", "--resolution", "20"], ["resolution must be from 0.25 to 8, not 20"]),
    "hysteresis in two dimensions": (
        [*IV, "--hysteresis", "--dimension", "2"],
        ["--hysteresis", "in one dimension only"],
    ),
    "vtu of one dimension": (["profile", "ompf", "--voltage", "1", "--output", "x.vtu"], ["must end in .nc"]),
    "check of nothing": (["check", "nothing.toml"], ["nothing.toml: 1 mistake", "pnp list"]),
}


@pytest.mark.parametrize(("arguments", "fragments"), BAD.values(), ids=BAD.keys())
def test_bad_input_exits_2_with_a_message_and_no_output(arguments, fragments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    for fragment in fragments:
        assert fragment in ran.err
    assert not list(tmp_path.iterdir())


# --- the other commands -------------------------------------------------------------------------


def test_list_names_every_preset():
    ran = run("list")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == list(pnp.presets())
    for description in pnp.presets().values():
        assert description in ran.out


def test_init_writes_a_file_to_start_from(tmp_path):
    file = tmp_path / "mine.toml"
    ran = run("init", file)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"Wrote {file}\nNext: pnp check {file}\n"
    assert pnp.load(file).name == "my-channel"
    assert run("check", file).code == 0


def test_init_does_not_overwrite_unless_forced(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("precious")
    ran = run("init", file)
    assert ran.code == 2
    assert f"{file} exists" in ran.err
    assert file.read_text() == "precious"
    assert run("init", file, "--force").code == 0
    assert pnp.load(file).name == "my-channel"


def test_init_needs_a_folder(tmp_path):
    ran = run("init", tmp_path / "no" / "mine.toml")
    assert ran.code == 2
    assert "the folder does not exist" in ran.err


def test_check_shows_the_problem_and_warns_of_single_file():
    ran = run("check", "gramicidin-a")
    assert ran.code == 0
    # λ = sqrt(ε ε₀ kT / (e² 2 c N_A)) of 1 M (= 1000 mol/m³) of a 1:1 salt
    energy = 78.4 * units.VACUUM_PERMITTIVITY * units.BOLTZMANN * units.ROOM_TEMPERATURE
    debye = 1e9 * np.sqrt(energy / (units.ELEMENTARY_CHARGE**2 * 2 * 1000 * units.AVOGADRO))
    lines = {line[:21].strip(): line[21:].strip() for line in ran.out.splitlines()}
    assert lines["Debye length"] == f"{debye:.3g} nm inside, {debye:.3g} nm outside"
    assert lines["pore radius"].startswith("0.1198 to 0.48")
    assert lines["pore length"] == "3.5 nm"
    assert lines["inside"].startswith("K 1000, Cl 1000 mM")
    assert lines["validity"].startswith("single-file pore")
    assert "Warning: the narrowest radius is 0.12 nm: ions pass in single file" in ran.err


def test_check_shows_how_ions_depart_from_points():
    assert "none (point ions)" in run("check", "uncharged-cylinder").out
    steric = run("check", "uncharged-cylinder", "--set", 'activity={model = "steric", size = "7 Å"}').out
    assert re.search(r"steric, ions of 0\.7 nm \(at most 4\.84 M\)", " ".join(steric.split()))
    davies = run("check", "uncharged-cylinder", "--set", "activity.model=davies").out
    assert "Davies, A = 0.5109 M^-½, B = 0.3, constant beyond I = 0.5 M" in " ".join(davies.split())
    born = run("check", "uncharged-cylinder", "--set", "pore.born=true", "--set", "pore.permittivity=40").out
    # ℓ_B/2a (1/40 − 1/78.375) with a vacuum Bjerrum length of 56.05 nm
    assert re.search(r"Born energy +K 2\.486, Cl 1\.895 kT", born)


def test_check_has_nothing_to_warn_of_in_a_plain_cylinder():
    ran = run("check", "uncharged-cylinder", "--set", "inside.K=0.2 M", "--set", "inside.Cl=200")
    assert (ran.code, ran.err) == (0, "")
    assert "K 200, Cl 200 mM" in ran.out


@pytest.mark.parametrize(
    ("channel", "change", "warning"),
    [
        ("conical-nanopore", [], "2 Debye lengths"),
        ("uncharged-cylinder", ["reservoir.kind=none"], "no access resistance"),
        (
            "uncharged-cylinder",
            ['pore.charge=[{kind="segment", density=-12, start=1, end=2}]'],
            "the fixed charge reaches 12 M",
        ),
    ],
)
def test_check_warns_of_what_the_model_does_badly(channel, change, warning):
    ran = run("check", channel, *(part for c in change for part in ("--set", c)))
    assert ran.code == 0
    assert ran.err.startswith("Warning: ")
    assert warning in ran.err


def test_doctor_prints_versions_and_precision():
    ran = run("doctor")
    assert ran.code == 0
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in ran.out.splitlines())
    assert lines["pnp"] == pnp.__version__
    assert lines["64-bit floats"] == "on"
    assert {"python", "jax", "devices"} <= set(lines)


# --- as a process -------------------------------------------------------------------------------


def process(code, folder):
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


def test_help_and_list_do_not_wait_for_heavy_libraries(tmp_path):
    code = """
import sys
from pnp.cli.app import main
for arguments in (["--help"], ["iv", "--help"], ["profile", "--help"], ["fit", "--help"], ["list"]):
    sys.argv = ["pnp", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
print([m for m in ("jax", "numpy", "matplotlib", "xarray", "pint") if m in sys.modules], file=sys.stderr)
"""
    ran = process(code, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.strip() == "[]"
    assert "uncharged-cylinder" in ran.stdout
    for command in ("list", "init", "check", "iv", "profile", "doctor"):
        assert re.search(rf"\b{command}\b", ran.stdout)


def test_exit_code_reaches_the_shell(tmp_path):
    ran = process("import sys; sys.argv[1:] = ['check', 'nothing']; from pnp.cli.app import main; main()", tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("nothing: 1 mistake\n")
