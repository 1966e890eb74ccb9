"""The posterior distribution of the parameters, sampled by Hamiltonian Monte Carlo.

Needs blackjax (`pip install "jax-pnp[posterior]"`). The likelihood is that of the fit. The prior is uniform in s
(`pnp.fit.model.parameters`) between the bounds. Where errors are not known, σ is integrated out under p(σ) ∝ 1/σ, which
gives (Σ r²)^(−N/2) (Gelman et al., 2013, Bayesian Data Analysis, section 14.2).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pnp.analysis.discretization import Axisymmetric
from pnp.fit.estimate.problem import robust_residual
from pnp.fit.estimate.result import Fit
from pnp.fit.model.parameters import FitError

_ACCEPTANCE = 0.8

R_HAT = 1.01
"""Above it chains have not mixed (Vehtari et al., 2021, Bayesian Anal. 16:667)."""


class Posterior(NamedTuple):
    """Samples of the parameters, and how far to trust them."""

    names: tuple[str, ...]
    samples: Float[np.ndarray, "chain sample parameter"]
    """In the parameters' own units."""
    r_hat: Float[np.ndarray, " parameter"]
    """1 where chains agree."""
    effective_size: Float[np.ndarray, " parameter"]
    """Number of independent samples that would be as good."""
    divergences: int
    """Number of divergent trajectories; if there are any, a part of the distribution may be missing."""
    acceptance: float
    warnings: tuple[str, ...]

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """The central interval that holds `level` of the samples, by parameter."""
        low, high = np.quantile(self.samples, [0.5 - level / 2, 0.5 + level / 2], axis=(0, 1))
        return {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high, strict=True)}

    @property
    def median(self) -> dict[str, float]:
        """By parameter."""
        return dict(zip(self.names, np.median(self.samples, axis=(0, 1)).tolist(), strict=True))


def posterior(
    fit: Fit,
    *,
    samples: int = 250,
    warmup: int = 150,
    chains: int = 4,
    seed: int = 0,
    report: Callable[[int], None] = lambda done: None,
) -> Posterior:
    """Sample the posterior by NUTS (Hoffman & Gelman, 2014, J. Mach. Learn. Res. 15:1593), chains side by side.

    - samples, warmup: number of steps of each chain that are kept, and before that are not.
    - chains: they start around the best fit.
    - report: called with the number of steps done, of warmup + samples.

    Raises FitError if blackjax is missing, the fit did not converge, or its model is axisymmetric.
    """
    try:
        import blackjax
        from blackjax.adaptation.step_size import dual_averaging_adaptation
    except ImportError:
        raise FitError('sampling needs blackjax: pip install "jax-pnp[posterior]"') from None
    if isinstance(fit.problem.model.discretization, Axisymmetric):
        raise FitError("a posterior can be sampled in one dimension only: two would take days; see `profile`")
    if fit.status != "converged":
        raise FitError(f"there is nothing to sample around: the fit's status is {fit.status}")
    density = _Density(fit)
    kernel = blackjax.nuts.build_kernel()
    init, update, final = dual_averaging_adaptation(_ACCEPTANCE)

    @jax.jit
    def step(keys, state, size):
        one = lambda key, state: kernel(key, state, density.log_density, size, jnp.ones(density.centre.size))
        return jax.vmap(one)(keys, state)

    first, *keys = jax.random.split(jax.random.key(seed), 1 + warmup + samples)
    z = 0.3 * jax.random.normal(first, (chains, density.centre.size))
    state = jax.jit(jax.vmap(lambda z: blackjax.nuts.init(z, density.log_density)))(z)
    size, adaptation = 0.5, init(0.5)
    kept, divergences, acceptance = [], 0, []
    for i, key in enumerate(keys):
        state, info = step(jax.random.split(key, chains), state, size)
        if i < warmup:
            adaptation = update(adaptation, info.acceptance_rate.mean())
            size = float(jnp.exp(adaptation.log_step_size)) if i < warmup - 1 else float(final(adaptation))
        else:
            kept.append(np.asarray(density.value(state.position)))
            divergences += int(info.is_divergent.sum())
            acceptance.append(float(info.acceptance_rate.mean()))
        report(i + 1)
    return _summary(fit.problem.space.names, np.stack(kept, 1), divergences, float(np.mean(acceptance)))


class _Density:
    """The posterior density in coordinates z about the best fit in which its covariance is the unit matrix."""

    def __init__(self, fit: Fit):
        problem = self.problem = fit.problem
        space = self.space = problem.space
        self.centre = space.u_of_s(fit.s)
        slope = space.slope(self.centre)
        # Undetermined directions keep the spread of the starts.
        undetermined = fit.uncertainty.undetermined * space.spread
        covariance = fit.uncertainty.determined_covariance + undetermined.T @ undetermined
        self.root = np.linalg.cholesky(covariance / np.outer(slope, slope))
        self.prediction = problem.model.prediction(problem.channel, problem.parameter_map, problem.experiment)

    def value(self, z: Float[np.ndarray, "*any parameter"]) -> Float[np.ndarray, "*any parameter"]:
        """Parameters in their own units."""
        return self.space.value(self.space.s_of_u(self.centre + np.asarray(z) @ self.root.T))

    def log_density(self, z):
        """Of one z, up to a constant."""
        problem, space = self.problem, self.space
        u = self.centre + self.root @ z
        value = space.value(space.s_of_u(u, jnp), jnp)
        residual = (self.prediction(value) - problem.target) / problem.sd
        if problem.robust is not None:
            residual = robust_residual(residual, problem.robust, jnp)[0]
        chi2 = (residual**2).sum()
        likelihood = -chi2 / 2 if problem.known_errors else -problem.target.size / 2 * jnp.log(chi2)
        # Uniform in s: the density in u is that times ds/du.
        density = likelihood + jnp.log(space.slope(u, jnp)).sum()
        return jnp.where(jnp.isfinite(density), density, -jnp.inf)


def _summary(names, samples: np.ndarray, divergences: int, acceptance: float) -> Posterior:
    from blackjax.diagnostics import effective_sample_size, potential_scale_reduction

    r_hat, size = (np.atleast_1d(jax.jit(f)(samples)) for f in (potential_scale_reduction, effective_sample_size))
    warnings = []
    if (r_hat > R_HAT).any():
        worst = int(r_hat.argmax())
        warnings.append(f"the chains have not mixed (R-hat {r_hat[worst]:.3g} of {names[worst]}): take more samples")
    if divergences:
        warnings.append(
            f"{divergences} trajectories diverged: part of the distribution may be missing; narrow the bounds"
        )
    return Posterior(names, samples, r_hat, size, divergences, acceptance, tuple(warnings))
