"""The Poisson–Nernst–Planck model of measured currents, solved for many parameters at once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pnp.analysis.discretization import Axial, Discretization
from pnp.analysis.mesh_hierarchy import steady_state
from pnp.analysis.steady import reversal_of_discretized
from pnp.channel.channel import Channel
from pnp.fit.model.base import CHANNELS, Experiment, Model, ParameterMap, Predicted
from pnp.fit.model.paths import COUNT, Place, find, places
from pnp.settings import CPU_BATCH, GPU_BATCH, Settings, Status

FIT_DISCRETIZATION = Axial(nodes=200)
"""Of a fit unless another is given."""


class PNP(Model):
    """The Poisson–Nernst–Planck equations, by `pnp.solve`.

    - discretization: as there. In one dimension currents are extrapolated from both meshes, so that fewer nodes than
      for profiles will do.
    """

    name = "pnp"

    def __init__(self, discretization: Discretization = FIT_DISCRETIZATION):
        self.discretization = discretization
        _, python, option = discretization.refinement
        self.finer = f"{python} ({option})"

    def numbers(self, channel):
        return {p.path: (p.measure, p.value) for p in places(channel).values()} | {CHANNELS: (COUNT, 1.0)}

    def number(self, channel, path):
        if path == CHANNELS:
            return COUNT, 1.0
        place = find(places(channel), path)
        return place.measure, place.value

    def _puts(self, channel, wiring) -> list[Place]:
        known = places(channel)
        return [find(known, path) for path in wiring.paths if path != CHANNELS]

    def _changed(self, channel, wiring) -> Callable:
        """(condition, [number]) → the channel there with these numbers."""
        puts = self._puts(channel, wiring)
        at = [i for i, path in enumerate(wiring.paths) if path != CHANNELS]

        def changed(condition, values):
            for place, i in zip(puts, at, strict=True):
                condition = place.put(condition, values[i])
            return condition

        return changed

    def predictor(self, channel, wiring, asked):
        for condition in asked.conditions:
            self.discretization.check(condition)
        made = _make_program(self._changed(channel, wiring), self.discretization, wiring)
        groups = _groups(asked, self.discretization.dimension)
        compiled = set()

        def predict(theta: np.ndarray) -> Predicted:
            theta = np.asarray(theta, float)
            cases, total, each = len(theta), sum(asked.sizes), theta.shape[1]
            found = Predicted(
                np.full((cases, total), np.nan),
                np.full((cases, total, each), np.nan),
                np.full((cases, total), int(Status.NOT_CONVERGED)),
                *(np.full((cases, total), np.nan) for _ in range(2)),
            )
            for i, group in enumerate(groups):
                group.fill(found, made, theta, wiring, alone=i not in compiled)
                compiled.add(i)
            return found

        return predict

    def traced(self, channel, wiring, asked):
        changed = self._changed(channel, wiring)
        groups = _groups(asked, self.discretization.dimension)
        index = jnp.asarray(wiring.follows)
        order = np.argsort(np.concatenate([g.points[g.wanted] for g in groups]))

        def predicted(theta):
            theta = jnp.asarray(theta)

            def one(condition, index, voltage, of):
                values = wiring.numbers(theta, index)
                discretized = self.discretization.discretize(changed(condition, values))
                found = jax.vmap(lambda v: of(discretized, v, Settings())[0])(voltage)
                return found if wiring.counted is None or of is _reversal else values[wiring.counted] * found

            parts = []
            for group in groups:
                each = jax.vmap(partial(one, of=group.of))(group.channels, index[group.members], group.voltage)
                parts.append(each.reshape(-1)[group.wanted.reshape(-1)])
            return jnp.concatenate(parts)[order]

        return predicted


class _Group(NamedTuple):
    """Conditions that one program serves: currents at as many voltages, or reversal potentials."""

    of: Callable
    members: np.ndarray
    """[member], which conditions they are."""
    channels: Channel
    """Stacked, [member]."""
    voltage: np.ndarray
    """[member, voltage]: at which currents are asked for, the last repeated; or near which a reversal potential is."""
    points: np.ndarray
    """[member, voltage], which of all measured numbers it is …"""
    wanted: np.ndarray
    """… and whether it is one."""
    lanes: int
    """How many members a program takes at once."""

    def fill(self, found: Predicted, made, theta: np.ndarray, wiring: ParameterMap, alone: bool) -> None:
        """Solve for all cases and members, and enter the results; alone: a first part, which compiles, by itself."""
        case, member = (a.reshape(-1) for a in np.mgrid[: len(theta), : len(self.members)])
        size = self.lanes
        parts = [slice(first, first + size) for first in range(0, len(case), size)]

        def solved(part):
            at = case[part], member[part]
            padded = [np.concatenate([a, np.repeat(a[-1:], size - len(a))]) for a in at]
            channels = jax.tree.map(lambda n: n[padded[1]], self.channels)
            discretized, tangents = made(channels, theta[padded[0]], wiring.follows[self.members[padded[1]]])
            result = _solve_program(self.of, discretized, tangents, self.voltage[padded[1]], Settings())
            return at, [np.asarray(leaf)[: len(at[0])] for leaf in jax.tree.leaves(result)]

        first = [solved(part) for part in parts[:1]] if alone else []
        with ThreadPoolExecutor(_workers()) as pool:
            for (cases, members), leaves in chain(first, pool.map(solved, parts[len(first) :])):
                value, derivative, *rest = leaves
                if wiring.counted is not None and self.of is _current:
                    value, derivative = _counted(value, derivative, theta[cases], wiring, self.members[members])
                for row, (c, m) in enumerate(zip(cases, members, strict=True)):
                    to, wanted = self.points[m][self.wanted[m]], self.wanted[m]
                    for all_of, one in zip(found, (value, derivative, *rest), strict=True):
                        all_of[c, to] = one[row, wanted]


def _counted(value, derivative, theta: np.ndarray, wiring: ParameterMap, conditions: np.ndarray):
    """Currents and their derivatives, of one channel each, times the number of channels."""
    at = wiring.counted
    which, factor = wiring.follows[conditions, at], wiring.factor[at]
    rows = np.arange(len(theta))
    number = wiring.constant[at] + factor * theta[rows, which]
    derivative = derivative * number[:, None, None]
    derivative[rows, :, which] += factor * value
    return value * number[:, None], derivative


def _workers() -> int:
    return (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1


def _groups(asked: Experiment, dimension: int) -> list[_Group]:
    first = np.concatenate([[0], np.cumsum(asked.sizes)])
    groups = []
    for of in (_current, _reversal):
        members = [i for i, wants in enumerate(asked.reversal) if wants == (of is _reversal)]
        if not members:
            continue
        most = max(asked.sizes[i] for i in members)
        place = lambda i, values, most=most: np.concatenate([values, np.repeat(values[-1:], most - len(values))])
        voltage = [asked.voltage[i] for i in members]
        points = [first[i] + np.arange(asked.sizes[i]) for i in members]
        groups.append(
            _Group(
                of,
                np.array(members),
                jax.tree.map(lambda *n: np.stack(n), *(asked.conditions[i] for i in members)),
                np.stack([place(i, v) for i, v in zip(members, voltage, strict=True)]),
                np.stack([place(i, p) for i, p in zip(members, points, strict=True)]),
                np.stack([np.arange(most) < asked.sizes[i] for i in members]),
                1 if dimension == 2 else _lanes(len(members), most),
            )
        )
    return groups


def _lanes(members: int, points: int) -> int:
    """How many conditions a program takes at once: whole cases, if they are small enough."""
    room = CPU_BATCH if jax.default_backend() == "cpu" else GPU_BATCH
    if members * points <= 2 * room:
        return members * max(1, room // (members * points))
    return max(1, room // points)


def _make_program(changed: Callable, discretization: Discretization, wiring: ParameterMap) -> Callable:
    """(channels, parameters, indices), each [lane] → discretized [lane] and their derivatives [lane, parameter]."""

    @eqx.filter_jit
    def made(channels, theta, index):
        def one(channel, theta, index):
            of = lambda theta: discretization.discretize(changed(channel, wiring.numbers(theta, index)))
            discretized, push = jax.linearize(of, theta)
            return discretized, jax.vmap(push)(jnp.eye(theta.size))

        if discretization.dimension == 1:
            return jax.vmap(one)(channels, theta, index)
        only = one(*jax.tree.map(lambda n: n[0], (channels, theta, index)))
        return jax.tree.map(lambda n: n[None], only)

    return made


@eqx.filter_jit
def _solve_program(of, discretized, tangents, voltage, settings):
    """What `of` says at voltages, [lane, voltage] each, and the derivatives of its value, [lane, voltage, parameter].

    The same for all channels of as many ions and nodes, whatever is fitted, if it is as much.
    """

    def one(discretized, tangents, voltage):
        def at(voltage):
            value, pull, rest = jax.vjp(
                lambda discretized: of(discretized, voltage, settings), discretized, has_aux=True
            )
            # Of a single value reverse mode costs a fifth of it, forward mode as much for each parameter.
            pulled, pushed = (jax.tree.leaves(eqx.filter(t, eqx.is_inexact_array)) for t in (pull(1.0)[0], tangents))
            derivative = sum(p.reshape(-1) @ t.reshape(len(t), -1).T for p, t in zip(pulled, pushed, strict=True))
            return value, derivative, rest

        return jax.vmap(at)(voltage) if discretized.r is None else jax.lax.map(at, voltage)

    if discretized.r is None:
        return jax.vmap(one)(discretized, tangents, voltage)
    only = one(*jax.tree.map(lambda n: n[0], (discretized, tangents, voltage)))
    return jax.tree.map(lambda n: n[None], only)


def _current(discretized, voltage, settings):
    """Current at a voltage, pA, and (status, discretisation error, conservation error)."""
    state = steady_state(discretized, voltage, settings)
    current = state.extrapolated_current if discretized.r is None else state.current
    return current, (state.status, state.discretization_error, state.conservation_error)


def _reversal(discretized, guess, settings):
    """Reversal potential near a guess, mV, and the same of the state there."""
    voltage = reversal_of_discretized(discretized, guess)
    state = steady_state(discretized, jax.lax.stop_gradient(voltage), settings)
    return voltage, (state.status, state.discretization_error, state.conservation_error)
