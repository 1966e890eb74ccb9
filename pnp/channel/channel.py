"""The problem: a pore, its charges, its ions, its two baths and the reservoirs around it.

Frozen `equinox` modules, so a `Channel` is a pytree: every number in it can be differentiated,
batched or fitted, and a changed copy is made with `eqx.tree_at` or the `with_…` methods. Physics
only: nothing here knows how the equations are discretised.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.channel.activity import ActivityModel, Ideal
from pnp.channel.charge import ReflectedCharge, VolumeCharge
from pnp.channel.ions import Ion, ion
from pnp.channel.limits import MAX_POSITION_ENERGY
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import ChannelError, Reflected, as_profile
from pnp.channel.validate import problems
from pnp.theory.electrolyte import born_energy, debye_length
from pnp.tracing import is_traced

IDEAL = Ideal()
MEMBRANE = Membrane()

WATER_PERMITTIVITY = 78.4
"""Relative permittivity of water at 25 °C (Archer & Wang, 1990, J. Phys. Chem. Ref. Data 19:371)."""


class Channel(eqx.Module):
    """A complete problem. Make one with `pnp.load` or `Channel.from_profiles`.

    ions: the species, in the order of `ion_names`. inside, outside: bath concentrations in mM.
    temperature: K. reservoirs: in front of the inside and the outside mouth.
    bath_permittivity: relative. activity_model: how ions depart from ideality, point ions unless given.
    membrane: what the pore passes through, which only two-dimensional problems see.
    """

    ions: dict[str, Ion]
    pore: Pore
    inside: dict[str, Float[Array, ""]]
    outside: dict[str, Float[Array, ""]]
    temperature: Float[Array, ""]
    reservoirs: tuple[Reservoir, Reservoir]
    bath_permittivity: Float[Array, ""]
    activity_model: ActivityModel
    membrane: Membrane
    ion_names: tuple[str, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    source: str = eqx.field(static=True)

    def __init__(
        self,
        ions: Mapping[str, Ion],
        pore: Pore,
        inside: Mapping[str, ArrayLike],
        outside: Mapping[str, ArrayLike],
        temperature: ArrayLike = units.ROOM_TEMPERATURE,
        reservoirs: tuple[Reservoir, Reservoir] = (Reservoir(), Reservoir()),
        bath_permittivity: ArrayLike = WATER_PERMITTIVITY,
        name: str = "channel",
        source: str = "",
        activity_model: ActivityModel = IDEAL,
        membrane: Membrane = MEMBRANE,
    ):
        """See the class. `source` is the resolved text the channel was made from, kept as provenance.

        Raises ChannelError with every problem found, such as a bath that is not neutral.
        """
        self.ions = _as_arrays(dict(ions))
        self.ion_names = tuple(ions)
        self.pore = _as_arrays(pore)
        self.inside = {k: jnp.asarray(v, float) for k, v in inside.items()}
        self.outside = {k: jnp.asarray(v, float) for k, v in outside.items()}
        self.temperature = jnp.asarray(temperature, float)
        self.reservoirs = _as_arrays(reservoirs)
        self.bath_permittivity = jnp.asarray(bath_permittivity, float)
        self.activity_model = _as_arrays(activity_model)
        self.membrane = _as_arrays(membrane)
        self.name, self.source = name, source
        self.validate()

    @staticmethod
    def from_profiles(
        x: ArrayLike,
        *,
        area: Any,
        fixed_charge: Any = 0.0,
        permittivity: Any = WATER_PERMITTIVITY,
        ions: Mapping[str, Ion] | Sequence[str],
        inside: Mapping[str, ArrayLike],
        outside: Mapping[str, ArrayLike],
        diffusivity: Mapping[str, Any] | None = None,
        pmf: Mapping[str, Any] | None = None,
        born: bool = False,
        activity_model: ActivityModel = IDEAL,
        temperature: ArrayLike = units.ROOM_TEMPERATURE,
        name: str = "channel",
        membrane: Membrane = MEMBRANE,
    ) -> "Channel":
        """A channel from profiles along x, from bath to bath: exactly what they say, no reservoirs.

        x: nm, increasing; the first and last are the bath ends; a repeated x is a jump.
        area (nm²), fixed_charge (M), permittivity (relative), diffusivity[ion] (nm²/ns), pmf[ion]
        (kT): each a scalar, an array like x, or a callable of x written with `jax.numpy`.
        ions: `{"K": pnp.Ion(...)}`, or the names of built-in ones. inside, outside: mM.
        born: whether to add the Born energy of the permittivity against water's, for which ions need a radius.
        activity_model: how ions depart from ideality, `pnp.activity.Steric` or `pnp.activity.Davies`.
        membrane: for two dimensions.

        Raises ChannelError.
        """
        if not isinstance(ions, Mapping):
            try:
                ions = {name: ion(name) for name in ions}
            except KeyError as error:
                raise ChannelError(error.args[0]) from None
        x = jnp.asarray(x, float)
        charge = VolumeCharge(as_profile(fixed_charge, x), x[0], x[-1])
        pore = Pore(
            start=x[0],
            end=x[-1],
            area=as_profile(area, x),
            permittivity=as_profile(permittivity, x),
            charge=(charge,),
            diffusivity={k: as_profile(v, x) for k, v in (diffusivity or {}).items()},
            pmf={k: as_profile(v, x) for k, v in (pmf or {}).items()},
            born=born,
        )
        none = Reservoir("none")
        return Channel(
            ions,
            pore,
            inside,
            outside,
            temperature,
            (none, none),
            name=name,
            activity_model=activity_model,
            membrane=membrane,
        )

    # -- what the equations ask for --

    @property
    def valence(self) -> np.ndarray:
        """[ion], e."""
        return np.array([self.ions[name].valence for name in self.ion_names], float)

    @property
    def bath_concentration(self) -> Float[Array, "2 ion"]:
        """Inside and outside, mM."""
        zero = jnp.zeros(())
        rows = [[bath.get(k, zero) for k in self.ion_names] for bath in (self.inside, self.outside)]
        return jnp.stack([jnp.stack(row) for row in rows])

    @property
    def debye_length(self) -> Float[Array, " 2"]:
        """In the inside and the outside bath, nm."""
        return debye_length(self.bath_concentration, self.valence, self.bath_permittivity, self.temperature)

    @property
    def mouth_area(self) -> Float[Array, " 2"]:
        """At the inside and the outside mouth, nm²."""
        return self.pore.area(jnp.stack([jnp.asarray(self.pore.start, float), jnp.asarray(self.pore.end, float)]))

    @property
    def domain(self) -> tuple[Array, Array]:
        """Where the two baths are held at their concentrations: (first x, last x), nm."""
        left, right = (
            r.extent(a, d) for r, a, d in zip(self.reservoirs, self.mouth_area, self.debye_length, strict=True)
        )
        return self.pore.start - left, self.pore.end + right

    def area(self, x):
        """Cross-section at x, nm²."""
        mouth = self.mouth_area
        start, end = self.pore.start, self.pore.end
        inner = self.pore.area(jnp.clip(x, start, end))
        left = self.reservoirs[0].area(jnp.maximum(start - x, 0.0), mouth[0])
        right = self.reservoirs[1].area(jnp.maximum(x - end, 0.0), mouth[1])
        return self._pick(x, inner, left, right)

    def permittivity(self, x):
        """Relative permittivity at x."""
        return self._pick(x, self.pore.permittivity(x), self.bath_permittivity)

    def line_charge(self, x):
        """Fixed charge per length at x, e/nm."""
        area = self.area(x)
        return sum((c.line_density(x, area) for c in self.pore.charge), jnp.zeros(jnp.shape(x)))

    def diffusivity(self, x):
        """[..., ion] at x, nm²/ns."""
        factor = self.pore.diffusivity_factor(x)

        def one(name):
            bulk = self.ions[name].diffusivity
            own = self.pore.diffusivity.get(name)
            return self._pick(x, bulk * factor if own is None else own(x), bulk)

        return jnp.stack([one(name) for name in self.ion_names], -1)

    def pmf(self, x):
        """[..., ion] potential of mean force at x as given, kT."""
        zero = jnp.zeros(jnp.shape(x))
        own = [self.pore.pmf.get(name) for name in self.ion_names]
        return jnp.stack([zero if p is None else self._pick(x, p(x), 0.0) for p in own], -1)

    def born_energy(self, x):
        """[..., ion] Born energy at x, kT, within ±`MAX_POSITION_ENERGY`; zero unless `pore.born`."""
        if not self.pore.born:
            return jnp.zeros((*jnp.shape(x), len(self.ion_names)))

        def one(ion):
            if ion.valence == 0:
                return jnp.zeros(jnp.shape(x))
            within = self.pore.permittivity(x), self.bath_permittivity, self.temperature
            energy = born_energy(ion.radius, ion.valence, *within)
            return self._pick(x, jnp.clip(energy, -MAX_POSITION_ENERGY, MAX_POSITION_ENERGY), 0.0)

        return jnp.stack([one(self.ions[name]) for name in self.ion_names], -1)

    def position_energy(self, x):
        """[..., ion] what position alone adds to mu, kT: potential of mean force and Born energy."""
        return self.pmf(x) + self.born_energy(x) if self.pore.born else self.pmf(x)

    def breakpoints(self) -> Float[Array, " point"]:
        """Where properties or their slopes jump, the mouths and both ends of the domain: sorted, nm.

        Points that differ by rounding alone count as one, repeated.
        """
        return self._sorted([*self.pore.area.breakpoints(), *self._edges()], *self.domain)

    def wall_breakpoints(self) -> Float[Array, " point"]:
        """Where properties, the wall or its slope jump, and the mouths, from one mouth to the other: sorted, nm.

        As `breakpoints`, but that both ends of a shoulder take the place of a jump of the radius.
        """
        return self._sorted([*self.pore.wall_breakpoints(), *self._edges()], self.pore.start, self.pore.end)

    def _edges(self) -> list[Any]:
        """Where what the pore holds jumps, its mouths included."""
        inner = [j for p in self.pore.contents() for j in p.breakpoints()]
        return [self.pore.start, self.pore.end, *inner, *(j for c in self.pore.charge for j in c.breakpoints())]

    def _sorted(self, points, first, last):
        points = jnp.stack([jnp.asarray(p, float) for p in [first, *points, last]])
        points = jnp.sort(jnp.clip(points, first, last))
        distinct = jnp.diff(points, prepend=-jnp.inf) > 1e-9 * (self.pore.end - self.pore.start)
        return points[jax.lax.cummax(jnp.where(distinct, jnp.arange(points.size), 0))]

    def scales(self) -> Float[Array, "feature 2"]:
        """(position, length) of smooth charge features, nm."""
        pairs = [pair for c in self.pore.charge for pair in c.scales()]
        return jnp.array(pairs, float).reshape(-1, 2)

    # -- what two dimensions ask for besides --

    def wall_radius(self, x):
        """Radius of the pore's wall at x, nm; beyond the mouths that of the mouth.

        That of the cross-section, but that a jump of it in a table is a straight shoulder of 45°, as long as the
        jump is high and half to each side of it, since a grid that follows the wall cannot have a step. It takes
        half of the shorter of the two stretches beside it at most; at a mouth it lies inside the pore altogether.
        """
        return self.pore.wall_radius(x)

    def surface_density(self, x):
        """Fixed charge on the wall at x, e/nm²; zero outside the pore."""
        return self._pick(x, sum((c.surface_density(x) for c in self.pore.charge), jnp.zeros(jnp.shape(x))), 0.0)

    def water_charge(self, x):
        """Fixed charge in the pore's water at x, e/nm³, spread over the cross-section; zero outside the pore."""
        area = jnp.pi * self.wall_radius(x) ** 2
        charges = [c for c in self.pore.charge if c.place == "water"]
        line = sum((c.line_density(x, area) for c in charges), jnp.zeros(jnp.shape(x)))
        return self._pick(x, line / area, 0.0)

    def protein_charge(self, x):
        """(density in e/nm³ at x, depth in nm) of each charge that is fixed in the protein, from the wall to `depth`.

        A ring or a segment keeps its amount and a volume density its value. Zero outside the pore.
        """
        wall, found = self.wall_radius(x), []
        for charge in (c for c in self.pore.charge if c.place == "protein"):
            area = jnp.pi * ((wall + charge.depth) ** 2 - wall**2)
            found.append((self._pick(x, charge.line_density(x, area) / area, 0.0), charge.depth))
        return found

    def _pick(self, x, inner, left, right=None):
        right = left if right is None else right
        return jnp.where(x < self.pore.start, left, jnp.where(x > self.pore.end, right, inner))

    # -- copies --

    def with_baths(self, inside: Mapping | None = None, outside: Mapping | None = None) -> "Channel":
        """A copy with other bath concentrations (mM); ions not named keep theirs."""
        arrays = lambda bath: {k: jnp.asarray(v, float) for k, v in bath.items()}
        baths = ({**self.inside, **arrays(inside or {})}, {**self.outside, **arrays(outside or {})})
        copy = eqx.tree_at(lambda c: (c.inside, c.outside), self, baths)
        copy.validate()
        return copy

    def reflected(self) -> "Channel":
        """The same channel turned round: its I–V curve is −I(−V) of this one."""
        pore = self.pore
        mirrored = Pore(
            start=-pore.end,
            end=-pore.start,
            area=Reflected(pore.area),
            permittivity=Reflected(pore.permittivity),
            charge=tuple(ReflectedCharge(c) for c in pore.charge),
            diffusivity={k: Reflected(p) for k, p in pore.diffusivity.items()},
            diffusivity_factor=Reflected(pore.diffusivity_factor),
            pmf={k: Reflected(p) for k, p in pore.pmf.items()},
            born=pore.born,
        )
        return Channel(
            {k: self.ions[k] for k in self.ion_names},
            mirrored,
            self.outside,
            self.inside,
            self.temperature,
            self.reservoirs[::-1],
            self.bath_permittivity,
            f"{self.name}, reflected",
            activity_model=self.activity_model,
            membrane=self.membrane.reflected(),
        )

    # -- checks --

    def validate(self) -> None:
        """Raise ChannelError naming everything that is wrong; skipped on traced values."""
        if is_traced(self):
            return
        with jax.ensure_compile_time_eval():  # known numbers are looked at even where a program is being traced
            found = problems(self)
        if found:
            raise ChannelError("; ".join(found))


def _as_arrays(tree):
    """Every number as a float64 array, so that all of them are differentiated and none is compiled in."""
    number = lambda leaf: isinstance(leaf, int | float | np.number | np.ndarray)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float) if number(leaf) else leaf, tree)
