"""Coordinates and bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnp import quantity as q
from pnp.fit.model.parameters import FitError, Free, ParameterSpace, make_parameter
from pnp.fit.model.paths import MEASURES


def space():
    return ParameterSpace(
        [
            make_parameter(Free("D"), "D", MEASURES[q.DIFFUSIVITY], 0.7),
            make_parameter(Free("q", low=-5.0, high=0.0), "q", MEASURES[q.CHARGE], -1.0),
            make_parameter(Free("w", low=-1.0), "w", MEASURES[q.ENERGY], 0.0),
        ]
    )


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_coordinates_go_back_and_forth(u):
    here, u = space(), np.array(u)
    s = here.s_of_u(u)
    assert ((here.low < s) & (s < here.high)).all()
    assert np.allclose(here.u_of_s(s), u, atol=1e-8)


def test_slopes_are_those_of_differences():
    here, u, h = space(), np.array([0.3, -0.4, 2.0]), 1e-6
    assert np.allclose(here.slope(u), (here.s_of_u(u + h) - here.s_of_u(u - h)) / (2 * h), rtol=1e-7)
    s = here.s_of_u(u)
    assert np.allclose(here.value_slope(s), (here.value(s + h) - here.value(s - h)) / (2 * h), rtol=1e-8)


def test_half_way_between_the_bounds_u_moves_as_s_does():
    assert np.allclose(space().slope(np.zeros(3)), 1.0)


def test_what_must_be_positive_is_fitted_in_its_logarithm():
    here = space()
    assert np.allclose(here.start, [np.log(0.7), -1.0, 0.0])
    assert np.allclose(here.value(here.start), [0.7, -1.0, 0.0])


def test_starts_are_the_channels_own_then_others_within_the_bounds():
    here = space()
    starts = here.starts(200, seed=1)
    assert np.allclose(starts[0], here.start)
    assert ((here.low <= starts) & (starts <= here.high)).all()
    assert starts[1:, 1].min() < -4.9  # all of what was given as bounds …
    assert starts[1:, 1].max() > -0.1
    assert np.ptp(starts[1:, 0]) < 2 * np.log(3) + 1e-9  # … or some way around the start
    assert np.array_equal(starts, here.starts(200, seed=1))
    assert not np.array_equal(starts, here.starts(200, seed=2))
    assert len(here.starts(1, seed=0)) == 1


@pytest.mark.parametrize(
    ("free", "message"),
    [
        (Free("q", low=1.0, high=2.0), "starts at -1 e, which its bounds, 1 to 2 e, exclude"),
        (Free("q", low=2.0, high=1.0), "must be below the upper one"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(free, message):
    with pytest.raises(FitError, match=message):
        make_parameter(free, "q", MEASURES[q.CHARGE], -1.0)


def test_a_logarithm_needs_positive_bounds_and_starts():
    with pytest.raises(FitError, match="its lower bound cannot be 0"):
        make_parameter(Free("D", low=0.0), "D", MEASURES[q.DIFFUSIVITY], 1.0)
    with pytest.raises(FitError, match="must start above zero"):
        make_parameter(Free("D", start=-1.0), "D", MEASURES[q.DIFFUSIVITY], 1.0)
