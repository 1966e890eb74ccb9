"""Do 95 % intervals hold the truth 95 % of the time? Fits of many made-up measurements of one charged pore, in a batch.

A pore of −1 M between sharp edges, its ions' diffusivities and its charge unknown, I–V curves in three solutions with
noise; every replica has other noise. Intervals are those of `pnp.fit`, with errors that are known and that are not.
"""

import argparse
import sys

REPLICAS, TOLERANCE = 500, 0.03
TRUTH = {"pore.diffusivity.K": 0.8, "pore.diffusivity.Cl": 1.1, "pore.charge.0.density.scale": 1.0}
BATHS = ((100.0, 100.0), (400.0, 100.0), (100.0, 400.0))  # mM KCl, inside and outside
NOISE = 0.03  # of the largest current of a curve


def problem(nodes):
    """The pore and three curves without noise."""
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
        current = np.asarray(
            pnp.iv_curve(channel.with_baths(**bath), voltage, discretization=pnp.Axial(nodes)).extrapolated_current
        )
        error = np.full(voltage.size, NOISE * np.abs(current).max())
        sets.append(IVData(voltage, current, error, **bath, label=f"{inside:g}|{outside:g} mM"))
    return FitProblem(channel, sets, list(TRUTH), PNP(pnp.Axial(nodes)))


def fitted(of, replicas, seed, say):
    """(s, standard errors with known errors, chi2) of each replica."""
    import numpy as np

    from pnp.fit.estimate.covariance import uncertainty
    from pnp.fit.estimate.levenberg_marquardt import minimise

    space = of.space
    targets = of.target + of.sd * np.random.default_rng(seed).normal(size=(replicas, of.target.size))
    # Not from the truth: a factor of up to 1.5 off.
    off = np.random.default_rng(seed + 1).uniform(-0.4, 0.4, (replicas, space.start.size))
    run = minimise(
        lambda u, which: of.residuals(u, targets[which]),
        space.u_of_s(space.start + off),
        lambda chi2: 1e-6 + 0 * chi2,
        report=lambda run: say(f"{int(run.done.sum())} of {replicas} fits are done"),
    )
    found = of.residuals(run.u, targets)
    jacobian = found.jacobian / space.slope(run.u)[:, None]
    std = np.stack([uncertainty(each, space, 1.0).std for each in jacobian])
    return space.s_of_u(run.u), std, run.chi2


def main():
    """Print the table; exit status 1 if a coverage is not 95 % within the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=REPLICAS, help=f"default {REPLICAS}")
    parser.add_argument("--nodes", type=int, default=100, help="elements of the mesh (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.replicas < 2 or given.nodes < 24:
        parser.error("--replicas must be at least 2, --nodes at least 24")
    import numpy as np

    from pnp.fit.estimate.covariance import quantile

    of = problem(given.nodes)
    say = lambda text: print(f"\r{text}", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None
    s, std, chi2 = fitted(of, given.replicas, given.seed, say)
    off = s - of.space.start
    scale = np.sqrt(chi2 / of.dof)[:, None]
    known = np.abs(off) < quantile(of.dof, True) * std
    unknown = np.abs(off) < quantile(of.dof, False) * std * scale
    print(
        f"{given.replicas} replicas of {of.target.size} currents, noise {100 * NOISE:g} %; {of.dof} degrees of freedom"
    )
    print(f"{'number':30}{'error, %':>10}{'bias, %':>10}{'held, errors known':>20}{'not known':>12}")
    for i, name in enumerate(of.space.names):
        print(
            f"{name:30}{100 * std[:, i].mean():10.2f}{100 * off[:, i].mean():10.2f}"
            f"{100 * known[:, i].mean():18.1f} %{100 * unknown[:, i].mean():10.1f} %"
        )
    print(
        f"mean chi2 {chi2.mean():.2f}, its scatter {chi2.std():.2f} (expected {of.dof} and {np.sqrt(2 * of.dof):.2f})"
    )
    held = np.concatenate([known.mean(0), unknown.mean(0)])
    if not (np.abs(held - 0.95) <= TOLERANCE).all():
        sys.exit(
            f"error: 95 % intervals hold the truth in {100 * held.min():.1f} to {100 * held.max():.1f} % of the fits"
        )


if __name__ == "__main__":
    main()
