"""Derivatives by the numbers of a channel, with their errors."""

import jax
import numpy as np
import pytest

import pnp
from tests.conftest import make_charged

PATHS = ["pore.permittivity", "inside.K", "ions.Cl.diffusivity", "pore.charge.0.density.scale", "temperature"]
VOLTAGE = 60.0  # mV


@pytest.fixture(scope="module")
def found():
    return pnp.sensitivity(make_charged(), "60 mV", PATHS, discretization=pnp.Axial(104))


def test_derivatives_are_those_of_the_current(found):
    """By differentiation in forward mode along all numbers together, whose meshes are held as well."""
    channel = make_charged()
    values = {path: float(channel.value(path)) for path in PATHS}
    np.testing.assert_allclose(found.value, list(values.values()))
    direction = np.random.default_rng(0).normal(size=len(PATHS)) * np.asarray(found.value)

    def current(share):
        moved = {path: value + share * d for (path, value), d in zip(values.items(), direction, strict=True)}
        return pnp.solve(channel.with_values(moved), VOLTAGE, discretization=pnp.Axial(104)).current

    value, slope = jax.jit(lambda share: jax.jvp(current, (share,), (1.0,)))(0.0)
    assert float(found.current) == pytest.approx(float(value), rel=1e-12)
    assert float(found.derivative @ direction) == pytest.approx(float(slope), rel=1e-8)
    assert found.units == ("", "mM", "nm^2/ns", "", "K")
    # A current without charge of its own is proportional to all diffusivities; the elasticity of one is at most 1.
    assert 0 < float(found.elasticity[2]) < 1


@pytest.mark.slow
def test_errors_hold_against_a_fine_mesh(found):
    """Of the permittivity as well, which moves the nodes: that is neglected, and vanishes with the mesh."""
    fine = pnp.sensitivity(make_charged(), VOLTAGE, PATHS, discretization=pnp.Axial(1600))
    off = np.abs(np.asarray(found.derivative - fine.derivative))
    assert np.all(off <= 2 * np.asarray(found.discretization_error)), off / found.discretization_error
    assert np.all(np.asarray(found.discretization_error) < 0.05 * np.abs(np.asarray(fine.derivative)))


@pytest.mark.parametrize(
    ("paths", "error", "words"),
    [
        (["pore.permitivity"], KeyError, "pore.permittivity"),
        ([], ValueError, "list of paths"),
        ("inside.K", ValueError, "list of paths"),
        (["pore.length"], ValueError, "pore.length"),
    ],
)
def test_paths_that_make_no_sense_are_refused(paths, error, words):
    with pytest.raises(error, match=words):
        pnp.sensitivity(pnp.load("uncharged-cylinder"), 0.0, paths)
