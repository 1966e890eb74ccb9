# mypy: disable-error-code="valid-type, misc"
"""What a channel file may hold: one pydantic model per section."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from pnp import units
from pnp.channel.channel import WATER_PERMITTIVITY
from pnp.channel.membrane import Membrane
from pnp.io import quantity as q
from pnp.io.channel_file.messages import BelowError, reason_of
from pnp.io.hole import HoleError, read_hole
from pnp.io.limits import MAX_ROWS

MAX_IONS = 16
MAX_CHARGES = 1000


def _quantity(kind: q.Kind, *, positive: bool = False, least: float | None = None):
    def parse(value: Any, info: ValidationInfo) -> float:
        number = q.parse_quantity(value, kind, _temperature(info))
        if positive and number <= 0:
            raise ValueError(f"must be positive, not {number:g} {kind.unit}".rstrip())
        if least is not None and number < least:
            raise ValueError(f"must be at least {least:g} {kind.unit}, not {number:g}")
        return number

    return Annotated[float, BeforeValidator(parse)]


def _temperature(info: ValidationInfo) -> float:
    return (info.context or {}).get("temperature", units.ROOM_TEMPERATURE)


Rows = list[tuple[float, float]]


def _profile(kind: q.Kind, *, positive: bool = False):
    """A scalar, or a table [[x, value], …] in which a repeated x is a jump."""
    one = TypeAdapter(_quantity(kind, positive=positive))
    position = TypeAdapter(_quantity(q.LENGTH))

    def parse(value: Any, info: ValidationInfo) -> float | Rows:
        if not isinstance(value, list):
            return _checked(one, value, info)
        if len(value) > MAX_ROWS:
            raise ValueError(f"a table may have at most {MAX_ROWS} rows, not {len(value)}")
        if len(value) < 2:
            raise ValueError(f"a table needs at least 2 rows [x, value], not {len(value)}")
        rows: Rows = []
        for number, row in enumerate(value):
            if not isinstance(row, list) or len(row) != 2:
                raise ValueError(f"row {number} must be [x, value], not {q.shown(row)}")
            x, y = (
                _checked(position, row[0], info, f"row {number}: "),
                _checked(one, row[1], info, f"row {number}: "),
            )
            if rows and x < rows[-1][0]:
                raise ValueError(f"row {number}: x = {x:g} nm comes after {rows[-1][0]:g} nm; positions must increase")
            rows.append((x, y))
        return rows

    return Annotated[float | Rows, BeforeValidator(parse)]


def _checked(adapter: TypeAdapter, value: Any, info: ValidationInfo, where: str = "") -> Any:
    """`value` through another validator, whose first complaint becomes this one's."""
    try:
        return adapter.validate_python(value, context=info.context)
    except ValidationError as error:
        raise ValueError(where + reason_of(error.errors()[0])) from None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _table(model: Any, value: dict, info: ValidationInfo) -> Any:
    """A table in place of a value; of its mistakes the first."""
    try:
        return model.model_validate(value, context=info.context)
    except ValidationError as error:
        first = error.errors()[0]
        raise BelowError(*first["loc"], reason=reason_of(first, known=list(model.model_fields))) from None


class HoleTable(_Section):
    """`radius = {hole = "file"}`: a radius profile read from HOLE's output."""

    hole: str
    frame: Annotated[int, Field(ge=1, strict=True)] = 1
    offset: _quantity(q.LENGTH) = 0.0


_RADII = TypeAdapter(_profile(q.LENGTH, positive=True))


def _radius(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict):
        return _checked(_RADII, value, info)
    table = _table(HoleTable, value, info)
    folder = (info.context or {}).get("folder")
    if folder is None:
        raise ValueError("a HOLE file can only be named in a file on disk or by --pore-profile")
    try:
        x, radius = read_hole(Path(folder, table.hole), frame=table.frame, offset=table.offset)
    except HoleError as error:
        raise ValueError(str(error)) from None
    return list(zip(x.tolist(), radius.tolist(), strict=True))


_SIZE = TypeAdapter(_quantity(q.LENGTH, positive=True))


