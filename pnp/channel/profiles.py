"""Quantities along x: constants, tables with jumps, functions."""

import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp.tracing import is_traced

SHORT_TABLE = 32
"""Rows of a table up to which each of them is a node of the mesh, and a number with a path of its own."""

FUNCTION_SAMPLES = 10_000
"""Points at which a mesh looks at a function: a bump with a standard deviation of 1e-4 of the pore has six of them."""


class ChannelError(ValueError):
    """A channel that cannot be solved as described; the message lists everything that is wrong."""


class Profile(eqx.Module):
    """A quantity along x: call it with positions in nm."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]: ...

    @abc.abstractmethod
    def reflected(self) -> "Profile":
        """The same quantity with x turned round: f(−x)."""

    def breakpoints(self) -> list[Any]:
        """Positions where the quantity or its slope jumps, on which the mesh puts nodes, nm."""
        return []

    def looked_at(self, start: Any, end: Any) -> list[Float[Array, " point"]]:
        """Where from `start` to `end` a mesh has to look at the quantity, apart from some points between any two
        breakpoints, nm. Of a function, whose features are not known, everywhere."""
        return [start + (end - start) * (np.arange(FUNCTION_SAMPLES) + 0.5) / FUNCTION_SAMPLES]

    def smallest(self, start: Any, end: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(position in nm, value) where the quantity is smallest from `start` to `end`; of a function, at the points
        where a mesh looks at it. The numbers may be traced."""
        (x,) = self.looked_at(start, end)
        values = self(x)
        at = jnp.argmin(values)
        return x[at], values[at]

    def table(self) -> "Table | None":
        """Its values at the positions it is given at, where a repeated position is a jump; None if it has none."""
        return None

    def extremes(self, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
        """(positions in nm, values) from `start` to `end`, with the largest and the smallest value; of known numbers.

        Of a function, whose extremes are not known, values at 2000 points.
        """
        x = start + (end - start) * (np.arange(2000) + 0.5) / 2000
        return x, np.asarray(self(jnp.asarray(x)))


class Constant(Profile):
    """The same value everywhere."""

    value: Float[Array, "*case"] | float

    def __call__(self, x):
        return jnp.broadcast_to(self.value, jnp.shape(x)).astype(float)

    def reflected(self):
        return self

    def looked_at(self, start, end):
        return []

    def smallest(self, start, end):
        return jnp.asarray(start, float), jnp.asarray(self.value, float)

    def extremes(self, start, end):
        return np.array([start]), np.array([self.value], float)


class Table(Profile):
    """Linear between the rows, constant beyond the first and the last; a repeated x is a jump.

    The mesh has nodes at every row of a short table. Of a long one, such as a radius profile from HOLE,
    it has nodes at the jumps only.
    """

    x: Float[Array, "*case row"]
    y: Float[Array, "*case row"]
    node_index: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, x: ArrayLike, y: ArrayLike, node_index: tuple[int, ...] | None = None):
        """The rows of a table.

        - x: [row], nm, in increasing order.
        - y: [row].
        - node_index: rows that are nodes of the mesh, if known from another table; found from x if not given.

        Raises ChannelError.
        """
        self.x, self.y = jnp.asarray(x, float), jnp.asarray(y, float)
        self.node_index = _node_index(self.x, self.y) if node_index is None else node_index

    def __call__(self, x):
        if self.x.size > SHORT_TABLE:
            return jnp.interp(x, self.x, self.y)

        return _interpolate_short(jnp.asarray(x), self.x, self.y)

    def reflected(self):
        size, index = self.x.size, self.node_index
        first_of_pairs = tuple(size - 2 - i for i in reversed(index))
        return Table(-self.x[::-1], self.y[::-1], index if len(index) == size else first_of_pairs)

    def breakpoints(self):
        return [self.x[i] for i in self.node_index]

    def looked_at(self, start, end):
        return [self.x] if self.x.size > SHORT_TABLE else []

    def smallest(self, start, end):
        x = jnp.clip(self.x, start, end)
        values = jnp.where(x == self.x, self.y, jnp.interp(x, self.x, self.y))
        at = jnp.argmin(values)
        return x[at], values[at]

    def table(self):
        return self

    def extremes(self, start, end):
        x, y = np.asarray(self.x), np.asarray(self.y)
        ends, inner = np.array([start, end]), (x > start) & (x < end)
        return np.concatenate([ends, x[inner]]), np.concatenate([np.interp(ends, x, y), y[inner]])

    def kinks(self) -> tuple[int, ...]:
        """Rows at which the mesh has nodes, both of each jump included."""
        return tuple(sorted({j for i in self.node_index for j in (i, i + 1) if j < self.x.size}))


