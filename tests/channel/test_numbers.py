"""Numbers of a channel by their paths: reading, changing, tracing, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.channel.numbers import numbers
from pnp.channel.profiles import Constant
from tests.conftest import X, make_charged

AXIAL = pnp.Axial(nodes=80)
QUICK = ("ompf", "kcsa-like")  # one made of profiles, one of segments


def other_value(number, channel):
    """Near the channel's own, but not it."""
    value = float(number.get(channel))
    return 0.0625 if value == 0.0 else 0.875 * value  # still within the pore, if it is a position


def same(a, b, rtol=1e-12):
    """Leaves alike, and as many of them."""
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.allclose(x, y, rtol=rtol, atol=rtol) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in sorted(pnp.presets())]
)
def preset(request):
    return pnp.load(request.param)


def test_a_number_that_is_put_is_there(preset):
    known = numbers(preset)
    assert len(known) > 20
    for path, number in known.items():
        value = other_value(number, preset)
        changed = number.put(preset, jnp.asarray(value))
        assert not same(changed, preset), path
        if number.rule.startswith(("multiplies", "is added")):
            continue  # a factor is 1 again
        assert float(number.get(changed)) == pytest.approx(value, rel=1e-12), path


def test_values_by_their_paths():
    channel = pnp.load("conical-nanopore")
    assert float(channel.value("pore.charge.0.surface_density")) == pytest.approx(-0.1602, rel=1e-3)
    assert float(channel.value("inside.K")) == 100.0
    changed = channel.with_values({"inside.K": "0.2 M", "inside.Cl": 200, "temperature": "25 degC"})
    assert [float(changed.value(f"inside.{k}")) for k in ("K", "Cl")] == [200.0, 200.0]
    assert float(channel.value("inside.K")) == 100.0, "the channel itself stays as it is"
    assert same(channel.with_values({}), channel)


def test_energies_are_converted_at_the_temperature_they_come_with():
    channel = pnp.load("uncharged-cylinder").with_values({"pore.pmf.K": "10 kJ/mol", "temperature": 310.15})
    assert float(channel.value("pore.pmf.K")) == pytest.approx(10e3 / (pnp.units.GAS_CONSTANT * 310.15))
    with pytest.raises(ValueError, match="give it in kT"):
        jax.jit(lambda t: channel.with_values({"temperature": t, "pore.pmf.K": "1 kJ/mol"}).temperature)(300.0)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"pore.charge.0.amuont": 1.0}, KeyError, ["did you mean pore.charge.0.amount"]),
        ({"nonsense": 1.0}, KeyError, ["no such number"]),
        ({"inside.K": "3 nm"}, ValueError, ["inside.K: ", "is not a concentration"]),
        ({"inside.K": np.ones(3)}, ValueError, ["inside.K: expected one number", "(3,)"]),
        ({"pore.radius": "1 nm"}, ValueError, ["pore.radius: expected a plain number"]),
        ({"pore.radius.3": 1.0, "pore.radius.scale": 2.0}, ValueError, ["pore.radius.3", "set the same numbers"]),
        ({"pore.charge.0.amount": 1.0, "pore.charge.0.density": 1.0}, ValueError, ["set the same numbers"]),
        ({"inside.K": 7.0}, pnp.ChannelError, ["inside: ", "not electroneutral"]),
        ({"pore.radius.offset": np.inf}, pnp.ChannelError, ["pore.radius: must be finite"]),
        ({"pore.charge.0.end": -1.0}, pnp.ChannelError, ["pore.charge.0.end: must lie after start"]),
    ],
)
def test_what_cannot_be_put_is_said(values, error, words):
    with pytest.raises(error) as caught:
        pnp.load("ompf").with_values(values)
    for word in words:
        assert word in str(caught.value)


def test_the_path_of_a_table_means_a_factor():
    channel, x = pnp.load("gramicidin-a"), jnp.linspace(0, 3, 7)
    for path in ("pore.radius", "pore.radius.scale"):
        np.testing.assert_allclose(channel.with_values({path: 1.5}).area(x), 2.25 * channel.area(x), rtol=1e-12)
        assert float(channel.value(path)) == 1.0
    wider = channel.with_values({"pore.radius.offset": "0.1 nm"})
    np.testing.assert_allclose(np.sqrt(wider.area(x)), np.sqrt(channel.area(x)) + 0.1 * np.sqrt(np.pi), rtol=1e-12)


