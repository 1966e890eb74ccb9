"""Following a curve in the plane, without any physics: cubics and circles known in closed form."""

import numpy as np
import pytest

from pnp.solver.arclength import ARRIVED, Line, Pace, Point, crossings, follow


def curve(x, slope):
    """Where lines meet the curve x(u), y = u, by Newton for u; `slope` is dx/du."""

    def meet(guess, line: Line) -> Point:
        u, change, steps = float(guess), np.inf, 0
        while abs(change) > 1e-12 and steps < 20:
            distance = line.normal @ (np.array([x(u), u]) - line.place)
            change = -distance / (line.normal @ np.array([slope(u), 1.0]))
            u, steps = u + change, steps + 1
        tangent = np.array([slope(u), 1.0])
        good = bool(abs(change) <= 1e-12)
        return Point(np.array([x(u), u]), tangent / np.linalg.norm(tangent), u, 1 / slope(u), None, steps, good)

    return meet


def s_curve(depth):
    """x = u³ − 3 depth² u, which turns back at u = ∓depth."""
    return curve(lambda u: u**3 - 3 * depth**2 * u, lambda u: 3 * u**2 - 3 * depth**2 or 1e-300)


def begin(meet, u):
    return meet(u, Line(np.array([0.0, u]), np.array([0.0, 1.0])))


@pytest.mark.parametrize("depth", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("way", [1, -1])
def test_an_s_is_followed_to_its_end_and_both_folds_found(depth, way):
    meet, reports = s_curve(depth), []
    first = begin(meet, -way * 3 * depth)
    path = follow(meet, first, -first.place[0], Pace(), reports.append)
    assert path.ended == ARRIVED
    np.testing.assert_allclose(path.points[-1].place, -first.place, atol=1e-9)
    folds = np.array([path.points[i].place for i in path.folds])
    np.testing.assert_allclose(folds[:, 0], way * np.array([2, -2]) * depth**3, atol=1e-7)
    np.testing.assert_allclose(folds[:, 1], way * np.array([-1, 1]) * depth, atol=1e-3)
    u = np.array([p.unknowns for p in path.points])
    assert np.all(way * np.diff(u) > 0)  # no part of it jumped over
    assert np.max(np.linalg.norm(np.diff([p.place for p in path.points], axis=0), axis=1)) < 1.5
    assert reports[-1] is path.points[-1]


def test_all_crossings_are_found_in_order_and_solved_for():
    meet = s_curve(1.0)
    path = follow(meet, begin(meet, -3.0), 18.0, Pace(), lambda point: None)
    for x in (-18.0, -1.9, 0.0, 1.0, 1.999, 5.0, 18.0):
        roots = np.roots([1.0, 0.0, -3.0, -x])
        expected = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        np.testing.assert_allclose([p[1] for p in crossings(meet, path.points, x)], expected, atol=1e-9)
    assert crossings(meet, path.points, 19.0) == []


def test_a_straight_line_has_no_folds_and_long_steps():
    meet = curve(lambda u: 2 * u, lambda u: 2.0)
    path = follow(meet, begin(meet, 0.0), 10.0, Pace(), lambda point: None)
    assert (path.ended, path.folds) == (ARRIVED, [])
    assert len(path.points) < 18


def test_it_says_where_it_is_stuck():
    """Newton fails beyond 0.7."""

    def meet(guess, line):
        point = curve(lambda u: u, lambda u: 1.0)(guess, line)
        return point._replace(good=bool(point.place[0] < 0.7))

    path = follow(meet, begin(meet, 0.0), 2.0, Pace(), lambda point: None)
    assert path.ended == "no step from there is short enough"
    assert path.points[-1].place[0] == pytest.approx(0.7, abs=1e-4)


def test_it_ends_after_so_many_points():
    meet = curve(lambda u: u, lambda u: 1.0)
    path = follow(meet, begin(meet, 0.0), 1e6, Pace(most_points=10), lambda point: None)
    assert len(path.points) == 10
    assert "10 points are too few" in path.ended
