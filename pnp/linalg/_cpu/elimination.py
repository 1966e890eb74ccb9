"""Elimination as one compiled loop down both arms and up again, with the law that it eliminates, or without.

It is written for the blocks at hand: their size, which entries are always zero, the number of right-hand sides; with
the same algebra as everywhere (`pnp.linalg.small_blocks`). What passes through an element and its derivatives are read
from arrays, or worked out where they are needed, which spares some fifty passes through memory.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array

from pnp.linalg._cpu.xla_ffi import Block, Law, Part, call, handler, law, target
from pnp.linalg.small_blocks import (
    Matrix,
    filled,
    minus,
    negative,
    pass_node,
    pass_node_transposed,
    plus,
    product,
    solve,
    transpose,
)


class ElementMatrices(NamedTuple):
    """What elimination needs to know of an element, [row][column] of each; `linear.eliminate` says what it is. Or all
    that is known before the numbers are: which of them are not always zero."""

    near: Any
    """Derivatives of what passes through it with respect to the state at its near end …"""
    far: Any
    """… and at its far end."""
    content_outer: Any
    """Derivatives of what its near half holds with respect to the state there …"""
    content_inner: Any
    """… and of what its far half holds."""
    through: Any
    """What passes through it, [row][right-hand side]."""
    source_outer: Any
    """What its near half holds …"""
    source_inner: Any
    """… and its far half."""

    @property
    def unknowns(self) -> int:
        """Per node."""
        return len(self.near)

    @property
    def columns(self) -> int:
        """Right-hand sides."""
        return len(self.through[0])

    def pattern(self) -> "ElementMatrices":
        """Which entries are not always zero."""
        return ElementMatrices(*(tuple(tuple(entry is not None for entry in row) for row in rows) for rows in self))


def elimination(pattern: ElementMatrices, lanes: int, of: Law | None = None, transposed: bool = False) -> str | None:
    """XLA's name of the elimination for these stamps and number of lanes, if there is one (see `ffi.target`).

    Without a law its operands are the stamps that are not always zero, [element, arm, lane]; with one, which gives
    them in their order, the law's. transposed: see `linear.eliminate`.
    """
    number = len(_entries(pattern))

    def write(wide: int) -> list[Part]:
        if of is None:
            return [_block(pattern, wide, False, transposed), handler(wide, number, pattern.columns)]
        programs = [law("stamps", wide, of), _block(pattern, wide, True, transposed)]
        return [*programs, handler(wide, len(of.operands), pattern.columns)]

    return target("eliminate", f"{pattern} {of} {transposed}", lanes, write)


def eliminated(
    name: str, pattern: ElementMatrices, elements: int, lanes: int, operands: Sequence[Array]
) -> list[Array]:
    """x of every right-hand side, [row, element, arm, lane], by an `elimination`.

    x at an element is that of the node at its far end.
    """
    m, c = pattern.unknowns, pattern.columns
    return call(name, [m] * c, m * (m + c), elements, lanes, operands)


def _entries(pattern: ElementMatrices) -> list:
    return [True for rows in pattern for row in rows for there in row if there]


def _each(function: Callable, *tables):
    """[row][column] by [row][column], None where the first is."""
    one = lambda first, *others: None if first is None else function(first, *others)
    return [[one(*entries) for entries in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def _arranged(pattern: ElementMatrices, entries: Sequence) -> ElementMatrices:
    """Entries in the order of a pattern, None elsewhere."""
    following = iter(entries)
    return ElementMatrices(
        *([[next(following) if there else None for there in row] for row in rows] for rows in pattern)
    )


def _block(pattern: ElementMatrices, wide: int, with_law: bool, transposed: bool) -> Part:
    """The elimination for a block of lanes: `linear.eliminate_by_scan`, which see."""
    m, c = pattern.unknowns, pattern.columns
    block, arms, number = Block(wide, c), range(2), len(_entries(pattern))
    if with_law:
        stamps = block.law("stamps", number)
        element = lambda which, arm: _arranged(pattern, stamps(which, arm))
    else:
        arrays = block.operands(number)
        read = lambda at: [block.read(array, at) for array in arrays]
        element = lambda which, arm: _arranged(pattern, read(block.at(which, arm)))

    def slots(node: str, arm: int) -> tuple[Matrix, Matrix]:
        """Where W and z of a node are kept; Y and s in the place of the last node, which has none."""
        places = block.kept(m * (m + c), node, arm)
        rows = [places[r * (m + c) : (r + 1) * (m + c)] for r in range(m)]
        return [row[:m] for row in rows], [row[m:] for row in rows]

    def keep(node: str, arm: int, pair) -> None:
        for values, places in zip(pair, slots(node, arm), strict=True):
            _each(block.store, filled(values, block.number(0.0)), places)

    def kept(node: str, arm: int) -> tuple[Matrix, Matrix]:
        first, second = slots(node, arm)
        return _each(block.load, first), _each(block.load, second)

    def answers(node: str, arm: int) -> Matrix:
        """Where x is, [row][column]."""
        return list(zip(*(block.result(column, m, node, arm) for column in range(c)), strict=True))

    passed, turned = (pass_node_transposed, transpose) if transposed else (pass_node, lambda matrix: matrix)
    with_half = lambda inflow, held, load: (minus(inflow[0], held), plus(inflow[1], load))
    for arm in arms:
        here = element("0", arm)
        keep("%last", arm, with_half((negative(here.far), here.through), here.content_inner, here.source_inner))

    with block.code.loop("down", "0", "slt %last", "1") as node:
        after = block.code(f"add i64 {node}, 1")
        for arm in arms:
            here = element(after, arm)
            inflow = with_half(kept("%last", arm), here.content_outer, here.source_outer)
            inflow, swept = passed(inflow, (here.near, here.far, here.through))
            keep("%last", arm, with_half(inflow, here.content_inner, here.source_inner))
            keep(node, arm, swept)

    admittance, source = (plus(*parts) for parts in zip(*(kept("%last", arm) for arm in arms), strict=True))
    (middle,) = solve(turned(admittance), source)
    for arm in arms:
        _each(block.store, middle, answers("%last", arm))

    with block.code.loop("up", "%last", "sgt 0", "-1") as node:
        before = block.code(f"sub i64 {node}, 1")
        for arm in arms:
            w, z = kept(before, arm)
            x = minus(z, product(w, _each(block.load, answers(node, arm))))
            _each(block.store, x, answers(before, arm))
    return block.function()