def test_the_path_of_a_constant_is_its_value():
    channel = pnp.load("uncharged-cylinder").with_values({"pore.radius": 1.5, "pore.length": 8.0})
    assert float(channel.pore.end) == 8.0
    assert float(channel.area(jnp.array(4.0))) == pytest.approx(2.25 * np.pi)


def test_a_charged_wall_follows_the_length_unless_it_ends_before():
    both = pnp.load("uncharged-cylinder", overrides={"pore.charge": [
        {"kind": "wall", "surface_density": -0.1}, {"kind": "wall", "surface_density": -0.1, "end": 4.0},
    ]})  # fmt: skip
    longer = both.with_values({"pore.length": 8.0})
    assert [float(c.end) for c in longer.pore.charge] == [8.0, 4.0]
    given = both.with_values({"pore.charge.0.end": 5.0}).with_values({"pore.length": 8.0})
    assert [float(c.end) for c in given.pore.charge] == [5.0, 4.0]


def test_a_longer_segment_moves_what_comes_after_it():
    channel = pnp.load("kcsa-like")
    longer = channel.with_values({"pore.segment.1.length": 1.6})
    assert float(longer.pore.end) == pytest.approx(4.0)
    np.testing.assert_allclose(longer.permittivity(jnp.array([0.1, 1.7, 1.9, 3.0])), [80, 4, 30, 30])
    assert [float(c.end) for c in longer.pore.charge] == pytest.approx([0.2, 1.8, 2.8, 4.0])
    assert float(longer.value("pore.segment.1.length")) == pytest.approx(1.6)


def test_amount_and_density_of_a_segment_are_two_spellings_of_one_number():
    """amount (e) = density (M) · N_A · volume."""
    per_molar = 1e3 / pnp.units.MILLIMOLAR_PER_CHARGE_DENSITY  # e/nm³
    sharp = pnp.load("uncharged-cylinder", overrides={"pore.charge": [
        {"kind": "segment", "amount": -2.0, "start": 1.0, "end": 3.0},
        {"kind": "segment", "density": -0.5, "start": 1.0, "end": 3.0},
    ]})  # fmt: skip
    volume = 2 * np.pi
    assert float(sharp.value("pore.charge.0.density")) == pytest.approx(-2 / (per_molar * volume), rel=1e-12)
    assert float(sharp.value("pore.charge.1.amount")) == pytest.approx(-0.5 * per_molar * volume, rel=1e-12)
    both = sharp.with_values({"pore.charge.0.density": -0.5, "pore.charge.1.amount": -2.0})
    assert float(both.value("pore.charge.0.amount")) == pytest.approx(-0.5 * per_molar * volume, rel=1e-12)
    assert float(both.value("pore.charge.1.density")) == pytest.approx(-2 / (per_molar * volume), rel=1e-12)
    # with soft edges in a pore of varying radius it is still the charge in all
    soft = pnp.load("gramicidin-a").with_values({"pore.charge.0.amount": -3.0})
    x = jnp.linspace(-1, 5, 60_001)
    assert float(jnp.trapezoid(soft.line_charge(x), x)) == pytest.approx(-3.0, rel=1e-6)


def test_derived_numbers_are_put_after_those_they_depend_on():
    channel = pnp.load("gramicidin-a")
    for values in (
        {"pore.charge.0.amount": -3.0, "pore.radius.scale": 1.2},
        {"pore.radius.scale": 1.2, "pore.charge.0.amount": -3.0},
    ):
        assert float(channel.with_values(values).value("pore.charge.0.amount")) == pytest.approx(-3.0, rel=1e-12)


def test_an_edge_may_become_soft_and_sharp():
    channel = pnp.load("ompf")
    soft = channel.with_values({"pore.charge.0.edge": 0.1})
    assert not soft.pore.charge[0].sharp
    assert same(soft.with_values({"pore.charge.0.edge": 0.0}), channel)


