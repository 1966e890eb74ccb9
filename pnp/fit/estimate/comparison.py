"""Is the constant field enough? Models of the same data against each other, and what GHK makes of a PNP channel."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from pnp.analysis.discretization import AXIAL, Discretization
from pnp.analysis.steady import iv_curve
from pnp.channel.channel import Channel
from pnp.fit.estimate.result import Fit
from pnp.fit.model.parameters import FitError
from pnp.theory.ghk import ghk_current

DECISIVE = 10.0
"""Difference of AIC beyond which the worse model has essentially no support (Burnham & Anderson, 2004, Sociol. Methods
Res. 33:261)."""

_UNLIKELY = 0.01


class Comparison(NamedTuple):
    """A constant-field and a PNP fit of the same data."""

    ghk: Fit
    pnp: Fit

    @property
    def aic_difference(self) -> float:
        """AIC of GHK less that of PNP: above zero PNP is the better description."""
        return self.ghk.aic - self.pnp.aic

    @property
    def bic_difference(self) -> float:
        """The same of BIC."""
        return self.ghk.bic - self.pnp.bic

    @property
    def status_message(self) -> str:
        """On the constant-field assumption, in a sentence."""
        p, d = self.ghk.probability, self.aic_difference
        fits = (
            ""
            if p is None
            else f"GHK's chi2 is {self.ghk.chi2:.4g} for {self.ghk.dof} degrees of freedom (p = {p:.2g}); "
        )
        score = f"AIC of GHK less that of PNP is {d:.3g}"
        if p is not None and p < _UNLIKELY and d > DECISIVE:
            return f"The data rule the constant field out: {fits}{score}."
        if d > DECISIVE:
            return f"PNP describes the data better than a constant field: {fits}{score}."
        if d < -DECISIVE:
            return f"A constant field describes the data better than this PNP model: {fits}{score}."
        if p is not None and p < _UNLIKELY:
            return f"Neither model describes the data: {fits}{score}."
        return f"The data do not tell a constant field from PNP: {fits}{score}."


def compare(ghk: Fit, pnp: Fit) -> Comparison:
    """Hold two fits of the same data against each other. Raises FitError if the data or the loss differ."""
    same = ghk.problem.target.shape == pnp.problem.target.shape
    if not (
        same and np.array_equal(ghk.problem.target, pnp.problem.target) and ghk.problem.robust == pnp.problem.robust
    ):
        raise FitError("the two fits are of different data, or with a different loss: they cannot be compared")
    return Comparison(ghk, pnp)


class EffectivePermeability(NamedTuple):
    """What a constant-field analysis reports of a channel, by bath concentration."""

    concentration: np.ndarray
    """[bath], ionic strength of the inside bath, mM."""
    permeability: np.ndarray
    """[bath, ion], nm³/ns: of the GHK current nearest to that ion's current."""
    misfit: np.ndarray
    """[bath, ion], root mean square of what is left over, over that of the current: what GHK does not describe."""
    reversal: np.ndarray
    """[bath], mV."""
    ion_names: tuple[str, ...]
    converged: np.ndarray
    """[bath], whether all voltages were; where not, the numbers are NaN."""

    @property
    def ratio(self) -> np.ndarray:
        """[bath, ion], to the first ion."""
        return self.permeability / self.permeability[:, :1]


def effective_permeability(
    channel: Channel,
    factors: ArrayLike,
    voltages: Sequence[float] | ArrayLike = (),
    *,
    discretization: Discretization = AXIAL,
) -> EffectivePermeability:
    """What a GHK analysis would report for a PNP channel in more and less concentrated baths.

    factors: both baths are multiplied by each of them. voltages: mV (default: 20 from −100 to 100, none of them 0,
    where equal baths tell nothing). The permeability of an ion is the factor of its GHK current that comes nearest to
    its PNP current over all voltages. Were the field constant, it would not depend on the baths.

    Raises ValueError, ChannelError as `pnp.iv_curve`.
    """
    factors = np.atleast_1d(np.asarray(factors, float))
    at = np.asarray(voltages, float) if np.size(voltages) else np.linspace(-100, 100, 20)
    if factors.ndim != 1 or not (np.isfinite(factors) & (factors > 0)).all():
        raise ValueError(f"factors must be positive numbers, not {factors}")
    rows = [_reported(_concentrated(channel, f), at, discretization) for f in factors]
    permeability, misfit, reversal, converged = map(np.array, zip(*rows, strict=True))
    bath = np.asarray(channel.bath_concentration)[0]
    strength = 0.5 * float(bath @ channel.valence**2)
    return EffectivePermeability(strength * factors, permeability, misfit, reversal, channel.ion_names, converged)


def _concentrated(channel: Channel, factor: float) -> Channel:
    return channel.with_baths(*({k: factor * c for k, c in b.items()} for b in (channel.inside, channel.outside)))


def _reported(channel: Channel, at: np.ndarray, discretization: Discretization):
    """Permeabilities, misfits, reversal potential and whether all is known, for one pair of baths."""
    curve = iv_curve(channel, at, discretization=discretization)
    current, known = np.asarray(curve.ion_current), bool(np.asarray(curve.converged).all())
    inside, outside = np.asarray(channel.bath_concentration)
    unit = np.asarray(_unit_currents(at, inside, outside, channel.valence, float(channel.temperature)))
    with np.errstate(invalid="ignore", divide="ignore"):
        permeability = (unit * current).sum(0) / (unit**2).sum(0)
        left = np.sqrt(((current - permeability * unit) ** 2).mean(0)) / np.sqrt((current**2).mean(0))
    return permeability, left, curve.reversal_potential() if known else np.nan, known


@jax.jit
def _unit_currents(voltage, inside, outside, valence, temperature):
    return ghk_current(jnp.asarray(voltage)[:, None], inside, outside, 1.0, jnp.asarray(valence), temperature)
