"""What a channel is, written down: channel files, and what results say of their channel."""

import json
import tomllib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.channel.charge import Ring, Segment, WallCharge
from pnp.channel.numbers import numbers
from pnp.channel.profiles import Circle, Constant, Function, Table
from pnp.io.channel_file.reader import channel_of
from pnp.io.channel_file.writer import SAMPLES, contents, toml_text
from tests.channel.test_numbers import other_value, same
from tests.conftest import X, make_charged

QUICK = ("ompf", "kcsa-like")
preset = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in sorted(pnp.presets())]
)


def assert_equal(one, other):
    """Channels of the same structure and the same numbers, to the last bit."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", sorted(pnp.presets()))
def test_a_preset_is_the_same_to_the_bit_when_its_contents_are_read(name):
    channel = pnp.load(name)
    written = contents(channel)
    for again in (json.loads(json.dumps(written)), tomllib.loads(toml_text(written))):
        read = channel_of(again, "again")
        assert_equal(read, channel)
        assert (read.name, read.description, read.validity) == (channel.name, channel.description, channel.validity)


@preset
def test_three_ways_to_another_number_are_one(name):
    """In the channel, in its contents, and by an override, for every path."""
    channel = pnp.load(name)
    for path, number in numbers(channel).items():
        if number.path.split(".")[0] in ("inside", "outside"):
            continue  # both ions of a bath have to change, as below
        value = other_value(number, channel)
        changed = channel.with_values({path: value})
        assert same(channel_of(contents(changed), path), changed), path
        assert same(pnp.load(name, overrides={path: value}), changed), path
    salt = {"inside.K": 70.0, "inside.Cl": "0.07 M"}
    assert same(pnp.load(name, overrides=salt), channel.with_values(salt))


def test_channels_from_profiles_can_be_written_too():
    area, fixed_charge = np.array([1.0, 1, 2, 2, 1, 1]), np.array([0.0, 0, -0.7, -0.7, 0, 0])
    more = {"ions": ["K", "Cl"], "inside": {"K": 10, "Cl": 10}, "outside": {"K": 10, "Cl": 10}, "pmf": {"Cl": 3.0}}
    charged = pnp.Channel.from_profiles(X, area=area, fixed_charge=fixed_charge, **more)
    read = channel_of(tomllib.loads(toml_text(contents(charged))), "again")
    assert_equal(read, charged)
    turned = pnp.load("alpha-hemolysin").reflected()
    assert contents(turned)["pore"]["start"] == -10.0
    assert_equal(channel_of(contents(turned), "again"), turned)


def test_a_pore_of_segments_that_is_one_no_more_is_written_as_profiles():
    channel = pnp.load("kcsa-like")
    rows = lambda c: c.pore.area.radius.y
    sloping = eqx.tree_at(rows, channel, rows(channel).at[3].set(0.7))
    written = contents(sloping)["pore"]
    assert "segment" not in written
    assert [0.2, 0.5] in written["radius"]
    x = jnp.linspace(-1, 4, 101)
    again = channel_of(contents(sloping), "again")
    for law in ("area", "permittivity", "line_charge", "diffusivity"):
        np.testing.assert_array_equal(getattr(again, law)(x), getattr(sloping, law)(x))


def test_functions_are_written_as_samples_that_say_so():
    ions = {"ions": ["K", "Cl"], "inside": {"K": 1, "Cl": 1}, "outside": {"K": 1, "Cl": 1}}
    channel = pnp.Channel.from_profiles([0.0, 4.0], area=lambda x: 1 + x, **ions)
    written = contents(channel)["pore"]["area"]
    assert written["origin"] == f"sampled from a function at {SAMPLES} points"
    np.testing.assert_allclose(np.array(written["table"])[[0, -1]], [[0, 1], [4, 5]])
    with pytest.raises(pnp.ChannelFileError, match=r"pore\.area"):
        channel_of(contents(channel), "a function")


def test_what_no_file_can_describe_is_written_all_the_same():
    class Pulse(pnp.channel.charge.Charge):
        def line_density(self, x, area, wall_area):
            return jnp.where(x > 1.0, 1.0, 0.0)

        def reflected(self):
            return self

    pore = pnp.channel.Pore(0.0, 4.0, Constant(2.0), Constant(80.0), (Pulse(),))
    kinds = pnp.channel.Reservoir("cone", 3.0, 2.0), pnp.channel.Reservoir("none")
    salt, ions = {"K": 1.0, "Cl": 1.0}, {"K": pnp.Ion(1, 2.0), "Cl": pnp.Ion(-1, 2.0)}
    written = contents(pnp.Channel(ions, pore, salt, salt, reservoirs=kinds))
    assert written["pore"]["charge"][0]["kind"] == "Pulse"
    assert "charge per length" in written["pore"]["charge"][0]["line_density"]["origin"]
    assert written["reservoir"]["inside"] == {"kind": "cone", "length": 3.0, "radius": 2.0}
    assert written["ions"]["K"] == {"valence": 1, "diffusivity": 2.0}


# --- results ------------------------------------------------------------------------------------


def test_a_result_states_the_channel_it_is_of(tmp_path):
    """Not the file that the channel was loaded from: numbers may have been changed since, in any way."""
    xr = pytest.importorskip("xarray")
    channel = pnp.load("ompf").with_baths(outside={"K": 250.0, "Cl": 250.0})
    channel = eqx.tree_at(lambda c: c.pore.charge[0].density.value, channel, jnp.array(-0.123))
    solution = pnp.solve(channel, 20.0, discretization=pnp.Axial(nodes=80), throw=False)
    solution.to_xarray().to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as dataset:
        stated = json.loads(dataset.attrs["resolved_channel"])
    assert stated["outside"] == {"K": 250.0, "Cl": 250.0}
    assert stated["inside"] == {"K": 1000.0, "Cl": 1000.0}
    assert stated["pore"]["charge"][0]["density"] == -0.123
    assert stated["ions"]["K"]["diffusivity"] == 1.957
    assert_equal(channel_of(stated, "stated"), channel)


# --- overrides that are no keys of the file ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "value", "expected"),
    [
        ("ompf", "pore.radius", 1.5, "pore.radius.scale"),
        ("ompf", "pore.radius.4", "5 Å", None),
        ("ompf", "pore.radius.offset", -0.1, None),
        ("ompf", "pore.charge.0.amount", -3.0, None),
        ("kcsa-like", "pore.permittivity", 1.1, "pore.permittivity.scale"),
        ("kcsa-like", "pore.segment.1.charge", -0.2, None),
        ("conical-nanopore", "pore.charge.0.surface_density", "-50 mC/m^2", None),
        ("uncharged-cylinder", "membrane.surface_charge.inside", -0.02, None),
        ("uncharged-cylinder", "pore.diffusivity.K", 1.0, None),
    ],
)
def test_overrides_are_numbers_of_the_channel(name, path, value, expected):
    found = pnp.load(name, overrides={path: value})
    assert same(found, pnp.load(name).with_values({expected or path: value}))
    assert not same(found, pnp.load(name))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"pore.radius": "1 nm"}, ["ompf: 1 mistake", "pore.radius: expected a plain number"]),
        ({"pore.radius.scale": "nan"}, ["pore.radius"]),
        ({"pore.radius.99": 1.0}, ["pore.radius.99: the channel has no such number"]),
        ({"pore.permittivity.scale": 0}, ["pore.permittivity: must be positive"]),
        ({"pore.radius": 2.0, "pore.radius.scale": 2.0}, ["set the same numbers"]),
    ],
)
def test_overrides_that_make_no_sense_are_named(overrides, words):
    with pytest.raises(pnp.ChannelFileError) as caught:
        pnp.load("ompf", overrides=overrides)
    for word in words:
        assert word in str(caught.value)


def test_a_table_takes_the_place_of_a_number_and_a_hole_profile_is_a_table():
    wide = pnp.load("uncharged-cylinder", overrides={"pore.permittivity": [[0, 80], [5, 4]]})
    assert isinstance(wide.pore.permittivity, Table)
    assert isinstance(pnp.load("ompf", overrides={"pore.radius": [[0, 1], [5, 2]]}).pore.area, Circle)
    assert [type(c) for c in pnp.load("alpha-hemolysin", overrides={"pore.charge.0": {
        "kind": "segment", "amount": 1, "start": 0, "end": 1}}).pore.charge] == [Segment, Ring, Ring]  # fmt: skip
    assert isinstance(pnp.load("conical-nanopore").pore.charge[0], WallCharge)
    assert isinstance(make_charged().reflected().pore.area, Table)
    assert isinstance(Function(jnp.sin).reflected(), Function)
