"""Goldman–Hodgkin–Katz: independent ions in a constant field.

Goldman (1943, J. Gen. Physiol. 27:37); Hodgkin & Katz (1949, J. Physiol. 108:37). It fails where the field is not
constant (fixed charge, varying permittivity, co-ions kept out) and where ions wait for each other.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.conductance import ion_conductance
from pnp.theory.driving import KILOJOULES_PER_MILLIVOLT, electrochemical_potential_difference
from pnp.theory.roots import monotone_root
from pnp.tracing import is_traced

_SERIES_BELOW = 1e-2  # |x| where the series reaches the last bit of float64


def bernoulli(x):
    """B(x) = x / (exp(x) − 1), accurate to round-off for every x, and so are its derivatives.

    B(0) = 1, B(x) → −x for x → −∞ and → 0 for x → +∞. Below |x| = 0.01 it is the series
    1 − x/2 + x²/12 − x⁴/720 + x⁶/30240 (Abramowitz & Stegun 23.1.1).
    """
    x = jnp.asarray(x, dtype=float)
    small = jnp.abs(x) < _SERIES_BELOW
    safe = jnp.where(small, 1.0, x)  # keeps 0/0 out of the branch that is not taken, for gradients
    near = jnp.where(small, x, 0.0)
    x2 = near * near
    series = 1.0 - near / 2 + x2 / 12 * (1 - x2 / 60 * (1 - x2 / 42))
    return jnp.where(small, series, safe / jnp.expm1(safe))


def ghk_flux(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Flux of one solute, mM nm³/ns, positive outward: J = P u (c_in − c_out e⁻ᵘ) / (1 − e⁻ᵘ), u = zeV/kT.

    voltage: mV, inside minus outside; inside, outside: mM; permeability: nm³/ns (permeability D/L in nm/ns times
    area in nm²); temperature: K. Arguments broadcast. Smooth through V = 0 and z = 0, where it is Fick's law
    P (c_in − c_out). With `outside` (or `inside`) 0 it is the unidirectional efflux (or influx).
    """
    u = jnp.asarray(valence) * jnp.asarray(voltage) / units.thermal_voltage(temperature)
    return jnp.asarray(permeability) * (jnp.asarray(inside) * bernoulli(-u) - jnp.asarray(outside) * bernoulli(u))


