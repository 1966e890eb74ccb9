"""Activity models: what keeps ions from being ideal, as excess chemical potentials, functions of the concentrations.

    mu_k = ln c_k + z_k phi + w_k + mu_ex_k(c),    kT;   w_k: the energy set by position alone (pmf, Born energy)

The unknown of the solver is mu. From it the solver knows the activity a_k = exp(mu_k − z_k phi − w_k) = gamma_k c_k,
with mu_ex = ln gamma, and needs c; for a bath it knows c and needs a. `ActivityCoefficients` give both. They are plain
arithmetic on one array per ion, whatever the axes of the arrays. Every model comes from a convex free energy
(∂mu_ex_j/∂c_k = ∂mu_ex_k/∂c_j), so that each set of activities belongs to one set of concentrations.
"""

import abc
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp import units
from pnp.theory.activity import debye_huckel_slope
from pnp.theory.roots import bracketed_root, implicit_root

Number = Float[Array, "*case"] | float
PerIon = Sequence[Any] | Array | np.ndarray
"""One array or number per ion, which broadcast with each other."""
Baths = Mapping[str, Mapping[str, float]]
"""Concentrations by side and ion, mM."""

WATER_SIZE = 0.3104
"""nm: edge of the cube that a molecule has in water of 55.5 M."""

DAVIES_LIMIT = 0.5
"""Ionic strength up to which Davies' equation is meant to hold, M (Davies, 1962, Ion Association)."""

_STANDARD = 1e3  # mM in the 1 M that Davies' equation refers to
# A last step of Newton's method below 1e-12 leaves rounding alone, even next to Davies' limit. Halving, which is what
# steps become at worst, would take half as many.
_NEWTON: Any = {"tolerance": 1e-12, "iterations": 100}


class ActivityCoefficients(eqx.Module):
    """mu_ex of all ions at a place, as the solver evaluates it; its numbers are in the order of the ions."""

    @abc.abstractmethod
    def excess_from_concentration(self, concentration: PerIon, valence: PerIon) -> PerIon:
        """mu_ex of each ion (kT) from the concentrations, mM."""

    @abc.abstractmethod
    def excess_from_activity(self, log_activity: PerIon, valence: PerIon) -> PerIon:
        """mu_ex of each ion (kT) from ln(gamma c / 1 mM)."""

    def solve_at(self, log_activity: PerIon, valence: PerIon) -> "ActivityCoefficients":
        """These coefficients with the equation of `excess_from_activity` already solved at these activities.

        Only derivatives of its solution are then left to work out, however often.
        """
        return self

    def activity(self, concentration: PerIon, valence: PerIon) -> Float[Array, "ion *place"]:
        """gamma c, mM, from concentrations in mM."""
        excess = self.excess_from_concentration(concentration, valence)
        return jnp.stack([c * jnp.exp(e) for c, e in zip(concentration, excess, strict=True)])


class ActivityModel(eqx.Module):
    """How the ions of a channel depart from ideality."""

    @abc.abstractmethod
    def coefficients(self, ion_names: Sequence[str], permittivity: Number, temperature: Number) -> ActivityCoefficients:
        """For these ions in water of this relative permittivity and temperature (K)."""

    @abc.abstractmethod
    def describe(self, permittivity: Number, temperature: Number) -> str:
        """One line for people."""

    def problems(
        self, valence: Mapping[str, int], baths: Baths, permittivity: Number, temperature: Number
    ) -> list[str]:
        """What is wrong with the model for these ions and baths, each as `path: reason`; of known numbers."""
        return []


class IdealCoefficients(ActivityCoefficients):
    """mu_ex = 0."""

    def excess_from_concentration(self, concentration, valence):
        return [0.0] * len(concentration)

    def excess_from_activity(self, log_activity, valence):
        return [0.0] * len(log_activity)


