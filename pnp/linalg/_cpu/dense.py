"""The filled diagonal blocks of an elimination slice by slice, inverted in one compiled loop.

XLA runs the loops of such an elimination as dozens of small programs, and the threads of LAPACK, which it calls for an
inverse, get in the way of its own. Here sixteen rows at a time are eliminated from all others by Gauss and Jordan
without pivots, and that from four rows at a time, which stay in registers.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.linalg._cpu.llvm import Code, Lanes, width
from pnp.linalg._cpu.program import Block, Part
from pnp.linalg._cpu.xla_ffi import handler, program

_ROWS = 16  # eliminated at a time
_TARGETS = 4  # rows from which they are eliminated at a time
_MARGIN = 16  # numbers that may be read or written beyond either end of a row


def invert_slices(
    bands: Sequence[Float[Array, "slice row column 3 node"]], identity_slices: tuple[int, int], identity_from: int
) -> Callable | None:
    """Compiled inverses of the filled blocks: see `slice_elimination.factor`, which has the same arguments.

    Returns a function of the bands with the inverses, [slice, row, node, column, node]; None if there is no such
    program.
    """
    slices, rows, _, _, nodes = bands[1].shape
    name = program("invert_slices", str(rows), 1, lambda wide: [_program(rows), handler(wide, 4, 1)])
    if name is None:
        return None

    def inverses(bands):
        size = -(-rows * nodes // _ROWS) * _ROWS
        padded = nodes + 2 * _MARGIN
        scratch = (
            size * (size + 2 * _ROWS) + (rows * nodes + 3) * rows * padded + 3 * rows * rows * padded + 8 * _MARGIN
        )
        results = [jax.ShapeDtypeStruct(shape, float) for shape in ((1, slices, (rows * nodes) ** 2, 1), (scratch,))]
        sizes = jnp.array([nodes, identity_from, *identity_slices])
        found, _ = jax.ffi.ffi_call(name, results, vmap_method="sequential")(*bands, sizes)
        return found.reshape(slices, rows, nodes, rows, nodes)

    return inverses


def _program(rows: int) -> Part:
    """For `%elements` slices."""
    block = Block(1, 1)
    elimination = _Elimination(block, rows)
    with block.code.loop("slices", "0", "slt %elements", "1") as i:
        elimination.eliminate(_Slice(elimination, i))
    return block.function()


class _Elimination:
    """The program while it is written: its operands and its scratch memory, as pointers and numbers in registers."""

    def __init__(self, block: Block, rows: int):
        code = self.code = block.code
        self.rows, self.matrices = rows, _Matrices(code)
        *self.bands, given = block.operands(4)
        (self.found,) = block.results
        sizes = (code(f"load i64, ptr {code.offset(given, i, 'i64')}") for i in range(4))
        self.nodes, self.identity_from, self.first_slice, self.last_slice = sizes
        self.unknowns = self.times(self.nodes, rows)
        largest = code(f"and i64 {self.plus(self.unknowns, _ROWS - 1)}, {-_ROWS}")
        self.padded_nodes = self.plus(self.nodes, 2 * _MARGIN)
        self.row_size = self.times(self.padded_nodes, rows)
        free = block.scratch

        def taken(count: str) -> str:
            nonlocal free
            place, free = free, self.part(free, count)
            return place

        self.matrix = taken(self.times(largest, largest))
        self.pivots, self.columns = (taken(self.times(largest, _ROWS)) for _ in range(2))
        couplings = self.times(self.padded_nodes, 3 * rows * rows)
        zeros = self.plus(self.times(self.plus(self.unknowns, 3), self.row_size), couplings)
        self.matrices.clear(free, zeros)
        taken(self.row_size)  # before the first product and after the last there is a row of zeros
        self.products = taken(self.times(self.plus(self.unknowns, 1), self.row_size))
        """The last inverse times the couplings of its slice to the next, a padded row for each of its own."""
        self.line, self.couplings = taken(self.row_size), taken(couplings)
        """A row of that inverse, and those couplings, padded alike."""

    def times(self, a, b) -> str:
        """a · b."""
        return self.code(f"mul i64 {a}, {b}")

    def plus(self, a, b) -> str:
        """a + b."""
        return self.code(f"add i64 {a}, {b}")

    def part(self, place: str, at) -> str:
        """The pointer `at` numbers beyond another."""
        return self.code.offset(place, at, "double")

    def pairs(self):
        """Every (row, column)."""
        return [(r, c) for r in range(self.rows) for c in range(self.rows)]

    def eliminate(self, here: "_Slice") -> None:
        """Write one slice: its block less the fill-in from the slices before, the inverse of that, and the products
        that fill in the next."""
        here.clear()
        for r in range(self.rows):
            here.fill_in(r)
        for r, c in self.pairs():
            for shift in (-1, 0, 1):
                here.add_own(r, c, shift)
        with self.code.loop("steps", "0", f"slt {here.size}", str(_ROWS)) as at:
            self.matrices.eliminate(self.matrix, self.pivots, self.columns, here.size, at)
        here.save()
        for r, c in self.pairs():
            for shift in (-1, 0, 1):
                self.matrices.copy(self.coupling(r, c, shift), here.entry(2, r, c, shift), self.nodes)
        with self.code.loop("products", "0", f"slt {self.unknowns}", "1") as a:
            self.multiply(self.part(here.inverse, self.times(a, self.unknowns)), self.product(a))

    def coupling(self, r: int, c: int, shift: int) -> str:
        """The padded coupling of the row r to the column c of the next slice."""
        return self.part(self.couplings, self.times(self.padded_nodes, (r * self.rows + c) * 3 + shift + 1))

    def product(self, row: str) -> str:
        """A row of the products."""
        return self.part(self.products, self.times(row, self.row_size))

    def multiply(self, row: str, product: str) -> None:
        """A row of an inverse times all couplings."""
        code, matrices = self.code, self.matrices
        of = lambda base, c, at: self.part(base, self.plus(self.times(self.padded_nodes, c), at))
        for b in range(self.rows):
            matrices.copy(of(self.line, b, "0"), self.part(row, self.times(self.nodes, b)), self.nodes)
        matrices.clear(product, self.row_size)
        for c in range(self.rows):
            for shift in (-1, 0, 1):
                with code.loop(f"product{c}.{shift}", "0", f"slt {self.nodes}", str(matrices.wide)) as j:
                    place = of(product, c, self.plus(j, _MARGIN + shift))
                    total = matrices.load(place)
                    for b in range(self.rows):
                        coupling = matrices.load(self.part(self.coupling(b, c, shift), j))
                        total = total + matrices.load(of(self.line, b, j)) * coupling
                    matrices.store(total, place)


class _Slice:
    """A slice in the work matrix, which leaves out the rows and columns of the unit matrix."""

    def __init__(self, program: _Elimination, i: str):
        self.of, self.code = program, program.code
        code, plus, times = program.code, program.plus, program.times
        inside = (code(f"icmp sgt i64 {i}, {program.first_slice}"), code(f"icmp slt i64 {i}, {program.last_slice}"))
        reduced = code(f"and i1 {', '.join(inside)}")
        count = code(f"select i1 {reduced}, i64 {program.identity_from}, i64 {program.nodes}")
        self.live = [program.nodes] + [count] * (program.rows - 1)
        """How many nodes of each row are in the matrix."""
        self.first = ["0"]
        for live in self.live:
            self.first.append(plus(self.first[-1], live))
        self.size = code(f"and i64 {plus(self.first[-1], _ROWS - 1)}, {-_ROWS}")
        at = times(i, times(program.nodes, 3 * program.rows**2))
        self.bands = [program.part(band, at) for band in program.bands]
        self.inverse = program.part(program.found, times(i, times(program.unknowns, program.unknowns)))

    def entry(self, band: int, r: int, c: int, shift: int) -> str:
        """Pointer to the entries of all nodes in a band: before (0), own (1) or after (2)."""
        of = self.of
        return of.part(self.bands[band], of.times(of.nodes, (r * of.rows + c) * 3 + shift + 1))

    def _in_matrix(self, r: int, k, c: int, j) -> str:
        plus = self.of.plus
        row = self.of.times(plus(self.first[r], k), self.size)
        return self.of.part(self.of.matrix, plus(row, plus(self.first[c], j)))

    def clear(self) -> None:
        """Zeros, and ones on the diagonal beyond the last unknown."""
        of = self.of
        of.matrices.clear(of.matrix, of.times(self.size, self.size))
        with self.code.loop("unit", self.first[-1], f"slt {self.size}", "1") as k:
            of.matrices.put("1.0", of.part(of.matrix, of.plus(of.times(k, self.size), k)))

    def fill_in(self, r: int) -> None:
        """Subtract the couplings to the slice before times the products."""
        of, matrices = self.of, self.of.matrices
        with self.code.loop(f"filled{r}", "0", f"slt {self.live[r]}", "1") as k:
            terms = [
                (of.part(self.entry(0, r, b, shift), k), of.product(of.plus(of.plus(of.times(of.nodes, b), k), shift)))
                for b in range(of.rows)
                for shift in (-1, 0, 1)
            ]
            for c in range(of.rows):
                with self.code.loop(f"filled{r}.{c}", "0", f"slt {self.live[c]}", str(matrices.wide)) as j:
                    place = self._in_matrix(r, k, c, j)
                    total, column = matrices.load(place), of.plus(of.times(of.padded_nodes, c), of.plus(j, _MARGIN))
                    for factor, product in terms:
                        total = total - matrices.spread(factor) * matrices.load(of.part(product, column))
                    matrices.store(total, place)

    def add_own(self, r: int, c: int, shift: int) -> None:
        """Add the slice's own entries where there is a node at this shift."""
        code = self.code
        end = code(f"sub i64 {self.live[c]}, {shift}")
        last = code(f"select i1 {code(f'icmp slt i64 {end}, {self.live[r]}')}, i64 {end}, i64 {self.live[r]}")
        with code.loop(f"own{r}.{c}.{shift}", str(max(0, -shift)), f"slt {last}", "1") as k:
            place = self._in_matrix(r, k, c, self.of.plus(k, shift))
            value = code(f"load double, ptr {self.of.part(self.entry(1, r, c, shift), k)}")
            have = code(f"load double, ptr {place}")
            code.do(f"store double {code(f'fadd double {have}, {value}')}, ptr {place}")

    def save(self) -> None:
        """The inverse with all unknowns to the result."""
        of = self.of
        of.matrices.clear(self.inverse, of.times(of.unknowns, of.unknowns))
        row = lambda r, k: of.part(self.inverse, of.times(of.plus(of.times(of.nodes, r), k), of.unknowns))
        for r in range(of.rows):
            at = of.times(of.nodes, r)
            with self.code.loop(f"identity{r}", self.live[r], f"slt {of.nodes}", "1") as k:
                of.matrices.put("1.0", of.part(row(r, k), of.plus(at, k)))
            with self.code.loop(f"saved{r}", "0", f"slt {self.live[r]}", "1") as k:
                for c in range(of.rows):
                    there = of.part(row(r, k), of.times(of.nodes, c))
                    of.matrices.copy(there, self._in_matrix(r, k, c, "0"), self.live[c])


