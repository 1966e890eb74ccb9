"""Measurements, their corrections, and the tables they are read from."""

import numpy as np
import pytest

from pnp import units
from pnp.channel.ions import BUILT_IN
from pnp.fit.data import measurements as d
from pnp.fit.data.checks import DataError
from pnp.fit.data.csv import read_csv
from pnp.fit.data.measurements import IVData, ReversalData, junction_potential
from pnp.fit.data.source import read
from pnp.io.limits import MAX_BYTES

V, CURRENT = [-80.0, 0.0, 40.0], [-4.0, 0.5, 2.0]


@pytest.fixture
def table(tmp_path):
    def write(text, name="cell 3.csv"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return file

    return write


# What is measured


def test_lists_become_arrays_and_units_those_of_the_house():
    data = IVData(
        V, CURRENT, [0.1, 0.1, 0.2], inside={"K": "0.14 M"}, outside={"K": np.float32(5)}, temperature="25 degC"
    )
    assert data.voltage.dtype == data.current.dtype == data.sd.dtype == float
    assert data.inside == {"K": pytest.approx(140)}
    assert data.outside == {"K": 5.0}
    assert data.temperature == pytest.approx(298.15)
    assert (data.label, data.corrections) == ("data", ())
    assert IVData(V, CURRENT).sd is None


def test_what_was_given_is_not_changed_later():
    given = np.array(V)
    data = IVData(given, CURRENT)
    given[0] = -1000
    assert data.voltage[0] == -80
    with pytest.raises(ValueError, match="read-only"):
        data.current[0] = 1


def test_falling_voltages_are_turned_round():
    data = IVData(V[::-1], CURRENT[::-1], [0.3, 0.2, 0.1])
    np.testing.assert_array_equal(data.voltage, V)
    np.testing.assert_array_equal(data.current, CURRENT)
    np.testing.assert_array_equal(data.sd, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("voltage", "current", "sd", "message"),
    [
        (V, CURRENT[:2], None, r"currents must be a list of numbers, as many as voltages \(3\), not of shape \(2,\)"),
        (V, CURRENT, [1.0, 1.0], r"standard errors must be .* as many as voltages \(3\)"),
        ([V], [CURRENT], None, "not of shape"),
        (["a", 1, 2], CURRENT, None, "voltages must be numbers"),
        ([-80, np.nan, 40], CURRENT, None, "data, entry 2: the voltage is nan: must be finite"),
        (V, [1, 2, np.inf], None, "data, entry 3: the current is inf: must be finite"),
        (V, CURRENT, [0.1, 0.0, 0.1], "data, entry 2: the standard error is 0: must be positive"),
        (V, CURRENT, [-0.1, 0.1, 0.1], "data, entry 1: the standard error is -0.1: must be positive"),
        ([10.0], [1.0], None, "1 point: an I–V curve needs at least 2"),
        ([], [], None, "0 points"),
        ([-80, 0, 0], CURRENT, None, "entry 3: 0 mV is repeated, from data, entry 2: average repeats"),
        ([-80, 0, 40, 0, -80], [1, 2, 3, 2, 1], None, "entry 4: 0 mV is repeated, from data, entry 2"),
        ([-80, 40, 0, 60], [1, 2, 3, 4], None, "entry 3: 0 mV after 40 mV is out of order: sort"),
        ([80, -40, 0, -60], [1, 2, 3, 4], None, "entry 3: 0 mV after -40 mV is out of order"),
        ([-0.08, 0, 0.04], CURRENT, None, r"largest \|V\| is 0.08 mV: are these volts\? .*V_V, or multiply by 1000"),
        ([-80e3, 0, 40e3], CURRENT, None, r"microvolts\? Give the column as V_uV"),
        (V, [-4e-12, 0, 2e-12], None, r"largest \|I\| is 4e-12 pA: are these amperes\? .*I_A"),
    ],
)
def test_curves_that_cannot_be_fitted(voltage, current, sd, message):
    with pytest.raises(DataError, match=message):
        IVData(voltage, current, sd)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inside": {"K": -1}}, "cell: inside.K: must not be negative"),
        ({"outside": {"Cl": np.nan}}, "cell: outside.Cl: must be finite"),
        ({"outside": {"Cl": "3 mV"}}, "cell: outside.Cl: '3 mV' is not a concentration"),
        ({"outside": 140}, "cell: outside: expected concentrations"),
        ({"temperature": 25}, 'cell: temperature: must be between 200 and 500 K, but is 25 K; .*"25 degC"'),
        ({"temperature": 501}, "between 200 and 500 K"),
    ],
)
def test_circumstances_that_cannot_be(given, message):
    with pytest.raises(DataError, match=message):
        IVData(V, CURRENT, label="cell", **given)
    with pytest.raises(DataError, match=message.replace("cell:", "cell, entry 1:")):
        ReversalData([-80], label="cell", **given)


