"""Quantities along x: constants, tables with jumps, functions."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp.tracing import is_traced

_SHORT = 32  # points of a table that the mesh can afford a node each


class ChannelError(ValueError):
    """A channel that cannot be solved as described; the message lists everything that is wrong."""


class Profile(eqx.Module):
    """A quantity along x: call it with positions in nm."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]: ...

    def breakpoints(self) -> list[Any]:
        """Positions where the quantity or its slope jumps, on which the mesh puts nodes."""
        return []

    def table(self) -> "Table | None":
        """Its values at the points it is given at, a position that is repeated being a jump; None if it has none."""
        return None


class Constant(Profile):
    """The same value everywhere."""

    value: Float[Array, ""] | float

    def __call__(self, x):
        return jnp.broadcast_to(self.value, jnp.shape(x)).astype(float)


class Table(Profile):
    """Linear between points, constant beyond the ends; a repeated x is a jump.

    The mesh puts nodes on the points of a short table; of a long one, such as a radius profile from
    HOLE, on the jumps only.
    """

    x: Float[Array, " point"]
    y: Float[Array, " point"]
    node_index: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, x: ArrayLike, y: ArrayLike, node_index: tuple[int, ...] | None = None):
        """x: nm. node_index: the points that the mesh puts nodes on, if known from a table that was checked before."""
        self.x, self.y = jnp.asarray(x, float), jnp.asarray(y, float)
        if node_index is not None:
            self.node_index = node_index
            return
        if self.x.ndim != 1 or self.x.shape != self.y.shape:
            raise ChannelError(f"a profile needs as many values as positions, not {self.y.shape} on {self.x.shape}")
        if self.x.size < 2:
            raise ChannelError("a profile needs at least two positions")
        every = tuple(range(self.x.size))
        if is_traced(self.x):  # positions that are computed: nothing of them is known here
            if self.x.size > _SHORT:
                raise ChannelError(f"a profile at positions that are traced by JAX can have {_SHORT} of them at most")
            self.node_index = every
            return
        x = np.asarray(self.x)
        if not np.all(np.isfinite(x)) or np.any(np.diff(x) < 0):
            raise ChannelError("the positions of a profile must be finite and increasing")
        short = every if x.size <= _SHORT else np.flatnonzero(np.diff(x) == 0)
        self.node_index = tuple(map(int, short))

    def __call__(self, x):
        if self.x.size > _SHORT:
            return jnp.interp(x, self.x, self.y)

        # Each piece in turn, where x lies in it: far faster than the searches and gathers of jnp.interp.
        def with_piece(value, piece):
            left, right, low, high = piece
            slope = (high - low) / jnp.where(right > left, right - left, 1.0)  # no x is in a jump
            return jnp.where((x >= left) & (x < right), low + (x - left) * slope, value), None

        value = jnp.where(x < self.x[0], self.y[0], self.y[-1])
        return jax.lax.scan(with_piece, value, (self.x[:-1], self.x[1:], self.y[:-1], self.y[1:]), unroll=4)[0]

    def breakpoints(self):
        return [self.x[i] for i in self.node_index]

    def table(self):
        return self

    def kinks(self) -> tuple[int, ...]:
        """Points on which the mesh puts nodes if jumps have two each."""
        return tuple(sorted({j for i in self.node_index for j in (i, i + 1) if j < self.x.size}))


class Function(Profile):
    """A callable of x in nm, evaluated on the mesh. It must be written with `jax.numpy`."""

    function: Callable = eqx.field(static=True)

    def __call__(self, x):
        return jnp.broadcast_to(self.function(x), jnp.shape(x)).astype(float)


class Circle(Profile):
    """The area π r(x)² of a round pore of given radius, nm²."""

    radius: Profile

    def __call__(self, x):
        return jnp.pi * self.radius(x) ** 2

    def breakpoints(self):
        return self.radius.breakpoints()

    def table(self):
        radius = self.radius.table()
        return None if radius is None else Table(radius.x, jnp.pi * radius.y**2, radius.node_index)


def as_profile(value: Any, x: ArrayLike | None = None) -> Profile:
    """A Profile from a scalar, a callable, or an array of values at the positions `x`."""
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


class Reflected(Profile):
    """The same quantity with x turned round."""

    profile: Profile

    def __call__(self, x):
        return self.profile(-x)

    def breakpoints(self):
        return [-j for j in self.profile.breakpoints()]

    def table(self):
        given = self.profile.table()
        if given is None:
            return None
        size, index = given.x.size, given.node_index
        mirrored = index if len(index) == size else tuple(size - 2 - i for i in reversed(index))  # the first of a pair
        return Table(-given.x[::-1], given.y[::-1], mirrored)
