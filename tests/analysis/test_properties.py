"""What holds for every channel, on channels drawn at random."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pnp
from tests.conftest import make_charged

channels = st.fixed_dictionaries(
    {
        "density": st.floats(-3, 3),
        "inside": st.floats(-1, 3).map(lambda e: 10**e),
        "outside": st.floats(-1, 3).map(lambda e: 10**e),
        "potassium": st.floats(0.1, 3),
        "barrier": st.floats(-4, 12),
    }
)
voltages = st.floats(-300, 300)
often = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
NODES = 200


def at(channel, *voltage):
    """Always three voltages, for one compiled program."""
    curve = pnp.iv_curve(channel, np.resize(np.array(voltage, float), 3), discretization=pnp.Axial(NODES))
    assert np.all(curve.converged), curve.messages()
    return curve


@often
@given(channels, voltages)
def test_flux_is_constant_along_the_pore(numbers, voltage):
    assert np.max(at(make_charged(**numbers), voltage).conservation_error) < 1e-10


@often
@given(channels)
def test_equilibrium_carries_nothing(numbers):
    curve = at(make_charged(**{**numbers, "outside": numbers["inside"]}), 0.0, 25.0)
    assert np.max(np.abs(curve.ion_current[0])) < 1e-9 * abs(curve.current[1])


@often
@given(channels, voltages)
def test_reflection(numbers, voltage):
    """The charge sits in the middle, so turning the pore round exchanges the baths."""
    turned = make_charged(**{**numbers, "inside": numbers["outside"], "outside": numbers["inside"]})
    there, back = at(make_charged(**numbers), voltage), at(turned, -voltage)
    scale = np.max(np.abs(there.ion_current)) + 1e-9
    np.testing.assert_allclose(back.ion_current, -there.ion_current, atol=1e-6 * scale)


@often
@given(channels, voltages)
def test_currents_rise_with_voltage(numbers, voltage):
    curve = at(make_charged(**numbers), voltage, voltage + 1.0, voltage + 2.0)
    assert np.all(np.diff(curve.current) > 0)
    assert np.all(np.asarray(curve.slope) > 0)


@often
@given(channels, voltages)
def test_concentrations_are_positive(numbers, voltage):
    solution = pnp.solve(make_charged(**numbers), voltage, discretization=pnp.Axial(NODES))
    assert np.all(np.asarray(solution.concentration) > 0)
