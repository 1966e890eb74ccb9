"""Processes of their own for what is timed, each on its own cores, with its own settings of JAX.

A process is bound to its cores before it starts, so that no library sees others (Linux only).
"""

import contextlib
import multiprocessing
import os
import platform
import resource
import sys
import time

from charged_pore import FailedError

CAN_PIN = hasattr(os, "sched_setaffinity")
_FOREIGN = ("JAX_COMPILATION_CACHE_DIR", "JAX_PLATFORMS", "JAX_ENABLE_COMPILATION_CACHE")


def available_cores():
    """The cores this process may use."""
    return sorted(os.sched_getaffinity(0)) if CAN_PIN else list(range(os.cpu_count() or 1))


def processor():
    """Its name, as far as the system tells."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


class Worker:
    """A process that makes programs (`programs`), runs them and says how long that took.

    device: "cpu", or any other name for what JAX takes by itself. cores: how many, 0 for all; processes that ask for
    as many get the same ones. cache: folder of JAX's persistent compilation cache, None to have none.
    optimise: whether XLA does. environment: more variables. clock: of `time`, "process_time" for the processor's time.
    """

    def __init__(self, device="cpu", cores=0, cache=None, optimise=True, environment=None, clock="perf_counter"):
        there = len(available_cores())
        self.cores = min(cores, there) if cores and CAN_PIN else there
        self.where = f"{self.cores} core{'s' if self.cores > 1 else ''}" if device == "cpu" else device
        settings = {"JAX_PLATFORMS": device} if device == "cpu" else {}
        settings["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        settings["JAX_ENABLE_COMPILATION_CACHE"] = str(cache is not None).lower()
        if cache is not None:
            settings["JAX_COMPILATION_CACHE_DIR"] = str(cache)
            settings["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        if not optimise:
            settings["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {os.environ.get('XLA_FLAGS', '')}".strip()
        settings |= environment or {}
        processes = multiprocessing.get_context("spawn")
        self._connection, other = processes.Pipe()
        self._process = processes.Process(target=_serve, args=(other, clock), daemon=True)
        with _environment(settings, device), _bound(self.cores):
            self._process.start()
        other.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()

    def begin(self, command, *arguments):
        """Ask for something, to be had by `end`: several processes can be busy at once."""
        self._connection.send((command, arguments))

    def end(self):
        """The answer; raises FailedError if a solve failed there."""
        try:
            answer = self._connection.recv()
        except EOFError:
            raise FailedError("a process of the benchmark ended early (out of memory?)") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def prepare(self, name, *arguments):
        """Make a program and run it once: its outcome, and besides the seconds to set it up (`setup`, imports included)
        and to run it (`first`), `peak_memory` after that (`peak`), and a `key` to take turns by."""
        self.begin("prepare", name, *arguments)
        return self.end()

    def turn(self, key, seconds):
        """Times (s) of a program run again and again for `seconds`; a short one after a run that is not timed."""
        self.begin("turn", key, seconds)
        return self.end()

    def stop(self):
        """End the process."""
        with contextlib.suppress(OSError):
            self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()


@contextlib.contextmanager
def _environment(settings, device):
    before = dict(os.environ)
    for name in _FOREIGN:
        if name != "JAX_PLATFORMS" or device == "cpu":
            os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _bound(cores):
    if not CAN_PIN:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-cores:])  # the first ones are the busiest with other things
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# --- in the other process --------------------------------------------------------------------


def peak_memory():
    """Most memory this process has held so far, in MB for people, and the accelerator's if JAX has one."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = f"{peak / (1e6 if sys.platform == 'darwin' else 1e3):.0f}"
    held = sys.modules["jax"].devices()[0].memory_stats() if "jax" in sys.modules else None
    return f"{text} + {held['peak_bytes_in_use'] / 1e6:.0f}" if held else text


def timed(call, clock="perf_counter"):
    """(seconds, result) of a call."""
    now = getattr(time, clock)
    start = now()
    result = call()
    return now() - start, result


def _prepare(made, clock, name, *arguments):
    import programs

    setup, program = timed(lambda: getattr(programs, name)(*arguments), clock)
    first, result = timed(program.run, clock)
    peak = peak_memory()
    made.append(program)
    return {"key": len(made) - 1, "setup": setup, "first": first, "peak": peak, **program.outcome(result)}


def _turn(made, clock, key, seconds):
    turn = [timed(made[key].run, clock)[0]]
    if turn[0] < seconds:
        turn = []  # another program may have filled the caches with its own
    while sum(turn) < seconds:
        turn.append(timed(made[key].run, clock)[0])
    return turn


def _serve(connection, clock):
    made: list = []
    commands = {"prepare": _prepare, "turn": _turn}
    while True:
        try:
            command, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(commands[command](made, clock, *arguments))
        except (ArithmeticError, FailedError, ImportError, ValueError) as problem:
            connection.send(FailedError(f"{type(problem).__name__}: {problem}"))
