"""Numbers of a channel that can be fitted, by path, and how each kind is fitted: its scale, bounds and spread."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pnp import quantity as q
from pnp.channel.channel import Channel
from pnp.channel.numbers import ChannelNumber, numbers
from pnp.channel.values import nearest


class Measure(NamedTuple):
    """How a kind of number is fitted.

    - quantity: its kind, and with it its unit.
    - logarithmic: whether its logarithm is fitted, so that it stays positive.
    - reach: default bounds: factors of the start if logarithmic, otherwise values.
    - spread: largest distance of the starts from the channel's own value, in the logarithm or in the unit; a standard
      error as large as this counts as undetermined.
    """

    quantity: q.Kind
    logarithmic: bool
    reach: tuple[float, float]
    spread: float

    @property
    def unit(self) -> str:
        """With superscripts, such as nm²/ns."""
        return self.quantity.unit.replace("^2", "²").replace("^3", "³")


def _positive(kind: q.Kind, factor: float, spread: float) -> Measure:
    return Measure(kind, True, (1 / factor, factor), float(np.log(spread)))


def _signed(kind: q.Kind, largest: float, spread: float) -> Measure:
    return Measure(kind, False, (-largest, largest), spread)


PERMEABILITY = _positive(q.Kind("permeability", "nm^3/ns"), 1e6, 10.0)
COUNT = _positive(q.NUMBER, 1e6, 3.0)

MEASURES = {
    measure.quantity: measure
    for measure in (
        _positive(q.DIFFUSIVITY, 1e3, 3.0),
        _positive(q.FACTOR, 1e3, 3.0),
        _positive(q.SCALE, 10.0, 1.5),
        _positive(q.PERMITTIVITY, 30.0, 2.0),
        _positive(q.LENGTH, 10.0, 1.5),
        _positive(q.AREA, 100.0, 2.0),
        _positive(q.DAVIES_SLOPE, 1e3, 3.0),
        _signed(q.POSITION, 1e5, 0.2),
        _signed(q.CHARGE, 100.0, 2.0),
        _signed(q.CHARGE_DENSITY, 50.0, 1.0),
        _signed(q.SURFACE_CHARGE, 2.0, 0.05),
        _signed(q.ENERGY, 50.0, 3.0),
    )
}
"""By kind of number. Concentrations and temperatures belong to the measurement and are not fitted."""


def fitted_numbers(channel: Channel) -> dict[str, ChannelNumber]:
    """Every number of a channel that can be fitted, by its path, in the order in which several are put."""
    return {path: number for path, number in numbers(channel).items() if _obstacle(channel, number) is None}


def find(channel: Channel, path: str) -> ChannelNumber:
    """The number of that path. Raises KeyError that says why it cannot be fitted, or names the nearest paths."""
    known = numbers(channel)
    if path not in known:
        raise KeyError(no_such(path, fitted_numbers(channel)))
    obstacle = _obstacle(channel, known[path])
    if obstacle is not None:
        raise KeyError(f"{path}: {obstacle}")
    return known[path]


def no_such(path: str, known: Mapping[str, object]) -> str:
    """The message for an unknown path, with the nearest known ones."""
    hint = nearest(path, known)
    return f"{path}: the channel has no such number that can be fitted; {hint} (pnp fit CHANNEL --list shows all)"


def _obstacle(channel: Channel, number: ChannelNumber) -> str | None:
    """Why a number cannot be fitted, or None."""
    if number.kind in (q.CONCENTRATION, q.TEMPERATURE):
        return "belongs to the measurement and is not fitted; give it with the data"
    if not number.smooth:
        return "is where something jumps and is not fitted: the mesh has a node there, so derivatives are not known"
    if number.kind not in MEASURES:
        return f"is not fitted; the radius can be, by {number.sets}" if number.kind == q.OFFSET else "is not fitted"
    if number.path.startswith("ions.") and number.path.endswith(".radius") and not channel.pore.born:
        return "has no effect, since the pore has no Born energy (born = true)"
    return None
