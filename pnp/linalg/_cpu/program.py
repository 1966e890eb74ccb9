"""Loops along the elements of a chain, as LLVM assembly: what a program reads and writes, and the laws it calls.

Arrays are [*items, element, side, batch] in memory order. A program handles some cases of the batch (lanes) at a time,
in a function `block`; `xla_ffi.handler` calls it for all of them. A law, which JAX traced and `jaxpr.translate`
rewrites, becomes a function of its own that a block calls at every element.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array

from pnp.linalg._cpu.jaxpr import UntranslatableError, translate
from pnp.linalg._cpu.llvm import Code, Lanes


class Operand(NamedTuple):
    """An array [*items, element, side, batch] that a law reads; an axis on which it does not depend has size 1."""

    items: tuple[int, ...]
    varies: tuple[bool, bool, bool]
    """With element, side, batch."""
    dtype: str
    end: int | None = None
    """For states at nodes, of which there is one more than elements: 0 for the outer end's, 1 for the inner end's."""

    @classmethod
    def like(cls, array: Array, end: int | None = None) -> "Operand":
        """The description of an array."""
        *items, element, side, batch = array.shape
        varies = (element != 1 or end is not None, side != 1, batch != 1)
        return cls(tuple(items), varies, str(array.dtype), end)


class Law(NamedTuple):
    """A function of the operands at one element."""

    traced: ClosedJaxpr
    """From the items of the operands there to numbers, or arrays of them."""
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        constants = [np.asarray(constant).tolist() for constant in self.traced.consts]
        return f"{self.operands} {self.traced} {constants}"


def traced_law(function: Callable, arguments: Sequence[Any], ends: Sequence[int | None]) -> tuple[Law, Any]:
    """The law of a function at one element, and the tree that the function returns, with shapes in place of numbers.

    - function: takes trees like `arguments` whose leaves are [*items] alone. It is traced once for each structure, so
      it has to be the same object in every call.
    - arguments: trees of arrays [*items, element, side, batch].
    - ends: of the operands of each argument, see `Operand`.
    """
    leaves = [(leaf, end) for one, end in zip(arguments, ends, strict=True) for leaf in jax.tree.leaves(one)]
    operands = tuple(Operand.like(*pair) for pair in leaves)
    items = tuple((operand.items, operand.dtype) for operand in operands)
    traced, returned = _traced(function, jax.tree.structure(tuple(arguments)), items)
    return Law(traced, operands), returned


@functools.cache
def _traced(function, structure, items):
    shapes = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in items]
    at_element = lambda *leaves: function(*jax.tree.unflatten(structure, leaves))
    return jax.make_jaxpr(at_element, return_shape=True)(*shapes)


def chain_shape(elements: Any, states: Any = None) -> tuple[int, int]:
    """How many elements, and cases of the batch, there are in trees of arrays [*items, element, side, batch].

    states: arrays of the same form at the nodes, of which there is one more.
    """
    counts = [leaf.shape[-3] for leaf in jax.tree.leaves(elements)]
    counts += [leaf.shape[-3] - 1 for leaf in jax.tree.leaves(states)]
    batch = [leaf.shape[-1] for leaf in jax.tree.leaves((elements, states))]
    return max(counts), max(batch)


class Part(NamedTuple):
    """A function of a program."""

    code: Code
    text: str


def function(head: str, code: Code, result: str = "void") -> Part:
    """A function with that code."""
    return Part(code, "\n".join([f"{head} {{", *code.lines, f"  ret {result}", "}"]))


_GIVEN = "ptr %operands, i64 %lane, i64 %lanes, i64 %elements"


class Block:
    """The function that handles the lanes from `%lane` on, while it is written: reading, storing, calling laws."""

    def __init__(self, wide: int, results: int | None, sides: int = 2):
        self.code, self.width, self.kind, self._sides = Code(), wide, f"<{wide} x double>", sides
        if results is not None:
            self.code.do("%last = sub i64 %elements, 1")
            *self.results, self.scratch = self._pointers("%results", results + 1)

    def _pointers(self, table: str, number: int) -> list[str]:
        return [self.code(f"load ptr, ptr {self.code.offset(table, i, 'ptr')}") for i in range(number)]

    def operands(self, number: int) -> list[str]:
        """Pointers to the operands."""
        return self._pointers("%operands", number)

    def constant(self, value: float) -> Lanes:
        """The same number in all lanes."""
        return Lanes(self.code, self.width, "").like(value)

    def load(self, place: str) -> Lanes:
        """The numbers at a pointer."""
        return Lanes(self.code, self.width, self.code(f"load {self.kind}, ptr {place}, align 8"))

    def store(self, value: Lanes, place: str) -> None:
        """Numbers to a pointer."""
        self.code.do(f"store {self.kind} {value.register}, ptr {place}, align 8")

    def _row(self, element: str, side: int) -> str:
        return self.code(f"add i64 {self.code(f'mul i64 {element}, {self._sides}')}, {side}")

    def result(self, which: int, rows: int, element: str, side: int) -> list[str]:
        """Pointers to the rows of a result [row, element, side, batch] at an element."""
        here = self.code(f"add i64 {self.code(f'mul i64 {self._row(element, side)}, %lanes')}, %lane")
        size = self.code(f"mul i64 %elements, {self.code(f'mul i64 %lanes, {self._sides}')}")
        ats = [self.code(f"add i64 {self.code(f'mul i64 {size}, {r}')}, {here}") for r in range(rows)]
        return [self.code.offset(self.results[which], at, "double") for at in ats]

    def at_element(self, number: int, element: str, side: int) -> list[str]:
        """Pointers into scratch memory, of which every element and side has so many."""
        at = self.code(f"mul i64 {self._row(element, side)}, {number * self.width}")
        base = self.code.offset(self.scratch, at, "double")
        return [self.code.offset(base, i * self.width, "double") for i in range(number)]

    def variables(self, number: int) -> list[str]:
        """Pointers to so many variables on the stack."""
        base = self.code(f"alloca {self.kind}, i64 {number}, align 64")
        return [self.code.offset(base, i * self.width, "double") for i in range(number)]

    def law(self, name: str, number: int) -> Callable[[str, int], list[Lanes]]:
        """A call of a law (see `law`) at an element, which has so many results."""
        places = self.variables(number)

        def at(element: str, side: int) -> list[Lanes]:
            self.code.do(f"call void @{name}({_GIVEN}, i64 {element}, i64 {side}, ptr {places[0]})")
            return [self.load(place) for place in places]

        return at

    def function(self) -> Part:
        """The finished function."""
        return function(f"define internal void @block(ptr %results, {_GIVEN})", self.code)


def law(name: str, wide: int, law: Law) -> Part:
    """The function `name(…, element, side, results)`, which writes the results of a law one after the other."""
    block = Block(wide, None)
    given = [
        _items(block, array, operand)
        for array, operand in zip(block.operands(len(law.operands)), law.operands, strict=True)
    ]
    for i, entry in enumerate(entry for value in translate(law.traced, given) for entry in value.ravel()):
        number = entry if isinstance(entry, Lanes) else block.constant(entry)
        block.store(number, block.code.offset("%written", i * wide, "double"))
    return function(f"define internal void @{name}({_GIVEN}, i64 %element, i64 %side, ptr %written)", block.code)


def _items(block: Block, array: str, operand: Operand) -> np.ndarray:
    """The items of an operand at this element."""
    code, at, stride = block.code, "0", "1"  # index in [element, side, batch], and the distance between items
    for axis, size, varies in zip(
        ("element", "side", "lane"), ("%elements", "2", "%lanes"), operand.varies, strict=True
    ):
        if varies:
            here = f"%{axis}"
            if axis == "element" and operand.end is not None:
                size, here = code(f"add i64 {size}, 1"), code(f"add i64 {here}, {operand.end}")  # noqa: PLW2901
            at, stride = code(f"add i64 {code(f'mul i64 {at}, {size}')}, {here}"), code(f"mul i64 {stride}, {size}")
    items = np.empty(operand.items, object)
    for number, index in enumerate(np.ndindex(operand.items)):
        there = code(f"add i64 {code(f'mul i64 {stride}, {number}')}, {at}")
        items[index] = _item(block, array, there, operand)
    return items


_STORED = {"float64": "double", "bool": "i8"}


def _item(block: Block, array: str, at: str, operand: Operand) -> Lanes:
    if operand.dtype not in _STORED:
        raise UntranslatableError(f"an array of {operand.dtype}")
    code, wide, item = block.code, block.width, _STORED[operand.dtype]
    kind, place = f"<{wide} x {item}>", code.offset(array, at, item)
    if operand.varies[2]:
        register = code(f"load {kind}, ptr {place}, align {1 if item == 'i8' else 8}")
    else:
        one = code(f"insertelement {kind} undef, {item} {code(f'load {item}, ptr {place}')}, i32 0")
        register = code(f"shufflevector {kind} {one}, {kind} undef, <{wide} x i32> zeroinitializer")
    value = Lanes(code, wide, register, item)
    return value.converted("trunc", "i1") if item == "i8" else value