def test_no_current_at_all_and_a_few_millivolts_are_fine():
    assert not IVData(V, [0, 0, 0]).current.any()
    assert IVData([-1, 1], [1e-6, 0]).voltage.size == 2
    assert IVData([-5000, 5000], [1, 2]).voltage.size == 2


def test_reversal_potentials_have_baths_by_row_or_for_all():
    data = ReversalData(
        [0.2, -70], [1, 2], inside={"K": 140}, outside=[{"K": 140}, {"K": "5 mM"}], temperature=[None, 300]
    )
    assert data.inside == ({"K": 140.0}, {"K": 140.0})
    assert data.outside == ({"K": 140.0}, {"K": 5.0})
    assert data.temperature == (None, 300.0)
    bare = ReversalData([-80])
    assert (bare.inside, bare.outside, bare.temperature, bare.sd) == (({},), ({},), (None,), None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([],), "has no reversal potentials"),
        (([1, np.nan],), "entry 2: the reversal potential is nan"),
        (([-80, -40], [1, 0]), "entry 2: the standard error is 0"),
        (([-80, -40], None, ({"K": 1},)), "inside: 1 entries for 2 reversal potentials"),
        (([-0.08, -0.04, 0.01],), r"are these volts\? Give the column as reversal_V"),
        (([-80e3],), r"are these microvolts\? Give the column as reversal_uV"),
    ],
)
def test_reversal_potentials_that_cannot_be_fitted(given, message):
    with pytest.raises(DataError, match=message):
        ReversalData(*given)


def test_two_reversal_potentials_may_be_next_to_nothing():
    assert ReversalData([0.1, -0.2]).reversal.size == 2


# Corrections


def test_leak_is_a_line_through_its_reversal():
    data = IVData(V, CURRENT).with_leak("20 pS", reversal=10)
    np.testing.assert_allclose(data.current, [-4 + 0.02 * 90, 0.5 + 0.02 * 10, 2 - 0.02 * 30])
    assert data.corrections == ("leak of 0.02 nS reversing at 10 mV subtracted",)
    np.testing.assert_array_equal(data.voltage, V)


def test_a_measurement_of_nothing_but_leak_leaves_nothing():
    v = np.linspace(-100, 100, 21)
    data = IVData(v, 0.3 * (v - 7)).with_leak(0.3, 7).with_leak(0)
    np.testing.assert_allclose(data.current, 0, atol=1e-13)


@pytest.mark.parametrize("resistance", [5e3, "5 Gohm", "5000 MΩ"])
def test_series_resistance_takes_voltage(resistance):
    data = IVData(V, CURRENT, [1, 2, 3]).with_series_resistance(resistance)
    np.testing.assert_allclose(data.voltage, [-80 + 20, -2.5, 40 - 10])  # 1 pA through 1 MΩ is 1 µV
    np.testing.assert_array_equal(data.sd, [1, 2, 3])
    assert data.corrections == ("series resistance of 5000 MΩ: V − I R",)


def test_ohmic_cell_behind_a_resistance_is_recovered():
    g, r = 2.0, 50.0  # nS, MΩ
    command = np.linspace(-100, 100, 11)
    current = command * g / (1 + 1e-3 * r * g)
    data = IVData(command, current).with_series_resistance(r)
    np.testing.assert_allclose(data.current, g * data.voltage, atol=1e-12)


@pytest.mark.parametrize("resistance", [20e3, 1e6])
def test_series_resistance_beyond_the_whole_is_refused(resistance):
    with pytest.raises(DataError, match=r"too large: between -80 and 0 mV .* only 1.78e.04 MΩ altogether"):
        IVData(V, CURRENT).with_series_resistance(resistance)


