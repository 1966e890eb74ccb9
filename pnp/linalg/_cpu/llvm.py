"""Writing and compiling small programs for this processor, by LLVM: some cases (lanes) at a time, side by side.

`Code` collects LLVM's assembly language; `Lanes` are registers in it with one number of each lane, whose arithmetic
writes instructions; `compiled` makes machine code of it, by llvmlite.
"""

import functools
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_kept: list = []  # compiled code is there as long as its compiler is


@functools.cache
def compiler():
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


def width(lanes: int) -> int:
    """How many lanes are worked on at once: as many as there are and a register has room for."""
    widest = 8 if compiler().get_host_cpu_features().get("avx512f") else 4
    return min(widest, 1 << (lanes.bit_length() - 1))


def compiled(source: str, name: str) -> int:
    """The address of a function in compiled code."""
    llvm = compiler()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    module = llvm.parse_assembly(source)
    module.triple = machine.triple
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _kept.append(engine)
    return engine.get_function_address(name)


class Code:
    """Assembly language in the making."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._known: dict[str, str] = {}
        self.intrinsics: set[str] = set()  # declarations of the functions called

    def __call__(self, instruction: str) -> str:
        """Add an instruction and return the register with its result."""
        register = f"%r{len(self.lines)}"
        self.lines.append(f"  {register} = {instruction}")
        return register

    def value(self, instruction: str) -> str:
        """The same for arithmetic, which is not repeated if it has been written before on the way to here."""
        if instruction not in self._known:
            self._known[instruction] = self(instruction)
        return self._known[instruction]

    def do(self, line: str) -> None:
        """Add an instruction without a result, or a label, after which nothing is known any more."""
        label = line.endswith(":")
        self.lines.append(line if label else f"  {line}")
        if label:
            self._known.clear()

    def offset(self, base: str, offset, kind: str = "i8") -> str:
        """The pointer `offset` items beyond another."""
        return self(f"getelementptr {kind}, ptr {base}, i64 {offset}")

    def field(self, structure: str, at: int, kind: str = "ptr") -> str:
        """What stands in a C structure `at` bytes from its begin."""
        return self(f"load {kind}, ptr {self.offset(structure, at)}")

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


class Lanes:
    """A register with one number (`double`) or truth (`i1`) of each lane; numbers it meets are those of all lanes."""

    def __init__(self, code: Code, width: int, register: str, item: str = "double"):
        self.code, self.width, self.register, self.item = code, width, register, item

    @property
    def kind(self) -> str:
        """LLVM's name of the type."""
        return f"<{self.width} x {self.item}>"

    def like(self, number: float) -> "Lanes":
        """The same number in all lanes."""
        bits = struct.unpack("<Q", struct.pack("<d", float(number)))[0]
        each = f"double 0x{bits:016X}"
        return Lanes(self.code, self.width, f"<{', '.join([each] * self.width)}>")

    def written(self, operation: str, *others: "Lanes | float", item: str | None = None) -> "Lanes":
        """`operation <type of this> this, others…`, whose result has items of another type if one is given."""
        operands = [self, *(other if isinstance(other, Lanes) else self.like(other) for other in others)]
        text = f"{operation} {self.kind} {', '.join(each.register for each in operands)}"
        return Lanes(self.code, self.width, self.code.value(text), item or self.item)

    def converted(self, operation: str, item: str) -> "Lanes":
        """`operation <type of this> this to <items>`."""
        text = f"{operation} {self.kind} {self.register} to <{self.width} x {item}>"
        return Lanes(self.code, self.width, self.code.value(text), item)

    def called(self, intrinsic: str, *others: "Lanes | float") -> "Lanes":
        """What one of LLVM's intrinsic functions makes of this, and of others alike."""
        operands = [self, *(other if isinstance(other, Lanes) else self.like(other) for other in others)]
        arguments = ", ".join(f"{self.kind} {each.register}" for each in operands)
        name = f"@llvm.{intrinsic}.v{self.width}{'f64' if self.item == 'double' else self.item}"
        self.code.intrinsics.add(f"declare {self.kind} {name}({', '.join([self.kind] * len(operands))})")
        return Lanes(self.code, self.width, self.code.value(f"call {self.kind} {name}({arguments})"), self.item)

    # `contract` allows a · b + c in one instruction, rounded once.
    def __add__(self, other):
        return self.written("fadd contract", other)

    def __sub__(self, other):
        return self.written("fsub contract", other)

    def __mul__(self, other):
        return self.written("fmul contract", other)

    def __truediv__(self, other):
        return self.written("fdiv", other)

    def __rsub__(self, other):
        return self.like(other) - self

    def __rtruediv__(self, other):
        return self.like(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self.written("fneg")
