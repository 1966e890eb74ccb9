"""The elimination of `pnp.linear` as one compiled loop for CPUs, called by XLA through its FFI.

XLA runs some forty small programs per node; here one loop goes down both arms and up again, some lanes at a time,
with the small blocks in registers. The loop is written as LLVM's assembly language for the blocks at hand (their
size, which entries are always zero, the number of right-hand sides), with the same algebra as everywhere
(`pnp.blocks`), and compiled by llvmlite, the optional extra `fast`. That takes some 0.1 s. Nothing is called back:
XLA calls the compiled code as it calls its own. It keeps nothing between calls, so several threads may run it.
"""

import ctypes
import functools
import hashlib
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from pnp.blocks import filled, minus, negative, pass_node, plus, product, solve

VERSION = 1
"""Of what the compiled code expects from its caller; part of its name, which XLA's cached programs refer to."""

_FFI_VERSION = 0, 3
"""Of the layout of XLA's structures read below (`xla/ffi/api/c_api.h`); XLA refuses what it no longer supports."""


Pattern = tuple[tuple[bool, ...], ...]


class Shape(NamedTuple):
    """What one compiled elimination is for, all that is known before the numbers are: which entries [row][column] of
    the arguments of `linear.eliminate` are not always zero."""

    through_near: Pattern
    through_far: Pattern
    held_near: Pattern
    held_far: Pattern
    through: Pattern
    held: Pattern

    @property
    def unknowns(self) -> int:
        """Per node."""
        return len(self.through_near)

    @property
    def columns(self) -> int:
        """Right-hand sides."""
        return len(self.held[0])

    def scratch(self, nodes: int) -> int:
        """Numbers that the code keeps for a block of lanes: W and z of every node of both arms, and Y and s."""
        return nodes * 2 * self.unknowns * (self.unknowns + self.columns) * max(_widths())


_lock = threading.Lock()
_kept: list = []  # compiled code is there as long as its compiler is


def target(shape: Shape) -> str | None:
    """The name under which XLA knows the elimination for `shape`, compiled if need be.

    None if it cannot be: silently without llvmlite, with a warning that says why if anything goes wrong.
    """
    with _lock:
        return _target(shape)


@functools.cache
def _target(shape: Shape) -> str | None:
    if _compiler() is None:
        return None
    name = f"pnp_eliminate_{VERSION}_{hashlib.sha256(repr(shape).encode()).hexdigest()[:16]}"
    try:
        capsule = jax.ffi.pycapsule(ctypes.c_void_p(_compiled(assembly(shape))))
        jax.ffi.register_ffi_target(name, capsule, platform="cpu", api_version=1)
    except Exception as error:  # whatever it is, there is another way
        warnings.warn(f"pnp's compiled elimination is not used, so solves are slower: {error}", stacklevel=2)
        return None
    return name


@functools.cache
def _compiler():
    """llvmlite ready to compile for this processor, or None."""
    if sys.platform == "win32":  # never tried there, and what goes wrong in compiled code cannot be caught
        return None
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def _widths() -> tuple[int, ...]:
    """How many lanes are eliminated at once: as many as a register has room for, and fewer at the end."""
    widest = 8 if _compiler().get_host_cpu_features().get("avx512f") else 4
    return tuple(width for width in (8, 4, 2, 1) if width <= widest)


def _compiled(source: str) -> int:
    """The address of `handler` in compiled code."""
    llvm = _compiler()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    module = llvm.parse_assembly(source)
    module.triple = machine.triple
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _kept.append(engine)
    return engine.get_function_address("handler")


# --- writing it ---------------------------------------------------------------------------------


