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

__version__ = _version("pnp")

_HOME = {
    "Branch": "branch",
    "Channel": "channel",
    "ChannelError": "profiles",
    "ChannelFileError": "channel_file",
    "ConvergenceError": "steady",
    "Currents": "solution",
    "IVCurve": "steady",
    "Ion": "species",
    "Settings": "settings",
    "Solution": "solution",
    "Status": "settings",
    "Sweep": "hysteresis",
    "conductance": "steady",
    "iv_curve": "steady",
    "load": "channel_file",
    "presets": "catalogue",
    "read_hole": "hole",
    "reversal_potential": "steady",
    "solve": "steady",
    "solve_batch": "batch",
    "sweep": "hysteresis",
    "trace": "branch",
}
_MODULES = ("channel", "excess", "field_plot", "fit", "hole", "plot", "theory", "units")

if TYPE_CHECKING:  # what the names below are, for editors and type checkers
    from pnp import channel as channel
    from pnp import excess as excess
    from pnp import field_plot as field_plot
    from pnp import fit as fit
    from pnp import hole as hole
    from pnp import plot as plot
    from pnp import theory as theory
    from pnp import units as units
    from pnp.batch import solve_batch as solve_batch
    from pnp.branch import Branch as Branch
    from pnp.branch import trace as trace
    from pnp.catalogue import presets as presets
    from pnp.channel import Channel as Channel
    from pnp.channel_file import ChannelFileError as ChannelFileError
    from pnp.channel_file import load as load
    from pnp.hole import read_hole as read_hole
    from pnp.hysteresis import Sweep as Sweep
    from pnp.hysteresis import sweep as sweep
    from pnp.profiles import ChannelError as ChannelError
    from pnp.settings import Settings as Settings
    from pnp.settings import Status as Status
    from pnp.solution import Currents as Currents
    from pnp.solution import Solution as Solution
    from pnp.species import Ion as Ion
    from pnp.steady import ConvergenceError as ConvergenceError
    from pnp.steady import IVCurve as IVCurve
    from pnp.steady import conductance as conductance
    from pnp.steady import iv_curve as iv_curve
    from pnp.steady import reversal_potential as reversal_potential
    from pnp.steady import solve as solve

__all__ = [
    "Branch",
    "Channel",
    "ChannelError",
    "ChannelFileError",
    "ConvergenceError",
    "Currents",
    "IVCurve",
    "Ion",
    "Settings",
    "Solution",
    "Status",
    "Sweep",
    "channel",
    "conductance",
    "excess",
    "field_plot",
    "fit",
    "hole",
    "iv_curve",
    "load",
    "plot",
    "presets",
    "read_hole",
    "reversal_potential",
    "solve",
    "solve_batch",
    "sweep",
    "theory",
    "trace",
    "units",
]


def __getattr__(name: str):
    if name in _HOME:
        value = getattr(importlib.import_module(f"pnp.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"pnp.{name}")
    else:
        raise AttributeError(f"module 'pnp' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
