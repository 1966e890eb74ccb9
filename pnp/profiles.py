"""Quantities along x: constants, tables with jumps, functions."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float


class ChannelError(ValueError):
    """A channel that cannot be solved as described; the message lists everything that is wrong."""


class Profile(eqx.Module):
    """A quantity along x: call it with positions in nm."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        raise NotImplementedError

    def jumps(self) -> list[Any]:
        """Positions where the quantity jumps, on which the mesh must put nodes."""
        return []


class Constant(Profile):
    """The same value everywhere."""

    value: Float[Array, ""] | float

    def __call__(self, x):
        return jnp.broadcast_to(self.value, jnp.shape(x)).astype(float)


class Table(Profile):
    """Linear between points, constant beyond the ends; a repeated x is a jump."""

    x: Float[Array, " point"]
    y: Float[Array, " point"]
    jump_index: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, x: ArrayLike, y: ArrayLike):
        self.x, self.y = jnp.asarray(x, float), jnp.asarray(y, float)
        x = np.asarray(x, float)
        if x.ndim != 1 or x.shape != self.y.shape:
            raise ChannelError(f"a profile needs as many values as positions, not {self.y.shape} on {x.shape}")
        if x.size < 2 or not np.all(np.isfinite(x)) or np.any(np.diff(x) < 0):
            raise ChannelError("the positions of a profile must be at least two, finite and increasing")
        self.jump_index = tuple(int(i) for i in np.flatnonzero(np.diff(x) == 0))

    def __call__(self, x):
        return jnp.interp(x, self.x, self.y)

    def jumps(self):
        return [self.x[i] for i in self.jump_index]


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

    def jumps(self):
        return self.radius.jumps()


def as_profile(value: Any, x: ArrayLike | None = None) -> Profile:
    """A Profile from a scalar, a callable, or an array of values at the positions `x`."""
    if isinstance(value, Profile):
        return value
    if callable(value):
        return Function(value)
    if jnp.ndim(value) == 0:
        return Constant(jnp.asarray(value, float))
    if x is None:
        raise ChannelError("a profile given as an array needs the positions it is given at")
    return Table(x, value)


class Reflected(Profile):
    """The same quantity with x turned round."""

    profile: Profile

    def __call__(self, x):
        return self.profile(-x)

    def jumps(self):
        return [-j for j in self.profile.jumps()]
