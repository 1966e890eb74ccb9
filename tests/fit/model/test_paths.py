"""Numbers of a channel by their paths: what is put there is there, in the channel and in its file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.fit.model.paths import file_with, find, places
from pnp.io.channel_file import reader as channel_file
from tests.conftest import make_charged


def other_value(place):
    """Near the channel's own, but not it."""
    return place.value * 1.125 if place.measure.logarithmic else place.value + 0.0625


def same(a, b):
    """Leaves alike, and as many of them."""
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.allclose(x, y, rtol=1e-12, atol=1e-14) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


QUICK = ("ompf", "kcsa-like")  # one made of profiles, one of segments


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in sorted(pnp.presets())]
)
def preset(request):
    return pnp.load(request.param)


def test_a_file_with_another_number_is_the_channel_with_it(preset):
    known = places(preset)
    assert len(known) > 8
    for path, place in known.items():
        value = other_value(place)
        written = channel_file.build(channel_file.read_contents(_toml(file_with(preset, {path: value})), path))
        put = place.put(preset, value)
        fields = lambda c: (c.ions, c.pore, c.bath_permittivity, c.membrane, c.activity_model)
        assert same(fields(written), fields(put)), path
        assert not same(fields(put), fields(preset)), path


def _toml(raw):
    tomli_w = pytest.importorskip("tomli_w")
    return tomli_w.dumps(raw)


def test_numbers_can_be_traced():
    channel = pnp.load("kcsa-like")
    known = places(channel)

    @jax.jit
    def changed(values):
        here = channel
        for place, value in zip(known.values(), values, strict=True):
            if not place.path.endswith(".scale"):
                here = place.put(here, value)
        return here.area(jnp.array(1.0))

    assert np.isfinite(changed([other_value(place) for place in known.values()]))


def test_a_scale_multiplies_the_whole_table():
    channel = pnp.load("gramicidin-a")
    wide = places(channel)["pore.radius.scale"].put(channel, 1.5)
    x = jnp.linspace(0, 3, 7)
    assert np.allclose(wide.area(x), 2.25 * channel.area(x))


def test_a_partition_energy_can_be_added_where_there_is_none():
    channel = pnp.load("uncharged-cylinder")
    raised = places(channel)["pore.pmf.K"].put(channel, 2.0)
    assert float(raised.pmf(jnp.array(1.0))[raised.ion_names.index("K")]) == 2.0
    assert float(channel.pmf(jnp.array(1.0)).max()) == 0.0


def test_an_own_diffusivity_starts_at_what_the_factor_makes_of_the_bulk():
    channel = pnp.load("ompf")
    place = places(channel)["pore.diffusivity.K"]
    assert same(place.put(channel, place.value).diffusivity(jnp.array(2.0)), channel.diffusivity(jnp.array(2.0)))


def test_sizes_and_segments_have_paths():
    steric = make_charged(activity_model=pnp.channel.activity.Steric({"K": 0.5, "Cl": 0.6}))
    assert {"activity.size.K", "activity.size.Cl"} <= set(places(steric))
    segments = places(pnp.load("kcsa-like"))
    assert {"pore.segment.2.charge", "pore.segment.0.diffusivity.K", "pore.radius.scale"} <= set(segments)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("pore.charge.0.amuont", "did you mean pore.charge.0.density"),
        ("pore.radius", "is a table; free pore.radius.9 or pore.radius.scale"),
        ("inside.K", "belongs to the measurement"),
        ("temperature", "belongs to the measurement"),
        ("nonsense", "no such number"),
    ],
)
def test_paths_that_are_none_are_told_with_what_there_is(path, said):
    with pytest.raises(KeyError, match=said):
        find(places(pnp.load("ompf")), path)


def test_a_channel_from_python_has_no_file():
    with pytest.raises(pnp.ChannelError, match="built in Python"):
        file_with(make_charged(), {"pore.permittivity": 60.0})
