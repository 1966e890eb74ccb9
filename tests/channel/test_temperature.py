"""What follows the temperature, and what does not."""

import jax
import numpy as np
import pytest

import pnp
from pnp import theory
from pnp.channel.diffusivity_law import Q10, Activated, AsGiven, Walden
from pnp.channel.summary import summarize
from pnp.io.channel_file.writer import contents

BODY = 310.15


def cylinder(**changes):
    return pnp.load("uncharged-cylinder", overrides=changes)


def test_conductance_at_body_temperature():
    """0.716 nS at 25 °C; D rises as T/η, and the current per mV as D/T: with handbook viscosities 0.92 nS at 37 °C."""
    cold, warm = (float(pnp.conductance(cylinder(temperature=t))) for t in (298.15, BODY))
    assert cold == pytest.approx(0.7162, abs=1e-4)
    assert warm == pytest.approx(cold * 0.8900 / 0.6913, rel=2e-3)
    changed = cylinder().with_values({"temperature": "37 degC"})
    assert float(pnp.conductance(changed)) == pytest.approx(warm, rel=1e-12)


def test_given_numbers_stay_as_given():
    warm = cylinder(temperature=BODY, **{"ions.K.diffusivity": 1.5, "pore.permittivity": 70.0})
    assert float(warm.value("ions.K.diffusivity")) == 1.5
    assert float(warm.value("ions.Cl.diffusivity")) == pytest.approx(2.032 * float(theory.walden_factor(BODY)))
    assert float(warm.value("pore.permittivity")) == 70.0
    assert float(warm.value("reservoir.permittivity")) == pytest.approx(float(theory.water_permittivity(BODY)))
    lines = dict(summarize(warm).lines)
    assert "K (+1, D = 1.5 nm²/ns as given), Cl (-1, D = 2.721 nm²/ns with water's viscosity)" in lines["ions"]
    assert lines["permittivity"] == "70 in the pore, 74.19 (water) in the baths"
    put = cylinder(temperature=BODY).with_values({"ions.K.diffusivity": 1.5, "reservoir.permittivity": 60.0})
    hot = put.with_values({"temperature": 320.0})
    assert [float(hot.value(p)) for p in ("ions.K.diffusivity", "reservoir.permittivity")] == [1.5, 60.0]


@pytest.mark.parametrize(
    ("key", "value", "law", "factor"),
    [
        ("q10", 1.3, Q10, 1.3**1.2),
        ("activation_energy", "17 kJ/mol", Activated, np.exp(17e3 / 8.314462618 * (1 / 298.15 - 1 / BODY))),
        ("temperature_law", "walden", Walden, 310.15 / 298.15 * 0.8900 / 0.6913),
    ],
)
def test_laws_in_files(key, value, law, factor):
    warm = cylinder(temperature=BODY, **{f"ions.K.{key}": value, "ions.K.diffusivity": 2.0})
    assert isinstance(warm.ions["K"].law, law)
    assert float(warm.value("ions.K.diffusivity")) == pytest.approx(2.0 * factor, rel=1e-3)
    written = contents(warm)["ions"]["K"]
    number = {"q10": 1.3, "activation_energy": 17.0, "temperature_law": "walden"}[key]
    assert (written["diffusivity"], written[key]) == (2.0, number)
    again = cylinder(temperature=BODY, ions={"K": written})
    assert float(again.value("ions.K.diffusivity")) == float(warm.value("ions.K.diffusivity"))


def test_a_built_in_ion_follows_whatever_law_is_given():
    warm = cylinder(temperature=BODY, **{"ions.K.q10": 1.2})
    assert float(warm.value("ions.K.diffusivity")) == pytest.approx(1.957 * 1.2**1.2)
    assert float(warm.with_values({"ions.K.q10": 1.0}).value("ions.K.diffusivity")) == pytest.approx(1.957)
    with pytest.raises(pnp.ChannelFileError, match="two laws"):
        cylinder(**{"ions.K.q10": 1.2, "ions.K.temperature_law": "walden"})
    assert isinstance(pnp.Ion(1, 1.96).law, AsGiven)


@pytest.mark.slow
def test_derivative_by_the_temperature_has_all_of_it():
    channel = cylinder()
    current = lambda t: pnp.solve(channel.with_values({"temperature": t}), 100.0, discretization=pnp.Axial(104)).current
    step = 0.01
    difference = float(current(298.15 + step) - current(298.15 - step)) / (2 * step)
    assert float(jax.grad(current)(298.15)) == pytest.approx(difference, rel=1e-5)
    # d ln G / dT = −d ln η / dT, about 2 % per kelvin.
    assert difference / float(current(298.15)) == pytest.approx(0.0218, abs=2e-3)


def test_water_is_known_between_its_limits_only():
    with pytest.raises(pnp.ChannelFileError, match=r"383.15 K, not at 400 K: give ions.K.diffusivity, ions.Cl"):
        cylinder(temperature=400.0)
