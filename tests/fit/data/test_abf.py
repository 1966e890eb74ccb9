"""Recordings in ABF, written here: those of pyabf's writer know nothing of commands, which are put into the header."""

import builtins
import struct

import numpy as np
import pytest

from pnp.fit.data import abf, source
from pnp.fit.data.abf import block_error, read_abf
from pnp.fit.data.checks import DataError
from pnp.fit.data.measurements import IVData

pyabf = pytest.importorskip("pyabf")
from pyabf.abfWriter import writeABF1  # noqa: E402

RATE = 10_000
SAMPLES = 2000  # 0.2 s, of which pyabf takes the first 1/64 as holding
HOLDING = SAMPLES // 64
STEP = slice(HOLDING + 300, HOLDING + 1500)
COMMAND = np.array([-80.0, -40.0, 0.0, 40.0])
HEADER = 2048  # bytes, of what pyabf writes


def current(command, noise=2.0, seed=0, samples=SAMPLES, conductance=0.5, reversal=-10.0):
    """White noise of `noise` pA on an ohmic current, [sweep, sample]."""
    steady = conductance * (np.asarray(command)[:, None] - reversal)
    return steady + noise * np.random.default_rng(seed).standard_normal((len(command), samples))


@pytest.fixture
def recorded(tmp_path):
    def write(sweeps, units="pA"):
        path = tmp_path / "cell 3.abf"
        writeABF1(np.asarray(sweeps), str(path), RATE, units)
        return path

    return write


@pytest.fixture
def protocol(recorded):
    def write(sweeps, epochs=((1, 0.0, 0.0, 300), (1, -80.0, 40.0, 1200)), units="mV"):
        """With a full header; epochs: (type, first level, its increment, samples), after a 64th at holding."""
        path = recorded(sweeps)
        raw = path.read_bytes()
        header = bytearray(raw[:HEADER] + bytes(6144 - HEADER))
        put = lambda form, at, *values: struct.pack_into(form, header, at, *values)
        put("f", 4, 1.83)
        put("i", 40, 12)
        put("8s", 1346, units.encode())
        put("h", 2296, 1)
        put("h", 2300, 1)
        for i, (kind, level, increment, length) in enumerate(epochs):
            put("h", 2308 + 2 * i, kind)
            put("f", 2348 + 4 * i, level)
            put("f", 2428 + 4 * i, increment)
            put("i", 2508 + 4 * i, length)
        path.write_bytes(bytes(header) + raw[HEADER:])
        return path

    return write


def stepped(command, noise=2.0):
    """Steady only at the end of the step: far off before, and back at holding after it."""
    sweeps = current(0 * command, noise)
    sweeps[:, STEP] = current(command, noise, seed=1)[:, STEP]
    sweeps[:, STEP.start : STEP.stop - 400] += 30
    return sweeps


def test_the_steady_current_of_the_steps(protocol):
    data = read_abf(protocol(stepped(COMMAND)))
    assert isinstance(data, IVData)
    np.testing.assert_allclose(data.voltage, COMMAND)
    np.testing.assert_array_less(np.abs(data.current - 0.5 * (COMMAND + 10)), 4 * data.sd)
    np.testing.assert_allclose(data.sd, 2 / np.sqrt(300), rtol=0.6)  # from ten blocks, to ±24 %
    start, end = (STEP.stop - 300) / RATE, STEP.stop / RATE
    assert data.corrections == (f"mean of {start:g} to {end:g} s of each sweep",)
    assert (data.label, data.inside, data.outside, data.temperature) == ("cell 3", {}, {}, None)


def test_a_window_and_voltages_by_hand(recorded):
    file = recorded(current(COMMAND))
    data = read_abf(file, window=(0.1, "200 ms"), command=[-80, -40, 0, "0.04 V"])
    np.testing.assert_allclose(data.voltage, COMMAND)
    np.testing.assert_array_less(np.abs(data.current - 0.5 * (COMMAND + 10)), 4 * data.sd)
    assert data.corrections == ("mean of 0.1 to 0.2 s of each sweep",)


def test_the_window_is_where_it_is_said_to_be(recorded):
    sweeps = np.add.outer(COMMAND, np.arange(SAMPLES) / 100)
    data = read_abf(recorded(sweeps), window=(0.05, 0.15), command=COMMAND)
    np.testing.assert_allclose(data.current, COMMAND + np.arange(500, 1500).mean() / 100, atol=5e-3)


