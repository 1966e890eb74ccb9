"""What the data leave open, in numbers and in words."""

import re

import numpy as np
import pytest

from pnp.fit.estimate.covariance import identifiability_warnings, quantile, uncertainty
from pnp.fit.model.parameters import Free, ParameterSpace, make_parameter
from pnp.fit.model.paths import CHARGE, DIFFUSIVITY, ENERGY, LENGTH

MEASURES = {
    "D": (DIFFUSIVITY, 1.0),
    "P": (DIFFUSIVITY, 2.0),
    "a": (LENGTH, 1.0),
    "q": (CHARGE, -1.0),
    "w": (ENERGY, 0.0),
}


def space(*names):
    return ParameterSpace([make_parameter(Free(n), n, *MEASURES[n]) for n in names])


def words(jacobian, *names):
    here = space(*names)
    return identifiability_warnings(uncertainty(np.asarray(jacobian, float), here, 1.0), here)


def test_the_covariance_is_the_inverse_of_the_information():
    J = np.random.default_rng(0).normal(size=(30, 3)) * [50.0, 20.0, 10.0]
    found, step = uncertainty(J, space("D", "a", "q"), 2.5), np.array([1.0, -1.0, 0.0])
    assert np.allclose(found.covariance, 2.5 * np.linalg.inv(J.T @ J))
    assert np.isclose(found.std_along(step) ** 2, step @ found.covariance @ step)
    assert found.determined.all()
    assert not words(J, "D", "a", "q")


def test_of_a_product_only_the_product_is_known():
    x = np.linspace(1, 2, 9)
    J = 100 * np.outer(x, [1.0, 2.0])  # of what depends on D a²
    found = uncertainty(J, space("D", "a"), 1.0)
    assert not found.determined.any()
    assert np.isnan(found.std).all()
    assert np.isclose(found.std_along(np.array([1.0, 2.0])), 1 / (100 * np.sqrt((x**2).sum())))
    assert np.isnan(found.std_along(np.array([1.0, 0.0])))
    assert words(J, "D", "a") == ["the data do not tell D and a apart: only D × a^2 is determined; fix one of them"]


def test_of_a_ratio_only_the_ratio():
    assert "only D / P is determined" in words(100 * np.outer(np.ones(5), [1.0, -1.0]), "D", "P")[0]


def test_what_is_not_determined_leaves_the_others_alone():
    rng = np.random.default_rng(1)
    J = np.column_stack([100 * rng.normal(size=9), np.zeros(9)])
    found = uncertainty(J, space("D", "w"), 1.0)
    assert found.determined.tolist() == [True, False]
    assert np.isclose(found.std[0], 1 / np.sqrt((J[:, 0] ** 2).sum()))
    assert words(J, "D", "w") == ["the data do not determine w: leave it fixed, or add data that depend on it"]


def test_numbers_of_different_kind_are_told_by_what_they_undo():
    said = words(100 * np.outer(np.ones(5), [1.0, 0.5]), "D", "q")[0]
    found = re.search(r"undone by each other, D × ([\d.]+) as q ([-+][\d.]+) e; fix one of them", said)
    assert np.isclose(np.log(float(found[1])) + 0.5 * float(found[2]), 0, atol=0.05)


def test_three_that_hang_together():
    J = 100 * np.outer(np.ones(7), [1.0, 1.0, 1.0])
    said = words(J, "D", "a", "P")
    assert len(said) == 2
    assert all("apart" in s for s in said)


@pytest.mark.parametrize(
    ("dof", "known", "expected"), [(3, True, 1.959964), (3, False, 3.182446), (1000, False, 1.962339)]
)
def test_quantiles(dof, known, expected):
    assert np.isclose(quantile(dof, known), expected, rtol=1e-6)
