"""Whether JAX is tracing: in `jit`, `grad` and `vmap` numbers have shapes but no values that could be checked."""

from typing import Any

import jax


def is_traced(*trees: Any) -> bool:
    """Whether any leaf of these pytrees is being traced by JAX, so that its value is not known."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))
