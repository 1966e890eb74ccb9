"""What Newton and its users ask of a discretisation, so that there is one Newton for all of them.

Arrays are [unknown, place, *lane] as users see them, where `place` is one axis or two; Newton's own may be arranged
otherwise. Unknowns that are not solved for may be left out of an `interior`.
"""

import abc
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pnp.finite_volume.axial.assembly import MeanFlux, Problem
from pnp.settings import Settings


class LinearisationPoint(NamedTuple):
    """What a Newton step is taken of."""

    problem: Problem
    """The one asked for, or far from its solution one that is easier."""
    unknowns: Array
    flux: Array | None
    """Of the ions, if they are settled in this potential."""
    near: Bool[Array, " lane"] | None
    """Whether it is the problem asked for; None: always, as no guess is far from the solution."""


class Solved(NamedTuple):
    """A problem and its solution."""

    problem: Problem
    unknowns: Array


class Scheme(abc.ABC):
    """A discretisation: elements (see `Problem.elements`), and how their equations are solved."""

    # -- for Newton --

    @abc.abstractmethod
    def arranged(self, values: Array) -> Array:
        """Values at the nodes, [..., place, lane], as Newton wants them."""

    @abc.abstractmethod
    def natural(self, values: Array) -> Array:
        """Back again."""

    @abc.abstractmethod
    def arranged_elements(self, elements):
        """The elements as they belong to arranged values."""

    @abc.abstractmethod
    def moving(self, unknowns: Array) -> Array:
        """Arranged values at the nodes that Newton moves."""

    @abc.abstractmethod
    def held(self, problem: Problem, unknowns: Array) -> Array:
        """Arranged unknowns, at the baths what these are."""

    @abc.abstractmethod
    def linearisation_point(
        self, problem: Problem, unknowns: Array, size, near, settings: Settings
    ) -> LinearisationPoint:
        """Where to take the next step, after one of `size`; near: as the last approach left it, or None."""

    @abc.abstractmethod
    def update(self, problem: Problem, unknowns: Array, with_sensitivity: bool, flux) -> tuple[Array, Array | None]:
        """Newton's update where it moves, and if asked d unknowns / d voltage; arranged. flux: of settled ions."""

    @abc.abstractmethod
    def moved(self, approach: LinearisationPoint, update: Array, size, settings: Settings) -> Array:
        """The next iterate: a step that is cut short far from the solution. size: largest entry of the update."""

    @abc.abstractmethod
    def finished(self, problem: Problem, unknowns: Array) -> Array:
        """Arranged unknowns after the last step, as the solution is to have them."""

    @abc.abstractmethod
    def worst(self, index: Int[Array, " lane"], unknowns: Array) -> Int[Array, "2 lane"]:
        """(unknown, node along the pore) of an index into flattened `moving` values."""

    # -- for its derivatives --

    @abc.abstractmethod
    def interior(self, unknowns: Array) -> Array:
        """Natural unknowns without those that are given."""

    @abc.abstractmethod
    def with_baths(self, problem: Problem, interior: Array) -> Array:
        """Natural unknowns with those that are given."""

    @abc.abstractmethod
    def residual(self, problem: Problem, interior: Array, flux: Float[Array, " ion"] | None = None) -> Array:
        """Imbalance at every node of the interior; flux: of the ions, where it is known to be the same all along."""

    @abc.abstractmethod
    def linear_solution(self, problem: Problem, unknowns: Array, rhs: Array, transposed: bool, flux) -> Array:
        """x with J x = rhs, J the Jacobian of `residual`, or with Jᵀ x = rhs; natural, with lanes. The problem's
        elements are arranged."""

    # -- for what is made of solutions --

    @abc.abstractmethod
    def mean_flux(self, problem: Problem, unknowns: Array) -> MeanFlux:
        """What passes through the pore."""

    @abc.abstractmethod
    def flux_change(self, problem: Problem, interior: Array, sensitivity: Array, share) -> Float[Array, " ion"]:
        """d flux of each ion / d voltage where it meets the greatest resistance, if the interior answers the voltage by
        `sensitivity`; share: as in `MeanFlux`. Without derivatives."""

    @abc.abstractmethod
    def apart(self, share, coarse: Solved, fine: Solved) -> Float[Array, " ion"]:
        """How far the solutions on two meshes are apart where the resistance to each ion is: by how much in ln c of the
        ion, which conducts. share: as in `MeanFlux`."""

    @abc.abstractmethod
    def mouth_potentials(self, problem: Problem, unknowns: Array, x: Array, mouths: Array) -> Float[Array, "2 ion"]:
        """mu at the inside and the outside mouth, the mean over what passes through them, kT; x: of the nodes along
        the pore, nm."""

    @abc.abstractmethod
    def concentrations(self, problem: Problem, unknowns: Array) -> Float[Array, "*place ion"]:
        """At the nodes, mM; seen from all sides and weighted by volume where mu_ex jumps."""


def capped(approach: LinearisationPoint, update: Array, size, settings: Settings, cap):
    """The part of an update to take: all of it once it is small; before, z phi changes by `cap` kT at most."""
    every = tuple(range(update.ndim - 2))
    energy = jnp.max(jnp.abs(approach.problem.valence), axis=0) * jnp.max(jnp.abs(update[0]), axis=every)
    return jnp.where(size < settings.quadratic_threshold, 1.0, jnp.minimum(1.0, cap / energy))