class Ideal(ActivityModel):
    """Point ions that see each other through the mean field only: mu_ex = 0."""

    def coefficients(self, ion_names, permittivity, temperature):
        return IdealCoefficients()

    def describe(self, permittivity, temperature):
        return "none (point ions)"


# --- ions of finite size ------------------------------------------------------------------------


class Steric(ActivityModel):
    """Ions of finite size on a lattice: with volumes v = a³, mu_ex_k = −(v_k/v₀) ln(1 − Σ v_j c_j).

    - size: a, nm, the edge of the cube that an ion fills: one for all ions, or one by name.
    - solvent: nm, edge of the cube of volume v₀ that a molecule of solvent fills. If it is not given, ions of one size
      have it too: Bikerman's model mu_ex = −ln(1 − a³ Σ c), whose concentrations are explicit,
      c = γc / (1 + a³ Σ γc). Ions of several sizes are then among molecules of water, of 0.31 nm.

    The factor v_k/v₀ makes mu_ex of ions of several sizes the derivative of a free energy. Bikerman (1942, Phil. Mag.
    33:384); Kilic, Bazant & Ajdari (2007, Phys. Rev. E 75:021502); for several sizes Li (2009, Nonlinearity 22:811),
    Zhou, Wang & Li (2011, Phys. Rev. E 84:021901).
    """

    size: Mapping[str, Number] | Number
    solvent: Number | None = None

    def coefficients(self, ion_names, permittivity, temperature):
        size = jnp.stack([jnp.asarray(self._size(name), float) for name in ion_names])
        volume = size**3 / units.MILLIMOLAR_PER_CHARGE_DENSITY
        return StericCoefficients(volume, None if self._solvent is None else (size / self._solvent) ** 3)

    def _size(self, name):
        return self.size[name] if isinstance(self.size, Mapping) else self.size

    @property
    def _solvent(self):
        return WATER_SIZE if self.solvent is None and isinstance(self.size, Mapping) else self.solvent

    def describe(self, permittivity, temperature):
        sizes = self.size if isinstance(self.size, Mapping) else {"": self.size}
        listed = ", ".join(f"{k} {float(a):g}".strip() for k, a in sizes.items())
        among = "" if self._solvent is None else f" in a solvent of {float(self._solvent):g} nm"
        most = units.MILLIMOLAR_PER_CHARGE_DENSITY / min(map(float, sizes.values())) ** 3 / 1e3
        return f"steric, ions of {listed} nm{among} (at most {most:.3g} M)"

    def problems(self, valence, baths, permittivity, temperature):
        found = []
        given = {"size": self.size}
        if isinstance(self.size, Mapping):
            given = {f"size.{name}": a for name, a in self.size.items()}
            ions = ", ".join(valence)
            found += [f"activity.size.{k}: no such ion (the ions are {ions})" for k in self.size if k not in valence]
            missing = "is missing: give one number for all ions, or one for each"
            found += [f"activity.size.{k}: {missing}" for k in valence if k not in self.size]
        given |= {} if self.solvent is None else {"solvent": self.solvent}
        positive = lambda a: np.isfinite(float(a)) and float(a) > 0
        found += [f"activity.{k}: must be positive, not {float(a):g} nm" for k, a in given.items() if not positive(a)]
        if found:
            return found
        for side, bath in baths.items():
            per_ion = (float(self._size(k)) ** 3 * c for k, c in bath.items() if k in valence)
            filled = sum(per_ion) / units.MILLIMOLAR_PER_CHARGE_DENSITY
            if filled >= 1:
                found.append(f"{side}: ions of this size would fill {filled:.3g} of the bath, which must be below 1")
        return found


