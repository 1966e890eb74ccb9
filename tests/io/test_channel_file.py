"""Channel files: what is refused and in which words, units, the ready-made channels, overrides."""

import re
import time

import jax
import numpy as np
import pytest

import pnp
from pnp import quantity, units
from pnp.io import presets as catalogue
from pnp.io.channel_file.reader import channel_of
from pnp.io.channel_file.writer import contents

BATHS = """
[inside]
K = 100
Cl = 100
[outside]
K = 100
Cl = 100
"""
PORE = "[pore]\nlength = 5.0\nradius = 1.0\n"
SOUND = BATHS + PORE


def inside(lines, rest=PORE):
    """A file whose inside bath holds `lines`; `rest` comes first."""
    return f"{rest}\n[outside]\nK = 100\nCl = 100\n[inside]\n{lines}\n"


def pore(lines):
    return f"{BATHS}[pore]\n{lines}\n"


def charge(lines):
    return f"{SOUND}[[pore.charge]]\n{lines}\n"


SEGMENT = "[[pore.segment]]\nlength = 1\nradius = 1\n"

# name: (file, what its message must contain)
MALFORMED = {
    # TOML itself
    "syntax error": (BATHS + "[pore]\nlength = = 5\n", ["not valid TOML", "line 9"]),
    "duplicate key": (PORE + "length = 3\n" + BATHS, ["not valid TOML", "line 4"]),
    "nested lists": ("a = " + "[" * 100_000, ["not valid TOML", "nested too deeply"]),
    "nested tables": (BATHS + "[pore]\nlength = " + "{a=" * 900 + "1" + "}" * 900, ["nested too deeply"]),
    "dotted depth": (
        BATHS + "[pore]\nradius = 1\nlength" + ".a" * 1500 + " = 1\n",
        ["pore.length", "too large to show"],
    ),
    "endless integer": (pore("radius = 1\nlength = " + "9" * 5000), ["thousands of digits"]),
    "integer beyond floats": (pore("radius = 1\nlength = " + "9" * 400), ["pore.length", "finite", "99999"]),
    "empty file": ("", ["3 mistakes", "inside: is missing", "outside: is missing", "pore: is missing"]),
    # sections
    "no pore": (BATHS, ["pore: is missing"]),
    "no outside bath": (PORE + "[inside]\nK = 1\nCl = 1\n", ["outside: is missing"]),
    "number for a section": ("pore = 5\n" + BATHS, ["pore: expected a table", "not 5"]),
    "number for a bath": ("inside = 5\n[outside]\nK = 1\nCl = 1\n" + PORE, ["inside: expected a table", "not 5"]),
    "number for charges": (pore("length = 5\nradius = 1\ncharge = 3"), ["pore.charge: ", "[[pore.charge]]", "not 3"]),
    "number for text": ("description = 5\n" + SOUND, ["description: expected text", "not 5"]),
    # keys
    "top-level key": ("temprature = 300\n" + SOUND, ["temprature: unknown key; did you mean temperature?"]),
    "key in pore": (SOUND + "lenght = 3\n", ["pore.lenght: unknown key; did you mean length?"]),
    "key in ring": (
        charge('kind = "ring"\namount = 1\nposition = 1\nwidth = 1\nwdth = 2'),
        ["pore.charge.0.wdth: unknown key; did you mean width?"],
    ),
    "key in charged segment": (
        charge('kind = "segment"\namount = 1\nstart = 1\nend = 2\nedges = 2'),
        ["pore.charge.0.edges: unknown key; did you mean edge?", "density"],
    ),
    "key in wall": (
        charge('kind = "wall"\nsurface_density = 1\nbegin = 2'),
        ["pore.charge.0.begin: unknown key", "surface_density, start, end"],
    ),
    "key in segment": (
        f"{BATHS}{SEGMENT}{SEGMENT}lenght = 2\n",
        ["pore.segment.1.lenght: unknown key; did you mean length?"],
    ),
    "key in reservoir": (SOUND + "[reservoir]\nkinds = 1\n", ["reservoir.kinds: unknown key; did you mean kind?"]),
    "key in ion": (SOUND + "[ions.K]\nvalance = 1\n", ["ions.K.valance: unknown key; did you mean valence?"]),
    "key in HOLE table": (
        pore('radius = {hole = "x", fram = 2}'),
        ["pore.radius.fram: unknown key; did you mean frame?", "offset"],
    ),
    # baths and ions
    "charged bath": (inside("K = 150\nCl = 140"), ["inside: ", "not electroneutral", "+10 mM", "an anion"]),
    "charged bath of divalents": (inside("Ca = 10\nCl = 25"), ["inside: ", "-5 mM", "Ca +20", "a cation"]),
    "bath without ions": (inside(""), ["inside: the bath holds no ions"]),
    "bath of zeros": (inside("K = 0\nCl = 0"), ["inside: the bath holds no ions"]),
    "negative concentration": (inside("K = -5\nCl = -5"), ["inside.K: must be at least 0 mM, not -5", "inside.Cl"]),
    "misspelt ion": (inside("Ka = 1\nCl = 1"), ["inside.Ka: is not a built-in ion", "did you mean K?", "[ions.Ka]"]),
    "undeclared ion": (inside("TMA = 1\nCl = 1"), ["inside.TMA: ", "valence and diffusivity", "[ions.TMA]"]),
    "ion without valence": (
        inside("TMA = 1\nCl = 1", PORE + "[ions.TMA]\ndiffusivity = 1.2\n"),
        ["ions.TMA: ", "give its valence under"],
    ),
    "ion in no bath": (SOUND + "[ions.Na]\ndiffusivity = 1\n", ["ions.Na: is in neither bath"]),
    "fractional valence": (SOUND + "[ions.K]\nvalence = 1.5\n", ["ions.K.valence: expected a whole number, not 1.5"]),
    "huge valence": (SOUND + "[ions.K]\nvalence = 9\n", ["ions.K.valence: ", "6", "not 9"]),
    "number for ion": (SOUND + "[ions]\nK = 3\n", ["ions.K: expected a table", "not 3"]),
    "18 ions": (
        "".join(f"[ions.X{i}]\nvalence = {(-1) ** i}\ndiffusivity = 1\n" for i in range(18))
        + inside("\n".join(f"X{i} = 1" for i in range(18))),
        ["ions: may hold at most 16 entries, not 18"],
    ),
    "energy of an absent ion": (SOUND + "pmf = {Na = 3}\n", ["pore.pmf.Na: unknown ion", "K, Cl"]),
    "diffusivity of an absent ion": (SOUND + "diffusivity = {k = 3}\n", ["pore.diffusivity.k: unknown ion", "K, Cl"]),
    # quantities
    "wrong dimension": (pore('length = "5 mV"\nradius = 1'), ["pore.length: '5 mV' is not a length: expected nm"]),
    "unknown unit": (pore('length = "5 furlog"\nradius = 1'), ["pore.length: ", "'furlog' is not known", "nm"]),
    "half a unit": (pore('length = "5 nm/"\nradius = 1'), ["pore.length: expected a number in nm", "'5 nm/'"]),
    "no number": (pore('length = "wide"\nradius = 1'), ["pore.length: expected a number in nm", "'wide'"]),
    "endless string": (pore(f'length = "5 {"nm" * 50}"\nradius = 1'), ["pore.length: expected a number in nm", "…"]),
    "unit on a plain number": (
        pore('length = 5\nradius = 1\npermittivity = "4 nm"'),
        ["pore.permittivity: ", "'4 nm'"],
    ),
    "wrong dimension in a charge": (
        charge('kind = "ring"\namount = "2 mV"\nposition = 1\nwidth = 1'),
        ["pore.charge.0.amount: '2 mV' is not a charge: expected e"],
    ),
    "boolean": (pore("length = true\nradius = 1"), ["pore.length: expected a number in nm", "True"]),
    "date": (pore("length = 2020-01-01\nradius = 1"), ["pore.length: expected a number in nm", "2020"]),
    "list for a number": (pore("length = [5]\nradius = 1"), ["pore.length: expected a number in nm", "[5]"]),
    "NaN": (pore("length = nan\nradius = 1"), ["pore.length: must be finite, not nan"]),
    "infinity": (pore("length = 5\nradius = inf"), ["pore.radius: must be finite, not inf"]),
    "overflow in a string": (pore('length = "1e999 nm"\nradius = 1'), ["pore.length: must be finite", "'1e999 nm'"]),
    "absolute zero": ("temperature = 0\n" + SOUND, ["temperature: must be positive, not 0 K"]),
    "oven": ("temperature = 1000\n" + SOUND, ["temperature: 1000 K is outside 200 to 500 K"]),
    # the pore
    "negative radius": (pore("length = 5\nradius = -0.5"), ["pore.radius: must be positive, not -0.5 nm"]),
    "zero length": (pore("length = 0\nradius = 1"), ["pore.length: must be positive, not 0 nm"]),
    "no radius": (pore("length = 5"), ["pore.radius: is missing"]),
    "no length": (pore("radius = 1"), ["pore.length: is missing"]),
    "negative permittivity": (SOUND + "permittivity = -2\n", ["pore.permittivity: must be positive, not -2"]),
    "impossible energy": (SOUND + "pmf = {K = 1e6}\n", ["pore.pmf.K: must stay within ±300 kT", "1e+06"]),
    "table going back": (pore("radius = [[0, 1], [2, 1], [1, 1]]"), ["pore.radius: row 2", "1 nm comes after 2 nm"]),
    "row of three": (pore("radius = [[0, 1], [2, 1, 3]]"), ["pore.radius: row 1 must be [x, value]", "[2, 1, 3]"]),
    "row of one number": (pore("radius = [0, 1, 2]"), ["pore.radius: row 0 must be [x, value], not 0"]),
    "bad value in a row": (pore('radius = [[0, 1], [1, "2 mV"]]'), ["pore.radius: row 1", "'2 mV' is not a length"]),
    "table of one row": (pore("radius = [[0, 1]]"), ["pore.radius: ", "at least 2 rows", "not 1"]),
    "table off the mouth": (pore("radius = [[1, 1], [2, 1]]"), ["pore.radius: ", "start at x = 0", "not 1 nm"]),
    "table without extent": (pore("radius = [[0, 1], [0, 2]]"), ["pore.radius: ", "positive length"]),
    "length beside a table": (pore("length = 3\nradius = [[0, 1], [2, 1]]"), ["pore.length: is already given"]),
    "missing HOLE file": (pore('radius = {hole = "gone.txt"}'), ["pore.radius: ", "gone.txt", "cannot be read"]),
    "HOLE table without file": (pore("radius = {frame = 2}"), ["pore.radius.hole: is missing"]),
    "radius beside segments": (pore("radius = 1") + SEGMENT, ["pore: ", "segments", "radius"]),
    "bad segment": (
        f"{BATHS}{SEGMENT}[[pore.segment]]\nlength = -1\nradius = 1\n",
        ["pore.segment.1.length: must be positive, not -1 nm"],
    ),
    "segment lacking a diffusivity": (
        f"{BATHS}{SEGMENT}diffusivity = {{K = 1, Cl = 1}}\n{SEGMENT}diffusivity = {{K = 1}}\n",
        ["pore.segment.1.diffusivity.Cl: is missing"],
    ),
    # charges
    "unknown kind of charge": (
        charge('kind = "rings"\namount = 1'),
        ["pore.charge.0.kind: must be one of 'ring', 'segment', 'wall', not 'rings'"],
    ),
    "no kind of charge": (charge("amount = 1"), ["pore.charge.0.kind: is missing", "'ring', 'segment', 'wall'"]),
    "no amount": (charge('kind = "ring"\nposition = 1\nwidth = 1'), ["pore.charge.0.amount: is missing"]),
    "amount and density": (
        charge('kind = "segment"\namount = 1\ndensity = 1\nstart = 1\nend = 2'),
        ["pore.charge.0: give either amount (e) or density (M)"],
    ),
    "neither amount nor density": (
        charge('kind = "segment"\nstart = 1\nend = 2'),
        ["pore.charge.0: give either amount (e) or density (M)"],
    ),
    "segment turned round": (
        charge('kind = "segment"\namount = 1\nstart = 3\nend = 2'),
        ["pore.charge.0.end: 2 nm must lie after start, 3 nm"],
    ),
    "wall turned round": (
        charge('kind = "wall"\nsurface_density = 1\nstart = 3\nend = 2'),
        ["pore.charge.0.end: 2 nm must lie after start, 3 nm"],
    ),
    "charge outside the pore": (
        charge('kind = "ring"\namount = 1\nposition = 1\nwidth = 1')
        + '[[pore.charge]]\nkind = "ring"\namount = 1\nposition = 9\nwidth = 1\n',
        ["pore.charge.1.position: 9 nm is outside the pore (0 to 5 nm)"],
    ),
    "wall in mV": (
        charge('kind = "wall"\nsurface_density = "2 mV"'),
        ["pore.charge.0.surface_density: '2 mV' is not a surface charge: expected C/m^2"],
    ),
    "wall table in mV": (
        charge('kind = "wall"\nsurface_density = [[0, 0.1], [1, "2 mV"]]'),
        ["pore.charge.0.surface_density: row 1: '2 mV' is not a surface charge"],
    ),
    "wall table going back": (
        charge('kind = "wall"\nsurface_density = [[0, 0.1], [2, 0.1], [1, 0.2]]'),
        ["pore.charge.0.surface_density: row 2", "1 nm comes after 2 nm"],
    ),
    "wall table beyond the pore": (
        charge('kind = "wall"\nsurface_density = [[0, 0.1], [6, 0.1], [7, 0.2]]'),
        ["pore.charge.0.surface_density: row 1: 6 nm is outside the pore (0 to 5 nm)"],
    ),
    "ring of no depth": (
        charge('kind = "ring"\namount = 1\nposition = 1\nwidth = 1\ndepth = 0'),
        ["pore.charge.0.depth: must be positive, not 0 nm"],
    ),
    "segment of negative depth": (
        charge('kind = "segment"\namount = 1\nstart = 1\nend = 2\ndepth = "-3 Å"'),
        ["pore.charge.0.depth: must be positive, not -0.3 nm"],
    ),
    "wall with depth": (
        charge('kind = "wall"\nsurface_density = 1\ndepth = 1'),
        ["pore.charge.0.depth: unknown key", "surface_density, start, end"],
    ),
    # the membrane
    "number for a membrane": ("membrane = 5\n" + SOUND, ["membrane: expected a table", "not 5"]),
    "key in membrane": (
        SOUND + "[membrane]\npermitivity = 2\n",
        ["membrane.permitivity: unknown key; did you mean permittivity?", "surface_charge"],
    ),
    "membrane of metal": (SOUND + "[membrane]\npermittivity = inf\n", ["membrane.permittivity: must be finite"]),
    "membrane of nothing": (
        SOUND + "[membrane]\npermittivity = 0\n",
        ["membrane.permittivity: must be positive, not 0"],
    ),
    "membrane charge in mV": (
        SOUND + '[membrane]\nsurface_charge = "2 mV"\n',
        ["membrane.surface_charge: '2 mV' is not a surface charge: expected C/m^2"],
    ),
    "membrane charge in a list": (
        SOUND + "[membrane]\nsurface_charge = [0.1, 0.2]\n",
        ["membrane.surface_charge: expected a number in C/m^2", "[0.1, 0.2]"],
    ),
    "face in mV": (
        SOUND + '[membrane]\nsurface_charge = {outside = "2 mV"}\n',
        ["membrane.surface_charge.outside: '2 mV' is not a surface charge"],
    ),
    "unknown face": (
        SOUND + "[membrane]\nsurface_charge = {insde = 0.1}\n",
        ["membrane.surface_charge.insde: unknown key; did you mean inside?", "inside, outside"],
    ),
    # excess potentials
    "Born energy without a radius": (
        inside("TMA = 1\nCl = 1", PORE + "born = true\n[ions.TMA]\nvalence = 1\ndiffusivity = 1.2\n"),
        ["ions.TMA.radius: is not known, and the Born energy needs it"],
    ),
    "Born energy of 1": (SOUND + "born = 1\n", ["pore.born: ", "not 1"]),
    "number for a model": ("activity = 5\n" + SOUND, ["activity: expected a table", "not 5"]),
    "no model": (SOUND + "[activity]\nsize = 0.7\n", ["activity.model: is missing"]),
    "unknown model": (
        SOUND + '[activity]\nmodel = "bikerman"\n',
        ["activity.model: must be 'ideal', 'steric' or 'davies', not 'bikerman'"],
    ),
    "key of a model": (SOUND + '[activity]\nmodel = "steric"\nsise = 0.7\n', ["activity.sise: ", "did you mean size?"]),
    "key of another model": (
        SOUND + '[activity]\nmodel = "davies"\nsize = 0.7\n',
        ['activity.size: belongs to model = "steric", not to "davies"'],
    ),
    "no size": (SOUND + '[activity]\nmodel = "steric"\n', ["activity.size: is missing"]),
    "size in mV": (
        SOUND + '[activity]\nmodel = "steric"\nsize = "7 mV"\n',
        ["activity.size: '7 mV' is not a length: expected nm"],
    ),
    "negative size": (
        SOUND + '[activity]\nmodel = "steric"\nsize = {K = 0.3, Cl = -0.3}\n',
        ["activity.size.Cl: must be positive, not -0.3 nm"],
    ),
    "size of an absent ion": (
        SOUND + '[activity]\nmodel = "steric"\nsize = {K = 0.3, Cl = 0.3, k = 1}\n',
        ["activity.size.k: unknown ion", "K, Cl"],
    ),
    "size of one ion": (
        SOUND + '[activity]\nmodel = "steric"\nsize = {K = 0.3}\n',
        ["activity.size.Cl: is missing: give one number for all ions, or one for each"],
    ),
    "ions too large": (
        SOUND + '[activity]\nmodel = "steric"\nsize = "3 nm"\n',
        ["inside: ions of this size would fill 3.25 of the bath", "outside: "],
    ),
    "negative slope": (SOUND + '[activity]\nmodel = "davies"\nslope = -1\n', ["activity.slope: must be at least 0"]),
    "steep slope": (SOUND + '[activity]\nmodel = "davies"\nslope = 8\n', ["activity: ", "A = 8 M^-½", "activity of K"]),
    # reservoirs
    "cone without length": (SOUND + '[reservoir]\nkind = "cone"\nradius = 5\n', ["reservoir: a cone needs length"]),
    "Hall with length": (SOUND + "[reservoir]\nlength = 5\n", ["reservoir: ", 'kind = "cone"', '"hall"']),
    "unknown reservoir": (
        SOUND + '[reservoir]\nkind = "sphere"\n',
        ["reservoir.kind: must be 'hall', 'cone' or 'none', not 'sphere'"],
    ),
}


