"""The command line: what goes to stdout, to stderr and into files, and the exit codes."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import equinox as eqx
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import pnp
import pnp.analysis.solution
import pnp.analysis.steady
import pnp.cli.app
import pnp.cli.terminal
import pnp.io.datasets
import pnp.io.tables
from pnp import units
from pnp.io.atomic_write import write_whole

# One channel, count of voltages and mesh throughout: one compiled program serves nearly all tests.
CURVE = ["iv", "uncharged-cylinder", "--voltages", "-100:100:5", "--nodes", "64"]
VOLTAGES = [-100.0, -50.0, 0.0, 50.0, 100.0]
KEYS = (
    "channel voltage_mV current_pA ion_current_pA reversal_potential_mV conductance_nS largest_voltage_mV "
    "rectification selectivity status conservation_error discretization_error"
)


def run(*arguments):
    """Exit code, stdout and stderr of `pnp ARGUMENTS`, without colours."""
    result = CliRunner().invoke(pnp.cli.app.app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    plain = lambda text: re.sub(r"\x1b\[[0-9;]*m", "", text)
    return SimpleNamespace(code=result.exit_code, out=plain(result.stdout), err=plain(result.stderr))


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    """`pnp iv` as JSON, with a netCDF file and a picture."""
    folder = tmp_path_factory.mktemp("iv")
    ran = run(*CURVE, "--format", "json", "--output", folder / "x.nc", "--plot", folder / "x.png")
    ran.folder = folder
    return ran


# --- iv -----------------------------------------------------------------------------------------


def test_json_is_all_there_is_on_stdout(curve):
    assert curve.code == 0
    record = json.loads(curve.out)
    assert list(record) == KEYS.split()
    assert record["channel"] == "uncharged-cylinder"
    assert record["voltage_mV"] == VOLTAGES
    assert record["status"] == ["converged"] * 5
    assert set(record["ion_current_pA"]) == {"K", "Cl"}


def test_json_numbers_agree_with_each_other(curve):
    record = json.loads(curve.out)
    currents = np.array(record["current_pA"])
    np.testing.assert_allclose(np.sum(list(record["ion_current_pA"].values()), axis=0), currents, rtol=1e-12)
    np.testing.assert_allclose(currents, record["conductance_nS"] * np.array(VOLTAGES), rtol=1e-6, atol=1e-9)
    assert record["reversal_potential_mV"] == pytest.approx(0, abs=1e-6)
    assert record["conductance_nS"] > 0
    assert record["largest_voltage_mV"] == 100
    assert record["rectification"] == pytest.approx(1, rel=1e-9)  # a symmetric pore
    potassium, chloride = (currents[-1] for currents in record["ion_current_pA"].values())
    assert record["selectivity"] == pytest.approx((potassium - chloride) / (potassium + chloride), rel=1e-12)
    assert max(record["conservation_error"] + record["discretization_error"]) < 1e-3


def test_written_files_are_named_on_stderr(curve):
    assert curve.err == f"Wrote {curve.folder / 'x.nc'}\nWrote {curve.folder / 'x.png'}\n"
    assert sorted(f.name for f in curve.folder.iterdir()) == ["x.nc", "x.png"]


def test_netcdf_has_labels_and_provenance(curve):
    with xr.open_dataset(curve.folder / "x.nc", engine="h5netcdf") as dataset:
        assert dict(dataset.sizes) == {"voltage": 5, "ion": 2}
        for name, variable in dataset.variables.items():
            assert variable.attrs["long_name"], name
            assert "units" in variable.attrs or name == "ion"  # names have no unit
        assert dataset["current"].attrs["units"] == "pA"
        assert dataset["voltage"].attrs["units"] == "mV"
        assert dataset["ion"].values.tolist() == ["K", "Cl"]
        assert dataset["current"].values.tolist() == json.loads(curve.out)["current_pA"]
        assert dataset["status"].attrs["flag_meanings"].split()[0] == "converged"
        assert dataset.attrs["source"] == f"pnp {pnp.__version__}"
        assert dataset.attrs["nodes"] == 64
        assert dataset.attrs["temperature_K"] == units.ROOM_TEMPERATURE
        assert json.loads(dataset.attrs["resolved_channel"])["pore"] == {"length": 5.0, "radius": 1.0}


def test_picture_is_drawn(curve):
    picture = matplotlib.image.imread(curve.folder / "x.png")
    assert min(picture.shape[:2]) > 300
    assert picture[..., :3].std() > 0.01


def test_csv_holds_the_same_numbers(curve, tmp_path):
    file = tmp_path / "iv.csv"
    ran = run(*CURVE, "--format", "csv", "--output", file)
    assert ran.code == 0
    assert file.read_text("utf-8") == ran.out
    head, *rows = csv.reader(io.StringIO(ran.out))
    assert head == [
        "V_mV",
        "I_pA",
        "I_K_pA",
        "I_Cl_pA",
        "status",
        "conservation_error",
        "discretization_error",
    ]
    record = json.loads(curve.out)
    assert [float(row[0]) for row in rows] == record["voltage_mV"]
    assert [float(row[1]) for row in rows] == record["current_pA"]
    assert [row[4] for row in rows] == record["status"]


def test_json_file_is_what_is_printed(curve, tmp_path):
    ran = run(*CURVE, "--output", tmp_path / "iv.json")
    assert (tmp_path / "iv.json").read_text("utf-8") == curve.out
    # and as a table, with the validity for whoever reads it
    rows = ran.out.splitlines()
    assert rows[0].split("  ")[0] == "V (mV)"
    assert [float(row.split()[0]) for row in rows[1:6]] == VOLTAGES
    assert re.search(r"reversal potential +0 mV", ran.out)
    assert re.search(r"rectification +1 = \|I\(100 mV\) / I\(−100 mV\)\|", ran.out)
    assert re.search(r"selectivity +-0\.0188\d* at 100 mV", ran.out)
    assert "Validity: sound" in ran.err
    assert "Validity" not in ran.out


def test_batches_make_one_curve(curve, monkeypatch):
    """The last batch is padded to keep its shape; the padding must not show."""
    monkeypatch.setattr(pnp.analysis.steady, "CPU_BATCH", 5)
    listed = [*VOLTAGES, -100, 50]
    ran = run(*CURVE[:2], "--voltages", ",".join(f"{v:g}" for v in listed), "--nodes", "64", "--format", "csv")
    rows = list(csv.reader(io.StringIO(ran.out)))[1:]
    assert [float(row[0]) for row in rows] == listed
    currents = json.loads(curve.out)["current_pA"]
    assert [float(row[1]) for row in rows] == pytest.approx([*currents, currents[0], currents[3]], rel=1e-12, abs=1e-12)


def test_interrupted_curve_keeps_what_is_done(curve, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pnp.analysis.steady, "CPU_BATCH", 5)
    monkeypatch.setattr(pnp.cli.terminal.Progress, "advance", interrupt)  # after the first batch
    listed = ",".join(map(str, VOLTAGES * 2))
    ran = run(*CURVE[:2], "--voltages", listed, "--nodes", "64", "--format", "json")
    assert ran.code == 130
    assert "5 of 10 voltages are done" in ran.err
    assert json.loads(ran.out) == json.loads(curve.out)


def test_curve_interrupted_at_once_prints_nothing(monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pnp.analysis.steady, "_solve_curve", interrupted)
    ran = run(*CURVE, "--output", tmp_path / "iv.csv")
    assert (ran.code, ran.out) == (130, "")
    assert "interrupted before any voltage" in ran.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def lost_points(monkeypatch):
    """The curve as the solver gives it when it finds no state at −100 and 50 mV."""
    real = pnp.analysis.steady.iv_curve

    def with_gaps(*args, **options):
        curve = real(*args, **options)
        lost = np.isin(np.asarray(curve.voltage), [-100, 50])
        numbers = lambda c: (c.current, c.conservation_error, c.discretization_error, c.slope)
        gap = lambda values: np.where(lost, np.nan, values)
        curve = eqx.tree_at(numbers, curve, tuple(map(gap, numbers(curve))))
        ions = np.where(lost[:, None], np.nan, curve.ion_current)
        status = np.where(lost, int(pnp.Status.NOT_CONVERGED), curve.status)
        return eqx.tree_at(lambda c: (c.ion_current, c.status), curve, (ions, status))

    monkeypatch.setattr(pnp.analysis.steady, "iv_curve", with_gaps)


@pytest.mark.usefixtures("lost_points")
def test_point_that_does_not_converge_is_null_and_exits_3(curve, tmp_path):
    ran = run(*CURVE, "--format", "json", "--output", tmp_path / "x.csv", "--plot", tmp_path / "x.png")
    assert ran.code == 3
    assert "Warning: at -100, 50 mV: did not converge" in ran.err
    assert "--nodes 128" in ran.err
    record, whole = json.loads(ran.out, parse_constant=pytest.fail), json.loads(curve.out)
    assert record["status"] == ["not_converged", "converged", "converged", "not_converged", "converged"]
    gaps = lambda values: [None, *values[1:3], None, values[4]]
    for column in ("current_pA", "conservation_error", "discretization_error"):
        assert record[column] == gaps(whole[column])
    for name, values in record["ion_current_pA"].items():
        assert values == gaps(whole["ion_current_pA"][name])
    assert record["conductance_nS"] == whole["conductance_nS"]
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text("utf-8"))))[1:]
    assert [row[1] == "" for row in rows] == [True, False, False, True, False]
    assert matplotlib.image.imread(tmp_path / "x.png")[..., :3].std() > 0.01


@pytest.mark.usefixtures("lost_points")
def test_lost_point_is_a_dash_in_the_table():
    ran = run(*CURVE)
    assert ran.code == 3
    assert re.search(r"^ *-100 +— +— +— +not converged +— +—$", ran.out, re.MULTILINE)


def test_profile_that_does_not_converge_exits_3_without_numbers(monkeypatch, tmp_path):
    status = pnp.Status.NOT_CONVERGED
    lost = SimpleNamespace(status=status, message=pnp.analysis.solution.status_message(status, 1, 2.5, ("K", "Cl")))
    monkeypatch.setattr(pnp.analysis.steady, "solve", lambda *_, **__: lost)
    ran = run("profile", "uncharged-cylinder", "--voltage", "100", "--output", tmp_path / "p.nc")
    assert (ran.code, ran.out) == (3, "")
    assert "uncharged-cylinder at 100 mV did not converge" in ran.err
    assert "the concentration of Cl at x = 2.5 nm" in ran.err
    assert not list(tmp_path.iterdir())


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
    "sweep in two dimensions": ([*IV, "--hysteresis", "--dimension", "2"], ["--hysteresis", "in one dimension only"]),
    "steep wall": (
        ["iv", "ompf", "--dimension", "2", "--set", "pore.radius=[[0, 1], [2, 1], [2.01, 9], [5, 9]]"],
        ["pore", "too steep"],
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
    assert "Davies, A = 0.5106 M^-½, B = 0.3, constant beyond I = 0.5 M" in " ".join(davies.split())
    born = run("check", "uncharged-cylinder", "--set", "pore.born=true", "--set", "pore.permittivity=40").out
    # ℓ_B/2a (1/40 − 1/78.4) with a vacuum Bjerrum length of 56.05 nm
    assert re.search(r"Born energy +K 2\.487, Cl 1\.896 kT", born)


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


def test_profile_is_printed_drawn_and_saved(tmp_path):
    ran = run(
        "profile", "uncharged-cylinder", "--voltage", "0.1 V", "--nodes", "64",
        "--plot", tmp_path / "p.png", "--output", tmp_path / "p.nc",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.err == f"Wrote {tmp_path / 'p.nc'}\nWrote {tmp_path / 'p.png'}\n"
    head, *rows = ran.out.splitlines()
    assert re.split(r"  +", head.strip()) == ["x (nm)", "potential (mV)", "K (mM)", "Cl (mM)"]
    middle = next(row for row in rows if row.split()[:1] == ["2.5"])
    assert [float(v) for v in middle.split()] == pytest.approx([2.5, 50, 100, 100], rel=1e-4)  # by symmetry
    assert re.search(r"^current \d+\.\d+ pA \(K .*converged$", ran.out, re.MULTILINE)
    # L/(σ π a²) of the pore, 1/(4 σ a) of each access; GΩ of 5 nm and 1 nm, by their ratio
    pore, inside, outside = map(
        float, re.search(r"^resistance (\S+) GΩ .*, (\S+) of .*, (\S+) out", ran.out, re.M).groups()
    )
    assert [inside, outside] == pytest.approx([pore * np.pi / 20] * 2, rel=2e-3)
    assert matplotlib.image.imread(tmp_path / "p.png")[..., :3].std() > 0.01
    with xr.open_dataset(tmp_path / "p.nc", engine="h5netcdf") as dataset:
        for name, variable in dataset.variables.items():
            assert variable.attrs["long_name"], name
            assert "units" in variable.attrs or name in ("ion", "part")
        assert float(dataset["voltage"]) == 100.0
        assert dataset["concentration"].dims == ("x", "ion")


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
for argument in ("--help", "list"):
    sys.argv = ["pnp", argument]
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


# --- files in one piece -------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".json", ".nc"])
def test_failed_write_leaves_the_old_file_and_nothing_else(curve, suffix, tmp_path, monkeypatch):
    file = tmp_path / f"iv{suffix}"
    file.write_text("old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    if suffix == ".json":  # its text is made before the file; let the writing itself fail
        monkeypatch.setattr(pnp.io.tables, "write_whole", lambda path, write: write_whole(path, full))
    monkeypatch.setattr(pnp.io.tables, "as_csv", full)
    monkeypatch.setattr(pnp.io.datasets, "curve_dataset", full)
    ran = run(*CURVE, "--format", "json", "--output", file)
    assert ran.code == 2
    assert "No space left on device" in ran.err
    assert ran.out == curve.out  # the numbers are not lost with the file
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_half_written_file_never_takes_its_place(tmp_path):
    file = tmp_path / "result.txt"
    file.write_text("old")

    def stop_half_way(to):
        to.write_text("hal")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, stop_half_way)
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["result.txt"]


def test_written_file_replaces_the_old_one_with_usual_permissions(tmp_path):
    file, plain = tmp_path / "result.txt", tmp_path / "plain.txt"
    file.write_text("old")
    plain.write_text("")
    write_whole(file, lambda to: to.write_text("new"))
    assert file.read_text() == "new"
    assert file.stat().st_mode == plain.stat().st_mode
    assert sorted(f.name for f in tmp_path.iterdir()) == ["plain.txt", "result.txt"]


def test_unknown_suffix_is_refused_before_anything_is_written(tmp_path):
    curve = pnp.iv_curve(pnp.load("uncharged-cylinder"), np.array(VOLTAGES), discretization=pnp.Axial(64))
    with pytest.raises(ValueError, match=r"iv\.xls: .*\.nc, \.csv, \.json, not '\.xls'"):
        pnp.io.tables.write_curve(curve, tmp_path / "iv.xls")
    assert not list(tmp_path.iterdir())
