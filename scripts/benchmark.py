"""Speed of pnp: one table, from one run, with strong baselines beside it.

curve: a 41-point I–V curve of a charged pore by pnp, Numba, NumPy with LAPACK, and SciPy's solve_bvp, on one core; pnp
on two as well. batch: states per second against batch size and elements, with the share of memory's bandwidth that
would be the least (240 bytes per node and Newton step). gradient: derivatives over the forward solve. compile: what the
first call costs, with an empty and with a filled compilation cache. On the CPU and, if JAX sees one, on a GPU. And by
--only accelerator: ready-made channels with and without the compiled loops of `pnp.linalg`, on the CPU.

scripts/README.md says what is measured and how. Exit status 1 if a solve fails.
"""

import argparse
import contextlib
import dataclasses
import statistics
import sys
import tempfile
from pathlib import Path

SECTIONS = ("curve", "batch", "gradient", "compile")
EXTRA = ("accelerator",)  # run only if named
TURN = 0.3  # seconds for which a program is run again and again before the next one has its turn
BYTES_PER_NODE = 240  # 30 numbers: unknowns read and written, and 9 + 3 of the elimination written and read again


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured."""

    nodes: int
    repeats: int
    voltages: int = 41
    turn: float = TURN
    batches: tuple = ((1, 1), (1, 41), (8, 32), (50, 40))  # channels, voltages
    batch_nodes: tuple = (200, 400)
    meshes: tuple = (50, 100, 200, 400, 800, 1600)  # from which baselines pick one as accurate as pnp
    copy: int = 256  # MB
    scripts: tuple = ("every voltage anew", "swept", "swept, Jacobians given")
    optimise: bool = True
    devices: tuple = ("cpu",)
    preset: str = "kcsa-like"  # for the accelerator


@dataclasses.dataclass
class Row:
    """A line of the table: a prepared program, where it runs, and its times (s)."""

    name: str
    worker: object
    found: dict
    seconds: list = dataclasses.field(default_factory=list)

    @property
    def median(self):
        """s."""
        return statistics.median(self.seconds)

    @property
    def milliseconds(self):
        """The median with its range, for people."""
        low, high = min(self.seconds), max(self.seconds)
        return f"{1e3 * self.median:.3g} ({1e3 * low:.3g}–{1e3 * high:.3g})"


def say(text):
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def take_turns(rows, plan):
    """Time all rows in turn, so that a busy moment of the machine meets all of them."""
    for repeat in range(plan.repeats):
        say(f"  turn {repeat + 1} of {plan.repeats}")
        for row in rows:
            row.seconds += row.worker.turn(row.found["key"], plan.turn)


def show(title, head, lines):
    """Print a part of the table: its title, and columns as wide as they need to be."""
    table = [head, *([str(cell) for cell in line] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(f"\n{title}\n")
    for line in table:
        cells = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        print("  ".join([line[0].ljust(widths[0]), *cells]))


# --- sections --------------------------------------------------------------------------------


def curve(plan, open_worker):
    """One curve by all programs."""
    from charged_pore import ROUGH_TOLERANCE, TOLERANCE, current_error, voltages

    at = voltages(plan.voltages)
    reference = open_worker(cores=1).prepare("bvp_reference", at)["current"]
    error = lambda current: current_error(current, reference)
    both = f"{plan.nodes // 2} and {plan.nodes} elements, extrapolated"
    three = f"pnp, {plan.nodes // 4}, {both}"
    rows = []

    def add(name, worker, program, *arguments):
        say(f"  {name}")
        rows.append(Row(name, worker, worker.prepare(program, at, *arguments)))
        return error(rows[-1].found["current"])

    wanted = add(three, open_worker(cores=1), "pnp_curve", plan.nodes)
    if plan.optimise:
        two = open_worker(cores=2)
        if two.cores == 2:
            add(three, two, "pnp_curve", plan.nodes)
    for device in plan.devices[1:]:
        add(three, open_worker(device), "pnp_curve", plan.nodes)
    for name, program in (("Numba", "numba_curve"), ("NumPy, LAPACK", "numpy_curve")):
        worker = open_worker(cores=1)
        add(f"{name}, {plan.nodes} elements", worker, program, plan.nodes, False)
        add(f"{name}, {both}", worker, program, plan.nodes, True)
        accurate = lambda elements, w=worker, p=program: error(w.prepare(p, at, elements, True)["current"]) <= wanted
        elements = first_of(plan.meshes, accurate, name)
        add(f"{name}, as accurate: {elements // 2} and {elements}, extrapolated", worker, program, elements, True)
    scipy = open_worker(cores=1)
    for script in plan.scripts:
        accurate = lambda tol, s=script: error(scipy.prepare("bvp_curve", at, s, tol)["current"]) <= wanted
        tolerance = first_of([10.0**-n for n in range(2, 10)], accurate, "solve_bvp")
        add(f"solve_bvp, as accurate: tol {tolerance:.0e}, {script}", scipy, "bvp_curve", script, tolerance)
    take_turns(rows, plan)
    show(
        f"A curve of {plan.voltages} voltages, {at[0]:g} to {at[-1]:g} mV. Newton stops at an expected error of "
        f"{TOLERANCE:g} kT ({ROUGH_TOLERANCE:g} on the coarsest mesh) in all but solve_bvp.",
        ["curve", "on", "time, ms", "time / pnp", "states/s", "steps", "error of I", "first call, s", "peak, MB"],
        [curve_line(row, rows[0], error) for row in rows],
    )
    print(f"\npnp on {plan.nodes} elements alone, not extrapolated: error {error(rows[0].found['fine']):.1e}")


def curve_line(row, base, error):
    """A row's cells in the table of curves."""
    found, count = row.found, row.found["current"].size
    steps = f"{found['steps']:.1f}" if "steps" in found else "–"
    cells = [row.name, row.worker.where, row.milliseconds, f"{row.median / base.median:.2g}"]
    cells += [f"{count / row.median:.0f}", steps, f"{error(found['current']):.1e}"]
    return [*cells, f"{found['first']:.2g}", found["peak"]]