@pytest.mark.parametrize(
    ("correct", "message"),
    [
        (lambda x: x.with_leak(-1), "data: leak: must not be negative"),
        (lambda x: x.with_leak("3 mV"), "data: leak: '3 mV' is not a conductance"),
        (lambda x: x.with_leak(1, "3 pA"), "data: leak_reversal: '3 pA' is not a voltage"),
        (lambda x: x.with_series_resistance(-5), "series_resistance: must not be negative"),
        (lambda x: x.with_junction(np.inf), "junction: must be finite"),
        (lambda x: x.with_leak(1e308), "entry 1: the current is inf"),
    ],
)
def test_corrections_that_cannot_be(correct, message):
    with np.errstate(over="ignore"), pytest.raises(DataError, match=message):
        correct(IVData(V, CURRENT))


def test_junction_potential_is_subtracted():
    data = IVData(V, CURRENT).with_junction(4.3)
    np.testing.assert_allclose(data.voltage, np.array(V) - 4.3)
    assert data.corrections == ("junction potential of 4.3 mV subtracted from the voltage",)
    rows = ReversalData([-80, -40]).with_junction([4, 5])
    np.testing.assert_allclose(rows.reversal, [-84, -45])
    assert rows.corrections == ("junction potential of 4 to 5 mV subtracted from the reversal potential",)
    np.testing.assert_allclose(ReversalData([-80, -40]).with_junction("0.004 V").reversal, [-84, -44])


def test_corrections_act_in_their_order():
    done = d.corrected(IVData(V, CURRENT), leak=0.01, leak_reversal=-20, series_resistance=1000, junction=4)
    by_hand = IVData(V, CURRENT).with_junction(4).with_series_resistance(1000).with_leak(0.01, -20)
    np.testing.assert_array_equal(done.voltage, by_hand.voltage)
    np.testing.assert_array_equal(done.current, by_hand.current)
    assert done.corrections == by_hand.corrections
    assert [c.split()[0] for c in done.corrections] == ["junction", "series", "leak"]


@pytest.mark.parametrize("what", ["leak", "series_resistance"])
def test_reversal_potentials_have_no_current_to_correct(what):
    with pytest.raises(DataError, match=f"{what}: corrects currents"):
        d.corrected(ReversalData([-80, 0]), **{what: 1.0})


# Junction potentials


def test_junction_of_two_salts_with_a_common_ion():
    """Henderson's closed form for 1:1 salts as concentrated as each other; K in the pipette leaves it the faster."""
    k, na, cl = (BUILT_IN[n].diffusivity for n in ("K", "Na", "Cl"))
    exact = units.thermal_voltage(298.15) * np.log((k + cl) / (na + cl))
    found = junction_potential({"K": 140, "Cl": 140}, {"Na": 140, "Cl": 140})
    assert found == pytest.approx(exact, rel=1e-12)
    assert 4 < found < 5  # about +4 mV in textbooks (Barry & Lynch, 1991)
    back = junction_potential({"Na": 140, "Cl": 140}, {"K": 140, "Cl": 140})
    assert back == pytest.approx(-exact, rel=1e-12)


def test_junction_of_a_slow_anion_in_the_pipette():
    """K with an anion as slow as gluconate, against NaCl: 12 to 16 mV in Neher's convention."""
    found = junction_potential({"K": 150, "F": 150}, {"Na": 150, "Cl": 150}, {"F": 0.825})
    assert 12 < found < 16
    warm = junction_potential({"K": 150, "F": 150}, {"Na": 150, "Cl": 150}, {"F": 0.825}, "37 degC")
    assert warm / found == pytest.approx(310.15 / 298.15, rel=1e-9)


