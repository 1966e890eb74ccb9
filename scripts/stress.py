"""Random channels, far harder than real ones: how many converge, and are the answers right?

Drawn from a seed: two to six ions of valence −2 to +3 at 1 µM to 4 M, with up to a millionfold ratio between the
baths; pores of 0.15–50 nm radius, straight or conical, and 0.5 nm to 10 µm length; one, two or three regions of fixed
charge of up to ±5 M whose edges are sharp or as soft as a third of a region; permittivities of 80 down to 2 with the
Born energy of every ion; −1 to 1 V.

Each is solved as `pnp.solve` does by default, then again on twice as many elements and by another path: without a
first attempt, always from the uncharged pore without voltage through the whole continuation. A channel counts as

    converged   there is a value, and the status claims an error below 1 %
    flagged     the status says that the mesh is too coarse or that there is no value
    unchecked   converged, but the other path led nowhere
    wrong       converged, but the other path led elsewhere: the error is larger than claimed

The exit status is 1 if a channel is wrong or has a NaN that its status does not explain.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass

import numpy as np

# Valences, one program is compiled for each set and kind of edge.
ION_SETS = (
    (1, -1),
    (2, -1),
    (3, -2),
    (1, 2, -1),
    (1, -1, -2),
    (1, 1, -1, -1),
    (1, 2, 3, -1, -2),
    (1, 1, 2, 3, -1, -2),
)
REGIONS = 3
CLAIM = 0.01  # an unflagged current is at least this good: pnp.analysis.mesh_hierarchy.COARSE_ERROR
RANGES = {
    "radius": (0.15, 50.0),  # nm
    "length": (0.5, 1e4),  # nm
    "bath": (1e-3, 4e3),  # mM
    "ratio": (1.0, 1e6),
    "charge": (1e-3, 5.0),  # M
    "permittivity": (2.0, 80.0),
    "voltage": 1e3,  # mV
    "ion_radius": (0.07, 0.25),  # nm
    "diffusivity": (0.5, 2.1),  # nm²/ns
    "temperature": (273.15, 323.15),  # K
}


@dataclass(frozen=True)
class Group:
    """Channels of one structure, which share a compiled program: numbers as arrays [channel, …]."""

    valence: tuple[int, ...]
    sharp: bool
    index: np.ndarray
    numbers: dict[str, np.ndarray]


STRUCTURES = [(valence, sharp) for valence in ION_SETS for sharp in (True, False)]


def draw(count, seed, structures=STRUCTURES):
    """`count` channels in groups; the same seed gives the same channels, whatever the count."""
    kind = np.arange(count) % len(structures)
    groups = []
    for number, (valence, sharp) in enumerate(structures):
        index = np.flatnonzero(kind == number)
        if index.size:
            drawn = [draw_one(np.random.default_rng([seed, int(i)]), np.array(valence)) for i in index]
            numbers = {key: np.array([one[key] for one in drawn]) for key in drawn[0]}
            groups.append(Group(valence, sharp, index, numbers))
    return groups


def draw_one(rng, valence):
    """The numbers of one channel."""
    log_uniform = lambda low, high, size=None: np.exp(rng.uniform(np.log(low), np.log(high), size))
    within = lambda name, size=None: log_uniform(*RANGES[name], size)
    radius = within("radius")
    taper = log_uniform(1.0, 10.0) if rng.random() < 0.5 else 1.0
    other = np.clip(radius * taper ** rng.choice([-1, 1]), *RANGES["radius"])
    share = rng.dirichlet([2.0] * REGIONS)
    sign = rng.choice([-1, 1])
    pattern = {0: [sign] * 3, 1: [sign, sign, -sign], 2: [sign, -sign, sign], 3: [0, sign, 0]}[int(rng.integers(4))]
    uneven = rng.random() < 0.5
    density = within("charge", REGIONS if uneven else None) * np.array(pattern)
    permittivity = within("permittivity", REGIONS) if rng.random() < 0.5 else np.full(REGIONS, 80.0)
    low, high = RANGES["bath"]
    ratio = within("ratio")
    lesser = log_uniform(low, high / ratio) if ratio < high / low else low
    baths = [neutral_bath(rng, valence, total) for total in rng.permutation([lesser, lesser * ratio])]
    return {
        "radius": np.array([radius, other]),
        "share": share,
        "length": within("length"),
        "density": density,
        "edge": log_uniform(1e-3, 1 / 3),
        "permittivity": permittivity,
        "bath": np.array(baths),
        "ion_radius": rng.uniform(*RANGES["ion_radius"], valence.size),
        "diffusivity": rng.uniform(*RANGES["diffusivity"], valence.size),
        "temperature": rng.uniform(*RANGES["temperature"]),
        "voltage": rng.uniform(-1, 1) * RANGES["voltage"],
    }


def neutral_bath(rng, valence, total):
    """Random concentrations (mM) without net charge, the largest of them `total`."""
    c = 10 ** rng.uniform(-3, 0, valence.size)
    positive = valence > 0
    c[positive] *= -(valence[~positive] @ c[~positive]) / (valence[positive] @ c[positive])
    return c * total / c.max()


def make_channel(numbers, valence, sharp):
    """A `pnp.Channel` from numbers, which may be traced."""
    import jax.numpy as jnp

    import pnp
    from pnp.channel.charge import VolumeCharge
    from pnp.channel.pore import Pore
    from pnp.channel.profiles import Circle, Constant, Table

    names = [f"ion {k + 1}" for k in range(len(valence))]
    ends = jnp.concatenate([jnp.zeros(1), jnp.cumsum(numbers["share"])]) * numbers["length"]
    edge = numbers["edge"] * numbers["share"].min() * numbers["length"]
    regions = [(numbers["density"][k], ends[k], ends[k + 1]) for k in range(REGIONS)]
    pore = Pore(
        start=ends[0],
        end=ends[-1],
        area=Circle(Table(ends[jnp.array([0, -1])], numbers["radius"])),
        permittivity=Table(jnp.repeat(ends, 2)[1:-1], jnp.repeat(numbers["permittivity"], 2)),
        charge=tuple(VolumeCharge(Constant(density), *span, edge, sharp) for density, *span in regions),
        born=True,
    )
    baths = [dict(zip(names, bath, strict=True)) for bath in numbers["bath"]]
    each = zip(valence, numbers["diffusivity"], numbers["ion_radius"], strict=True)
    ions = {name: pnp.Ion(*ion) for name, ion in zip(names, each, strict=True)}
    return pnp.Channel(ions, pore, *baths, temperature=numbers["temperature"])


# --- solving -----------------------------------------------------------------------------------


def solve(group, nodes, settings=None, progress=None):
    """A group's `pnp.Currents`, at its own voltages."""
    import jax

    import pnp

    channels = jax.jit(jax.vmap(lambda numbers: make_channel(numbers, group.valence, group.sharp)))(group.numbers)
    voltages = group.numbers["voltage"]
    return pnp.solve_batch(channels, voltages, discretization=pnp.Axial(nodes), settings=settings, progress=progress)