def first_of(candidates, accurate, name):
    """The first candidate that is accurate."""
    from charged_pore import FailedError

    for candidate in candidates:
        if accurate(candidate):
            return candidate
    raise FailedError(f"{name} does not come within pnp's error")


def batch(plan, open_worker):
    """States per second against batch size, elements and device."""
    rows, copies = [], {}
    for device in plan.devices:
        workers = [open_worker(device) for _ in plan.batch_nodes]
        say(f"  copy, {device}")
        copies[device] = Row("copy", workers[0], workers[0].prepare("jax_copy", plan.copy))
        for channels, count in plan.batches:
            say(f"  {channels} channels at {count} voltages, {device}: compiling for {plan.batch_nodes} elements")
            for worker, nodes in zip(workers, plan.batch_nodes, strict=True):
                worker.begin("prepare", "pnp_batch", channels, count, nodes)
            for worker, nodes in zip(workers, plan.batch_nodes, strict=True):
                found = worker.end() | {"states": channels * count, "nodes": nodes, "device": device}
                rows.append(Row(f"{channels * count} = {channels} × {count}", worker, found))
    take_turns([*rows, *copies.values()], plan)
    bandwidth = {device: row.found["bytes"] / row.median for device, row in copies.items()}
    lines = []
    for row in sorted(rows, key=lambda row: (row.found["device"] != "cpu", row.found["nodes"], row.found["states"])):
        found = row.found
        floor = found["states"] * found["node_steps"] * BYTES_PER_NODE / bandwidth[found["device"]]
        cells = [row.name, row.worker.where, found["nodes"], row.milliseconds, f"{found['states'] / row.median:.0f}"]
        lines.append([*cells, f"{found['steps']:.1f}", f"{floor / row.median:.3f}", found["peak"]])
    measured = ", ".join(f"{rate / 1e9:.0f} GB/s ({device})" for device, rate in bandwidth.items())
    show(
        f"States per second. Floor: {BYTES_PER_NODE} bytes per node and Newton step at a copy's {measured}.",
        ["batch = channels × voltages", "on", "elements", "time, ms", "states/s", "steps", "floor / time", "peak, MB"],
        lines,
    )


def gradient(plan, open_worker):
    """Derivatives of a curve over the curve."""
    import numpy as np
    from charged_pore import FailedError, voltages

    at, lines = voltages(plan.voltages), []
    for device in plan.devices:
        worker, rows = open_worker(device), []
        for name, program in (
            ("weighted sum of the currents", "pnp_sum"),
            ("and its gradient", "pnp_gradient"),
            ("currents and the gradient of each", "pnp_jacobian"),
        ):
            say(f"  {name}, {device}")
            rows.append(Row(name, worker, worker.prepare(program, at, plan.nodes)))
        whole, each = (row.found["derivatives"] for row in rows[1:])
        if not np.allclose(np.cos(np.arange(at.size)) @ each, whole, rtol=1e-6, atol=1e-9 * np.abs(whole).max()):
            raise FailedError("the gradient of the sum is not the sum of the gradients")
        take_turns(rows, plan)
        for row in rows:
            ratio, first = f"{row.median / rows[0].median:.2f}", f"{row.found['first']:.1f}"
            lines.append([row.name, worker.where, row.milliseconds, ratio, first, row.found["peak"]])
    show(
        f"Derivatives of a curve of {plan.voltages} voltages with respect to the {whole.size} numbers of its channel, "
        f"{plan.nodes} elements.",
        ["gradient", "on", "time, ms", "/ forward", "first call, s", "peak, MB"],
        lines,
    )