def _sizes(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict):
        return _checked(_SIZE, value, info)
    sizes = {}
    for name, size in value.items():
        try:
            sizes[name] = _checked(_SIZE, size, info)
        except ValueError as error:
            raise BelowError(name, reason=str(error)) from None
    return sizes


Radius = Annotated[float | Rows, BeforeValidator(_radius)]
Sizes = Annotated[float | dict[str, float], BeforeValidator(_sizes)]
ByIon = dict[str, _profile(q.ENERGY)]
Scalars = dict[str, _quantity(q.ENERGY)]
Positive = _profile(q.NUMBER, positive=True)


class IonSection(_Section):
    """`[ions.NAME]`: what differs from the built-in ion, or all of an ion that is not built in."""

    valence: Annotated[int, Field(ge=-6, le=6, strict=True)] | None = None
    diffusivity: _quantity(q.DIFFUSIVITY, positive=True) | None = None
    radius: _quantity(q.LENGTH, positive=True) | None = None


class RingSection(_Section):
    """A ring of charged residues, Gaussian along x."""

    kind: Literal["ring"]
    amount: _quantity(q.CHARGE)
    position: _quantity(q.LENGTH)
    width: _quantity(q.LENGTH, positive=True)
    depth: _quantity(q.LENGTH, positive=True) | None = None


class SegmentSection(_Section):
    """Charge spread evenly over a stretch: a total `amount` or a `density`."""

    kind: Literal["segment"]
    amount: _quantity(q.CHARGE) | None = None
    density: _quantity(q.CHARGE_DENSITY) | None = None
    start: _quantity(q.LENGTH)
    end: _quantity(q.LENGTH)
    edge: _quantity(q.LENGTH, least=0.0) = 0.0
    depth: _quantity(q.LENGTH, positive=True) | None = None

    @model_validator(mode="after")
    def _consistent(self):
        if (self.amount is None) == (self.density is None):
            raise ValueError("give either amount (e) or density (M)")
        if self.end <= self.start:
            raise BelowError("end", reason=f"{self.end:g} nm must lie after start, {self.start:g} nm")
        return self


class WallSection(_Section):
    """Surface charge on the wall; the whole pore unless `start` and `end` say otherwise."""

    kind: Literal["wall"]
    surface_density: _profile(q.SURFACE_CHARGE)
    start: _quantity(q.LENGTH) | None = None
    end: _quantity(q.LENGTH) | None = None


ChargeSection = Annotated[RingSection | SegmentSection | WallSection, Field(discriminator="kind")]


class PoreSegment(_Section):
    """One piece of a pore built from pieces, in order from inside to outside."""

    length: _quantity(q.LENGTH, positive=True)
    radius: _quantity(q.LENGTH, positive=True)
    permittivity: _quantity(q.NUMBER, positive=True) = WATER_PERMITTIVITY
    diffusivity: dict[str, _quantity(q.DIFFUSIVITY, positive=True)] = {}
    pmf: Scalars = {}
    charge: _quantity(q.CHARGE) = 0.0


