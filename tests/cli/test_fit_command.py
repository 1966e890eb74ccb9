"""`pnp fit`: what is printed, what is written, and the exit codes."""

import json

import numpy as np
import pytest

import pnp
import pnp.cli.fit
from pnp import theory
from tests.cli.command import run

VOLTAGE = np.linspace(-100, 100, 9)
FREE = ["--free", "permeability.K", "--free", "permeability.Cl", "--model", "ghk", "--starts", "4"]


def write(path, inside, outside, noise=0.01, header="V_mV,I_pA,I_sd_pA"):
    """A measurement of P_K = 0.4 and P_Cl = 0.1 nm³/ns in a constant field."""
    baths = np.full(2, inside), np.full(2, outside)
    current = theory.ghk_current(VOLTAGE[:, None], *baths, np.array([0.4, 0.1]), np.array([1, -1])).sum(-1)
    current = np.asarray(current) + noise * np.random.default_rng(int(inside)).normal(size=VOLTAGE.size)
    bath = {"inside": inside, "outside": outside}
    settings = [f"# {side}.{ion} = {c}" for side, c in bath.items() for ion in ("K", "Cl")]
    rows = [f"{v:g},{i:.6f},{noise}" for v, i in zip(VOLTAGE, current, strict=True)]
    path.write_text("\n".join([*settings, header, *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [write(folder / "a.csv", 100.0, 100.0), write(folder / "b.csv", 300.0, 100.0)]


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    """A fit of permeabilities, with a record and a picture."""
    folder = tmp_path_factory.mktemp("fit")
    ran = run("fit", "ompf", *data, *FREE, "--output", folder / "fit.json", "--plot", folder / "fit.png", "--profile")
    ran.folder = folder
    return ran


def test_the_table_has_values_intervals_and_ratios(fitted):
    assert fitted.code == 0
    row = next(line for line in fitted.out.splitlines() if line.startswith("permeability.K"))
    value, low, high = map(float, row.split()[1:4])
    assert low < 0.4 < high
    assert low < value < high
    assert "nm³/ns" in row
    assert "permeability ratio" in fitted.out
    assert "Cl/K" in fitted.out
    assert "16 degrees of freedom" in fitted.out
    assert "profile from" in fitted.out
    assert "correlation" in fitted.out


def test_the_record_and_the_picture_are_written(fitted):
    record = json.loads((fitted.folder / "fit.json").read_text())
    assert record["status"] == "converged"
    assert record["parameters"]["permeability.K"]["low"] < 0.4 < record["parameters"]["permeability.K"]["high"]
    assert (fitted.folder / "fit.png").stat().st_size > 10_000
    assert not (fitted.folder / "fit.toml").exists()  # permeabilities are no channel
    assert "Wrote" in fitted.err


def test_json_is_all_there_is_on_stdout(data):
    ran = run("fit", "ompf", *data, *FREE, "--format", "json")
    assert json.loads(ran.out)["dof"] == 16


def test_baths_can_be_given_beside_the_file(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text(write(path, 300.0, 100.0).read_text().split("\n", 4)[4])
    beside = f"{path}@inside.K=300,inside.Cl=300,outside.K=100,outside.Cl=100"
    ran = run("fit", "ompf", beside, *FREE, "--format", "json")
    assert json.loads(ran.out)["probability"] > 0.01


def test_what_can_be_fitted_is_listed():
    listed = run("fit", "ompf", "--list")
    assert listed.code == 0
    assert "pore.charge.0.density" in listed.out
    assert "pore.radius.scale" in listed.out
    assert "permeability.Cl/K" in run("fit", "ompf", "--model", "ghk", "--list").out


def test_ties_bounds_and_numbers_of_each_set(data):
    free = ["--free", "permeability.K=0.01:10", "--each", "channels=0.1:10"]
    tie = ["--tie", "permeability.Cl=0.25*permeability.K"]
    ran = run("fit", "ompf", *data, *free, *tie, "--model", "ghk", "--starts", "2", "--format", "json")
    record = json.loads(ran.out)
    assert set(record["parameters"]) == {"permeability.K", "channels@a", "channels@b"}
    assert record["parameters"]["permeability.K"]["low"] is None
    assert any("apart" in w for w in record["warnings"])
    assert "Warning: the data do not tell" in ran.err


BAD = {
    "nothing free": ([], "nothing is free"),
    "no such number": (["--free", "pore.charge.0.amuont"], "did you mean pore.charge.0"),
    "bounds exclude the start": (["--free", "pore.charge.0.density=1:2"], "which its bounds, 1 to 2 M, exclude"),
    "bounds without a colon": (["--free", "pore.charge.0.density=1"], "expects PATH or PATH=LOW:HIGH"),
    "bounds of another kind": (["--free", "pore.charge.0.density=1 nm:2 nm"], "is not a fixed volume charge"),
    "tie to what is not free": (
        ["--free", "channels", "--tie", "pore.pmf.Cl=pore.pmf.K"],
        "pore.pmf.K is not free",
    ),
    "tie without a path": (["--free", "channels", "--tie", "pore.permittivity"], "--tie expects"),
    "unknown model": (["--free", "channels", "--model", "hh"], "--model must be pnp or ghk"),
    "csv": (["--free", "channels", "--format", "csv"], "printed as table or json"),
    "record of another kind": (["--free", "channels", "--output", "fit.txt"], "must end in .json"),
    "no record to go on from": (["--free", "channels", "--resume", "none.json"], "cannot be read"),
    "robust": (["--free", "channels", "--robust", "0"], "must be positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_say_what_is_wrong(case, data):
    options, message = BAD[case]
    ran = run("fit", "ompf", *data, *options)
    assert ran.code == 2
    assert message in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("V_mV,I_pA\n0,1\n10,nan\n20,3\n", "line 3"),
        ("V_mV,I_pA\n0,1\n20,2\n10,3\n", "line 4"),
        ("V_mV,I_pA\n0,1\n10,2\n10,3\n", "line 4"),
        ("V_mV,I_pA\n-0.1,1\n0,2\n0.1,3\n", "volts"),
        ("V_mV,I_pA\n-100,-1e-12\n0,0\n100,1e-12\n", "amperes"),
        ("V_mV,I_pA\n-100,-1\n", "at least 2"),
        ("0,1\n10,2\n", "line 1: has numbers where the columns must be named"),
        ("# inside.Q = 3\nV_mV,I_pA\n-100,-1\n100,1\n", "no such ion"),
        ("# outside.K = 3\nV_mV,I_pA\n-100,-1\n100,1\n", "not electroneutral"),
    ],
)
def test_bad_data_are_named(tmp_path, rows, message):
    (tmp_path / "bad.csv").write_text(rows)
    ran = run("fit", "ompf", tmp_path / "bad.csv", *FREE)
    assert ran.code == 2
    assert message in ran.err
    assert "bad" in ran.err


def test_too_few_points_for_what_is_free(tmp_path):
    (tmp_path / "few.csv").write_text("V_mV,I_pA\n-100,-1\n100,1\n")
    ran = run("fit", "ompf", tmp_path / "few.csv", *FREE)
    assert ran.code == 2
    assert "2 measured values are too few for 2 free numbers" in ran.err


def test_no_data(tmp_path):
    assert "there are no data" in run("fit", "ompf", *FREE).err
    assert run("fit", "ompf", tmp_path / "none.csv", *FREE).code == 2


def test_interrupted_it_keeps_what_it_has_and_can_be_gone_on_with(data, tmp_path, monkeypatch):
    original = pnp.fit.fit

    def interrupted(*args, report, **rest):
        def cut(problem, run):
            report(problem, run)
            if run.evaluations.max() == 3:
                raise KeyboardInterrupt

        return original(*args, report=cut, **rest)

    monkeypatch.setattr(pnp.fit, "fit", interrupted)
    monkeypatch.setattr(pnp.cli.fit, "CHECKPOINT", 0.0)
    ran = run("fit", "ompf", *data, *FREE, "--output", tmp_path / "fit.json")
    assert ran.code == 130
    assert "--resume" in ran.err
    cut = json.loads((tmp_path / "fit.json").read_text())
    assert cut["status"] == "interrupted"
    monkeypatch.setattr(pnp.fit, "fit", original)
    ran = run("fit", "ompf", *data, *FREE, "--resume", tmp_path / "fit.json", "--output", tmp_path / "fit.json")
    assert ran.code == 0
    done = json.loads((tmp_path / "fit.json").read_text())
    assert done["status"] == "converged"
    assert done["chi2"] < cut["chi2"]
    assert len(done["starts"]) == len(cut["starts"])


def test_interrupted_after_the_fit_it_still_has_the_fit(data, tmp_path, monkeypatch):
    def interrupt(*args, **rest):
        raise KeyboardInterrupt

    monkeypatch.setattr("pnp.fit.estimate.profile_likelihood.profile", interrupt)
    ran = run("fit", "ompf", *data, *FREE, "--profile", "--output", tmp_path / "fit.json")
    assert ran.code == 130
    assert json.loads((tmp_path / "fit.json").read_text())["status"] == "converged"
    assert "permeability.K" in ran.out


def test_a_recording_is_fitted_as_a_table_is(tmp_path):
    writer = pytest.importorskip("pyabf.abfWriter")
    command = np.array([-80.0, -40.0, 40.0, 80.0])
    baths = np.full(2, 150.0), np.full(2, 150.0)
    current = theory.ghk_current(command[:, None], *baths, np.array([0.4, 0.1]), np.array([1, -1])).sum(-1)
    noise = np.random.default_rng(0).normal(size=(4, 4000))
    writer.writeABF1(np.asarray(current)[:, None] + noise, str(tmp_path / "cell.abf"), sampleRateHz=20_000, units="pA")
    bath = ",".join(f"{side}.{ion}=150" for side in ("inside", "outside") for ion in ("K", "Cl"))
    source = f"{tmp_path / 'cell.abf'}@window=0.05:0.2,command=-80:-40:40:80,{bath}"
    ran = run("fit", "ompf", source, "--free", "permeability.K", "--tie", "permeability.Cl=0.25*permeability.K",
              "--model", "ghk", "--format", "json")  # fmt: skip
    record = json.loads(ran.out)
    fitted = record["parameters"]["permeability.K"]
    assert fitted["low"] < 0.4 < fitted["high"]
    assert fitted["std"] < 0.002
    assert "mean of 0.05 to 0.2 s" in record["data"][0]["corrections"][0]


def test_a_fit_that_did_not_converge_is_exit_code_3(data, monkeypatch):
    from pnp.fit.estimate import fit as fitting

    monkeypatch.setattr(fitting, "_MAX_EVALUATIONS", 1)
    monkeypatch.setattr(fitting, "_MAX_REFINEMENTS", 1)
    ran = run("fit", "ompf", *data, *FREE)
    assert ran.code == 3
    assert "did not converge" in ran.err


@pytest.mark.slow
def test_a_channel_is_fitted_and_written(data, tmp_path):
    out = tmp_path / "fit.json"
    ran = run(
        "fit", "ompf", *data, "--free", "pore.diffusivity.K", "--free", "pore.charge.0.density", "--starts", "2",
        "--nodes", "64", "--output", out, "--plot", tmp_path / "fit.png", "--compare",
    )  # fmt: skip
    assert ran.code == 0
    assert "constant field" in ran.out
    record = json.loads(out.read_text())
    assert record["constant_field"]["dof"] == 16
    channel = pnp.load(out.with_suffix(".toml"))
    value = record["parameters"]["pore.diffusivity.K"]["value"]
    assert float(channel.pore.diffusivity["K"].value) == pytest.approx(value)
