"""Random axisymmetric pores with steep walls: is what a mesh says of its error true?

Drawn from a seed: one to four flanks of slope 0.1 to 31 between straight parts, radii of 0.5 to 50 nm, in half of the
pores a step; half of them charged with ±0.05 C/m² (steps are not), KCl of 10 to 1000 mM in both baths, −500 to 500 mV.
Half of the pores end in baths, half in containers of three times their largest radius; in these a flank may end at a
mouth and is then a countersink.

Each is solved at resolution 1 and again at 2.5. Every tenth, and each whose two currents differ by more than 0.5 %, is
also solved with quadratic finite elements on triangles (`finite_elements.py`, needs `pip install -e ".[test]"`), which
share nothing with pnp but the numbers of the pore. What is known of a pore is kept in `--store`, so that a run
goes on where another one ended.

The exit status is 1 if the current of a pore is more than 1 % off and not flagged.
"""

import argparse
import json
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import pnp
from pnp.channel.charge import WallCharge
from pnp.channel.membrane import Membrane, Reservoir
from pnp.channel.pore import Pore
from pnp.channel.profiles import Circle, Constant, Table

ROWS = 14
"""Of every table, the last one repeated, so that all pores share their compiled programs."""
RESOLUTION, REFERENCE = 1.0, 2.5
DOUBTFUL = 0.005
"""Difference of the two currents from which finite elements decide."""
DIFFUSIVITY = {"K": 1.96, "Cl": 2.03}
PERMITTIVITY, MEMBRANE = 80.0, 2.0


def draw_one(rng):
    """The numbers of one pore: points of its wall from mouth to mouth (nm), charge (C/m²), bath (mM), voltage (mV)."""
    log_uniform = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))
    flanks, radius, z = int(rng.integers(1, 5)), log_uniform(0.5, 50.0), 0.0
    step = int(rng.integers(flanks + 1)) if rng.random() < 0.5 else None
    contained = bool(rng.random() < 0.5)
    countersunk = contained and bool(rng.random() < 0.5)
    points = [(z, radius)]

    def add(length, new_radius):
        nonlocal z, radius
        z, radius = z + length, new_radius
        points.append((z, radius))

    for part in range(flanks + 1):
        if part or not countersunk:
            add(radius * rng.uniform(0.5, 4.0), radius)
        if part == step:
            add(0.0, log_uniform(0.5, 50.0))
            add(radius * rng.uniform(0.5, 4.0), radius)
        if part < flanks:
            wider = log_uniform(0.5, 50.0)
            add(abs(wider - radius) / 10 ** rng.uniform(-1.0, 1.5), wider)
    charged = rng.random() < 0.5
    return {
        "points": points,
        "contained": contained,
        "sigma": float(rng.choice([-0.05, 0.05])) if charged else 0.0,
        "bath": log_uniform(10.0, 1000.0),
        "voltage": float(rng.uniform(-500.0, 500.0)),
    }


def container(numbers):
    """(length, radius) of the containers, nm."""
    widest = max(radius for _, radius in numbers["points"])
    return 3 * widest, 3 * widest


def make_channel(numbers):
    """The channel of some numbers."""
    x, radius = np.array(numbers["points"] + [numbers["points"][-1]] * (ROWS - len(numbers["points"]))).T
    reservoir = Reservoir("cone", *container(numbers)) if numbers["contained"] else Reservoir("none")
    charge = (WallCharge(Constant(numbers["sigma"]), 0.0, x[-1]),)
    pore = Pore(0.0, x[-1], Circle(Table(jnp.asarray(x), jnp.asarray(radius))), Constant(PERMITTIVITY), charge)
    bath = dict.fromkeys(DIFFUSIVITY, numbers["bath"])
    ions = {"K": pnp.Ion(1, DIFFUSIVITY["K"]), "Cl": pnp.Ion(-1, DIFFUSIVITY["Cl"])}
    return pnp.Channel(ions, pore, bath, bath, 298.15, (reservoir,) * 2, PERMITTIVITY, membrane=Membrane(MEMBRANE))


def solve(numbers, resolution):
    """Current, stated error and status of a pore."""
    found = pnp.solve(
        make_channel(numbers),
        numbers["voltage"],
        discretization=pnp.Axisymmetric(resolution=resolution),
        throw=False,
    )
    return {
        "current": float(found.current),
        "stated": float(found.discretization_error),
        "status": int(found.status),
        "meshes": np.asarray(found.mesh_current).tolist(),
    }