def test_junction_of_one_salt_diluted():
    k, cl = BUILT_IN["K"].diffusivity, BUILT_IN["Cl"].diffusivity
    exact = units.thermal_voltage(298.15) * (k - cl) / (k + cl) * np.log(100 / 10)
    assert exact < 0  # Cl is the faster to leave the pipette, and takes its charge along
    assert junction_potential({"K": 100, "Cl": 100}, {"K": 10, "Cl": 10}) == pytest.approx(exact, rel=1e-9)
    assert junction_potential({"K": 100, "Cl": 100}, {"K": 100, "Cl": 100}) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("pipette", "bath", "mobile", "message"),
    [
        ({"K": 1, "Gluconate": 1}, {"Na": 1, "Cl": 1}, None, "valence of Gluconate is not known; built in are Li"),
        ({"K": 1, "Cl": 1}, {"Na": 1, "Cl": 1}, {"HEPES": 0.6}, "valence of HEPES"),
        ({}, {"Na": 1, "Cl": 1}, None, "no ions are given in the pipette"),
        ({"K": 1, "Cl": 1}, {"Na": 0}, None, "no ions are given in the bath"),
        ({"K": 140}, {"Na": 140, "Cl": 150}, None, "140 mM in the pipette and -10 mM in the bath: name every ion"),
        ({"K": 1, "Cl": 1}, {"Na": 1, "Cl": 1}, {"K": 0}, "diffusivities must be positive"),
        ({"K": -1, "Cl": -1}, {"Na": 1, "Cl": 1}, None, "junction: pipette.K: must not be negative"),
    ],
)
def test_junctions_that_are_not_known(pipette, bath, mobile, message):
    with pytest.raises(DataError, match=message):
        junction_potential(pipette, bath, mobile)


# Tables of currents

PLAIN = "V_mV,I_pA\n-80,-4\n0,0.5\n40,2\n"


def test_plain_table(table):
    data = read_csv(table(PLAIN))
    np.testing.assert_array_equal(data.voltage, V)
    np.testing.assert_array_equal(data.current, CURRENT)
    assert (data.sd, data.inside, data.outside, data.temperature) == (None, {}, {}, None)
    assert data.label == "cell 3"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t").replace(".", ","),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("0.5", '"0,5"'),
        PLAIN.replace("-80", "−80"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        "# a cell; measured, I think, on Monday\n\n" + PLAIN.replace("0.5", " 0.5  # looks odd") + "\n\n",
        PLAIN.replace("\n", ",,\n") + ",,,\n",
        PLAIN.replace("V_mV,I_pA", "V (mV), I [pA]"),
        PLAIN.replace("V_mV,I_pA", '"V / mV","I / pA"'),
        "I_pA,V_mV\n2,40\n0.5,0\n-4,-80\n",
        "V_V,I_nA\n-0.08,-0.004\n0,0.0005\n0.04,0.002\n",
        "V_uV,I_A\n-8e4,-4e-12\n0,5e-13\n4e4,2E-12\n",
        "V_mV,I_K_pA,I_pA\n-80,,-4\n0,x,0.5\n40,1,2\n",
    ],
)
def test_the_same_table_as_others_write_it(table, text):
    data = read_csv(table(text))
    np.testing.assert_allclose(data.voltage, V, rtol=1e-15)
    np.testing.assert_allclose(data.current, CURRENT, rtol=1e-15)