class _Code:
    """Assembly language in the making."""

    def __init__(self):
        self.lines: list[str] = []
        self._count = 0

    def __call__(self, instruction: str) -> str:
        """Add an instruction and return the register with its result."""
        self._count += 1
        register = f"%r{self._count}"
        self.lines.append(f"  {register} = {instruction}")
        return register

    def do(self, line: str) -> None:
        """Add an instruction without a result, or a label."""
        self.lines.append(line if line.endswith(":") else f"  {line}")

    def offset(self, base: str, offset, kind: str = "i8") -> str:
        """The pointer `offset` items beyond another."""
        return self(f"getelementptr {kind}, ptr {base}, i64 {offset}")

    def field(self, struct: str, at: int, kind: str = "ptr") -> str:
        """What stands in a C structure `at` bytes from its begin."""
        return self(f"load {kind}, ptr {self.offset(struct, at)}")

    @contextmanager
    def loop(self, label: str, first: str, condition: str, step: str) -> Iterator[str]:
        """`for (i = first; i condition; i += step)`, the condition as `slt %x`, giving i; uses the label once."""
        comparison, bound = condition.split()
        self.do(f"br label %{label}.before")
        self.do(f"{label}.before:")
        self.do(f"br label %{label}")
        self.do(f"{label}:")
        index = f"%{label}.index"
        self.do(f"{index} = phi i64 [ {first}, %{label}.before ], [ %{label}.next, %{label}.end ]")
        self.do(f"%{label}.go = icmp {comparison} i64 {index}, {bound}")
        self.do(f"br i1 %{label}.go, label %{label}.body, label %{label}.after")
        self.do(f"{label}.body:")
        yield index
        self.do(f"br label %{label}.end")
        self.do(f"{label}.end:")
        self.do(f"%{label}.next = add i64 {index}, {step}")
        self.do(f"br label %{label}")
        self.do(f"{label}.after:")


class _Lanes:
    """A register with one number of each lane of a block; arithmetic writes instructions."""

    def __init__(self, code: _Code, kind: str, register: str):
        self.code, self.kind, self.register = code, kind, register

    def _with(self, operation: str, *operands: str) -> "_Lanes":
        return _Lanes(self.code, self.kind, self.code(f"{operation} {self.kind} {', '.join(operands)}"))

    # `contract` allows a · b + c in one instruction, rounded once.
    def __add__(self, other):
        return self._with("fadd contract", self.register, other.register)

    def __sub__(self, other):
        return self._with("fsub contract", self.register, other.register)

    def __mul__(self, other):
        return self._with("fmul contract", self.register, other.register)

    def __neg__(self):
        return self._with("fneg", self.register)

    def __rtruediv__(self, numerator: float):
        width = int(self.kind[1 : self.kind.index(" ")])
        ones = ", ".join([f"double {numerator!r}"] * width)
        return self._with("fdiv", f"<{ones}>", self.register)


class _Memory:
    """Where the numbers of a block of lanes are: operands and results [node, arm, lane], and scratch."""

    def __init__(self, code: _Code, shape: Shape, width: int):
        self.code, self.kind, self.width = code, f"<{width} x double>", width
        m, c = shape.unknowns, shape.columns
        counter = iter(range(10**6))
        take = lambda table: code(f"load ptr, ptr {code.offset(table, next(counter), 'ptr')}")
        self.given: Any = Shape(*([[take("%operands") if p else None for p in row] for row in rows] for rows in shape))  # type: ignore[arg-type]
        counter = iter(range(10**6))
        self.x = [[take("%results") for _ in range(c)] for _ in range(m)]
        self.scratch = take("%results")
        self.per_node = m * (m + c)

    def at(self, node: str, arm: int) -> str:
        """Where the block is in arrays [node, arm, lane]."""
        row = self.code(f"add i64 {self.code(f'mul i64 {node}, 2')}, {arm}")
        return self.code(f"add i64 {self.code(f'mul i64 {row}, %lanes')}, %lane")

    def load(self, arrays, at: str):
        """Entries of arrays [row][column]."""
        value = lambda array: self.code(f"load {self.kind}, ptr {self.code.offset(array, at, 'double')}, align 8")
        read = lambda array: None if array is None else _Lanes(self.code, self.kind, value(array))
        return [[read(array) for array in row] for row in arrays]

    def store(self, values, arrays, at: str) -> None:
        """Entries of arrays [row][column]."""
        for row, places in zip(values, arrays, strict=True):
            for value, array in zip(row, places, strict=True):
                place = self.code.offset(array, at, "double")
                self.code.do(f"store {self.kind} {value.register}, ptr {place}, align 8")

    def slots(self, node: str, arm: int, m: int, c: int):
        """Where W and z of a node are kept, as arrays [row][column] for `load` and `store` at 0."""
        row = self.code(f"add i64 {self.code(f'mul i64 {node}, 2')}, {arm}")
        base = self.code.offset(self.scratch, self.code(f"mul i64 {row}, {self.per_node * self.width}"), "double")
        place = lambda i: self.code.offset(base, i * self.width, "double")
        table = [[place(r * (m + c) + column) for column in range(m + c)] for r in range(m)]
        return [row[:m] for row in table], [row[m:] for row in table]


def assembly(shape: Shape) -> str:
    """The elimination in LLVM's assembly language: `handler`, as XLA's FFI calls it."""
    blocks = "\n".join(_block(shape, width) for width in _widths())
    return f"{blocks}\n{_handler(shape)}"


