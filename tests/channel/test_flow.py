"""What is said of the water that charged walls drag along."""

import numpy as np
import pytest

import pnp
from pnp import theory
from pnp.channel.charge import WallCharge
from pnp.channel.flow import convected_share, flow_warning
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant


def cylinder(charge, salt, radius=5.0):
    pore = Pore(0.0, 100.0, Circle(Constant(radius)), None, (WallCharge(charge, 0.0, 100.0, whole=True),))
    bath = {"K": salt, "Cl": salt}
    return pnp.Channel({"K": pnp.Ion(1, 1.957), "Cl": pnp.Ion(-1, 2.032)}, pore, bath, bath)


@pytest.mark.parametrize(("salt", "percent"), [(10.0, "19 %"), (100.0, None)])
def test_a_charged_cylinder(salt, percent):
    """18.8 % in 10 mM, which is said, and 4.6 % in 100 mM, which is not."""
    channel = cylinder(-0.02, salt)
    share, largest, _ = map(float, convected_share(channel))
    expected = theory.electroosmotic_share(
        5.0, -0.02, [salt, salt], [1, -1], [1.957, 2.032], theory.water_permittivity()
    )
    assert share == pytest.approx(float(expected), rel=1e-9)
    assert largest == pytest.approx(share, rel=1e-9)
    found = flow_warning(channel)
    assert found is None if percent is None else f"would carry {percent} of the current" in found


def test_the_tip_of_a_cone_drags_most():
    share, largest, at = map(float, convected_share(pnp.load("conical-nanopore")))
    assert largest == pytest.approx(0.34, abs=0.005)
    assert share < largest
    assert at == pytest.approx(0.0, abs=0.01)


def test_little_in_a_porin_and_nothing_without_charge():
    """A charge along the pore counts as one on its wall."""
    assert float(convected_share(pnp.load("ompf"))[0]) == pytest.approx(0.002, abs=0.0005)
    assert np.asarray(convected_share(cylinder(0.0, 100.0))[0]) == 0.0
    assert flow_warning(pnp.load("uncharged-cylinder")) is None