def judge(found, reference):
    """The verdict on every channel of a group, as masks [channel] by name, and how far off the currents are."""
    from pnp import Status
    from pnp.analysis.mesh_hierarchy import extrapolation_error

    coarse, absent = Status.MESH_TOO_COARSE, Status.NOT_CONVERGED
    claimed = found.status < coarse
    known = claimed & np.isfinite(reference.current)
    # Relative to what the solver's own errors are relative to: the current, unless that is next to nothing.
    size = np.asarray(extrapolation_error(found.mesh_current.T)) / found.discretization_error
    size = np.maximum(np.where(np.isfinite(size), size, 0.0), np.abs(found.current))
    off = np.where(known, np.abs(found.current - reference.current) / size, 0.0)
    differs = known & (off > CLAIM)
    return {
        "converged": claimed,
        "by continuation": found.status == Status.CONVERGED_BY_CONTINUATION,
        "flagged: mesh too coarse": found.status == coarse,
        "flagged: no value": found.status == absent,
        "unchecked: no reference": claimed & ~known,
        "wrong": differs,
        "unexplained NaN": (found.status != absent) & ~np.isfinite(found.current),
    }, off


def run(count, seed, nodes, progress=None, structures=STRUCTURES, finished=None):
    """(verdicts by name, deviations, stated errors, Newton steps, seconds of the first solution) of all channels, in
    their order.

    progress: called with numbers of channels solved; finished: with each group, its verdicts and seconds.
    """
    import jax

    from pnp import Settings

    verdicts: dict[str, np.ndarray] = {}
    off, stated, steps, seconds = np.zeros(count), np.zeros(count), np.zeros(count, int), 0.0
    for group in draw(count, seed, structures):
        start = time.perf_counter()
        found = solve(group, nodes, progress=progress)
        took = time.perf_counter() - start
        seconds += took
        reference = solve(group, 2 * nodes, Settings(skip_continuation=0.0), progress)
        jax.clear_caches()  # a process cannot hold the programs of all structures
        masks, off[group.index] = judge(found, reference)
        if finished:
            finished(group, masks, (took, time.perf_counter() - start - took))
        steps[group.index], stated[group.index] = found.iterations, found.discretization_error
        for name, mask in masks.items():
            verdicts.setdefault(name, np.zeros(count, bool))[group.index] = mask
    return verdicts, off, stated, steps, seconds