class StericCoefficients(ActivityCoefficients):
    """mu_ex_k = (v_k/v₀) t with t = −ln(1 − Σ v c): see `Steric`."""

    volume: Float[Array, "ion ..."]
    """v, 1/mM."""
    ratio: Float[Array, "ion ..."] | None
    """v/v₀; 1 for all ions if not given."""
    root: Float[Array, "..."] | None = None
    """t, where it is known."""

    def excess_from_concentration(self, concentration, valence):
        t = -jnp.log1p(-sum(v * c for v, c in zip(self.volume, concentration, strict=True)))
        return self._excess(t, concentration)

    def excess_from_activity(self, log_activity, valence):
        if self.ratio is None:
            return self._excess(self._bikerman_root(log_activity), log_activity)
        root = self.solve_at(log_activity, valence).root if self.root is None else self.root
        return self._excess(implicit_root(_filling, root, self._terms(log_activity)), log_activity)

    def solve_at(self, log_activity, valence):
        if self.ratio is None:
            return self
        # `_filling` falls in t with slopes between those of its terms, 1 and v/v₀, and is convex.
        slopes = [jnp.ones(()), *self.ratio]
        steepest, flattest = (functools.reduce(of, slopes) for of in (jnp.maximum, jnp.minimum))
        bikerman = self._bikerman_root(log_activity)
        low, high = bikerman / steepest, bikerman / flattest
        root = bracketed_root(_filling, low, high, self._terms(log_activity), guess=low, **_NEWTON)
        return StericCoefficients(self.volume, self.ratio, root)

    def _bikerman_root(self, log_activity):
        """ln(1 + Σ v a): t where all ratios are 1."""
        return _log_sum([1.0, *self.volume], [jnp.zeros_like(log_activity[0]), *log_activity])

    def _excess(self, t, ions):
        return [t] * len(ions) if self.ratio is None else [r * t for r in self.ratio]

    def _terms(self, log_activity):
        return list(self.volume), list(log_activity), list(self.ratio)


def _filling(t, terms):
    """ln(e^−t + Σ v a e^(−t v/v₀)): zero where t = −ln(1 − Σ v c), with a the activities."""
    volume, log_activity, ratio = terms
    return _log_sum([1.0, *volume], [-t, *(a - r * t for a, r in zip(log_activity, ratio, strict=True))])


# --- Davies' equation ---------------------------------------------------------------------------


class Davies(ActivityModel):
    """Davies' equation: mu_ex_k = −A ln10 z_k² (√I/(1 + √I) − B I), I = ½ Σ z² c in M, up to I = 0.5 M.

    - slope: A, M^-½; if not given, that of Debye and Hückel for the permittivity of the baths and the temperature,
      `theory.debye_huckel_slope`.
    - coefficient: B.

    The linear term is a fit up to some 0.5 M. Beyond, it grows without bound, and would make Ca2+ fifty times too
    active at the concentrations in a charged pore: there mu_ex keeps its value at 0.5 M. The kink that this leaves is
    small, since the equation is almost flat there (its minimum is at 0.4 M). Concentrations are unique if activities
    rise with them, A ln10 z² I d(√I/(1 + √I) − B I)/dI < 1: in water up to z = 3, otherwise the channel is refused.
    Davies (1962, Ion Association).
    """

    slope: Number | None = None
    coefficient: Number = 0.3

    def coefficients(self, ion_names, permittivity, temperature):
        slope = debye_huckel_slope(permittivity, temperature) if self.slope is None else self.slope
        return DaviesCoefficients(jnp.asarray(slope, float), jnp.asarray(self.coefficient, float))

    def describe(self, permittivity, temperature):
        own = self.coefficients((), permittivity, temperature)
        return (
            f"Davies, A = {float(own.slope):.4g} M^-½, B = {float(own.coefficient):g}, "
            f"constant beyond I = {DAVIES_LIMIT:g} M"
        )

    def problems(self, valence, baths, permittivity, temperature):
        found = []
        if self.slope is not None and not (np.isfinite(float(self.slope)) and float(self.slope) >= 0):
            found.append(f"activity.slope: must be 0 or more, not {float(self.slope):g}")
        if not np.isfinite(float(self.coefficient)):
            found.append(f"activity.coefficient: must be finite, not {float(self.coefficient):g}")
        if found:
            return found
        # The largest A ln10 I d(√I/(1 + √I) − B I)/dI within the limit; it has one maximum.
        root = np.sqrt(np.linspace(0.0, DAVIES_LIMIT, 2001))
        rise = root / (2 * (1 + root) ** 2) - float(self.coefficient) * root**2
        slope = float(self.coefficients((), permittivity, temperature).slope)
        highest = max(valence, key=lambda k: abs(valence[k]))
        if np.log(10.0) * slope * rise.max() * valence[highest] ** 2 >= 1:
            found.append(
                f"activity: by Davies' equation with A = {slope:.3g} M^-½ the activity of {highest} "
                f"(z = {valence[highest]:+d}) would fall as more is added, so it does not hold for this ion here"
            )
        return found


