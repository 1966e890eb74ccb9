# mypy: disable-error-code="valid-type, misc"
"""The values of a channel file as types of pydantic: quantities with units, profiles, and what has two spellings."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo

from pnp import quantity as q
from pnp import units
from pnp.io.channel_file.messages import BelowError, reason_of
from pnp.io.hole import HoleError, read_hole
from pnp.io.limits import MAX_ROWS


def quantity(kind: q.Kind, *, positive: bool = False, least: float | None = None):
    """A number, or a string with its unit."""

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


def profile(kind: q.Kind, *, positive: bool = False, may_close: bool = False):
    """A scalar, or a table [[x, value], …] in which a repeated x is a jump; with `may_close` the pore is closed where a
    value of a table is not positive."""
    one = TypeAdapter(quantity(kind, positive=positive))
    in_table = TypeAdapter(quantity(kind, positive=positive and not may_close))
    position = TypeAdapter(quantity(q.LENGTH))

    def parse(value: Any, info: ValidationInfo) -> float | Rows:
        if not isinstance(value, list):
            return checked(one, value, info)
        if len(value) > MAX_ROWS:
            raise ValueError(f"a table may have at most {MAX_ROWS} rows, not {len(value)}")
        if len(value) < 2:
            raise ValueError(f"a table needs at least 2 rows [x, value], not {len(value)}")
        rows: Rows = []
        for number, row in enumerate(value):
            if not isinstance(row, list) or len(row) != 2:
                raise ValueError(f"row {number} must be [x, value], not {q.shown(row)}")
            x, y = (
                checked(position, row[0], info, f"row {number}: "),
                checked(in_table, row[1], info, f"row {number}: "),
            )
            if rows and x < rows[-1][0]:
                raise ValueError(f"row {number}: x = {x:g} nm comes after {rows[-1][0]:g} nm; positions must increase")
            rows.append((x, y))
        return rows

    return Annotated[float | Rows, BeforeValidator(parse)]


def checked(adapter: TypeAdapter, value: Any, info: ValidationInfo, where: str = "") -> Any:
    """`value` through another validator, whose first complaint becomes this one's."""
    try:
        return adapter.validate_python(value, context=info.context)
    except ValidationError as error:
        raise ValueError(where + reason_of(error.errors()[0])) from None


class Section(BaseModel):
    """A table of a channel file, in which other keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def subtable(model: Any, value: dict, info: ValidationInfo) -> Any:
    """A table in place of a value; of its mistakes the first."""
    try:
        return model.model_validate(value, context=info.context)
    except ValidationError as error:
        first = error.errors()[0]
        raise BelowError(*first["loc"], reason=reason_of(first, known=list(model.model_fields))) from None


class HoleTable(Section):
    """`radius = {hole = "file"}`: a radius profile read from HOLE's output."""

    hole: str
    frame: Annotated[int, Field(ge=1, strict=True)] = 1
    offset: quantity(q.LENGTH) = 0.0


_RADII = TypeAdapter(profile(q.LENGTH, positive=True, may_close=True))


def _radius(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict):
        return checked(_RADII, value, info)
    given = subtable(HoleTable, value, info)
    folder = (info.context or {}).get("folder")
    if folder is None:
        raise ValueError("a HOLE file can only be named in a file on disk or by --pore-profile")
    try:
        x, radius = read_hole(Path(folder, given.hole), frame=given.frame, offset=given.offset)
    except HoleError as error:
        raise ValueError(str(error)) from None
    return list(zip(x.tolist(), radius.tolist(), strict=True))


_SIZE = TypeAdapter(quantity(q.LENGTH, positive=True))


def _sizes(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict):
        return checked(_SIZE, value, info)
    sizes = {}
    for name, size in value.items():
        try:
            sizes[name] = checked(_SIZE, size, info)
        except ValueError as error:
            raise BelowError(name, reason=str(error)) from None
    return sizes


class Faces(Section):
    """`surface_charge = {inside = …, outside = …}` of a membrane."""

    inside: quantity(q.SURFACE_CHARGE) = 0.0
    outside: quantity(q.SURFACE_CHARGE) = 0.0


class Reaches(Section):
    """`charged_within = {inside = …, outside = …}` of a membrane."""

    inside: quantity(q.LENGTH, positive=True) | None = None
    outside: quantity(q.LENGTH, positive=True) | None = None


_SURFACE_CHARGE = TypeAdapter(quantity(q.SURFACE_CHARGE))
_REACH = TypeAdapter(quantity(q.LENGTH, positive=True))


def _faces(value: Any, info: ValidationInfo) -> Any:
    return subtable(Faces, value, info) if isinstance(value, dict) else checked(_SURFACE_CHARGE, value, info)


def _reaches(value: Any, info: ValidationInfo) -> Any:
    return subtable(Reaches, value, info) if isinstance(value, dict) else checked(_REACH, value, info)


Radius = Annotated[float | Rows, BeforeValidator(_radius)]
Sizes = Annotated[float | dict[str, float], BeforeValidator(_sizes)]
Reach = Annotated[float | Reaches, BeforeValidator(_reaches)]
SurfaceCharge = Annotated[float | Faces, BeforeValidator(_faces)]