def assert_equal(one, other):
    """Channels of the same structure and the same numbers, to the last bit."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def write(folder, text):
    file = folder / "channel.toml"
    file.write_text(text, "utf-8")
    return file


def refusal(source, **options):
    with pytest.raises(pnp.ChannelFileError) as caught:
        pnp.load(source, **options)
    return str(caught.value)


def test_the_basis_of_the_table_is_sound(tmp_path):
    channel = pnp.load(write(tmp_path, SOUND))
    assert channel.ion_names == ("K", "Cl")


@pytest.mark.parametrize(("text", "fragments"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_file_is_refused_with_its_path_and_reason(text, fragments, tmp_path):
    file = write(tmp_path, text)
    message = refusal(file)
    assert str(file) in message
    for fragment in fragments:
        assert fragment in message
    # one line for each mistake, and none of them twice
    lines = message.splitlines()[1:]
    assert re.search(rf": {len(lines)} mistakes?\n", message)
    assert len(set(lines)) == len(lines)


def test_mistakes_in_four_sections_are_reported_at_once(tmp_path):
    text = """
    temprature = 300
    [inside]
    K = 150
    Cl = 140
    [outside]
    K = 100
    Cl = 100
    [pore]
    length = "5 mV"
    radius = 1
    [reservoir]
    kind = "sphere"
    """
    with pytest.raises(pnp.ChannelFileError) as caught:
        pnp.load(write(tmp_path, text))
    mistakes = caught.value.mistakes
    assert sorted(m.split(":")[0] for m in mistakes) == ["inside", "pore.length", "reservoir.kind", "temprature"]
    head, *lines = str(caught.value).splitlines()
    assert head.endswith("4 mistakes")
    assert [line.strip() for line in lines] == mistakes


# --- files that are not channel files -----------------------------------------------------------


def test_too_many_rows_are_refused_before_they_are_checked(tmp_path):
    text = pore("radius = [" + "[0,1]," * 100_001 + "]")
    begin = time.perf_counter()
    assert "pore.radius: a table may have at most 100000 rows, not 100001" in refusal(write(tmp_path, text))
    assert time.perf_counter() - begin < 10


def test_large_file_is_refused_unparsed(tmp_path):
    file = write(tmp_path, "# " + "x" * 11_000_000 + "\nnot TOML")
    message = refusal(file)
    assert "11 MB" in message
    assert "10 MB" in message
    assert "TOML:" not in message


def test_file_that_is_not_text(tmp_path):
    file = tmp_path / "channel.toml"
    file.write_bytes(b"name = '\xff\xfe'")
    assert "not text in UTF-8 (byte 8)" in refusal(file)


def test_folder_in_place_of_a_file(tmp_path):
    assert "neither a channel file nor a ready-made channel" in refusal(tmp_path)


def test_name_without_file_or_preset():
    assert "did you mean gramicidin-a?" in refusal("gramicidin")
    assert "pnp list" in refusal("zzzz")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch pwned')",
        "1 __import__('os').system('touch pwned')",
        "9**9**9**9",
        "1 9**9**9**9",
        "1 nm**9**9**9**9",
        "1 nm^(9^9^9^9)",
        "1 nm*9**9**9**9",
        "1 nm^99999999999",
        "1 " + "(" * 50,
    ],
)
def test_quantities_are_never_computed(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin = time.perf_counter()
    message = refusal(write(tmp_path, pore(f'length = "{text}"\nradius = 1')))
    assert time.perf_counter() - begin < 5
    assert "pore.length: expected a number in nm" in message
    assert [f.name for f in tmp_path.iterdir()] == ["channel.toml"]


# --- units --------------------------------------------------------------------------------------

E_PER_NM2 = units.ELEMENTARY_CHARGE * 1e18
KJ_PER_MOL = 1e3 / (units.GAS_CONSTANT * units.ROOM_TEMPERATURE)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("0.1 M", quantity.CONCENTRATION, 100.0),
        ("100 mM", quantity.CONCENTRATION, 100.0),
        ("100 mol/m^3", quantity.CONCENTRATION, 100.0),
        ("2 Å", quantity.LENGTH, 0.2),
        ("2e-3 µm", quantity.LENGTH, 2.0),
        ("3", quantity.LENGTH, 3.0),
        (" 3.5 ", quantity.LENGTH, 3.5),
        (3, quantity.LENGTH, 3.0),
        (np.float32(0.5), quantity.LENGTH, 0.5),
        (np.int64(2), quantity.LENGTH, 2.0),
        ("-20 mC/m^2", quantity.SURFACE_CHARGE, -0.020),
        ("-1 e/nm^2", quantity.SURFACE_CHARGE, -E_PER_NM2),
        ("25 degC", quantity.TEMPERATURE, 298.15),
        ("25 °C", quantity.TEMPERATURE, 298.15),
        ("1.33e-9 m^2/s", quantity.DIFFUSIVITY, 1.33),
        ("1.33e-5 cm**2 s^-1", quantity.DIFFUSIVITY, 1.33),
        ("1.33e-9 m² s⁻¹", quantity.DIFFUSIVITY, 1.33),
        ("-0.1 V", quantity.POTENTIAL, -100.0),
        ("-2 e", quantity.CHARGE, -2.0),
        ("-2e", quantity.CHARGE, -2.0),
        ("3 kT", quantity.ENERGY, 3.0),
        ("10 kJ/mol", quantity.ENERGY, 10 * KJ_PER_MOL),
        ("25 meV", quantity.ENERGY, 25.0 / units.thermal_voltage(units.ROOM_TEMPERATURE)),
        ("-0.5 M", quantity.CHARGE_DENSITY, -0.5),
        ("-1 e/nm^3", quantity.CHARGE_DENSITY, -units.MILLIMOLAR_PER_CHARGE_DENSITY / 1e3),
    ],
)
def test_quantity_in_the_house_unit(text, kind, value):
    assert quantity.parse_quantity(text, kind) == pytest.approx(value, rel=1e-12)


def test_the_example_of_every_kind_is_one():
    for kind in vars(quantity).values():
        if isinstance(kind, quantity.Kind):
            assert np.isfinite(quantity.parse_quantity(quantity.example(kind), kind))


def test_units_of_a_file_reach_the_channel(tmp_path):
    text = """
    temperature = "37 degC"
    [inside]
    K = "0.1 M"
    Cl = "100"
    [outside]
    K = 100
    Cl = 100
    [pore]
    length = "50 Å"
    radius = "10 Å"
    pmf = {Cl = "10 kJ/mol"}
    [[pore.charge]]
    kind = "segment"
    density = "-0.5 M"
    start = 0
    end = 5
    [[pore.charge]]
    kind = "wall"
    surface_density = "-1 e/nm^2"
    """
    channel = pnp.load(write(tmp_path, text))
    middle = np.array([2.5])
    assert float(channel.inside["K"]) == pytest.approx(100)
    assert float(channel.temperature) == pytest.approx(310.15)
    assert float(channel.pore.end) == pytest.approx(5.0)
    assert channel.pmf(middle)[0, 1] == pytest.approx(10e3 / (units.GAS_CONSTANT * 310.15))
    # e/nm of a volume density over π (1 nm)², and of one charge per nm² on 2π (1 nm)
    volume = -0.5 * 1e3 / units.MILLIMOLAR_PER_CHARGE_DENSITY * np.pi
    assert channel.line_charge(middle)[0] == pytest.approx(volume - 2 * np.pi)


# --- ready-made channels, the template, overrides -----------------------------------------------


@pytest.mark.parametrize("name", catalogue.names())
def test_preset_is_sound_described_and_sourced(name):
    channel = pnp.load(name)
    assert channel.name == name
    assert channel.description == pnp.presets()[name]
    assert "\n" not in channel.description
    assert channel.validity
    comments = " ".join(re.findall("#(.*)", catalogue.text(name)))
    assert re.search(r"\b(19|20)\d\d\b", comments) or "idealisation" in comments


def test_every_preset_that_was_promised_is_there():
    predicted_reduction = {
        "alpha-hemolysin",
        "conical-nanopore",
        "gramicidin-a",
        "kcsa-like",
        "ompf",
        "uncharged-cylinder",
    }
    assert predicted_reduction <= set(pnp.presets())


def test_overrides_replace_values_at_every_depth():
    channel = pnp.load(
        "alpha-hemolysin", overrides={"inside.K": 150, "inside.Cl": "0.15 M", "pore.charge.1.amount": 3.5}
    )
    assert float(channel.inside["K"]) == 150
    assert float(channel.inside["Cl"]) == pytest.approx(150)
    assert [float(c.amount) for c in channel.pore.charge] == [-7, 3.5, -7]
    assert [float(c.amount) for c in pnp.load("alpha-hemolysin").pore.charge] == [-7, 7, -7]


def test_override_may_add_what_the_file_leaves_out():
    channel = pnp.load("uncharged-cylinder", overrides={"pore.pmf.K": 2.0, "reservoir.kind": "none"})
    assert channel.pmf(np.array([1.0]))[0, 0] == 2.0
    assert channel.reservoirs[0].kind == "none"


@pytest.mark.parametrize(
    ("path", "fragments"),
    [
        ("nosuch.x", ["nosuch: unknown key"]),
        ("pore.lenght", ["pore.lenght: unknown key; did you mean length?"]),
        ("pore.charge.3.amount", ["pore.charge.3.amount: pore.charge has no entry '3'; it has 3"]),
        ("pore.charge.-1.amount", ["pore.charge.-1.amount: pore.charge has no entry '-1'"]),
        ("pore.charge.first.amount", ["pore.charge.first.amount: pore.charge has no entry 'first'"]),
        ("pore.charge.²", ["pore.charge.²: pore.charge has no entry '²'"]),
        ("pore.permittivity.x", ["pore.permittivity.x: pore.permittivity is a value, so it has no 'x'"]),
        ("pore.charge.0.amont", ["pore.charge.0.amont: unknown key; did you mean amount?"]),
        ("inside.K", ["inside: the bath is not electroneutral", "-999 mM"]),
    ],
)
def test_override_that_fits_nowhere_is_named(path, fragments):
    message = refusal("alpha-hemolysin", overrides={path: 1})
    assert message.startswith("alpha-hemolysin: 1 mistake\n")
    for fragment in fragments:
        assert fragment in message


def test_template_is_a_sound_channel(tmp_path):
    from importlib.resources import files

    template = files("pnp.io").joinpath("template.toml").read_text("utf-8")
    channel = pnp.load(write(tmp_path, template))
    assert channel.name == "my-channel"
    assert [float(c.amount) for c in channel.pore.charge] == [-2.0]


def test_commented_parts_of_the_template_are_sound_too(tmp_path):
    """A user will uncomment them."""
    from importlib.resources import files

    template = files("pnp.io").joinpath("template.toml").read_text("utf-8")
    first, _, pieces = template.partition("# A pore made of pieces")
    last = pieces[pieces.index("[reservoir]") :]
    wanted = re.sub(r"^# (?=\[|\w+ = )", "", first + last, flags=re.MULTILINE)
    wanted = wanted.replace("[inside]\n", "[inside]\nTMA = 0\n")
    channel = pnp.load(write(tmp_path, wanted))
    assert [type(c).__name__ for c in channel.pore.charge] == ["Ring", "Segment", "WallCharge"]
    assert [c.place for c in channel.pore.charge] == ["protein", "protein", "wall"]
    assert [float(s) for s in channel.membrane.surface_charge] == [pytest.approx(-0.02)] * 2
    assert channel.ions["TMA"].radius == 0.28
    assert channel.pmf(np.array([1.0]))[0].tolist() == [0.0, 0.0, 3.0]


def test_channel_carries_what_its_file_resolved_to(tmp_path):
    text = SOUND.replace("K = 100", 'K = "0.1 M"') + '[reservoir]\nkind = "none"\n'
    channel = pnp.load(write(tmp_path, text), overrides={"pore.radius": "8 Å"})
    held = contents(channel)
    assert held["inside"] == {"K": pytest.approx(100), "Cl": 100}
    assert held["pore"] == {"length": 5.0, "radius": pytest.approx(0.8)}
    assert held["reservoir"] == {"kind": "none"}


ACTIVITY = {
    "steric": ('model = "steric"\nsize = "7 Å"', {"model": "steric", "size": pytest.approx(0.7)}),
    "sizes": (
        'model = "steric"\nsize = {K = 0.33, Cl = "3.6 Å"}\nsolvent = 0.3',
        {"model": "steric", "size": {"K": 0.33, "Cl": pytest.approx(0.36)}, "solvent": 0.3},
    ),
    "davies": ('model = "davies"', {"model": "davies"}),
    "davies in numbers": (
        'model = "davies"\nslope = 0.5\ncoefficient = 0.2',
        {"model": "davies", "slope": 0.5, "coefficient": 0.2},
    ),
    "ideal": ('model = "ideal"', None),
}


@pytest.mark.parametrize(("lines", "held"), ACTIVITY.values(), ids=ACTIVITY)
def test_activity_model_and_its_provenance(lines, held, tmp_path):
    channel = pnp.load(write(tmp_path, f"{SOUND}born = true\npermittivity = 40\n[activity]\n{lines}\n"))
    written = contents(channel)
    assert written.get("activity") == held
    assert written["pore"]["born"] is True
    again = channel_of(written, "again")
    assert_equal(again, channel)
    assert str(again.activity_model) == str(channel.activity_model)
    found = channel.activity_model.coefficients(
        channel.ion_names, pnp.theory.water_permittivity(), 298.15
    ).excess_from_concentration([100.0, 100.0], [1.0, -1.0])
    expected = {
        "steric": -np.log(1 - 0.7**3 * 200 / units.MILLIMOLAR_PER_CHARGE_DENSITY),
        "davies": np.log(
            pnp.theory.davies(100.0, 1, pnp.theory.debye_huckel_slope(pnp.theory.water_permittivity(), 298.15))
        ),
        "davies in numbers": np.log(pnp.theory.davies(100.0, 1, 0.5, 0.2)),
        "ideal": 0.0,
    }
    name = next(k for k, v in ACTIVITY.items() if v[0] == lines)
    if name in expected:
        np.testing.assert_allclose(found, expected[name], rtol=1e-12)
    energy = channel.position_energy(np.array([-1.0, 2.5]))
    radii = np.array([0.138, 0.181])
    np.testing.assert_allclose(
        energy, [[0, 0], pnp.theory.born_energy(radii, 1, 40.0, pnp.theory.water_permittivity())], rtol=1e-12
    )


MEMBRANES = {
    "one number": ('permittivity = 3.3\nsurface_charge = "-20 mC/m^2"', [3.3, -0.02, -0.02]),
    "two faces": ('surface_charge = {inside = -0.01, outside = "1 e/nm^2"}', [2.0, -0.01, E_PER_NM2]),
    "one face": ("surface_charge = {outside = 0.03}", [2.0, 0.0, 0.03]),
    "as in Python": ("", [2.0, 0.0, 0.0]),
}


@pytest.mark.parametrize(("lines", "expected"), MEMBRANES.values(), ids=MEMBRANES)
def test_membrane_and_its_provenance(lines, expected, tmp_path):
    channel = pnp.load(write(tmp_path, f"{SOUND}[membrane]\n{lines}\n"))
    again = channel_of(contents(channel), "again")
    assert_equal(again, channel)
    assert ("membrane" in contents(channel)) == bool(lines)
    for made in (channel, again):
        held = made.membrane
        assert [float(held.permittivity), *map(float, held.surface_charge)] == pytest.approx(expected, rel=1e-12)


def test_charges_for_two_dimensions_and_their_provenance(tmp_path):
    text = charge(
        'kind = "wall"\nsurface_density = [["10 Å", 0], [2, "-1 e/nm^2"]]\n'
        '[[pore.charge]]\nkind = "ring"\namount = -1\nposition = 2\nwidth = 0.2\ndepth = "4 Å"\n'
        '[[pore.charge]]\nkind = "segment"\ndensity = 1\nstart = 1\nend = 2\ndepth = 0.3\n'
        '[[pore.charge]]\nkind = "segment"\namount = 1\nstart = 1\nend = 2\ndepth = 0.2\n'
        '[[pore.charge]]\nkind = "segment"\namount = 1\nstart = 1\nend = 2\n'
    )
    channel = pnp.load(write(tmp_path, text))
    again = channel_of(contents(channel), "again")
    assert_equal(again, channel)
    for made in (channel, again):
        assert [c.place for c in made.pore.charge] == ["wall", "protein", "protein", "protein", "water"]
        assert [float(c.depth) for c in made.pore.charge[1:4]] == pytest.approx([0.4, 0.3, 0.2])
        # constant before and after the table, as every table is
        np.testing.assert_allclose(
            made.pore.surface_density(np.array([-1, 0.5, 1.25, 3.0])), [0, 0, -0.25, -1], rtol=1e-12, atol=1e-15
        )


def test_override_of_one_face():
    channel = pnp.load("uncharged-cylinder", overrides={"membrane.surface_charge.outside": "-20 mC/m^2"})
    assert [float(s) for s in channel.membrane.surface_charge] == pytest.approx([0.0, -0.02])


def test_segments_become_steps_and_charges():
    channel = pnp.load("kcsa-like")
    x = np.array([0.1, 0.7, 1.8, 2.9])
    np.testing.assert_allclose(channel.permittivity(x), [80, 4, 30, 30])
    np.testing.assert_allclose(channel.diffusivity(x)[:, 0], [0.4, 0.4, 0.4, 0.5])
    np.testing.assert_allclose(channel.line_charge(x), [-4 / 0.2, 0, -0.5 / 1.0, -1.5 / 1.2])