class PoreSection(_Section):
    """`[pore]`: x = 0 is the inside mouth."""

    length: _quantity(q.LENGTH, positive=True) | None = None
    radius: Radius | None = None
    permittivity: Positive = WATER_PERMITTIVITY
    diffusivity_factor: Positive = 1.0
    diffusivity: dict[str, _profile(q.DIFFUSIVITY, positive=True)] = {}
    pmf: ByIon = {}
    charge: Annotated[list[ChargeSection], Field(max_length=MAX_CHARGES)] = []
    segment: Annotated[list[PoreSegment], Field(max_length=MAX_CHARGES)] = []
    born: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _consistent(self):
        if self.segment:
            given = {"length", "radius", "permittivity", "diffusivity", "pmf"} & self.model_fields_set
            if given:
                raise ValueError(f"a pore made of segments cannot also have {', '.join(sorted(given))}")
            for name in dict.fromkeys(n for s in self.segment for n in s.diffusivity):
                lacking = [i for i, s in enumerate(self.segment) if name not in s.diffusivity]
                if lacking:
                    reason = "is missing: give it in all segments or in none"
                    raise BelowError("segment", lacking[0], "diffusivity", name, reason=reason)
        elif self.radius is None:
            raise BelowError("radius", reason='is missing: a number (nm), a table [[x, r], …], or {hole = "file"}')
        elif isinstance(self.radius, float) and self.length is None:
            raise BelowError("length", reason="is missing: a constant radius needs it (nm)")
        elif isinstance(self.radius, list) and self.length is not None:
            raise BelowError("length", reason="is already given by the radius table; leave it out")
        elif isinstance(self.radius, list) and self.radius[0][0] != 0.0:
            first = self.radius[0][0]
            raise BelowError("radius", reason=f"the table must start at x = 0, the inside mouth, not {first:g} nm")
        elif isinstance(self.radius, list) and self.radius[-1][0] <= 0.0:
            raise BelowError("radius", reason="the table must cover a positive length")
        return self

    @property
    def total_length(self) -> float:
        """nm."""
        if self.segment:
            return sum(s.length for s in self.segment)
        return self.radius[-1][0] if isinstance(self.radius, list) else self.length or 0.0


class ReservoirSection(_Section):
    """`[reservoir]`, both sides alike."""

    kind: Literal["hall", "cone", "none"] = "hall"
    length: _quantity(q.LENGTH, positive=True) | None = None
    radius: _quantity(q.LENGTH, positive=True) | None = None
    permittivity: _quantity(q.NUMBER, positive=True) = WATER_PERMITTIVITY

    @model_validator(mode="after")
    def _consistent(self):
        given = self.length is not None, self.radius is not None
        if self.kind == "cone" and not all(given):
            raise ValueError("a cone needs length and radius (nm, at its far end)")
        if self.kind != "cone" and any(given):
            raise ValueError(f'length and radius belong to kind = "cone", not to "{self.kind}"')
        return self


class Faces(_Section):
    """`surface_charge = {inside = …, outside = …}` of a membrane."""

    inside: _quantity(q.SURFACE_CHARGE) = 0.0
    outside: _quantity(q.SURFACE_CHARGE) = 0.0


_SURFACE_CHARGE = TypeAdapter(_quantity(q.SURFACE_CHARGE))


def _faces(value: Any, info: ValidationInfo) -> Any:
    return _table(Faces, value, info) if isinstance(value, dict) else _checked(_SURFACE_CHARGE, value, info)


class MembraneSection(_Section):
    """`[membrane]`, which the pore passes through: for two-dimensional problems."""

    permittivity: _quantity(q.NUMBER, positive=True) = Membrane().permittivity
    surface_charge: Annotated[float | Faces, BeforeValidator(_faces)] = 0.0


_MODELS = {"ideal": (), "steric": ("size", "solvent"), "davies": ("slope", "coefficient")}


class ActivitySection(_Section):
    """`[activity]`: how ions depart from ideality."""

    model: Literal["ideal", "steric", "davies"]
    size: Sizes | None = None
    solvent: _quantity(q.LENGTH, positive=True) | None = None
    slope: _quantity(q.NUMBER, least=0.0) | None = None
    coefficient: _quantity(q.NUMBER) | None = None

    @model_validator(mode="after")
    def _consistent(self):
        for model, keys in _MODELS.items():
            for key in keys:
                if model != self.model and getattr(self, key) is not None:
                    raise BelowError(key, reason=f'belongs to model = "{model}", not to "{self.model}"')
        if self.model == "steric" and self.size is None:
            raise BelowError("size", reason="is missing: the edge of the cube that an ion fills (nm), one or by ion")
        return self


Bath = dict[str, _quantity(q.CONCENTRATION, least=0.0)]


class ChannelFile(_Section):
    """A whole channel file. What each key means stands in the template `pnp init` writes."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = "channel"
    description: Annotated[str, Field(max_length=10_000)] = ""
    validity: Annotated[str, Field(max_length=10_000)] = ""
    temperature: _quantity(q.TEMPERATURE, positive=True) = units.ROOM_TEMPERATURE
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
