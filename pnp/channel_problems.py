"""What keeps a channel from being solved as it is described."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

if TYPE_CHECKING:
    from pnp.channel import Channel

NEUTRALITY = 1e-6
"""A bath counts as neutral while |Σ z c| stays below this fraction of Σ |z| c."""

HIGHEST_ENERGY = 300.0
"""kT: largest potential of mean force, and what a Born energy is cut to. An ion that is kept out by 40 kT carries
nothing already; at 700 its concentration is zero in floating point, and its chemical potential nothing at all."""


def problems(channel: "Channel") -> list[str]:
    """Everything that keeps a channel with known numbers from being solved."""
    found = []
    known = ", ".join(channel.ion_names)
    places: dict[str, Mapping[str, Any]] = {
        "inside": channel.inside,
        "outside": channel.outside,
        "pore.diffusivity": channel.pore.diffusivity,
        "pore.pmf": channel.pore.pmf,
    }
    for where, keys in places.items():
        found += [f"{where}.{k}: no such ion (the ions are {known})" for k in keys if k not in channel.ions]
    for name, bath in (("inside", channel.inside), ("outside", channel.outside)):
        known_part = {k: float(v) for k, v in bath.items() if k in channel.ions}
        problem = bath_problem(known_part, {k: channel.ions[k].valence for k in known_part})
        found += [f"{name}: {problem}"] if problem else []
    if not 200 <= channel.temperature <= 500:
        found.append(f"temperature: {float(channel.temperature):g} K is outside 200 to 500 K")
    found += _ion_problems(channel) + _excess_problems(channel)
    start, end = float(channel.pore.start), float(channel.pore.end)
    if not (np.isfinite([start, end]).all() and end > start):
        return [*found, f"pore: must have a positive length, not {end - start:g} nm"]
    x, sampled = _sampled(channel)
    for name, sample in sampled.items():
        values = np.asarray(sample)
        kind = name.partition(".")[0]
        if kind == "pmf":
            sound, rule = np.abs(values) <= HIGHEST_ENERGY, f"must stay within ±{HIGHEST_ENERGY:g} kT"
        elif kind == "charge":
            sound, rule = np.isfinite(values), "must be finite"
        else:
            sound, rule = np.isfinite(values) & (values > 0), "must be positive"
        if kind == "diffusivity":
            rule += " (to keep an ion out, give it a pmf of some 40 kT)"
        if not sound.all():
            at = int(np.argmin(sound))
            found.append(f"pore.{name}: {rule}, but is {values[at]:g} at x = {x[at]:.4g} nm")
    return found


def _ion_problems(channel: "Channel") -> list[str]:
    found = []
    for name in channel.ion_names:
        ion = channel.ions[name]
        if not ion.diffusivity > 0:
            found.append(f"ions.{name}.diffusivity: must be positive, not {ion.diffusivity}")
        if channel.pore.born and ion.valence and (ion.radius is None or not ion.radius > 0):
            given = "is not known" if ion.radius is None else f"must be positive, not {ion.radius}"
            found.append(f"ions.{name}.radius: {given}, and the Born energy needs it (nm)")
    return found


def _excess_problems(channel: "Channel") -> list[str]:
    valence = {k: channel.ions[k].valence for k in channel.ion_names}
    baths = {"inside": channel.inside, "outside": channel.outside}
    known = {side: {k: float(c) for k, c in bath.items()} for side, bath in baths.items()}
    return channel.excess.problems(valence, known, channel.bath_permittivity, channel.temperature)


@eqx.filter_jit
def _sampled(channel: "Channel") -> tuple[Array, dict[str, Array]]:
    """The pore's properties at many points, to be looked over."""
    span = channel.pore.end - channel.pore.start
    x = channel.pore.start + span * (jnp.arange(2000) + 0.5) / 2000
    by_ion = {"diffusivity": channel.diffusivity(x), "pmf": channel.pmf(x)}
    return x, {
        "area": channel.pore.area(x),
        "permittivity": channel.permittivity(x),
        "charge": channel.line_charge(x),
        **{f"{k}.{n}": v[:, i] for k, v in by_ion.items() for i, n in enumerate(channel.ion_names)},
    }


def bath_problem(bath: Mapping[str, float], valence: Mapping[str, int]) -> str | None:
    """What is wrong with a bath (mM by ion), or None: it must hold ions and be neutral."""
    bad = [k for k, c in bath.items() if not (np.isfinite(c) and c >= 0)]
    if bad:
        return f"the concentration of {bad[0]} cannot be {bath[bad[0]]:g} mM"
    charge = {k: valence[k] * float(c) for k, c in bath.items()}
    excess, total = sum(charge.values()), sum(map(abs, charge.values()))
    if total == 0:
        return "the bath holds no ions; give at least one salt, such as K = 150 and Cl = 150 (mM)"
    if abs(excess) <= NEUTRALITY * total:
        return None
    listed = ", ".join(f"{k} {c:+g}" for k, c in charge.items() if c)
    return (
        f"the bath is not electroneutral, its excess charge is {excess:+g} mM ({listed}); "
        f"add {abs(excess):g} mM of charge of {'an anion' if excess > 0 else 'a cation'}"
    )