def _block(shape: Shape, width: int) -> str:
    """The elimination for `width` lanes from `lane` on: `linear.eliminate_by_scan`, which see."""
    code, m, c = _Code(), shape.unknowns, shape.columns
    memory = _Memory(code, shape, width)
    given, arms = memory.given, range(2)
    zero = _Lanes(code, memory.kind, "zeroinitializer")

    def keep(node, arm, pair):
        """W and z of a node; Y and s in the place of the last node, which has none."""
        for values, place in zip(pair, memory.slots(node, arm, m, c), strict=True):
            memory.store(filled(values, zero), place, "0")

    def kept(node, arm):
        return tuple(memory.load(place, "0") for place in memory.slots(node, arm, m, c))

    def loaded(node, arm):
        """Y and s of a node with the half behind it."""
        (admittance, source), here = kept("%last", arm), memory.at(node, arm)
        return minus(admittance, memory.load(given.held_far, here)), plus(source, memory.load(given.held, here))

    for arm in arms:
        here = memory.at("0", arm)
        keep("%last", arm, (negative(memory.load(given.through_far, here)), memory.load(given.through, here)))

    with code.loop("down", "0", "slt %last", "1") as node:
        after = code(f"add i64 {node}, 1")
        for arm in arms:
            admittance, source = loaded(node, arm)
            here = memory.at(after, arm)
            element = (memory.load(rows, here) for rows in (given.through_near, given.through_far, given.through))
            inflow = minus(admittance, memory.load(given.held_near, here)), source
            inflow, swept = pass_node(inflow, tuple(element))
            keep("%last", arm, inflow)
            keep(node, arm, swept)

    (middle,) = solve(*(plus(*parts) for parts in zip(*(loaded("%last", arm) for arm in arms), strict=True)))
    for arm in arms:
        memory.store(middle, memory.x, memory.at("%last", arm))

    with code.loop("up", "%last", "sgt 0", "-1") as node:
        before = code(f"sub i64 {node}, 1")
        for arm in arms:
            w, z = kept(before, arm)
            x = minus(z, product(w, memory.load(memory.x, memory.at(node, arm))))
            memory.store(x, memory.x, memory.at(before, arm))
    body = "\n".join(code.lines)
    arguments = "ptr %operands, ptr %results, i64 %lane, i64 %lanes, i64 %last"
    return f"define internal void @block{width}({arguments}) {{\n{body}\n  ret void\n}}"


def _handler(shape: Shape) -> str:
    """What XLA calls, with a pointer to an XLA_FFI_CallFrame; returns no error, ever."""
    code, m, c = _Code(), shape.unknowns, shape.columns
    operands, results = sum(entry for pattern in shape for row in pattern for entry in row), m * c + 1
    # At registration XLA asks for metadata, by an extension of type 1 that says where to put them.
    extension = code.field("%frame", 8)
    code.do(f"br i1 {code(f'icmp eq ptr {extension}, null')}, label %run, label %asked")
    code.do("asked:")
    metadata = code.field(extension, 24)
    for at, number in zip((24, 28), _FFI_VERSION, strict=True):
        code.do(f"store i32 {number}, ptr {code.offset(metadata, at)}")
    code.do("ret ptr null")
    code.do("run:")

    def table(entries, count):
        """The data of a frame's XLA_FFI_Buffers."""
        pointers = code(f"alloca ptr, i64 {count}")
        for i in range(count):
            data = code.field(code.field(entries, 8 * i), 24)
            code.do(f"store ptr {data}, ptr {code.offset(pointers, i, 'ptr')}")
        return pointers

    arguments, returned = code.field("%frame", 72), code.field("%frame", 112)
    pointers = f"ptr {table(arguments, operands)}, ptr {table(returned, results)}"
    dimensions = code.field(code.field(returned, 0), 40)  # of x: [node, arm, lane]
    last = code(f"sub i64 {code.field(dimensions, 0, 'i64')}, 1")
    lanes = code.field(dimensions, 16, "i64")
    lane = "0"
    for width in _widths():
        whole = code(f"and i64 {lanes}, {-width}")
        with code.loop(f"blocks{width}", lane, f"slt {whole}", str(width)) as index:
            code.do(f"call void @block{width}({pointers}, i64 {index}, i64 {lanes}, i64 {last})")
        lane = index
    body = "\n".join(code.lines)
    return f"define ptr @handler(ptr %frame) {{\n{body}\n  ret ptr null\n}}"