def compilation(plan, open_worker):
    """The first call of `pnp.iv_curve` in a new process, cold and with what the one before has left in the cache."""
    from charged_pore import voltages

    lines = []
    for device in plan.devices:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name in ("empty cache", "filled cache"):
                say(f"  {name}, {device}")
                with open_worker(device, cache=Path(folder)) as worker:
                    row = Row(name, worker, worker.prepare("pnp_curve", voltages(plan.voltages), plan.nodes))
                    take_turns([row], dataclasses.replace(plan, repeats=1))
                found, compiling = row.found, row.found["first"] - row.median
                cells = [name, worker.where, f"{found['setup']:.1f}", f"{found['first']:.1f}", f"{compiling:.1f}"]
                lines.append([*cells, found["peak"]])
    show(
        f"The first `pnp.iv_curve` of a process, {plan.voltages} voltages, {plan.nodes} elements.",
        ["compile", "on", "import and channel, s", "first call, s", "of which compiling, s", "peak, MB"],
        lines,
    )


def accelerator(plan, open_worker):
    """Ready-made channels with compiled loops, with arrays instead, and in two dimensions with a part of the loops."""
    import numpy as np
    from charged_pore import FailedError, voltages

    off, lines = {"PNP_COMPILED_LOOPS": "0"}, []
    for name, at in ((plan.preset, voltages(plan.voltages)), (plan.preset, None), ("conical-nanopore", None)):
        ways = [("compiled loops", {}, True), ("arrays", off, True)]
        if at is None:
            ways.insert(1, ("compiled, but arrays invert dense blocks", {}, False))
        what = f"{name}, {f'{len(at)} voltages, 1D' if at is not None else 'one solve, 2D'}"
        rows = []
        with contextlib.ExitStack() as stack:
            for way, environment, blocks in ways:
                say(f"  {what}: {way}")
                worker = open_worker(cores=1, environment=environment, clock="process_time")
                stack.enter_context(worker)
                rows.append(Row(way, worker, worker.prepare("pnp_preset", name, at, blocks)))
            take_turns(rows, plan)
        first, *others = (row.found["current"] for row in rows)
        if not all(np.allclose(other, first, rtol=1e-9, atol=0) for other in others):
            raise FailedError(f"{what}: the currents differ")
        base = rows[0]
        for row in rows:
            warm, cold = row.median / base.median, row.found["first"] / base.found["first"]
            cells = [what, row.name, row.worker.where, row.milliseconds, f"{warm:.2f}"]
            lines.append([*cells, f"{row.found['first']:.1f}", f"{cold:.2f}", row.found["peak"]])
    head = ["accelerator", "with", "on", "time, ms", "/ compiled", "first call, s", "/ compiled", "peak, MB"]
    show("Compiled loops (`pnp.linalg._cpu`) and arrays in their place; times are the processor's.", head, lines)


# --- the whole -------------------------------------------------------------------------------


def benchmark(plan, only):
    """Run the sections, each in processes of its own."""
    from workers import Worker, available_cores, processor

    with Worker("any") as probe:
        device = probe.prepare("devices")
    if device["platform"] != "cpu":
        plan = dataclasses.replace(plan, devices=("cpu", device["platform"].upper()))
    print(f"{device['versions']}; {processor()}, {len(available_cores())} cores; JAX sees {device['kind']}")
    times = f"medians over {plan.repeats} turns of {plan.turn:g} s (min–max)"
    print(f"{times}{'' if plan.optimise else '; compiled without optimisation: no measurement'}")
    run = {"curve": curve, "batch": batch, "gradient": gradient, "compile": compilation, "accelerator": accelerator}
    for name in (*SECTIONS, *EXTRA):
        if name in only:
            say(name)
            with contextlib.ExitStack() as stack:
                open_worker = lambda *device, **settings: stack.enter_context(
                    Worker(*device, optimise=plan.optimise, **settings)
                )
                run[name](plan, open_worker)


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, metavar="N", help="turns of each program (default 5)")
    parser.add_argument("--nodes", type=int, metavar="N", help="elements of pnp's mesh (default 400)")
    parser.add_argument(
        "--only", nargs="+", choices=(*SECTIONS, *EXTRA), metavar="PART", help=f"of {', '.join((*SECTIONS, *EXTRA))}"
    )
    parser.add_argument("--quick", action="store_true", help="see whether it runs: small, curve and batch alone")
    given = parser.parse_args()
    if given.repeats is not None and given.repeats < 1:
        parser.error("--repeats must be at least 1")
    nodes, repeats = given.nodes or (100 if given.quick else 400), given.repeats or (1 if given.quick else 5)
    if nodes % 4 or nodes < 16:
        parser.error("--nodes must be a multiple of four, and at least 16")
    if given.quick:
        small = {"batches": ((2, 3),), "batch_nodes": (nodes,), "copy": 16, "scripts": ("swept",)}
        return Plan(nodes, repeats, voltages=5, turn=0.02, optimise=False, **small), given.only or SECTIONS[:2]
    return Plan(nodes, repeats, batch_nodes=(nodes // 2, nodes)), given.only or SECTIONS


def main():
    """Run the benchmark; exit status 1 if a solve fails."""
    plan, only = options()
    from charged_pore import FailedError

    try:
        benchmark(plan, only)
    except FailedError as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
