"""Compiled loops over the elements of a chain for CPUs, called by XLA through its FFI.

XLA runs a law as passes over whole arrays, and a recurrence as some forty small programs per node. What is written
here (`pnp.linalg._cpu.llvm`) goes along the elements of both arms, some lanes at a time, with everything in registers;
what happens at an element is a law that JAX traced, translated (`pnp.linalg._cpu.jaxpr`). Compiling takes some 0.1 s.
Nothing is called back: XLA calls the compiled code as it calls its own. It keeps nothing between calls, so several
threads may run it.
"""

import ctypes
import functools
import hashlib
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array

from pnp.linalg._cpu.jaxpr import UntranslatableError, translate
from pnp.linalg._cpu.llvm import Code, Lanes, compiled, compiler, width

VERSION = 2
"""Of what the compiled code expects from its caller; part of its name, which XLA's cached programs refer to."""

_FFI_VERSION = 0, 3
"""Of the layout of XLA's structures read below (`xla/ffi/api/c_api.h`); XLA refuses what it no longer supports."""


class Operand(NamedTuple):
    """An array [*items, element, arm, lane] that a law reads; what it does not depend on has size 1."""

    items: tuple[int, ...]
    varies: tuple[bool, bool, bool]
    """With element, arm, lane."""
    truth: bool
    """Whether it holds booleans."""
    ahead: int | None = None
    """For states at nodes, of which there is one more than elements: 0 to read the near end's, 1 the far end's."""

    @classmethod
    def like(cls, array: Array, ahead: int | None = None) -> "Operand":
        """One that describes an array."""
        *items, element, arm, lane = array.shape
        varies = (element != 1 or ahead is not None, arm != 1, lane != 1)
        return cls(tuple(items), varies, array.dtype == bool, ahead)


class Law(NamedTuple):
    """What happens at an element."""

    traced: ClosedJaxpr
    """From the items of the operands there to numbers, or arrays of them."""
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        constants = [np.asarray(constant).tolist() for constant in self.traced.consts]
        return f"{self.operands} {self.traced} {constants}"


def traced_law(function: Callable, arguments: Sequence[Any], ahead: Sequence[int | None]) -> tuple[Law, Any]:
    """What `function` does at an element, and the structure of what it returns, with shapes for numbers.

    arguments: trees of arrays [*items, element, arm, lane]; `function` takes the same with [*items] alone. ahead: that
    of each argument's operands. function: always the same object, so that it is traced once.
    """
    flat = [(leaf, where) for one, where in zip(arguments, ahead, strict=True) for leaf in jax.tree.leaves(one)]
    operands = tuple(Operand.like(*pair) for pair in flat)
    items = tuple((operand.items, operand.truth) for operand in operands)
    traced, returned = _traced(function, jax.tree.structure(tuple(arguments)), items)
    return Law(traced, operands), returned


@functools.cache
def _traced(function, structure, items):
    shapes = [jax.ShapeDtypeStruct(shape, bool if truth else float) for shape, truth in items]
    at_element = lambda *leaves: function(*jax.tree.unflatten(structure, leaves))
    return jax.make_jaxpr(at_element, return_shape=True)(*shapes)


class Part(NamedTuple):
    """A function of a program."""

    code: Code
    text: str


_lock = threading.Lock()
_known: dict[str, bool] = {}  # whether a program is to be had


def target(what: str, of: str, lanes: int, write: Callable[[int], Sequence[Part]]) -> str | None:
    """The name under which XLA knows a program, compiled if need be.

    of: what it is written from besides the number of lanes, so that it tells programs apart. write: the functions of
    it, `handler` among them, for so many lanes at once.

    None if it cannot be: silently without llvmlite or where a law cannot be translated, with a warning that says
    why if anything goes wrong.
    """
    if compiler() is None:
        return None
    wide = width(lanes)
    name = f"pnp_{what}_{VERSION}_{hashlib.sha256(f'{wide} {of}'.encode()).hexdigest()[:16]}"
    with _lock:
        if name not in _known:
            _known[name] = _register(name, lambda: write(wide))
        return name if _known[name] else None


def _register(name: str, write: Callable[[], Sequence[Part]]) -> bool:
    try:
        parts = write()
        declared = sorted(set().union(*(part.code.intrinsics for part in parts)))
        source = "\n".join([*declared, *(part.text for part in parts)])
        capsule = jax.ffi.pycapsule(ctypes.c_void_p(compiled(source, "handler")))
        jax.ffi.register_ffi_target(name, capsule, platform="cpu", api_version=1)
    except UntranslatableError:
        return False
    except Exception as error:  # whatever it is, there is another way
        warnings.warn(f"pnp's compiled loops are not used, so solves are slower: {error}", stacklevel=2)
        return False
    return True


