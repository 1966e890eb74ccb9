"""Laws at many places: compiled loops against the same on arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnp.linalg import _cpu
from pnp.linalg._cpu import xla_ffi
from pnp.linalg.dispatch import why_no_compiled_loops
from pnp.linalg.pointwise import map_pointwise


def law(pair, flag, factor):
    """Of [2, …], and of arguments that are the same along some axes."""
    total = jnp.where(flag, jnp.exp(pair[0]) * factor, pair[1])
    return jnp.stack([total, pair[0] - total]), total * pair


def halved(value):
    """Until it is below one: a loop has no translation."""
    return jax.lax.while_loop(lambda x: jnp.any(x > 1), lambda x: jnp.where(x > 1, x / 2, x), value)


@pytest.fixture
def made(monkeypatch):
    """The compiled loops that were made, or None."""
    found, make = [], _cpu.map_pointwise
    monkeypatch.setattr(_cpu, "map_pointwise", lambda *given: found.append(make(*given)) or found[-1])
    return found


def arguments(place, seed=0):
    random = np.random.default_rng(seed)
    pair, factor = random.normal(size=(2, *place)), random.normal(size=(1,) * len(place))
    return jnp.asarray(pair), jnp.asarray(random.normal(size=(place[0], *place[1:-1], 1)) > 0), jnp.asarray(factor)


@pytest.mark.parametrize("place", [(3, 5, 1), (3, 5, 2), (4, 1), (1, 1, 1), (2, 3, 11, 1), (7, 19, 13)])
def test_every_place_is_what_arrays_say(place, made):
    given = arguments(place)
    found = jax.jit(lambda *given: map_pointwise(law, given, place))(*given)
    assert (made[0] is None) == (why_no_compiled_loops() is not None)
    for one, expected in zip(found, law(*given), strict=True):
        np.testing.assert_allclose(one, jnp.broadcast_to(expected, one.shape), rtol=1e-14)


def test_derivatives_are_those_of_the_law():
    place = (3, 5, 1)
    pair, *rest = arguments(place)
    total = lambda law: lambda pair: sum(jnp.sum(value**2) for value in law((pair, *rest)))
    one, other = total(lambda given: map_pointwise(law, given, place)), total(lambda given: law(*given))
    for first, second in zip(
        *(jax.jit(lambda p, f=f: (jax.grad(f)(p), jax.hessian(f)(p)))(pair) for f in (one, other)), strict=True
    ):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-14)


def test_a_law_without_translation_is_evaluated_on_arrays(made, monkeypatch):
    monkeypatch.setattr(xla_ffi, "_reported", {"while"})
    values = jnp.linspace(0.5, 40.0, 12).reshape(3, 4)
    np.testing.assert_array_equal(map_pointwise(halved, (values,), (3, 4)), halved(values))
    assert made == [None]


def test_many_cases_by_vmap():
    place = (3, 5)
    cases = [arguments(place, seed) for seed in range(3)]
    together = jax.tree.map(lambda *values: jnp.stack(values), *cases)
    found, _ = jax.jit(jax.vmap(lambda *given: map_pointwise(law, given, place)))(*together)
    for one, case in zip(found, cases, strict=True):
        np.testing.assert_allclose(one, law(*case)[0], rtol=1e-14)
