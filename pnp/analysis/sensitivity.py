"""Derivatives of the current by the numbers of a channel, each with its discretisation error."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from pnp.analysis.discretization import AXIAL, Discretization, check_problem
from pnp.analysis.discretized import Discretized
from pnp.analysis.mesh_hierarchy import (
    assess,
    extrapolated,
    extrapolation_error,
    solve_on_meshes,
    without_profiles,
)
from pnp.analysis.solution import labels
from pnp.channel.channel import Channel
from pnp.channel.numbers import numbers
from pnp.channel.values import put_values
from pnp.quantity import as_millivolts
from pnp.settings import Settings


class Sensitivity(eqx.Module):
    """dI/dp of one state by the numbers p of a channel."""

    paths: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    """Of the numbers; "" for none."""
    value: Float[Array, " path"]
    """Of the numbers, in these units."""
    derivative: Float[Array, " path"] = eqx.field(metadata=labels("pA per unit", "derivative of the current"))
    """Extrapolated from two meshes, as the current is."""
    discretization_error: Float[Array, " path"] = eqx.field(metadata=labels("pA per unit", "its estimated error"))
    """As that of the current, `mesh_hierarchy.extrapolation_error`; of the derivative itself, not relative."""
    current: Float[Array, ""]
    """pA."""
    status: Int[Array, ""]
    """As that of `Solution`; unconverged, the current and its derivatives are NaN."""

    @property
    def elasticity(self) -> Float[Array, " path"]:
        """d ln I / d ln p: by how many per cent the current changes if a number changes by one."""
        return self.derivative * self.value / self.current


def sensitivity(
    channel: Channel,
    voltage: ArrayLike | str,
    paths: Sequence[str],
    *,
    discretization: Discretization = AXIAL,
    settings: Settings | None = None,
) -> Sensitivity:
    """Derivatives of the current by numbers of a channel, with their errors.

    - voltage: mV, or a string with its unit.
    - paths: as in a channel file, such as "pore.charge.0.amount" or "inside.K" (`pnp.channel.numbers`).
    - discretization: as in `pnp.solve`.

    By the implicit function theorem on each of three meshes, whose positions are held; what that neglects vanishes as
    the mesh is refined, and so is part of the error. `jax.grad` of `pnp.solve(…).current` gives the same derivative
    without an error.

    Raises KeyError for a path that is none, ValueError for none, for two that set the same number, and for one of a
    number that the current cannot be differentiated by, such as a position where something jumps; ChannelError,
    TypeError and ValueError as `pnp.solve`.
    """
    check_problem(channel, discretization)
    if isinstance(paths, str) or not paths:
        raise ValueError(f"paths must be a list of paths such as inside.K, not {paths!r}")
    table, paths = numbers(channel), tuple(paths)
    values = jnp.array([channel.value(path) for path in paths], float)
    fixed = [path for path in paths if not table[path].smooth]
    if fixed:
        raise ValueError(
            f"the current cannot be differentiated by {', '.join(fixed)}: nodes of the mesh lie there, or what "
            "lies elsewhere moves with it; compare two values instead"
        )
    discretized, tangents = _discretized(channel, paths, values, discretization.ladder[0])
    state, on_meshes = _differentiated(discretized, tangents, as_millivolts(voltage), settings or Settings())
    return Sensitivity(
        paths=paths,
        units=tuple(table[path].kind.unit for path in paths),
        value=values,
        derivative=extrapolated(on_meshes[1], on_meshes[2]),
        discretization_error=extrapolation_error(on_meshes),
        current=state["current"],
        status=state["status"],
    )


def contract(cotangents, tangents) -> Float[Array, " parameter"]:
    """Derivatives of a number by parameters: those by a discretised channel times those of that by the parameters.

    - cotangents: a tree like the discretised channel. tangents: the same, with an axis [parameter] in front.
    """
    both = (jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (cotangents, tangents))
    return sum(c.reshape(-1) @ t.reshape(len(t), -1).T for c, t in zip(*both, strict=True))  # type: ignore


@eqx.filter_jit
def _discretized(channel: Channel, paths: tuple[str, ...], values: Float[Array, " path"], discretization):
    """The discretised channel, and its derivatives by the numbers, [path]."""
    made = lambda values: discretization.discretize(put_values(channel, dict(zip(paths, values, strict=True))))
    value, derivative = jax.linearize(made, values)
    return value, jax.vmap(derivative)(jnp.eye(values.size))


@eqx.filter_jit
def _differentiated(discretized: Discretized, tangents, voltage, settings: Settings):
    """The state, and the derivative of the current on each mesh by every number, [mesh, path].

    The same program for all channels of as many ions and nodes and as many numbers, whatever these are.
    """

    def currents(discretized):
        solutions = solve_on_meshes(discretized, voltage, settings, constant_coarsest=False)
        state, _ = assess(discretized, voltage, solutions)
        return state.mesh_current, without_profiles(state)

    on_meshes, pull, state = jax.vjp(currents, discretized, has_aux=True)
    return state, jax.lax.map(lambda one: contract(pull(one)[0], tangents), jnp.eye(on_meshes.size))
