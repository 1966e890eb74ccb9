"""Translated functions against mpmath, in compiled code like the solver's own."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from pnp.linalg._cpu.jaxpr import UntranslatableError, translate
from pnp.linalg._cpu.program import Block, Law, Operand, law
from pnp.linalg._cpu.xla_ffi import call, handler, program
from pnp.linalg.dispatch import why_no_compiled_loops

mpmath.mp.dps = 50
if why_no_compiled_loops() is not None:
    pytest.skip("there are no compiled loops", allow_module_level=True)

RNG = np.random.default_rng(3)
ARGUMENTS = np.concatenate([
    [0.0, 1e-300, 1e-16, 1e-9, 1e-4, 0.3465, 0.3466, 1.0, 20.0, 300.0, 709.0],
    [-1e-300, -1e-16, -1e-9, -1e-4, -0.3465, -0.3466, -1.0, -20.0, -300.0, -700.0],
    RNG.uniform(-3, 3, 400),
    RNG.uniform(-700, 700, 400),
])  # fmt: skip


def mapped(function, values, lanes=11):
    """`function` of every value, by a compiled loop over elements, sides and lanes."""
    values = np.asarray(values, float)
    grid = jnp.asarray(np.resize(values, (-(-values.size // (2 * lanes)), 2, lanes)))
    of = Law(jax.make_jaxpr(lambda x: [function(x)])(jax.ShapeDtypeStruct((), float)), (Operand.like(grid),))

    def write(wide):
        block = Block(wide, 1)
        result = block.law("one", 1)
        with block.code.loop("all", "0", "sle %last", "1") as element:
            for side in range(2):
                block.store(result(element, side)[0], block.result(0, 1, element, side)[0])
        return [law("one", wide, of), block.function(), handler(wide, 1, 1)]

    name = program("map", str(of), lanes, write)
    assert name is not None
    return np.asarray(call(name, [1], 0, len(grid), lanes, [grid])[0]).ravel()[: values.size]


@pytest.mark.parametrize(
    ("function", "exact", "arguments"),
    [
        (jnp.exp, mpmath.exp, ARGUMENTS),
        (jnp.expm1, mpmath.expm1, ARGUMENTS),
        (jnp.log, mpmath.log, np.exp(ARGUMENTS)),
        (jnp.log1p, mpmath.log1p, np.abs(ARGUMENTS)),
        (jnp.log1p, mpmath.log1p, RNG.uniform(-0.9999, 0.5, 400)),
        (jnp.sqrt, mpmath.sqrt, np.abs(ARGUMENTS)),
    ],
)
def test_functions_are_as_accurate_as_their_numbers(function, exact, arguments):
    wanted = np.array([float(exact(mpmath.mpf(float(x)))) for x in arguments])
    np.testing.assert_allclose(mapped(function, arguments), wanted, rtol=5e-16, atol=5e-324)


def test_what_is_no_number_or_out_of_range():
    beyond = [np.nan, np.inf, -np.inf, 720.0, -760.0]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(mapped(jnp.exp, beyond), np.exp(beyond))
        np.testing.assert_array_equal(mapped(jnp.expm1, beyond), np.expm1(beyond))
        of = [np.nan, np.inf, 0.0, -1.0]
        np.testing.assert_array_equal(mapped(jnp.log, of), np.log(of))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(x < 0.5, -x, x**3) - 2.0,
        lambda x: jnp.maximum(x, 0.2) / jnp.minimum(1.5, 2 + jnp.abs(x)),
        jax.grad(lambda x: jnp.maximum(x, 0.2) * jnp.minimum(1.5, 2 - x)),
        lambda x: (jnp.abs(x) == x) * 2.0 + (jnp.abs(x) != x),
        lambda x: jnp.concatenate([jnp.stack([x, 2 * x]), x[None] + 1])[1:2].reshape(()),
        lambda x: (x > 0) * x**-2 + jnp.where(x >= 1, 1.0, 0.0),
        jax.grad(lambda y: jnp.exp(-(y**2)) * y),
    ],
)
@pytest.mark.parametrize("lanes", [1, 3, 9])
def test_arithmetic_is_as_jax_does_it(function, lanes):
    values = RNG.uniform(-2, 2, 100)
    np.testing.assert_allclose(mapped(function, values, lanes), jax.vmap(function)(values), rtol=1e-15, atol=1e-16)


def test_numbers_are_worked_out_while_translating():
    traced = jax.make_jaxpr(lambda x: x * 2.0 + jnp.exp(0.0))(1.0)
    assert translate(traced, [np.array(3.0)])[0] == 7.0


def test_a_loop_cannot_be_translated():
    traced = jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * x, x))(1.0)
    with pytest.raises(UntranslatableError, match=r"^(scan|while)$"):
        translate(traced, [np.array(3.0)])
