"""Compiled programs as XLA's custom calls on CPUs: registration, the call, and the handler that XLA calls.

XLA runs a law as passes over whole arrays, and a recurrence as some forty small programs per node. A program of
`program.Block` goes along a chain once, some cases at a time, with everything in registers. Compiling it takes some
0.1 s. It keeps nothing between calls, so several threads may run it.
"""

import ctypes
import functools
import hashlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence

import jax
from jaxtyping import Array

from pnp.linalg._cpu.jaxpr import UntranslatableError
from pnp.linalg._cpu.llvm import Code, compiled, width
from pnp.linalg._cpu.program import Part, function

SWITCH = "PNP_COMPILED_LOOPS"
"""The environment variable that switches compiled loops off (0)."""

_VERSION = 3  # of what a program expects from its caller; part of its name, to which XLA's cached programs refer
_API_VERSION = 0, 3  # of XLA's structures below (`xla/ffi/api/c_api.h`); XLA refuses what it no longer supports

_SIZES = {
    "XLA_FFI_CallFrame": 168,
    "XLA_FFI_Api": 56,
    "XLA_FFI_Api_Version": 24,
    "XLA_FFI_Extension_Base": 24,
    "XLA_FFI_Metadata_Extension": 32,
    "XLA_FFI_Metadata": 36,
    "XLA_FFI_Args": 40,
    "XLA_FFI_Rets": 40,
    "XLA_FFI_Buffer": 48,
}
"""Bytes of XLA's structures in the layout that `handler` reads. Each begins with its own `struct_size`.

What is guaranteed: before any other field of a structure is read, its struct_size is compared with these. All but the
last three are checked when a program is registered, where XLA calls the handler for its metadata: if one of them does
not fit the handler returns an error, XLA refuses the registration, and everything runs on arrays, with a warning that
names the structure. XLA fills in the last three only when the program runs. The same XLA library makes both calls, so
they can be wrong only if XLA breaks its own rules for versions; the handler then returns an error and touches no data.
"""

_EMBEDDED = ("XLA_FFI_Api_Version", "XLA_FFI_Args")
"""Structures in the midst of others: if these grow, what follows them moves, so their size has to be the same."""

_lock = threading.RLock()
_registered: dict[str, bool] = {}
_reported: set[str] = set()  # what had no translation and was said so


def unavailable() -> str | None:
    """Why no program can be run here, None if programs can; looked at once in a process."""
    with _lock:
        return _unavailable()


@functools.cache
def _unavailable() -> str | None:
    if os.environ.get(SWITCH, "").strip().lower() in ("0", "off", "false", "no"):
        return f"switched off by {SWITCH}={os.environ[SWITCH]}"
    if sys.platform == "win32":  # never tried there, and a fault in compiled code cannot be caught
        return "not for Windows"
    try:
        import llvmlite.binding  # noqa: F401
    except ImportError:
        return "llvmlite is not installed"
    try:
        parts = [handler(1, 0, 0), function(f"define internal void @block({_BLOCK})", Code())]
        _register(_name("probe", 1, ""), parts)
    except Exception as error:  # whatever it is, everything can run on arrays
        return _warned(error)
    return None


def _warned(error: Exception) -> str:
    warnings.warn(f"pnp's compiled loops are not used, so solves are slower: {error}", stacklevel=2)
    return str(error)


def program(what: str, of: str, batch: int, write: Callable[[int], Sequence[Part]]) -> str | None:
    """The name under which XLA knows a program, compiled if need be; None if it cannot be had.

    - what: its purpose, part of the name.
    - of: everything that it is written from besides the width, so that it tells programs apart.
    - batch: how many cases it will be called for.
    - write: gives its functions, `handler` among them, for so many cases at once.

    A law that cannot be translated is reported as a warning, once for each primitive without a translation; any other
    failure to compile is a warning too.
    """
    with _lock:
        if unavailable() is not None:
            return None
        wide = width(batch)
        name = _name(what, wide, of)
        if name not in _registered:
            _registered[name] = _tried(name, lambda: write(wide))
        return name if _registered[name] else None


def _name(what: str, wide: int, of: str) -> str:
    key = f"{_VERSION} {_SIZES} {wide} {of}"
    return f"pnp_{what}_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _tried(name: str, write: Callable[[], Sequence[Part]]) -> bool:
    try:
        _register(name, write())
    except UntranslatableError as error:
        _report(str(error))
        return False
    except Exception as error:  # whatever it is, the same can be done on arrays
        _warned(error)
        return False
    return True


def _report(primitive: str) -> None:
    if primitive not in _reported:
        _reported.add(primitive)
        warnings.warn(
            f"pnp's compiled loops have no translation for `{primitive}`, which a local law uses: that law is "
            "evaluated on arrays instead, with the same result but more slowly",
            stacklevel=2,
        )


def _register(name: str, parts: Sequence[Part]) -> None:
    declared = sorted(set().union(*(part.code.intrinsics for part in parts)))
    source = "\n".join([*declared, *(part.text for part in parts)])
    capsule = jax.ffi.pycapsule(ctypes.c_void_p(compiled(source, "handler")))
    jax.ffi.register_ffi_target(name, capsule, platform="cpu", api_version=1)


def call(
    name: str, rows: Sequence[int], scratch: int, elements: int, batch: int, operands: Sequence[Array], sides: int = 2
) -> list[Array]:
    """Call a program and return its results, one [row, element, side, batch] for each number of `rows`.

    scratch: how many numbers of scratch memory it needs for each element, side and lane. sides: as its `Block` has it.
    """
    array = lambda *shape: jax.ShapeDtypeStruct(shape, float)
    results = [*(array(m, elements, sides, batch) for m in rows), array(elements * sides * scratch * width(batch))]
    return list(jax.ffi.ffi_call(name, results, vmap_method="sequential")(*operands))[:-1]


