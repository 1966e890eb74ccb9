"""Many channels as one whose numbers are arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from tests.conftest import make_charged

SALT = {"K": 100.0, "Cl": 100.0}
RING = {"kind": "ring", "amount": -1.0, "position": 2.0, "width": 0.3}
SEGMENT = {"kind": "segment", "amount": -1.0, "start": 1.0, "end": 3.0}


def test_a_stack_has_the_numbers_of_all():
    channels = [pnp.load("ompf", overrides={"pore.diffusivity_factor": f, "name": f"f{f}"}) for f in (0.4, 0.5, 0.6)]
    stacked = pnp.stack(channels)
    assert stacked.stacked
    assert stacked.name == "f0.4, f0.5, f0.6"
    assert stacked.value("pore.diffusivity_factor").tolist() == [0.4, 0.5, 0.6]
    assert stacked.value("pore.charge.0.amount").shape == (3,)
    each = jax.vmap(lambda c: c.diffusivity(jnp.array(2.0)))(stacked)
    np.testing.assert_allclose(each, [c.diffusivity(jnp.array(2.0)) for c in channels], rtol=1e-14)


def test_numbers_of_a_stack_can_be_changed():
    stacked = pnp.stack([make_charged(density) for density in (-1.0, -2.0)])
    changed = stacked.with_values({"pore.charge.0.density.2": [-3.0, -4.0], "inside.K": "0.2 M", "inside.Cl": 200.0})
    assert changed.value("pore.charge.0.density.2").tolist() == [-3.0, -4.0]
    assert changed.value("inside.K").tolist() == [200.0, 200.0]
    scaled = stacked.with_values({"pore.area.scale": [2.0, 3.0]})
    assert jax.vmap(lambda c: c.area(jnp.array(1.0)))(scaled).tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match="expected one number"):
        stacked.with_values({"inside.K": np.ones((2, 2))})


def cylinder(**overrides):
    return pnp.load("uncharged-cylinder", overrides=overrides)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: cylinder(**{"pore.charge": [RING, RING]}), "channel 1 has 2 charges, channel 0 has 1"),
        (lambda: cylinder(**{"pore.charge": [SEGMENT]}), "pore.charge.0 is a segment of given amount in channel 1"),
        (
            lambda: cylinder(**{"pore.charge": [RING], "pore.permittivity": [[0, 4], [5, 4]]}),
            "pore.permittivity is a table in channel 1, not given in channel 0",
        ),
        (
            lambda: cylinder(**{"pore.charge": [RING], "inside.Na": 1, "inside.Cl": 101}),
            "channel 1 has the ions Cl, K, Na, channel 0 Cl, K",
        ),
        (
            lambda: cylinder(**{"pore.charge": [RING], "pore.pmf.K": 1}),
            "pore.pmf is given for K in channel 1, for none in channel 0",
        ),
        (lambda: cylinder(**{"pore.charge": [{**RING, "depth": 0.3}]}), "pore.charge.0.depth is one number in channel"),
        (lambda: cylinder(**{"pore.charge": [RING], "reservoir.kind": "none"}), "reservoirs.0.kind is none"),
        (
            lambda: cylinder(**{"pore.charge": [RING], "activity.model": "davies"}),
            "activity_model is Davies in channel 1, Ideal in channel 0",
        ),
        (lambda: cylinder(**{"pore.charge": [RING], "pore.born": True}), "pore.born is True in channel 1"),
    ],
)
def test_other_structures_are_refused_with_the_first_difference(other, words):
    with pytest.raises(ValueError, match=words):
        pnp.stack([cylinder(**{"pore.charge": [RING]}), other()])


def test_rows_of_tables_must_be_as_many():
    two, three = ([[0.0, 1.0], [5.0, 2.0]], [[0.0, 1.0], [2.0, 1.0], [5.0, 2.0]])
    tables = [make_table(rows) for rows in (two, two, three)]
    with pytest.raises(ValueError, match=r"pore\.radius has 3 rows in channel 2, 2 in channel 0"):
        pnp.stack(tables)
    assert pnp.stack(tables[:2]).stacked


def make_table(rows):
    x, radius = np.array(rows).T
    area = pnp.channel.profiles.Circle(pnp.channel.profiles.Table(x, radius))
    pore = pnp.channel.Pore(0.0, 5.0, area, pnp.channel.profiles.Constant(78.4))
    return pnp.Channel({"K": pnp.Ion(1, 1.9), "Cl": pnp.Ion(-1, 2.0)}, pore, SALT, SALT)


def test_nothing_and_stacks_cannot_be_stacked():
    with pytest.raises(ValueError, match="no channels"):
        pnp.stack([])
    with pytest.raises(ValueError, match="channel 0 is a stack"):
        pnp.stack([pnp.stack([make_charged()] * 2)])
