"""Time of a fit: four numbers of a channel to three curves of 41 points, from 16 starts, after compilation.

The reference is SciPy's `least_squares` with finite differences of the same forward model (one compiled program for all
three curves), from the same starts one after the other. The best chi2 of both are compared.
"""

import argparse
import sys
import time

FREE = ["pore.diffusivity.K.scale", "pore.diffusivity.Cl.scale", "pore.segment.2.charge", "pore.permittivity.scale"]
BATHS = ((100.0, 100.0), (300.0, 100.0), (100.0, 300.0))  # mM KCl, inside and outside
ERROR = 0.3  # pA


def measured(channel, nodes):
    """Three curves of the channel, with noise."""
    import numpy as np

    import pnp
    from pnp.fit import IVData

    rng, voltage, sets = np.random.default_rng(0), np.linspace(-100, 100, 41), []
    for inside, outside in BATHS:
        bath = {"inside": {"K": inside, "Cl": inside}, "outside": {"K": outside, "Cl": outside}}
        current = np.asarray(pnp.iv_curve(channel.with_baths(**bath), voltage, discretization=pnp.Axial(nodes)).current)
        noisy = current + ERROR * rng.normal(size=voltage.size)
        sets.append(IVData(voltage, noisy, np.full(voltage.size, ERROR), **bath, label=f"{inside:g}|{outside:g} mM"))
    return sets


def timed(function):
    """The function's result and its time, s."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def by_scipy(problem, starts):
    """Best chi2 from each of [start, parameter] in s, number of forward solutions, and seconds."""
    import equinox as eqx
    import jax
    import numpy as np
    from scipy.optimize import least_squares

    space, calls = problem.space, [0]
    forward = eqx.filter_jit(problem.model.prediction(problem.channel, problem.parameter_map, problem.experiment))
    jax.block_until_ready(forward(space.value(space.start)))  # compiled

    def residual(u):
        calls[0] += 1
        value = np.asarray(forward(space.value(space.s_of_u(u))))
        return np.where(np.isfinite(value), (value - problem.target) / problem.sd, 1e6)

    def all_starts():
        each = [least_squares(residual, space.u_of_s(s), method="trf", ftol=1e-8, xtol=1e-8, gtol=1e-8) for s in starts]
        return np.array([2 * result.cost for result in each])

    chi2, seconds = timed(all_starts)
    return chi2, calls[0], seconds


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=200, help="elements of the mesh (default 200)")
    parser.add_argument("--starts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3, help="of the fit (default 3)")
    options = parser.parse_args()
    import numpy as np

    import pnp
    from pnp.fit import PNP, fit
    from pnp.fit.estimate.fit import fit_problem
    from pnp.fit.estimate.problem import FitProblem

    channel = pnp.load("kcsa-like")
    data = measured(channel, options.nodes)
    first, cold = timed(lambda: fit(channel, data, FREE, model=PNP(pnp.Axial(options.nodes)), starts=options.starts))
    problem = FitProblem(channel, data, FREE, PNP(pnp.Axial(options.nodes)))
    fit_problem(problem, starts=options.starts)
    times = [timed(lambda: fit_problem(problem, starts=options.starts))[1] for _ in range(options.repeats)]
    chi2, calls, scipy = by_scipy(problem, problem.space.starts(options.starts, 0))
    pnp_time = float(np.median(times))
    evaluations = int(first.starts.evaluations.sum())
    print(f"{len(FREE)} numbers, {problem.target.size} currents, {options.starts} starts, {options.nodes} elements")
    heads = ["time, s", "time / pnp", "model solved", "ms each", "best chi2", "at minimum"]
    print(" " * 34 + "".join(head.rjust(width) for head, width in zip(heads, (9, 12, 14, 9, 11, 14), strict=True)))
    at_minimum = lambda each: f"{int((each < first.chi2 + 0.5).sum())} of {options.starts}"
    rows = [
        ("pnp.fit, with Jacobians", pnp_time, evaluations, first.chi2, at_minimum(first.starts.chi2)),
        ("scipy least_squares, differences", scipy, calls, chi2.min(), at_minimum(chi2)),
    ]
    for name, seconds, solved, best, arrived in rows:
        each = 1e3 * seconds / solved
        ratio = seconds / pnp_time
        print(f"{name:34}{seconds:9.2f}{ratio:12.1f}{solved:14d}{each:9.1f}{best:11.4f}{arrived:>14}")
    print(f"The first fit of the process took {cold:.1f} s.")
    if not chi2.min() > first.chi2 - 1e-3:
        sys.exit("error: SciPy found a lower chi2")


if __name__ == "__main__":
    main()