def test_standard_errors_in_their_own_unit_turn_with_their_rows(table):
    data = read_csv(table("V_mV,I_pA,I sd (fA)\n40,2,300\n0,0.5,200\n-80,-4,100\n"))
    np.testing.assert_allclose(data.sd, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(data.current, CURRENT)


def test_a_computed_curve_is_read_back(table):
    head = "V_mV,I_pA,I_Gluconate_pA,I_Cl_pA,status,conservation_error,discretization_error\n"
    data = read_csv(table(head + "-80,-4.0,-3.0,-1.0,converged,1e-12,\n40,2.0,1.5,0.5,converged,1e-12,1e-4\n"))
    np.testing.assert_array_equal(data.current, [-4, 2])


def test_settings_in_comments(table):
    comments = """# inside.K = 0.14 M
#outside.K=5
# Temperature was that of the room; n = 3, see p. 12
# temperature = 25 degC
# label = patch #4, rig 2
## leak = 10 pS
# leak_reversal = -5 mV
# series_resistance = 10 MΩ
# junction = 4.0
"""
    data = read_csv(table(comments + PLAIN))
    assert data.inside == {"K": pytest.approx(140)}
    assert data.outside == {"K": 5.0}
    assert data.temperature == pytest.approx(298.15)
    assert data.label == "patch #4, rig 2"
    by_hand = IVData(V, CURRENT).with_junction(4).with_series_resistance(10).with_leak(0.01, -5)
    np.testing.assert_allclose(data.voltage, by_hand.voltage)
    np.testing.assert_allclose(data.current, by_hand.current)
    assert data.corrections == by_hand.corrections


def test_settings_given_win_over_the_file(table):
    file = table("# inside.K = 140\n# inside.Cl = 10\n# label = a\n" + PLAIN)
    data = read_csv(file, {"inside.K": "0.1 M", "label": "b", "temperature": 310})
    assert data.inside == {"K": pytest.approx(100), "Cl": 10.0}
    assert (data.label, data.temperature) == ("b", 310.0)


def test_comments_that_a_spreadsheet_saved(table):
    data = read_csv(table('"# inside.K = 140",,\n# outside.K = 5;;\n' + PLAIN))
    assert (data.inside, data.outside) == ({"K": 140.0}, {"K": 5.0})
    data = read_csv(table("# inside.K = 0,14 M\n" + PLAIN.replace(",", ";")))
    assert data.inside == {"K": pytest.approx(140)}


def test_hendersons_junction_from_the_files_own_baths(table):
    baths = "# inside.K = 140\n# inside.Cl = 140\n# outside.Na = 140\n# outside.Cl = 140\n# temperature = 310\n"
    data = read_csv(table(baths + "# junction = henderson\n" + PLAIN))
    shift = junction_potential({"K": 140, "Cl": 140}, {"Na": 140, "Cl": 140}, temperature=310)
    np.testing.assert_allclose(data.voltage, np.array(V) - shift)
    with pytest.raises(DataError, match=r"cell 3.csv: junction: no ions are given in the pipette"):
        read_csv(table("# junction = Henderson\n" + PLAIN))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no header"),
        ("# nothing\n\n", "has no header"),
        ("-80,-4\n0,0.5\n", "line 1: has numbers where the columns must be named"),
        ("V_mV,I_pA\n", "0 points"),
        ("V,I_pA\n-80,1\n", "line 1: column 'V': unknown column; known are V_mV, I_pA, I_sd_pA"),
        ("V_mV\n-80\n", "line 1: there is no column I_pA"),
        ("# x\nI_pA,I_sd_pA\n-80,1\n", "line 2: there is no column V_mV"),
        ("V_mV,I_pA,I_SD_pA\n-80,1,1\n", "column 'I_SD_pA': unknown column; .*known are V_mV, I_pA, I_sd_pA"),
        ("V_mV,I_pA,I_\n-80,1,1\n", "column 'I': unknown column"),
        ("V_mV,,I_pA\n-80,1,1\n", "column '': unknown column"),
        ("V_mV,I_pA,V_V\n-80,1,1\n", "column 'V_mV': there is more than one for V"),
        ("V_m,I_pA\n-80,1\n", "column 'V_m': 'm' is no unit of voltage; in mV it is V_mV"),
        ("V_mV,I_pS\n-80,1\n", "column 'I_pS': 'pS' is no unit of current; in pA it is I_pA"),
        (
            "V_mV,I_pA,inside.K\n-80,1,1\n",
            "column 'inside.K': an I–V curve has one for all rows: write it as",
        ),
        ("V_mV,I_pA,reversal_mV\n-80,1,1\n", "column 'V_mV': currents and reversal potentials go into separate files"),
        ("V_mV,I_pA,reversal_sd_mV\n-80,1,1\n", "column 'reversal_sd_mV': currents and reversal"),
        ("V_mV I_pA\n-80 1\n", "column 'V_mV_I_pA': unknown column"),
        ("V_mV,I_pA\n-80,abc\n", r"line 2: 'abc' is not a number \(I_pA\)"),
        ("V_mV,I_pA\n-80,\n", "line 2: the cell of I_pA is empty"),
        ("V_mV,I_pA\n-80,nan\n", "line 2: 'nan' is not a finite number"),
        ("V_mV,I_pA\n-80,1e999\n", "line 2: '1e999' is not a finite number"),
        ("V_mV,I_pA\n-80,1_0\n", "line 2: '1_0' is not a number"),
        ("V_mV,I_pA\n\n-80,1,5\n", "line 3: has 3 cells, and the header 2; decimal commas need ;"),
        ("V_mV;I_pA\n-80\n", "line 2: has 1 cells, and the header 2$"),
        ("V_mV;I_pA\n-80;1.000,5\n", "line 2: '1.000,5' is not a number"),
        ("V_mV;I_pA\n-80;1,5\n0;2.5\n", "line 2: '1,5' has a decimal comma, and '2.5' in line 3 a point"),
        ('V_mV,I_pA\n-80,"1,500"\n0,"12,000"\n', "line 2: '1,500' may be thousands"),
        ("V_mV,I_pA\n# here\n-80,1\n0,1\n\n0,1\n", r"line 6: 0 mV is repeated, from .*cell 3.csv line 4"),
        ("V_mV,I_pA\n\n-80,1\n0,1\n-20,1\n", "line 5: -20 mV after 0 mV is out of order"),
        ("V_mV,I_pA,I_sd_pA\n-80,1,1\n0,1,-1\n", "line 3: the standard error is -1: must be positive"),
        ("V_mV,I_pA\n-0.08,1\n0.04,1\n", r"are these volts\? Give the column as V_V"),
        ("V_mV,I_pA\n-80,1e-12\n40,2e-12\n", r"are these amperes\? Give the column as I_A"),
        (b"V_mV,I_pA\n-80,1 # \xb5\n", "is not text in UTF-8 .byte 18.: save it as CSV in UTF-8"),
        (PLAIN.encode("utf-16"), "is not text in UTF-8 .byte 0."),
        (PLAIN + "1," + "9" * 200_000 + "\n", "line 5: is not a row of a table"),
        (b"#" * (MAX_BYTES + 1), "is larger than the 10 MB"),
    ],
)
def test_tables_that_cannot_be_read(table, text, message):
    with pytest.raises(DataError, match=message) as error:
        read_csv(table(text))
    assert "cell 3.csv" in str(error.value)


