"""Channels known to be hard, and random ones: all converge, and to the right answer."""

import numpy as np
import pytest
import stress

import pnp

STEPS = np.array([0.0, 3.0, 3.0, 5.0, 5.0, 8.0])
HARD = {
    "-5 M, 1 mM | 1 M, permittivity 80, 2, 80": ([0, 0, -5, -5, 0, 0], 2.0, 1.0, 1000.0),
    "bipolar, 5 M": ([5, 5, -5, -5, 0, 0], 80.0, 100.0, 100.0),
    "bipolar, 5 M, the other way": ([-5, -5, 5, 5, 0, 0], 80.0, 100.0, 100.0),
    "tripolar, 5 M, 1 µM | 1 M": ([-5, -5, 5, 5, -5, -5], 80.0, 1e-3, 1000.0),
}


def hard(density, permittivity, inside, outside):
    return pnp.Channel.from_profiles(
        STEPS,
        area=1.0,
        fixed_charge=np.array(density, float),
        permittivity=np.array([80.0, 80.0, permittivity, permittivity, 80.0, 80.0]),
        ions=["K", "Cl"],
        inside={"K": inside, "Cl": inside},
        outside={"K": outside, "Cl": outside},
    )


@pytest.mark.slow
def test_known_hard_channels_at_one_volt():
    """Directly on one mesh, and through the whole continuation on one twice as fine."""
    channels = pnp.stack([hard(*numbers) for numbers in HARD.values()] * 2)
    voltages = np.repeat([-1000.0, 1000.0], len(HARD))
    found = pnp.solve_batch(channels, voltages, discretization=pnp.Axial(200))
    checked = pnp.solve_batch(
        channels, voltages, discretization=pnp.Axial(400), settings=pnp.Settings(skip_continuation=0.0)
    )
    assert np.all(found.status == pnp.Status.CONVERGED), found.messages()
    assert np.all(checked.status == pnp.Status.CONVERGED_BY_CONTINUATION), checked.messages()
    np.testing.assert_allclose(found.current, checked.current, rtol=3e-3)
    assert np.max(checked.conservation_error) < 1e-10


@pytest.mark.slow
def test_random_channels():
    """300 of scripts/stress.py, of some structures; its 10,000 are of 16."""
    structures = [((1, -1), True), ((2, -1), False), ((3, -2), False), ((1, 2, -1), True)]
    verdicts, *_ = stress.run(300, 2, 200, structures=structures)
    for fault in ("wrong", "unexplained NaN", "flagged: no value", "unchecked: no reference"):
        assert not verdicts[fault].any(), (fault, np.flatnonzero(verdicts[fault]))
    assert verdicts["converged"].mean() > 0.6  # the others' mesh is too coarse, and they say so


@pytest.mark.slow
def test_a_channel_that_two_meshes_do_not_resolve_is_flagged():
    """On meshes made otherwise, of 200 and 400 elements, its currents were 0.1 % apart and both 2 % off by chance."""
    valence, sharp = stress.STRUCTURES[7]
    numbers = stress.draw_one(np.random.default_rng([1, 7543]), np.array(valence))
    group = stress.Group(valence, sharp, np.array([7543]), {key: np.array([value]) for key, value in numbers.items()})
    found, finer = (stress.solve(group, nodes) for nodes in (400, 1600))
    assert finer.status[0] == pnp.Status.CONVERGED
    assert abs(found.current[0] / finer.current[0] - 1) < found.discretization_error[0]
    assert found.status[0] == pnp.Status.MESH_TOO_COARSE
