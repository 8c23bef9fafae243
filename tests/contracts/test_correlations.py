"""Every family of correlations keeps the promises that structures and residuals build on."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.covariance.correlation import (
    Arma,
    AutoRegressive,
    CompoundSymmetry,
    ContinuousAutoRegressive,
    Exponential,
    Independent,
    Toeplitz,
    UnstructuredCorrelation,
)
from lmmformula.residual_covariance import CORRELATIONS

FAMILIES = [
    Arma,
    AutoRegressive,
    CompoundSymmetry,
    ContinuousAutoRegressive,
    Exponential,
    Independent,
    Toeplitz,
    UnstructuredCorrelation,
]
STEP = 1e-6
ESTIMABLE = [family for family in FAMILIES if family not in (Arma, UnstructuredCorrelation)]


@pytest.fixture(params=[2, 3, 5])
def size(request):
    return request.param


@pytest.fixture(params=range(3))
def rng(request):
    return np.random.default_rng(request.param)


def places(family, size, rng):
    if family.time == "continuous":
        return np.sort(rng.uniform(0.0, 4.0, size))[:, None]
    return np.arange(float(size))[:, None]


def matrix(family, phi, where):
    return family.values(phi, where[:, None], where[None])


def parameters(family, rng):
    return family.start() + rng.normal(0.0, 0.7, family.n_parameters)


def test_residuals_use_known_families():
    assert {kind.correlation for kind in CORRELATIONS.values()} <= set(FAMILIES)


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.__name__)
class TestFamily:
    def test_any_parameters_make_a_correlation_matrix(self, kind, size, rng):
        family = kind(size, 0.5)
        R = matrix(family, parameters(family, rng), places(family, size, rng))
        np.testing.assert_allclose(np.diag(R), 1.0, rtol=1e-14)
        np.testing.assert_allclose(R, R.T, atol=1e-15)
        assert np.linalg.eigvalsh(R)[0] > -1e-12

    def test_slopes_are_derivatives(self, kind, size, rng):
        family = kind(size, 0.5)
        phi, where = parameters(family, rng), places(family, size, rng)
        slopes = family.slopes(phi, where[:, None], where[None])
        assert slopes.shape == (family.n_parameters, size, size)
        for j, step in enumerate(STEP * np.eye(family.n_parameters)):
            change = matrix(family, phi + step, where) - matrix(family, phi - step, where)
            np.testing.assert_allclose(slopes[j], change / (2 * STEP), atol=1e-8)

    def test_natural_parameters_and_back(self, kind, size, rng):
        family = kind(size, 0.5)
        phi, where = parameters(family, rng), places(family, size, rng)
        natural = family.natural(phi)
        assert natural.shape == (len(family.names),) == (family.n_parameters,)
        again = family.from_natural(natural)
        np.testing.assert_allclose(family.natural(again), natural, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            matrix(family, again, where), matrix(family, phi, where), atol=1e-9
        )

    def test_proposed_starts_are_inside(self, kind, size, rng):
        family = kind(size, 0.5)
        for average in (-0.1, 0.5, 0.99):
            for phi in family.starts(average):
                R = matrix(family, phi, places(family, size, rng))
                assert np.linalg.eigvalsh(R)[0] > 1e-6


@pytest.mark.parametrize("kind", ESTIMABLE, ids=lambda kind: kind.__name__)
def test_parameters_are_found_in_their_own_matrix(kind, size, rng):
    family = kind(size, 0.5)
    phi, where = parameters(family, rng), places(family, size, rng)
    found = family.estimate(matrix(family, phi, where), where)
    np.testing.assert_allclose(found, family.natural(phi), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ESTIMABLE, ids=lambda kind: kind.__name__)
def test_nothing_known_means_no_correlation(kind, size, rng):
    family = kind(size, 0.5)
    found = family.estimate(np.full((size, size), np.nan), places(family, size, rng))
    np.testing.assert_allclose(found, family.natural(family.start()), atol=1e-12)


def test_the_ou_process_at_equal_spacing_is_the_autoregression(rng):
    rho, where = rng.uniform(0.05, 0.95, 1), np.arange(5.0)[:, None]
    ou, ar1 = ContinuousAutoRegressive(5), AutoRegressive(5)
    left = matrix(ou, ou.from_natural(rho), where)
    np.testing.assert_allclose(left, matrix(ar1, ar1.from_natural(rho), where), rtol=1e-12)


def test_arma_without_a_moving_average_is_the_autoregression():
    where = np.arange(6.0)[:, None]
    arma, ar1 = Arma(6), AutoRegressive(6)
    left = matrix(arma, arma.from_natural(np.array([0.6, 0.0])), where)
    np.testing.assert_allclose(
        left, matrix(ar1, ar1.from_natural(np.array([0.6])), where), rtol=1e-12
    )


def test_distances_are_euclidean():
    where = np.array([[0.0, 0.0], [3.0, 4.0]])
    family = Exponential(2)
    phi = family.from_natural(np.array([2.0]))
    assert matrix(family, phi, where)[0, 1] == pytest.approx(np.exp(-2.5), rel=1e-12)
