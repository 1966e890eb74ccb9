"""Energetics of pumps, exchangers and cotransporters: what one cycle moves, costs and can reach.

A `Transporter` lists what a cycle moves, and the `cycle_…` functions say the rest; their concentrations have an
axis of ions in the order of `Transporter.ions`. They are thermodynamics, so bounds that no mechanism can beat: they
hold for tight coupling, and say nothing of rates. A slipping carrier stops short of them.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.driving import KILOJOULES_PER_MILLIVOLT, transport_work
from pnp.theory.ghk import ghk_voltage

ATP_FREE_ENERGY = -50.0
"""Free energy of hydrolysis of ATP in a cell, kJ/mol: typical; −45 to −65 is found, with the supply of energy."""


class Transporter(NamedTuple):
    """What one cycle moves: solutes, how many of each go outward (negative: inward), their valences, ATP hydrolysed.

    A new stoichiometry is a new Transporter, or `NCX._replace(outward=(-4, 1))`. Neutral solutes have valence 0.
    """

    ions: tuple[str, ...]
    outward: tuple[int, ...]
    valence: tuple[int, ...]
    atp: int = 0

    @property
    def charge(self) -> int:
        """Net charge moved outward per cycle, e."""
        return sum(n * z for n, z in zip(self.outward, self.valence, strict=True))

    @property
    def electrogenic(self) -> bool:
        """Whether a cycle carries current, and so depends on the voltage."""
        return self.charge != 0


SODIUM_POTASSIUM_PUMP = Transporter(("Na", "K"), (3, -2), (1, 1), atp=1)
"""Na+/K+-ATPase: 3 Na+ out and 2 K+ in per ATP (Post & Jolly, 1957, Biochim. Biophys. Acta 25:118)."""
NCX = Transporter(("Na", "Ca"), (-3, 1), (1, 2))
"""Na+/Ca2+ exchanger, 3:1, Ca2+ out (Reeves & Hale, 1984, J. Biol. Chem. 259:7733)."""
NCX_4_1 = NCX._replace(outward=(-4, 1))
"""Na+/Ca2+ exchanger with 4 Na+ to 1 Ca2+."""
NCKX = Transporter(("Na", "Ca", "K"), (-4, 1, 1), (1, 2, 1))
"""Na+/Ca2+–K+ exchanger of rods: 4 Na+ in, 1 Ca2+ and 1 K+ out (Cervetto et al., 1989, Nature 337:740)."""
KCC = Transporter(("K", "Cl"), (1, 1), (1, -1))
"""K+–Cl− cotransporter, outward (Payne, 1997, Am. J. Physiol. 273:C1516)."""
NKCC = Transporter(("Na", "K", "Cl"), (-1, -1, -2), (1, 1, -1))
"""Na+–K+–2Cl− cotransporter, inward (Geck et al., 1980, Biochim. Biophys. Acta 600:432)."""
ANION_EXCHANGER = Transporter(("Cl", "HCO3"), (-1, 1), (-1, -1))
"""Cl−/HCO3− exchanger: Cl− in, HCO3− out, as band 3 can."""


def cycle_work(
    transporter: Transporter,
    voltage: ArrayLike,
    inside: Float[ArrayLike, "... ion"],
    outside: Float[ArrayLike, "... ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Free energy of what a mole of cycles moves, without ATP, kJ/mol: W = Σ n Δμ̃.

    voltage: mV; inside, outside: mM, in the order of `transporter.ions`; temperature: K. Positive: the work that the
    pump must do; negative: what a carrier can do by letting it happen. ValueError for a wrong number of ions.
    """
    count = len(transporter.ions)
    for name, concentration in (("inside", inside), ("outside", outside)):
        if np.shape(concentration)[-1:] != (count,):
            expected = ", ".join(transporter.ions)
            raise ValueError(
                f"the last axis of {name}, of shape {np.shape(concentration)}, must hold {count} ions: {expected}"
            )
    voltage, temperature = (jnp.asarray(x, float)[..., None] for x in (voltage, temperature))
    outward, valence = (np.array(x, float) for x in (transporter.outward, transporter.valence))
    return transport_work(outward, voltage, inside, outside, valence, temperature).sum(-1)


