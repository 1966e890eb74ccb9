"""The constant-field model: Goldman–Hodgkin–Katz currents and reversal potentials of independent ions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pnp.analysis.discretization import Axial
from pnp.channel.channel import Channel
from pnp.fit.model.base import CHANNELS, Experiment, Model, ParameterMap, Predicted
from pnp.fit.model.paths import COUNT, PERMEABILITY
from pnp.theory.ghk import ghk_current, ghk_voltage

PERMEABILITY_RATIO = PERMEABILITY._replace(quantity=COUNT.quantity)

_MESH = Axial(64)  # of the permeability of the pore itself, an integral over its profiles
_CASES = 16  # computed together, at least


class GHK(Model):
    """Independent ions in a constant field (`pnp.theory.ghk_current`).

    Numbers: `permeability.K` (D A / L, nm³/ns), by default that of the pore without charges and energies; and ratios
    `permeability.Na/K`. An ion has one or the other.
    """

    name = "ghk"

    def numbers(self, channel):
        own = _own_permeability(channel)
        known = {f"permeability.{name}": (PERMEABILITY, value) for name, value in own.items()}
        for ion, value in own.items():
            for reference, reference_value in own.items():
                if ion != reference:
                    known[f"permeability.{ion}/{reference}"] = (PERMEABILITY_RATIO, value / reference_value)
        return known | {CHANNELS: (COUNT, 1.0)}

    def predictor(self, channel, parameter_map, experiment):
        prediction = self.prediction(channel, parameter_map, experiment)

        def predict(theta: np.ndarray) -> Predicted:
            # The number of cases is made a power of two, so that few programs are compiled.
            size = max(_CASES, 1 << (len(theta) - 1).bit_length())
            padded = np.concatenate([theta, np.repeat(theta[-1:], size - len(theta), 0)])
            value, derivative = (np.array(a[: len(theta)]) for a in _values_and_derivatives(prediction, padded))
            zero = np.zeros(value.shape)
            return Predicted(value, derivative, zero.astype(int), zero, zero)

        return predict

    def prediction(self, channel, parameter_map, experiment):
        own = _own_permeability(channel)
        first = np.cumsum([0, *experiment.sizes])
        points = [first[i] + np.arange(size) for i, size in enumerate(experiment.sizes)]
        chosen = lambda wanted: [i for i, is_reversal in enumerate(experiment.reversal) if is_reversal == wanted]
        order = np.argsort(np.concatenate([points[i] for i in chosen(False) + chosen(True)]))
        return _Prediction(
            channel.ion_names,
            tuple(int(z) for z in channel.valence),
            np.array(list(own.values())),
            parameter_map,
            _Points.gather(experiment, chosen(False)),
            _Points.gather(experiment, chosen(True)),
            order,
        )


class _Points(eqx.Module):
    """Points of some conditions, one after the other."""

    condition: Int[np.ndarray, " point"]
    bath: Float[np.ndarray, "2 point ion"]
    """mM, inside and outside."""
    temperature: Float[np.ndarray, "point"]
    """K."""
    voltage: Float[np.ndarray, "point"]
    """mV."""

    @staticmethod
    def gather(experiment: Experiment, conditions: list[int]) -> "_Points":
        """All points of these conditions."""
        sizes = [experiment.sizes[i] for i in conditions]
        channels: list[Channel] = [experiment.conditions[i] for i in conditions]
        ions = len(experiment.conditions[0].ion_names)
        baths = [np.asarray(c.bath_concentration) for c in channels]
        return _Points(
            np.repeat(np.array(conditions, int), sizes),
            np.repeat(np.array(baths).reshape(-1, 2, ions), sizes, 0).swapaxes(0, 1),
            np.repeat([float(c.temperature) for c in channels], sizes),
            np.concatenate([np.zeros(0), *(experiment.voltage[i] for i in conditions)]),
        )


class _Prediction(eqx.Module):
    """GHK currents and reversal potentials as a function of the parameters."""

    ion_names: tuple[str, ...] = eqx.field(static=True)
    valence: tuple[int, ...] = eqx.field(static=True)
    own_permeability: Float[np.ndarray, " ion"]
    """nm³/ns, of the ions whose permeability is not fitted."""
    parameter_map: ParameterMap
    currents: _Points
    reversals: _Points
    order: Int[np.ndarray, " point"]
    """Positions of the measured points among the currents, then the reversal potentials."""

    def __call__(self, theta: Float[Array, " parameter"]) -> Float[Array, " point"]:
        """pA or mV, of parameters in their own units."""
        values = jnp.concatenate([self._currents(theta, self.currents), self._reversals(theta, self.reversals)])
        return values[self.order]

    def _currents(self, theta, points: _Points):
        permeability, channel_count = self._permeabilities(theta, points)
        inside, outside = points.bath
        arguments = jnp.asarray(points.voltage)[:, None], inside, outside, permeability
        each = ghk_current(*arguments, np.array(self.valence), jnp.asarray(points.temperature)[:, None])
        return each.sum(-1) * channel_count

    def _reversals(self, theta, points: _Points):
        if not points.condition.size:
            return jnp.zeros(0)
        permeability, _ = self._permeabilities(theta, points)
        inside, outside = points.bath
        return ghk_voltage(permeability, inside, outside, np.array(self.valence), jnp.asarray(points.temperature))

    def _permeabilities(self, theta, points: _Points):
        """Permeabilities [point, ion] and numbers of channels [point]."""
        paths = self.parameter_map.paths
        values = self.parameter_map.numbers(theta, points.condition)
        by_ion: dict[str, Array] = {
            name: jnp.full(points.condition.shape, own)
            for name, own in zip(self.ion_names, jnp.asarray(self.own_permeability), strict=True)
        }
        by_ion |= {_ion(path): values[path] for path in paths if path != CHANNELS and "/" not in path}
        ratios = [path for path in paths if "/" in path]
        relative = {_ion(path) for path in ratios}
        # A reference that is itself given as a ratio comes first.
        for path in sorted(ratios, key=lambda path: path.partition("/")[2] in relative):
            by_ion[_ion(path)] = values[path] * by_ion[path.partition("/")[2]]
        return jnp.stack([by_ion[name] for name in self.ion_names], -1), values.get(CHANNELS, 1.0)


def _ion(path: str) -> str:
    """The ion whose permeability, or whose ratio to another ion's, a path names."""
    return path.partition(".")[2].partition("/")[0]


def _own_permeability(channel: Channel) -> dict[str, float]:
    """nm³/ns by ion, of the pore without charges and energies."""
    own = np.asarray(_MESH.discretize(channel).permeability, float)
    return dict(zip(channel.ion_names, own.tolist(), strict=True))


@eqx.filter_jit
def _values_and_derivatives(prediction, theta):
    """[case, point] and [case, point, parameter] of parameters [case, parameter]."""
    return jax.vmap(lambda theta: (prediction(theta), jax.jacfwd(prediction)(theta)))(theta)
