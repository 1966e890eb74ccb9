"""When compiled loops are used: the switch, the layout of XLA's structures, and laws without a translation."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.linalg._cpu import xla_ffi
from pnp.linalg.dispatch import why_no_compiled_loops
from pnp.linalg.pointwise import map_pointwise
from tests.conftest import make_charged

if why_no_compiled_loops() is not None:
    pytest.skip("there are no compiled loops", allow_module_level=True)


@pytest.fixture
def undecided(monkeypatch):
    """As if it had not been looked at yet whether there are compiled loops."""
    monkeypatch.setattr(xla_ffi, "_unavailable", xla_ffi._unavailable.__wrapped__)


def lowered(law, shape=(3, 4)):
    """The program of a law at places of that shape."""
    return jax.jit(lambda x: map_pointwise(law, (x,), shape)).lower(jnp.ones(shape)).as_text()


@pytest.mark.parametrize("value", ["0", "off", " False"])
def test_the_switch_turns_everything_off(undecided, monkeypatch, value):
    monkeypatch.setenv("PNP_COMPILED_LOOPS", value)
    assert "PNP_COMPILED_LOOPS" in why_no_compiled_loops()
    assert "pnp_" not in lowered(lambda x: 2.0 * x)


SOLVE = """
import numpy as np, pnp
from pnp.linalg.dispatch import why_no_compiled_loops
from tests.conftest import make_charged
assert why_no_compiled_loops() is not None
solution = pnp.solve(make_charged(), 80.0, discretization=pnp.Axial(40))
print(float(solution.current), *map(float, solution.potential))
"""


def test_a_solve_without_compiled_loops_has_the_same_result():
    assert why_no_compiled_loops() is None
    found = subprocess.run(
        [sys.executable, "-c", SOLVE],
        env={**os.environ, "PNP_COMPILED_LOOPS": "0"},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    solution = pnp.solve(make_charged(), 80.0, discretization=pnp.Axial(40))
    numbers = np.array(found.stdout.split(), float)
    np.testing.assert_allclose(numbers[0], solution.current, rtol=1e-12)
    np.testing.assert_allclose(numbers[1:], solution.potential, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", ["XLA_FFI_CallFrame", "XLA_FFI_Api_Version", "XLA_FFI_Metadata"])
def test_another_layout_of_xlas_structures_is_refused_at_registration(undecided, monkeypatch, structure):
    monkeypatch.setitem(xla_ffi._SIZES, structure, xla_ffi._SIZES[structure] + 8)
    with pytest.warns(UserWarning, match=f"compiled loops are not used.*struct_size of {structure}"):
        reason = why_no_compiled_loops()
    assert structure in reason


@pytest.mark.parametrize("structure", ["XLA_FFI_Args", "XLA_FFI_Rets", "XLA_FFI_Buffer"])
def test_another_layout_at_run_time_is_an_error(undecided, monkeypatch, structure):
    monkeypatch.setitem(xla_ffi._SIZES, structure, xla_ffi._SIZES[structure] + 8)
    with pytest.raises(Exception, match=rf"struct_size of .*{structure}.*PNP_COMPILED_LOOPS=0"):
        jax.block_until_ready(jax.jit(lambda x: map_pointwise(jnp.exp, (x,), (3, 4)))(jnp.ones((3, 4))))


@pytest.fixture
def reports(monkeypatch):
    """What was reported to have no translation."""
    monkeypatch.setattr(xla_ffi, "_reported", set())
    return xla_ffi._reported


def halved(x):
    return jax.lax.while_loop(lambda y: jnp.any(y > 1), lambda y: y / 2, x)


def test_a_primitive_without_translation_is_reported_once(reports):
    with pytest.warns(UserWarning, match=r"no translation for `while`.*on arrays"):
        assert "pnp_" not in lowered(halved)
    assert "pnp_" not in lowered(lambda x: halved(x) + 1)  # without a warning, which would be an error
    with pytest.warns(UserWarning, match="no translation for `sin`"):
        lowered(jnp.sin)
    assert reports == {"while", "sin"}


def test_other_numbers_than_doubles_are_left_to_arrays(reports):
    with pytest.warns(UserWarning, match="`an array of int32`"):
        found = map_pointwise(lambda x: 2 * x, (jnp.ones((3, 4), "int32"),), (3, 4))
    assert found.dtype == "int32"
