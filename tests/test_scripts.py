"""The benchmark's baselines solve the problem they claim to solve, and its command line answers."""

import subprocess
import sys
from pathlib import Path

import baseline_bvp
import baseline_numpy
import charged_pore
import numpy as np
import programs
import pytest
from workers import Worker

SCRIPTS = Path(__file__).parent.parent / "scripts"
VOLTAGES = charged_pore.voltages(5)
ELEMENTS = 80


@pytest.fixture(scope="module")
def reference():
    return baseline_bvp.reference(VOLTAGES)


def test_numpy_converges_to_solve_bvp_at_second_order(reference):
    errors = [
        charged_pore.current_error(baseline_numpy.iv_curve(VOLTAGES, n)[0], reference)
        for n in (ELEMENTS, 2 * ELEMENTS, 4 * ELEMENTS)
    ]
    assert np.allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.02)
    assert errors[-1] < 5e-6


def test_extrapolation_gains_two_orders(reference):
    program = programs.numpy_curve(VOLTAGES, ELEMENTS, extrapolate=True)
    assert charged_pore.current_error(program.run()[0], reference) < 5e-6


def test_scripts_of_solve_bvp_agree(reference):
    for script in baseline_bvp.SCRIPTS.values():
        assert charged_pore.current_error(script(VOLTAGES, 1e-5)[0], reference) < 1e-6


@pytest.mark.slow
def test_numba_takes_the_same_steps_to_the_same_currents():
    pytest.importorskip("numba")
    import baseline_numba

    current, steps = baseline_numba.iv_curve(VOLTAGES, ELEMENTS)
    expected, expected_steps = baseline_numpy.iv_curve(VOLTAGES, ELEMENTS)
    assert np.allclose(current, expected, rtol=1e-11)
    assert np.array_equal(steps, expected_steps)


def test_pnp_solves_the_same_problem(reference):
    program = programs.pnp_curve(VOLTAGES, ELEMENTS)
    found = program.outcome(program.run())
    assert charged_pore.current_error(found["fine"], reference) < 2e-4
    assert charged_pore.current_error(found["current"], reference) < 1e-5


def test_a_failed_solve_is_reported_from_its_process():
    with Worker(cores=1) as worker, pytest.raises(charged_pore.FailedError, match="not converged"):
        worker.prepare("numpy_curve", np.nan * VOLTAGES, ELEMENTS, False)


def test_a_process_has_the_cores_that_it_is_given():
    with Worker(cores=1) as worker:
        found = worker.prepare("numpy_curve", VOLTAGES, ELEMENTS, False)
        assert found["current"].shape == VOLTAGES.shape
        # no upper bound: a process starts with the peak of its parent, here of tests
        assert float(found["peak"]) > 20
        assert min(worker.turn(found["key"], 0.01)) > 0


def imported(name):
    """What `name --help` prints, and the modules that it imports."""
    script = [sys.executable, "-X", "importtime", SCRIPTS / name, "--help"]
    shown = subprocess.run(script, capture_output=True, text=True, check=True)
    return shown.stdout, {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}


def test_help_answers_without_heavy_imports():
    text, modules = imported("benchmark.py")
    assert "--quick" in text
    assert "argparse" in modules
    assert not modules & {"numpy", "jax", "pnp"}


@pytest.mark.parametrize("name", ["benchmark_fit.py", "fit_coverage.py"])
def test_scripts_of_fits_answer_without_heavy_imports(name):
    text, modules = imported(name)
    assert "starts" in text or "replicas" in text
    assert "jax" not in modules


@pytest.mark.slow
def test_the_script_of_coverage_counts():
    """With few replicas, which may miss the tolerance: what matters is that the table is there and is no nonsense."""
    small = [sys.executable, SCRIPTS / "fit_coverage.py", "--replicas", "40", "--nodes", "48"]
    shown = subprocess.run(small, capture_output=True, text=True, check=False)
    rows = [line.split() for line in shown.stdout.splitlines() if line.startswith("pore.")]
    assert len(rows) == 3
    assert all(80 < float(share) <= 100 for row in rows for share in (row[3], row[5]))
    assert float(shown.stdout.split("mean chi2 ")[1].split(",")[0]) == pytest.approx(30, abs=5)
