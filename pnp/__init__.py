"""Poisson–Nernst–Planck for ion channels and nanopores, on JAX. See `pnp.units` for conventions.

    channel = pnp.load("gramicidin-a")              # a ready-made pore, or a path to a TOML file
    solution = pnp.solve(channel, voltage=100.0)    # profiles and current at 100 mV
    iv = pnp.iv_curve(channel, voltages)            # currents, statuses and errors

Importing `pnp` switches JAX to 64-bit floats, in which it always computes, and its persistent compilation
cache on, in ~/.cache/pnp, unless JAX_COMPILATION_CACHE_DIR or JAX's configuration names another folder
(JAX_ENABLE_COMPILATION_CACHE=false: none). Submodules are imported when first used, so that the command line
answers without waiting for JAX.
"""

import importlib
import os
import sys
from importlib.metadata import version as _version
from pathlib import Path
from typing import TYPE_CHECKING

# Compiled programs are kept, unless they are kept elsewhere already: the next process starts in a fraction of the time.
_CACHE = {
    "jax_compilation_cache_dir": str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pnp" / "jax"),
    "jax_persistent_cache_min_compile_time_secs": 0.2,
}
if "jax" in sys.modules:
    _config = sys.modules["jax"].config
    _config.update("jax_enable_x64", True)
    if _config.values["jax_compilation_cache_dir"] is None:
        for _name, _value in _CACHE.items():
            _config.update(_name, _value)
else:
    os.environ["JAX_ENABLE_X64"] = "1"
    for _name, _value in _CACHE.items():
        os.environ.setdefault(_name.upper(), str(_value))

__version__ = _version("jax-pnp")

_HOME = {
    "Axial": "analysis.discretization",
    "Axisymmetric": "analysis.discretization",
    "Branch": "analysis.branch",
    "Channel": "channel.channel",
    "ChannelError": "channel.profiles",
    "ChannelFileError": "io.channel_file.reader",
    "ConvergenceError": "analysis.steady",
    "Currents": "analysis.solution",
    "IVCurve": "analysis.steady",
    "Ion": "channel.ions",
    "Sensitivity": "analysis.sensitivity",
    "Settings": "settings",
    "Solution": "analysis.solution",
    "Status": "settings",
    "Hysteresis": "analysis.hysteresis",
    "conductance": "analysis.steady",
    "iv_curve": "analysis.steady",
    "load": "io.channel_file.reader",
    "presets": "io.presets",
    "read_hole": "io.hole",
    "reversal_potential": "analysis.steady",
    "sensitivity": "analysis.sensitivity",
    "solve": "analysis.steady",
    "solve_batch": "analysis.batch",
    "stack": "channel.stack",
    "hysteresis": "analysis.hysteresis",
    "trace": "analysis.branch",
}
_MODULES = {name: f"pnp.{name}" for name in ("channel", "fit", "plot", "theory", "units")} | {
    "activity": "pnp.channel.activity"
}

if TYPE_CHECKING:  # what the names below are, for editors and type checkers
    from pnp import channel as channel
    from pnp import fit as fit
    from pnp import plot as plot
    from pnp import theory as theory
    from pnp import units as units
    from pnp.analysis.batch import solve_batch as solve_batch
    from pnp.analysis.branch import Branch as Branch
    from pnp.analysis.branch import trace as trace
    from pnp.analysis.discretization import Axial as Axial
    from pnp.analysis.discretization import Axisymmetric as Axisymmetric
    from pnp.analysis.hysteresis import Hysteresis as Hysteresis
    from pnp.analysis.hysteresis import hysteresis as hysteresis
    from pnp.analysis.sensitivity import Sensitivity as Sensitivity
    from pnp.analysis.sensitivity import sensitivity as sensitivity
    from pnp.analysis.solution import Currents as Currents
    from pnp.analysis.solution import Solution as Solution
    from pnp.analysis.steady import ConvergenceError as ConvergenceError
    from pnp.analysis.steady import IVCurve as IVCurve
    from pnp.analysis.steady import conductance as conductance
    from pnp.analysis.steady import iv_curve as iv_curve
    from pnp.analysis.steady import reversal_potential as reversal_potential
    from pnp.analysis.steady import solve as solve
    from pnp.channel import activity as activity
    from pnp.channel.channel import Channel as Channel
    from pnp.channel.ions import Ion as Ion
    from pnp.channel.profiles import ChannelError as ChannelError
    from pnp.channel.stack import stack as stack
    from pnp.io.channel_file.reader import ChannelFileError as ChannelFileError
    from pnp.io.channel_file.reader import load as load
    from pnp.io.hole import read_hole as read_hole
    from pnp.io.presets import presets as presets
    from pnp.settings import Settings as Settings
    from pnp.settings import Status as Status

__all__ = [
    "Axial",
    "Axisymmetric",
    "Branch",
    "Channel",
    "ChannelError",
    "ChannelFileError",
    "ConvergenceError",
    "Currents",
    "Hysteresis",
    "IVCurve",
    "Ion",
    "Sensitivity",
    "Settings",
    "Solution",
    "Status",
    "activity",
    "channel",
    "conductance",
    "fit",
    "hysteresis",
    "iv_curve",
    "load",
    "plot",
    "presets",
    "read_hole",
    "reversal_potential",
    "sensitivity",
    "solve",
    "solve_batch",
    "stack",
    "theory",
    "trace",
    "units",
]


def __getattr__(name: str):
    if name in _HOME:
        value = getattr(importlib.import_module(f"pnp.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'pnp' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
