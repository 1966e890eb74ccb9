"""Channels that the cases share, built alike so that one compiled program serves many of them.

A program is compiled for each set of ions (names and valences), number of profile points, number of voltages and
of elements; other numbers are free.
"""

import numpy as np

import pnp

POINTS = 6
"""Of every profile: three stretches between four breakpoints, of which the inner two are jumps."""
VOLTAGES = np.linspace(-100.0, 100.0, 11)
"""mV."""
NODES = 400
IDEAL = pnp.channel.activity.Ideal()
SALT = {"K": pnp.Ion(1, 1.957), "Cl": pnp.Ion(-1, 2.032)}
FOUR_IONS = {"K": pnp.Ion(1, 1.957), "Na": pnp.Ion(1, 1.334), "Ca": pnp.Ion(2, 0.792), "Cl": pnp.Ion(-1, 2.032)}


def layers(
    lengths,
    inside,
    outside,
    *,
    ions=None,
    area=1.0,
    fixed_charge=0.0,
    permittivity=78.4,
    diffusivity_factor=1.0,
    barrier=None,
    temperature=298.15,
    born=False,
    activity_model=IDEAL,
):
    """Three layers in series, of `lengths` in nm, from bath to bath.

    ions: {name: Ion}, K+ and Cl- unless given. inside, outside: mM, a number for all ions (one salt) or a dict.
    Properties: one number, three (one per layer) or six (at both ends of each layer). barrier: {ion: kT}.
    born, activity_model: as for `from_profiles`.
    """
    ions = ions or SALT
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    profile = lambda value: np.repeat(value, 2) if np.size(value) == POINTS // 2 else value * np.ones(POINTS)
    bath = lambda value: value if isinstance(value, dict) else dict.fromkeys(ions, value)
    factor = profile(np.asarray(diffusivity_factor, float))
    return pnp.Channel.from_profiles(
        np.repeat(edges, 2)[1:-1],
        area=profile(area),
        fixed_charge=profile(fixed_charge),
        permittivity=profile(permittivity),
        ions=ions,
        diffusivity={name: ion.diffusivity * factor for name, ion in ions.items()},
        pmf={name: profile((barrier or {}).get(name, 0.0)) for name in ions},
        inside=bath(inside),
        outside=bath(outside),
        temperature=temperature,
        born=born,
        activity_model=activity_model,
    )


def four_ions(lengths, inside, outside, **properties):
    """`layers` for K+, Na+, Ca2+ and Cl-; the baths as [K, Na, Ca] in mM, with Cl- to balance them."""
    bath = lambda k, na, ca: {"K": k, "Na": na, "Ca": ca, "Cl": k + na + 2 * ca}
    return layers(lengths, bath(*inside), bath(*outside), ions=FOUR_IONS, **properties)


def bath_arrays(channel):
    """(inside, outside, valence, diffusivity), each [ion], as `pnp.theory` takes them."""
    inside, outside = np.asarray(channel.bath_concentration)
    diffusivity = np.array([float(channel.ions[name].diffusivity) for name in channel.ion_names])
    return inside, outside, channel.valence, diffusivity


def fine_reversal(channel, guess):
    """Reversal potential (mV) of the current: where a cubic through 11 points about a guess is zero."""
    for width in (2.0, 0.1):
        curve = pnp.iv_curve(
            channel, guess + np.linspace(-width, width, VOLTAGES.size), discretization=pnp.Axial(NODES)
        )
        current = np.asarray(curve.current)
        guess += np.polyval(np.polyfit(current, np.asarray(curve.voltage) - guess, 3), 0.0)
    return guess
