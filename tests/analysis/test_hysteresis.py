"""Sweeps and branches: of a membrane that has three steady states, and of pores that have one."""

import csv
import io
import json

import jax
import matplotlib.image
import numpy as np
import pytest
from typer.testing import CliRunner

import pnp
import pnp.analysis.hysteresis
import pnp.cli.app
from pnp.settings import Status
from pnp.solver.arclength import Pace

CHARGE = np.array([-0.02, 1.5, -1.2, 2.0])  # M
THICKNESS = np.array([90.0, 45.0, 15.0, 50.0])  # nm
SALT, DIFFUSIVITY = 50.0, 2.0
VOLTAGES = np.array([250.0, 0.0, 500.0, 50.0, 100.0, 150.0, 200.0, 300.0, 350.0, 450.0])
NODES = 200


def four_layers(scale=1.0, charge=CHARGE, inside=SALT):
    """Four layers of alternating fixed charge between equal baths, as in a thyristor: forward, blocked, forward.

    Multiple steady states of such membranes: Rubinstein (1987), SIAM J. Appl. Math. 47:1076. The numbers are ours.
    """
    return pnp.Channel.from_profiles(
        np.repeat(np.cumsum([0.0, *(scale * THICKNESS)]), 2)[1:-1],
        area=1.0,
        fixed_charge=np.repeat(charge, 2),
        permittivity=78.0,
        ions={"K": pnp.Ion(1, DIFFUSIVITY), "Cl": pnp.Ion(-1, DIFFUSIVITY)},
        inside={"K": inside, "Cl": inside},
        outside={"K": SALT, "Cl": SALT},
    )


@pytest.fixture(scope="module")
def layers():
    return four_layers()


@pytest.fixture(scope="module")
def swept(layers):
    return pnp.hysteresis(layers, VOLTAGES, discretization=pnp.Axial(NODES))


@pytest.fixture(scope="module")
def branch(layers):
    return pnp.trace(layers, 0.0, 500.0, discretization=pnp.Axial(NODES))


@pytest.fixture(scope="module")
def simple():
    """A pore with one steady state, of the same structure, so that the same programs serve it: a branch and its I–V."""
    channel = four_layers(0.02, charge=np.array([0.0, -1.0, -1.0, 0.0]), inside=300.0)
    seen = []
    branch = pnp.trace(channel, -150.0, 200.0, discretization=pnp.Axial(NODES), progress=seen.append)
    assert seen == branch.voltage[1:].tolist()
    return channel, branch, pnp.iv_curve(channel, branch.voltage, discretization=pnp.Axial(NODES))


# --- sweeps -------------------------------------------------------------------------------------


def test_the_ways_up_and_down_differ_between_the_folds_and_only_there(swept, branch):
    (upper, _), (lower, _) = branch.folds
    between = (lower < VOLTAGES) & (upper > VOLTAGES)
    assert between.sum() == 4
    np.testing.assert_array_equal(swept.multistable, between)
    np.testing.assert_array_equal(swept.up.voltage, VOLTAGES)
    for way in (swept.up, swept.down):
        assert np.all((way.status == Status.MULTIPLE_SOLUTIONS) == between)
        assert np.max(way.conservation_error) < 1e-9
    assert np.all(swept.relative_difference[between] > 0.85)
    assert np.all(swept.relative_difference[~between] < 1e-9)
    assert "pnp.trace" in swept.up.messages()[0]
    assert swept.converged.all()


def test_up_is_the_first_current_of_the_branch_and_down_the_last(swept, branch):
    for i, voltage in enumerate(VOLTAGES):
        found = branch.currents_at(voltage)
        assert len(found) == (3 if swept.multistable[i] else 1)
        ways = [way.mesh_current[i, -1] for way in (swept.up, swept.down)]
        np.testing.assert_allclose(ways, found[[0, -1]], rtol=1e-9, atol=1e-12)


def test_difference_is_relative_to_the_greater_current(swept):
    i = int(np.flatnonzero(VOLTAGES == 250)[0])
    up, down = swept.up.current[i], swept.down.current[i]
    assert down > 15 * up
    assert swept.relative_difference[i] == pytest.approx((down - up) / down, rel=1e-12)