def ghk_current(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Current of one ion, pA, positive outward: I = z F J, J the `ghk_flux` of the same arguments.

    The GHK current equation. Smooth through V = 0. Arguments broadcast.
    """
    flux = ghk_flux(voltage, inside, outside, permeability, valence, temperature)
    return units.CURRENT_PER_FLUX * jnp.asarray(valence) * flux


class LimitingConductance(NamedTuple):
    """Slopes dI/dV, nS, that an I–V approaches far negative and far positive."""

    negative: Float[Array, "..."]
    positive: Float[Array, "..."]


def ghk_limiting_conductance(
    inside: ArrayLike,
    outside: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> LimitingConductance:
    """Slopes (nS) of one ion's GHK current for V → −∞ and V → +∞: those of a pore filled from one bath only.

    z² e F P c / kT with c of the side that the ion comes from: for a cation the outside at −∞ and the inside at +∞,
    for an anion the reverse. Their ratio is the constant-field rectification. Arguments as for `ghk_current`.
    """
    from_inside = ion_conductance(permeability, inside, valence, temperature)
    from_outside = ion_conductance(permeability, outside, valence, temperature)
    cation = jnp.asarray(valence) > 0
    return LimitingConductance(
        negative=jnp.where(cation, from_outside, from_inside), positive=jnp.where(cation, from_inside, from_outside)
    )


def ghk_conductance(
    inside: ArrayLike,
    outside: ArrayLike,
    permeability: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Conductance of one ion at its own Nernst potential, nS: what P means in terms of g.

    (z² e F P / kT) c_in c_out ln(c_out / c_in) / (c_out − c_in), the slope of `ghk_current` at V = E; for equal
    concentrations `ion_conductance`, at every V. Both concentrations must be positive. Arguments as for `ghk_current`.
    """
    inside, outside = jnp.asarray(inside, float), jnp.asarray(outside, float)
    mean = inside * bernoulli(jnp.log(inside) - jnp.log(outside))
    return ion_conductance(permeability, mean, valence, temperature)


def ghk_voltage(
    permeability: Float[ArrayLike, "... ion"],
    inside: Float[ArrayLike, "... ion"],
    outside: Float[ArrayLike, "... ion"],
    valence: Float[ArrayLike, " ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Voltage (mV) of zero total GHK current, for any valences.

    Only ratios of `permeability` matter; concentrations in mM; temperature in K. For monovalent ions
    V = (kT/e) ln[(Σ₊ P c_out + Σ₋ P c_in) / (Σ₊ P c_in + Σ₋ P c_out)]; with divalent ions too, exp(eV/kT) solves a
    quadratic (Lewis, 1979, J. Physiol. 286:417); otherwise, and where `valence` is traced, a root that is unique
    because every GHK current rises with V. Infinite where every ion could run out, or in, at any voltage.
    ValueError if no ion is charged.
    """
    z = jnp.asarray(valence)
    permeability, inside, outside = (jnp.asarray(x, float) for x in (permeability, inside, outside))
    cation, anion = z > 0, z < 0
    from_inside = permeability * jnp.where(cation, inside, jnp.where(anion, outside, 0.0))  # these raise the current
    from_outside = permeability * jnp.where(cation, outside, jnp.where(anion, inside, 0.0))  # and these lower it
    if _at_most_divalent(valence):
        ratio = _log_ratio_up_to_divalent(from_inside, from_outside, jnp.abs(z))
        return units.thermal_voltage(temperature) * ratio
    voltage = _reversal_by_root(permeability, inside, outside, z, jnp.asarray(temperature, float))
    voltage = jnp.where((from_inside == 0).all(-1), jnp.inf, voltage)
    return jnp.where((from_outside == 0).all(-1), -jnp.inf, voltage)


@jax.jit  # so that calls from plain Python compile the bisection once per shape, not once each
def _reversal_by_root(permeability, inside, outside, z, temperature):
    def total_current(voltage):
        return ghk_current(voltage[..., None], inside, outside, permeability, z, temperature[..., None]).sum(-1)

    ions = jnp.broadcast_shapes(permeability.shape, inside.shape, outside.shape)
    shape = jnp.broadcast_shapes(ions[:-1], temperature.shape)
    end = jnp.broadcast_to(500 * units.thermal_voltage(temperature), shape)
    return monotone_root(total_current, -end, end)


def _at_most_divalent(valence):
    """Whether the closed form applies: not where `valence` is traced, and so unknown."""
    if is_traced(valence):
        return False
    magnitude = np.abs(np.asarray(valence))
    if not magnitude.any():
        raise ValueError("no voltage brings the current to zero where no ion is charged")
    return bool(np.isin(magnitude, (0, 1, 2)).all())


def _log_ratio_up_to_divalent(from_inside, from_outside, magnitude):
    """u = eV/kT from (A + 4Q)w² + (A − B)w − (B + 4R) = 0, w = eᵘ: A, B of the monovalents, Q, R of the divalents."""
    mono, di = magnitude == 1, magnitude == 2
    ahead, back = (from_inside * mono).sum(-1), (from_outside * mono).sum(-1)
    square = ahead + 4 * (from_inside * di).sum(-1)
    constant = back + 4 * (from_outside * di).sum(-1)
    # ln of the positive root, written with asinh: no difference of near-equal numbers, whichever term dominates.
    scale = 2 * jnp.sqrt(square * constant)
    shift = jnp.arcsinh((back - ahead) / jnp.where(scale > 0, scale, 1.0))
    return 0.5 * (jnp.log(constant) - jnp.log(square)) + shift


def bi_ionic_potential(
    permeability_ratio: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    inside_valence: int = 1,
    outside_valence: int = 1,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
) -> Float[Array, "..."]:
    """Reversal potential (mV) with ion A inside only and ion B outside only: `ghk_voltage` of the two.

    permeability_ratio: P_B / P_A, of the outer ion to the inner; inside: of A, mM; outside: of B, mM; temperature: K.
    For monovalent cations (kT/e) ln(P_B c_B / P_A c_A). The two have charges of one sign; for ions of opposite
    charge no voltage stops the current, and a ValueError says so.
    """
    if inside_valence * outside_valence <= 0:
        raise ValueError(
            f"a bi-ionic potential needs two ions of one sign, not valences {inside_valence} and {outside_valence}"
        )
    ratio, inside, outside = jnp.broadcast_arrays(
        *(jnp.asarray(x, float) for x in (permeability_ratio, inside, outside))
    )
    here, there = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    return ghk_voltage(
        here + there * ratio[..., None],
        here * inside[..., None],
        there * outside[..., None],
        np.array([inside_valence, outside_valence]),
        temperature,
    )


def permeability_ratio(
    reversal_potential: ArrayLike,
    inside: Float[ArrayLike, "... ion"],
    outside: Float[ArrayLike, "... ion"],
    valence: Float[ArrayLike, " ion"],
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    reference_permeability: ArrayLike = 1.0,
) -> Float[Array, "..."]:
    """P_X / P_ref from a measured reversal potential: X is the first of the ions, the others are the reference.

    reversal_potential: mV; inside, outside: mM; reference_permeability: of the other ions, [..., ion − 1] or one for
    all; the result is P_X in its unit. From GHK currents that cancel, for any valences; with w = exp(eV/kT) it is
    c_M w / c_X for monovalent cations, X outside and M inside, and c_M w (w + 1) / (4 c_Ca) for Ca2+ outside
    (Fatt & Ginsborg, 1958, J. Physiol. 142:516; Lewis, 1979, J. Physiol. 286:417). A negative result says that no
    permeability of X gives this potential. ValueError for fewer than two ions.
    """
    z = jnp.asarray(valence, float)
    if z.ndim != 1 or z.shape[0] < 2:
        raise ValueError(f"valence needs one axis of two ions or more, X first, not shape {z.shape}")
    voltage, temperature = (jnp.asarray(x, float)[..., None] for x in (reversal_potential, temperature))
    unit = ghk_current(voltage, inside, outside, 1.0, z, temperature)  # per permeability
    return -(unit[..., 1:] * reference_permeability).sum(-1) / unit[..., 0]


def ussing_flux_ratio(
    voltage: ArrayLike,
    inside: ArrayLike,
    outside: ArrayLike,
    valence: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    exponent: ArrayLike = 1.0,
) -> Float[Array, "..."]:
    """Unidirectional efflux over influx of a passive solute: [(c_in / c_out) exp(zeV / kT)]ⁿ.

    voltage: mV; inside, outside: mM; temperature: K. Arguments broadcast. With n = 1 it holds for independent solutes
    whatever the barrier, constant field or not (Ussing, 1949, Acta Physiol. Scand. 19:43); `exponent` n > 1
    describes single file (Hodgkin & Keynes, 1955, J. Physiol. 128:61). One at equilibrium.
    """
    outward = electrochemical_potential_difference(voltage, inside, outside, valence, temperature)
    return jnp.exp(-jnp.asarray(exponent) * outward / (KILOJOULES_PER_MILLIVOLT * units.thermal_voltage(temperature)))