class DaviesCoefficients(ActivityCoefficients):
    """mu_ex_k = −A ln10 z_k² (√I/(1 + √I) − B I): see `Davies`."""

    slope: Float[Array, "..."]
    coefficient: Float[Array, "..."]
    root: Float[Array, "..."] | None = None
    """ln of the ionic strength in M, where it is known."""

    def excess_from_concentration(self, concentration, valence):
        strength = sum(h * c for h, c in zip(_half_squares(valence), concentration, strict=True))
        return self._excess(jnp.log(strength), valence)

    def excess_from_activity(self, log_activity, valence):
        root = self.solve_at(log_activity, valence).root if self.root is None else self.root
        return self._excess(implicit_root(_strength_gap, root, self._terms(log_activity, valence)), valence)

    def solve_at(self, log_activity, valence):
        guess = _log_sum(_half_squares(valence), log_activity)  # of an ideal solution
        steepest = jnp.log(10.0) * self.slope * functools.reduce(jnp.maximum, [z * z for z in valence])
        # Up to the limit √I/(1 + √I) and B I lie between 0 and their values there.
        linear = self.coefficient * DAVIES_LIMIT
        root = DAVIES_LIMIT**0.5 / (1 + DAVIES_LIMIT**0.5)
        low = guess + steepest * jnp.minimum(-linear, 0.0)
        high = guess + steepest * (root + jnp.maximum(-linear, 0.0))
        terms = self._terms(log_activity, valence)
        solution = bracketed_root(_strength_gap, low, high, terms, guess=guess, **_NEWTON)
        return DaviesCoefficients(self.slope, self.coefficient, solution)

    def _terms(self, log_activity, valence):
        return list(valence), list(log_activity), self.slope, self.coefficient

    def _excess(self, log_strength, valence):
        factor = -jnp.log(10.0) * self.slope * _davies(log_strength, self.coefficient)
        return [z * z * factor for z in valence]


def _strength_gap(log_strength, terms):
    """ln of the ionic strength (M) that the activities have at a given ionic strength, less the logarithm of that."""
    valence, log_activity, slope, coefficient = terms
    factor = jnp.log(10.0) * slope * _davies(log_strength, coefficient)
    exponents = [a + z * z * factor for z, a in zip(valence, log_activity, strict=True)]
    return _log_sum(_half_squares(valence), exponents) - log_strength


def _half_squares(valence):
    """z²/2 per M, which times mM is an ionic strength in M."""
    return [z * z / (2 * _STANDARD) for z in valence]


def _davies(log_strength, coefficient):
    """√I/(1 + √I) − B I, constant beyond the limit; I in M."""
    root = jnp.exp(jnp.minimum(log_strength, np.log(DAVIES_LIMIT)) / 2)
    return root / (1 + root) - coefficient * root**2


def _log_sum(weights, exponents):
    """ln Σ w eˣ without overflow."""
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, exponents))
    return largest + jnp.log(sum(w * jnp.exp(x - largest) for w, x in zip(weights, exponents, strict=True)))