def test_a_step_that_fails_is_walked_from_the_voltage_before(layers, swept):
    """From the uncharged pore the walk to 200 mV ends on the lower branch; the sweep down stays on the upper one."""
    walked = pnp.Settings(skip_continuation=0.0)
    voltages = np.array([500.0, 350.0, 300.0, 200.0, 0.0])
    again = pnp.hysteresis(layers, voltages, discretization=pnp.Axial(NODES), settings=walked)
    known = [int(np.flatnonzero(v == VOLTAGES)[0]) for v in voltages]
    np.testing.assert_allclose(again.down.current, swept.down.current[known], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(again.up.current, swept.up.current[known], rtol=1e-8, atol=1e-12)
    afresh = pnp.hysteresis(layers, voltages[3:4], discretization=pnp.Axial(NODES), settings=walked)
    np.testing.assert_allclose(afresh.down.current, again.up.current[3], rtol=1e-8)
    assert afresh.down.iterations[0] > 1.3 * again.down.iterations[3]


def test_where_a_branch_ends_the_point_is_solved_afresh(layers, swept, monkeypatch):
    """The way up is told at 200 mV that its branch has ended there; the way down, at 300 mV then, goes on."""
    real, calls = pnp.analysis.hysteresis._step, []

    def ending(discretized, before, at, settings):
        point, after, followed = real(discretized, before, at, settings)
        calls.append(float(at[0]))
        if calls.count(200.0) == 1 and at[0] == 200.0:
            lost = lambda values: values.at[0].set(-1)
            return jax.tree.map(lost, point), jax.tree.map(lost, after), followed.at[0].set(False)
        return point, after, followed

    monkeypatch.setattr(pnp.analysis.hysteresis, "_step", ending)
    again = pnp.hysteresis(layers, VOLTAGES, discretization=pnp.Axial(NODES))
    assert calls.count(200.0) == 2
    assert len(calls) == 22
    np.testing.assert_allclose(again.up.current, swept.up.current, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(again.down.current, swept.down.current, rtol=1e-12, atol=1e-15)


def test_sweeps_of_a_pore_with_one_state_agree_with_its_curve(simple):
    channel, _, curve = simple
    done = []
    swept = pnp.hysteresis(channel, curve.voltage, discretization=pnp.Axial(NODES), progress=done.append)
    assert done == [1] * curve.voltage.size
    assert not swept.multistable.any()
    np.testing.assert_array_equal(swept.up.status, curve.status)
    assert np.max(swept.relative_difference) < 1e-11
    np.testing.assert_allclose(swept.up.current, curve.current, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(swept.down.discretization_error, curve.discretization_error, rtol=1e-5, atol=1e-9)


def test_errors_of_the_mesh_are_not_several_solutions(swept):
    """The same currents, if the meshes of each differed by as much as the ways do."""
    doubtful = lambda c: c.__class__(**{**vars(c), "mesh_current": 0.5 * c.current[:, None] * np.ones(3)})
    compared = pnp.analysis.hysteresis._compared(
        swept.channel, pnp.Axial(NODES), doubtful(swept.up), doubtful(swept.down), 1e-3
    )
    assert not compared.multistable.any()


@pytest.mark.parametrize("voltages", [[], 100.0, [[0.0, 1.0]]])
def test_voltages_must_be_a_list(charged, voltages):
    with pytest.raises(ValueError, match="voltages must be a list"):
        pnp.hysteresis(charged, voltages)


# --- branches -----------------------------------------------------------------------------------


def test_points_of_a_branch_carry_their_errors(branch):
    assert branch.complete
    assert "it has arrived" in branch.message
    assert np.max(branch.conservation_error) < 1e-9
    assert np.isfinite(branch.discretization_error).all()
    np.testing.assert_allclose(branch.ion_current.sum(1), branch.current, rtol=1e-12, atol=1e-15)
    coarse = (branch.discretization_error > 0.01 / 3) | (branch.voltage_error > 0.01 / 3 * 25.69)
    np.testing.assert_array_equal(branch.status == Status.MESH_TOO_COARSE, coarse)


def test_folds_converge_with_the_mesh_as_the_voltage_error_says(layers, branch):
    """Second order: the error falls to a quarter, and the estimate is the distance to the extrapolated fold."""
    finer = pnp.trace(layers, 0.0, 500.0, discretization=pnp.Axial(2 * NODES))
    fold = lambda b: b.folds[0, 0]
    moved = fold(finer) - fold(branch)
    at_fold = int(np.flatnonzero(finer.voltage == fold(finer))[0])
    assert finer.voltage_error[at_fold] == pytest.approx(abs(moved) / 3, rel=1e-3)
    assert abs(moved) < 20
    lower = branch.folds[1, 0], finer.folds[1, 0]
    assert abs(lower[1] - lower[0]) < 0.5


def test_branch_is_the_same_backwards(layers, branch):
    back = pnp.trace(layers, 500.0, 0.0, discretization=pnp.Axial(NODES))
    np.testing.assert_allclose(back.folds[::-1, 0], branch.folds[:, 0], rtol=1e-7)
    np.testing.assert_allclose(back.folds[::-1, 1], branch.folds[:, 1], rtol=1e-3)  # where V is stationary
    np.testing.assert_allclose(back.currents_at(250.0)[::-1], branch.currents_at(250.0), rtol=1e-9)


def test_branch_of_a_pore_with_one_state_is_its_curve(simple):
    _, branch, curve = simple
    assert branch.folds.shape == (0, 2)
    assert branch.voltage[-1] == pytest.approx(200, abs=1e-6)
    np.testing.assert_allclose(branch.current, curve.mesh_current[:, -1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(branch.ion_current.sum(1), branch.current, rtol=1e-9, atol=1e-12)
    # Round-off, over a current that is small near 0 mV: of both the same size, which depends on JAX's version.
    assert 0 < branch.conservation_error.max() < 1e-9
    assert 0 < curve.conservation_error.max() < 1e-9


def test_the_upper_branch_is_that_of_electroneutral_layers(branch):
    """An independent calculation; the departure from it is that of thin double layers, inversely as the thickness."""
    thin = pnp.iv_curve(
        four_layers(0.5), [neutral_voltage(current) for current in (5.0, 8.0)], discretization=pnp.Axial(NODES)
    )
    for current, half in zip((5.0, 8.0), thin.current, strict=True):
        departure = branch.currents_at(neutral_voltage(current)).max() / current - 1
        assert abs(departure) < 0.05
        assert 1.9 < (0.5 * float(half) / current - 1) / departure < 2.1


def neutral_voltage(current):
    """Voltage (mV) at a current (pA) through electroneutral layers of area 1 nm².

    With s = c₊ + c₋, q the fixed charge, a and b sum and difference of the fluxes over D: s' = −a − q b / s and
    phi' = −b / s inside a layer; s² − q² and mu are continuous between layers (Rubinstein, 1987). a is such that both
    baths are met.
    """
    b = current / (96.485 * DIFFUSIVITY)
    bath = (2 * SALT / 1e3) ** 2
    low, high = -20 * b, 20 * b
    for _ in range(7):
        a = np.linspace(low, high, 101)
        square, drop = np.full_like(a, bath), np.zeros_like(a)
        for q, width in zip(CHARGE, THICKNESS, strict=True):
            s, h = np.sqrt(square + q**2), width / 300
            drop -= np.arcsinh(q / np.sqrt(square))
            for _ in range(300):
                k1 = -a - q * b / s
                k2 = -a - q * b / (s + h / 2 * k1)
                k3 = -a - q * b / (s + h / 2 * k2)
                new = s + h / 6 * (k1 + 2 * k2 + 2 * k3 - a - q * b / (s + h * k3))
                drop += h * b * (1 / s + 1 / new) / 2
                s = np.where(new > abs(q), new, np.nan)  # all is depleted before the bath is reached: a is too large
            square = s**2 - q**2
            drop += np.arcsinh(q / np.sqrt(square))
        last = int(np.flatnonzero(square > bath)[-1])
        low, high = a[last], a[last + 1]
    return drop[last] * 25.693


def test_a_branch_that_cannot_be_followed_is_said_so(layers):
    few_iterations = Pace(shortest=0.2)
    with pytest.raises(pnp.ConvergenceError, match="no step from there is short enough"):
        pnp.trace(layers, 0.0, 500.0, discretization=pnp.Axial(NODES), pace=few_iterations)
    part = pnp.trace(layers, 0.0, 500.0, discretization=pnp.Axial(NODES), pace=few_iterations, throw=False)
    assert not part.complete
    assert 0 < part.voltage[-1] < 500
    assert f"{part.voltage[-1]:g} mV" in part.message


@pytest.mark.parametrize("ends", [(100.0, 100.0), (0.0, np.inf), (np.nan, 1.0)])
def test_a_trace_goes_somewhere(charged, ends):
    with pytest.raises(ValueError, match="from one voltage to another"):
        pnp.trace(charged, *ends)


# --- files and the command line -----------------------------------------------------------------


@pytest.fixture
def commanded(swept, monkeypatch):
    """`pnp iv --hysteresis` with the sweep above as its result, and what it asked for."""
    asked = []

    def sweep(channel, voltages, *, discretization, progress):
        asked.append((channel.name, list(voltages), discretization.nodes))
        return swept

    monkeypatch.setattr(pnp.analysis.hysteresis, "hysteresis", sweep)

    def run(*arguments):
        command = ["iv", "uncharged-cylinder", "--voltages", "0:450:10", "--nodes", "64", "--hysteresis"]
        return CliRunner().invoke(pnp.cli.app.app, [*command, *map(str, arguments)])

    return run, asked


def test_table_shows_both_ways_and_warns(commanded, swept):
    run, asked = commanded
    ran = run()
    assert ran.exit_code == 0
    assert asked == [("uncharged-cylinder", np.linspace(0, 450, 10).tolist(), 64)]
    head, *rows = (line.split() for line in ran.stdout.splitlines())
    assert head[:8] == ["V", "(mV)", "I", "up", "(pA)", "I", "down", "(pA)"]
    assert len(rows) == VOLTAGES.size
    numbers = np.array([[float(cell) for cell in row[:4]] for row in rows])
    columns = [swept.voltage, swept.up.current, swept.down.current]
    np.testing.assert_allclose(numbers[:, :3], np.stack(columns, 1), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(numbers[:, 3], swept.relative_difference, rtol=0.1, atol=1e-12)
    assert "Warning: at 250, 200, 300, 350 mV: converged, but not to the only steady state" in ran.stderr


def test_json_and_csv_have_both_ways(commanded, swept, tmp_path):
    run, _ = commanded
    ran = run("--format", "json", "--output", tmp_path / "iv.csv", "--plot", tmp_path / "iv.png")
    record = json.loads(ran.stdout, parse_constant=pytest.fail)
    assert list(record) == ["channel", "voltage_mV", "up", "down", "relative_difference", "multistable"]
    for name, way in (("up", swept.up), ("down", swept.down)):
        assert record[name]["current_pA"] == way.current.tolist()
        assert record[name]["status"][0] == "multiple_solutions"
    assert record["multistable"] == swept.multistable.tolist()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "iv.csv").read_text("utf-8"))))
    assert [row["direction"] for row in rows] == ["up"] * VOLTAGES.size + ["down"] * VOLTAGES.size
    assert [float(row["I_pA"]) for row in rows] == [*swept.up.current, *swept.down.current]
    assert [float(row["relative_difference"]) for row in rows] == 2 * swept.relative_difference.tolist()
    assert matplotlib.image.imread(tmp_path / "iv.png")[..., :3].std() > 0.01


def test_dataset_is_labelled(swept):
    dataset = swept.to_xarray()
    assert dict(dataset.sizes) == {"direction": 2, "voltage": VOLTAGES.size, "ion": 2, "mesh": 3}
    for name, variable in dataset.variables.items():
        assert variable.attrs["long_name"], name
        assert "units" in variable.attrs or name in ("ion", "direction")
    np.testing.assert_array_equal(dataset["current"].sel(direction="down"), swept.down.current)
    flags = dict(
        zip(dataset["status"].attrs["flag_meanings"].split(), dataset["status"].attrs["flag_values"], strict=True)
    )
    assert dataset["status"].values[0, 0] == flags["multiple_solutions"]
    assert dataset.attrs["nodes"] == NODES


def test_interrupted_sweep_has_no_result(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pnp.analysis.hysteresis, "hysteresis", interrupted)
    ran = CliRunner().invoke(pnp.cli.app.app, ["iv", "uncharged-cylinder", "--hysteresis"])
    assert (ran.exit_code, ran.stdout) == (130, "")
    assert "interrupted" in ran.stderr


def test_sweep_is_all_arrays_of_numpy(swept):
    assert all(
        isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves((swept.up, swept.down, swept.relative_difference))
    )
