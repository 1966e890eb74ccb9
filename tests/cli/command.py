"""The command line within a test's process."""

import re
from types import SimpleNamespace

from typer.testing import CliRunner

import pnp.cli.app


def run(*arguments):
    """Exit code, stdout and stderr of `pnp ARGUMENTS`, without colours."""
    result = CliRunner().invoke(pnp.cli.app.app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    plain = lambda text: re.sub(r"\x1b\[[0-9;]*m", "", text)
    return SimpleNamespace(code=result.exit_code, out=plain(result.stdout), err=plain(result.stderr))
