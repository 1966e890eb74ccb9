"""Every implementation of block-tridiagonal elimination against dense linear algebra."""

import os
import subprocess
import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import pnp
from pnp import units
from pnp.analysis.discretized import discretize
from pnp.finite_volume.axial.assembly import element_ends, linearize, with_baths
from pnp.finite_volume.axial.scheme import two_sided_elements
from pnp.linalg import dispatch
from pnp.linalg._cpu import xla_ffi
from pnp.linalg.block_tridiagonal import (
    eliminate,
    eliminate_by_cyclic_reduction,
    eliminate_by_scan,
    from_two_sided,
    to_two_sided,
)
from pnp.linalg.element_matrices import BlockCoefficients
from tests.conftest import X, compiled_loops

# The first by compiled code, as a test below shows.
IMPLEMENTATIONS = [eliminate, eliminate_by_scan, eliminate_by_cyclic_reduction]
mpmath.mp.dps = 60
every_implementation = pytest.mark.parametrize("way", IMPLEMENTATIONS, ids=lambda way: way.__name__)


def random_chain(elements, m, cases=2, seed=0, sparse=False):
    """BlockCoefficients in two sides, the dense matrix of the nodes between the ends [case, …], and fluxes and contents
    at x = 0."""
    rng = np.random.default_rng(seed)
    outer, inner, content_left, content_right = rng.normal(size=(4, m, m, elements, cases))
    strong = 4 * m * np.eye(m)[..., None, None]
    outer, inner, content_left, content_right = (
        outer + strong,
        inner - strong,
        content_left - strong,
        content_right - strong,
    )
    absent = np.zeros((m, m), bool)
    if sparse:  # as in PNP: neighbours couple phi to phi, and each mu to phi and itself; only charge is stored
        absent = np.ones((m, m), bool)
        absent[:, 0] = False
        absent[np.diag_indices(m)] = False
        outer[absent] = inner[absent] = 0.0
        content_left[1:] = content_right[1:] = 0.0
    nodes = elements + 1
    dense = np.zeros((cases, nodes, m, nodes, m))
    by_case = lambda block: np.moveaxis(block, -1, 0)
    for e in range(elements):
        for row, sign, content in ((e, 1, content_left), (e + 1, -1, content_right)):
            for column, block in ((e, outer), (e + 1, inner)):
                dense[:, row, :, column, :] += sign * by_case(block[:, :, e])
            dense[:, row, :, row, :] -= by_case(content[:, :, e])
    dense = dense[:, 1:-1, :, 1:-1].reshape(cases, (nodes - 2) * m, (nodes - 2) * m)

    def rows(first, second, zero):
        """From a property of the left and of the right end; for the second side the right end is the outer one."""
        entries = to_two_sided(jnp.asarray(first)).at[..., 1, :].set(to_two_sided(jnp.asarray(second))[..., 1, :])
        return [[None if zero[r, c] else entries[r, c] for c in range(m)] for r in range(m)]

    empty = np.zeros((m, m), bool)
    empty[1:] = sparse
    flux = rows(outer, -inner, absent), rows(inner, -outer, absent)
    content = rows(content_left, content_right, empty), rows(content_right, content_left, empty)
    return (
        BlockCoefficients(*flux, *content),
        dense,
        rng.normal(size=(m, elements, cases)),
        rng.normal(size=(m, nodes - 2, cases)),
    )


def arguments(coefficients, source, flux=None):
    """Of `eliminate`, with two columns: something else, and what is asked for."""
    shared = to_two_sided(jnp.asarray(source)).at[..., -1, 1, :].set(0.0)
    columns = [[shared[0] - 2 * row, row] for row in shared]
    if flux is None:
        return coefficients, [[None, None]] * len(columns), columns
    passing = to_two_sided(jnp.asarray(flux)).at[..., 1, :].multiply(-1.0)  # towards the middle
    return coefficients, [[row - passing[0], row] for row in passing], columns


