"""What keeps a channel from being solved as it is described."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from pnp.channel.charge import WallCharge
from pnp.channel.diffusivity_law import Walden
from pnp.channel.limits import LARGEST, MAX_POSITION_ENERGY, TEMPERATURES
from pnp.channel.profiles import FUNCTION_SAMPLES, Circle, Profile
from pnp.channel.wall import wall_of
from pnp.theory.checks import NEUTRALITY
from pnp.theory.water import WATER_TEMPERATURES
from pnp.tracing import is_traced

if TYPE_CHECKING:
    from pnp.channel.channel import Channel
    from pnp.channel.pore import Pore

_JUMP = 0.5  # change of the radius, relative, from one sample of a function to the next that is not one of a slope


def problems(channel: "Channel") -> list[str]:
    """Everything that keeps a channel with known numbers from being solved, each as `path: reason`."""
    found = []
    known = ", ".join(channel.ion_names)
    by_ion: dict[str, Mapping[str, Any]] = {
        "inside": channel.inside,
        "outside": channel.outside,
        "pore.diffusivity": channel.pore.diffusivity,
        "pore.pmf": channel.pore.pmf,
    }
    for where, keys in by_ion.items():
        found += [f"{where}.{k}: no such ion (the ions are {known})" for k in keys if k not in channel.ions]
    for name, bath in (("inside", channel.inside), ("outside", channel.outside)):
        known_part = {k: float(v) for k, v in bath.items() if k in channel.ions}
        problem = bath_problem(known_part, {k: channel.ions[k].valence for k in known_part})
        found += [f"{name}: {problem}"] if problem else []
    temperature = float(channel.temperature)  # comparing JAX's numbers compiles a program for each comparison
    lowest, highest = TEMPERATURES
    if not lowest <= temperature <= highest:
        found.append(f"temperature: {temperature:g} K is outside {lowest:g} to {highest:g} K")
    else:
        found += _water_problems(channel, temperature)
    found += _ion_problems(channel) + _activity_problems(channel) + _membrane_problems(channel)
    found += _charge_problems(channel)
    start, end = float(channel.pore.start), float(channel.pore.end)
    if not (end > start and end - start <= LARGEST["length"]):
        most = f"and at most {LARGEST['length']:g} nm"
        return [*found, f"pore: must have a positive length {most}, not {end - start:g} nm"]
    return found + _profile_problems(channel)


def _profile_problems(channel: "Channel") -> list[str]:
    pore, found = channel.pore, []
    positive, finite, bounded = "must be positive", "must be finite", f"must stay within ±{MAX_POSITION_ENERGY:g} kT"
    sound_if: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        positive: lambda values: np.isfinite(values) & (values > 0),
        finite: np.isfinite,
        bounded: lambda values: np.abs(values) <= MAX_POSITION_ENERGY,
    }
    area, length = pore.area, LARGEST["length"]
    densities = [(i, charge.density, isinstance(charge, WallCharge)) for i, charge in _with_density(pore)]
    rules: list[tuple[str, Profile, str, float]] = [
        ("radius", area.radius, finite, length) if isinstance(area, Circle) else ("area", area, finite, length**2),
        *([("permittivity", pore.permittivity, positive, LARGEST["permittivity"])] if pore.permittivity else []),
        ("diffusivity_factor", pore.diffusivity_factor, positive, LARGEST["factor"]),
        *((f"diffusivity.{name}", own, positive, LARGEST["diffusivity"]) for name, own in pore.diffusivity.items()),
        *((f"pmf.{name}", own, bounded, np.inf) for name, own in pore.pmf.items()),
        *(
            (f"charge.{i}.density", density, finite, LARGEST["surface charge" if on_wall else "charge density"])
            for i, density, on_wall in densities
        ),
    ]
    for name, profile, rule, largest in rules:
        x, values = profile.extremes(float(pore.start), float(pore.end))
        sound, small = sound_if[rule](values), np.abs(values) <= largest
        hint = " (to keep an ion out, give it a pmf of some 40 kT)" if name.startswith("diffusivity") else ""
        if not sound.all():
            at = int(np.argmin(sound))
            found.append(f"pore.{name}: {rule}{hint}, but is {values[at]:g} at x = {x[at]:.4g} nm")
        elif not small.all():
            at = int(np.argmin(small))
            found.append(f"pore.{name}: must be {largest:g} at most, but is {values[at]:g} at x = {x[at]:.4g} nm")
    return found


def _with_density(pore: "Pore") -> list[tuple[int, Any]]:
    """Charges that have a density, with their indices."""
    return [(i, charge) for i, charge in enumerate(pore.charge) if hasattr(charge, "density")]


def _water_problems(channel: "Channel", temperature: float) -> list[str]:
    lowest, highest = WATER_TEMPERATURES
    follow = [f"ions.{k}.diffusivity" for k in channel.ion_names if isinstance(channel.ions[k].law, Walden)]
    follow += ["pore.permittivity"] if channel.pore.permittivity is None else []
    follow += ["reservoir.permittivity"] if channel.given_bath_permittivity is None else []
    if lowest <= temperature <= highest or not follow:
        return []
    return [
        f"temperature: water's properties are known from {lowest:g} to {highest:g} K, not at {temperature:g} K: "
        f"give {', '.join(follow)}"
    ]


def _ion_problems(channel: "Channel") -> list[str]:
    found = []
    for name in channel.ion_names:
        ion = channel.ions[name]
        if not 0 < float(ion.diffusivity) <= LARGEST["diffusivity"]:
            most = f"must be positive and at most {LARGEST['diffusivity']:g} nm²/ns"
            found.append(f"ions.{name}.diffusivity: {most}, not {float(ion.diffusivity):g}")
        if channel.pore.born and ion.valence and (ion.radius is None or not float(ion.radius) > 0):
            given = "is not known" if ion.radius is None else f"must be positive, not {ion.radius}"
            found.append(f"ions.{name}.radius: {given}, and the Born energy needs it (nm)")
    return found


def _activity_problems(channel: "Channel") -> list[str]:
    valence = {k: channel.ions[k].valence for k in channel.ion_names}
    baths = {"inside": channel.inside, "outside": channel.outside}
    known = {side: {k: float(c) for k, c in bath.items()} for side, bath in baths.items()}
    return channel.activity_model.problems(valence, known, channel.bath_permittivity, channel.temperature)


def _membrane_problems(channel: "Channel") -> list[str]:
    permittivity, charges = channel.membrane.permittivity, channel.membrane.surface_charge
    found = []
    if not (np.isfinite(permittivity) and permittivity > 0):
        found.append(f"membrane.permittivity: must be positive, not {float(permittivity):g}")
    if not isinstance(charges, tuple) or len(charges) != 2:
        return [*found, "membrane.surface_charge: must be two numbers (C/m²), of the inside and of the outside face"]
    for side, charge in zip(("inside", "outside"), charges, strict=True):
        if not abs(float(charge)) <= LARGEST["surface charge"]:
            within = f"must be finite and within ±{LARGEST['surface charge']:g} C/m²"
            found.append(f"membrane.surface_charge.{side}: {within}, not {float(charge):g} C/m²")
    for side, reach in zip(("inside", "outside"), channel.membrane.charged_within, strict=True):
        if reach is not None and not 0 < float(reach) <= LARGEST["length"]:
            found.append(f"membrane.charged_within.{side}: must be a positive length, not {float(reach):g} nm")
    return found


def _charge_problems(channel: "Channel") -> list[str]:
    found = []
    for i, charge in enumerate(channel.pore.charge):
        number = lambda name, charge=charge: float(getattr(charge, name))
        if hasattr(charge, "width") and not number("width") > 0:
            found.append(f"pore.charge.{i}.width: must be positive, not {number('width'):g} nm")
        if hasattr(charge, "edge") and not number("edge") >= 0:
            found.append(f"pore.charge.{i}.edge: must be 0 or more, not {number('edge'):g} nm")
        for name, unit, largest in (("amount", "e", LARGEST["charge"]), ("position", "nm", LARGEST["length"])):
            if hasattr(charge, name) and not abs(number(name)) <= largest:
                within = f"must be finite and within ±{largest:g} {unit}"
                found.append(f"pore.charge.{i}.{name}: {within}, not {number(name):g} {unit}")
        if hasattr(charge, "start") and not number("end") > number("start"):
            ends = f"{number('end'):g} nm, {number('start'):g} nm"
            found.append(f"pore.charge.{i}.end: must lie after start; they are {ends}")
    return found


def bath_problem(bath: Mapping[str, float], valence: Mapping[str, int]) -> str | None:
    """What is wrong with a bath (mM by ion), or None: it must hold ions and be neutral."""
    bad = [k for k, c in bath.items() if not 0 <= c <= LARGEST["concentration"]]
    if bad:
        return (
            f"the concentration of {bad[0]} cannot be {bath[bad[0]]:g} mM; it is between 0 and "
            f"{LARGEST['concentration']:g} mM"
        )
    charge = {k: valence[k] * float(c) for k, c in bath.items()}
    net, total = sum(charge.values()), sum(map(abs, charge.values()))
    if total == 0:
        return "the bath holds no ions; give at least one salt, such as K = 150 and Cl = 150 (mM)"
    if abs(net) <= NEUTRALITY * total:
        return None
    listed = ", ".join(f"{k} {c:+g}" for k, c in charge.items() if c)
    return (
        f"the bath is not electroneutral, its net charge is {net:+g} mM ({listed}); "
        f"add {abs(net):g} mM of charge of {'an anion' if net > 0 else 'a cation'}"
    )


# --- two dimensions -----------------------------------------------------------------------------


def axisymmetric_problems(channel: "Channel") -> list[str]:
    """What keeps a channel that is sound in one dimension from being solved in two; [] if its numbers are traced."""
    if is_traced(channel):
        return []
    with jax.ensure_compile_time_eval():
        if channel.pore.area.smallest(channel.pore.start, channel.pore.end)[1] <= 0:
            return []  # closed, and not solved
        x, radius = map(np.asarray, _wall_points(channel))
        given = channel.pore.area.table() is not None
        return _wall_problems(x, radius, given) + _mouth_problems(channel, radius) + _depth_problems(channel)


@eqx.filter_jit
def _wall_points(channel: "Channel") -> tuple[Array, Array]:
    """Sorted x and radius of the wall, nm: where a mesh looks at a function, and at all corners."""
    pore = channel.pore
    even = pore.start + (pore.end - pore.start) * jnp.arange(FUNCTION_SAMPLES + 1) / FUNCTION_SAMPLES
    x = jnp.sort(jnp.concatenate([even, wall_of(pore).z]))
    return x, pore.wall_radius(x)


def wall_stretches(channel: "Channel") -> int:
    """How many stretches there are between jumps and kinks of a channel with known numbers, from mouth to mouth."""
    with jax.ensure_compile_time_eval():
        return int(_stretches(channel))


@eqx.filter_jit
def _stretches(channel: "Channel") -> Int[Array, ""]:
    return (jnp.diff(wall_of(channel.pore).s) > 0).sum()


def _wall_problems(x: np.ndarray, radius: np.ndarray, given: bool) -> list[str]:
    """given: whether the radius is a table, whose jumps are known."""
    sound = np.isfinite(radius)
    if not sound.all():
        return [f"pore.radius: the wall's must be finite, but is not at x = {x[np.argmin(sound)]:.4g} nm"]
    rise = np.abs(np.diff(radius)) / np.minimum(radius[1:], radius[:-1])
    at = int(rise.argmax())
    if given or rise[at] < _JUMP:
        return []
    return [
        f"pore.radius: the wall jumps at x = {x[at : at + 2].mean():.4g} nm from {radius[at]:.4g} to "
        f"{radius[at + 1]:.4g} nm; in two dimensions a mesh finds a jump in a table only, where its x is repeated"
    ]


def _mouth_problems(channel: "Channel", radius: np.ndarray) -> list[str]:
    found = []
    mouths = (channel.pore.start, radius[0]), (channel.pore.end, radius[-1])
    for side, (at, mouth), reservoir in zip(("inside", "outside"), mouths, channel.reservoirs, strict=True):
        rim = reservoir.radius
        if reservoir.kind == "cone" and rim is not None and mouth > rim:
            found.append(
                f"reservoir.radius: the {side} mouth, at x = {float(at):.4g} nm, has a radius of {mouth:.4g} nm, more "
                f"than the {float(rim):.4g} nm of the reservoir in front of it"
            )
    return found


def _depth_problems(channel: "Channel") -> list[str]:
    depths = [(i, float(c.depth)) for i, c in enumerate(channel.pore.charge) if c.depth is not None]
    return [
        f"pore.charge.{i}.depth: must be positive, not {depth:g} nm" for i, depth in depths if not 0 < depth < np.inf
    ]
