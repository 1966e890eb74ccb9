"""How a channel is discretised: along its axis (`Axial`), or in the (z, r) plane (`Axisymmetric`)."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import numpy as np

from pnp.analysis.discretized import Discretized, discretize
from pnp.channel.channel import Channel
from pnp.channel.profiles import ChannelError
from pnp.channel.validate import axisymmetric_problems, wall_stretches
from pnp.finite_volume.axial.mesh import DEFAULT_NODES, least_nodes
from pnp.finite_volume.axisymmetric.mesh import CELLS, RESOLUTIONS
from pnp.settings import Refinement
from pnp.tracing import is_traced


class Discretization(abc.ABC):
    """A dimension and a mesh size. Instances are constants to JAX: they hash and compare by their numbers."""

    dimension: ClassVar[int]

    @abc.abstractmethod
    def discretize(self, channel: Channel) -> Discretized:
        """The channel's equations on this discretisation's meshes."""

    @property
    def ladder(self) -> "Sequence[Discretization]":
        """Discretisations that `pnp.solve` and `pnp.iv_curve` try one after the other, until no mesh is too coarse."""
        return (self,)

    @property
    @abc.abstractmethod
    def refinement(self) -> Refinement:
        """How to ask for twice as many elements in each direction."""

    @abc.abstractmethod
    def problems(self, channel: Channel) -> list[str]:
        """What is wrong with a valid channel of known numbers in this dimension, as `path: reason`."""

    @abc.abstractmethod
    def check_size(self, channel: Channel) -> None:
        """Raise ValueError if the mesh is too coarse for the jumps and kinks of a channel of known numbers."""


@dataclass(frozen=True)
class Axial(Discretization):
    """One dimension, along the axis of the pore; every cross-section is taken as well mixed.

    - nodes: elements of the finest mesh, rounded up to a multiple of eight; the two others have half and a quarter as
      many. "auto": 400; and in `pnp.solve` and `pnp.iv_curve` of known numbers up to 6400, at the voltages that need
      it.

    Raises ValueError for anything but "auto" or a whole number from 16 to 1,000,000.
    """

    nodes: int | str = DEFAULT_NODES

    dimension = 1

    def __post_init__(self):
        whole = isinstance(self.nodes, int | np.integer) and not isinstance(self.nodes, bool)
        if self.nodes != "auto" and not (whole and 16 <= int(self.nodes) <= 1_000_000):
            raise ValueError(f'nodes must be "auto" or a whole number from 16 to 1,000,000, not {self.nodes!r}')

    @property
    def elements(self) -> int:
        """Elements of the finest mesh; of "auto" the least."""
        return DEFAULT_NODES if self.nodes == "auto" else int(self.nodes)

    @property
    def ladder(self):
        """As in `Discretization`."""
        return tuple(Axial(nodes) for nodes in LADDER) if self.nodes == "auto" else (self,)

    def discretize(self, channel):
        return discretize(channel, self.elements)

    @property
    def refinement(self):
        finer = 2 * self.elements
        return Refinement("more nodes", f"discretization=pnp.Axial(nodes={finer})", f"--nodes {finer}")

    def problems(self, channel):
        return []

    def check_size(self, channel):
        needed = int(least_nodes(channel))
        if self.elements < needed:
            raise ValueError(
                f"{self.elements} nodes are too few for the jumps and kinks of {channel.name}; give at least {needed}"
            )


@dataclass(frozen=True)
class Axisymmetric(Discretization):
    """Two dimensions, z and r: a pore of revolution with its mouths and the membrane around it.

    - resolution: number of cells in each direction over the default number, 0.25 to 8.
    - nodes: elements of the axial mesh, whose solution is the initial guess.

    Raises ValueError for numbers outside these ranges.
    """

    resolution: float = 1.0
    nodes: int | str = DEFAULT_NODES

    dimension = 2

    def __post_init__(self):
        _ = self.axial
        least, most = RESOLUTIONS
        if not least <= self.resolution <= most:
            raise ValueError(f"resolution must be from {least:g} to {most:g}, not {self.resolution!r}")

    @property
    def axial(self) -> Axial:
        """The discretisation of the initial guess."""
        return Axial(self.nodes)

    def discretize(self, channel):
        return discretize(channel, self.axial.elements, float(self.resolution))

    @property
    def refinement(self):
        finer = f"{2 * self.resolution:g}"
        return Refinement(
            "a higher resolution", f"discretization=pnp.Axisymmetric(resolution={finer})", f"--resolution {finer}"
        )

    def problems(self, channel):
        return axisymmetric_problems(channel)

    def check_size(self, channel):
        self.axial.check_size(channel)
        stretches = wall_stretches(channel)
        enough = 4 * stretches / CELLS["membrane"]
        if self.resolution < enough:
            raise ValueError(
                f"a resolution of {self.resolution:g} is too low for the {stretches} stretches between jumps and "
                f"kinks of {channel.name}; give at least {enough:.2g}"
            )


LADDER = tuple(DEFAULT_NODES * 2**k for k in range(5))
"""Numbers of elements that "auto" tries."""

AXIAL = Axial()
"""The discretisation unless another is given."""


def check_precision() -> None:
    """Raise RuntimeError if JAX's 64-bit mode was switched off after `import pnp`."""
    if not jax.config.read("jax_enable_x64"):
        raise RuntimeError(
            "pnp computes in float64, but JAX's 64-bit mode was switched off after `import pnp`; "
            'switch it on again with jax.config.update("jax_enable_x64", True)'
        )


def check_problem(channel: Channel, discretization: Discretization) -> None:
    """Raise what `pnp.solve` raises of its arguments; of a traced channel only what can be known.

    Raises RuntimeError if JAX's 64-bit mode is off, TypeError for arguments of another type, ChannelError if the
    channel cannot be solved as described, ValueError if the mesh is too coarse for its jumps and kinks.
    """
    check_precision()
    if not isinstance(channel, Channel):
        raise TypeError(f"expected a pnp.Channel, not {type(channel).__name__}; pnp.load reads one from a file")
    if not isinstance(discretization, Discretization):
        raise TypeError(f"discretization must be pnp.Axial(…) or pnp.Axisymmetric(…), not {discretization!r}")
    if is_traced(channel):
        return
    channel.validate()
    with jax.ensure_compile_time_eval():
        found = discretization.problems(channel)
        if found:
            raise ChannelError("; ".join(found))
        discretization.check_size(channel)


def axial_only(discretization: Discretization, what: str) -> Axial:
    """The discretisation, if it is axial. Raises ValueError that names `what` works in one dimension only."""
    if not isinstance(discretization, Axial):
        raise ValueError(f"{what} works in one dimension only: give a pnp.Axial, not {discretization!r}")
    return discretization
