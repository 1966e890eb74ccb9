"""What two dimensions ask of a channel: the wall and its shoulders, where charges are, the membrane."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp import units
from pnp.channel.channel import Channel, Membrane, Pore, Reservoir
from pnp.channel.charge import Ring, Segment, VolumeCharge, WallCharge
from pnp.channel.ions import ion
from pnp.channel.profiles import Circle, Constant, Function, Table
from pnp.channel.summary import summarize
from pnp.channel.validate import axisymmetric_problems

SALT = {"K": 100.0, "Cl": 100.0}
HALL = (Reservoir(), Reservoir())
STEP = ([0.0, 2.0, 2.0, 4.0], [1.0, 1.0, 2.0, 2.0])  # nm: up by 1 nm in the middle of 4
LONG = (np.concatenate([np.linspace(0, 2, 40), np.linspace(2, 4, 40)]), np.repeat([1.0, 2.0], 40))
C_PER_M2 = units.ELEMENTARY_CHARGE * 1e18  # one e/nm²


def make(radius=STEP, charge=(), reservoirs=HALL, area=None, **more):
    area = area or Circle(Table(*radius) if isinstance(radius, tuple) else Constant(radius))
    end = area.table().x[-1] if area.table() else 4.0
    pore = Pore(0.0, end, area, more.pop("permittivity", Constant(80.0)), charge)
    return Channel({k: ion(k) for k in SALT}, pore, SALT, SALT, reservoirs=reservoirs, **more)


def of_pore(name):
    return eqx.filter_jit(lambda channel, *x: getattr(channel.pore, name)(*x))


names = "wall_radius", "wall_breakpoints", "water_charge", "protein_charge", "surface_density"
wall_radius, wall_breakpoints, water_charge, protein_charge, surface_density = map(of_pore, names)
line_charge = eqx.filter_jit(lambda channel, x: channel.line_charge(x))


def integral(channel, density):
    """∫ over the pore of a density per length, exact for what is smooth between breakpoints."""
    points, weights = np.polynomial.legendre.leggauss(64)
    edges = np.unique(wall_breakpoints(channel))
    half = np.diff(edges)[:, None] / 2
    return float((np.asarray(density(jnp.asarray(edges[:-1, None] + half * (1 + points)))) * half * weights).sum())


# --- the wall -----------------------------------------------------------------------------------

SHOULDERS = {
    # 45° and as long as the jump is high, half to each side
    "step up": (STEP, {0: 1, 1.5: 1, 1.75: 1.25, 2: 1.5, 2.25: 1.75, 2.5: 2, 4: 2}),
    "step down": ((STEP[0], STEP[1][::-1]), {1.5: 2, 1.6: 1.9, 2: 1.5, 2.5: 1}),
    # a sleeve of 0.4 nm is too short for two steps of 2 nm: each takes half of it, and they meet in its middle
    "short sleeve": (
        ([0, 2, 2, 2.4, 2.4, 5], [1, 1, 3, 3, 1, 1]),
        {1.8: 1, 1.9: 1.5, 2.0: 2, 2.2: 3, 2.4: 2, 2.5: 1.5, 2.6: 1},
    ),
    # at the mouths a shoulder lies inside the pore: 1 nm at the start, half of the stretch at the end
    "funnels": (([0, 0, 3, 3], [2, 1, 1, 3]), {-1: 2, 0: 2, 0.25: 1.75, 1: 1, 1.5: 1, 2.25: 2, 3: 3, 9: 3}),
    # of three points at one place the middle one is never met
    "stray point": (([0, 2, 2, 2, 4], [1, 1, 9, 2, 2]), {1.5: 1, 1.75: 1.25, 2: 1.5, 2.25: 1.75, 2.5: 2}),
    # on a slope the shoulder joins the walls where it ends: 1.25 at 1.5 and 3.75 at 3.5 nm
    "sloping": (([0, 2.5, 2.5, 5], [0.5, 1.75, 3.75, 3.75]), {1.5: 1.25, 2.5: 2.5, 3.5: 3.75, 1: 1}),
    "no jump": (([0, 2, 2, 4], [1, 2, 2, 1]), {1: 1.5, 2: 2, 3: 1.5}),
    "long table": (LONG, {1.9: 1, 2 - 1 / 39: 1, 2: 1.5, 2 + 1 / 78: 1.75, 2.1: 2}),
}


@pytest.mark.parametrize(("radius", "expected"), SHOULDERS.values(), ids=SHOULDERS)
def test_shoulders(radius, expected):
    channel = make(radius)
    x, wall = np.array(list(expected), float), np.array(list(expected.values()), float)
    np.testing.assert_allclose(wall_radius(channel, x), wall, rtol=1e-12)
    np.testing.assert_allclose(wall_radius(channel.reflected(), -x), wall, rtol=1e-12)


def test_shoulders_of_a_table_of_areas():
    """Straight in the radius, though between its points the area is."""
    steps = make(area=Table(STEP[0], np.pi * np.square(STEP[1])))
    x = np.linspace(-1, 5, 61)
    np.testing.assert_allclose(wall_radius(steps, x), wall_radius(make(STEP), x), rtol=1e-12)
    sloping = make(area=Table([0, 2, 2, 4], np.pi * np.array([1.0, 4.0, 9.0, 9.0])))
    # sqrt(1 + 1.5 x) up to x = 1.5, and from there straight to 3 nm at x = 2.5
    at = np.sqrt(1 + 1.5 * 1.5)
    np.testing.assert_allclose(
        wall_radius(sloping, np.array([1.0, 1.5, 2.0, 2.5])), [np.sqrt(2.5), at, (at + 3) / 2, 3], rtol=1e-12
    )


def test_wall_without_jumps_is_that_of_the_area():
    x = np.linspace(0.1, 3.9, 20)
    for area in (Constant(3.0), Circle(Function(lambda x: 1 + 0.1 * x**2)), Table([0, 1, 4], [1.0, 2.0, 5.0])):
        channel = make(area=area)
        np.testing.assert_allclose(np.pi * wall_radius(channel, x) ** 2, channel.area(x), rtol=1e-12)
        np.testing.assert_array_equal(
            wall_radius(channel, np.array([-3.0, 7.0])), wall_radius(channel, np.array([0, 4.0]))
        )


def test_wall_has_no_step():
    """However the table is, beside each of its points and each end of a shoulder."""
    rng = np.random.default_rng(1)
    for points in (12, 60):
        x = np.sort(np.concatenate([[0.0, 10.0], x := np.linspace(0.2, 9.8, points), x[::3]]))
        channel = make((x, rng.uniform(0.5, 2.0, x.size)))
        at = np.concatenate([x, wall_breakpoints(channel)])
        left, right = wall_radius(channel, at - 1e-9), wall_radius(channel, at + 1e-9)
        np.testing.assert_allclose(left, right, atol=1e-6)
        assert np.all((left >= 0.5) & (left <= 2.0))
        np.testing.assert_allclose(wall_radius(channel.reflected(), -at), wall_radius(channel, at), rtol=1e-9)


def test_wall_breakpoints_have_both_ends_of_a_shoulder_and_no_jump():
    charge = (Segment(1.0, 0.3, 3.2), Ring(1.0, 2.0, 0.2))
    channel = make(charge=charge, permittivity=Table([0, 2, 2, 4], [80.0, 80.0, 4.0, 4.0]))
    np.testing.assert_allclose(np.unique(wall_breakpoints(channel)), [0, 0.3, 1.5, 2, 2.5, 3.2, 4])
    np.testing.assert_allclose(np.unique(wall_breakpoints(make())), [0, 1.5, 2.5, 4])
    np.testing.assert_allclose(np.unique(wall_breakpoints(make().reflected())), [-4, -2.5, -1.5, 0])
    # of a long table, only those of its jumps
    expected = [0, 2 - 1 / 39, 2 + 1 / 39, 4]
    np.testing.assert_allclose(np.unique(wall_breakpoints(make(LONG))), expected)
    np.testing.assert_allclose(-np.unique(wall_breakpoints(make(LONG).reflected()))[::-1], expected)


def test_wall_is_differentiable_in_its_table():
    """Shoulders move with what they join: by values, by positions, also inside jit, and in a batch."""
    x = jnp.array([1.0, 1.7, 2.2, 3.0])
    wall = lambda at, radius: make((at, radius)).pore.wall_radius(x)
    base = jnp.array([0.0, 2.0, 2.0, 4.0]), jnp.array([1.0, 1.2, 2.0, 1.8])
    together = jnp.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], float)  # the jump moves as one
    for change in (lambda t: (base[0] + together[:, 0] * t, base[1]), lambda t: (base[0], base[1].at[2].add(t))):
        along = lambda t, change=change: wall(*change(t))
        difference = (along(1e-5) - along(-1e-5)) / 2e-5
        assert np.abs(difference).max() > 0.1
        np.testing.assert_allclose(jax.jit(jax.jacfwd(along))(0.0), difference, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(jax.jit(jax.jacrev(along))(0.0), difference, rtol=1e-7, atol=1e-9)
    channels = [make((base[0], r * base[1])) for r in (1.0, 1.5)]
    stacked = pnp.stack(channels)
    np.testing.assert_allclose(
        jax.vmap(lambda c: wall_radius(c, x))(stacked), [wall_radius(c, x) for c in channels], rtol=1e-14
    )


# --- charges ------------------------------------------------------------------------------------

AMOUNTS = {
    "ring": lambda depth: Ring(-3.0, 1.9, 0.15, depth),
    "segment": lambda depth: Segment(-3.0, 1.0, 3.5, depth=depth),
    "smooth segment": lambda depth: Segment(-3.0, 1.2, 3.0, 0.1, False, depth),
}


@pytest.mark.parametrize("kind", AMOUNTS)
@pytest.mark.parametrize("turn", [lambda c: c, Channel.reflected], ids=["as it is", "turned round"])
def test_an_amount_stays_what_it_is(kind, turn):
    """Over the water it is −3 e, and so it is in the protein; one dimension takes no notice of where it is."""
    wet, dry = turn(make(charge=(AMOUNTS[kind](None),))), turn(make(charge=(AMOUNTS[kind](0.4),)))
    water = lambda x: water_charge(wet, x) * np.pi * wall_radius(wet, x) ** 2
    assert integral(wet, water) == pytest.approx(-3.0, rel=1e-9)
    assert protein_charge(wet, 1.0) == []

    def protein(x):
        ((density, depth),) = protein_charge(dry, x)
        assert float(depth) == 0.4
        return density * np.pi * ((wall_radius(dry, x) + depth) ** 2 - wall_radius(dry, x) ** 2)

    assert integral(dry, protein) == pytest.approx(-3.0, rel=1e-9)
    x = jnp.linspace(-5, 5, 101)
    assert not np.any(water_charge(dry, x))
    assert not np.any(surface_density(wet, x))
    np.testing.assert_array_equal(line_charge(wet, x), line_charge(dry, x))


def test_a_density_stays_what_it_is():
    molar = units.MILLIMOLAR_PER_CHARGE_DENSITY / 1e3  # M in one e/nm³
    charge = VolumeCharge(Constant(-0.5 * molar), 1.0, 3.0), VolumeCharge(Constant(0.25 * molar), 1.0, 3.0, depth=0.3)
    channel = make(charge=charge)
    x = jnp.array([-1.0, 0.5, 1.5, 2.2, 3.5, 6.0])
    within = np.array([0, 0, 1, 1, 0, 0])
    np.testing.assert_allclose(water_charge(channel, x), -0.5 * within, rtol=1e-12)
    np.testing.assert_allclose(protein_charge(channel, x)[0][0], 0.25 * within, rtol=1e-12)


def test_charge_on_the_wall_may_vary():
    """From 0 to −1 e/nm² along the pore, and as much again everywhere: one dimension sees 2 π R σ."""
    slope = WallCharge(Table([0.0, 4.0], [0.0, -C_PER_M2]), 0.0, 4.0)
    channel = make(1.5, (slope, WallCharge(-C_PER_M2, 1.0, 4.0), Ring(-3.0, 2.0, 0.1)))
    x = jnp.array([-2.0, 0.5, 1.5, 3.0, 4.5])
    expected = np.array([0.0, -0.125, -1.375, -1.75, 0.0])
    np.testing.assert_allclose(surface_density(channel, x), expected, rtol=1e-12)
    np.testing.assert_allclose(surface_density(channel.reflected(), -x), expected, rtol=1e-12)
    ring = make(1.5, (Ring(-3.0, 2.0, 0.1),))
    np.testing.assert_allclose(line_charge(channel, x) - line_charge(ring, x), 2 * np.pi * 1.5 * expected, rtol=1e-12)
    np.testing.assert_array_equal(water_charge(channel, x), water_charge(ring, x))
    by_function = make(1.5, (WallCharge(Function(lambda x: -C_PER_M2 * x / 4), 0.0, 4.0),))
    np.testing.assert_allclose(surface_density(by_function, x)[1:4], expected[1:4] + np.array([0, 1, 1]), rtol=1e-12)


def test_jumps_of_a_wall_charge_are_breakpoints():
    charge = WallCharge(Table([0.0, 1.3, 1.3, 4.0], [0.0, 0.0, 0.1, 0.1]), 0.0, 4.0)
    for channel in (make(1.0, (charge,)), make(1.0, (charge,)).reflected()):
        assert np.abs(np.abs(channel.breakpoints()) - 1.3).min() < 1e-15
        assert np.abs(np.abs(wall_breakpoints(channel)) - 1.3).min() < 1e-15


def test_no_charge_outside_the_pore():
    """Not even the tail of a ring at a mouth."""
    rings = Ring(-1.0, 0.0, 0.5), Ring(-1.0, 4.0, 0.5, 0.2)
    for channel in (make(charge=rings), make(charge=rings).reflected()):
        first, last = float(channel.pore.start), float(channel.pore.end)
        beyond = jnp.array([first - 1, first - 0.1, last + 0.1, last + 1])
        assert not np.any(water_charge(channel, beyond))
        assert not np.any(protein_charge(channel, beyond)[0][0])
        assert np.all(line_charge(channel, beyond)[1:3] < 0)


def test_warning_of_a_wide_pore_knows_a_wall_that_was_turned_round():
    wide = make(10.0, (WallCharge(-0.1, 0.0, 4.0),))
    for channel in (wide, wide.reflected()):
        assert any("wall charge" in w for w in summarize(channel).warnings)
    assert not any("wall charge" in w for w in summarize(make(10.0, (Ring(-1.0, 2.0, 0.1),))).warnings)


# --- the membrane -------------------------------------------------------------------------------


def test_membrane_turns_round_with_its_channel():
    channel = make(membrane=Membrane(3.3, (-0.02, 0.01)))
    turned = channel.reflected()
    assert [float(s) for s in channel.membrane.surface_charge] == [-0.02, 0.01]
    assert [float(s) for s in turned.membrane.surface_charge] == [0.01, -0.02]
    assert float(turned.membrane.permittivity) == 3.3
    assert float(channel.with_baths({"K": 1.0, "Cl": 1.0}).membrane.permittivity) == 3.3


def test_membrane_of_a_channel_from_profiles():
    given = {"area": 1.0, "ions": ["K", "Cl"], "inside": SALT, "outside": SALT}
    assert float(Channel.from_profiles([0.0, 1.0], **given).membrane.permittivity) == 2.0
    other = Channel.from_profiles([0.0, 1.0], **given, membrane=Membrane(4.0))
    assert isinstance(other.membrane.permittivity, jax.Array)
    assert float(other.membrane.permittivity) == 4.0


@pytest.mark.parametrize(
    ("membrane", "message"),
    [
        (Membrane(0.0), "membrane.permittivity: must be positive, not 0"),
        (Membrane(np.inf), "membrane.permittivity: must be positive, not inf"),
        (
            Membrane(2.0, (0.0, np.nan)),
            "membrane.surface_charge.outside: must be finite and within ±1000 C/m², not nan C/m²",
        ),
        (Membrane(2.0, -0.02), "membrane.surface_charge: must be two numbers"),
    ],
)
def test_impossible_membrane_is_refused(membrane, message):
    with pytest.raises(pnp.ChannelError) as caught:
        make(membrane=membrane)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("charges", "words"),
    [
        ((0.0, 0.0), "permittivity 3.3, uncharged (2D only)"),
        ((-0.02, -0.02), "permittivity 3.3, -20 mC/m² on both faces (2D only)"),
        ((0.01, 0.0), "permittivity 3.3, inside +10 mC/m², outside uncharged (2D only)"),
    ],
)
def test_membrane_in_the_summary(charges, words):
    assert dict(summarize(make(membrane=Membrane(3.3, charges))).lines)["membrane"] == words


# --- what two dimensions refuse ------------------------------------------------------------------


def cones(radius):
    return (Reservoir("none"), Reservoir("cone", 3.0, radius))


REFUSED = {
    "sound": ({}, []),
    "mouth as wide as its cone": ({"reservoirs": cones(2.0)}, []),
    "mouth wider than its cone": (
        {"reservoirs": cones(1.9)},
        ["reservoir.radius: the outside mouth, at x = 4 nm, has a radius of 2 nm, more than the 1.9 nm"],
    ),
    "steep": ({"radius": ([0, 2, 2.01, 4], [1, 1, 2, 2])}, ["pore.radius: ", "at x = 2.00", "dR/dx is 100"]),
    "steep shoulder": (
        {"radius": ([0, 2, 2, 2.02, 4], [2, 2, 1, 1, 1])},
        ["pore.radius: ", "at x = 1.99", "dR/dx is -50"],
    ),
    "step in a function": (
        {"area": Circle(Function(lambda x: jnp.where(x < 1.0, 1.0, 2.0)))},
        ["pore.radius: ", "too steep for a mesh at x = 0.99"],
    ),
    "depth of nothing": (
        {"charge": (Ring(1.0, 2.0, 0.1), Ring(1.0, 2.0, 0.1, 0.0))},
        ["pore.charge.1.depth: must be positive, not 0 nm"],
    ),
}


@pytest.mark.parametrize(("changes", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_in_two_dimensions_only(changes, words):
    found = axisymmetric_problems(make(**changes))
    assert len(found) == bool(words)
    for word in words:
        assert word in found[0]


def test_wall_that_is_nowhere_is_refused():
    """No channel is made with one, but it may become so: by `eqx.tree_at`, or in a fit. A closed pore is none."""
    with_last = lambda value: eqx.tree_at(lambda c: c.pore.area.radius.y, make(), jnp.array([1.0, 1.0, 2.0, value]))
    (found,) = axisymmetric_problems(with_last(np.nan))
    assert found.startswith("pore.radius: the wall's must be finite, but is not at x = ")
    assert axisymmetric_problems(with_last(0.0)) == []


def test_traced_channel_is_not_looked_over():
    looked = jax.jit(lambda r: len(axisymmetric_problems(make(reservoirs=cones(r)))) + 0 * r)
    assert float(looked(0.1)) == 0


@pytest.mark.parametrize("name", pnp.presets())
def test_ready_made_channels_are_sound_in_two_dimensions(name):
    assert axisymmetric_problems(pnp.load(name)) == []
