"""Seconds that JAX traces, lowers and compiles, by test file: `python -m pytest -p tests.compile_seconds`."""

from collections import defaultdict

import jax
import pytest

EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
_seconds: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(("trace", "lower", "compile", "all"), 0.0))
_here: list[str] = ["import"]


def _count(event: str, seconds: float, **_) -> None:
    if event in EVENTS:
        _seconds[_here[0]][EVENTS[event]] += seconds


jax.monitoring.register_event_duration_secs_listener(_count)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    _here[0] = item.nodeid.partition("::")[0]
    return (yield)


def pytest_runtest_logreport(report):
    if not hasattr(report, "node"):  # not again where xdist's workers are heard
        _seconds[report.nodeid.partition("::")[0]]["all"] += report.duration


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["compile_seconds"] = {name: dict(each) for name, each in _seconds.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for name, each in getattr(node, "workeroutput", {}).get("compile_seconds", {}).items():
        for kind, seconds in each.items():
            _seconds[name][kind] += seconds


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("seconds by file")
    terminalreporter.write_line("    all   trace   lower compile")
    for name, each in sorted(_seconds.items(), key=lambda item: -item[1]["all"]):
        numbers = "".join(f"{each[kind]:8.1f}" for kind in ("all", "trace", "lower", "compile"))
        terminalreporter.write_line(f"{numbers}  {name}")
