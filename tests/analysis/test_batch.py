"""Many cases at once give what each gives alone, however they are shared out."""

import os
import subprocess
import sys

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from tests.conftest import make_charged

NODES = 64
DENSITIES = [-1.0, -0.3, 0.5, 2.0, -2.0]
VOLTAGES = np.array([-150.0, 0.0, 40.0, 80.0, 150.0])


@pytest.mark.slow
def test_channels_and_voltages():
    channels = [make_charged(density=density) for density in DENSITIES]
    done = []
    found = pnp.solve_batch(
        pnp.stack(channels), VOLTAGES, discretization=pnp.Axial(NODES), batch=2, progress=done.append
    )
    assert sum(done) == 5
    assert found.converged.all()
    assert found.ion_names == ("K", "Cl")
    for i, channel in enumerate(channels):
        alone = pnp.solve(channel, VOLTAGES[i], discretization=pnp.Axial(NODES))
        np.testing.assert_allclose(found.current[i], alone.current, rtol=1e-10)
        np.testing.assert_allclose(found.ion_current[i], alone.ion_current, rtol=1e-10)


def test_one_channel_at_many_voltages_and_many_channels_at_one(charged):
    curve = pnp.iv_curve(charged, VOLTAGES, discretization=pnp.Axial(NODES))
    np.testing.assert_allclose(
        pnp.solve_batch(charged, VOLTAGES, discretization=pnp.Axial(NODES)).current, curve.current, rtol=1e-10
    )
    three = pnp.stack([charged] * 3)
    np.testing.assert_allclose(
        pnp.solve_batch(three, 40.0, discretization=pnp.Axial(NODES)).current, curve.current[2], rtol=1e-10
    )


def test_what_takes_many_steps_is_solved_later(charged, monkeypatch):
    limits = lambda s: (s.attempt_iterations, s.smallest_continuation_step)
    monkeypatch.setattr(
        pnp.Settings, "few_iterations", lambda s: eqx.tree_at(limits, s, (jnp.asarray(4.0), jnp.asarray(jnp.inf)))
    )
    voltages, done = np.array([0.0, 1000.0]), []
    found = pnp.solve_batch(
        pnp.stack([make_charged(0.0), charged]), voltages, discretization=pnp.Axial(NODES), progress=done.append
    )
    assert done == [1, 1]
    assert found.converged.all()
    np.testing.assert_allclose(
        found.current[1], pnp.solve(charged, 1000.0, discretization=pnp.Axial(NODES)).current, rtol=1e-10
    )


def test_bad_arguments(charged):
    with pytest.raises(ValueError, match="cases are channels"):
        pnp.solve_batch(charged, 10.0)
    with pytest.raises(ValueError, match=r"broadcast|mismatch"):
        pnp.solve_batch(pnp.stack([charged] * 3), [1.0, 2.0])
    with pytest.raises(TypeError, match="Channel"):
        pnp.solve_batch("gramicidin-a", [1.0])


SHARED = """
import numpy as np, jax, pnp
from tests.conftest import make_charged
assert len(jax.devices()) == 3
voltages = np.linspace(-100.0, 100.0, 7)
channel = make_charged()
many = jax.tree.map(lambda n: jax.numpy.stack([n] * 7), channel)
one, three = (pnp.solve_batch(many, voltages, discretization=pnp.Axial(64), devices=jax.devices()[:n]) for n in (1, 3))
np.testing.assert_allclose(three.current, one.current, rtol=1e-12)
few = pnp.solve_batch(channel, voltages, discretization=pnp.Axial(64))
np.testing.assert_allclose(few.current, one.current, rtol=1e-10)
"""


@pytest.mark.slow
def test_several_devices_share_the_cases():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=3"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHARED],
        env={**os.environ, "XLA_FLAGS": flags}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