def test_the_command_of_the_window_is_taken(protocol):
    steps = ((1, 0.0, 0.0, 300), (1, -80.0, 40.0, 800), (1, 25.0, -10.0, 600))
    data = read_abf(protocol(current(COMMAND), steps), window=(0.12, 0.16))
    np.testing.assert_allclose(data.voltage, [-5, 5, 15, 25])
    np.testing.assert_array_less(np.diff(data.current), 0)  # the current was of the other step, in its order


def test_sweeps_that_fall_are_turned_round(protocol):
    steps = ((1, 0.0, 0.0, 300), (1, 40.0, -40.0, 1200))
    data = read_abf(protocol(stepped(COMMAND[::-1]), steps))
    np.testing.assert_allclose(data.voltage, COMMAND)
    np.testing.assert_array_less(np.abs(data.current - 0.5 * (COMMAND + 10)), 4 * data.sd)


@pytest.mark.parametrize(("unit", "factor"), [("nA", 1e3), ("uA", 1e6), ("fA", 1e-3)])
def test_currents_in_other_units(recorded, unit, factor):
    options = {"window": (0.1, 0.2), "command": COMMAND}
    other, plain = (read_abf(recorded(current(COMMAND), u), **options) for u in (unit, "pA"))
    np.testing.assert_allclose(other.current, factor * plain.current, rtol=1e-5)
    np.testing.assert_allclose(other.sd, factor * plain.sd, rtol=1e-5)


def test_commands_in_volts(protocol):
    steps = ((1, 0.0, 0.0, 300), (1, -0.08, 0.04, 1200))
    np.testing.assert_allclose(read_abf(protocol(stepped(COMMAND), steps, units="V")).voltage, COMMAND, atol=1e-5)


# Standard errors


def test_error_of_white_noise():
    samples = 3 * np.random.default_rng(1).standard_normal((400, 1000))
    found = np.sqrt((block_error(samples) ** 2).mean())
    assert found == pytest.approx(3 / np.sqrt(1000), rel=0.06)  # its own error: 1/√(2 · 9 · 400)


@pytest.mark.parametrize("correlation", [0.8, 0.95])
def test_error_of_correlated_noise(recorded, correlation):
    """AR(1): the mean of N has the variance (σ²/N) (1 + φ)/(1 − φ), and the actual scatter of the means agrees."""
    sweeps, samples = 60, 4000
    noise = np.random.default_rng(2).standard_normal((sweeps, samples))
    for i in range(1, samples):
        noise[:, i] = correlation * noise[:, i - 1] + np.sqrt(1 - correlation**2) * noise[:, i]
    command = np.arange(sweeps) - 30.0
    data = read_abf(recorded(noise), window=(0, 0.4), command=command)
    exact = np.sqrt((1 + correlation) / (1 - correlation) / samples)
    found = np.sqrt((data.sd**2).mean())
    assert found == pytest.approx(exact, rel=0.15)
    assert found > 2.5 / np.sqrt(samples)  # what it would be if samples were independent, 1/√N, and far from it
    assert data.current.std() == pytest.approx(exact, rel=0.25)
    assert np.std(data.current / data.sd) == pytest.approx(np.sqrt(9 / 7), abs=0.3)  # Student's t of ten blocks


def test_sweeps_of_one_command_are_averaged(recorded):
    command = np.repeat([-50.0, 50.0], 8)
    offset = np.tile([-3.0, 3.0, -1.0, 1.0], 4)  # a cell that is not the same in every sweep
    data = read_abf(recorded(current(command) + offset[:, None]), window=(0.1, 0.2), command=command)
    np.testing.assert_allclose(data.voltage, [-50, 50])
    np.testing.assert_allclose(data.current, [-20, 30], atol=0.1)
    scatter = np.std(offset[:8], ddof=1) / np.sqrt(8)
    np.testing.assert_allclose(data.sd, scatter, rtol=0.1)
    assert data.corrections[0].endswith("; 16 sweeps averaged by command")


def test_few_sweeps_of_one_command_are_not_taken_to_agree_by_chance(recorded):
    """Their means are the same here, but each is known no better than its noise."""
    noise = current([0.0, 0.0, 0.0, 0.0, 0.0, 0.0], seed=4)
    noise -= noise[:, 1000:].mean(-1, keepdims=True)
    command = [-50, -50, -50, 50, 50, 50]
    data = read_abf(recorded(noise), window=(0.1, 0.2), command=command)
    np.testing.assert_allclose(data.sd, 2 / np.sqrt(3000), rtol=0.5)