def test_a_partition_energy_can_be_added_where_there_is_none():
    channel = pnp.load("uncharged-cylinder")
    raised = channel.with_values({"pore.pmf.K": 2.0})
    assert float(raised.pmf(jnp.array(1.0))[raised.ion_names.index("K")]) == 2.0
    assert float(channel.pmf(jnp.array(1.0)).max()) == 0.0
    pieces = pnp.load("kcsa-like").with_values({"pore.segment.2.pmf.Cl": 5.0})
    np.testing.assert_allclose(pieces.pmf(jnp.array([0.1, 0.7, 1.8, 2.9]))[:, 1], [0, 0, 5, 0])


def test_an_own_diffusivity_starts_at_what_the_factor_makes_of_the_bulk():
    channel = pnp.load("ompf")
    copy = channel.with_values({"pore.diffusivity.K": channel.value("pore.diffusivity.K")})
    np.testing.assert_allclose(copy.diffusivity(jnp.array(2.0)), channel.diffusivity(jnp.array(2.0)), rtol=1e-12)


def test_both_sides_at_once_and_one_of_them():
    channel = pnp.load("kcsa-like").with_values({"membrane.surface_charge": "-20 mC/m^2", "reservoir.radius": 6.0})
    assert [float(s) for s in channel.membrane.surface_charge] == pytest.approx([-0.02, -0.02])
    assert [float(r.radius) for r in channel.reservoirs] == [6.0, 6.0]
    one = channel.with_values({"membrane.surface_charge.outside": 0.0})
    assert np.isnan(one.value("membrane.surface_charge"))


def test_activity_models_have_paths():
    model = pnp.activity
    sizes = make_charged(activity_model=model.Steric({"K": 0.5, "Cl": 0.6}))
    assert float(sizes.with_values({"activity.size.Cl": "7 Å"}).value("activity.size.Cl")) == pytest.approx(0.7)
    assert float(make_charged(activity_model=model.Steric(0.5)).value("activity.size")) == 0.5
    davies = make_charged(activity_model=model.Davies())
    assert float(davies.value("activity.slope")) == pytest.approx(
        pnp.theory.debye_huckel_slope(pnp.theory.water_permittivity(), 298.15)
    )
    assert float(davies.with_values({"activity.slope": 0.4}).activity_model.slope) == 0.4


def test_channels_from_profiles_have_the_same_paths():
    channel = pnp.Channel.from_profiles(
        X, area=2.0, fixed_charge=-0.1, permittivity=np.full(6, 80.0), ions=["K", "Cl"],
        inside={"K": "0.1 M", "Cl": 100}, outside={"K": 100, "Cl": 100}, pmf={"Cl": lambda x: 0.1 * x},
    )  # fmt: skip
    assert float(channel.value("pore.area")) == 2.0
    assert float(channel.value("pore.charge.0.density")) == pytest.approx(-0.1)
    assert float(channel.value("pore.permittivity.3")) == 80.0
    assert not any(path.startswith("pore.pmf.Cl") for path in numbers(channel)), "a function has no numbers"


# --- tracing ------------------------------------------------------------------------------------


def test_numbers_can_be_traced():
    channel = pnp.load("kcsa-like")
    known = [n for n in numbers(channel).values() if not n.rule]
    wanted = jnp.array([other_value(n, channel) for n in known])

    @jax.jit
    def back(values):
        changed = channel.with_values(dict(zip((n.path for n in known), values, strict=True)))
        return jnp.stack([changed.value(n.path) for n in known])

    np.testing.assert_allclose(back(wanted), wanted, rtol=1e-12)


def test_derivatives_by_a_path():
    channel = pnp.load("ompf")
    area = lambda scale: channel.with_values({"pore.radius.scale": scale}).area(jnp.array(2.0))
    at = float(channel.area(jnp.array(2.0)))
    assert float(jax.grad(area)(1.0)) == pytest.approx(2 * at, rel=1e-12)
    density = lambda amount: channel.with_values({"pore.charge.0.amount": amount}).value("pore.charge.0.density")
    step = (float(density(-2.001)) - float(density(-1.999))) / -0.002
    assert float(jax.jacfwd(density)(-2.0)) == pytest.approx(step, rel=1e-9)
    assert jax.vmap(area)(jnp.array([1.0, 2.0])).tolist() == pytest.approx([at, 4 * at])


