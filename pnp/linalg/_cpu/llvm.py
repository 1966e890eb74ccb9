"""Writing and compiling small programs for this processor with LLVM.

`Code` collects LLVM assembly, `Lanes` are vector registers whose arithmetic writes instructions, and `compiled` makes
machine code of the text through llvmlite. A lane is one case of the batch: a register holds as many as fit.
"""

import functools
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_engines: list = []  # compiled code exists as long as its engine


@functools.cache
def compiler():
    """llvmlite, ready to compile for this processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def width(batch: int) -> int:
    """How many cases a program works on at once: what fits into a vector register, and no more than the batch."""
    widest = 8 if compiler().get_host_cpu_features().get("avx512f") else 4
    return min(widest, 1 << (batch.bit_length() - 1))


def compiled(source: str, name: str) -> int:
    """The address of a function of LLVM assembly after compiling it."""
    llvm = compiler()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    module = llvm.parse_assembly(source)
    module.triple = machine.triple
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address(name)


class Code:
    """The instructions of one function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._values: dict[str, str] = {}
        self.intrinsics: set[str] = set()
        """Declarations of LLVM's own functions that are called."""

    def __call__(self, instruction: str) -> str:
        """Add an instruction and return the register with its result."""
        register = f"%r{len(self.lines)}"
        self.lines.append(f"  {register} = {instruction}")
        return register

    def value(self, instruction: str) -> str:
        """The same for arithmetic without side effects: a repetition within one basic block returns the first."""
        if instruction not in self._values:
            self._values[instruction] = self(instruction)
        return self._values[instruction]

    def do(self, line: str) -> None:
        """Add an instruction without a result."""
        self.lines.append(f"  {line}")

    def label(self, name: str) -> None:
        """Begin a basic block; values of earlier blocks are not reused in it."""
        self.lines.append(f"{name}:")
        self._values.clear()

    def offset(self, base: str, offset, kind: str = "i8") -> str:
        """The pointer `offset` items beyond another."""
        return self(f"getelementptr {kind}, ptr {base}, i64 {offset}")

    def field(self, structure: str, at: int, kind: str = "ptr") -> str:
        """The field of a C structure that begins at byte `at`."""
        return self(f"load {kind}, ptr {self.offset(structure, at)}")

    @contextmanager
    def loop(self, label: str, first: str, condition: str, step: str) -> Iterator[str]:
        """`for (i = first; i condition; i += step)` with a condition like `slt %x`; the label is used once."""
        comparison, bound = condition.split()
        self.do(f"br label %{label}.before")
        self.label(f"{label}.before")
        self.do(f"br label %{label}")
        self.label(label)
        index = f"%{label}.index"
        self.do(f"{index} = phi i64 [ {first}, %{label}.before ], [ %{label}.next, %{label}.end ]")
        self.do(f"%{label}.go = icmp {comparison} i64 {index}, {bound}")
        self.do(f"br i1 %{label}.go, label %{label}.body, label %{label}.after")
        self.label(f"{label}.body")
        yield index
        self.do(f"br label %{label}.end")
        self.label(f"{label}.end")
        self.do(f"%{label}.next = add i64 {index}, {step}")
        self.do(f"br label %{label}")
        self.label(f"{label}.after")


class Lanes:
    """A vector register: one number (`double`) or truth value (`i1`) per lane. Plain numbers apply to all lanes."""

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
        """The result of `operation <type of this> this, others`; item: its type, if not that of this."""
        operands = [self, *(other if isinstance(other, Lanes) else self.like(other) for other in others)]
        text = f"{operation} {self.kind} {', '.join(each.register for each in operands)}"
        return Lanes(self.code, self.width, self.code.value(text), item or self.item)

    def converted(self, operation: str, item: str) -> "Lanes":
        """The result of `operation <type of this> this to <items>`."""
        text = f"{operation} {self.kind} {self.register} to <{self.width} x {item}>"
        return Lanes(self.code, self.width, self.code.value(text), item)

    def called(self, intrinsic: str, *others: "Lanes | float") -> "Lanes":
        """The result of one of LLVM's intrinsic functions of this and of others of the same type."""
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
