"""The filled blocks of slices (see `slices`) and their inverses as one compiled loop.

XLA runs the loops of an elimination as dozens of small programs, and LAPACK, which it calls, has threads that get in
the way of its own. Here sixteen rows at a time are eliminated from all others by Gauss and Jordan, without pivots, four
of these rows in registers.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.ffi import Block, Part, handler, target
from pnp.llvm import Lanes, width

_ROWS = 16  # eliminated at a time
_SIDE = 4  # rows they are eliminated from at a time
_BESIDE = 16  # numbers that may be read or written beyond the end of a row


def compiled_factors(rows: int) -> str | None:
    """XLA's name of the program for so many unknowns at each node, if there is one (see `ffi.target`)."""
    return target("factors", str(rows), 1, lambda wide: [_program(rows), handler(wide, 4, 1)])


def factors(
    name: str, bands: Sequence[Float[Array, "slice row column 3 node"]], wall: int, faces: tuple[int, int]
) -> Float[Array, "slice row node column node"]:
    """The inverses that elimination of these bands leaves, as `slices.factor` wants them, by `compiled_factors`."""
    slices, rows, _, _, nodes = bands[1].shape
    size = -(-rows * nodes // _ROWS) * _ROWS
    apart = nodes + 2 * _BESIDE
    room = size * (size + 2 * _ROWS) + (rows * nodes + 3) * rows * apart + 3 * rows * rows * apart + 8 * _BESIDE
    results = [jax.ShapeDtypeStruct(shape, float) for shape in ((1, slices, (rows * nodes) ** 2, 1), (room,))]
    sizes = jnp.array([nodes, wall + 1, *faces])
    found, _ = jax.ffi.ffi_call(name, results, vmap_method="sequential")(*bands, sizes)
    return found.reshape(slices, rows, nodes, rows, nodes)


def _program(rows: int) -> Part:
    """Of `%elements` slices."""
    block = Block(1, 1)
    code, whole = block.code, _Matrices(block)
    before, own, after, given = block.operands(4)
    (found,), each = block.results, range(rows)
    nodes, wet_within, near, far = (code(f"load i64, ptr {code.offset(given, i, 'i64')}") for i in range(4))
    times, plus = (lambda a, b: code(f"mul i64 {a}, {b}")), (lambda a, b: code(f"add i64 {a}, {b}"))
    part = lambda base, at: code.offset(base, at, "double")

    # Room: the matrix at hand; what eliminating takes; the last inverse times `after`, and `after`, padded by zeros.
    largest = code(f"and i64 {plus(times(nodes, rows), _ROWS - 1)}, {-_ROWS}")
    apart, every = plus(nodes, 2 * _BESIDE), times(nodes, rows)
    matrix = block.scratch
    pivots = part(matrix, times(largest, largest))
    columns = part(pivots, times(largest, _ROWS))
    row_size = times(apart, rows)
    products = part(columns, times(largest, _ROWS))
    product_count = times(plus(every, 2), row_size)
    padded = part(products, product_count)
    padded_count = times(apart, 3 * rows * rows)
    line = part(padded, padded_count)  # a row of an inverse, padded alike
    first_product = part(products, row_size)  # before it and after the last there is one of zeros

    entry = lambda band, r, c, d: part(band, times(nodes, (r * rows + c) * 3 + d))
    whole.clear(products, product_count)
    whole.clear(padded, padded_count)
    whole.clear(line, row_size)

    with code.loop("slices", "0", "slt %elements", "1") as i:
        solid = code(f"and i1 {code(f'icmp sgt i64 {i}, {near}')}, {code(f'icmp slt i64 {i}, {far}')}")
        wet = code(f"select i1 {solid}, i64 {wet_within}, i64 {nodes}")
        live = [nodes] + [wet] * (rows - 1)
        first: list[str] = ["0"]
        for count in live:
            first.append(plus(first[-1], count))
        size = code(f"and i64 {plus(first[-1], _ROWS - 1)}, {-_ROWS}")
        here = times(i, times(nodes, 3 * rows * rows))
        band_before, band_own, band_after = (part(band, here) for band in (before, own, after))
        inverse = part(found, times(i, times(every, every)))
        in_matrix = lambda r, k, c, j: part(matrix, plus(times(plus(first[r], k), size), plus(first[c], j)))
        in_inverse = lambda r, k, c: part(inverse, times(plus(times(plus(times(nodes, r), k), rows), c), nodes))

        whole.clear(matrix, times(size, size))
        with code.loop("unit", first[-1], f"slt {size}", "1") as k:
            whole.put("1.0", part(matrix, plus(times(k, size), k)))
        # The block less what eliminating the slices before has filled it with: before · the last inverse · after.
        for r in each:
            with code.loop(f"filled{r}", "0", f"slt {live[r]}", "1") as k:
                couples = [
                    (part(entry(band_before, r, b, d), k), plus(plus(times(nodes, b), k), d - 1))
                    for b in each
                    for d in range(3)
                ]
                for c in each:
                    with code.loop(f"filled{r}.{c}", "0", f"slt {live[c]}", str(whole.wide)) as j:
                        place = in_matrix(r, k, c, j)
                        total = whole.load(place)
                        column = plus(times(apart, c), plus(j, _BESIDE))
                        for factor, row in couples:
                            product = part(first_product, plus(times(row, row_size), column))
                            total = total - whole.spread(factor) * whole.load(product)
                        whole.store(total, place)
        for r in each:
            for c in each:
                for d in range(3):
                    # Where there is a node at this shift, and both are live.
                    beyond = code(f"sub i64 {live[c]}, {d - 1}")
                    last = code(f"select i1 {code(f'icmp slt i64 {beyond}, {live[r]}')}, i64 {beyond}, i64 {live[r]}")
                    with code.loop(f"own{r}.{c}.{d}", str(max(0, 1 - d)), f"slt {last}", "1") as k:
                        place = in_matrix(r, k, c, plus(k, d - 1))
                        value = code(f"load double, ptr {part(entry(band_own, r, c, d), k)}")
                        have = code(f"load double, ptr {place}")
                        code.do(f"store double {code(f'fadd double {have}, {value}')}, ptr {place}")
        with code.loop("steps", "0", f"slt {size}", str(_ROWS)) as at:
            whole.eliminate(matrix, pivots, columns, size, at)

        whole.clear(inverse, times(every, every))
        for r in each:
            with code.loop(f"dead{r}", live[r], f"slt {nodes}", "1") as k:
                whole.put("1.0", part(in_inverse(r, k, r), k))
            with code.loop(f"back{r}", "0", f"slt {live[r]}", "1") as k:
                for c in each:
                    whole.copy(in_inverse(r, k, c), in_matrix(r, k, c, "0"), live[c])
        for b in each:
            for c in each:
                for d in range(3):
                    whole.copy(part(padded, times(apart, (b * rows + c) * 3 + d)), entry(band_after, b, c, d), nodes)
        with code.loop("products", "0", f"slt {every}", "1") as a:
            for b in each:
                whole.copy(part(line, times(apart, b)), part(inverse, plus(times(a, every), times(nodes, b))), nodes)
            product = part(first_product, times(a, row_size))
            whole.clear(product, row_size)
            for c in each:
                for d in range(3):
                    with code.loop(f"product{c}.{d}", "0", f"slt {nodes}", str(whole.wide)) as j:
                        place = part(product, plus(times(apart, c), plus(j, _BESIDE + d - 1)))
                        total = whole.load(place)
                        for b in each:
                            coupling = part(padded, plus(times(apart, (b * rows + c) * 3 + d), j))
                            total = total + whole.load(part(line, plus(times(apart, b), j))) * whole.load(coupling)
                        whole.store(total, place)
    return block.function()


class _Matrices:
    """What is done with matrices in memory, row after row."""

    def __init__(self, block: Block):
        self._code = block.code
        self.wide = 2 * width(1 << 10)
        """Numbers that are worked on together: two registers of them."""
        self._own = block.code(f"alloca double, i64 {_ROWS * _ROWS}, align 64")
        block.code.intrinsics |= {
            "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
            "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
        }

    def clear(self, place: str, count: str) -> None:
        """Zeros."""
        self._code.do(f"call void @llvm.memset.p0.i64(ptr {place}, i8 0, i64 {self._bytes(count)}, i1 false)")

    def copy(self, to: str, origin: str, count: str) -> None:
        """So many numbers."""
        self._code.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {origin}, i64 {self._bytes(count)}, i1 false)")

    def put(self, value: str, place: str) -> None:
        """A number."""
        self._code.do(f"store double {value}, ptr {place}")

    def _bytes(self, count: str) -> str:
        return self._code(f"mul i64 {count}, 8")

    def _row(self, matrix: str, row: str, size: str, column: str = "0") -> str:
        at = self._code(f"add i64 {self._code(f'mul i64 {row}, {size}')}, {column}")
        return self._code.offset(matrix, at, "double")

    def load(self, place: str, wide: int | None = None) -> Lanes:
        """Numbers side by side."""
        wide = wide or self.wide
        return Lanes(self._code, wide, self._code(f"load <{wide} x double>, ptr {place}, align 8"))

    def store(self, value: Lanes, place: str) -> None:
        """The same to a place."""
        self._code.do(f"store {value.kind} {value.register}, ptr {place}, align 8")

    def spread(self, place: str, wide: int | None = None) -> Lanes:
        """A number in all lanes."""
        return self._in_all(self._code(f"load double, ptr {place}"), wide or self.wide)

    def _in_all(self, number: str, wide: int) -> Lanes:
        code, kind = self._code, f"<{wide} x double>"
        one = code(f"insertelement {kind} undef, double {number}, i32 0")
        return Lanes(code, wide, code(f"shufflevector {kind} {one}, {kind} undef, <{wide} x i32> zeroinitializer"))

    def eliminate(self, matrix: str, pivots: str, columns: str, size: str, at: str) -> None:
        """One step: with P the inverse of the pivots' own block, their rows become P · rows, their columns −columns · P,
        and all others lose columns · P · rows."""
        code, rows = self._code, str(_ROWS)
        own = self._own
        for k in range(_ROWS):
            self._copy_row(code.offset(own, str(k * _ROWS), "double"), self._row(matrix, self._plus(at, k), size, at))
        self._invert(own)
        with code.loop("product", "0", f"slt {size}", rows) as j:
            below = [self.load(self._row(matrix, self._plus(at, k), size, j), _ROWS) for k in range(_ROWS)]
            with code.loop("product.row", "0", f"slt {rows}", "1") as i:
                total = None
                for k in range(_ROWS):
                    term = self.spread(self._row(own, i, rows, str(k)), _ROWS) * below[k]
                    total = term if total is None else total + term
                self.store(total, self._row(pivots, i, size, j))
        with code.loop("columns", "0", f"slt {size}", "1") as i:
            place = self._row(matrix, i, size, at)
            self._copy_row(self._row(columns, i, rows), place)
            self.clear(place, rows)
        self.clear(self._row(columns, at, rows), str(_ROWS * _ROWS))
        for k in range(_ROWS):
            self._copy_row(self._row(pivots, str(k), size, at), code.offset(own, str(k * _ROWS), "double"))
        with code.loop("others", "0", f"slt {size}", str(_SIDE)) as i:
            with code.loop("others.along", "0", f"slt {size}", str(self.wide)) as j:
                places = [self._row(matrix, self._plus(i, q), size, j) for q in range(_SIDE)]
                sums = [self.load(place, self.wide) for place in places]
                for k in range(_ROWS):
                    row = self.load(self._row(pivots, str(k), size, j), self.wide)
                    for q in range(_SIDE):
                        sums[q] = (
                            sums[q] - self.spread(self._row(columns, self._plus(i, q), rows, str(k)), self.wide) * row
                        )
                for value, place in zip(sums, places, strict=True):
                    self.store(value, place)
        self.copy(self._row(matrix, at, size), pivots, code(f"mul i64 {size}, {rows}"))

    def _plus(self, index: str, number: int) -> str:
        return self._code(f"add i64 {index}, {number}")

    def _copy_row(self, to: str, origin: str) -> None:
        self.store(self.load(origin, _ROWS), to)

    def _invert(self, own: str) -> None:
        """The pivots' block, row by row."""
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
