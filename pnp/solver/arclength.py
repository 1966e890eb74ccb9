"""A curve in the plane followed point by point around its bends, where it turns back too.

A point lies where the curve crosses a line; whoever calls finds it (`Meet`). From one point to the next the line is
moved ahead along the tangent, at right angles to it: pseudo-arclength continuation (Keller, 1977, in Applications of
Bifurcation Theory, Academic Press, 359–384). The first coordinate is the one that is wanted from a start to a goal.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float

Vector = Float[np.ndarray | Array, "2"]


class Pace(NamedTuple):
    """How a curve is followed. Lengths are those of its plane: for `pnp.trace` V in kT/e and asinh(I / I₀)."""

    first: float = 0.25
    """First step."""
    longest: float = 1.0
    """Longest step: 25 mV where the current is constant, and three of them to a decade of it at constant voltage."""
    shortest: float = 1e-5
    """Below this it is given up."""
    sharpest: float = 0.95
    """Least cosine between the direction of a step and the tangents at both its ends: 18°. It is what keeps a step from
    landing on another part of the curve. With 1.0 as the longest step and no such limit folds were jumped over."""
    iterations: int = 20
    """Newton steps allowed for a point; then a shorter step is tried."""
    easy: int = 6
    """Up to so many Newton steps the next step is longer by half."""
    most_points: int = 500
    """It ends here if it has not reached its goal: a branch may lead past its start, to any voltage."""


class Point(NamedTuple):
    """A point of the curve."""

    place: Vector
    tangent: Vector
    """Of length 1, in either direction."""
    unknowns: Any
    """What belongs to the place: an array …"""
    sensitivity: Any
    """… and its derivative with respect to the first coordinate, along the curve."""
    found: Any
    """What else is known of the point."""
    iterations: int | Array
    """Newton steps it took."""
    good: bool | Array
    """Whether Newton converged; the rest means nothing otherwise."""


class Line(NamedTuple):
    """The line through `place` at right angles to `normal`."""

    place: Vector
    normal: Vector


Meet = Callable[[Any, Line], Point]
"""The point where the curve crosses a line, from unknowns near to those it has at the line's place."""

ARRIVED = "it has arrived"

_UPRIGHT = np.array([1.0, 0.0])
_SAME = 1e-9
"""Places nearer to each other than this are the same."""
_FOLD_STEPS = 4
_LEVEL = 1e-4
"""A fold is found where the tangent's first component is below this: the place is then known to 1e-8."""
_STRAY = 0.1
"""How far from the cubic between two points a point at a given first coordinate may be, of their distance."""


class Path(NamedTuple):
    """What `follow` found."""

    points: list[Point]
    """In the order of the curve, the tangents in its direction."""
    folds: list[int]
    """Which of the points are folds, where the first coordinate turns back."""
    ended: str
    """How it ended: ARRIVED, or why it did not."""


def follow(meet: Meet, first: Point, goal: float, pace: Pace, report: Callable[[Point], None]) -> Path:
    """The curve from its first point to the first coordinate `goal`, beginning in the direction of `goal`.

    report: called with every point.
    """
    toward = np.sign(goal - first.place[0])
    path = Path([_oriented(first, toward * _UPRIGHT)], [], f"{pace.most_points} points are too few")
    length = pace.first
    while len(path.points) < pace.most_points:
        last = path.points[-1]
        guess = last.unknowns + length * last.tangent[0] * last.sensitivity
        point = _oriented(meet(guess, Line(last.place + length * last.tangent, last.tangent)), last.tangent)
        if point.good and toward * (point.place[0] - goal) > _SAME:
            fraction = float((goal - last.place[0]) / (point.place[0] - last.place[0]))
            point = _oriented(_meet_at(meet, last, point, fraction, goal), last.tangent)
        if not (point.good and _smooth(last, point, pace.sharpest)):
            length /= 2
            if length < pace.shortest:
                return path._replace(ended="no step from there is short enough")
            continue
        if last.tangent[0] * point.tangent[0] < 0:
            fold = _fold(meet, last, point)
            path.points.extend([fold] if fold is not last and fold is not point else [])
            path.folds.append(len(path.points) - (fold is not point))
        path.points.append(point)
        report(point)
        if abs(point.place[0] - goal) <= _SAME:
            return path._replace(ended=ARRIVED)
        length = min(1.5 * length, pace.longest) if point.iterations <= pace.easy else length
    return path


