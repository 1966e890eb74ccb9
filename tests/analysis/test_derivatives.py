"""Derivatives of the current: forward, reverse, second order and by difference, for every kind of parameter."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnp
from pnp.finite_volume.axial import mesh as meshes
from tests.conftest import hold_mesh, make_charged

NODES = 60
MESH = pnp.Axial(NODES)
CHANNEL = make_charged(barrier=2.0).with_values({"pore.permittivity": 78.4})
PARAMETERS = {
    "bulk diffusivity": lambda c: c.ions["K"].diffusivity,
    "fixed charge": lambda c: c.pore.charge[0].density.y,
    "potential of mean force": lambda c: c.pore.pmf["Cl"].y,
    "area": lambda c: c.pore.area.y,
    "permittivity": lambda c: c.pore.permittivity.value,
    "temperature": lambda c: c.temperature,
}


def current(scale, where, voltage=80.0):
    channel = eqx.tree_at(where, CHANNEL, replace_fn=lambda leaf: leaf * scale)
    return pnp.solve(channel, voltage, discretization=pnp.Axial(NODES)).current


@pytest.mark.slow
@pytest.mark.parametrize("height", [5.0, 200.0])
def test_derivatives_with_ions_between_two_barriers(height, monkeypatch):
    """Of ln I: at 200 kT, where I is 1e-85 pA, mu varies between the barriers by less than round-off."""
    x = np.array([0.0, 1, 1, 2, 2, 3, 3, 4, 4, 6])
    barriers = height * np.array([0.0, 0, 1, 1, 0, 0, 1, 1, 0, 0])
    channel = pnp.Channel.from_profiles(
        x,
        area=np.ones(10),
        fixed_charge=-0.5 * np.array([0.0, 0, 0, 0, 1, 1, 0, 0, 0, 0]),
        ions={"K": pnp.Ion(1, 1.957), "Cl": pnp.Ion(-1, 2.032)},
        pmf={"K": barriers, "Cl": barriers},
        inside={"K": 300.0, "Cl": 300.0},
        outside={"K": 100.0, "Cl": 100.0},
    )
    hold_mesh(monkeypatch, meshes.make_mesh(channel, NODES))
    well = lambda c: c.pore.charge[0].density.y

    def log_current(scale):
        changed = eqx.tree_at(well, channel, well(channel) * scale)
        return jnp.log(pnp.solve(changed, 60.0, discretization=pnp.Axial(NODES)).ion_current[0])

    forward, reverse, f = (
        jax.jit(jax.jacfwd(log_current))(1.0),
        jax.jit(jax.grad(log_current))(1.0),
        jax.jit(log_current),
    )
    h = 1e-3
    difference = (8 * (f(1 + h) - f(1 - h)) - (f(1 + 2 * h) - f(1 - 2 * h))) / (12 * h)
    assert float(forward) == pytest.approx(float(difference), rel=1e-8)
    assert float(reverse) == pytest.approx(float(forward), rel=1e-10)


@pytest.mark.slow
def test_forward_reverse_and_difference_agree(monkeypatch):
    hold_mesh(monkeypatch, meshes.make_mesh(CHANNEL, NODES))

    def f(scales):
        channel = CHANNEL
        for where, scale in zip(PARAMETERS.values(), scales, strict=True):
            channel = eqx.tree_at(where, channel, replace_fn=lambda leaf, s=scale: leaf * s)
        return pnp.solve(channel, 80.0, discretization=pnp.Axial(NODES)).current

    one, h = jnp.ones(len(PARAMETERS)), 1e-4
    forward, reverse, f = jax.jit(jax.jacfwd(f))(one), jax.jit(jax.jacrev(f))(one), jax.jit(f)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
    for k, name in enumerate(PARAMETERS):
        at = lambda step, k=k: float(f(one.at[k].add(step)))
        difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        assert float(forward[k]) == pytest.approx(difference, rel=1e-7), name


@pytest.mark.slow
def test_second_order_in_the_voltage():
    slope = jax.jit(jax.grad(lambda v: pnp.solve(CHANNEL, v, discretization=pnp.Axial(NODES)).current))
    second = jax.hessian(lambda v: pnp.solve(CHANNEL, v, discretization=pnp.Axial(NODES)).current)(40.0)
    h = 1e-2
    assert float(second) == pytest.approx(float(slope(40 + h) - slope(40 - h)) / (2 * h), rel=1e-6)


@pytest.mark.slow
def test_gradient_with_respect_to_the_whole_channel():
    gradient = eqx.filter_grad(lambda c: pnp.solve(c, 80.0, discretization=pnp.Axial(NODES)).current)(CHANNEL)
    leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    assert leaves
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    # More diffusive K⁺ carries more current; the current is linear in both diffusivities together.
    k, cl = (gradient.ions[name].diffusivity for name in ("K", "Cl"))
    total = 1.957 * k + 2.032 * cl
    assert float(total) == pytest.approx(
        float(pnp.solve(CHANNEL, 80.0, discretization=pnp.Axial(NODES)).current), rel=1e-9
    )


@pytest.mark.slow
def test_curve_and_vmap_differentiate():
    voltages = jnp.array([-50.0, 50.0])
    jacobian = jax.jacrev(lambda s: pnp.iv_curve(eqx.tree_at(lambda c: c.pore.charge[0].density.y, CHANNEL,
                          replace_fn=lambda y: y * s), voltages, discretization=MESH).current)(1.0)  # fmt: skip
    mapped = jax.vmap(lambda v: jax.grad(current)(1.0, PARAMETERS["fixed charge"], v))(voltages)
    np.testing.assert_allclose(jacobian, mapped, rtol=1e-9)


@pytest.mark.slow
def test_derivative_of_the_reversal_potential():
    def reversal(outside):
        baths = {"K": outside, "Cl": outside}
        channel = eqx.tree_at(lambda c: c.outside, CHANNEL, baths)
        return pnp.reversal_potential(channel, guess=-20.0, discretization=pnp.Axial(NODES))

    h = 1e-2
    difference = float(reversal(100.0 + h) - reversal(100.0 - h)) / (2 * h)
    assert float(jax.grad(reversal)(100.0)) == pytest.approx(difference, rel=1e-4)