def solved(way, *chain):
    """x, [unknown, node, case], by an implementation, as the second column of two."""
    x = np.array(jax.jit(way)(*arguments(*chain)))[:, 1]
    np.testing.assert_array_equal(x[:, -1, 0], x[:, -1, 1])
    return np.asarray(from_two_sided(jnp.asarray(x)))


def direct(dense, rhs):
    m, nodes, cases = rhs.shape
    columns = rhs.transpose(2, 1, 0).reshape(cases, nodes * m, 1)
    scale = np.abs(dense).max(2, keepdims=True)
    return np.linalg.solve(dense / scale, columns / scale).reshape(cases, nodes, m).transpose(2, 1, 0)


@every_implementation
@pytest.mark.parametrize(("m", "sparse"), [(2, False), (3, True), pytest.param(4, True, marks=pytest.mark.slow)])
def test_elimination(way, m, sparse):
    coefficients, dense, flux, source = random_chain(10, m, sparse=sparse)
    np.testing.assert_allclose(solved(way, coefficients, source), direct(dense, source), rtol=1e-10, atol=1e-13)
    balance = source - np.diff(flux, axis=1)
    np.testing.assert_allclose(solved(way, coefficients, source, flux), direct(dense, balance), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("way", [eliminate, eliminate_by_scan])
@pytest.mark.parametrize(("m", "sparse"), [(2, False), (3, True), pytest.param(4, True, marks=pytest.mark.slow)])
def test_transposed_elimination(way, m, sparse):
    coefficients, dense, _, source = random_chain(10, m, sparse=sparse)
    expected = direct(dense.swapaxes(1, 2), source)
    np.testing.assert_allclose(
        solved(partial(way, transposed=True), coefficients, source), expected, rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("way", [eliminate, eliminate_by_scan])
def test_a_value_between_two_barriers_keeps_its_digits(way):
    """Resistors in series, those at the ends of 1e40 and 1e38 times the others: the middle floats between them."""
    conductance = np.array([1e-40, 1.0, 3.0, 1.0, 2.0, 1.0, 1.0, 1e-38])
    along = to_two_sided(jnp.asarray(conductance)[:, None])
    coefficients = BlockCoefficients([[along]], [[-along]], [[None]], [[None]])
    flux = np.zeros((1, conductance.size, 1))
    flux[0, 0] = conductance[0]  # the first end at potential 1
    found = solved(way, coefficients, np.zeros((1, conductance.size - 1, 1)), flux)[0, :, 0]
    resistance = [1 / mpmath.mpf(g) for g in conductance]
    exact = [float(sum(resistance[i:]) / sum(resistance)) for i in range(1, conductance.size)]
    np.testing.assert_allclose(found, exact, rtol=1e-14)


@every_implementation
@pytest.mark.parametrize("elements", [2, 4, 6, 16, 18])
def test_chains_from_one_node_on(way, elements):
    """Also on both sides of the powers of two, where the reduction takes one step more."""
    coefficients, dense, flux, rhs = random_chain(elements, 3, sparse=True)
    np.testing.assert_allclose(
        solved(way, coefficients, rhs, flux), direct(dense, rhs - np.diff(flux, axis=1)), rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize(
    ("m", "cases"),
    [
        (2, 1),
        (3, 7),
        (3, 29),
        *(pytest.param(*size, marks=pytest.mark.slow) for size in ((3, 8), (4, 3), (5, 9), (7, 15))),
    ],
)
def test_compiled_elimination_for_any_number_of_cases(m, cases):
    coefficients, dense, flux, rhs = random_chain(6, m, cases, sparse=m % 2 == 1)
    np.testing.assert_allclose(
        solved(eliminate, coefficients, rhs, flux),
        direct(dense, rhs - np.diff(flux, axis=1)),
        rtol=1e-10,
        atol=1e-13,
    )


def bipolar_jacobian(millivolts, kick):
    """Newton's matrix, in two sides and dense, in a pore with +5 M beside −5 M, `kick` kT from the solution."""
    channel = pnp.Channel.from_profiles(
        X,
        area=np.ones(6),
        fixed_charge=np.array([5.0, 5.0, -5.0, -5.0, 0.0, 0.0]),
        ions={"K": pnp.Ion(1, 1.957), "Cl": pnp.Ion(-1, 2.032)},
        pmf={"Cl": np.zeros(6)},
        inside={"K": 300.0, "Cl": 300.0},
        outside={"K": 100.0, "Cl": 100.0},
    )
    solution = pnp.solve(channel, voltage=millivolts)
    assert solution.status < pnp.Status.MESH_TOO_COARSE
    discretized, valence = discretize(channel, 400), jnp.asarray(channel.valence)
    unit = units.thermal_voltage(channel.temperature)
    problem = discretized.problem(-1, jnp.asarray(millivolts / unit))
    phi = solution.potential / unit
    mu = jnp.log(solution.concentration.T) + valence[:, None] * phi - problem.node_reference
    interior = jnp.concatenate([phi[None], mu])[:, 1:-1]
    interior += kick * np.random.default_rng(0).normal(size=interior.shape)
    unknowns = to_two_sided(with_baths(problem, interior)[..., None])
    one_case = jax.tree.map(lambda leaf: leaf[..., None], problem)
    one_case = one_case.with_elements(two_sided_elements(one_case.elements))
    return eqx.filter_jit(lambda p, u: linearize(p, *element_ends(u))[1])(one_case, unknowns)


def assembled(coefficients):
    """The dense matrix, [1, …], of coefficients in two sides for one case."""
    m, half = len(coefficients.flux_outer), coefficients.flux_outer[0][0].shape[0]
    nodes = 2 * half + 1
    dense = np.zeros((nodes, m, nodes, m))
    for part, entries in coefficients._asdict().items():
        column = 0 if part.endswith("outer") else 1
        for row, sign in ((0, 1), (1, -1)) if part.startswith("flux") else ((column, -1),):
            for r, c in np.ndindex(m, m):
                for e in range(half) if entries[r][c] is not None else ():
                    first, second = sign * entries[r][c][e, :, 0]
                    dense[e + row, r, e + column, c] += first
                    dense[nodes - 1 - e - row, r, nodes - 1 - e - column, c] += second
    return dense[1:-1, :, 1:-1].reshape(1, (nodes - 2) * m, (nodes - 2) * m)


@pytest.mark.parametrize(("millivolts", "kick"), [(0.0, 0.0), (1000.0, 0.0), (-1000.0, 0.0), (1000.0, 1.0)])
def test_elimination_of_newtons_matrices(millivolts, kick):
    coefficients = jax.tree.map(np.asarray, bipolar_jacobian(millivolts, kick))
    dense = assembled(coefficients)
    rhs = np.random.default_rng(1).normal(size=(3, dense.shape[1] // 3, 1))
    expected = direct(dense, rhs)
    size = np.abs(expected).max((1, 2), keepdims=True)
    # Round-off times the condition number once rows are scaled.
    condition = np.linalg.cond(dense / np.abs(dense).max(2, keepdims=True), 1).max()
    tolerance = np.finfo(float).eps * condition
    assert tolerance < 1e-6
    for way in IMPLEMENTATIONS:
        assert np.max(np.abs(solved(way, coefficients, rhs) - expected) / size) < tolerance, way.__name__


@every_implementation
def test_a_zero_pivot_gives_no_number_and_spares_the_other_cases(way):
    coefficients, dense, _, rhs = random_chain(6, 2, cases=3)
    # 1 − (−1) − 2 − 0, exactly
    for rows, node, value in zip(coefficients, (1, 0, 1, 0), (1.0, -1.0, 0.0, 2.0), strict=True):
        rows[0][0] = rows[0][0].at[node, 0, 1].set(value)
    x = np.array(jax.jit(way)(*arguments(coefficients, rhs)))[:, 1]
    assert not np.isfinite(x[..., 1]).all()
    np.testing.assert_allclose(
        from_two_sided(jnp.asarray(x))[..., ::2], direct(dense, rhs)[..., ::2], rtol=1e-10, atol=1e-13
    )


def test_several_chains_by_vmap():
    chains = [random_chain(6, 3, sparse=True, seed=seed) for seed in (0, 1)]
    given = [arguments(coefficients, source, flux) for coefficients, _, flux, source in chains]
    stacked = jax.tree.map(lambda *entries: jnp.stack(entries), *given)
    x = np.array(jax.vmap(eliminate)(*stacked))[:, 1]
    for i, (_, dense, flux, source) in enumerate(chains):
        expected = direct(dense, source - np.diff(flux, axis=1))
        np.testing.assert_allclose(from_two_sided(jnp.asarray(x[:, i])), expected, rtol=1e-10, atol=1e-13)


# --- which implementation is taken --------------------------------------------------------------


@pytest.fixture
def chain():
    coefficients, _, flux, source = random_chain(4, 2, seed=5)
    return arguments(coefficients, source, flux)


def program(chain, platform="cpu"):
    fresh = partial(eliminate)  # which JAX has not traced yet
    return jax.jit(fresh).trace(*chain).lower(lowering_platforms=(platform,)).as_text()


@compiled_loops
def test_cpus_run_compiled_code(chain):
    assert "pnp_eliminate" in program(chain)
    assert "while" not in program(chain)


@compiled_loops
def test_gpus_take_a_logarithmic_number_of_steps(chain, monkeypatch):
    monkeypatch.setattr(dispatch, "backends", lambda: {"cpu": None, "cuda": None})
    assert "pnp_eliminate" in program(chain)
    for_gpu = program(chain, "cuda")
    assert "pnp_eliminate" not in for_gpu
    assert "stablehlo.dynamic_update_slice" not in for_gpu  # what a scan writes its results with
    expected = np.array(eliminate_by_scan(*chain))
    np.testing.assert_allclose(np.array(eliminate(*chain)), expected, rtol=1e-12)


def test_without_a_compiler_the_scan_is_used(chain, monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)  # cannot be imported
    monkeypatch.setattr(xla_ffi, "_unavailable", xla_ffi._unavailable.__wrapped__)
    assert "pnp_eliminate" not in program(chain)
    np.testing.assert_allclose(np.array(eliminate(*chain)), np.array(eliminate_by_scan(*chain)), rtol=1e-12)


@compiled_loops
def test_a_failure_to_register_is_a_warning(chain, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("no such platform")

    monkeypatch.setattr(xla_ffi, "_registered", {})
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.warns(UserWarning, match="slower: no such platform"):
        assert "pnp_eliminate" not in program(chain)


FRESH = """
import sys
import jax, jax.numpy as jnp, pnp
from pnp.linalg.block_tridiagonal import eliminate
from pnp.linalg.element_matrices import BlockCoefficients
assert "llvmlite" not in sys.modules
rows = lambda value: [[jnp.full((5, 2, 3), value)]]
coefficients = BlockCoefficients(rows(1.0), rows(-1.0), rows(0.0), rows(0.0))
assert "llvmlite" not in sys.modules
print(jax.jit(eliminate)(coefficients, rows(0.5), rows(1.0))[0][0].sum())
"""


@compiled_loops
def test_a_program_from_the_cache_finds_the_compiled_code(tmp_path):
    """In a new process, whose compiled code is at another place."""
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    run = lambda: subprocess.run(
        [sys.executable, "-c", FRESH], env=environment, check=True, capture_output=True, text=True
    )
    first, kept = run(), sorted(path.name for path in tmp_path.glob("*-cache"))
    assert any("eliminate" in name for name in kept)
    assert run().stdout == first.stdout
    assert sorted(path.name for path in tmp_path.glob("*-cache")) == kept  # nothing was compiled again


# --- sides ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [6, 7])
def test_two_sides_have_every_value(count):
    values = np.arange(3.0 * count * 2).reshape(3, count, 2)
    sides = to_two_sided(jnp.asarray(values))
    np.testing.assert_array_equal(sides[..., 0, :], values[:, : (count + 1) // 2])
    np.testing.assert_array_equal(sides[..., 1, :], values[:, ::-1][:, : (count + 1) // 2])
    if count % 2:
        np.testing.assert_array_equal(from_two_sided(sides), values)
