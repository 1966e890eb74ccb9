"""Derivatives of pointwise laws: one forward pass per state gives all of them, and zeros are known as zeros."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import Literal, jaxpr_as_fun


def derivatives(law: Callable, states: Sequence) -> tuple[list, list[list]]:
    """Results of a law at some states, and its derivatives, [result][state], None where it does not depend on it.

    - law: of arrays entry by entry, so that one jvp per state has all its derivatives.
    """
    # Traced once: the law and its derivatives are then read off the trace.
    traced = jax.make_jaxpr(law)(*states)
    value, depends = jaxpr_as_fun(traced), _dependence(traced.jaxpr)
    rows: list[list] = [[None] * len(states) for _ in depends]
    for column, state in enumerate(states):
        alone = lambda moved, c=column: value(*states[:c], moved, *states[c + 1 :])
        _, tangents = jax.jvp(alone, (state,), (jnp.ones_like(state),))
        for row, tangent in enumerate(tangents):
            if column in depends[row]:  # what is zero for every state stays out of the elimination
                rows[row][column] = tangent
    return value(*states), rows


def _dependence(jaxpr) -> list[set[int]]:
    """Which arguments of a trace each of its results depends on at all."""
    known = {variable: {i} for i, variable in enumerate(jaxpr.invars)}
    of = lambda atom: set() if isinstance(atom, Literal) else known.get(atom, set())
    for equation in jaxpr.eqns:
        for variable in equation.outvars:
            known[variable] = set().union(*map(of, equation.invars))
    return [of(result) for result in jaxpr.outvars]
