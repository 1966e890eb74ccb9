"""What a discretisation provides, in three parts: for Newton's method, for derivatives, for observables.

Arrays are [unknown, *place, *batch], where `place` is one axis (axial) or two (axisymmetric). Newton's own arrays may
have another layout. An `interior` leaves out the unknowns that the baths fix.
"""

import abc
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp.finite_volume.problem import Problem
from pnp.settings import Settings


class LinearisationPoint(NamedTuple):
    """Where a Newton step is taken."""

    problem: Problem
    """The problem itself, or, far from its solution, an easier one."""
    unknowns: Array
    flux: Array | None
    """Flux of each ion, if Nernst–Planck is solved at this potential."""
    converging: Bool[Array, " batch"] | None
    """Whether the step is one of the problem itself; None: always."""


class MeanFlux(NamedTuple):
    """Flux of each ion through the pore, mM nm³/ns."""

    mean: Float[Array, " ion"]
    deviation: Float[Array, "ion element"]
    """From the mean; it has no derivative."""
    resistance_fraction: Float[Array, "ion element"]
    """Of the whole resistance to each ion; without derivative."""


class NewtonOperations(abc.ABC):
    """What Newton's method needs."""

    @abc.abstractmethod
    def to_solver_layout(self, values: Array) -> Array:
        """Values at the nodes, [..., *place, batch], in Newton's layout."""

    @abc.abstractmethod
    def from_solver_layout(self, values: Array) -> Array:
        """The inverse of `to_solver_layout`."""

    @abc.abstractmethod
    def elements_in_solver_layout(self, elements):
        """The elements that belong to values in Newton's layout."""

    @abc.abstractmethod
    def free_unknowns(self, unknowns: Array) -> Array:
        """The unknowns that Newton changes; in its layout."""

    @abc.abstractmethod
    def with_dirichlet_values(self, problem: Problem, unknowns: Array) -> Array:
        """The unknowns with their given values in the baths; in Newton's layout."""

    @abc.abstractmethod
    def linearisation_point(self, problem: Problem, unknowns: Array, size, converging, settings) -> LinearisationPoint:
        """Where to take the next step.

        - size: the largest entry of the last update, kT, [batch].
        - converging: that of the last linearisation point, or None.
        """

    @abc.abstractmethod
    def newton_update(
        self, problem: Problem, unknowns: Array, with_sensitivity: bool, flux
    ) -> tuple[Array, Array | None]:
        """Newton's update of the free unknowns and, if asked for, d unknowns / d voltage; in Newton's layout.

        - flux: that of each ion where Nernst–Planck is solved at this potential, or None.
        """

    @abc.abstractmethod
    def apply_update(self, point: LinearisationPoint, update: Array, size, settings: Settings) -> Array:
        """The next iterate; the step is damped far from the solution. size: the largest entry of the update."""

    @abc.abstractmethod
    def finish(self, problem: Problem, unknowns: Array) -> Array:
        """The unknowns as the solution has them, after the last step; in Newton's layout."""

    @abc.abstractmethod
    def locate(self, index: Int[Array, " batch"], unknowns: Array) -> Int[Array, "2 batch"]:
        """(unknown, node along the pore) of an index into the flattened free unknowns."""


class DerivativeOperations(abc.ABC):
    """What derivatives by the implicit function theorem need."""

    @abc.abstractmethod
    def interior(self, unknowns: Array) -> Array:
        """The unknowns without those that the baths fix."""

    @abc.abstractmethod
    def with_baths(self, problem: Problem, interior: Array) -> Array:
        """The unknowns with those that the baths fix."""

    @abc.abstractmethod
    def residual(self, problem: Problem, interior: Array, flux: Float[Array, " ion"] | None = None) -> Array:
        """Imbalance of charge and of each ion at every interior node.

        - flux: that of each ion, where it is known to be the same all along.
        """

    @abc.abstractmethod
    def solve_linearised(self, problem: Problem, unknowns: Array, rhs: Array, transposed: bool, flux) -> Array:
        """x with J x = rhs, or Jᵀ x = rhs, where J is the Jacobian of `residual`.

        - problem: with its elements in Newton's layout; all else in the natural one, with a batch axis.
        """


class Observables(abc.ABC):
    """What is computed from solutions."""

    @abc.abstractmethod
    def mean_flux(self, problem: Problem, unknowns: Array) -> MeanFlux:
        """Flux of each ion through the pore."""

    @abc.abstractmethod
    def flux_sensitivity(self, problem: Problem, interior: Array, sensitivity: Array, fraction) -> Float[Array, " ion"]:
        """d flux / d voltage of each ion where its resistance is largest; without derivatives.

        - sensitivity: d interior / d voltage.
        - fraction: `MeanFlux.resistance_fraction`.
        """

    @abc.abstractmethod
    def mouth_potentials(self, problem: Problem, unknowns: Array, x: Array, mouths: Array) -> Float[Array, "2 ion"]:
        """mu at the inside and the outside mouth, the mean over the flux through them, kT.

        - x: positions of the nodes along the pore, nm.
        """

    @abc.abstractmethod
    def concentrations(self, problem: Problem, unknowns: Array) -> Float[Array, "*place ion"]:
        """At the nodes, mM; the mean over the node's volume where mu_ex jumps."""

    @abc.abstractmethod
    def flux_density(self, problem: Problem, unknowns: Array, x, r) -> Float[Array, "2 slab cell ion"] | None:
        """Of each ion along z and away from the axis, mM nm/ns; None in one dimension. x, r: of the nodes, nm."""


class Scheme(NewtonOperations, DerivativeOperations, Observables):
    """A discretisation: how the equations on one kind of elements are solved. Schemes have no data."""


def damping(point: LinearisationPoint, update: Array, size, settings: Settings, largest):
    """The fraction of an update to take: all of it once it is small; before, z phi changes by `largest` kT at most."""
    every = tuple(range(update.ndim - 2))
    energy = jnp.max(jnp.abs(point.problem.valence), axis=0) * jnp.max(jnp.abs(update[0]), axis=every)
    return jnp.where(size < settings.quadratic_threshold, 1.0, jnp.minimum(1.0, largest / energy))