class _Matrices:
    """Operations on matrices in memory, row after row."""

    def __init__(self, code: Code):
        self._code = code
        self.wide = 2 * width(1 << 10)
        """Numbers that are worked on together: two registers of them."""
        self._own = code(f"alloca double, i64 {_ROWS * _ROWS}, align 64")
        code.intrinsics |= {
            "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
            "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
        }

    def clear(self, place: str, count: str) -> None:
        """Zeros to so many numbers."""
        self._code.do(f"call void @llvm.memset.p0.i64(ptr {place}, i8 0, i64 {self._bytes(count)}, i1 false)")

    def copy(self, to: str, origin: str, count: str) -> None:
        """So many numbers from one place to another."""
        self._code.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {origin}, i64 {self._bytes(count)}, i1 false)")

    def put(self, value: str, place: str) -> None:
        """One number."""
        self._code.do(f"store double {value}, ptr {place}")

    def _bytes(self, count: str) -> str:
        return self._code(f"mul i64 {count}, 8")

    def _row(self, matrix: str, row: str, size: str, column: str = "0") -> str:
        at = self._code(f"add i64 {self._code(f'mul i64 {row}, {size}')}, {column}")
        return self._code.offset(matrix, at, "double")

    def load(self, place: str, wide: int | None = None) -> Lanes:
        """Adjacent numbers."""
        wide = wide or self.wide
        return Lanes(self._code, wide, self._code(f"load <{wide} x double>, ptr {place}, align 8"))

    def store(self, value: Lanes, place: str) -> None:
        """Adjacent numbers to a place."""
        self._code.do(f"store {value.kind} {value.register}, ptr {place}, align 8")

    def spread(self, place: str, wide: int | None = None) -> Lanes:
        """One number in all lanes."""
        return self._in_all(self._code(f"load double, ptr {place}"), wide or self.wide)

    def _in_all(self, number: str, wide: int) -> Lanes:
        code, kind = self._code, f"<{wide} x double>"
        one = code(f"insertelement {kind} undef, double {number}, i32 0")
        return Lanes(code, wide, code(f"shufflevector {kind} {one}, {kind} undef, <{wide} x i32> zeroinitializer"))

    def eliminate(self, matrix: str, pivots: str, columns: str, size: str, at: str) -> None:
        """One step: with P the inverse of the pivot block, its rows become P · rows, its columns −columns · P, and
        columns · P · rows is subtracted from all others."""
        code, rows = self._code, str(_ROWS)
        own = self._own
        for k in range(_ROWS):
            self._copy_row(code.offset(own, str(k * _ROWS), "double"), self._row(matrix, self._plus(at, k), size, at))
        self._invert(own)
        with code.loop("product", "0", f"slt {size}", rows) as j:
            below = [self.load(self._row(matrix, self._plus(at, k), size, j), _ROWS) for k in range(_ROWS)]
            with code.loop("product.row", "0", f"slt {rows}", "1") as i:
                terms = [self.spread(self._row(own, i, rows, str(k)), _ROWS) * below[k] for k in range(_ROWS)]
                self.store(sum(terms[1:], terms[0]), self._row(pivots, i, size, j))
        with code.loop("columns", "0", f"slt {size}", "1") as i:
            place = self._row(matrix, i, size, at)
            self._copy_row(self._row(columns, i, rows), place)
            self.clear(place, rows)
        self.clear(self._row(columns, at, rows), str(_ROWS * _ROWS))
        for k in range(_ROWS):
            self._copy_row(self._row(pivots, str(k), size, at), code.offset(own, str(k * _ROWS), "double"))
        with (
            code.loop("others", "0", f"slt {size}", str(_TARGETS)) as i,
            code.loop("others.along", "0", f"slt {size}", str(self.wide)) as j,
        ):
            places = [self._row(matrix, self._plus(i, q), size, j) for q in range(_TARGETS)]
            sums = [self.load(place) for place in places]
            for k in range(_ROWS):
                row = self.load(self._row(pivots, str(k), size, j))
                factors = (self.spread(self._row(columns, self._plus(i, q), rows, str(k))) for q in range(_TARGETS))
                sums = [value - factor * row for value, factor in zip(sums, factors, strict=True)]
            for value, place in zip(sums, places, strict=True):
                self.store(value, place)
        self.copy(self._row(matrix, at, size), pivots, code(f"mul i64 {size}, {rows}"))

    def _plus(self, index: str, number: int) -> str:
        return self._code(f"add i64 {index}, {number}")

    def _copy_row(self, to: str, origin: str) -> None:
        self.store(self.load(origin, _ROWS), to)

    def _invert(self, own: str) -> None:
        """The pivot block in place, row by row."""
        code, rows = self._code, str(_ROWS)
        with code.loop("pivot", "0", f"slt {rows}", "1") as k:
            diagonal, place = self._row(own, k, rows, k), self._row(own, k, rows)
            pivot = 1.0 / self.spread(diagonal, _ROWS)
            code.do(f"store double 1.0, ptr {diagonal}")
            row = self.load(place, _ROWS) * pivot
            self.store(row, place)
            with code.loop("pivot.row", "0", f"slt {rows}", "1") as i:
                same, entry = code(f"icmp eq i64 {i}, {k}"), self._row(own, i, rows, k)
                value = code(f"load double, ptr {entry}")
                factor = code(f"select i1 {same}, double 0.0, double {value}")
                code.do(f"store double {code(f'select i1 {same}, double {value}, double 0.0')}, ptr {entry}")
                there = self._row(own, i, rows)
                self.store(self.load(there, _ROWS) - self._in_all(factor, _ROWS) * row, there)
