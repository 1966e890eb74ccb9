"""Pores that are closed somewhere carry no current, and say so."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import pnp
import pnp.cli.app
from pnp.channel.charge import WallCharge
from pnp.channel.closed import closed_at
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, Function, Table
from pnp.settings import Status

SALT = {"K": 100.0, "Cl": 100.0}
NODES = pnp.Axial(104)


def pore(radius):
    within = Pore(0.0, 4.0, Circle(radius), Constant(78.4), (WallCharge(-0.02, 0.0, 4.0),))
    return pnp.Channel({"K": pnp.Ion(1, 1.96), "Cl": pnp.Ion(-1, 2.03)}, within, SALT, {"K": 10.0, "Cl": 10.0})


def neck(radius):
    return pore(Table([0.0, 1.5, 4.0], jnp.stack([jnp.asarray(1.0), jnp.asarray(radius), jnp.asarray(0.8)])))


@pytest.mark.parametrize(
    ("radius", "at"),
    [
        (Table([0.0, 1.5, 4.0], [1.0, 0.0, 0.8]), 1.5),
        (Table([0.0, 1.0, 1.0, 4.0], [1.0, 1.0, -0.2, 0.8]), 1.0),
        (Table(np.linspace(0, 4, 101), np.abs(np.linspace(-1, 3, 101)) - 1e-9), 1.0),
        (Function(lambda x: jnp.cos(jnp.pi * x / 4) ** 2 - 1e-7), 2.0),
        (Constant(-1.0), 0.0),
    ],
)
def test_where_a_pore_is_closed(radius, at):
    assert float(closed_at(pore(radius))) == pytest.approx(at, abs=1e-3)
    assert np.isnan(closed_at(pore(Constant(1e-3))))


def test_a_closed_pore_carries_nothing():
    closed = pnp.solve(neck(-0.1), 100.0, discretization=NODES)
    assert int(closed.status) == Status.CLOSED
    assert (
        closed.message == "closed: nothing flows through a pore whose radius is zero or less somewhere, at x = 1.5 nm"
    )
    for flow in (closed.current, closed.ion_current, closed.flux, closed.mesh_current):
        assert not np.any(flow)
    assert np.all(np.isnan(closed.potential))
    curve = pnp.iv_curve(neck(0.0), [-50.0, 0.0, 50.0], discretization=NODES)
    assert np.all(curve.status == Status.CLOSED)
    assert not np.any(curve.current)
    assert not np.any(curve.slope)
    assert not np.any(curve.permeability)
    assert np.isnan(curve.reversal_potential())
    assert np.isnan(pnp.reversal_potential(neck(0.0), discretization=NODES))
    assert float(pnp.conductance(neck(0.0), discretization=NODES)) == 0


def test_each_of_a_batch_is_closed_by_itself():
    """Under jit, vmap and grad: open, closed, open; the open ones as if alone, derivatives of the closed one zero."""
    radii = jnp.array([0.3, -0.3, 0.6])
    current = lambda radius: pnp.solve(neck(radius), 100.0, discretization=NODES).current
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(current)))(radii)
    assert float(values[1]) == float(slopes[1]) == 0
    assert float(slopes[0]) > 0
    assert float(slopes[2]) > 0
    batch = pnp.solve_batch(pnp.stack([neck(r) for r in radii]), 100.0, discretization=NODES)
    np.testing.assert_array_equal(batch.status == Status.CLOSED, [False, True, False])
    assert batch.converged.all()
    np.testing.assert_allclose(batch.current, values, rtol=1e-10)


@pytest.mark.slow
def test_no_number_of_a_closed_pore_has_a_derivative():
    by_salt = jax.grad(lambda c: pnp.solve(c, 100.0, discretization=NODES).current)(neck(-0.3))
    for leaf in jax.tree.leaves(eqx.filter(by_salt, eqx.is_inexact_array)):
        assert not np.any(leaf)


@pytest.mark.slow
def test_a_closed_pore_in_two_dimensions():
    closed = pnp.solve(neck(-0.1), 100.0, discretization=pnp.Axisymmetric(0.25))
    assert (int(closed.status), float(closed.current)) == (Status.CLOSED, 0.0)
    assert "at z = 1.5 nm" in closed.message


@pytest.mark.slow
def test_the_command_line_says_that_a_pore_is_closed(tmp_path):
    salt = "K = 100\nCl = 100\n"
    table = "[pore]\nradius = [[0, 1], [2, -0.1], [5, 1]]\n"
    (tmp_path / "closed.toml").write_text(f"[inside]\n{salt}[outside]\n{salt}{table}")
    closed = [tmp_path / "closed.toml"]
    run = lambda *arguments: CliRunner().invoke(pnp.cli.app.app, [str(a) for a in arguments])
    checked = run("check", *closed)
    assert checked.exit_code == 0
    assert "closed at x = 2 nm" in checked.stderr
    curve = run("iv", *closed, "--voltages", "-50,50", "--nodes", 104, "--format", "json")
    assert curve.exit_code == 0
    assert '"closed"' in curve.stdout
    assert "at -50, 50 mV: closed" in curve.stderr
    assert run("profile", *closed, "--voltage", 10, "--nodes", 104).exit_code == 2
