"""One step of Newton's method: the laws linearised at the present states, and the linear system eliminated."""

import functools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from pnp.assembly import Arms, Problem, ends, in_elements, linearize
from pnp.ffi import traced_law
from pnp.kernel import Stamps, eliminated, elimination
from pnp.laws import element_balance
from pnp.linear import Couplings, by_platform, eliminate


def newton_update(problem: Problem, unknowns: Arms, respond: bool) -> tuple[Arms, Arms | None]:
    """What Newton would change of the unknowns beyond the baths, and, if asked, how they answer the voltage.

    problem: in arms, see `Problem`. The second is d unknowns / d voltage, kT per kT/e.

    On CPUs the laws are translated into the compiled elimination where they can be (`pnp.kernel`); elsewhere, and for
    excess potentials that are found by iteration, they are evaluated on arrays.
    """
    compiled = _compiled_for(problem, unknowns, respond)
    ways = {} if compiled is None else {"cpu": functools.partial(_by_kernel, *compiled)}
    by_arrays = functools.partial(_by_arrays, respond)
    update, *response = by_platform(ways, by_arrays, problem, unknowns)
    return update, response[0] if response else None


def _stamps(problem: Problem, near: Sequence, far: Sequence, at_inside: Bool[Array, "*place"], respond: bool) -> Stamps:
    """All that elimination has to know of the elements; `at_inside` is true of the one whose near end is the inside
    bath, where phi is the voltage."""
    near, far = list(near), list(far)
    balance, couplings = linearize(problem, near, far)
    columns = [balance]
    if respond:

        def pushed(voltage):
            moved = eqx.tree_at(lambda p: p.voltage, problem, voltage)
            return moved.apply(element_balance, [jnp.where(at_inside, voltage, near[0]), *near[1:]], far)

        columns.append(jax.jvp(pushed, (problem.voltage,), (jnp.ones_like(problem.voltage),))[1])
    through, *loads = ([list(row) for row in zip(*part, strict=True)] for part in zip(*columns, strict=True))
    nothing = [[None] * len(columns)] * (len(near) - len(loads[0]))  # no ion is held anywhere
    return Stamps(*couplings, through, *([*load, *nothing] for load in loads))


def _at_inside(unknowns: Arms) -> Bool[Array, "element arm one"]:
    return jnp.zeros((unknowns.shape[1] - 1, 2, 1), bool).at[0, 0].set(True)


def _by_arrays(respond: bool, problem: Problem, unknowns: Arms) -> list[Arms]:
    stamps = _stamps(problem, *ends(unknowns), _at_inside(unknowns), respond)
    # Without the barrier the compiler works out parts of the derivatives again for each of their uses.
    stamps = jax.lax.optimization_barrier(stamps)
    meet = lambda near, far: None if near is None else jnp.concatenate([far[:-1] + near[1:], far[-1:]])
    each = zip(stamps.load_near, stamps.load_far, strict=True)
    held = [[meet(*pair) for pair in zip(*rows, strict=True)] for rows in each]
    x = eliminate(Couplings(*stamps[:4]), stamps.through, held)
    return [jnp.stack(column) for column in zip(*x, strict=True)]


# --- by the kernel ------------------------------------------------------------------------------


def _compiled_for(problem: Problem, unknowns: Arms, respond: bool) -> tuple[str, Stamps] | None:
    """XLA's name of the compiled step, if there is one, and what its stamps look like."""
    law, stamps = traced_law(_LAWS[respond], _arguments(problem, unknowns), (None, 0, 1, None))
    name = elimination(stamps.pattern(), unknowns.shape[-1], law)
    return None if name is None else (name, stamps.pattern())


def _by_kernel(name: str, pattern: Stamps, problem: Problem, unknowns: Arms) -> list[Arms]:
    _, nodes, _, lanes = unknowns.shape
    return eliminated(name, pattern, nodes - 1, lanes, jax.tree.leaves(_arguments(problem, unknowns)))


def _arguments(problem: Problem, unknowns: Arms):
    """Of `_stamps`."""
    return in_elements(problem), unknowns, unknowns, _at_inside(unknowns)


_LAWS = tuple(functools.partial(_stamps, respond=respond) for respond in (False, True))
