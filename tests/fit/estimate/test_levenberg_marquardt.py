"""Levenberg–Marquardt on problems whose answers are known."""

import numpy as np
from scipy.optimize import least_squares

from pnp.fit.estimate.levenberg_marquardt import minimise, predicted_reduction
from pnp.fit.estimate.problem import Residuals

X = np.linspace(0, 1, 20)


def batched(residual, jacobian):
    """Residuals of many starts from those of one."""

    def both(u, which):
        r, J = (np.stack([f(one) for one in u]) for f in (residual, jacobian))
        return Residuals(r, J, (r**2).sum(-1))

    return both


ROSENBROCK = batched(
    lambda u: np.array([10 * (u[1] - u[0] ** 2), 1 - u[0]]), lambda u: np.array([[-20 * u[0], 10.0], [-1.0, 0.0]])
)


def decay(u):
    return np.exp(u[0] * X) + u[1] * X**2 - (np.exp(1.5 * X) + 0.7 * X**2 + 0.01 * np.cos(20 * X))


def decay_jacobian(u):
    return np.stack([X * np.exp(u[0] * X), X**2], -1)


def test_rosenbrocks_valley_is_followed_from_many_starts():
    starts = np.random.default_rng(0).uniform(-2, 2, (20, 2))
    search = minimise(ROSENBROCK, starts, lambda chi2: 1e-14 + 0 * chi2, max_evaluations=200)
    assert search.done.all()
    assert np.allclose(search.u, 1.0, atol=1e-5)
    assert search.chi2.max() < 1e-10


def test_the_minimum_is_scipys():
    expected = least_squares(decay, [0.0, 0.0], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    search = minimise(
        batched(decay, decay_jacobian), np.array([[0.0, 0.0], [3.0, -2.0]]), lambda chi2: 1e-16 + 0 * chi2
    )
    assert np.allclose(search.u, expected.x, atol=1e-7)
    assert np.allclose(search.chi2, 2 * expected.cost, rtol=1e-12)


def test_held_parameters_stay_and_the_others_are_best_for_them():
    fixed = np.array([[True, False], [False, False]])
    search = minimise(
        batched(decay, decay_jacobian), np.array([[1.0, 0.0], [1.0, 0.0]]), lambda chi2: 1e-16 + 0 * chi2, fixed=fixed
    )
    best = X**2 @ -decay(np.array([1.0, 0.0])) / (X**4).sum()
    assert np.allclose(search.u[0], [1.0, best])
    assert search.chi2[1] < search.chi2[0]


def test_steps_to_where_there_is_no_value_are_taken_back():
    residual = lambda u: np.where(u[0] > 2.0, np.nan, 1.0) * decay(u)
    search = minimise(
        batched(residual, decay_jacobian), np.array([[-4.0, 5.0], [3.0, 0.0]]), lambda chi2: 1e-14 + 0 * chi2
    )
    assert abs(search.u[0, 0] - 1.5) < 0.05
    assert np.isnan(search.chi2[1])
    assert search.done.all()


def test_a_hopeless_start_is_abandoned():
    residual = lambda u: np.array([3.0, np.exp(u[0])]) if u[0] < 0 else np.array([u[0] - 3.0, 0.1])
    jacobian = lambda u: np.array([[0.0], [np.exp(u[0])]]) if u[0] < 0 else np.array([[1.0], [0.0]])
    alone, beside = (
        minimise(batched(residual, jacobian), np.array(starts), lambda chi2: 1e-12 + 0 * chi2, max_evaluations=60)
        for starts in ([[-1.0]], [[-1.0], [2.0]])
    )
    assert beside.chi2[1] < 0.02
    assert beside.evaluations[0] < alone.evaluations[0]


def test_the_predicted_reduction_is_that_of_the_linearisation():
    rng = np.random.default_rng(0)
    r, J = rng.normal(size=9), rng.normal(size=(9, 3))
    left = r - J @ np.linalg.lstsq(J, r, rcond=None)[0]
    assert np.isclose(predicted_reduction(r, J), r @ r - left @ left)
    assert np.isclose(predicted_reduction(r, J[:, [0, 0]]), predicted_reduction(r, J[:, :1]))
