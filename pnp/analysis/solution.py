"""Results: the currents of many cases, and one steady state with its profiles."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int

from pnp.analysis.discretization import AXIAL, Discretization
from pnp.channel.channel import Channel
from pnp.settings import Status


class Currents(eqx.Module):
    """Currents of many cases ([case]: voltages, channels or both). Unconverged, a case is NaN (see `status`).

    The errors are those of `Solution`.
    """

    voltage: Float[Array, "*case"]
    """mV."""
    current: Float[Array, "*case"]
    """pA, positive outward."""
    ion_current: Float[Array, "*case ion"]
    """pA."""
    extrapolated_current: Float[Array, "*case"]
    """pA, from both meshes: see `Solution.extrapolated_current`."""
    status: Int[Array, "*case"]
    conservation_error: Float[Array, "*case"]
    discretization_error: Float[Array, "*case"]
    iterations: Int[Array, "*case"]
    worst_ion: Int[Array, "*case"]
    worst_x: Float[Array, "*case"]
    ion_names: tuple[str, ...] = eqx.field(static=True)
    discretization: Discretization = eqx.field(static=True)
    """What was solved."""

    @property
    def converged(self) -> Array:
        """[case], True where there is a value."""
        return self.status != Status.NOT_CONVERGED

    @property
    def dimension(self) -> int:
        """1 or 2."""
        return self.discretization.dimension

    def messages(self) -> list[str]:
        """The text of each case's status, with what to do about it."""
        status, ion, x = (np.ravel(value).tolist() for value in (self.status, self.worst_ion, self.worst_x))
        cases = zip(status, ion, x, strict=True)
        return [status_message(*case, self.ion_names, self.discretization) for case in cases]


def status_message(
    status: int, worst_ion: int, worst_x: float, ion_names: tuple[str, ...], discretization: Discretization = AXIAL
) -> str:
    """The text of a status, with the place where Newton's update stayed largest if it did not converge."""
    text = Status(status).advice(discretization.refinement)
    if status != Status.NOT_CONVERGED:
        return text
    what = "the potential" if worst_ion < 0 else f"the concentration of {ion_names[worst_ion]}"
    return f"{text}; what kept changing was {what} at {'xz'[discretization.dimension - 1]} = {worst_x:.4g} nm"


class State(eqx.Module):
    """A steady state at one voltage, in numbers. Unconverged, every one of them is NaN (see `status`).

    conservation_error: largest deviation of the ion currents along x from their mean, relative to
    the current (or to 0.1 % of what kT/e drives through the pore, where the current is smaller); in elements
    of less than average resistance in proportion to it.
    discretization_error: estimated from the coarser mesh as |I(N) − I(N/2)| / 3, relative alike; NaN if there is no
    solution on that one, and so is the extrapolated current.
    """

    voltage: Float[Array, ""]
    """mV."""
    x: Float[Array, " node"]
    """nm; in two dimensions z, of slices of nodes."""
    r: Float[Array, "node across"] | None
    """nm, of the nodes of each slice; None in one dimension."""
    potential: Float[Array, "node *across"]
    """mV, zero in the outside bath."""
    concentration: Float[Array, "node *across ion"]
    """mM; where a potential of mean force jumps, the mean over the node's volume; zero in the membrane."""
    flux_density: Float[Array, "2 slab cell ion"] | None
    """Ions per nm² and ns, along z and away from the axis; None in one dimension."""
    resistance: Float[Array, " 3"]
    """GΩ, of the access from inside, the pore and the access from outside: what each dissipates per current squared.
    Their sum is V/I between equal baths. NaN without current."""
    flux: Float[Array, " ion"]
    """Ions per ns through the pore, positive outward."""
    ion_current: Float[Array, " ion"]
    """pA, positive outward."""
    current: Float[Array, ""]
    """pA, positive outward."""
    extrapolated_current: Float[Array, ""]
    """pA: the current of both meshes extrapolated to no mesh at all (Richardson), I(N) + (I(N) − I(N/2)) / 3.
    Usually far closer than `discretization_error`, which is that of `current`, says."""
    status: Int[Array, ""]
    conservation_error: Float[Array, ""]
    discretization_error: Float[Array, ""]
    iterations: Int[Array, ""]
    worst_ion: Int[Array, ""]
    """If it did not converge, the unknown that kept changing most: the index of an ion, or −1 for the potential."""
    worst_x: Float[Array, ""]
    """Where it did, nm; NaN if it converged."""


class Solution(State):
    """A steady state of a channel at one voltage. Unconverged, every number in it is NaN (see `status`)."""

    channel: Channel
    discretization: Discretization = eqx.field(static=True)
    """What was solved."""

    @property
    def ion_names(self) -> tuple[str, ...]:
        """Names along the `ion` axis."""
        return self.channel.ion_names

    @property
    def dimension(self) -> int:
        """1 or 2."""
        return self.discretization.dimension

    @property
    def message(self) -> str:
        """The text of the status, with what to do about it."""
        worst = int(self.worst_ion), float(self.worst_x)
        return status_message(int(self.status), *worst, self.ion_names, self.discretization)

    def to_xarray(self):
        """An `xarray.Dataset` of the profiles with units, names and provenance."""
        from pnp.io.datasets import solution_dataset

        return solution_dataset(self)

    def to_vtu(self, path) -> None:
        """Write a solution of two dimensions as .vtu, for ParaView; see `pnp.io.vtu.write_vtu`, and what it raises."""
        from pnp.io.vtu import write_vtu

        write_vtu(self, path)
