"""Measurements: currents at voltages and reversal potentials with their baths, and corrections of them.

Voltages are inside minus outside in mV, currents in pA, positive outward, and concentrations in mM.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from pnp import quantity as q
from pnp import units
from pnp.fit.data.checks import (
    CONDUCTANCE,
    RESISTANCE,
    DataError,
    DataLocation,
    checked_bath,
    checked_columns,
    checked_curve,
    checked_reversals,
    checked_temperature,
    parsed_for,
)


@dataclass(frozen=True, eq=False)
class IVData:
    """Currents at voltages, in one pair of baths.

    Concentrations and the temperature may be strings with units. Decreasing voltages are reversed. Raises DataError for
    values that cannot be fitted, or seem to be in other units (`checked_curve`).
    """

    voltage: Float[np.ndarray, " point"]
    """mV, increasing."""
    current: Float[np.ndarray, " point"]
    """pA."""
    sd: Float[np.ndarray, " point"] | None = None
    """Standard errors of the currents, pA, if known."""
    inside: Mapping[str, float] = field(default_factory=dict)
    """mM by ion; ions that are not named are as in the channel."""
    outside: Mapping[str, float] = field(default_factory=dict)
    temperature: float | None = None
    """K; None: that of the channel."""
    label: str = "data"
    corrections: tuple[str, ...] = ()
    """Descriptions of the corrections made."""

    def __post_init__(self):
        voltage, current, sd = checked_curve(DataLocation(self.label), self.voltage, self.current, self.sd)
        _set(self, voltage=voltage, current=current, sd=sd, corrections=tuple(self.corrections))
        _set(
            self,
            inside=checked_bath(self.label, "inside", self.inside),
            outside=checked_bath(self.label, "outside", self.outside),
        )
        _set(self, temperature=checked_temperature(self.label, self.temperature))

    def with_leak(self, conductance: float | str, reversal: float | str = 0.0) -> "IVData":
        """The data without the current of a parallel leak, I − g (V − E).

        - conductance: g, nS, not negative.
        - reversal: E, mV.
        """
        g = self._not_negative("leak", conductance, CONDUCTANCE)
        e = parsed_for(self.label, "leak_reversal", reversal, q.POTENTIAL)
        correction = f"leak of {g:g} nS reversing at {e:g} mV subtracted"
        return _corrected(self, correction, current=self.current - g * (self.voltage - e))

    def with_series_resistance(self, resistance: float | str) -> "IVData":
        """The data at the voltages across the membrane, V − I R. Standard errors remain those of I.

        - resistance: R, MΩ, not negative.

        Raises DataError if V − I R does not increase: R then exceeds the whole resistance that was measured.
        """
        r = self._not_negative("series_resistance", resistance, RESISTANCE)
        voltage = self.voltage - 1e-3 * r * self.current
        if not np.all(np.diff(voltage) > 0):
            at = int(np.argmax(np.diff(voltage) <= 0))
            total = 1e3 * (self.voltage[at + 1] - self.voltage[at]) / (self.current[at + 1] - self.current[at])
            raise DataError(
                f"{self.label}: series_resistance: {r:g} MΩ is too large: between {self.voltage[at]:g} and "
                f"{self.voltage[at + 1]:g} mV what was measured has only {total:.3g} MΩ altogether"
            )
        return _corrected(self, f"series resistance of {r:g} MΩ: V − I R", voltage=voltage)

    def with_junction(self, potential: float | str) -> "IVData":
        """The data at the membrane potential V − V_LJ.

        - potential: V_LJ of the bath relative to the pipette, mV, as from `junction_potential`.

        Sign as in Barry & Lynch (1991, J. Membr. Biol. 121:101) and Neher (1992, Methods Enzymol. 207:123), for whole
        cells and outside-out patches, whose pipette is inside.
        """
        shift = parsed_for(self.label, "junction", potential, q.POTENTIAL)
        correction = f"junction potential of {shift:.4g} mV subtracted from the voltage"
        return _corrected(self, correction, voltage=self.voltage - shift)

    def _not_negative(self, name: str, value: Any, kind: q.Kind) -> float:
        number = parsed_for(self.label, name, value, kind)
        if number < 0:
            raise DataError(f"{self.label}: {name}: must not be negative, but is {number:g}")
        return number


@dataclass(frozen=True, eq=False)
class ReversalData:
    """Reversal potentials, each in baths of its own.

    Baths and temperatures: one per row, or one for all rows. Raises DataError as `checked_reversals`.
    """

    reversal: Float[np.ndarray, " row"]
    """mV."""
    sd: Float[np.ndarray, " row"] | None = None
    """Standard errors of the reversal potentials, mV, if known."""
    inside: tuple[Mapping[str, float], ...] = ()
    """mM by ion of each row; ions that are not named are as in the channel."""
    outside: tuple[Mapping[str, float], ...] = ()
    temperature: tuple[float | None, ...] = ()
    """K of each row; None: that of the channel."""
    label: str = "data"
    corrections: tuple[str, ...] = ()
    """Descriptions of the corrections made."""

    def __post_init__(self):
        location = DataLocation(self.label)
        reversal, sd = checked_reversals(location, self.reversal, self.sd)
        _set(self, reversal=reversal, sd=sd, corrections=tuple(self.corrections))
        for side in ("inside", "outside"):
            baths = self._by_row(side, getattr(self, side), {})
            _set(self, **{side: tuple(checked_bath(location.row(i), side, bath) for i, bath in enumerate(baths))})
        kelvins = self._by_row("temperature", self.temperature, None)
        _set(self, temperature=tuple(checked_temperature(location.row(i), t) for i, t in enumerate(kelvins)))

    def with_junction(self, potential: Any) -> "ReversalData":
        """The data less V_LJ, as `IVData.with_junction`; potential: one for all rows or one per row, mV."""
        if np.ndim(potential) == 0:
            potential = parsed_for(self.label, "junction", potential, q.POTENTIAL)
        shift = np.broadcast_to(np.asarray(potential, float), self.reversal.shape)
        span = f"{shift.min():.4g}" + f" to {shift.max():.4g}" * bool(np.ptp(shift))
        correction = f"junction potential of {span} mV subtracted from the reversal potential"
        return _corrected(self, correction, reversal=self.reversal - shift)

    def _by_row(self, name: str, given: Any, missing: Any) -> tuple:
        rows = self.reversal.size
        if given is None or isinstance(given, Mapping | Real | str):
            return (given,) * rows
        given = tuple(given) or (missing,) * rows
        if len(given) != rows:
            raise DataError(f"{self.label}: {name}: {len(given)} entries for {rows} reversal potentials")
        return given


Data = TypeVar("Data", IVData, ReversalData)


def corrected(
    data: Data, *, junction: Any = None, series_resistance: Any = None, leak: Any = None, leak_reversal: Any = 0.0
) -> Data:
    """Measurements corrected for the junction potential, then the series resistance, then the leak, where given.

    In this order, because the resistance carries the leak current too, and the leak is at the membrane potential.

    - junction: mV, or "henderson" for `junction_potential` between the measurement's own baths, the pipette inside.
    - series_resistance: MΩ.
    - leak, leak_reversal: nS and mV.

    Raises DataError as the methods of the data.
    """
    if isinstance(junction, str) and junction.strip().lower() == "henderson":
        junction = _own_junction(data)
    if junction is not None:
        data = data.with_junction(junction)
    if isinstance(data, IVData):
        data = data if series_resistance is None else data.with_series_resistance(series_resistance)
        return data if leak is None else data.with_leak(leak, leak_reversal)
    for name, value in (("series_resistance", series_resistance), ("leak", leak)):
        if value is not None:
            raise DataError(f"{data.label}: {name}: corrects currents; reversal potentials are without any")
    return data


def junction_potential(
    pipette: Mapping[str, float],
    bath: Mapping[str, float],
    diffusivity: Mapping[str, float] | None = None,
    temperature: float | None = None,
) -> float:
    """Liquid-junction potential V_LJ of the bath relative to the pipette, mV; the measured voltage is V_m + V_LJ.

    - pipette, bath: mM by ion, electroneutral, of built-in ions (`pnp.channel.ions`).
    - diffusivity: nm²/ns by ion, where it differs from the built-in one.
    - temperature: K, 25 °C unless given.

    Henderson's formula (`pnp.theory.henderson_potential`), with the sign of `IVData.with_junction`: some 4 mV for
    140 mM KCl in the pipette and NaCl in the bath.

    Raises DataError for other ions or solutions.
    """
    from pnp.channel.ions import BUILT_IN
    from pnp.theory import henderson_potential

    solutions = [checked_bath("junction", side, c) for side, c in (("pipette", pipette), ("bath", bath))]
    mobile = {k: parsed_for("junction", f"diffusivity.{k}", v, q.DIFFUSIVITY) for k, v in (diffusivity or {}).items()}
    names = list(dict.fromkeys([*solutions[0], *solutions[1], *mobile]))
    if unknown := [name for name in names if name not in BUILT_IN]:
        raise DataError(
            f"junction: the valence of {', '.join(unknown)} is not known; built in are {', '.join(BUILT_IN)}: "
            "give the potential itself, in mV"
        )
    if not all(d > 0 for d in mobile.values()):
        raise DataError("junction: diffusivities must be positive")
    for side, solution in zip(("pipette", "bath"), solutions, strict=True):
        if not sum(solution.values()) > 0:
            raise DataError(f"junction: no ions are given in the {side}; Henderson's potential needs both solutions")
    concentrations = np.array([[solution.get(name, 0.0) for name in names] for solution in solutions])
    d = np.array([mobile.get(name, BUILT_IN[name].diffusivity) for name in names], float)
    z = np.array([BUILT_IN[name].valence for name in names])
    kelvins = checked_temperature("junction", temperature) or units.ROOM_TEMPERATURE
    try:
        return 0.0 - float(henderson_potential(concentrations[0], concentrations[1], d, z, kelvins))
    except ValueError as error:
        pipette_charge, bath_charge = concentrations @ z
        raise DataError(
            f"junction: Σ z c must be 0, but is {pipette_charge:.4g} mM in the pipette and {bath_charge:.4g} mM in the "
            "bath: name every ion, or give the potential itself, in mV"
        ) from error


def _own_junction(data: Data) -> Any:
    if isinstance(data, IVData):
        rows = [(data.label, data.inside, data.outside, data.temperature)]
    else:
        names = [DataLocation(data.label).row(i) for i in range(data.reversal.size)]
        rows = list(zip(names, data.inside, data.outside, data.temperature, strict=True))
    potentials = []
    for name, inside, outside, temperature in rows:
        try:
            potentials.append(junction_potential(inside, outside, temperature=temperature))
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    return potentials[0] if isinstance(data, IVData) else potentials


def _set(data: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(data, name, value)


def _corrected(data: Data, correction: str, **changes: np.ndarray) -> Data:
    """A copy. Units are not checked again: corrected currents may be of any size."""
    new = copy.copy(data)
    _set(new, **checked_columns(DataLocation(data.label), changes), corrections=(*data.corrections, correction))
    return new


def relabelled(data: Data, label: str) -> Data:
    """A copy with another label."""
    new = copy.copy(data)
    _set(new, label=label)
    return new
