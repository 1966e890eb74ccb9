"""The root of a monotone function, with exact derivatives."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

_HALVINGS = 110  # leaves 1e-33 of the bracket: roots near zero keep their relative accuracy


def monotone_root(
    function: Callable[[Float[Array, "..."]], Float[Array, "..."]], low: ArrayLike, high: ArrayLike
) -> Float[Array, "..."]:
    """x between `low` and `high` where `function`, rising or falling throughout, is zero; elementwise.

    Element k of function(x) may depend on element k of x only; `low` and `high` have the shape of the
    result, or broadcast to it with each other. Found by bisection, which nothing can lead astray; the
    derivatives, forward and reverse and of any order, are those of the implicit function theorem with
    respect to whatever `function` closes over. NaN where `function` has one sign on the bracket.
    """
    low, high = jnp.broadcast_arrays(jnp.asarray(low, float), jnp.asarray(high, float))

    def bisect(f, start):
        positive_above = f(high) > 0
        crosses = (f(low) > 0) != positive_above

        def halve(_, bracket):
            below, above = bracket
            middle = 0.5 * (below + above)
            past = (f(middle) > 0) == positive_above
            return jnp.where(past, below, middle), jnp.where(past, middle, above)

        _, root = jax.lax.fori_loop(0, _HALVINGS, halve, (start, high))
        return jnp.where(crosses & ~jnp.isnan(f(root)), root, jnp.nan)

    # The derivative of an elementwise function is a diagonal matrix: its action on ones is its diagonal.
    return jax.lax.custom_root(function, low, bisect, lambda linear, y: y / linear(jnp.ones_like(y)))
