"""`pnp iv`: what goes to stdout, to stderr and into files, and the observables of a curve."""

import csv
import io
import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import pnp
import pnp.analysis.steady
import pnp.cli.terminal
import pnp.io.datasets
import pnp.io.tables
from pnp import units
from pnp.io.atomic_write import write_whole
from pnp.plot import plot_iv
from tests.cli.command import run

# One channel, number of voltages and mesh throughout: one compiled program serves all tests.
CURVE = ["iv", "uncharged-cylinder", "--voltages", "-100:100:5", "--nodes", "64"]
VOLTAGES = [-100.0, -50.0, 0.0, 50.0, 100.0]
MESH = pnp.Axial(64)
KEYS = (
    "channel voltage_mV current_pA ion_current_pA reversal_potential_mV conductance_nS largest_voltage_mV "
    "rectification selectivity status conservation_error discretization_error"
)


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def channel():
    return pnp.load("uncharged-cylinder")


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    """`pnp iv` as JSON, with a netCDF file and a picture."""
    folder = tmp_path_factory.mktemp("iv")
    ran = run(*CURVE, "--format", "json", "--output", folder / "x.nc", "--plot", folder / "x.png")
    ran.folder = folder
    return ran


# --- output ---------------------------------------------------------------------------------------


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
        assert dict(dataset.sizes) == {"voltage": 5, "ion": 2, "mesh": 3}
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
def unconverged_points(monkeypatch):
    """The curve as the solver gives it when it finds no state at −100 and 50 mV."""
    real = pnp.analysis.steady.iv_curve

    def with_gaps(*args, **options):
        curve = real(*args, **options)
        missing = np.isin(np.asarray(curve.voltage), [-100, 50])
        numbers = lambda c: (c.current, c.conservation_error, c.discretization_error, c.slope)
        gap = lambda values: np.where(missing, np.nan, values)
        curve = eqx.tree_at(numbers, curve, tuple(map(gap, numbers(curve))))
        ions = np.where(missing[:, None], np.nan, curve.ion_current)
        status = np.where(missing, int(pnp.Status.NOT_CONVERGED), curve.status)
        return eqx.tree_at(lambda c: (c.ion_current, c.status), curve, (ions, status))

    monkeypatch.setattr(pnp.analysis.steady, "iv_curve", with_gaps)


@pytest.mark.usefixtures("unconverged_points")
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


@pytest.mark.usefixtures("unconverged_points")
def test_unconverged_point_is_a_dash_in_the_table():
    ran = run(*CURVE)
    assert ran.code == 3
    assert re.search(r"^ *-100 +— +— +— +not converged +— +—$", ran.out, re.MULTILINE)


# --- axisymmetric curves ------------------------------------------------------------------------


@pytest.fixture
def solved(monkeypatch):
    """Voltages of each call of the solver for an axisymmetric curve.

    It solves axial equations, five voltages at a time, by the program of the other tests.
    """
    real, voltages = pnp.analysis.steady._solve_curve, []

    def recorded(discretized, voltage, settings, guess):
        voltages.append(voltage.tolist())
        found, _ = real(discretized, jnp.resize(voltage, len(VOLTAGES)), settings, guess)
        return jax.tree.map(lambda leaf: leaf[: voltage.size], found), None

    monkeypatch.setattr(pnp.Axisymmetric, "discretize", lambda _, channel: MESH.discretize(channel))
    monkeypatch.setattr(pnp.analysis.steady, "_solve_curve", recorded)
    return voltages


def test_axisymmetric_curve_is_solved_voltage_by_voltage(solved, tmp_path):
    ran = run("iv", "uncharged-cylinder", "--dimension", 2, "--format", "csv", "--output", tmp_path / "x.nc")
    assert ran.code == 0
    assert solved == [[v] for v in range(-200, 201, 40)]
    assert [float(row.split(",")[0]) for row in ran.out.splitlines()[1:]] == list(range(-200, 201, 40))
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        assert [dataset.attrs[name] for name in ("dimension", "nodes", "resolution")] == [2, 400, 1.0]


def test_interrupted_axisymmetric_curve_keeps_what_is_done(solved, channel, monkeypatch):
    def interrupt(*_):
        if len(solved) == 2:
            raise KeyboardInterrupt

    curve = pnp.iv_curve(channel, [-50.0, 50.0, 100.0], discretization=pnp.Axisymmetric(), progress=interrupt)
    assert curve.voltage.tolist() == [-50.0, 50.0]
    assert curve.ion_current.shape == (2, 2)
    assert curve.slope.shape == (2,)
    solved.clear()
    monkeypatch.setattr(pnp.cli.terminal.Progress, "advance", interrupt)
    ran = run("iv", "uncharged-cylinder", "--dimension", 2, "--format", "csv", "--voltages", "-50,50,100")
    assert ran.code == 130
    assert "2 of 3 voltages are done" in ran.err
    assert [row.split(",")[0] for row in ran.out.splitlines()[1:]] == ["-50.0", "50.0"]


# --- files -------------------------------------------------------------------------------------


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


def test_unknown_suffix_is_refused_before_anything_is_written(channel, tmp_path):
    curve = pnp.iv_curve(channel, VOLTAGES, discretization=MESH)
    with pytest.raises(ValueError, match=r"iv\.xls: .*\.nc, \.csv, \.json, not '\.xls'"):
        pnp.io.tables.write_curve(curve, tmp_path / "iv.xls")
    assert not list(tmp_path.iterdir())


# --- observables --------------------------------------------------------------------------------


@pytest.fixture
def by_hand(channel):
    """A curve with other currents than the solver's, to show that points of the curve are used."""
    curve = pnp.iv_curve(channel, VOLTAGES, discretization=MESH)
    ions = jnp.array([[-3.0, -1.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [9.0, -1.0]])
    return eqx.tree_at(lambda c: (c.ion_current, c.current), curve, (ions, ions.sum(1)))


def test_rectification_by_hand(by_hand):
    assert by_hand.rectification(100) == pytest.approx(8 / 4)
    assert by_hand.rectification(-100) == pytest.approx(4 / 8)
    assert np.isnan(by_hand.rectification(0))
    assert by_hand.rectification(75) == pytest.approx(1, rel=1e-9)  # solved for, and the pore is symmetric


def test_selectivity_by_hand(by_hand, channel):
    assert by_hand.selectivity(-100) == pytest.approx((3 - 1) / (3 + 1))
    assert by_hand.selectivity(100) == pytest.approx((9 - 1) / (9 + 1))  # an influx of anions against the current
    assert np.isnan(by_hand.selectivity(0))
    # Without charges ions carry in proportion to their diffusivities.
    potassium, chloride = (float(channel.ions[k].diffusivity) for k in ("K", "Cl"))
    expected = (potassium - chloride) / (potassium + chloride)
    assert by_hand.selectivity(75) == pytest.approx(expected, rel=1e-4)


def test_curve_beside_the_axial_one(by_hand):
    ax = plot_iv(by_hand, axial=by_hand)
    assert "total, one dimension" in [text.get_text() for text in ax.get_legend().get_texts()]
