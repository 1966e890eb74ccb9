"""Roots of monotone functions of one variable, for many of them at once, and their exact derivatives."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

_HALVINGS = 110  # leaves 1e-33 of the bracket: roots near zero keep their relative accuracy


def bracketed_root(
    function: Callable[[Any, Any], Any],
    low: ArrayLike,
    high: ArrayLike,
    terms: Any = (),
    *,
    iterations: int,
    guess: ArrayLike | None = None,
    tolerance: float = 0.0,
) -> Float[Array, "..."]:
    """x between `low` and `high` where function(x, terms), falling with x, is zero; elementwise, without derivatives.

    - function: element k of the result depends on element k of x only.
    - low, high: have the shape of the result, or broadcast to it.
    - terms: all that `function` needs besides x, a pytree.
    - iterations: halvings of the bracket, after which x is its middle; with a guess, the most steps of Newton.
    - guess: where Newton's method begins. Steps that leave the bracket become halvings. Without a guess all are: of
      exponentials over hundreds of kT, Newton's method gains no more than 1 kT a step.
    - tolerance: largest last step of Newton's method.

    Returns the end of the bracket where the function does not change sign.
    """
    given = (low, high, guess if guess is not None else (jnp.asarray(low) + high) / 2)
    given, terms = jax.lax.stop_gradient((given, terms))
    low, high, x = jnp.broadcast_arrays(*(jnp.asarray(each, float) for each in given))

    def step(state):
        x, low, high, _, count = state
        if guess is None:
            value = function(x, terms)
        else:
            value, slope = jax.jvp(lambda x: function(x, terms), (x,), (jnp.ones_like(x),))
        low, high = jnp.where(value > 0, x, low), jnp.where(value > 0, high, x)
        moved = (low + high) / 2
        if guess is not None:
            newton = x - value / slope
            moved = jnp.where((newton >= low) & (newton <= high), newton, moved)
        return moved, low, high, jnp.abs(moved - x).max(), count + 1

    def unfinished(state):
        return state[4] < iterations if guess is None else (state[3] > tolerance) & (state[4] < iterations)

    return jax.lax.while_loop(unfinished, step, (x, low, high, jnp.array(jnp.inf), 0))[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def implicit_root(function: Callable[[Any, Any], Any], x: Float[Array, "..."], terms: Any) -> Float[Array, "..."]:
    """x itself, a root of function(x, terms) that is known, with its derivatives by `terms`, of any order.

    They are those of the implicit function theorem. Arguments as in `bracketed_root`.
    """
    return x


@implicit_root.defjvp
def _(function, primals, tangents):
    x, terms = implicit_root(function, *primals), primals[1]
    _, linear = jax.linearize(function, x, terms)  # evaluated once, which may be a solve
    zero = jax.tree.map(lambda t: t if t.dtype == jax.dtypes.float0 else jnp.zeros_like(t), tangents[1])
    return x, -linear(jnp.zeros_like(x), tangents[1]) / linear(jnp.ones_like(x), zero)


def monotone_root(
    function: Callable[[Float[Array, "..."]], Float[Array, "..."]], low: ArrayLike, high: ArrayLike
) -> Float[Array, "..."]:
    """x between `low` and `high` where `function`, rising or falling throughout, is zero; elementwise.

    - function: element k of the result depends on element k of x only.
    - low, high: have the shape of the result, or broadcast to it with each other.

    Returns NaN where `function` has one sign on the bracket. Found by bisection, which cannot fail; derivatives, of
    any order, are those of the implicit function theorem by whatever `function` closes over.
    """
    low, high = jnp.broadcast_arrays(jnp.asarray(low, float), jnp.asarray(high, float))

    def solve(f, start):
        rising = f(high) > 0
        crosses = (f(low) > 0) != rising
        falling = lambda x, _: jnp.where((f(x) > 0) == rising, -1.0, 1.0)
        root = bracketed_root(falling, start, high, iterations=_HALVINGS)
        return jnp.where(crosses & ~jnp.isnan(f(root)), root, jnp.nan)

    # The derivative of an elementwise function is a diagonal matrix: its action on ones is its diagonal.
    return jax.lax.custom_root(function, low, solve, lambda linear, y: y / linear(jnp.ones_like(y)))
