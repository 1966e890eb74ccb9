"""An optional accelerator for CPUs: local laws, as JAX traces them, compiled by LLVM into loops that XLA calls.

This is its only door; other modules of `pnp.linalg` import nothing from within, and modules outside `pnp.linalg` do not
import it at all. Each of the four operations takes the arguments of the operation on arrays (for their structure and
shapes) and returns its compiled implementation, or None where there is none and arrays have to do:

- `eliminate`: a local law evaluated and eliminated along a chain (`block_tridiagonal`);
- `accumulate_resistances`: sums of resistances in series along chains (`series_resistances`);
- `map_pointwise`: a local law at many places (`pointwise`);
- `invert_slices`: the dense blocks of an elimination slice by slice (`slice_elimination`).

`unavailable` says why there is none of them at all, as on Windows, without llvmlite, or with the environment variable
PNP_COMPILED_LOOPS=0, which is read when it is first needed and switches them off for the whole process.
"""

from pnp.linalg._cpu.dense import invert_slices
from pnp.linalg._cpu.elimination import eliminate
from pnp.linalg._cpu.pointwise import map_pointwise
from pnp.linalg._cpu.resistances import accumulate_resistances
from pnp.linalg._cpu.xla_ffi import unavailable

__all__ = ["accumulate_resistances", "eliminate", "invert_slices", "map_pointwise", "unavailable"]