def crossings(meet: Meet, points: list[Point], goal: float) -> list[Vector]:
    """All places at which the curve has the first coordinate `goal`, in its order.

    Each is solved for. Where that fails, as it may next to a fold, it is that of the cubic between two points.
    """
    places: list = [points[0].place] if abs(points[0].place[0] - goal) <= _SAME else []
    for one, other in pairwise(points):
        for fraction in _roots(_first_coordinate(one, other) - np.array([0.0, 0.0, 0.0, goal])):
            expected, _ = _between(one, other, fraction)
            point = _meet_at(meet, one, other, fraction, goal)
            astray = np.linalg.norm(point.place - expected) > _STRAY * np.linalg.norm(other.place - one.place)
            place = expected if astray or not point.good else point.place
            if not (places and np.linalg.norm(place - places[-1]) <= _SAME):
                places.append(place)
    return places


def _oriented(point: Point, direction) -> Point:
    return point._replace(tangent=point.tangent * (1 if point.tangent @ direction >= 0 else -1))


def _smooth(one: Point, other: Point, sharpest: float) -> bool:
    step = other.place - one.place
    least = sharpest * np.linalg.norm(step)
    return bool(step @ one.tangent >= least and step @ other.tangent >= least)


def _meet_at(meet: Meet, one: Point, other: Point, fraction: float, goal: float) -> Point:
    """The point that has the first coordinate `goal`, some fraction of the way between two."""
    place, _ = _between(one, other, fraction)
    guess = one.unknowns + fraction * (other.unknowns - one.unknowns)
    return meet(guess, Line(np.array([goal, place[1]]), _UPRIGHT))


def _fold(meet: Meet, one: Point, other: Point) -> Point:
    """Where the first coordinate turns back between two points; the nearer of the two if it cannot be found.

    It is stationary there, so that it is known to the square of the distance from the fold.
    """
    nearer = lambda: min(one, other, key=lambda p: abs(p.tangent[0]))
    for _ in range(_FOLD_STEPS):
        fractions = _roots(_first_coordinate(one, other)[:3] * np.array([3.0, 2.0, 1.0]))
        if not fractions or abs(nearer().tangent[0]) < _LEVEL:
            break
        place, direction = _between(one, other, fractions[0])
        guess = one.unknowns + fractions[0] * (other.unknowns - one.unknowns)
        point = _oriented(meet(guess, Line(place, direction / np.linalg.norm(direction))), direction)
        if not point.good:
            break
        one, other = (point, other) if point.tangent[0] * one.tangent[0] > 0 else (one, point)
    return nearer()


# --- the cubic that joins two points along their tangents (Hermite), from fraction 0 to fraction 1 ---------


def _coefficients(one: Point, other: Point):
    """[power, coordinate], the highest power first."""
    step = other.place - one.place
    a, b = (np.linalg.norm(step) * point.tangent for point in (one, other))
    return np.stack([a + b - 2 * step, 3 * step - 2 * a - b, a, one.place])


def _between(one: Point, other: Point, fraction: float):
    """Place and direction."""
    cubic = _coefficients(one, other)
    powers = np.array([[fraction**3, fraction**2, fraction, 1.0], [3 * fraction**2, 2 * fraction, 1.0, 0.0]])
    place, direction = powers @ cubic
    return place, direction


def _first_coordinate(one: Point, other: Point):
    return _coefficients(one, other)[:, 0]


def _roots(polynomial) -> list[float]:
    """Real roots between 0 and 1, in order; the ends count, whatever round-off says."""
    roots = np.roots(polynomial)
    return sorted(float(r.real) for r in roots if abs(r.imag) < _SAME and -_SAME < r.real < 1 + _SAME)