def cycle_free_energy(
    transporter: Transporter,
    voltage: ArrayLike,
    inside: Float[ArrayLike, "... ion"],
    outside: Float[ArrayLike, "... ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    atp_free_energy: ArrayLike = ATP_FREE_ENERGY,
) -> Float[Array, "..."]:
    """Free energy of a mole of cycles with the ATP they hydrolyse, kJ/mol: ΔG = Σ n Δμ̃ + n_ATP ΔG_ATP.

    atp_free_energy: of hydrolysis, kJ/mol, negative; it has no effect on carriers without ATP. Other arguments as for
    `cycle_work`. Negative: the cycle runs as written; positive: backwards; zero: equilibrium.
    """
    work = cycle_work(transporter, voltage, inside, outside, temperature)
    return work + transporter.atp * jnp.asarray(atp_free_energy)


def cycle_reversal_potential(
    transporter: Transporter,
    inside: Float[ArrayLike, "... ion"],
    outside: Float[ArrayLike, "... ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    atp_free_energy: ArrayLike = ATP_FREE_ENERGY,
) -> Float[Array, "..."]:
    """Voltage at which the cycle stops, mV: V = (Σ n z E + n_ATP ΔG_ATP / F) / Σ n z.

    Arguments as for `cycle_free_energy`; the E are Nernst potentials. The current of the transporter has the sign of
    V − this voltage. For 3:1 NCX 3 E_Na − 2 E_Ca. ValueError for an electroneutral transporter, which no voltage stops.
    """
    if not transporter.electrogenic:
        raise ValueError(
            f"a cycle that moves {transporter.outward} {transporter.ions} carries no charge: no voltage stops it"
        )
    at_zero = cycle_free_energy(transporter, 0.0, inside, outside, temperature, atp_free_energy)
    return at_zero / (KILOJOULES_PER_MILLIVOLT * transporter.charge)


def cycle_equilibrium_concentration(
    transporter: Transporter,
    ion: str,
    voltage: ArrayLike,
    inside: Float[ArrayLike, "... ion"],
    outside: Float[ArrayLike, "... ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    atp_free_energy: ArrayLike = ATP_FREE_ENERGY,
    side: str = "inside",
) -> Float[Array, "..."]:
    """Concentration (mM) of `ion` on one `side` at which the cycle stops, all else as given.

    Arguments as for `cycle_free_energy`; the entry of `ion` on that side is ignored. What NCX can lower Ca2+ to, or KCC
    Cl−. ValueError for an ion that the transporter does not move, or a side other than "inside" and "outside".
    """
    if ion not in transporter.ions:
        raise ValueError(f"the transporter moves {', '.join(transporter.ions)}, not {ion}")
    if side not in ("inside", "outside"):
        raise ValueError(f"side is 'inside' or 'outside', not {side!r}")
    k = transporter.ions.index(ion)
    inside, outside = jnp.asarray(inside, float), jnp.asarray(outside, float)
    if side == "inside":
        inside = inside.at[..., k].set(1.0)
    else:
        outside = outside.at[..., k].set(1.0)
    excess = cycle_free_energy(transporter, voltage, inside, outside, temperature, atp_free_energy)
    per_logarithm = KILOJOULES_PER_MILLIVOLT * units.thermal_voltage(temperature) * transporter.outward[k]
    return jnp.exp((1 if side == "inside" else -1) * excess / per_logarithm)


def pump_leak_voltage(
    permeability: Float[ArrayLike, "... 2"],
    inside: Float[ArrayLike, "... 2"],
    outside: Float[ArrayLike, "... 2"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    transporter: Transporter = SODIUM_POTASSIUM_PUMP,
) -> Float[Array, "..."]:
    """Resting potential (mV) of a cell whose pump returns the Na+ and K+ that leak: the Mullins–Noda equation.

    V = (kT/e) ln[(r P_K K_out + P_Na Na_out) / (r P_K K_in + P_Na Na_in)], r Na+ pumped per K+: GHK leaks in steady
    state, so that the leaks stand as the pump's stoichiometry, and any other ion at equilibrium. The last axis holds
    Na, K; concentrations in mM; temperature: K. Mullins & Noda (1963, J. Gen. Physiol. 47:117). With r = 1 it is
    `ghk_voltage`. ValueError for a transporter of other ions.
    """
    if transporter.ions != ("Na", "K"):
        raise ValueError(f"the pump-leak steady state is one of Na, K, not {', '.join(transporter.ions)}")
    sodium, potassium = transporter.outward
    weight = jnp.array([1.0, -sodium / potassium])
    return ghk_voltage(jnp.asarray(permeability) * weight, inside, outside, np.array(transporter.valence), temperature)
