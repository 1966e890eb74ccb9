"""Comparison with the constant field: fits by GHK and by PNP, and the permeabilities that GHK would report."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float

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
        """BIC of GHK less that of PNP."""
        return self.ghk.bic - self.pnp.bic

    @property
    def verdict(self) -> str:
        """Which of the models the data support, in a sentence."""
        p, difference = self.ghk.probability, self.aic_difference
        criteria = f"AIC of GHK less that of PNP is {difference:.3g}"
        if p is not None:
            chi2 = f"GHK's chi2 is {self.ghk.chi2:.4g} for {self.ghk.dof} degrees of freedom (p = {p:.2g})"
            criteria = f"{chi2}; {criteria}"
        if p is not None and p < _UNLIKELY and difference > DECISIVE:
            return f"The data rule the constant field out: {criteria}."
        if difference > DECISIVE:
            return f"PNP describes the data better than a constant field: {criteria}."
        if difference < -DECISIVE:
            return f"A constant field describes the data better than this PNP model: {criteria}."
        if p is not None and p < _UNLIKELY:
            return f"Neither model describes the data: {criteria}."
        return f"The data do not tell a constant field from PNP: {criteria}."


def compare(ghk: Fit, pnp: Fit) -> Comparison:
    """Compare two fits of the same data. Raises FitError if the data or the loss differ."""
    same = ghk.problem.target.shape == pnp.problem.target.shape
    if not (
        same and np.array_equal(ghk.problem.target, pnp.problem.target) and ghk.problem.robust == pnp.problem.robust
    ):
        raise FitError("the two fits are of different data, or with a different loss: they cannot be compared")
    return Comparison(ghk, pnp)


class EffectivePermeability(NamedTuple):
    """What a constant-field analysis would report of a channel, by bath concentration."""

    concentration: Float[np.ndarray, " bath"]
    """Ionic strength of the inside bath, mM."""
    permeability: Float[np.ndarray, "bath ion"]
    """nm³/ns, of the GHK current nearest to that ion's current."""
    misfit: Float[np.ndarray, "bath ion"]
    """Root mean square of the difference of the two, over that of the current."""
    reversal: Float[np.ndarray, " bath"]
    """Reversal potential, mV."""
    ion_names: tuple[str, ...]
    converged: Bool[np.ndarray, " bath"]
    """Whether all voltages converged; where not, the numbers are NaN."""

    @property
    def ratio(self) -> Float[np.ndarray, "bath ion"]:
        """Permeabilities over that of the first ion."""
        return self.permeability / self.permeability[:, :1]


def effective_permeability(
    channel: Channel,
    factors: ArrayLike,
    voltages: Sequence[float] | ArrayLike = (),
    *,
    discretization: Discretization = AXIAL,
) -> EffectivePermeability:
    """Permeabilities that a GHK analysis would report for a PNP channel in more and less concentrated baths.

    - factors: of the concentrations of both baths, [bath].
    - voltages: mV; by default 20 from −100 to 100, none of them 0, where equal baths have no current.
    - discretization: as in `pnp.iv_curve`.

    The permeability of an ion is the factor of its GHK current that comes nearest to its PNP current, by least squares
    over all voltages. In a constant field it would not depend on the baths.

    Raises ValueError, ChannelError as `pnp.iv_curve`.
    """
    factors = np.atleast_1d(np.asarray(factors, float))
    voltages = np.asarray(voltages, float) if np.size(voltages) else np.linspace(-100, 100, 20)
    if factors.ndim != 1 or not (np.isfinite(factors) & (factors > 0)).all():
        raise ValueError(f"factors must be positive numbers, not {factors}")
    rows = [_ghk_analysis(_concentrated(channel, f), voltages, discretization) for f in factors]
    permeability, misfit, reversal, converged = map(np.array, zip(*rows, strict=True))
    bath = np.asarray(channel.bath_concentration)[0]
    strength = 0.5 * float(bath @ channel.valence**2)
    return EffectivePermeability(strength * factors, permeability, misfit, reversal, channel.ion_names, converged)


def _concentrated(channel: Channel, factor: float) -> Channel:
    return channel.with_baths(*({k: factor * c for k, c in b.items()} for b in (channel.inside, channel.outside)))


def _ghk_analysis(channel: Channel, voltages: np.ndarray, discretization: Discretization):
    """Permeabilities, misfits, reversal potential and whether all voltages converged, for one pair of baths."""
    curve = iv_curve(channel, voltages, discretization=discretization)
    current, converged = np.asarray(curve.ion_current), bool(np.asarray(curve.converged).all())
    inside, outside = np.asarray(channel.bath_concentration)
    unit = np.asarray(_unit_currents(voltages, inside, outside, channel.valence, float(channel.temperature)))
    with np.errstate(invalid="ignore", divide="ignore"):
        permeability = (unit * current).sum(0) / (unit**2).sum(0)
        misfit = np.sqrt(((current - permeability * unit) ** 2).mean(0)) / np.sqrt((current**2).mean(0))
    return permeability, misfit, curve.reversal_potential() if converged else np.nan, converged


@jax.jit
def _unit_currents(voltage, inside, outside, valence, temperature):
    return ghk_current(jnp.asarray(voltage)[:, None], inside, outside, 1.0, jnp.asarray(valence), temperature)
