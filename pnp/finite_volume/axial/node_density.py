"""How many elements per length resolve the solution: near jumps by the Debye length, elsewhere by how steep properties
are.

A property is looked at where it is given: a table at its rows, a function at 10,000 points of the pore, so that no
feature longer than 1e-4 of it is stepped over, whatever the number of elements (`Profile.looked_at`). Of many points a
thousand are kept, most of them where the property changes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pnp import units
from pnp.channel.channel import Channel
from pnp.channel.profiles import Profile

_SAMPLES = 32  # quarter of the points per stretch at which every density is measured
_KEPT = 1000  # points kept of those at which a property is looked at
_LAYER = 0.25  # finest element at a breakpoint, in local Debye lengths
_GROWTH = 0.35  # largest element, as a fraction of the distance from a breakpoint or from smaller ones
_CORNER = 0.02  # the layer at a corner of 90° that juts into the water, in radii of the pore there
_PORE = 100  # elements a featureless pore gets before the total is scaled to `nodes`
_SHAPE = 8  # elements per e-fold of area, permittivity, charge or diffusivity, and per kT of energy
_INSET = 1e-9  # "just inside" a stretch, as a fraction of its length


class Samples(NamedTuple):
    """Points at which the density of nodes is measured, in the stretches between breakpoints."""

    x: Float[Array, " sample"]
    """Increasing, nm."""
    stretch: Int[Array, " sample"]
    """The stretch that each lies in."""
    first: Int[Array, " stretch"]
    """The first sample of each stretch, just inside its beginning."""
    last: Int[Array, " stretch"]
    """The last one, just inside its end."""

    @property
    def step(self) -> Float[Array, " pair"]:
        """Distance to the next sample, nm."""
        return jnp.diff(self.x)

    @property
    def within(self) -> Bool[Array, " pair"]:
        """Whether the next sample lies in the same stretch."""
        return self.stretch[1:] == self.stretch[:-1]


def make_samples(
    channel: Channel, breaks: Float[Array, " break"], coordinate: Callable[[Array], Array] = lambda x: x
) -> Samples:
    """Samples of all stretches between breakpoints, clustered at their ends; and of what the channel's profiles hold.

    - breaks: sorted, nm; repeated ones enclose empty stretches.
    - coordinate: of a position along the axis, if samples are not counted along it.
    """
    left, right = breaks[:-1], breaks[1:]
    fractions = _fractions()
    x = (left[:, None] + (right - left)[:, None] * fractions).ravel()
    stretch = jnp.repeat(jnp.arange(left.size), fractions.size)
    mouths = channel.pore.start, channel.pore.end
    given = [_kept(profile, points) for profile in _profiles(channel) for points in profile.looked_at(*mouths)]
    if given:
        more = jnp.clip(coordinate(jnp.concatenate(given)), breaks[0], breaks[-1])
        within = jnp.clip(jnp.searchsorted(breaks, more, side="right") - 1, 0, left.size - 1)
        x, stretch = jnp.concatenate([x, more]), jnp.concatenate([stretch, within])
    inset = _INSET * (right - left)[stretch]
    x = jnp.clip(x, left[stretch] + inset, right[stretch] - inset)
    if given:
        order = jnp.argsort(x)
        x, stretch = x[order], stretch[order]
    every = jnp.arange(left.size)
    return Samples(x, stretch, jnp.searchsorted(stretch, every), jnp.searchsorted(stretch, every, side="right") - 1)


def _profiles(channel: Channel) -> list[Profile]:
    """All profiles of a pore."""
    pore = channel.pore
    densities = [getattr(charge, "density", None) for charge in pore.charge]
    charges = [density for density in densities if isinstance(density, Profile)]
    return [
        pore.area,
        channel.pore_permittivity,
        pore.diffusivity_factor,
        *pore.diffusivity.values(),
        *pore.pmf.values(),
        *charges,
    ]


def _kept(profile: Profile, points: Float[Array, " point"]) -> Float[Array, " kept"]:
    """Of many points as many as `_KEPT`: half of them evenly along x, half evenly along what the values change, small
    ones on a logarithmic scale."""
    if points.size <= _KEPT:
        return points
    values = profile(points)
    scaled = jnp.arcsinh(1e3 * values / jnp.maximum(jnp.abs(values).max(), 1e-300))
    changed = jnp.append(0.0, jnp.cumsum(jnp.abs(jnp.diff(scaled))))
    along = (points - points[0]) / (points[-1] - points[0])
    return jnp.interp(np.linspace(0, 2, _KEPT), changed / jnp.maximum(changed[-1], 1e-300) + along, points)


def _fractions() -> np.ndarray:
    """0 … 1: even, and clustered at both ends down to 1e-6 (stretches are long, layers thin)."""
    end = np.geomspace(1e-6, 0.5, _SAMPLES, endpoint=False)
    even = np.linspace(0.0, 1.0, 2 * _SAMPLES + 1)
    return np.unique(np.concatenate([even, end, 1 - end]))


def node_density(channel: Channel, samples: Samples) -> Float[Array, " sample"]:
    """Elements per nm that resolve the solution, from bath to bath."""
    x = samples.x
    area = channel.area(x)
    layer = _layer_length(channel, x, area)
    length = channel.pore.end - channel.pore.start
    width = _layer_widths(channel, samples, jnp.minimum(layer, length))
    position = jnp.concatenate([x[samples.first], x[samples.last[-1:]]])
    features = jnp.concatenate([jnp.stack([position, width], 1), channel.scales()])
    in_pore = (x > channel.pore.start) & (x < channel.pore.end)
    return _density(channel, samples, x, area, features, jnp.where(in_pore, 1.0, 0.0), length)


def wall_density(channel: Channel, samples: Samples, z, radius, breaks) -> Float[Array, " sample"]:
    """Points per nm along the wall that resolve the solution in two dimensions.

    - samples: of the length along the wall, nm.
    - z, radius: of the samples, nm.
    - breaks: lengths at which its stretches end, nm.
    """
    layer, length = _layer_length(channel, z, jnp.pi * radius**2), breaks[-1] - breaks[0]
    width = jnp.full(breaks.shape, length)
    width = width.at[:-1].min(layer[samples.first]).at[1:].min(layer[samples.last])
    # Fields are singular at a corner that juts into the water, the more the sharper it is: at the mouths, by 90° at
    # least, and where the wall turns outward.
    slope = lambda a, b: jnp.arctan2(radius[b] - radius[a], z[b] - z[a])
    empty = breaks[1:] - breaks[:-1] <= 0
    begins = jnp.where(empty, jnp.nan, slope(samples.first, samples.first + 1))
    ends = jnp.where(empty, jnp.nan, slope(samples.last - 1, samples.last))
    before, after = _last_known(ends), _last_known(begins[::-1])[::-1]
    turn = jnp.clip((after[1:] - before[:-1]) / (jnp.pi / 2), 0.0, 1.0)
    at = jnp.concatenate([radius[samples.first], radius[samples.last[-1:]]])
    turn = jnp.where(jnp.isnan(turn), 1.0, turn)  # empty stretches at a mouth
    corner = at * _CORNER ** jnp.concatenate([jnp.ones(1), turn, jnp.ones(1)])
    width = jnp.minimum(width, corner)
    along = lambda x: jnp.interp(x, z, samples.x)
    scales = channel.scales().at[:, 0].set(along(channel.scales()[:, 0]))
    features = jnp.concatenate([jnp.stack([breaks, width], 1), scales])
    # A wall that bends smoothly: by the angle to the next sample, so many points per radian.
    angle = jnp.arctan2(jnp.diff(radius), jnp.diff(z))
    bend = jnp.where(samples.within[1:] & samples.within[:-1], jnp.abs(jnp.diff(angle)), 0.0)
    bend = jnp.pad(bend, (1, 1))
    return _density(channel, samples, z, jnp.pi * radius**2, features, 1.0, length, (bend[1:] + bend[:-1]) / 2)


def _last_known(values: Float[Array, " value"]) -> Float[Array, " value"]:
    """Each value, or if that is NaN the last one before it that is not."""
    index = jnp.where(jnp.isnan(values), -1, jnp.arange(values.size))
    return values[jnp.maximum(jax.lax.cummax(index), 0)]


def _screening(channel: Channel, x, area):
    """Σ z² c that is at least expected, mM."""
    fixed = jnp.abs(channel.line_charge(x)) * units.MILLIMOLAR_PER_CHARGE_DENSITY / area
    return _bath_screening(channel).mean() + fixed


def _bath_screening(channel: Channel) -> Float[Array, " 2"]:
    return (channel.bath_concentration * channel.valence**2).sum(1)


def _layer_length(channel: Channel, x, area):
    """Debye length, nm."""
    scale = units.permittivity_scale(channel.temperature)
    return jnp.sqrt(scale * channel.permittivity(x) / _screening(channel, x, area))


def _density(
    channel: Channel, samples: Samples, x, area, features, in_pore, length, bend: Any = 0.0
) -> Float[Array, " sample"]:
    """Elements per length of `samples.x`.

    - x, area: position along the axis and cross-section at the samples.
    - features: (position, width) of what has to be resolved, on the scale of the samples.
    - in_pore: 1 in the pore, 0 beyond its mouths. length: of the pore.
    - bend: of the wall, radians from sample to sample.
    """
    narrower = lambda h, feature: (
        jnp.minimum(h, _LAYER * feature[1] + _GROWTH * jnp.abs(samples.x - feature[0])),
        None,
    )
    near, _ = jax.lax.scan(narrower, jnp.full(x.shape, jnp.inf), features)
    shape = (jnp.log(area), jnp.log(channel.permittivity(x)), jnp.log(_screening(channel, x, area)))
    of_ions = jnp.log(channel.diffusivity(x)), channel.position_energy(x)
    change = sum((jnp.abs(jnp.diff(f)) for f in shape), bend + jnp.zeros(x.size - 1))
    change = change + sum(jnp.abs(jnp.diff(f, axis=0)).max(1) for f in of_ions)
    steep = in_pore * _SHAPE * _at_samples(samples, change)
    return 1 / near + in_pore * _PORE / length + _spread_out(samples.x, steep)


def _layer_widths(channel: Channel, samples: Samples, layer) -> Float[Array, " break"]:
    """Thickness of what has to be resolved at each breakpoint, nm.

    It is the thinner of the double layers on its two sides. At the outer end of a reservoir there is none, but
    concentrations from the other bath fall to those of this one there, for a dilute bath over as small a part of the
    way, and with them the resistance.
    """
    x, length = samples.x, channel.pore.end - channel.pore.start
    width = jnp.full(samples.first.size + 1, length)
    width = width.at[:-1].min(layer[samples.first]).at[1:].min(layer[samples.last])
    bath = _bath_screening(channel)
    for end, reservoir in zip((0, -1), channel.reservoirs, strict=True):
        share = jnp.minimum(1.0, bath[end] / bath[-1 - end])
        extent = x[samples.last[end]] - x[samples.first[end]]
        own = width[end] if reservoir.kind == "none" else extent
        width = width.at[end].set(jnp.minimum(own, share * jnp.maximum(length, extent)))
    return width


def _at_samples(samples: Samples, change: Float[Array, " pair"]) -> Float[Array, " sample"]:
    """Changes from sample to sample as slopes at the samples.

    The mean of both sides, so that a pore turned round has its mesh turned round; at the end of a stretch that of one.
    """
    least = 1e-12 * (samples.x[-1] - samples.x[0])
    slope = jnp.where(samples.within, change / jnp.maximum(samples.step, least), 0.0)
    both = lambda pairs: jnp.pad(pairs, (1, 0)) + jnp.pad(pairs, (0, 1))
    return both(slope) / jnp.maximum(both(samples.within.astype(float)), 1.0)


def _spread_out(x, density: Float[Array, " sample"]) -> Float[Array, " sample"]:
    """A density with more around where it is large, so that elements grow by no more than `_GROWTH`."""
    h = 1 / jnp.maximum(density, 1e-300)
    from_left = jax.lax.cummin(h - _GROWTH * x) + _GROWTH * x
    from_right = jax.lax.cummin(h + _GROWTH * x, reverse=True) - _GROWTH * x
    return 1 / jnp.maximum(jnp.minimum(from_left, from_right), 1e-300)