def test_every_bad_line_is_named_up_to_five(table):
    bad = "".join(f"{v},x\n" for v in range(8))
    with pytest.raises(DataError) as error:
        read_csv(table("V_mV,I_pA\n" + bad))
    lines = str(error.value).splitlines()
    assert [line.partition(" line ")[2][:1] for line in lines[:5]] == list("23456")
    assert lines[5:] == ["… and 3 more lines"]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("inside.K = 140 mV", "line 2: inside.K: '140 mV' is not a concentration"),
        ("inside.K = -3", "line 2: inside.K: must not be negative"),
        ("temperature = 25", "line 2: temperature: must be between 200 and 500 K"),
        ("leak = 3 MΩ", "line 2: leak: '3 Mohm' is not a conductance"),
        ("leak =", "line 2: leak: expected a number in nS"),
        ("junction = Planck", "line 2: junction: expected a number in mV or the word henderson"),
        ("inside.K = 1,400", "line 2: inside.K: expected a number"),
        ("Inside.K = 140", "line 2: Inside.K: unknown setting; did you mean inside.ION.*known are inside.ION"),
        ("inside K = 140", "line 2: inside K: unknown setting"),
        ("inside_Na = 140", "line 2: inside_Na: unknown setting"),
        ("bath.Cl = 140", "line 2: bath.Cl: unknown setting"),
        ("temperatur = 300", "line 2: temperatur: unknown setting; did you mean temperature"),
        ("Series resistance = 3", "line 2: Series resistance: unknown setting; did you mean series_resistance"),
        ("label = a\n# label = b", "line 3: label is given twice"),
        ("leak_reversal = 3", "leak_reversal is given without a leak"),
        ("leak = -3", "leak: must not be negative"),
        ("series_resistance = 1 Tohm", "series_resistance: 1e.06 MΩ is too large"),
    ],
)
def test_settings_in_comments_that_cannot_be(table, comment, message):
    with pytest.raises(DataError, match=f"cell 3.csv.*{message}"):
        read_csv(table(f"# first\n# {comment}\n{PLAIN}"))