# --- the handler --------------------------------------------------------------------------------

_BLOCK = "ptr %results, ptr %operands, i64 %lane, i64 %lanes, i64 %elements"

_REFUSE = """
define internal ptr @refuse(ptr %frame, ptr %message) {
  %place = getelementptr i8, ptr %frame, i64 16
  %api = load ptr, ptr %place
  %size = load i64, ptr %api
  %known = icmp uge i64 %size, API_SIZE
  br i1 %known, label %say, label %silent
say:
  %create.place = getelementptr i8, ptr %api, i64 48
  %create = load ptr, ptr %create.place
  %arguments = alloca i64, i64 4
  store i64 28, ptr %arguments
  %extension = getelementptr i64, ptr %arguments, i64 1
  store ptr null, ptr %extension
  %text = getelementptr i64, ptr %arguments, i64 2
  store ptr %message, ptr %text
  %code = getelementptr i64, ptr %arguments, i64 3
  store i32 9, ptr %code
  %error = call ptr %create(ptr %arguments)
  ret ptr %error
silent:
  ret ptr null
}"""
"""The error that a handler returns: `XLA_FFI_Error_Create` with FAILED_PRECONDITION (9). If even the table with that
function is not as expected there is none, but then no version has been written either, and XLA refuses that."""


class _Handler(Code):
    """A handler while it is written, with checks of the structures that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def require(self, label: str, **structures: Sequence[str]) -> None:
        """Go on at a label if all structures, pointers by name, are as large as expected; else return an error."""
        fits = "true"
        for name, pointers in structures.items():
            for pointer in pointers:
                size = self(f"load i64, ptr {pointer}")
                fitting = self(f"icmp {'eq' if name in _EMBEDDED else 'uge'} i64 {size}, {_SIZES[name]}")
                fits = self(f"and i1 {fits}, {fitting}")
        self.do(f"br i1 {fits}, label %{label}, label %{label}.refused")
        self.label(f"{label}.refused")
        text = (
            f"struct_size of {' or '.join(structures)} is not that of the layout that pnp's compiled loops "
            f"were written for ({SWITCH}=0 switches them off)\0"
        ).encode()
        escaped = "".join(f"\\{byte:02X}" for byte in text)
        self.messages.append(f'@message.{label} = private constant [{len(text)} x i8] c"{escaped}"')
        self.do(f"ret ptr {self(f'call ptr @refuse(ptr %frame, ptr @message.{label})')}")
        self.label(label)

    def data(self, table: str, number: int) -> str:
        """A table of the data of so many buffers, given a table of these."""
        pointers = self(f"alloca ptr, i64 {number}")
        for i in range(number):
            buffer = self.field(table, 8 * i)
            self.do(f"store ptr {self.field(buffer, 24)}, ptr {self.offset(pointers, i, 'ptr')}")
        return pointers


def handler(wide: int, operands: int, results: int) -> Part:
    """The function that XLA calls with a pointer to an XLA_FFI_CallFrame: it calls `block` for all lanes."""
    code = _Handler()
    code.require("known", XLA_FFI_CallFrame=["%frame"])
    api = code.field("%frame", 16)
    code.require("reporting", XLA_FFI_Api=[api])
    code.require("called", XLA_FFI_Api_Version=[code.offset(api, 16)])
    extension = code.field("%frame", 8)
    code.do(f"br i1 {code(f'icmp eq ptr {extension}, null')}, label %run, label %extended")
    code.label("extended")
    code.require("typed", XLA_FFI_Extension_Base=[extension])
    metadata_wanted = code(f"icmp eq i32 {code.field(extension, 8, 'i32')}, 1")
    code.do(f"br i1 {metadata_wanted}, label %asked, label %run")
    code.label("asked")
    code.require("extension", XLA_FFI_Metadata_Extension=[extension])
    metadata = code.field(extension, 24)
    code.require("metadata", XLA_FFI_Metadata=[metadata])
    for at, number in zip((24, 28), _API_VERSION, strict=True):
        code.do(f"store i32 {number}, ptr {code.offset(metadata, at)}")
    code.do("ret ptr null")
    code.label("run")
    code.require("tables", XLA_FFI_Args=[code.offset("%frame", 40)], XLA_FFI_Rets=[code.offset("%frame", 80)])
    given, returned = code.field("%frame", 72), code.field("%frame", 112)
    buffers = [code.field(given, 8 * i) for i in range(operands)]
    buffers += [code.field(returned, 8 * i) for i in range(results + 1)]
    code.require("buffers", XLA_FFI_Buffer=buffers)
    arguments, written = code.data(given, operands), code.data(returned, results + 1)
    dimensions = code.field(code.field(returned, 0), 40)  # of the first result: [row, element, side, batch]
    elements, lanes = code.field(dimensions, 8, "i64"), code.field(dimensions, 24, "i64")
    final = code(f"sub i64 {lanes}, {wide}")
    with code.loop("blocks", "0", f"slt {lanes}", str(wide)) as first:
        # Where no whole block is left, the last one begins earlier and does some lanes again.
        lane = code(f"select i1 {code(f'icmp slt i64 {first}, {final}')}, i64 {first}, i64 {final}")
        code.do(f"call void @block(ptr {written}, ptr {arguments}, i64 {lane}, i64 {lanes}, i64 {elements})")
    part = function("define ptr @handler(ptr %frame)", code, "ptr null")
    refuse = _REFUSE.replace("API_SIZE", str(_SIZES["XLA_FFI_Api"]))
    return part._replace(text="\n".join([*code.messages, refuse, part.text]))
