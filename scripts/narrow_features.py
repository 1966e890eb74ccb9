"""Random channels with narrow features: is what a mesh of few elements says of its error true?

Drawn from a seed, all with K⁺ and Cl⁻: pores of 1 to 100 nm length and 0.3 to 5 nm radius, 10 to 1000 mM in each bath,
−200 to 200 mV. Radius, permittivity, diffusivities, fixed charge and potentials of mean force each have, with even
odds, up to two features of a width from 1e-4 of the length to a third of it: bumps, or steps with soft edges. A third
of the channels is given by functions, a third by tables of 501 rows, a third by tables of 41 rows, which have kinks
where those miss a feature.

Each is solved on `--nodes` elements, and again on 6400. A channel counts as

    converged   there is a value, and the status claims an error below 1 %
    flagged     the status says that the mesh is too coarse or that there is no value
    unchecked   converged, but 6400 elements claim no better error than 0.1 %
    wrong       converged, but more than 1 % off

The exit status is 1 if a channel is wrong.
"""

import argparse
import sys

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import pnp
from pnp.channel.charge import VolumeCharge
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Profile, Table

KINDS = {"functions": 0, "tables of 501 rows": 501, "tables of 41 rows": 41}
REFERENCE = 6400
NARROWEST = 1e-4
AMPLITUDES = {"radius": 1.0, "permittivity": 1.5, "K": 2.0, "Cl": 2.0, "charge": 3.0, "pmf.K": 10.0, "pmf.Cl": 10.0}
"""Largest features: e-folds of radius, permittivity and diffusivities; charge in M, energies in kT."""


class Features(Profile):
    """A constant with bumps and soft steps on it; those of `log` quantities are factors."""

    base: Float[Array, "*case"]
    height: Float[Array, "*case feature"]
    position: Float[Array, "*case feature"]
    width: Float[Array, "*case feature"]
    step: Float[Array, "*case feature"]
    """1 for a step, 0 for a bump."""
    log: bool = eqx.field(static=True)

    def __call__(self, x):
        t = (jnp.asarray(x)[..., None] - self.position) / self.width
        shape = jnp.where(self.step > 0.5, (1 + jnp.tanh(t)) / 2, jnp.exp(-0.5 * t * t))
        total = (self.height * shape).sum(-1)
        return self.base * jnp.exp(total) if self.log else self.base + total

    def reflected(self):
        """The same with x turned round: a step of negative width falls."""
        return Features(self.base, self.height, -self.position, -self.width, self.step, self.log)


def draw_one(rng):
    """The numbers of one channel."""
    log_uniform = lambda low, high, size=None: np.exp(rng.uniform(np.log(low), np.log(high), size))
    length = log_uniform(1.0, 100.0)
    features = {}
    for name, largest in AMPLITUDES.items():
        count = rng.integers(3) if rng.random() < 0.5 else 0
        features[name] = {
            "height": np.where(np.arange(2) < count, rng.uniform(-largest, largest, 2), 0.0),
            "position": length * rng.uniform(0.05, 0.95, 2),
            "width": length * log_uniform(NARROWEST, 1 / 3, 2),
            "step": (rng.random(2) < 0.5).astype(float),
        }
    return {
        "length": length,
        "radius": log_uniform(0.3, 5.0),
        "bath": log_uniform(10.0, 1000.0, 2),
        "voltage": rng.uniform(-200.0, 200.0),
        "features": features,
    }