@pytest.mark.parametrize("comment", ["V = IR", "cell = 3", "x", "see https://a.org/b.c?d=1", "Fig. 3, trace = b"])
def test_other_comments_are_nobodys_business(table, comment):
    assert read_csv(table(f"# {comment}\n{PLAIN}")).corrections == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inside_K": 3}, "inside_K: unknown setting; did you mean inside.ION"),
        ({"window": "0:1"}, "window: unknown setting"),
        ({"inside.K": [1]}, "inside.K: expected a number in mM"),
        ({"leak": True}, "leak: expected a number"),
    ],
)
def test_settings_given_that_cannot_be(table, settings, message):
    with pytest.raises(DataError, match=message):
        read_csv(table(PLAIN), settings)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: cannot be read \(No such file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        read_csv(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_csv("a\0b.csv")


# Tables of reversal potentials

ROWS = "reversal_mV,outside.K,outside.Na\n-80,5,140\n-30,50,95\n0.5,145,0\n"


def test_reversal_potentials_with_baths_by_row(table):
    data = read_csv(table("# inside.K = 145\n# outside.Cl = 145\n# temperature = 300\n" + ROWS))
    assert isinstance(data, ReversalData)
    np.testing.assert_array_equal(data.reversal, [-80, -30, 0.5])
    assert data.inside == ({"K": 145.0},) * 3
    assert data.outside[1] == {"Cl": 145.0, "K": 50.0, "Na": 95.0}
    assert data.temperature == (300.0,) * 3
    assert data.sd is None
    assert data.label == "cell 3"


def test_reversal_potentials_with_errors_and_temperatures(table):
    data = read_csv(table("reversal (V);reversal_sd_mV;temperature\n-0,08;1,5;290\n-0,07;2;310\n"))
    np.testing.assert_allclose(data.reversal, [-80, -70])
    np.testing.assert_array_equal(data.sd, [1.5, 2])
    assert data.temperature == (290.0, 310.0)


def test_hendersons_junction_of_each_row(table):
    rows = "reversal_mV,outside.K,outside.Na\n-80,0,140\n0,140,0\n"
    comments = "# inside.K = 140\n# inside.Cl = 140\n# outside.Cl = 140\n# junction = henderson\n"
    data = read_csv(table(comments + rows))
    shift = junction_potential({"K": 140, "Cl": 140}, {"Na": 140, "Cl": 140})
    np.testing.assert_allclose(data.reversal, [-80 - shift, 0])
    assert data.corrections[0].startswith("junction potential of 0 to 4.3")
    with pytest.raises(DataError, match="entry 2: junction: Σ z c must be 0"):
        read_csv(table(comments + rows.replace("140,0", "14,0")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS.replace("50,95", "-50,95"), "line 3: outside.K: must not be negative"),
        (ROWS.replace("outside.Na", "temperature"), "line 2: temperature: must be between 200 and 500 K"),
        (ROWS.replace("outside.Na", "outside.Na (mM)"), "named without it: outside.Na"),
        (ROWS.replace("outside.Na", "outside.K"), "column 'outside.K': there is more than one"),
        (ROWS.replace("outside.Na", "outsid.Na"), "column 'outsid.Na': unknown column; did you mean outside.ION"),
        ("# outside.K = 5\n" + ROWS, "outside.K is given both for all rows and as a column"),
        ("# leak = 5\n" + ROWS, "leak: corrects currents"),
        (ROWS.replace("-80,", "80000,"), r"are these microvolts\? Give the column as reversal_uV"),
        ("reversal_mV\n", "has no reversal potentials"),
    ],
)
def test_tables_of_reversals_that_cannot_be_read(table, text, message):
    with pytest.raises(DataError, match=f"cell 3.csv.*{message}"):
        read_csv(table(text))


# As the command line gives them


@pytest.mark.parametrize("name", ["a.csv", "a.TXT", "a.tsv", "rig@home.csv"])
def test_files_and_settings_of_the_command_line(table, name):
    file = table("# outside.K = 3\n" + PLAIN, name)
    assert read(str(file)).outside == {"K": 3.0}
    data = read(f"{file}@outside.K=10, outside.Cl=0.01 M,temperature=25 degC,label=x@y")
    assert data.outside == {"K": 10.0, "Cl": pytest.approx(10)}
    assert data.temperature == pytest.approx(298.15)
    assert data.label == "x@y"


def test_a_file_whose_name_looks_like_settings(table):
    table(PLAIN, "a.csv")
    file = table("V_mV,I_pA\n-1,3\n1,4\n", "a.csv@outside.K=10.csv")
    np.testing.assert_array_equal(read(str(file)).current, [3, 4])


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("@outside.K", "expected NAME=VALUE after the @, not 'outside.K'"),
        ("@outside.K=", "expected NAME=VALUE after the @, not 'outside.K='"),
        ("@outside.K=1,outside.K=2", "outside.K is given twice"),
        ("@outsid.K=1", "outsid.K: unknown setting; did you mean outside.ION"),
        ("@window=0:1", "window: unknown setting"),
        ("x@label=a", "not '.csvx'"),
    ],
)
def test_command_lines_that_cannot_be(table, ending, message):
    with pytest.raises(DataError, match=message):
        read(f"{table(PLAIN)}{ending}")


def test_a_missing_file_is_told_without_its_settings(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: cannot be read"):
        read(f"{tmp_path}/none.csv@outside.K=1")
