"""docs/fitting.md: its commands print what the page shows, and its programs run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import run

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```(console|python)\n(.*?)```", (DOCS / "fitting.md").read_text("utf-8"), re.DOTALL)
COMMANDS = [text for kind, text in BLOCKS if kind == "console"]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@pytest.fixture(autouse=True)
def _among_the_documents(monkeypatch):
    monkeypatch.chdir(DOCS)


def words(text):
    """The words of a text with zeros for its numbers, and its numbers; those not determined have no digits to compare.

    The page breaks lines that the program does not.
    """
    text = re.sub(r"~\S+", "~", text)
    return _NUMBER.sub("0", text).split(), np.array([float(n) for n in _NUMBER.findall(text)])


@pytest.mark.slow
@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: " ".join(block.split()[2:5]))
def test_a_command_prints_what_is_shown(block):
    command, _, shown = block.strip().replace("\\\n", " ").partition("\n")
    assert command.startswith("$ pnp ")
    ran = run(*shlex.split(command)[2:])
    assert ran.code == 0
    shown, *warnings = shown.split("Warning: ")
    one_line = lambda text: " ".join(text.split())
    assert [*map(one_line, ran.err.split("Warning: ")[1:])] == [*map(one_line, warnings)]
    assert words(ran.out)[0] == words(shown)[0]
    assert np.allclose(words(ran.out)[1], words(shown)[1], rtol=0.02, atol=0.006)


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