def make_channel(numbers, rows):
    """A channel, its profiles as tables of some rows, or functions with 0."""
    length = float(numbers["length"])

    def profile(name, base, log=True):
        exact = Features(jnp.asarray(base, float), **{k: jnp.asarray(v) for k, v in numbers["features"][name].items()},
                         log=log)  # fmt: skip
        x = np.linspace(0.0, length, rows or 2)
        return Table(x, exact(x)) if rows else exact

    pore = Pore(
        start=0.0,
        end=length,
        area=Circle(profile("radius", numbers["radius"])),
        permittivity=profile("permittivity", 78.4),
        charge=(VolumeCharge(profile("charge", 0.0, log=False), 0.0, length),),
        diffusivity={"K": profile("K", 1.96), "Cl": profile("Cl", 2.03)},
        pmf={ion: profile(f"pmf.{ion}", 0.0, log=False) for ion in ("K", "Cl")},
    )
    ions = {"K": pnp.Ion(1, 1.96), "Cl": pnp.Ion(-1, 2.03)}
    return pnp.Channel(ions, pore, *({"K": c, "Cl": c} for c in numbers["bath"]))


def run(count, seed, nodes, reference=REFERENCE, kinds=KINDS, progress=None):
    """(verdicts by name, true error, stated error), [channel] in the order of their kinds; errors over the current."""
    parts = []
    for k, rows in enumerate(kinds.values()):
        drawn = [draw_one(np.random.default_rng([seed, i])) for i in range(k, count, len(kinds))]
        if not drawn:
            continue
        channels = pnp.stack([make_channel(numbers, rows) for numbers in drawn])
        voltages = np.array([numbers["voltage"] for numbers in drawn])
        found, fine = (
            pnp.solve_batch(channels, voltages, discretization=pnp.Axial(n), progress=progress, batch=16)
            for n in (nodes, reference)
        )
        parts.append((found, fine))
    every = lambda get: np.concatenate([get(*part) for part in parts])
    claimed = every(lambda found, fine: found.status < pnp.Status.MESH_TOO_COARSE)
    known = every(lambda found, fine: np.isfinite(fine.current) & (fine.discretization_error < 1e-3))
    size = every(lambda found, fine: np.abs(found.current))
    true = every(lambda found, fine: np.abs(found.current - fine.current)) / size
    stated = every(lambda found, fine: found.discretization_error)
    status = every(lambda found, fine: found.status)
    verdicts = {
        "converged": claimed,
        "flagged: mesh too coarse": status == pnp.Status.MESH_TOO_COARSE,
        "flagged: no value": status == pnp.Status.NOT_CONVERGED,
        "unchecked": claimed & ~known,
        "wrong": claimed & known & (true > 0.01),
    }
    return verdicts, np.where(known, true, np.nan), stated


def main():
    """Solve, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, metavar="N", help="channels (default 300)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="that they are drawn from (default 1)")
    parser.add_argument("--nodes", type=int, default=400, metavar="N", help="elements of the mesh (default 400)")
    options = parser.parse_args()
    if options.count < len(KINDS) or options.nodes < 64:
        parser.error(f"--count must be at least {len(KINDS)} and --nodes at least 64")
    done = 0

    def progress(count):
        nonlocal done
        done += count
        print(f"\r{done} of {2 * options.count} solved", end="", file=sys.stderr, flush=True)

    verdicts, true, stated = run(options.count, options.seed, options.nodes, progress=progress)
    print(f"\r{options.count} channels from seed {options.seed}, {options.nodes} elements; checked with {REFERENCE}\n")
    for name, mask in verdicts.items():
        print(f"{name:28}{mask.sum():8}{100 * mask.mean():9.2f} %")
    checked = np.isfinite(true) & np.isfinite(stated)
    ratio = np.sort((true / stated)[checked])
    at = lambda share: ratio[min(int(share * ratio.size), ratio.size - 1)]
    print(f"\n{'true over stated error':28}  median      95 %      99 %   largest")
    print(" " * 28 + "".join(f"{at(share):8.2g}  " for share in (0.5, 0.95, 0.99, 1.0)))
    print(f"{'within three times':28}{100 * np.mean(ratio <= 3):8.1f} %")
    for i in np.flatnonzero(verdicts["wrong"]):
        print(f"wrong: channel {i}, {true[i]:.1e} instead of {stated[i]:.1e}")
    sys.exit(1 if verdicts["wrong"].any() else 0)


if __name__ == "__main__":
    main()
