"""I–V curves from patch-clamp recordings in Axon's ABF format: the mean current of each sweep, read by pyabf."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pnp import quantity as q
from pnp.fit.data import checks as c
from pnp.fit.data import measurements as d
from pnp.fit.data.checks import DataError
from pnp.fit.data.measurements import IVData

_BLOCKS = 10
_SAME_COMMAND = 1e-3  # mV, within which two commands are one
_MAX_SWEEPS = 500  # pyabf computes the protocol of all sweeps for every sweep
_FULL_HEADER = 6144  # bytes; the protocol of ABF 1 files with less cannot be read by pyabf


class _Recording(NamedTuple):
    """One recorded channel of a file."""

    current: Float[np.ndarray, "sweep sample"]
    """pA."""
    command: Float[np.ndarray, "sweep sample"] | None
    """In `unit`; None if the file does not contain it, or it is the same in all sweeps."""
    unit: str
    """Of the command."""
    rate: float
    """Samples per second."""


def read_abf(
    path: str | Path,
    *,
    window: Sequence[float | str] | None = None,
    channel: int | str = 0,
    command: Sequence[float | str] | None = None,
    leak: float | str | None = None,
    leak_reversal: float | str = 0.0,
    series_resistance: float | str | None = None,
    junction: float | str | None = None,
    inside: Mapping[str, Any] | None = None,
    outside: Mapping[str, Any] | None = None,
    temperature: float | str | None = None,
    label: str | None = None,
) -> IVData:
    """The mean current in a window of each sweep, by command voltage, with standard errors.

    - window: start and end in s from the start of a sweep; by default the last quarter of the longest interval in which
      the commands are constant and differ between sweeps.
    - channel: number of the current's channel, from 0; the command is that of the output with the same number.
    - command: mV, one per sweep, where the file does not contain it.
    - leak (nS), leak_reversal (mV), series_resistance (MΩ), junction (mV): corrections as of
      `pnp.fit.data.measurements.corrected`.
    - inside, outside (mM), temperature (K), label (by default the file's name): of the data.

    The standard error of a sweep is that of the means of 10 blocks of the window, as neighbouring samples of a filtered
    current are not independent; it is too small if the current is correlated over a tenth of the window. Sweeps of the
    same command are averaged. For three sweeps or more the standard error is the larger of the combined block errors
    and the scatter between sweeps, since the scatter of a few may be small by chance.

    Raises DataError.
    """
    path = Path(path)
    recording = _load(path, _channel(path, channel))
    sweeps = len(recording.current)
    given = None if command is None else _given_command(path, command, sweeps)
    if given is None and recording.command is None:
        raise DataError(f"{path}: does not contain the voltages of its sweeps: give command, {sweeps} voltages in mV")
    start, end = _default_window(path, recording) if window is None else _given_window(path, window, recording)
    volts = _recorded_command(path, recording, start, end) if given is None else given
    steady = recording.current[:, start:end].astype(float)
    error = block_error(steady)
    if not error.all():
        at = int(np.argmin(error)) + 1
        raise DataError(f"{path}: sweep {at} is constant in the window: saturated, or not a recording")
    voltage, current, sd = _by_command(volts, steady.mean(-1), error)
    averaging = f"mean of {start / recording.rate:.6g} to {end / recording.rate:.6g} s of each sweep"
    if len(voltage) < sweeps:
        averaging += f"; {sweeps} sweeps averaged by command"
    kelvin = _kelvin(path, temperature)
    data = IVData(voltage, current, sd, inside or {}, outside or {}, kelvin, str(path), (averaging,))
    data = d.corrected(
        data, junction=junction, series_resistance=series_resistance, leak=leak, leak_reversal=leak_reversal
    )
    return d.relabelled(data, path.stem if label is None else str(label))


def block_error(samples: np.ndarray) -> np.ndarray:
    """Standard error of the mean over the last axis, from the scatter of the means of ten blocks."""
    size = samples.shape[-1] // _BLOCKS
    blocks = samples[..., : size * _BLOCKS].reshape(*samples.shape[:-1], _BLOCKS, size).mean(-1)
    return blocks.std(-1, ddof=1) / np.sqrt(_BLOCKS)


def _by_command(volts: np.ndarray, mean: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Commands in increasing order, mean current and its standard error, [voltage] each."""
    voltage, group = np.unique(np.round(volts / _SAME_COMMAND) * _SAME_COMMAND, return_inverse=True)
    current, sd = np.empty(len(voltage)), np.empty(len(voltage))
    for i in range(len(voltage)):
        same = group == i
        count = same.sum()
        current[i] = mean[same].mean()
        sd[i] = np.sqrt((error[same] ** 2).sum()) / count
        if count >= 3:
            sd[i] = max(sd[i], mean[same].std(ddof=1) / np.sqrt(count))
    return voltage, current, sd


def _channel(path: Path, channel: Any) -> int:
    try:
        return int(channel)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: channel: expected a whole number from 0, not {q.shown(channel)}") from error


def _kelvin(path: Path, temperature: Any) -> float | None:
    try:
        return None if temperature is None else c.kelvin(temperature)
    except ValueError as error:
        raise DataError(f"{path}: temperature: {error}") from error


def _load(path: Path, channel: int) -> _Recording:
    try:
        import pyabf
    except ImportError as error:
        raise DataError(f'{path}: reading ABF files needs pyabf: pip install "jax-pnp[ephys]"') from error
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    with warnings.catch_warnings():
        # It warns of stimulus files and epochs that it cannot read: the command is then unknown.
        warnings.filterwarnings("ignore", module="pyabf")
        try:
            abf = pyabf.ABF(str(path))
        except Exception as error:  # pyabf raises many types on broken files
            raise DataError(f"{path}: is not an ABF file that pyabf {pyabf.__version__} can read ({error})") from error
        if channel not in abf.channelList:
            raise DataError(f"{path}: channel: there is no {channel}; the last is {len(abf.channelList) - 1}")
        if abf.sweepCount > _MAX_SWEEPS:
            raise DataError(f"{path}: has {abf.sweepCount} sweeps; at most {_MAX_SWEEPS} can be read")
        _check_gain(path, abf, channel)
        current, command = _sweeps(abf, channel)
        if len({len(y) for y in current}) > 1:
            raise DataError(f"{path}: its sweeps differ in length; only those of one length can be read")
        unit = str(abf.sweepUnitsC or "").strip(" \0")
    return _Recording(_factor(path, abf.sweepUnitsY, current) * np.array(current), command, unit, float(abf.dataRate))


def _short_header(abf: Any) -> bool:
    return abf.abfVersion["major"] == 1 and abf.dataByteStart < _FULL_HEADER


def _check_gain(path: Path, abf: Any, channel: int) -> None:
    # With a short header, pyabf would take the amplifier's gain from the samples.
    if _short_header(abf) and abf._headerV1.nTelegraphEnable[abf._headerV1.nADCSamplingSeq[channel]] == 1:
        raise DataError(f"{path}: its header is too short for pyabf to know the gain; save it as a complete ABF file")


def _sweeps(abf: Any, channel: int) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Currents and commands in the file's units; commands only if they are known and differ between sweeps."""
    current, command = [], []
    known = not _short_header(abf)
    for sweep in abf.sweepList:
        abf.setSweep(sweep, channel)
        current.append(np.array(abf.sweepY))
        try:
            command += [np.array(abf.sweepC, np.float32)] if known else []
        except Exception:  # of many types, as on loading; the command must then be given
            known = False
    if not known or any(c.shape != y.shape or not np.isfinite(c).all() for c, y in zip(command, current, strict=True)):
        return current, None
    differ = len({c.shape for c in command}) == 1 and np.ptp(command, axis=0).any()
    return current, np.array(command) if differ else None


def _factor(path: Path, unit: str, current: Sequence[np.ndarray]) -> float:
    """pA per unit of current of the file."""
    unit = str(unit or "").strip(" \0")
    try:
        factor = c.parsed(f"1 {unit}", c.CURRENT)
    except ValueError as error:
        raise DataError(f"{path}: the channel is in '{unit}', no unit of current: choose another channel") from error
    # pyabf drops letters that are not ASCII, such as µ.
    if unit == "A" and factor * max(np.abs(y).max() for y in current) > 1e6:
        raise DataError(f"{path}: the channel is in 'A' with currents above 1 µA: its unit may be µA, which reads as A")
    return factor


def _given_command(path: Path, command: Any, sweeps: int) -> np.ndarray:
    try:
        volts = np.array([c.parsed(v, q.POTENTIAL) for v in command])
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: command: {error}") from error
    if len(volts) != sweeps:
        raise DataError(f"{path}: command: has {len(volts)} voltages for {sweeps} sweeps")
    return volts


def _recorded_command(path: Path, recording: _Recording, start: int, end: int) -> np.ndarray:
    assert recording.command is not None
    try:
        factor = c.parsed(f"1 {recording.unit}", q.POTENTIAL)
    except ValueError as error:
        raise DataError(
            f"{path}: the command is in '{recording.unit}', no unit of voltage: give command, in mV, one per sweep"
        ) from error
    within = factor * recording.command[:, start:end].astype(float)
    changing = np.ptp(within, axis=1) > _SAME_COMMAND
    if changing.any():
        raise DataError(f"{path}: window: the command of sweep {int(np.argmax(changing)) + 1} changes within it")
    return within[:, 0]


def _given_window(path: Path, window: Any, recording: _Recording) -> tuple[int, int]:
    try:
        seconds = [c.parsed(t, c.TIME) for t in window]
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: window: {error}") from error
    length = recording.current.shape[1]
    if len(seconds) != 2:
        raise DataError(f"{path}: window: expected its start and its end in s, not {len(seconds)} numbers")
    start, end = (round(t * recording.rate) for t in seconds)
    if not 0 <= start < end <= length:
        raise DataError(
            f"{path}: window: {seconds[0]:g} to {seconds[1]:g} s is not within a sweep, which ends at "
            f"{length / recording.rate:g} s"
        )
    if end - start < 2 * _BLOCKS:
        raise DataError(f"{path}: window: holds {end - start} samples; at least {2 * _BLOCKS} are needed")
    return start, end


def _default_window(path: Path, recording: _Recording) -> tuple[int, int]:
    if recording.command is None:
        raise DataError(f"{path}: does not contain the times of its commands: give window, its start and end in s")
    command = recording.command
    edges = np.flatnonzero((np.diff(command, axis=1) != 0).any(axis=0)) + 1
    intervals = zip([0, *edges], [*edges, command.shape[1]], strict=True)
    differing = [(end - start, end) for start, end in intervals if np.ptp(command[:, start]) > 0]
    longest, end = max(differing)
    if longest // 4 < 2 * _BLOCKS:
        raise DataError(f"{path}: no commands are constant for long; ramps cannot be read, and steps need a window")
    return int(end - longest // 4), int(end)
