# mypy: disable-error-code="valid-type, misc"
# ruff: noqa: RUF012 (pydantic copies defaults)
"""The sections of a channel file: one pydantic model each."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pnp import quantity as q
from pnp import units
from pnp.channel.membrane import Membrane
from pnp.io.channel_file.fields import Radius, Reach, Rows, Section, Sizes, SurfaceCharge, profile, quantity
from pnp.io.channel_file.messages import BelowError

MAX_IONS = 16
MAX_CHARGES = 1000


class IonSection(Section):
    """`[ions.NAME]`: what differs from the built-in ion, or all of an ion that is not built in."""

    valence: Annotated[int, Field(ge=-6, le=6, strict=True)] | None = None
    diffusivity: quantity(q.DIFFUSIVITY, positive=True) | None = None
    radius: quantity(q.LENGTH, positive=True) | None = None
    q10: quantity(q.FACTOR, positive=True) | None = None
    activation_energy: quantity(q.MOLAR_ENERGY, least=0.0) | None = None
    temperature_law: Literal["walden"] | None = None

    @model_validator(mode="after")
    def _consistent(self):
        laws = [name for name in ("q10", "activation_energy", "temperature_law") if getattr(self, name) is not None]
        if len(laws) > 1:
            raise BelowError(laws[0], reason=f"and {laws[1]} are two laws for one diffusivity; leave one of them out")
        return self


class RingSection(Section):
    """A ring of charged residues, Gaussian along x."""

    kind: Literal["ring"]
    amount: quantity(q.CHARGE)
    position: quantity(q.LENGTH)
    width: quantity(q.LENGTH, positive=True)
    depth: quantity(q.LENGTH, positive=True) | None = None


class SegmentSection(Section):
    """Charge over a stretch: a total `amount`, spread evenly, or a `density`, a number or a table."""

    kind: Literal["segment"]
    amount: quantity(q.CHARGE) | None = None
    density: profile(q.CHARGE_DENSITY) | None = None
    start: quantity(q.LENGTH)
    end: quantity(q.LENGTH)
    edge: quantity(q.LENGTH, least=0.0) = 0.0
    depth: quantity(q.LENGTH, positive=True) | None = None

    @model_validator(mode="after")
    def _consistent(self):
        if (self.amount is None) == (self.density is None):
            raise ValueError("give either amount (e) or density (M)")
        if self.end <= self.start:
            raise BelowError("end", reason=f"{self.end:g} nm must lie after start, {self.start:g} nm")
        return self


class WallSection(Section):
    """Surface charge on the wall; the whole pore unless `start` and `end` say otherwise.

    steps: whether, in two dimensions, the faces of steps are charged as well.
    """

    kind: Literal["wall"]
    surface_density: profile(q.SURFACE_CHARGE)
    start: quantity(q.LENGTH) | None = None
    end: quantity(q.LENGTH) | None = None
    steps: bool = False


ChargeSection = Annotated[RingSection | SegmentSection | WallSection, Field(discriminator="kind")]


class PoreSegment(Section):
    """One piece of a pore built from pieces, in order from inside to outside."""

    length: quantity(q.LENGTH, positive=True)
    radius: quantity(q.LENGTH, positive=True)
    permittivity: quantity(q.NUMBER, positive=True) | None = None
    diffusivity: dict[str, quantity(q.DIFFUSIVITY, positive=True)] = {}
    pmf: dict[str, quantity(q.ENERGY)] = {}
    charge: quantity(q.CHARGE) = 0.0


class PoreSection(Section):
    """`[pore]`: x runs from `start`, the inside mouth."""

    start: quantity(q.POSITION) = 0.0
    length: quantity(q.LENGTH, positive=True) | None = None
    radius: Radius | None = None
    area: profile(q.AREA, positive=True, may_close=True) | None = None
    permittivity: profile(q.NUMBER, positive=True) | None = None
    diffusivity_factor: profile(q.NUMBER, positive=True) = 1.0
    diffusivity: dict[str, profile(q.DIFFUSIVITY, positive=True)] = {}
    pmf: dict[str, profile(q.ENERGY)] = {}
    charge: Annotated[list[ChargeSection], Field(max_length=MAX_CHARGES)] = []
    segment: Annotated[list[PoreSegment], Field(max_length=MAX_CHARGES)] = []
    born: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _consistent(self):
        if self.segment:
            whole = {"start", "length", "radius", "area", "permittivity", "diffusivity", "pmf"}
            given = whole & self.model_fields_set
            if given:
                raise ValueError(f"a pore made of segments cannot also have {', '.join(sorted(given))}")
            for name in dict.fromkeys(n for s in self.segment for n in s.diffusivity):
                lacking = [i for i, s in enumerate(self.segment) if name not in s.diffusivity]
                if lacking:
                    reason = "is missing: give it in all segments or in none"
                    raise BelowError("segment", lacking[0], "diffusivity", name, reason=reason)
        elif self.shape is None:
            raise BelowError("radius", reason='is missing: a number (nm), a table [[x, r], …], or {hole = "file"}')
        elif self.radius is not None and self.area is not None:
            raise BelowError("area", reason="is already given by the radius; leave one of them out")
        else:
            self._check_shape("area" if self.radius is None else "radius", self.shape)
        return self

    def _check_shape(self, name: str, shape: float | Rows) -> None:
        if not isinstance(shape, list):
            if self.length is None:
                raise BelowError("length", reason=f"is missing: a constant {name} needs it (nm)")
            return
        first, last = shape[0][0], shape[-1][0]
        if self.length is not None:
            raise BelowError("length", reason=f"is already given by the {name} table; leave it out")
        if first != self.start:
            raise BelowError(
                name, reason=f"the table must start at x = {self.start:g}, the inside mouth, not {first:g} nm"
            )
        if last <= first:
            raise BelowError(name, reason="the table must cover a positive length")

    @property
    def shape(self) -> float | Rows | None:
        """The radius, or the area in its place."""
        return self.area if self.radius is None else self.radius

    @property
    def end(self) -> float:
        """The outside mouth, nm."""
        if self.segment:
            return self.start + sum(s.length for s in self.segment)
        return self.shape[-1][0] if isinstance(self.shape, list) else self.start + (self.length or 0.0)


class ReservoirSection(Section):
    """`[reservoir]`, both sides alike."""

    kind: Literal["hall", "cone", "none"] = "hall"
    length: quantity(q.LENGTH, positive=True) | None = None
    radius: quantity(q.LENGTH, positive=True) | None = None
    permittivity: quantity(q.NUMBER, positive=True) | None = None
    side: Literal["wall", "bath"] | None = None

    @model_validator(mode="after")
    def _consistent(self):
        given = self.length is not None, self.radius is not None
        if self.kind != "cone" and self.side is not None:
            raise BelowError("side", reason=f'belongs to kind = "cone", not to "{self.kind}"')
        if self.kind == "cone" and not all(given):
            raise ValueError("a cone needs length and radius (nm, at its far end)")
        if self.kind != "cone" and any(given):
            raise ValueError(f'length and radius belong to kind = "cone", not to "{self.kind}"')
        return self


class MembraneSection(Section):
    """`[membrane]`, which the pore passes through: for two-dimensional problems."""

    permittivity: quantity(q.NUMBER, positive=True) = Membrane().permittivity
    surface_charge: SurfaceCharge = 0.0
    charged_within: Reach | None = None


_MODELS = {"ideal": (), "steric": ("size", "solvent"), "davies": ("slope", "coefficient")}


class ActivitySection(Section):
    """`[activity]`: how ions depart from ideality."""

    model: Literal["ideal", "steric", "davies"]
    size: Sizes | None = None
    solvent: quantity(q.LENGTH, positive=True) | None = None
    slope: quantity(q.NUMBER, least=0.0) | None = None
    coefficient: quantity(q.NUMBER) | None = None

    @model_validator(mode="after")
    def _consistent(self):
        for model, keys in _MODELS.items():
            for key in keys:
                if model != self.model and getattr(self, key) is not None:
                    raise BelowError(key, reason=f'belongs to model = "{model}", not to "{self.model}"')
        if self.model == "steric" and self.size is None:
            raise BelowError("size", reason="is missing: the edge of the cube that an ion fills (nm), one or by ion")
        return self


Bath = dict[str, quantity(q.CONCENTRATION, least=0.0)]


class ChannelFile(Section):
    """A whole channel file. What each key means stands in the template `pnp init` writes."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = "channel"
    description: Annotated[str, Field(max_length=10_000)] = ""
    validity: Annotated[str, Field(max_length=10_000)] = ""
    temperature: quantity(q.TEMPERATURE, positive=True) = units.ROOM_TEMPERATURE
    inside: Bath
    outside: Bath
    ions: Annotated[dict[str, IonSection], Field(max_length=MAX_IONS)] = {}
    pore: PoreSection
    reservoir: ReservoirSection = ReservoirSection()
    membrane: MembraneSection = MembraneSection()
    activity: ActivitySection = ActivitySection(model="ideal")


_SECTIONS = {
    "pore": PoreSection,
    "reservoir": ReservoirSection,
    "membrane": MembraneSection,
    "activity": ActivitySection,
    "ions": IonSection,
}
_CHARGES = {"ring": RingSection, "segment": SegmentSection, "wall": WallSection}


def known_keys(location: tuple, keys: list[str]) -> list[str]:
    """What may stand beside an unknown key: pydantic's location of it in a section, and its path in the file."""
    if "charge" in keys:
        model: Any = _CHARGES[next((p for p in location if p in _CHARGES), "ring")]
    elif "segment" in keys:
        model = PoreSegment
    else:
        model = _SECTIONS.get(keys[0] if keys else "", ChannelFile)
    return list(model.model_fields)
