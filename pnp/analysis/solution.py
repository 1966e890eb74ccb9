"""Results: the currents of many cases, and one steady state with its profiles."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pnp.analysis.discretization import AXIAL, Discretization
from pnp.channel.channel import Channel
from pnp.settings import Status


def labels(units: str, long_name: str) -> dict[str, str]:
    """Metadata of a result's field: its unit and its meaning, which `pnp.io.datasets` writes beside the numbers."""
    return {"units": units, "long_name": long_name}


Numbers = Array | np.ndarray
"""Arrays of JAX from `pnp.solve` and `pnp.iv_curve`, of NumPy from `pnp.hysteresis` and `pnp.solve_batch`."""


class CaseResult(eqx.Module):
    """What is known of every case ([case]: voltages, channels or both; none of these axes for a single state)."""

    voltage: Float[Numbers, "*case"] = eqx.field(metadata=labels("mV", "potential inside minus outside"))
    current: Float[Numbers, "*case"] = eqx.field(metadata=labels("pA", "total current, positive outward"))
    """Extrapolated from the two finest of three nested meshes, I(N) + (I(N) − I(N/2)) / 3, as those of the ions are."""
    ion_current: Float[Numbers, "*case ion"] = eqx.field(metadata=labels("pA", "current of each ion, positive outward"))
    mesh_current: Float[Numbers, "*case mesh"] = eqx.field(
        metadata=labels("pA", "total current on each of the meshes, the coarsest first")
    )
    """With a quarter, half and all of the elements."""
    status: Int[Numbers, "*case"] = eqx.field(metadata=labels("1", "how the solve ended"))
    conservation_error: Float[Numbers, "*case"] = eqx.field(metadata=labels("1", "largest |ΔI|/|I| along x"))
    """Largest deviation of the ion currents along x from their mean, relative to the current (or to 0.1 % of what kT/e
    drives through the pore, where the current is smaller); in elements of less than average resistance in proportion
    to it."""
    discretization_error: Float[Numbers, "*case"] = eqx.field(
        metadata=labels("1", "estimated error of the current / |I|")
    )
    """Of `current`, relative as above: its difference from the value extrapolated from the two coarser meshes, see
    `mesh_hierarchy.extrapolation_error`; NaN if there is no solution on the coarsest."""
    elements: Int[Numbers, "*case"] = eqx.field(metadata=labels("1", "elements of the finest mesh along the axis"))
    iterations: Int[Numbers, "*case"] = eqx.field(metadata=labels("1", "Newton steps on all meshes"))
    worst_ion: Int[Numbers, "*case"]
    """Unconverged, the unknown that kept changing most: the index of an ion, or −1 for the potential."""
    worst_x: Float[Numbers, "*case"]
    """Where it kept changing, nm, or where the pore is closed; NaN otherwise."""


class Currents(CaseResult):
    """Currents of many cases ([case]: voltages, channels or both). Unconverged, a case is NaN (see `status`)."""

    ion_names: tuple[str, ...] = eqx.field(static=True)
    discretization: Discretization = eqx.field(static=True)

    @property
    def converged(self) -> Bool[Numbers, "*case"]:
        """True where there is a value."""
        return self.status != Status.NOT_CONVERGED

    @property
    def dimension(self) -> int:
        """1 or 2."""
        return self.discretization.dimension

    def messages(self) -> list[str]:
        """The text of each case's status, with what to do about it."""
        each = self.status, self.discretization_error, self.worst_ion, self.worst_x
        cases = zip(*(np.ravel(value).tolist() for value in each), strict=True)
        return [status_message(s, e, ion, x, self.ion_names, self.discretization) for s, e, ion, x in cases]


def status_message(
    status: int,
    error: float,
    worst_ion: int,
    worst_x: float,
    ion_names: tuple[str, ...],
    discretization: Discretization = AXIAL,
) -> str:
    """The text of a status: with the error (relative) if the mesh is too coarse, with the place where Newton's update
    stayed largest if it did not converge."""
    known = f"is estimated as {100 * error:.2g} %" if np.isfinite(error) else "is not known"
    text = Status(status).advice(discretization.refinement, f"{known} and may be above 1 %")
    if status == Status.CLOSED:
        return f"{text}, at {'xz'[discretization.dimension - 1]} = {worst_x:.4g} nm"
    if status != Status.NOT_CONVERGED:
        return text
    what = "the potential" if worst_ion < 0 else f"the concentration of {ion_names[worst_ion]}"
    return f"{text}; what kept changing was {what} at {'xz'[discretization.dimension - 1]} = {worst_x:.4g} nm"


class State(CaseResult):
    """A steady state at one voltage, in numbers. Unconverged, every one of them is NaN (see `status`); of a closed pore
    what flows is zero, and all else is NaN."""

    x: Float[Array, " node"] = eqx.field(
        metadata=labels("nm", "position along the axis from inside to outside, 0 at the inside mouth")
    )
    """In two dimensions of the nodes on the axis, one of each slice."""
    z: Float[Array, "node across"] | None = eqx.field(metadata=labels("nm", "position along the axis"))
    """Of the nodes of each slice; None in one dimension."""
    r: Float[Array, "node across"] | None = eqx.field(metadata=labels("nm", "distance from the axis"))
    """Of the nodes of each slice; None in one dimension."""
    potential: Float[Array, "node *across"] = eqx.field(
        metadata=labels("mV", "electric potential on the finest mesh, zero in the outside bath")
    )
    concentration: Float[Array, "node *across ion"] = eqx.field(
        metadata=labels("mM", "concentration on the finest mesh, zero in the membrane")
    )
    """Where a potential of mean force jumps, the mean over the node's volume."""
    flux_density: Float[Array, "2 slab cell ion"] | None = eqx.field(
        metadata=labels("1/nm2/ns", "ions per area and time on the finest mesh")
    )
    """Along z and away from the axis; None in one dimension."""
    resistance: Float[Array, " 3"] = eqx.field(
        metadata=labels("GΩ", "what is dissipated in each part, over the current squared")
    )
    """Of the access from inside, the pore and the access from outside. Their sum is V/I between equal baths. NaN
    without current."""
    flux: Float[Array, " ion"] = eqx.field(metadata=labels("1/ns", "ions through the pore, positive outward"))


class Solution(State):
    """A steady state of a channel at one voltage. Unconverged, every number in it is NaN (see `status`)."""

    channel: Channel
    discretization: Discretization = eqx.field(static=True)

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
        numbers = float(self.discretization_error), int(self.worst_ion), float(self.worst_x)
        return status_message(int(self.status), *numbers, self.ion_names, self.discretization)

    def to_xarray(self):
        """An `xarray.Dataset` of the state with units, names and provenance (`pnp.io.datasets.solution_dataset`)."""
        from pnp.io.datasets import solution_dataset

        return solution_dataset(self)

    def to_vtu(self, path) -> None:
        """Write an axisymmetric solution as .vtu, for ParaView (`pnp.io.vtu.write_vtu`)."""
        from pnp.io.vtu import write_vtu

        write_vtu(self, path)