def call(
    name: str, rows: Sequence[int], kept: int, elements: int, lanes: int, operands: Sequence[Array], arms: int = 2
) -> list[Array]:
    """The results of a program, one [row, element, arm, lane] for each number of `rows`.

    kept: how many numbers it needs room for, for each element, arm and lane. arms: as its `Block` has it.
    """
    array = lambda *shape: jax.ShapeDtypeStruct(shape, float)
    results = [*(array(m, elements, arms, lanes) for m in rows), array(elements * arms * kept * width(lanes))]
    return list(jax.ffi.ffi_call(name, results, vmap_method="sequential")(*operands))[:-1]


# --- writing it ---------------------------------------------------------------------------------

_GIVEN = "ptr %operands, i64 %lane, i64 %lanes, i64 %elements"


def function(head: str, code: Code, result: str = "void") -> Part:
    """A function of that code."""
    return Part(code, "\n".join([f"{head} {{", *code.lines, f"  ret {result}", "}"]))


class Block:
    """A program for the lanes from `%lane` on, to be completed: loading and storing, and calling its laws."""

    def __init__(self, wide: int, results: int | None, arms: int = 2):
        self.code, self.width, self.kind, self._arms = Code(), wide, f"<{wide} x double>", arms
        if results is not None:
            self.code.do("%last = sub i64 %elements, 1")
            *self.results, self.scratch = self._pointers("%results", results + 1)

    def _pointers(self, table: str, number: int) -> list[str]:
        return [self.code(f"load ptr, ptr {self.code.offset(table, i, 'ptr')}") for i in range(number)]

    def operands(self, number: int) -> list[str]:
        """The arrays given."""
        return self._pointers("%operands", number)

    def number(self, value: float) -> Lanes:
        """The same in all lanes."""
        return Lanes(self.code, self.width, "").like(value)

    def at(self, element: str, arm: int) -> str:
        """Where the block is in arrays [element, arm, lane]."""
        return self.code(f"add i64 {self.code(f'mul i64 {self._row(element, arm)}, %lanes')}, %lane")

    def _row(self, element: str, arm: int) -> str:
        return self.code(f"add i64 {self.code(f'mul i64 {element}, {self._arms}')}, {arm}")

    def load(self, place: str) -> Lanes:
        """The numbers at a place."""
        return Lanes(self.code, self.width, self.code(f"load {self.kind}, ptr {place}, align 8"))

    def store(self, value: Lanes, place: str) -> None:
        """Numbers to a place."""
        self.code.do(f"store {self.kind} {value.register}, ptr {place}, align 8")

    def read(self, array: str, at: str) -> Lanes:
        """The numbers of an array there."""
        return self.load(self.code.offset(array, at, "double"))

    def result(self, which: int, rows: int, element: str, arm: int) -> list[str]:
        """The places of a result at an element, [row]."""
        here, row = self.at(element, arm), self.code(f"mul i64 %lanes, {self._arms}")
        size = self.code(f"mul i64 %elements, {row}")
        ats = [self.code(f"add i64 {self.code(f'mul i64 {size}, {r}')}, {here}") for r in range(rows)]
        return [self.code.offset(self.results[which], at, "double") for at in ats]

    def kept(self, number: int, element: str, arm: int) -> list[str]:
        """Places to keep a number of things in for each element and arm, while this block of lanes is worked on."""
        at = self.code(f"mul i64 {self._row(element, arm)}, {number * self.width}")
        base = self.code.offset(self.scratch, at, "double")
        return [self.code.offset(base, i * self.width, "double") for i in range(number)]

    def room(self, number: int) -> list[str]:
        """Places for a number of things."""
        base = self.code(f"alloca {self.kind}, i64 {number}, align 64")
        return [self.code.offset(base, i * self.width, "double") for i in range(number)]

    def law(self, name: str, number: int) -> Callable[[str, int], list[Lanes]]:
        """The results of a law (see `law`) at an element, a number of them."""
        places = self.room(number)

        def at(element: str, arm: int) -> list[Lanes]:
            self.code.do(f"call void @{name}({_GIVEN}, i64 {element}, i64 {arm}, ptr {places[0]})")
            return [self.load(place) for place in places]

        return at

    def function(self) -> Part:
        """The whole block."""
        return function(f"define internal void @block(ptr %results, {_GIVEN})", self.code)


