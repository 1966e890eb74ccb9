"""Runs the cases, prints one table, writes the report; exit status 1 if a case fails, 2 for bad arguments."""

import argparse
import importlib
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from validation import CASES
from validation.case import Result


@dataclass(frozen=True)
class Run:
    """A case that was run: its result, or the traceback of its exception."""

    kind: str
    name: str
    seconds: float
    module: ModuleType | None = None
    result: Result | None = None
    failure: str = ""

    @property
    def passed(self) -> bool:
        """A case that raised has failed."""
        return self.result is not None and self.result.passed


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m validation", description="Compare pnp with closed forms, properties, programs and measurements."
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", action="extend", help="run these cases, or all of a folder, only"
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="write index.html and a picture per case there")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="cases at a time (default %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    options = parser.parse_args(arguments)
    if options.list:
        for kind, names in CASES.items():
            print(f"{kind}: {', '.join(names)}")
        return 0
    known = {name: kind for kind, names in CASES.items() for name in names}
    chosen = lambda name, given: name == given or name.startswith(f"{given}.")
    unknown = [given for given in options.only or [] if not any(chosen(name, given) for name in known)]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)} (the cases are {', '.join(known)})")

    # Nearly all the time goes into compiling some thirty programs that then run for milliseconds.
    os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {os.environ.get('XLA_FLAGS', '')}".strip()
    from validation import report  # from here on, JAX

    start = time.perf_counter()
    wanted = [name for name in known if not options.only or any(chosen(name, given) for given in options.only)]
    print(f"{len(wanted)} cases", file=sys.stderr)
    # Threads compile several at once and share what they have.
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        runs = list(pool.map(lambda name: run_case(known[name], name), wanted))
    text = report.table(runs)
    print(text)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    for run in runs:
        if run.failure:
            print(f"\n{run.name} did not finish:\n{run.failure}", file=sys.stderr)
    if options.report:
        print(f"report: {report.write(options.report, runs, text)}", file=sys.stderr)
    return 0 if all(run.passed for run in runs) else 1


def run_case(kind: str, name: str) -> Run:
    """Run one case; an exception becomes its `failure`."""
    start = time.perf_counter()
    try:
        module = importlib.import_module(f"validation.{name}")
        result = module.run()
        run = Run(kind, name, time.perf_counter() - start, module, result)
    except Exception:
        run = Run(kind, name, time.perf_counter() - start, failure=traceback.format_exc())
    print(f"{name}: {'ok' if run.passed else 'FAILED'}, {run.seconds:.1f} s", file=sys.stderr, flush=True)
    return run


if __name__ == "__main__":
    sys.exit(main())