def test_positions_of_jumps_have_no_derivative():
    """The mesh has a node there, which is a constant to differentiation: half of the derivative would be missing."""
    channel = pnp.load("uncharged-cylinder")
    length = lambda x: channel.with_values({"pore.length": x}).area(jnp.array(2.0))
    assert np.isnan(jax.grad(length)(5.0))
    assert float(length(5.0)) == pytest.approx(np.pi)
    known = numbers(channel)
    assert not known["pore.length"].smooth
    assert known["pore.radius"].smooth


def test_every_position_that_is_not_smooth_is_known():
    jumping = {p for p, n in numbers(pnp.load("kcsa-like")).items() if not n.smooth}
    assert jumping == {*(f"pore.segment.{i}.length" for i in range(4)), "reservoir.length"}
    ring = {p for p, n in numbers(pnp.load("alpha-hemolysin")).items() if not n.smooth}
    assert ring == set()


# --- names and programs -------------------------------------------------------------------------


def test_channels_share_a_program_whatever_their_overrides_and_names():
    """Numbers are traced, and texts take no part in compilation."""
    traces = []

    @jax.jit
    def current(channel):
        traces.append(channel.name)
        return pnp.solve(channel, 100.0, discretization=AXIAL, throw=False).current

    plain = pnp.load("uncharged-cylinder")
    other = pnp.load("uncharged-cylinder", overrides={"inside.K": 50, "inside.Cl": 50, "pore.radius": 0.8, "name": "b"})
    assert (plain.name, other.name) == ("uncharged-cylinder", "b")
    assert jax.tree.structure(plain) == jax.tree.structure(other)
    one, two = float(current(plain)), float(current(other))
    assert len(traces) == 1
    assert two == pytest.approx(float(pnp.solve(other, 100.0, discretization=AXIAL).current), rel=1e-9)
    assert abs(one / two - 1) > 0.1


def test_names_survive_what_jax_does():
    channel = make_charged().with_texts(name="mine", validity="none")
    assert (channel.name, channel.validity, channel.description) == ("mine", "none", "")
    doubled = jax.tree.map(lambda n: 2 * n, channel)
    gradient = jax.grad(lambda c: c.area(jnp.array(4.0)))(channel)
    compiled = jax.jit(lambda c: c)(channel)
    batched = jax.vmap(lambda c: c)(jax.tree.map(lambda n: n[None], channel))
    moved = eqx.tree_at(lambda c: c.temperature, channel, jnp.array(300.0))
    for copy in (doubled, gradient, compiled, batched, moved, channel.with_baths(), channel.with_values({})):
        assert copy.name == "mine"
    assert channel.reflected().name == "mine, reflected"


# --- turned round -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alpha-hemolysin", "kcsa-like", "conical-nanopore", "gramicidin-a"])
def test_a_channel_turned_round_twice_is_the_same(name):
    channel = pnp.load(name)
    turned = channel.reflected()
    x = np.linspace(float(channel.domain[0]) + 1e-3, float(channel.domain[1]) - 1e-3, 1001)
    for law in ("area", "permittivity", "line_charge", "diffusivity", "pmf"):
        there, back = getattr(channel, law)(x), getattr(turned, law)(-x)
        np.testing.assert_allclose(back, there, rtol=1e-12, atol=1e-12, err_msg=law)
    twice = turned.reflected()
    for a, b in zip(jax.tree.leaves(channel), jax.tree.leaves(twice), strict=True):
        np.testing.assert_array_equal(a, b)


def test_functions_turn_round_too():
    pore = pnp.channel.Pore(0.0, 4.0, pnp.channel.profiles.Function(lambda x: 1 + x), Constant(80.0))
    np.testing.assert_allclose(pore.reflected().area(jnp.array([-1.0, -3.0])), [2.0, 4.0])
