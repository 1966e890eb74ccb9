"""Algebra of small matrices written out entry by entry, and one step of elimination with them.

A matrix is a list of rows of entries, and an entry is anything that adds, multiplies and divides: an array over
many matrices at once, or a vector register of a program that is written (`pnp.linalg._cpu`). None is an entry that
is always zero; it costs nothing.
"""

from collections.abc import Sequence
from typing import Any

Matrix = Sequence[Sequence[Any]]


def plus(a: Matrix, b: Matrix) -> Matrix:
    """a + b."""
    add = lambda p, q: p if q is None else q if p is None else p + q
    return [[add(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


def minus(a: Matrix, b: Matrix) -> Matrix:
    """a − b."""
    return [[_minus(p, q) for p, q in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


def negative(a: Matrix) -> Matrix:
    """−a."""
    return [[None if entry is None else -entry for entry in row] for row in a]


def product(a: Matrix, b: Matrix) -> Matrix:
    """a · b."""
    columns = list(zip(*b, strict=True))
    return [[_dot(row, column) for column in columns] for row in a]


def solve(matrix: Matrix, *columns: Matrix) -> list[list[list[Any]]]:
    """matrix⁻¹ · columns for each matrix of `columns`, by Gauss–Jordan elimination with diagonal pivots.

    A pivot of zero gives numbers that are not finite.
    """
    m = len(matrix)
    rows = [[entry for part in parts for entry in part] for parts in zip(matrix, *columns, strict=True)]
    for k in range(m):
        # Columns up to k are those of the unit matrix from here on, and are not looked at again.
        inverse = 1.0 / rows[k][k]
        done = [None] * (k + 1)
        top = [None if entry is None else entry * inverse for entry in rows[k][k + 1 :]]
        for i in range(m):
            factor = rows[i][k]
            if i != k and factor is not None:
                times = [None if entry is None else factor * entry for entry in top]
                rows[i] = done + [_minus(*pair) for pair in zip(rows[i][k + 1 :], times, strict=True)]
        rows[k] = done + top
    solved, start = [], m
    for part in columns:
        width = len(part[0])
        solved.append([row[start : start + width] for row in rows])
        start += width
    return solved


def filled(matrix: Matrix, zero: Any) -> Matrix:
    """The matrix with `zero` in place of None."""
    return [[zero if entry is None else entry for entry in row] for row in matrix]


def pass_node(inflow: tuple[Matrix, Matrix], element: tuple[Matrix, Matrix, Matrix]) -> tuple[tuple, tuple]:
    """One step of the elimination down a chain, from a node to the next (see `block_tridiagonal`).

    - inflow: (Y, s), the flux s − Y x into this node from behind it, less the node's content.
    - element: (F_outer, F_inner, F), the flux F + F_outer x + F_inner x_next to the next node.

    Returns (Y, s) of the flux into the next node, and (W, z) of x = z − W x_next:

        P = (F_outer + Y)⁻¹,  W = P F_inner,  z = P (s − F),   Y ← −Y P F_inner,  s ← Y P F + F_outer P s

    However small Y is against F_outer, no term is a small difference of large numbers.
    """
    admittance, source = inflow
    outer, inner, flux = element
    w, z, own = solve(plus(outer, admittance), inner, source, flux)
    onward = negative(product(admittance, w)), plus(product(outer, z), product(admittance, own))
    return onward, (w, minus(z, own))


def pass_node_transposed(inflow: tuple[Matrix, Matrix], element: tuple[Matrix, Matrix, Matrix]) -> tuple[tuple, tuple]:
    """`pass_node` for the transposed system: the whole elimination is transposed as a map from s to x.

    Now s is the right-hand side of the transposed system, F has to be zero, and

        W = −(F_outer P)ᵀ,  z = Pᵀ s,   Y ← −Y P F_inner,  s ← −(P F_inner)ᵀ s

    It keeps the accuracy of `pass_node`, which the elimination of the transposed matrix would not.
    """
    admittance, source = inflow
    outer, inner, _ = element
    unit = [[1.0 if i == j else None for j in range(len(outer))] for i in range(len(outer))]
    (inverse,) = solve(plus(outer, admittance), unit)
    w = product(inverse, inner)
    onward = negative(product(admittance, w)), negative(product(transpose(w), source))
    return onward, (negative(transpose(product(outer, inverse))), product(transpose(inverse), source))


def transpose(a: Matrix) -> Matrix:
    """aᵀ."""
    return list(zip(*a, strict=True))


def _dot(row, column):
    terms = [a * b for a, b in zip(row, column, strict=True) if a is not None and b is not None]
    return sum(terms[1:], terms[0]) if terms else None


def _minus(a, b):
    if b is None:
        return a
    return -b if a is None else a - b