def test_two_sweeps_of_one_command_combine_their_errors(recorded):
    sweeps = current([-50, -50, 50, 50], seed=5)
    each = read_abf(recorded(sweeps), window=(0.1, 0.2), command=[-2, -1, 1, 2])
    both = read_abf(recorded(sweeps), window=(0.1, 0.2), command=[-50, -50, 50, 50])
    np.testing.assert_allclose(both.sd, np.sqrt((each.sd.reshape(2, 2) ** 2).sum(-1)) / 2)
    np.testing.assert_allclose(both.current, each.current.reshape(2, 2).mean(-1))


# Baths and corrections


def test_baths_label_and_corrections(protocol):
    file = protocol(stepped(COMMAND))
    options = {"inside": {"K": "0.14 M"}, "outside": {"K": 5}, "temperature": "22 degC", "label": "patch"}
    plain = read_abf(file, **options)
    assert (plain.inside, plain.outside) == ({"K": pytest.approx(140)}, {"K": 5.0})
    assert plain.temperature == pytest.approx(295.15)
    assert plain.label == "patch"
    data = read_abf(file, **options, leak="0.1 nS", leak_reversal=-5, series_resistance=20, junction=4)
    by_hand = plain.with_junction(4).with_series_resistance(20).with_leak(0.1, -5)
    np.testing.assert_allclose(data.voltage, by_hand.voltage)
    np.testing.assert_allclose(data.current, by_hand.current)
    assert data.corrections == by_hand.corrections
    salts = {"inside": {"K": 140, "Cl": 140}, "outside": {"Na": 140, "Cl": 140}}
    np.testing.assert_allclose(COMMAND - read_abf(file, junction="henderson", **salts).voltage, 4.36, atol=0.01)


def test_as_the_command_line_gives_it(recorded, protocol):
    file = protocol(stepped(COMMAND))
    data = source.read(f"{file}@window=0.12:150 ms,outside.K=10,inside.K=0.14 M,channel=0,leak=0.1,label=a")
    assert data.corrections == ("mean of 0.12 to 0.15 s of each sweep", "leak of 0.1 nS reversing at 0 mV subtracted")
    assert (data.inside, data.outside, data.label) == ({"K": pytest.approx(140)}, {"K": 10.0}, "a")
    bare = recorded(current(COMMAND))
    np.testing.assert_allclose(source.read(f"{bare}@window=0.1:0.2,command=-80:-40:0:40").voltage, COMMAND)
    with pytest.raises(DataError, match=r"cell 3.abf: windw: unknown setting; did you mean window"):
        source.read(f"{bare}@windw=0:1")


# What cannot be read

GIVEN = {"window": (0.1, 0.2), "command": COMMAND}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give command, 4 voltages in mV"),
        ({"window": (0.1, 0.2)}, "give command"),
        ({"command": COMMAND}, "give window"),
        (GIVEN | {"command": [1, 2, 3]}, "command: has 3 voltages for 4 sweeps"),
        (GIVEN | {"command": [1, 2, 3, "4 pA"]}, "command: '4 pA' is not a voltage"),
        (GIVEN | {"command": [5, 5, 5, 5]}, "1 point: an I–V curve needs at least 2"),
        (GIVEN | {"command": COMMAND / 1000}, r"are these volts\?"),
        (GIVEN | {"window": (0.1,)}, "window: expected its start and its end in s, not 1 numbers"),
        (GIVEN | {"window": 0.1}, "window: 'float' object is not iterable"),
        (GIVEN | {"window": (0.1, "x")}, "window: expected a number in s"),
        (GIVEN | {"window": (0.1, 0.3)}, r"0.1 to 0.3 s is not within a sweep, which ends at 0.2 s"),
        (GIVEN | {"window": (-0.1, 0.1)}, "is not within a sweep"),
        (GIVEN | {"window": (0.2, 0.1)}, "is not within a sweep"),
        (GIVEN | {"window": (0.1, 0.1015)}, "holds 15 samples; at least 20 are needed"),
        (GIVEN | {"channel": 1}, "channel: there is no 1; the last is 0"),
        (GIVEN | {"channel": "a"}, "channel: expected a whole number from 0, not 'a'"),
        (GIVEN | {"temperature": 25}, "temperature: must be between 200 and 500 K"),
        (GIVEN | {"inside": {"K": -1}}, "inside.K: must not be negative"),
        (GIVEN | {"series_resistance": "5 Gohm"}, "series_resistance: 5000 MΩ is too large"),
        (GIVEN | {"leak": -1}, "leak: must not be negative"),
    ],
)
def test_options_that_cannot_be(recorded, options, message):
    with pytest.raises(DataError, match=f"cell 3.abf: .*{message}|cell 3.abf: {message}"):
        read_abf(recorded(current(COMMAND)), **options)


