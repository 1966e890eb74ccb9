"""Choice between implementations of one operation by platform."""

from collections.abc import Callable, Mapping

import jax
from jax.extend.backend import backends

from pnp.linalg import _cpu


def dispatch_by_platform(implementations: Mapping[str, Callable | None], default: Callable, *arguments):
    """Call the implementation for the platform on which the program will run.

    - implementations: by the platform's name in JAX ("cpu", "cuda", "rocm"); None where there is none after all.
    - default: for all other platforms.
    - arguments: trees of arrays, the same for every implementation.
    """
    present = frozenset(backends())
    there = {name: one for name, one in implementations.items() if one is not None and name in present}
    if present == {"cpu"}:  # only one of them can be needed, so only one is traced
        return there.get("cpu", default)(*arguments)
    return jax.lax.platform_dependent(*arguments, default=default, **there)


def why_no_compiled_loops() -> str | None:
    """Why the optional accelerator for CPUs (`pnp.linalg._cpu`) is not used; None if it is."""
    return _cpu.unavailable()
