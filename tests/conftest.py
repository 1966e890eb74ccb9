"""Shared by all tests: shapes are checked, compiled programs are kept between runs; and a few channels."""

import gc
import os
from pathlib import Path

from jaxlib.version import __version_info__

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests compile much and compute little: half of their time goes if LLVM does not optimise and XLA does without its
# newer emitters of fused loops (which jaxlib 0.10 alone can do without).
os.environ["XLA_FLAGS"] = " ".join(
    ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
    + ["--xla_cpu_use_fusion_emitters=false"] * (__version_info__ < (0, 11))
    + os.environ.get("XLA_FLAGS", "").split()
)

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Shapes are checked at run time wherever arrays are computed with. Not where people pass lists, numbers and strings
# (`theory`, `channel` and the functions of `analysis` that they call), which is checked there with messages for people.
COMPUTED = ("discretized", "mesh_hierarchy", "solution", "section")
CHECKED = ["pnp.finite_volume", "pnp.linalg", "pnp.solver", *(f"pnp.analysis.{name}" for name in COMPUTED)]
install_import_hook(CHECKED, "beartype.beartype")

import pnp  # noqa: E402, from here on checked
from pnp.analysis import discretized  # noqa: E402
from pnp.linalg.dispatch import why_no_compiled_loops  # noqa: E402

compiled_loops = pytest.mark.skipif(why_no_compiled_loops() is not None, reason="there are no compiled loops")
"""A test of the compiled loops themselves, which `.ci/full loops` switches off."""

IDEAL = pnp.channel.activity.Ideal()
X = np.array([0.0, 3.0, 3.0, 5.0, 5.0, 8.0])


def hold_mesh(monkeypatch, mesh, grid=None):
    """Meshes follow the Debye length and are constants to derivatives: keep them where they are, for differences."""
    monkeypatch.setattr(discretized, "make_mesh", lambda channel, nodes: mesh)
    monkeypatch.setattr(discretized, "make_axisymmetric_mesh", lambda channel, resolution: grid)
    # Not the compiled ones, which would keep the mesh beyond the test.
    for name in ("_discretize_axial", "_discretize_axisymmetric", "_discretize_axisymmetric_unoptimized"):
        monkeypatch.setattr(discretized, name, getattr(discretized, name).__wrapped__)


gc.set_threshold(100_000, 50, 100)  # tracing makes many small objects, and looking through them takes a twelfth of all


LARGEST_PROCESS = 1.0e9  # bytes, after which compiled programs are dropped


@pytest.fixture(autouse=True, scope="module")
def bounded_memory():
    """Compiled programs, which only grow in number, are dropped after a file of tests that has left many."""
    yield
    statm = Path("/proc/self/statm")
    if statm.exists() and int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") > LARGEST_PROCESS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def charged():
    """A short pore with −1 M between sharp edges, asymmetric KCl, no reservoirs."""
    return make_charged()


def make_charged(
    density=-1.0, inside=300.0, outside=100.0, potassium=1.957, barrier=0.0, area=1.0, activity_model=IDEAL
):
    """Always the same structure, so that one compiled program serves all of them of one activity model."""
    return pnp.Channel.from_profiles(
        X,
        area=area * np.ones(6),
        fixed_charge=density * np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        ions={"K": pnp.Ion(1, potassium), "Cl": pnp.Ion(-1, 2.032)},
        pmf={"Cl": barrier * np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0])},
        inside={"K": inside, "Cl": inside},
        outside={"K": outside, "Cl": outside},
        activity_model=activity_model,
    )
