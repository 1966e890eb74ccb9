"""Which numbers of a channel can be fitted, and in what measure."""

import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.channel.numbers import numbers
from pnp.fit.model.paths import MEASURES, find, fitted_numbers
from tests.conftest import make_charged


def test_every_number_that_can_be_fitted_has_a_measure():
    for name in pnp.presets():
        channel = pnp.load(name)
        known = fitted_numbers(channel)
        assert len(known) > 8
        for path, number in known.items():
            measure = MEASURES[number.kind]
            assert measure.quantity == number.kind
            assert not measure.logarithmic or float(number.get(channel)) > 0, path


def test_what_is_not_fitted_is_measured_jumps_or_has_no_effect():
    for name in pnp.presets():
        channel = pnp.load(name)
        rest = numbers(channel).keys() - fitted_numbers(channel).keys()
        measured = {"temperature", *(f"{side}.{ion}" for side in ("inside", "outside") for ion in ("K", "Cl"))}
        assert measured <= rest
        jumps = {path for path, number in numbers(channel).items() if not number.smooth}
        assert rest - measured - jumps == {"pore.radius.offset", "ions.K.radius", "ions.Cl.radius"}


def test_sizes_and_segments_can_be_fitted():
    steric = make_charged(activity_model=pnp.activity.Steric({"K": 0.5, "Cl": 0.6}))
    assert {"activity.size.K", "activity.size.Cl"} <= set(fitted_numbers(steric))
    segments = fitted_numbers(pnp.load("kcsa-like"))
    assert {"pore.segment.2.charge", "pore.segment.0.diffusivity.K", "pore.radius.scale"} <= set(segments)


def test_a_number_may_be_put_into_another_condition():
    channel = pnp.load("gramicidin-a")
    diluted = channel.with_baths({"K": 10, "Cl": 10})
    wide = find(channel, "pore.radius.scale").put(diluted, 1.5)
    x = jnp.linspace(0, 3, 7)
    assert np.allclose(wide.area(x), 2.25 * channel.area(x))
    assert float(wide.inside["K"]) == 10.0


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("pore.charge.0.amuont", "did you mean pore.charge.0.amount"),
        ("pore.radius.11", r"no such number.*pore\.radius\."),
        ("inside.K", "belongs to the measurement"),
        ("temperature", "belongs to the measurement"),
        ("pore.charge.0.end", "where something jumps"),
        ("pore.radius.offset", "is not fitted"),
        ("ions.K.radius", "no Born energy"),
        ("nonsense", "no such number"),
    ],
)
def test_paths_that_cannot_be_fitted_are_told_why(path, message):
    with pytest.raises(KeyError, match=message):
        find(pnp.load("ompf"), path)
