"""A channel described in numbers, with warnings where the equations may not hold: what `pnp check` prints."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pnp import units
from pnp.channel.activity import Steric
from pnp.channel.channel import Channel
from pnp.channel.closed import closed_at
from pnp.channel.flow import flow_warning
from pnp.channel.integral import integral
from pnp.channel.limits import MAX_POSITION_ENERGY
from pnp.channel.wall import wall_of

SINGLE_FILE = 0.35
"""Radius in nm below which ions cannot pass each other (about two hydrated-ion radii)."""


class Summary(NamedTuple):
    """Lines for people: (what, value) pairs, and warnings."""

    lines: list[tuple[str, str]]
    warnings: list[str]


def summarize(channel: Channel) -> Summary:
    """A channel with known numbers in the units of `pnp.units`, and warnings on its validity."""
    start, end = float(channel.pore.start), float(channel.pore.end)
    closed = float(_closed_at(channel))
    if not np.isnan(closed):
        where = f"the pore is closed at x = {closed:.4g} nm, where its radius is not positive: no current flows"
        return Summary([("channel", channel.name), ("pore length", f"{end - start:.4g} nm")], [where])
    given_at, area = channel.pore.area.extremes(start, end)
    radius = np.sqrt(area / np.pi)
    density, total, on_steps, debye, (first, last), born_energy = jax.tree.map(np.asarray, _computed(channel))
    _, permittivity = channel.pore_permittivity.extremes(start, end)
    of_steps = f"; and {on_steps:+.4g} e on the faces of its steps (2D only)" if on_steps else ""
    lines = [
        ("channel", channel.name),
        (
            "temperature",
            f"{float(channel.temperature):g} K (kT/e = {units.thermal_voltage(float(channel.temperature)):.4g} mV)",
        ),
        ("ions", ", ".join(_ion(channel, name) for name in channel.ion_names)),
        ("inside", _bath(channel, 0)),
        ("outside", _bath(channel, 1)),
        ("Debye length", f"{debye[0]:.3g} nm inside, {debye[1]:.3g} nm outside"),
        ("pore length", f"{end - start:.4g} nm"),
        ("pore radius", f"{_range(radius)} nm{_where_narrowest(given_at, radius)}"),
        ("radius / Debye length", f"{radius.min() / debye.max():.2g} to {radius.max() / debye.min():.2g}"),
        ("length / Debye length", f"{(end - start) / debye.max():.3g}"),
        (
            "permittivity",
            f"{_range(permittivity)}{_of_water(channel.pore.permittivity)} in the pore, "
            f"{float(channel.bath_permittivity):.4g}{_of_water(channel.given_bath_permittivity)} in the baths",
        ),
        ("fixed charge", f"{total:+.4g} e in all, {_tidy(density.min())} to {_tidy(density.max())} M{of_steps}"),
        *_born(channel, born_energy.T),
        ("activity model", channel.activity_model.describe(channel.bath_permittivity, channel.temperature)),
        ("reservoirs", ", ".join(map(_reservoir, channel.reservoirs))),
        ("membrane", _membrane(channel.membrane)),
        ("domain", f"x = {first:.4g} to {last:.4g} nm"),
    ]
    return Summary(lines, _warnings(channel, radius, density, debye))


_closed_at = eqx.filter_jit(closed_at)


@eqx.filter_jit
def _computed(channel: Channel):
    """Fixed charge at many points (M), in all and on the faces of steps (e), Debye lengths and ends of the domain (nm),
    Born energies (kT).

    In one program: by itself each of its fifty operations would be compiled.
    """
    x = channel.pore.start + (channel.pore.end - channel.pore.start) * (jnp.arange(4000) + 0.5) / 4000
    density = channel.line_charge(x) / channel.area(x) * units.MILLIMOLAR_PER_CHARGE_DENSITY / 1e3
    total = integral(channel, channel.line_charge)
    on_steps = wall_of(channel.pore).step_charge()
    return density, total, on_steps, channel.debye_length, channel.domain, channel.born_energy(x)


def _born(channel, energy: np.ndarray) -> list[tuple[str, str]]:
    """Range of the Born energy of each ion, where there is one."""
    if not channel.pore.born:
        return []
    listed = (f"{name} {_range(row)}" for name, row in zip(channel.ion_names, energy, strict=True))
    cut = f", cut to ±{MAX_POSITION_ENERGY:g}" if np.abs(energy).max() >= MAX_POSITION_ENERGY else ""
    return [("Born energy", f"{', '.join(listed)} kT{cut}")]


def _membrane(membrane) -> str:
    inside, outside = (
        (f"{sigma:+.4g} mC/m²{_within(reach)}" if sigma else "uncharged")
        for sigma, reach in zip(1e3 * np.asarray(membrane.surface_charge), membrane.charged_within, strict=True)
    )
    if inside == outside:
        charge = inside if inside == "uncharged" else f"{inside} on both faces"
    else:
        charge = f"inside {inside}, outside {outside}"
    return f"permittivity {float(membrane.permittivity):g}, {charge} (2D only)"


def _within(reach) -> str:
    return "" if reach is None else f" within {float(reach):g} nm of the mouth"


def _reservoir(reservoir) -> str:
    return f"cone (in 2D with the {reservoir.side} around it)" if reservoir.kind == "cone" else reservoir.kind


def _warnings(channel, radius, density, debye) -> list[str]:
    found = []
    if radius.min() < SINGLE_FILE:
        found.append(
            f"the narrowest radius is {radius.min():.3g} nm: ions pass in single file there, which PNP's point "
            "ions do not know; take currents as a guide, not as a prediction"
        )
    if any(c.place == "wall" for c in channel.pore.charge) and radius.min() > 2 * debye.min():
        found.append(
            f"the wall charge is spread over a cross-section wider than {2 * debye.min():.2g} nm (2 Debye lengths): "
            "one-dimensional equations overstate its effect"
        )
    if np.abs(density).max() > 10 and not isinstance(channel.activity_model, Steric):
        found.append(
            f"the fixed charge reaches {np.abs(density).max():.3g} M: point ions pack tighter there than real ones"
        )
    if any(k.kind == "none" for k in channel.reservoirs):
        found.append("without reservoirs the baths are ideal right at the mouths: no access resistance is included")
    flow = flow_warning(channel)
    return [*found, flow] if flow else found


def _ion(channel, name):
    ion = channel.ions[name]
    diffusivity = float(ion.diffusivity_at(channel.temperature))
    return f"{name} ({ion.valence:+d}, D = {diffusivity:.4g} nm²/ns {ion.law.describe()})"


def _of_water(given) -> str:
    return " (water)" if given is None else ""


def _bath(channel, side):
    c = np.array([float((channel.inside, channel.outside)[side][name]) for name in channel.ion_names])
    net = float(c @ channel.valence)
    listed = ", ".join(f"{n} {v:g}" for n, v in zip(channel.ion_names, c, strict=True))
    return f"{listed} mM (net charge {net:+.2g} mM)"


def _where_narrowest(x, radius):
    constant = np.isclose(radius.min(), radius.max())
    return "" if constant else f" (narrowest at x = {float(x[radius.argmin()]):.3g} nm)"


def _tidy(value):
    return f"{0.0 if abs(value) < 1e-9 else value:.3g}"


def _range(values):
    low, high = values.min(), values.max()
    return f"{low:.4g}" if np.isclose(low, high) else f"{low:.4g} to {high:.4g}"
