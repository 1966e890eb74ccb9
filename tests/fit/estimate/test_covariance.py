"""Covariance, undetermined directions, and the warnings of them."""

import re

import numpy as np
import pytest

from pnp import quantity as q
from pnp.fit.estimate.covariance import identifiability_warnings, quantile, uncertainty
from pnp.fit.model.parameters import Free, ParameterSpace, make_parameter
from pnp.fit.model.paths import MEASURES

KINDS = {
    "D": (MEASURES[q.DIFFUSIVITY], 1.0),
    "P": (MEASURES[q.DIFFUSIVITY], 2.0),
    "a": (MEASURES[q.LENGTH], 1.0),
    "q": (MEASURES[q.CHARGE], -1.0),
    "w": (MEASURES[q.ENERGY], 0.0),
}


def space(*names):
    return ParameterSpace([make_parameter(Free(n), n, *KINDS[n]) for n in names])


def words(jacobian, *names):
    parameters = space(*names)
    return identifiability_warnings(uncertainty(np.asarray(jacobian, float), parameters, 1.0), parameters)


def test_the_covariance_is_the_inverse_of_the_information():
    J = np.random.default_rng(0).normal(size=(30, 3)) * [50.0, 20.0, 10.0]
    known, step = uncertainty(J, space("D", "a", "q"), 2.5), np.array([1.0, -1.0, 0.0])
    assert np.allclose(known.covariance, 2.5 * np.linalg.inv(J.T @ J))
    assert np.isclose(known.std_along(step) ** 2, step @ known.covariance @ step)
    assert known.determined.all()
    assert not words(J, "D", "a", "q")


def test_of_a_product_only_the_product_is_known():
    x = np.linspace(1, 2, 9)
    J = 100 * np.outer(x, [1.0, 2.0])  # of what depends on D a²
    known = uncertainty(J, space("D", "a"), 1.0)
    assert not known.determined.any()
    assert np.isnan(known.std).all()
    assert np.isclose(known.std_along(np.array([1.0, 2.0])), 1 / (100 * np.sqrt((x**2).sum())))
    assert np.isnan(known.std_along(np.array([1.0, 0.0])))
    assert words(J, "D", "a") == ["the data do not tell D and a apart: only D × a^2 is determined; fix one of them"]


def test_of_a_ratio_only_the_ratio():
    assert "only D / P is determined" in words(100 * np.outer(np.ones(5), [1.0, -1.0]), "D", "P")[0]


def test_what_is_not_determined_leaves_the_others_alone():
    rng = np.random.default_rng(1)
    J = np.column_stack([100 * rng.normal(size=9), np.zeros(9)])
    known = uncertainty(J, space("D", "w"), 1.0)
    assert known.determined.tolist() == [True, False]
    assert np.isclose(known.std[0], 1 / np.sqrt((J[:, 0] ** 2).sum()))
    assert words(J, "D", "w") == ["the data do not determine w: leave it fixed, or add data that depend on it"]


def test_numbers_of_different_kind_are_named_with_changes_that_cancel():
    message = words(100 * np.outer(np.ones(5), [1.0, 0.5]), "D", "q")[0]
    match = re.search(r"undone by each other, D × ([\d.]+) as q ([-+][\d.]+) e; fix one of them", message)
    assert np.isclose(np.log(float(match[1])) + 0.5 * float(match[2]), 0, atol=0.05)


def test_three_that_hang_together():
    J = 100 * np.outer(np.ones(7), [1.0, 1.0, 1.0])
    message = words(J, "D", "a", "P")
    assert len(message) == 2
    assert all("apart" in s for s in message)


@pytest.mark.parametrize(
    ("dof", "known", "expected"), [(3, True, 1.959964), (3, False, 3.182446), (1000, False, 1.962339)]
)
def test_quantiles(dof, known, expected):
    assert np.isclose(quantile(dof, known), expected, rtol=1e-6)
