"""What stands in docs/fitting.md: its commands print what it says they print, and its programs run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_cli import run

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```(console|python)\n(.*?)```", (DOCS / "fitting.md").read_text("utf-8"), re.DOTALL)
COMMANDS = [text for kind, text in BLOCKS if kind == "console"]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@pytest.fixture(autouse=True)
def _among_the_documents(monkeypatch):
    monkeypatch.chdir(DOCS)


def words(text):
    """The words of a line, and its numbers apart from them; what is not determined has no digits to compare."""
    text = re.sub(r"~\S+", "~", text)
    return _NUMBER.sub("0", text).split(), np.array([float(n) for n in _NUMBER.findall(text)])


@pytest.mark.slow
@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: " ".join(block.split()[2:5]))
def test_a_command_prints_what_is_said(block):
    command, *said = block.strip().splitlines()
    assert command.startswith("$ pnp ")
    ran = run(*shlex.split(command)[2:])
    assert ran.code == 0
    warnings = [line for line in said if line.startswith("Warning")]
    expected = [line for line in said if not line.startswith("Warning")]
    for warning in warnings:
        assert warning in ran.err
    printed = ran.out.rstrip().splitlines()
    assert len(printed) == len(expected)
    for line, shown in zip(printed, expected, strict=True):
        assert words(line)[0] == words(shown)[0]
        assert np.allclose(words(line)[1], words(shown)[1], rtol=0.02, atol=0.006), line


@pytest.mark.slow
def test_the_programs_run():
    pytest.importorskip("blackjax")
    here: dict = {}
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, "docs/fitting.md", "exec"), here)
    assert here["sampled"].samples.shape[0] == 4


def test_all_its_files_are_there():
    text = (DOCS / "fitting.md").read_text("utf-8")
    for name in re.findall(r"data/[\w.-]+\.(?:csv|toml|md)", text):
        assert (DOCS / name).exists(), name
    assert (DOCS / "fit.png").exists()
