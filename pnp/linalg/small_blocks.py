"""Algebra of small matrices written out entry by entry.

A matrix is a list of rows of entries, and an entry is anything that adds, multiplies and divides: an array over
many matrices at once, or a register of a program being written (`pnp.linalg._cpu.elimination`). None is an entry that
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
    """matrix⁻¹ · columns for each of the `columns`, by Gauss–Jordan with diagonal pivots.

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
    """The same with `zero` for None."""
    return [[zero if entry is None else entry for entry in row] for row in matrix]


def pass_node(inflow: tuple[Matrix, Matrix], element: tuple[Matrix, Matrix, Matrix]) -> tuple[tuple, tuple]:
    """One step of elimination down a chain (see `linear`), from a node to the next.

    inflow: (Y, s), the flux s − Y x into this node from behind and from what it holds itself. element: (F_near, F_far,
    F), the flux F + F_near x + F_far x_next to the next node. Returns (Y, s) of the flux into the next node, and (W, z)
    of x = z − W x_next:

        P = (F_near + Y)⁻¹,  W = P F_far,  z = P (s − F),   Y ← −Y P F_far,  s ← Y P F + F_near P s

    in which nothing is a small difference of large numbers, were Y ever so small against F_near.
    """
    admittance, source = inflow
    near, far, flux = element
    w, z, own = solve(plus(near, admittance), far, source, flux)
    onward = negative(product(admittance, w)), plus(product(near, z), product(admittance, own))
    return onward, (w, minus(z, own))


def pass_node_transposed(inflow: tuple[Matrix, Matrix], element: tuple[Matrix, Matrix, Matrix]) -> tuple[tuple, tuple]:
    """`pass_node` in the elimination that, on the way back, is turned round: transposed as a map from s to x.

    Now s is what x of the transposed problem is balanced against, F has to be nothing, and

        W = −(F_near P)ᵀ,  z = Pᵀ s,   Y ← −Y P F_far,  s ← −(P F_far)ᵀ s

    It is no less accurate for it, as the elimination of the transposed matrix would be.
    """
    admittance, source = inflow
    near, far, _ = element
    unit = [[1.0 if i == j else None for j in range(len(near))] for i in range(len(near))]
    (inverse,) = solve(plus(near, admittance), unit)
    w = product(inverse, far)
    onward = negative(product(admittance, w)), negative(product(transpose(w), source))
    return onward, (negative(transpose(product(near, inverse))), product(transpose(inverse), source))


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