@partial(jax.jit, inline=True)
def _interpolate_short(at: Float[Array, "..."], x: Float[Array, " row"], y: Float[Array, " row"]):
    """Values of a table by one piece after the other: much faster than the searches and gathers of `jnp.interp`."""

    def with_piece(value, piece):
        left, right, low, high = piece
        slope = (high - low) / jnp.where(right > left, right - left, 1.0)  # no position lies in a jump
        return jnp.where((at >= left) & (at < right), low + (at - left) * slope, value), None

    value = jnp.where(at < x[0], y[0], y[-1])
    return jax.lax.scan(with_piece, value, (x[:-1], x[1:], y[:-1], y[1:]), unroll=4)[0]


def _node_index(x: Array, y: Array) -> tuple[int, ...]:
    """Rows of a new table at which the mesh has nodes; of a jump of a long one the first row."""
    if x.ndim != 1 or x.shape != y.shape:
        raise ChannelError(f"a profile needs as many values as positions, not {y.shape} on {x.shape}")
    if x.size < 2:
        raise ChannelError("a profile needs at least two positions")
    every = tuple(range(x.size))
    if is_traced(x):  # whether positions increase, and where they repeat, is not known
        if x.size > SHORT_TABLE:
            raise ChannelError(f"a profile at positions that are traced by JAX can have {SHORT_TABLE} of them at most")
        return every
    known = np.asarray(x)
    if not np.all(np.isfinite(known)) or np.any(np.diff(known) < 0):
        raise ChannelError("the positions of a profile must be finite and increasing")
    return every if known.size <= SHORT_TABLE else tuple(map(int, np.flatnonzero(np.diff(known) == 0)))


class Function(Profile):
    """A callable of x in nm, written with `jax.numpy` and evaluated on the mesh."""

    function: Callable = eqx.field(static=True)
    turned: bool = eqx.field(static=True, default=False)
    """Whether it is evaluated at −x."""

    def __call__(self, x):
        return jnp.broadcast_to(self.function(-x if self.turned else x), jnp.shape(x)).astype(float)

    def reflected(self):
        return Function(self.function, not self.turned)


class Circle(Profile):
    """The area π r(x)² of a round pore of given radius, nm²."""

    radius: Profile

    def __call__(self, x):
        return jnp.pi * self.radius(x) ** 2

    def reflected(self):
        return Circle(self.radius.reflected())

    def breakpoints(self):
        return self.radius.breakpoints()

    def looked_at(self, start, end):
        return self.radius.looked_at(start, end)

    def smallest(self, start, end):
        x, radius = self.radius.smallest(start, end)
        return x, jnp.pi * radius**2

    def extremes(self, start, end):
        x, radius = self.radius.extremes(start, end)
        return x, np.pi * radius**2

    def table(self):
        radius = self.radius.table()
        return None if radius is None else Table(radius.x, jnp.pi * radius.y**2, radius.node_index)


def as_profile(value: Any, x: ArrayLike | None = None) -> Profile:
    """A Profile from a scalar, a callable, or an array of values at the positions `x` (nm); a Profile as it is.

    Raises ChannelError for an array without positions.
    """
    if isinstance(value, Profile):
        return value
    if callable(value):
        return Function(value)
    value = jnp.asarray(value, float)
    if value.ndim == 0:
        return Constant(value)
    if x is None:
        raise ChannelError("a profile given as an array needs the positions it is given at")
    return Table(x, value)