@pytest.mark.parametrize("unit", ["mV", "?", ""])
def test_channels_of_no_current(recorded, unit):
    with pytest.raises(DataError, match="no unit of current: choose another channel"):
        read_abf(recorded(current(COMMAND), unit), **GIVEN)


def test_amperes_that_were_microamperes(recorded):
    """Of µA in the file pyabf leaves A."""
    with pytest.raises(DataError, match="its unit may be µA"):
        read_abf(recorded(current(COMMAND), "A"), **GIVEN)


def test_a_saturated_sweep(recorded):
    sweeps = current(COMMAND)
    sweeps[2, 1000:] = 90
    with pytest.raises(DataError, match="sweep 3 is constant in the window: saturated"):
        read_abf(recorded(sweeps), **GIVEN)


@pytest.mark.parametrize(
    ("epochs", "options", "message"),
    [
        (((1, 0.0, 0.0, 300), (2, -80.0, 40.0, 1200)), {}, "no commands are constant for long; ramps"),
        (((1, 0.0, 0.0, 300), (1, -80.0, 0.0, 1200)), {}, "give command"),
        (((1, 0.0, 0.0, 300), (1, -80.0, 40.0, 1200)), {"window": (0.02, 0.1)}, "command of sweep 1 changes within it"),
        (((1, 0.0, 0.0, 300), (6, -80.0, 40.0, 1200)), {}, "give command"),
        (((1, 0.0, 0.0, 300), (1, -80.0, 40.0, 60)), {}, "no commands are constant for long"),
    ],
)
def test_protocols_that_are_no_steps(protocol, epochs, options, message):
    with pytest.raises(DataError, match=message):
        read_abf(protocol(stepped(COMMAND), epochs), **options)


def test_commands_that_are_no_voltages(protocol):
    with pytest.raises(DataError, match="the command is in 'pA', no unit of voltage: give command"):
        read_abf(protocol(stepped(COMMAND), units="pA"))
    data = read_abf(protocol(stepped(COMMAND), units="pA"), command=COMMAND)
    np.testing.assert_allclose(data.voltage, COMMAND)


def test_a_gain_that_is_a_sample(recorded):
    """pyabf takes header entries from the samples of a short header; one of them multiplies everything."""
    file = recorded(current(COMMAND))
    raw = bytearray(file.read_bytes())
    struct.pack_into("h", raw, 4512, 1)
    file.write_bytes(raw)
    with pytest.raises(DataError, match="header is too short for pyabf to know the gain"):
        read_abf(file, **GIVEN)


def test_more_sweeps_than_a_curve_has(recorded):
    with pytest.raises(DataError, match="has 501 sweeps; at most 500 can be read"):
        read_abf(recorded(np.ones((501, 20))))


def test_files_that_are_not_recordings(tmp_path, recorded):
    with pytest.raises(DataError, match=r"none.abf: cannot be read \(No such file"):
        read_abf(tmp_path / "none.abf")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        read_abf(tmp_path)
    broken = tmp_path / "broken.abf"
    whole = recorded(current(COMMAND)).read_bytes()
    for content in (b"", b"V_mV,I_pA\n", b"ABF2" + bytes(30), b"ABF " + bytes(8000), whole[:6000]):
        broken.write_bytes(content)
        with pytest.raises(DataError, match=r"broken.abf: is not an ABF file that pyabf .* can read"):
            read_abf(broken)


def test_without_pyabf(recorded, monkeypatch):
    file = recorded(current(COMMAND))
    real = builtins.__import__

    def without(name, *rest):
        if name == "pyabf":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r'pip install "jax-pnp\[ephys\]"'):
        abf.read_abf(file)
