"""Coverage of 95 % intervals: how often they contain the true value, from many synthetic measurements of one pore.

The pore has −1 M between sharp edges; diffusivities and charge are fitted to I–V curves in three solutions, with other
noise in every replica. All replicas are fitted in one batch. Intervals are those of `pnp.fit`, with known and with
unknown standard errors.
"""

import argparse
import sys

REPLICAS, TOLERANCE = 500, 0.03
TRUTH = {"pore.diffusivity.K": 0.8, "pore.diffusivity.Cl": 1.1, "pore.charge.0.density.scale": 1.0}
BATHS = ((100.0, 100.0), (400.0, 100.0), (100.0, 400.0))  # mM KCl, inside and outside
NOISE = 0.03  # of the largest current of a curve


def problem(nodes):
    """The fit of the pore to three curves without noise."""
    import numpy as np

    import pnp
    from pnp.fit import PNP, IVData
    from pnp.fit.estimate.problem import FitProblem

    x = np.array([0.0, 3.0, 3.0, 5.0, 5.0, 8.0])
    channel = pnp.Channel.from_profiles(
        x,
        area=np.ones(6),
        fixed_charge=np.array([0.0, 0.0, -1.0, -1.0, 0.0, 0.0]),
        ions=["K", "Cl"],
        diffusivity={name: TRUTH[f"pore.diffusivity.{name}"] for name in ("K", "Cl")},
        inside={"K": 100.0, "Cl": 100.0},
        outside={"K": 100.0, "Cl": 100.0},
    )
    voltage, sets = np.linspace(-100, 100, 11), []
    for inside, outside in BATHS:
        bath = {"inside": {"K": inside, "Cl": inside}, "outside": {"K": outside, "Cl": outside}}
        current = np.asarray(pnp.iv_curve(channel.with_baths(**bath), voltage, discretization=pnp.Axial(nodes)).current)
        error = np.full(voltage.size, NOISE * np.abs(current).max())
        sets.append(IVData(voltage, current, error, **bath, label=f"{inside:g}|{outside:g} mM"))
    return FitProblem(channel, sets, list(TRUTH), PNP(pnp.Axial(nodes)))


def fit_replicas(problem, replicas, seed, report):
    """(s, standard errors with known errors, chi2) of each replica."""
    import numpy as np

    from pnp.fit.estimate.covariance import uncertainty
    from pnp.fit.estimate.levenberg_marquardt import minimise

    space = problem.space
    noise = np.random.default_rng(seed).normal(size=(replicas, problem.target.size))
    targets = problem.target + problem.sd * noise
    # Starts differ from the true values by a factor of up to 1.5.
    offset = np.random.default_rng(seed + 1).uniform(-0.4, 0.4, (replicas, space.start.size))
    search = minimise(
        lambda u, replica: problem.residuals(u, targets[replica]),
        space.u_of_s(space.start + offset),
        lambda chi2: 1e-6 + 0 * chi2,
        report=lambda search: report(f"{int(search.done.sum())} of {replicas} fits are done"),
    )
    jacobian = problem.residuals(search.u, targets).jacobian / space.slope(search.u)[:, None]
    std = np.stack([uncertainty(each, space, 1.0).std for each in jacobian])
    return space.s_of_u(search.u), std, search.chi2


def main():
    """Print the table; exit status 1 if a coverage is not 95 % within the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=REPLICAS, help=f"default {REPLICAS}")
    parser.add_argument("--nodes", type=int, default=100, help="elements of the mesh (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.replicas < 2 or options.nodes < 24:
        parser.error("--replicas must be at least 2, --nodes at least 24")
    import numpy as np

    from pnp.fit.estimate.covariance import quantile

    replicas = options.replicas
    fitted = problem(options.nodes)
    report = lambda text: print(f"\r{text}", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None
    s, std, chi2 = fit_replicas(fitted, replicas, options.seed, report)
    error = s - fitted.space.start
    scale = np.sqrt(chi2 / fitted.dof)[:, None]
    known = np.abs(error) < quantile(fitted.dof, True) * std
    unknown = np.abs(error) < quantile(fitted.dof, False) * std * scale
    points, dof = fitted.target.size, fitted.dof
    print(f"{replicas} replicas of {points} currents, noise {100 * NOISE:g} %; {dof} degrees of freedom")
    print(f"{'number':30}{'error, %':>10}{'bias, %':>10}{'covered, errors known':>22}{'not known':>12}")
    for i, name in enumerate(fitted.space.names):
        print(
            f"{name:30}{100 * std[:, i].mean():10.2f}{100 * error[:, i].mean():10.2f}"
            f"{100 * known[:, i].mean():20.1f} %{100 * unknown[:, i].mean():10.1f} %"
        )
    print(f"mean chi2 {chi2.mean():.2f}, its scatter {chi2.std():.2f} (expected {dof} and {np.sqrt(2 * dof):.2f})")
    coverage = np.concatenate([known.mean(0), unknown.mean(0)])
    if not (np.abs(coverage - 0.95) <= TOLERANCE).all():
        low, high = 100 * coverage.min(), 100 * coverage.max()
        sys.exit(f"error: 95 % intervals contain the true value in {low:.1f} to {high:.1f} % of the fits")


if __name__ == "__main__":
    main()