def main():
    """Solve, compare and print; exit status 1 if a channel is wrong, 2 for bad arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, metavar="N", help="channels (default 300)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="that they are drawn from (default 1)")
    parser.add_argument("--nodes", type=int, default=400, metavar="N", help="elements of the mesh (default 400)")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="channels to list of each fault (default 5)")
    options = parser.parse_args()
    if options.count < 1 or options.nodes < 64:
        parser.error("--count must be at least 1 and --nodes at least 64")
    total, done = 2 * options.count, 0

    def progress(count):
        nonlocal done
        done += count
        print(f"\r{done} of {total} solved", end="", file=sys.stderr, flush=True)

    def finished(group, masks, seconds):
        ions = " ".join(f"{z:+d}" for z in group.valence)
        faults = ", ".join(f"{mask.sum()} {name}" for name, mask in masks.items() if name != "converged" and mask.any())
        times = " and ".join(f"{s:.0f}" for s in seconds)
        edges = "sharp" if group.sharp else "soft"
        print(
            f"\r{group.index.size} of ions {ions}, {edges} edges: {masks['converged'].sum()} converged"
            f"{', ' * bool(faults)}{faults}; {times} s",
            file=sys.stderr,
            flush=True,
        )

    verdicts, off, stated, steps, seconds = run(options.count, options.seed, options.nodes, progress, finished=finished)
    report(verdicts, off, stated, steps, seconds, options)
    sys.exit(1 if verdicts["wrong"].any() or verdicts["unexplained NaN"].any() else 0)


def report(verdicts, off, stated, steps, seconds, options):
    """Print the counts, and the faults one by one."""
    count = options.count
    print(f"{count} channels from seed {options.seed}, {options.nodes} elements; checked with {2 * options.nodes}\n")
    for name, mask in verdicts.items():
        print(f"{name:28}{mask.sum():8}{100 * mask.mean():9.2f} %")
    checked = verdicts["converged"] & ~verdicts["unchecked: no reference"]
    known, ratio = np.sort(off[checked]), np.sort(off[checked] / stated[checked])
    at = lambda values, share: values[min(int(share * len(values)), len(values) - 1)]
    print("\n" + " " * 28 + "  median      90 %      99 %   largest")
    if known.size:
        print(f"{'deviation of the current':28}" + "".join(f"{at(known, s):10.1e}" for s in (0.5, 0.9, 0.99, 1)))
        print(f"{'the same over stated error':28}" + "".join(f"{at(ratio, s):10.2g}" for s in (0.5, 0.9, 0.99, 1)))
    steps = np.sort(steps)
    print(f"{'Newton steps, all meshes':28}" + "".join(f"{at(steps, s):10d}" for s in (0.5, 0.9, 0.99, 1)))
    print(f"\n{seconds:.0f} s for the first solutions, compiling {2 * len(ION_SETS)} structures included")
    for name in ("flagged: no value", "unchecked: no reference", "wrong", "unexplained NaN"):
        for index in np.flatnonzero(verdicts[name])[: options.show]:
            numbers = draw_one(
                np.random.default_rng([options.seed, int(index)]), np.array(STRUCTURES[index % len(STRUCTURES)][0])
            )
            plain = {key: np.asarray(value).tolist() for key, value in numbers.items()}
            print(f"\n{name}: channel {index}, deviation {off[index]:.1e}\n{json.dumps(plain)}")


if __name__ == "__main__":
    main()
