"""Channels in Python: what is accepted, what is refused and with which words."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp import units
from pnp.channel.channel import Reservoir
from pnp.channel.charge import Ring, Segment, WallCharge
from pnp.channel.ions import BUILT_IN, ion
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, as_profile
from pnp.channel.summary import summarize
from pnp.finite_volume.axial.mesh import make_elements, make_mesh
from tests.conftest import X, make_charged

SALT = {"K": 100.0, "Cl": 100.0}


def channel(**changes):
    given = {"area": 1.0, "ions": ["K", "Cl"], "inside": SALT, "outside": SALT} | changes
    return pnp.Channel.from_profiles(changes.pop("x", X), **{k: v for k, v in given.items() if k != "x"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inside": {"K": 150, "Cl": 100}}, ["inside", "electroneutral", "+50 mM", "K +150, Cl -100", "anion"]),
        ({"outside": {"K": 100, "Cl": 130}}, ["outside", "-30 mM", "cation"]),
        ({"inside": {}}, ["inside", "no ions"]),
        ({"inside": {"K": -1, "Cl": -1}}, ["inside", "K", "-1 mM"]),
        ({"inside": {**SALT, "Na": 1}}, ["inside.Na", "no such ion"]),
        ({"ions": ["K", "Kl"]}, ["Kl"]),
        ({"area": np.inf}, ["pore.area", "finite"]),
        ({"permittivity": 0.0}, ["pore.permittivity", "positive"]),
        ({"diffusivity": {"Cl": 0.0}}, ["pore.diffusivity.Cl", "pmf of some 40 kT"]),
        ({"pmf": {"Cl": 1e4}}, ["pore.pmf.Cl", "300 kT"]),
        ({"fixed_charge": np.nan}, ["pore.charge", "finite"]),
        ({"temperature": 25.0}, ["temperature", "25 K"]),
        ({"x": np.array([0.0, 2.0, 1.0])}, ["length"]),
        ({"x": np.array([0.0, 2.0, 1.0]), "area": np.ones(3)}, ["increasing"]),
        ({"area": np.ones(5)}, ["as many values as positions"]),
    ],
)
def test_refused_with_a_reason(changes, words):
    if "x" in changes and "area" not in changes:
        changes["x"] = np.array([1.0, 1.0])
    with pytest.raises(pnp.ChannelError) as caught:
        channel(**changes)
    for word in words:
        assert word in str(caught.value)


def test_every_problem_is_named_at_once():
    with pytest.raises(pnp.ChannelError) as caught:
        channel(inside={"K": 150, "Cl": 100}, area=np.nan, temperature=1.0)
    assert all(word in str(caught.value) for word in ("electroneutral", "pore.area", "temperature"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"area": [1.0, 2.0, np.nan, 1.0]}, "pore.area: must be finite, but is nan at x = 1 nm"),
        ({"permittivity": lambda x: 1.9 - x}, "pore.permittivity: must be positive, but is -0.0005 at x = 1.9"),
        ({"fixed_charge": [0.0, 0.0, np.nan, 0.0]}, "pore.charge.0.density: must be finite, but is nan at x = 1 nm"),
        ({"pmf": {"K": [0.0, 0.0, 400.0, 0.0]}}, "pore.pmf.K: must stay within ±300 kT, but is 400 at x = 1 nm"),
        ({"diffusivity": {"K": [1.0, 1.0, 0.0, 1.0]}}, "pore.diffusivity.K: must be positive .*, but is 0 at x = 1 nm"),
        ({"permittivity": np.inf}, "pore.permittivity: must be positive, but is inf at x = 0 nm"),
    ],
)
def test_a_value_that_is_wrong_is_found_wherever_it_is(given, message):
    """At one row of a table, too, that no evenly spaced point meets."""
    bath = {"K": 100.0, "Cl": 100.0}
    sound = {"area": 1.0, "ions": ["K", "Cl"], "inside": bath, "outside": bath}
    pnp.Channel.from_profiles([0.0, 1.0, 1.0, 2.0], **sound)
    with pytest.raises(pnp.ChannelError, match=message):
        pnp.Channel.from_profiles([0.0, 1.0, 1.0, 2.0], **sound | given)


def test_the_narrowest_radius_is_that_of_the_table():
    """A waist thinner than the distance of any samples."""
    x = [0.0, 5.0, 5.0005, 5.001, 10.0]
    bath = {"K": 100.0, "Cl": 100.0}
    area = np.pi * np.array([2.0, 2.0, 0.3, 2.0, 2.0]) ** 2
    waist = pnp.Channel.from_profiles(x, area=area, ions=["K", "Cl"], inside=bath, outside=bath)
    found = summarize(waist)
    assert dict(found.lines)["pore radius"] == "0.3 to 2 nm (narrowest at x = 5 nm)"
    assert any("the narrowest radius is 0.3 nm" in warning for warning in found.warnings)


@pytest.mark.parametrize("charge", [Ring(np.nan, 1.0, 0.1), Ring(1.0, np.inf, 0.1), WallCharge(np.nan, 0.0, 1.0)])
def test_charges_are_finite(charge):
    broken = eqx.tree_at(lambda c: c.pore.charge, channel(), (charge,))
    with pytest.raises(pnp.ChannelError, match=r"pore\.charge\.0\.\w+: must be finite"):
        broken.validate()


def test_changed_baths():
    changed = make_charged().with_baths(inside={"K": 10.0, "Cl": 10.0})
    assert float(changed.inside["K"]) == 10.0
    assert float(changed.outside["K"]) == 100.0
    with pytest.raises(pnp.ChannelError, match="electroneutral"):
        changed.with_baths(inside={"K": 20.0})


def test_built_in_ions():
    assert set(BUILT_IN) == {"Li", "Na", "K", "Rb", "Cs", "NH4", "Cl", "Br", "F", "NO3", "HCO3", "Mg", "Ca", "Ba"}
    # D = R T λ / (|z| F²) from the equivalent conductivities (1e-4 m² S/mol) of the same handbook
    equivalent = {"Li": 38.66, "Na": 50.08, "K": 73.48, "Cl": 76.31, "Mg": 53.0, "Ca": 59.47, "HCO3": 44.5}
    for name, conductivity in equivalent.items():
        rt = units.GAS_CONSTANT * units.ROOM_TEMPERATURE
        expected = rt * conductivity * 1e-4 / (abs(BUILT_IN[name].valence) * units.FARADAY**2) * 1e9
        assert BUILT_IN[name].diffusivity == pytest.approx(expected, rel=1e-3)
    with pytest.raises(KeyError, match="did you mean Na"):
        ion("na")


@pytest.mark.parametrize("radius", [[55.0, 5.0], pytest.param(lambda x: 55.0 - x, marks=pytest.mark.slow)])
def test_charge_of_a_slanted_wall(radius):
    """That of the area of a truncated cone, π (r₁ + r₂) l, with the slant height l, in both dimensions."""
    tapered = pnp.Channel(
        {name: ion(name) for name in ("K", "Cl")},
        Pore(0.0, 50.0, Circle(as_profile(radius, [0.0, 50.0])), Constant(78.4), (WallCharge(-0.05, 0.0, 50.0),)),
        {"K": 100.0, "Cl": 100.0},
        {"K": 100.0, "Cl": 100.0},
    )
    wanted = np.pi * 60 * np.hypot(50, 50) * -0.05 * units.CHARGE_DENSITY_PER_SURFACE_CHARGE  # −4159.5 e
    for discretization in (pnp.Axial(104), pnp.Axisymmetric(0.25)):
        charges = [
            float(elements.charge.sum()) / units.MILLIMOLAR_PER_CHARGE_DENSITY
            for elements in discretization.discretize(tapered).elements
        ]
        np.testing.assert_allclose(charges, wanted, rtol=1e-12)
    assert f"{wanted:+.4g} e in all" in dict(summarize(tapered).lines)["fixed charge"]


@pytest.mark.parametrize(
    ("charge", "total"),
    [
        (Ring(-3.0, 4.0, 0.2), -3.0),
        (Segment(2.0, 3.1, 4.7), 2.0),
        (Segment(2.0, 3.1, 4.7, 0.15, False), 2.0),
        # 2 π a l σ with a = 1/√π nm, σ = −1 e/nm²
        (WallCharge(-units.ELEMENTARY_CHARGE * 1e18, 2.0, 5.0), -2 * np.sqrt(np.pi) * 3.0),
    ],
)
def test_total_charge_does_not_depend_on_the_mesh(charge, total):
    charged = eqx.tree_at(lambda c: c.pore.charge, channel(), (charge,))
    made = eqx.filter_jit(lambda channel, nodes: make_elements(channel, make_mesh(channel, nodes)))
    for nodes in (60, 200):
        elements = made(charged, nodes)
        found = float(elements.charge.sum()) / units.MILLIMOLAR_PER_CHARGE_DENSITY
        assert found == pytest.approx(total, rel=1e-6)


def test_hall_cap_has_halls_access_resistance():
    cap = Reservoir("hall")
    x = jnp.linspace(0.0, 4000.0, 4_000_001)
    resistance = jnp.trapezoid(1 / cap.area(x, jnp.pi * 0.25), x)
    assert float(resistance) == pytest.approx(1 / (4 * 0.5), rel=1e-3)


def test_cone_reservoir_ends_at_its_radius():
    cone = Reservoir("cone", 5.0, 5.5)
    assert float(cone.area(5.0, np.pi * 0.25)) == pytest.approx(np.pi * 5.5**2)
    assert float(cone.area(0.0, np.pi * 0.25)) == pytest.approx(np.pi * 0.25)
