"""The problem: a pore, its charges, its ions, its two baths and the reservoirs around it.

A `Channel` is a frozen `equinox` module and so a pytree: its numbers can be batched, fitted and differentiated.
Changed copies are made by the `with_…` methods. Nothing here knows how the equations are discretised.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import quantity, units
from pnp.channel.activity import ActivityModel, Ideal
from pnp.channel.charge import VolumeCharge
from pnp.channel.ions import Ion, ion
from pnp.channel.label import Label, Labelled
from pnp.channel.limits import MAX_POSITION_ENERGY
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import ChannelError, Constant, Profile, as_profile
from pnp.channel.validate import problems
from pnp.channel.values import get_value, put_values
from pnp.theory.electrolyte import born_energy, debye_length
from pnp.theory.water import water_permittivity
from pnp.tracing import is_traced

IDEAL = Ideal()
MEMBRANE = Membrane()


class Channel(Labelled):
    """A complete problem. Make one with `pnp.load` or `Channel.from_profiles`.

    - ions: the species, by name; `ion_names` is their order in arrays.
    - pore: what lies between the two mouths.
    - inside, outside: concentrations in the baths by ion, mM.
    - temperature: K.
    - reservoirs: in front of the inside and the outside mouth.
    - given_bath_permittivity: relative; None for that of water, see `bath_permittivity`.
    - activity_model: how ions depart from ideality.
    - membrane: what the pore passes through; only two-dimensional problems see it.
    - label: its texts, see `name`. They take no part in compilation.

    Currents can be differentiated by all numbers except positions where something jumps, such as the ends of the
    pore: nodes of the mesh lie there, and are constants to differentiation. `ChannelNumber.smooth` says which.
    """

    ions: dict[str, Ion]
    pore: Pore
    inside: dict[str, Float[Array, "*case"]]
    outside: dict[str, Float[Array, "*case"]]
    temperature: Float[Array, "*case"]
    reservoirs: tuple[Reservoir, Reservoir]
    given_bath_permittivity: Float[Array, "*case"] | None
    activity_model: ActivityModel
    membrane: Membrane
    ion_names: tuple[str, ...] = eqx.field(static=True)
    label: Label = eqx.field(static=True)

    def __init__(
        self,
        ions: Mapping[str, Ion],
        pore: Pore,
        inside: Mapping[str, Any],
        outside: Mapping[str, Any],
        temperature: ArrayLike | str = units.ROOM_TEMPERATURE,
        reservoirs: tuple[Reservoir, Reservoir] = (Reservoir(), Reservoir()),
        bath_permittivity: ArrayLike | None = None,
        name: str = "channel",
        activity_model: ActivityModel = IDEAL,
        membrane: Membrane = MEMBRANE,
        description: str = "",
        validity: str = "",
    ):
        """A channel from its parts.

        - inside, outside: mM, temperature: K, or strings with a unit. An ion that is not named is absent.
        - name, description, validity: texts for messages and files; validity says how far to trust the channel.
        - otherwise as in the class.

        Raises ChannelError with every problem found, such as a bath that is not neutral.
        """
        self.ions = _as_arrays(dict(ions))
        self.ion_names = tuple(ions)
        self.pore = _as_arrays(pore)
        absent = dict.fromkeys(ions, 0.0)
        self.inside, self.outside = (_concentrations({**absent, **bath}) for bath in (inside, outside))
        self.temperature = quantity.as_array(temperature, quantity.TEMPERATURE)
        self.reservoirs = _as_arrays(reservoirs)
        self.given_bath_permittivity = None if bath_permittivity is None else jnp.asarray(bath_permittivity, float)
        self.activity_model = _as_arrays(activity_model)
        self.membrane = _as_arrays(membrane)
        self.label = Label(name, description, validity)
        self.validate()

    @staticmethod
    def from_profiles(
        x: ArrayLike,
        *,
        area: Any,
        fixed_charge: Any = 0.0,
        permittivity: Any = None,
        ions: Mapping[str, Ion] | Sequence[str],
        inside: Mapping[str, Any],
        outside: Mapping[str, Any],
        diffusivity: Mapping[str, Any] | None = None,
        pmf: Mapping[str, Any] | None = None,
        born: bool = False,
        activity_model: ActivityModel = IDEAL,
        temperature: ArrayLike | str = units.ROOM_TEMPERATURE,
        name: str = "channel",
        membrane: Membrane = MEMBRANE,
    ) -> "Channel":
        """A channel from profiles along x, from bath to bath, without reservoirs.

        - x: nm, increasing; the first and the last are the ends of the baths, a repeated x is a jump.
        - area (nm²), fixed_charge (M), permittivity (relative; that of water if None), diffusivity[ion] (nm²/ns),
          pmf[ion] (kT): each a scalar, an array like x, or a callable of x written with `jax.numpy`.
        - ions: `{"K": pnp.Ion(...)}`, or the names of built-in ones.
        - inside, outside: mM, temperature: K, or strings with a unit.
        - born: whether to add the Born energy of the permittivity against water's; the ions need a radius.
        - activity_model: `pnp.activity.Steric`, `pnp.activity.Davies` or, for point ions, `pnp.activity.Ideal`.
        - membrane: for two dimensions.

        Raises ChannelError.
        """
        if not isinstance(ions, Mapping):
            try:
                ions = {name: ion(name) for name in ions}
            except KeyError as error:
                raise ChannelError(error.args[0]) from None
        x = jnp.asarray(x, float)
        pore = Pore(
            start=x[0],
            end=x[-1],
            area=as_profile(area, x),
            permittivity=None if permittivity is None else as_profile(permittivity, x),
            charge=(VolumeCharge(as_profile(fixed_charge, x), x[0], x[-1]),),
            diffusivity={k: as_profile(v, x) for k, v in (diffusivity or {}).items()},
            pmf={k: as_profile(v, x) for k, v in (pmf or {}).items()},
            born=born,
        )
        none = (Reservoir("none"),) * 2
        more = (name, activity_model, membrane)
        return Channel(ions, pore, inside, outside, temperature, none, None, *more)

    # --- texts ---

    def with_texts(self, **texts: str) -> "Channel":
        """A copy with another `name`, `description` or `validity`."""
        own = {"name": self.name, "description": self.description, "validity": self.validity}
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        copy = object.__new__(Channel)  # without the checks of __init__, which numbers being traced would not pass
        for name, part in {**parts, "label": Label(**{**own, **texts})}.items():
            object.__setattr__(copy, name, part)
        return copy

    # --- numbers by their paths, and copies with other numbers ---

    @property
    def stacked(self) -> bool:
        """Whether this is a stack of channels, whose numbers are arrays [case]: see `pnp.stack`."""
        return self.temperature.ndim > 0

    def value(self, path: str) -> Float[Array, "*case"]:
        """The number of a path as in a channel file, such as "pore.charge.0.amount", in the units of `pnp.units`.

        `pnp.channel.numbers` says which there are; the channel may be traced by JAX, and stacked.

        Raises KeyError, which names the nearest paths.
        """
        return get_value(self, path)

    def with_values(self, values: Mapping[str, Any]) -> "Channel":
        """A copy with other numbers by their paths.

        - values: `{"inside.K": 10.0, "inside.Cl": "10 mM", "pore.radius.scale": 1.1}`; each a number in the unit of
          `pnp.units`, a string with its unit, or an array that JAX may trace; [case] if the channel is stacked.

        Raises KeyError for a path that is none, ValueError for a value of the wrong kind or two paths that set the
        same number, ChannelError if the changed channel cannot be solved. The last is checked if all numbers are
        known and the channel is not stacked. Derivatives by numbers that are not `smooth` are NaN.
        """
        copy = put_values(self, values)
        copy.validate()
        return copy

    def with_baths(self, inside: Mapping[str, Any] | None = None, outside: Mapping[str, Any] | None = None):
        """A copy with other concentrations in the baths (mM, or strings with a unit); other ions keep theirs.

        Raises ChannelError, as `with_values` does.
        """
        baths = [{**own, **_concentrations(new or {})} for own, new in ((self.inside, inside), (self.outside, outside))]
        copy = eqx.tree_at(lambda c: [c.inside, c.outside], self, baths)
        copy.validate()
        return copy

    def reflected(self) -> "Channel":
        """The same channel with x turned round: its I–V curve is −I(−V) of this one."""
        return Channel(
            {k: self.ions[k] for k in self.ion_names},
            self.pore.reflected(),
            self.outside,
            self.inside,
            self.temperature,
            self.reservoirs[::-1],
            self.given_bath_permittivity,
            f"{self.name}, reflected",
            self.activity_model,
            self.membrane.reflected(),
            self.description,
            self.validity,
        )

    def validate(self) -> None:
        """Raise ChannelError naming everything that is wrong; skipped if numbers are traced or the channel stacked."""
        if is_traced(self) or self.stacked:
            return
        with jax.ensure_compile_time_eval():  # known numbers are looked at even where a program is being traced
            found = problems(self)
        if found:
            raise ChannelError("; ".join(found))

    # --- what the equations need ---

    @property
    def valence(self) -> np.ndarray:
        """[ion], e."""
        return np.array([self.ions[name].valence for name in self.ion_names], float)

    @property
    def bath_concentration(self) -> Float[Array, "2 ion"]:
        """Inside and outside, mM."""
        return jnp.stack([jnp.stack([bath[k] for k in self.ion_names]) for bath in (self.inside, self.outside)])

    @property
    def bath_permittivity(self) -> Float[Array, "*case"]:
        """Relative; that of water at the channel's temperature unless given."""
        return water_permittivity(self.temperature) if (g := self.given_bath_permittivity) is None else g

    @property
    def pore_permittivity(self) -> Profile:
        """Relative; that of water at the channel's temperature unless given."""
        return self.pore.permittivity or Constant(water_permittivity(self.temperature))

    @property
    def bath_diffusivity(self) -> Float[Array, " ion"]:
        """In the baths at the channel's temperature, nm²/ns."""
        return jnp.stack([jnp.asarray(self.ions[k].diffusivity_at(self.temperature)) for k in self.ion_names])

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
        """Where the mesh begins and ends, nm: at the baths, or where a Hall reservoir is as good as them."""
        left, right = (
            r.extent(a, d) for r, a, d in zip(self.reservoirs, self.mouth_area, self.debye_length, strict=True)
        )
        return self.pore.start - left, self.pore.end + right

    def area(self, x):
        """Cross-section at x, nm²."""
        mouth, start, end = self.mouth_area, self.pore.start, self.pore.end
        inner = self.pore.area(jnp.clip(x, start, end))
        left = self.reservoirs[0].area(jnp.maximum(start - x, 0.0), mouth[0])
        right = self.reservoirs[1].area(jnp.maximum(x - end, 0.0), mouth[1])
        return self._pick(x, inner, left, right)

    def permittivity(self, x):
        """Relative permittivity at x."""
        return self._pick(x, self.pore_permittivity(x), self.bath_permittivity)

    def line_charge(self, x):
        """Fixed charge per length at x, e/nm."""
        area, on_wall = self.area(x), any(c.place == "wall" for c in self.pore.charge)
        wall_area = self.pore.wall_area(x) if on_wall else 0.0
        return sum((c.line_density(x, area, wall_area) for c in self.pore.charge), jnp.zeros(jnp.shape(x)))

    def diffusivity(self, x):
        """[..., ion] at x, nm²/ns."""
        factor = self.pore.diffusivity_factor(x)

        def one(name):
            bulk = self.ions[name].diffusivity_at(self.temperature)
            own = self.pore.diffusivity.get(name)
            return self._pick(x, bulk * factor if own is None else own(x), bulk)

        return jnp.stack([one(name) for name in self.ion_names], -1)

    def pmf(self, x):
        """[..., ion] potential of mean force at x as given, kT."""
        zero = jnp.zeros(jnp.shape(x))
        own = [self.pore.pmf.get(name) for name in self.ion_names]
        return jnp.stack([zero if p is None else self._pick(x, p(x), 0.0) for p in own], -1)

    def born_energy(self, x):
        """[..., ion] Born energy at x, kT, cut to ±`limits.MAX_POSITION_ENERGY`; zero unless `pore.born`."""
        if not self.pore.born:
            return jnp.zeros((*jnp.shape(x), len(self.ion_names)))

        def one(ion):
            if ion.valence == 0:
                return jnp.zeros(jnp.shape(x))
            within = self.pore_permittivity(x), self.bath_permittivity, self.temperature
            energy = born_energy(ion.radius, ion.valence, *within)
            return self._pick(x, jnp.clip(energy, -MAX_POSITION_ENERGY, MAX_POSITION_ENERGY), 0.0)

        return jnp.stack([one(self.ions[name]) for name in self.ion_names], -1)

    def position_energy(self, x):
        """[..., ion] what position alone adds to mu, kT: potential of mean force and Born energy."""
        return self.pmf(x) + self.born_energy(x) if self.pore.born else self.pmf(x)

    def breakpoints(self) -> Float[Array, " point"]:
        """Where properties or their slopes jump, the mouths and both ends of the domain: sorted, nm."""
        return self.pore.sorted_points([*self.pore.area.breakpoints(), *self.pore.edges()], *self.domain)

    def scales(self) -> Float[Array, "feature 2"]:
        """(position, length) of smooth features of the charge, nm."""
        pairs = [pair for c in self.pore.charge for pair in c.scales()]
        return jnp.array(pairs, float).reshape(-1, 2)

    def _pick(self, x, inner, left, right=None):
        right = left if right is None else right
        return jnp.where(x < self.pore.start, left, jnp.where(x > self.pore.end, right, inner))


def _concentrations(bath: Mapping[str, Any]) -> dict[str, Array]:
    return {name: quantity.as_array(c, quantity.CONCENTRATION) for name, c in bath.items()}


def _as_arrays(tree):
    """Every number as a float64 array, so that all of them can be differentiated and none is compiled in."""
    number = lambda leaf: isinstance(leaf, int | float | np.number | np.ndarray)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float) if number(leaf) else leaf, tree)
