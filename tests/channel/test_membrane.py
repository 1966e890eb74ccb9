"""What two dimensions ask of a channel: the wall and its jumps, where charges are, the membrane."""

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
from pnp.channel.wall import wall_of

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


names = "wall_radius", "water_charge", "protein_charge", "surface_density"
wall_radius, water_charge, protein_charge, surface_density = map(of_pore, names)
line_charge = eqx.filter_jit(lambda channel, x: channel.line_charge(x))


def integral(channel, density):
    """∫ over the pore of a density per length, exact for what is smooth between breakpoints."""
    points, weights = np.polynomial.legendre.leggauss(64)
    edges = np.unique(wall_of(channel.pore).z)
    half = np.diff(edges)[:, None] / 2
    return float((np.asarray(density(jnp.asarray(edges[:-1, None] + half * (1 + points)))) * half * weights).sum())


# --- the wall -----------------------------------------------------------------------------------

CORNERS = {
    "step up": (STEP, [(0, 1), (2, 1), (2, 2), (4, 2)]),
    "step down": ((STEP[0], STEP[1][::-1]), [(0, 2), (2, 2), (2, 1), (4, 1)]),
    "sleeve": (([0, 2, 2, 2.4, 2.4, 5], [1, 1, 3, 3, 1, 1]), [(0, 1), (2, 1), (2, 3), (2.4, 3), (2.4, 1), (5, 1)]),
    # a jump at a mouth would be a lip without thickness
    "funnels": (([0, 0, 3, 3], [2, 1, 1, 3]), [(0, 1), (3, 1)]),
    # of three points at one place the middle one is never met
    "stray point": (([0, 2, 2, 2, 4], [1, 1, 9, 2, 2]), [(0, 1), (2, 1), (2, 2), (4, 2)]),
    "sloping": (([0, 2.5, 2.5, 5], [0.5, 1.75, 3.75, 3.75]), [(0, 0.5), (2.5, 1.75), (2.5, 3.75), (5, 3.75)]),
    "no jump": (([0, 2, 2, 4], [1, 2, 2, 1]), [(0, 1), (2, 2), (4, 1)]),
    "long table": (LONG, [(0, 1), (2, 1), (2, 2), (4, 2)]),
}


@eqx.filter_jit
def wall_points(channel, share):
    """(z, radius) of the corners of the wall, and of the points at a share of the pieces between them."""
    wall = wall_of(channel.pore)
    between = wall.at(wall.s[:-1] + share * jnp.diff(wall.s))
    return wall.s, jnp.stack([wall.z, wall.radius], axis=1), jnp.stack(between, axis=1)


@pytest.mark.parametrize(("radius", "corners"), CORNERS.values(), ids=CORNERS)
def test_wall_is_vertical_where_the_radius_jumps(radius, corners):
    share = 0.3
    corners = np.array(corners, float)
    for channel, expected in ((make(radius), corners), (make(radius).reflected(), corners[::-1] * [-1, 1])):
        s, found, between = map(np.asarray, wall_points(channel, share))
        distinct = np.diff(s, prepend=-np.inf) > 0
        np.testing.assert_allclose(found[distinct], expected, atol=1e-12)
        pieces = np.diff(s) > 0
        np.testing.assert_allclose(between[pieces], (1 - share) * expected[:-1] + share * expected[1:], atol=1e-12)


def test_wall_counts_along_the_axis_and_up_the_jumps():
    wall = wall_of(make().pore)
    np.testing.assert_allclose(wall.coordinate(jnp.array([0.0, 1.9, 2.0, 2.1, 4.0])), [0, 1.9, 2, 3.1, 5])


def test_wall_of_any_profile_is_that_of_the_area():
    x = np.linspace(0.1, 3.9, 20)
    for area in (Constant(3.0), Circle(Function(lambda x: 1 + 0.1 * x**2)), Table([0, 1, 4], [1.0, 2.0, 5.0])):
        channel = make(area=area)
        np.testing.assert_allclose(np.pi * wall_radius(channel, x) ** 2, channel.area(x), rtol=1e-12)
        z, radius = wall_of(channel.pore).at(jnp.asarray(x))
        np.testing.assert_allclose(z, x, rtol=1e-14)
        np.testing.assert_allclose(radius, wall_radius(channel, x), rtol=1e-14)
        np.testing.assert_array_equal(
            wall_radius(channel, np.array([-3.0, 7.0])), wall_radius(channel, np.array([0, 4.0]))
        )


def test_pieces_of_a_wall_end_where_properties_jump():
    charge = (Segment(1.0, 0.3, 3.2), Ring(1.0, 2.0, 0.2))
    channel = make(charge=charge, permittivity=Table([0, 2, 2, 4], [80.0, 80.0, 4.0, 4.0]))
    np.testing.assert_allclose(np.unique(wall_of(channel.pore).z), [0, 0.3, 2, 3.2, 4])
    # of a long table, only those of its jumps
    np.testing.assert_allclose(np.unique(wall_of(make(LONG).pore).z), [0, 2, 4])


def test_wall_moves_with_its_table():
    """By values and by positions, also inside jit, and in a batch."""
    base = jnp.array([0.0, 2.0, 2.0, 4.0]), jnp.array([1.0, 1.2, 2.0, 1.8])
    together = jnp.array([0, 1, 1, 0], float)  # the jump moves as one
    for change in (lambda t: (base[0] + together * t, base[1]), lambda t: (base[0], base[1].at[2].add(t))):
        along = lambda t, change=change: wall_points(make(change(t)), 0.3)[2]
        difference = (along(1e-5) - along(-1e-5)) / 2e-5
        assert np.abs(difference).max() > 0.1
        np.testing.assert_allclose(jax.jit(jax.jacfwd(along))(0.0), difference, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(jax.jit(jax.jacrev(along))(0.0), difference, rtol=1e-7, atol=1e-9)
    channels = [make((base[0], r * base[1])) for r in (1.0, 1.5)]
    stacked = pnp.stack(channels)
    for found, expected in zip(
        jax.vmap(lambda c: wall_points(c, 0.3))(stacked),
        zip(*(wall_points(c, 0.3) for c in channels), strict=True),
        strict=True,
    ):
        np.testing.assert_allclose(found, jnp.stack(expected), rtol=1e-14)


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
        assert np.abs(np.abs(wall_of(channel.pore).z) - 1.3).min() < 1e-15


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
    "steep": ({"radius": ([0, 2, 2.01, 4], [1, 1, 2, 2])}, []),
    "jump": ({"radius": ([0, 2, 2, 2.02, 4], [2, 2, 1, 1, 1])}, []),
    "steep function": ({"area": Circle(Function(lambda x: 1 + jnp.tanh(30 * (x - 1)) / 2))}, []),
    "jump of a function": (
        {"area": Circle(Function(lambda x: jnp.where(x < 1.0, 1.0, 2.0)))},
        ["pore.radius: ", "jumps at x = 0.9998 nm from 1 to 2 nm", "table"],
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
