"""`vmap` of a function written for a batch is one call of it with all the cases."""

import jax
import jax.numpy as jnp
import numpy as np

from pnp.linalg.batching import over_batch

CALLS = []


def native(weights, x):
    """Σ w x² over the first axis, and the size of the batch it was given."""
    size = jnp.broadcast_shapes(weights.shape[-1:], x.shape[-1:])
    CALLS.append(size[0])
    return (weights * x**2).sum(0) + jnp.zeros(size)


weighted = over_batch(native)
RNG = np.random.default_rng(0)
W, X = jnp.asarray(RNG.normal(size=3)), jnp.asarray(RNG.normal(size=(4, 5, 3)))


def test_alone():
    np.testing.assert_allclose(weighted(W, X[0, 0]), (W * X[0, 0] ** 2).sum())


def test_nested_vmap_is_one_call_with_all_cases():
    CALLS.clear()
    found = jax.vmap(jax.vmap(weighted, (None, 0)), (None, 0))(W, X)
    np.testing.assert_allclose(found, (W * X**2).sum(-1))
    assert max(CALLS) == 20


def test_every_argument_may_be_batched_at_another_level():
    weights = jnp.asarray(RNG.normal(size=(4, 3)))
    found = jax.jit(jax.vmap(jax.vmap(weighted, (None, 0)), (0, None)))(weights, X[0])
    np.testing.assert_allclose(found, (weights[:, None] * X[0] ** 2).sum(-1))