def law(name: str, wide: int, law: Law) -> Part:
    """`name(…, element, arm, results)` writes the results of a law at an element one after the other."""
    block = Block(wide, None)
    given = [
        _items(block, array, operand)
        for array, operand in zip(block.operands(len(law.operands)), law.operands, strict=True)
    ]
    for i, entry in enumerate(entry for value in translate(law.traced, given) for entry in value.ravel()):
        number = entry if isinstance(entry, Lanes) else block.number(entry)
        block.store(number, block.code.offset("%written", i * wide, "double"))
    return function(f"define internal void @{name}({_GIVEN}, i64 %element, i64 %arm, ptr %written)", block.code)


def _items(block: Block, array: str, operand: Operand) -> np.ndarray:
    """What a law reads of an operand."""
    code, at, stride = block.code, "0", "1"  # the place in [element, arm, lane], and how far apart the items are
    for axis, size, varies in zip(
        ("element", "arm", "lane"), ("%elements", "2", "%lanes"), operand.varies, strict=True
    ):
        if varies:
            here = f"%{axis}"
            if axis == "element" and operand.ahead is not None:
                size, here = code(f"add i64 {size}, 1"), code(f"add i64 {here}, {operand.ahead}")  # noqa: PLW2901
            at, stride = code(f"add i64 {code(f'mul i64 {at}, {size}')}, {here}"), code(f"mul i64 {stride}, {size}")
    items = np.empty(operand.items, object)
    for number, index in enumerate(np.ndindex(operand.items)):
        there = code(f"add i64 {code(f'mul i64 {stride}, {number}')}, {at}")
        items[index] = _item(block, array, there, operand)
    return items


def _item(block: Block, array: str, at: str, operand: Operand) -> Lanes:
    code, wide = block.code, block.width
    item = "i8" if operand.truth else "double"
    kind, place = f"<{wide} x {item}>", code.offset(array, at, item)
    if operand.varies[2]:
        register = code(f"load {kind}, ptr {place}, align {1 if operand.truth else 8}")
    else:
        one = code(f"insertelement {kind} undef, {item} {code(f'load {item}, ptr {place}')}, i32 0")
        register = code(f"shufflevector {kind} {one}, {kind} undef, <{wide} x i32> zeroinitializer")
    value = Lanes(code, wide, register, item)
    return value.converted("trunc", "i1") if operand.truth else value


def handler(wide: int, operands: int, results: int) -> Part:
    """What XLA calls, with a pointer to an XLA_FFI_CallFrame: the block for all lanes; returns no error, ever."""
    code = Code()
    # At registration XLA asks for metadata, by an extension of type 1 that says where to put them.
    extension = code.field("%frame", 8)
    code.do(f"br i1 {code(f'icmp eq ptr {extension}, null')}, label %run, label %asked")
    code.do("asked:")
    metadata = code.field(extension, 24)
    for at, number in zip((24, 28), _FFI_VERSION, strict=True):
        code.do(f"store i32 {number}, ptr {code.offset(metadata, at)}")
    code.do("ret ptr null")
    code.do("run:")

    def table(entries: str, number: int) -> str:
        """The data of a frame's XLA_FFI_Buffers."""
        pointers = code(f"alloca ptr, i64 {number}")
        for i in range(number):
            data = code.field(code.field(entries, 8 * i), 24)
            code.do(f"store ptr {data}, ptr {code.offset(pointers, i, 'ptr')}")
        return pointers

    arguments, returned = code.field("%frame", 72), code.field("%frame", 112)
    given, written = table(arguments, operands), table(returned, results + 1)
    dimensions = code.field(code.field(returned, 0), 40)  # of the first result: [row, element, arm, lane]
    elements, lanes = code.field(dimensions, 8, "i64"), code.field(dimensions, 24, "i64")
    final = code(f"sub i64 {lanes}, {wide}")
    with code.loop("blocks", "0", f"slt {lanes}", str(wide)) as first:
        # Where no whole block is left, the last one begins earlier and does some lanes again.
        lane = code(f"select i1 {code(f'icmp slt i64 {first}, {final}')}, i64 {first}, i64 {final}")
        arguments = f"ptr {written}, ptr {given}, i64 {lane}, i64 {lanes}, i64 {elements}"
        code.do(f"call void @block({arguments})")
    return function("define ptr @handler(ptr %frame)", code, "ptr null")