def by_finite_elements(numbers):
    """Current and its error by finite elements."""
    import finite_elements

    points, length = numbers["points"], numbers["points"][-1][0]
    widest, mouths = max(radius for _, radius in points), (points[0][1], points[-1][1])
    # The mesh of pnp has as much of the membrane.
    rims = tuple(max(4 * mouth, 1.5 * widest) for mouth in mouths)
    if numbers["contained"]:
        deep, wide = container(numbers)
        points = [(-deep, wide), (0.0, wide), *points, (length, wide), (length + deep, wide)]
    value, error = finite_elements.converged_current(
        points,
        sigma=numbers["sigma"],
        charged=(0.0, length),
        conc=(numbers["bath"],) * 2,
        voltage_mV=numbers["voltage"],
        eps_m=MEMBRANE,
        eps_w=PERMITTIVITY,
        diffusivity=tuple(DIFFUSIVITY.values()),
        rims=rims,
        lid=numbers["contained"],
    )
    return {"current": value, "stated": error}


def study(index, seed, reference=REFERENCE, elements=True):
    """All that is found of one pore."""
    numbers = draw_one(np.random.default_rng([seed, index]))
    row = {"index": index, "numbers": numbers, "found": solve(numbers, RESOLUTION), "fine": solve(numbers, reference)}
    differs = abs(row["found"]["current"] / row["fine"]["current"] - 1)
    if elements and (index % 10 == 0 or not differs < DOUBTFUL):
        row["elements"] = by_finite_elements(numbers)
    return row


def errors(row):
    """True error of a current against the best that is known of it, the stated one, and whether it is flagged."""
    best = row.get("elements", row["fine"])["current"]
    found = row["found"]
    flagged = found["status"] in (pnp.Status.MESH_TOO_COARSE, pnp.Status.NOT_CONVERGED)
    return abs(found["current"] / best - 1), found["stated"], flagged


def table(rows):
    """A Markdown table of all pores."""
    lines = [
        "| pore | flanks, step | radii, nm | steepest | σ, C/m² | mM | mV | pA | stated | true | by |",
        "|" + "---|" * 11,
    ]
    for row in rows:
        numbers, (true, stated, flagged) = row["numbers"], errors(row)
        (z, r) = np.array(numbers["points"]).T
        sloped = (np.diff(z) > 0) & (np.diff(r) != 0)
        slope = np.abs(np.diff(r)[sloped] / np.diff(z)[sloped])
        step = " + step" if np.any(np.diff(z) == 0) else ""
        ends = ", contained" if numbers["contained"] else ""
        by = "finite elements" if "elements" in row else f"resolution {REFERENCE:g}"
        lines.append(
            f"| {row['index']} | {slope.size}{step}{ends} | {r.min():.2g}–{r.max():.2g} | {slope.max():.2g} "
            f"| {numbers['sigma']:g} | {numbers['bath']:.3g} | {numbers['voltage']:.0f} "
            f"| {row['found']['current']:.5g} | {100 * stated:.2g} %{', flagged' if flagged else ''} "
            f"| {100 * true:.2g} % | {by} |"
        )
    return "\n".join(lines)


def summary(rows):
    """What the pores say together, and whether one is wrong."""
    true, stated, flagged = map(np.array, zip(*map(errors, rows), strict=True))
    wrong = ~flagged & ~(true <= 0.01)
    ratio = true / stated
    return (
        f"{len(rows)} pores: {wrong.sum()} wrong, {flagged.sum()} flagged; true error within twice the stated one in "
        f"{100 * np.mean(ratio <= 2):.0f} %, median of the true error {100 * np.median(true):.2g} %, largest unflagged "
        f"{100 * true[~flagged].max(initial=0.0):.2g} %",
        wrong,
    )


def main():
    """Solve what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, metavar="N", help="pores (default 100)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="that they are drawn from (default 1)")
    parser.add_argument("--store", type=Path, default=Path("steep_walls.jsonl"), help="file of what is known of them")
    parser.add_argument("--no-elements", action="store_true", help="leave the finite elements out")
    options = parser.parse_args()
    kept = [json.loads(line) for line in options.store.read_text().splitlines()] if options.store.exists() else []
    rows = {row["index"]: row for row in kept}
    for index in range(options.count):
        if index not in rows:
            print(f"\rpore {index} of {options.count}", end="", file=sys.stderr, flush=True)
            rows[index] = study(index, options.seed, elements=not options.no_elements)
            with options.store.open("a") as file:
                file.write(json.dumps(rows[index]) + "\n")
    shown = [rows[index] for index in range(options.count)]
    words, wrong = summary(shown)
    print(f"\r{table(shown)}\n\n{words}")
    sys.exit(1 if wrong.any() else 0)


if __name__ == "__main__":
    main()
