"""One step of Newton's method, and other solves with its matrix: the laws linearised at the present states, and the
linear system eliminated."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.finite_volume.axial.assembly import TwoSided, element_ends, linearize
from pnp.finite_volume.fluxes import element_balance
from pnp.finite_volume.problem import Problem, expand_to_elements
from pnp.linalg._cpu.elimination import ElementMatrices, eliminated, elimination
from pnp.linalg._cpu.xla_ffi import traced_law
from pnp.linalg.batching import batch_size
from pnp.linalg.block_tridiagonal import BlockCoefficients, dispatch_by_platform, eliminate


def newton_update(
    problem: Problem,
    unknowns: TwoSided,
    with_sensitivity: bool,
    flux: Float[Array, "ion element arm lane"] | None = None,
) -> tuple[TwoSided, TwoSided | None]:
    """What Newton would change of the unknowns beyond the baths, and, if asked, how they answer the voltage.

    problem: in arms, see `Problem`. flux: of the ions, if they are settled in this potential
    (`settle.solve_nernst_planck`). The second is d unknowns / d voltage, kT per kT/e.
    """
    at_inside = jnp.zeros((unknowns.shape[1] - 1, 2, 1), bool).at[0, 0].set(True)
    update, *sensitivity = _solved(_STEPS[with_sensitivity], problem, unknowns, (at_inside, flux))
    return update, sensitivity[0] if sensitivity else None


def solve_linearised(
    problem: Problem, unknowns: TwoSided, rhs: TwoSided, transposed: bool, flux: Float[Array, "ion element arm lane"]
) -> TwoSided:
    """x beyond the baths with J x = `rhs`, J the Jacobian there of the balance of every node; or with Jᵀ x = `rhs`.

    problem: in arms. rhs: at the nodes beyond the baths; what both arms say of the middle one is added. flux: of the
    ions, which are in a steady state, from the near to the far ends of the elements.
    """
    return _solved(_loaded, problem, unknowns, (rhs, flux), transposed)[0]


# --- the laws that are eliminated ---------------------------------------------------------------


def _balance(problem: Problem, near: Sequence, far: Sequence, own: tuple, with_sensitivity: bool) -> ElementMatrices:
    """Of Newton's step. own: true of the element whose near end is the inside bath, where phi is the voltage; and the
    flux of ions that are settled, or None."""
    at_inside, flux = own
    near, far, flux = list(near), list(far), None if flux is None else list(flux)
    (through, *held), couplings = linearize(problem, near, far, flux)
    if flux is not None:  # no node gets more of an ion than it gives
        through = [through[0], *[None] * len(flux)]
    columns = [(through, *held)]
    if with_sensitivity:

        def dF_dV(voltage):
            moved = eqx.tree_at(lambda p: p.voltage, problem, voltage)
            first = [jnp.where(at_inside, voltage, near[0]), *near[1:]]
            return moved.apply(element_balance, first, far, known_flux=flux)

        columns.append(jax.jvp(dF_dV, (problem.voltage,), (jnp.ones_like(problem.voltage),))[1])
    through, *loads = ([list(row) for row in zip(*part, strict=True)] for part in zip(*columns, strict=True))
    nothing = [[None] * len(columns)] * (len(near) - len(loads[0]))  # no ion is held anywhere
    return ElementMatrices(*couplings, through, *([*load, *nothing] for load in loads))


_STEPS = tuple(partial(_balance, with_sensitivity=with_sensitivity) for with_sensitivity in (False, True))


def _loaded(problem: Problem, near: Sequence, far: Sequence, own: tuple) -> ElementMatrices:
    """Of a given right-hand side, at the far ends. own: that, and the flux of the ions, which is settled."""
    rhs, flux = own
    _, couplings = linearize(problem, list(near), list(far), list(flux))
    nothing: list = [[None]] * len(near)
    return ElementMatrices(*couplings, nothing, nothing, [[row] for row in rhs])


# --- their elimination --------------------------------------------------------------------------


def _solved(law: Callable, problem: Problem, unknowns: TwoSided, own: Any, transposed: bool = False) -> list[TwoSided]:
    """x of every right-hand side of a law; `own`: the law's own arguments, [*items, element, arm, lane].

    On CPUs the law is translated into the compiled elimination where it can be (`pnp.linalg._cpu.elimination`);
    elsewhere, and for excess potentials that are found by iteration, it is evaluated on arrays.
    """
    compiled = _compiled_for(law, problem, unknowns, own, transposed)
    ways = {} if compiled is None else {"cpu": partial(_by_kernel, *compiled)}
    return dispatch_by_platform(ways, partial(_by_arrays, law, transposed), problem, unknowns, own)


def _compiled_for(law: Callable, problem: Problem, unknowns: TwoSided, own: Any, transposed: bool):
    """XLA's name of the compiled program, if there is one, and what its stamps look like."""
    arguments = _arguments(problem, unknowns, own)
    traced, stamps = traced_law(law, arguments, (None, 0, 1, None))
    name = elimination(stamps.pattern(), batch_size(arguments), traced, transposed)
    return None if name is None else (name, stamps.pattern())


def _by_kernel(name: str, pattern: ElementMatrices, problem: Problem, unknowns: TwoSided, own: Any) -> list[TwoSided]:
    arguments = _arguments(problem, unknowns, own)
    return eliminated(name, pattern, unknowns.shape[1] - 1, batch_size(arguments), jax.tree.leaves(arguments))


def _arguments(problem: Problem, unknowns: TwoSided, own: Any):
    return expand_to_elements(problem), unknowns, unknowns, own


def _by_arrays(law: Callable, transposed: bool, problem: Problem, unknowns: TwoSided, own: Any) -> list[TwoSided]:
    stamps = law(problem, *element_ends(unknowns), own)
    # Without the barrier the compiler works out parts of the derivatives again for each of their uses.
    stamps = jax.lax.optimization_barrier(stamps)
    each = zip(stamps.source_outer, stamps.source_inner, strict=True)
    held = [[_met(*pair) for pair in zip(*rows, strict=True)] for rows in each]
    x = eliminate(BlockCoefficients(*stamps[:4]), stamps.through, held, transposed)
    return [jnp.stack(column) for column in zip(*x, strict=True)]


def _met(near, far):
    """What the nodes beyond the baths hold, of what the halves of elements do."""
    return far if near is None or far is None else jnp.concatenate([far[:-1] + near[1:], far[-1:]])
