"""The whole distribution of the parameters given the data: Hamiltonian Monte Carlo on the likelihood that was fitted.

Needs blackjax (`pip install "pnp[posterior]"`). Prior: even in s, the logarithm of what must stay positive, between
the bounds. Where errors are not known σ is integrated out under p(σ) ∝ 1/σ, which leaves (Σ r²)^(−N/2) (Gelman et al.,
2013, Bayesian Data Analysis, section 14.2).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

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
    samples: np.ndarray
    """[chain, sample, parameter], in the parameters' own units."""
    r_hat: np.ndarray
    """[parameter], 1 where chains agree."""
    effective_size: np.ndarray
    """[parameter], of independent samples worth as much."""
    divergences: int
    """Trajectories that went astray: where there are some, a part of the distribution may be missing."""
    acceptance: float
    warnings: tuple[str, ...]

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """By parameter, between quantiles that leave out as much on either side."""
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

    They begin around the best fit, and move in coordinates in which the fit's covariance is the unit matrix. report:
    called with how many of the warmup + samples steps are done. Raises FitError if blackjax is missing, or the fit did
    not converge.
    """
    try:
        import blackjax
        from blackjax.adaptation.step_size import dual_averaging_adaptation
    except ImportError:
        raise FitError('sampling needs blackjax: pip install "pnp[posterior]"') from None
    if isinstance(getattr(fit.problem.model, "discretization", None), Axisymmetric):
        raise FitError("a posterior can be sampled in one dimension only: two would take days; see `profile`")
    if fit.status != "converged":
        raise FitError(f"there is nothing to sample around: the fit's status is {fit.status}")
    around = _Around(fit)
    kernel = blackjax.nuts.build_kernel()
    begin, adapt, settle = dual_averaging_adaptation(_ACCEPTANCE)

    @jax.jit
    def step(keys, state, size):
        one = lambda key, state: kernel(key, state, around.log_density, size, jnp.ones(around.centre.size))
        return jax.vmap(one)(keys, state)

    first, *keys = jax.random.split(jax.random.key(seed), 1 + warmup + samples)
    z = 0.3 * jax.random.normal(first, (chains, around.centre.size))
    state = jax.jit(jax.vmap(lambda z: blackjax.nuts.init(z, around.log_density)))(z)
    size, pace = 0.5, begin(0.5)
    kept, strayed, accepted = [], 0, []
    for i, key in enumerate(keys):
        state, info = step(jax.random.split(key, chains), state, size)
        if i < warmup:
            pace = adapt(pace, info.acceptance_rate.mean())
            size = float(jnp.exp(pace.log_step_size)) if i < warmup - 1 else float(settle(pace))
        else:
            kept.append(np.asarray(around.value(state.position)))
            strayed += int(info.is_divergent.sum())
            accepted.append(float(info.acceptance_rate.mean()))
        report(i + 1)
    return _summary(fit.problem.space.names, np.stack(kept, 1), strayed, float(np.mean(accepted)))


class _Around:
    """Coordinates z about the best fit in which its covariance is the unit matrix, and the density there."""

    def __init__(self, fit: Fit):
        problem = self.problem = fit.problem
        space = self.space = problem.space
        self.centre = space.u_of_s(fit.s)
        slope = space.slope(self.centre)
        # What the data leave open keeps the spread of the starts.
        left = fit.uncertainty.open_directions * space.spread
        covariance = fit.uncertainty.known + left.T @ left
        self.root = np.linalg.cholesky(covariance / np.outer(slope, slope))
        self.predicted = problem.model.traced(problem.channel, problem.wiring, problem.asked)

    def s(self, z):
        """[..., parameter]."""
        return self.space.s_of_u(self.centre + z @ self.root.T, jnp)

    def value(self, z):
        """[..., parameter], in the parameters' own units."""
        return self.space.value(np.asarray(self.s(z)))

    def log_density(self, z):
        """Of one z, up to a constant."""
        problem, space = self.problem, self.space
        u = self.centre + self.root @ z
        value = space.value(space.s_of_u(u, jnp), jnp)
        residual = (self.predicted(value) - problem.target) / problem.sd
        if problem.robust is not None:
            residual = robust_residual(residual, problem.robust, jnp)[0]
        chi2 = (residual**2).sum()
        count = problem.target.size
        likelihood = -chi2 / 2 if problem.known_errors else -count / 2 * jnp.log(chi2)
        # Even in s: the density in u is that times ds/du.
        density = likelihood + jnp.log(space.slope(u, jnp)).sum()
        return jnp.where(jnp.isfinite(density), density, -jnp.inf)


def _summary(names, samples: np.ndarray, strayed: int, acceptance: float) -> Posterior:
    from blackjax.diagnostics import effective_sample_size, potential_scale_reduction

    r_hat, size = (np.atleast_1d(of(samples)) for of in (potential_scale_reduction, effective_sample_size))
    found = []
    if (r_hat > R_HAT).any():
        worst = int(r_hat.argmax())
        found.append(f"the chains have not mixed (R-hat {r_hat[worst]:.3g} of {names[worst]}): take more samples")
    if strayed:
        found.append(f"{strayed} trajectories diverged: part of the distribution may be missing; narrow the bounds")
    return Posterior(names, samples, r_hat, size, strayed, acceptance, tuple(found))
