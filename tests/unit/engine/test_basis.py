"""The working basis: orthonormal where permitted, scaled otherwise, on rows or on a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmmformula.covariance import make_structure
from lmmformula.engine import assemble
from lmmformula.engine import basis as module
from lmmformula.engine.basis import learn_basis
from lmmformula.errors import DesignError
from tests.unit.engine.cases import CASES, block, matrices


def mean_square(columns, weights=None):
    w = 1.0 if weights is None else weights[:, None]
    return columns.T @ (w * columns) / len(columns)


@pytest.mark.parametrize("name", CASES)
def test_fixed_columns_become_orthonormal(name):
    rows = CASES[name]
    working = rows.X @ learn_basis(rows).fixed
    np.testing.assert_allclose(mean_square(working, rows.weights), np.eye(rows.p), atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_random_columns_become_as_simple_as_their_structure_permits(name):
    rows = CASES[name]
    for term, transform in zip(rows.random, learn_basis(rows).random, strict=True):
        ours = mean_square(term.z @ transform, rows.weights)
        if term.relationship is not None:
            ours *= np.mean(np.sum(term.relationship**2, axis=1))
        np.testing.assert_allclose(np.diag(ours), 1.0, atol=1e-10)
        if make_structure(term.structure, term.n_effects).invariance == "linear":
            np.testing.assert_allclose(ours, np.eye(len(ours)), atol=1e-10)
        else:
            np.testing.assert_array_equal(transform, np.diag(np.diag(transform)))


@pytest.mark.parametrize("name", CASES)
def test_response_becomes_regression_residuals_of_unit_size(name):
    rows = CASES[name]
    basis = learn_basis(rows)
    w = np.ones(rows.n_obs) if rows.weights is None else rows.weights
    left = (rows.working_response - rows.X @ basis.beta) / basis.scale
    assert np.mean(w * left**2) == pytest.approx(1.0)
    np.testing.assert_allclose(rows.X.T @ (w * left), 0.0, atol=1e-7 * np.abs(rows.X).max())


def test_log_determinant():
    basis = learn_basis(CASES["mixed structures"])
    assert basis.logdet_fixed == pytest.approx(np.linalg.slogdet(basis.fixed)[1])


def test_scalar_invariance_permits_one_common_factor():
    z = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 10.0, 100.0]
    transform = module._term_basis(z, "scalar")
    assert transform[0, 0] > 0.0
    np.testing.assert_allclose(transform, transform[0, 0] * np.eye(3))


def test_columns_too_nearly_dependent_are_only_scaled():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    z = np.column_stack([x, x + 1e-9 * rng.normal(size=60)])
    transform = module._term_basis(z, "linear")
    np.testing.assert_array_equal(transform, np.diag(np.diag(transform)))
    np.testing.assert_allclose(np.diag(mean_square(z @ transform)), 1.0)


def test_fewer_rows_than_columns_are_only_scaled():
    z = np.random.default_rng(0).normal(size=(2, 3))
    transform = module._term_basis(z, "linear")
    np.testing.assert_array_equal(transform, np.diag(np.diag(transform)))


def test_a_column_of_zeros_keeps_its_unit():
    assert module._inverse_factor(np.zeros((5, 1)), orthonormal=True)[0, 0] == 1.0


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_root_mean_square_neither_overflows_nor_underflows(size):
    assert module._root_mean_square(np.array([3.0, -4.0]) * size) == pytest.approx(
        np.sqrt(12.5) * size, rel=1e-14
    )


class TestSample:
    """Large data: a systematic sample of the rows decides."""

    @pytest.fixture(autouse=True)
    def _small_sample(self, monkeypatch):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 20)

    def rows(self, x):
        rng = np.random.default_rng(1)
        X = np.column_stack([np.ones(len(x)), x])
        return matrices(rng.normal(size=len(x)), X, block(X[:, :1], np.arange(len(x)) % 7, "g"))

    def test_uses_every_step(self):
        rows = self.rows(np.random.default_rng(0).normal(size=200))
        working = (rows.X @ learn_basis(rows).fixed)[::10]
        np.testing.assert_allclose(mean_square(working), np.eye(2), atol=1e-10)

    def test_a_rare_column_that_the_sample_misses_is_found_in_all_rows(self):
        x = np.zeros(200)
        x[[3, 57]] = 1.0
        rows = self.rows(x)
        assert not rows.X[::10, 1].any()
        np.testing.assert_allclose(
            mean_square(rows.X @ learn_basis(rows).fixed), np.eye(2), atol=1e-10
        )


@pytest.mark.parametrize("offset", [False, True])
def test_exact_fit_is_refused(offset):
    rows = CASES["one factor"]
    fitted = rows.X @ np.arange(1.0, rows.p + 1.0)
    exact = replace(rows, y=fitted)
    if offset:
        exact = replace(rows, y=fitted + 7.0, offset=np.full(rows.n_obs, 7.0))
    with pytest.raises(DesignError, match="exactly"):
        assemble([exact])


def test_no_fixed_effects():
    rows = CASES["one factor"]
    basis = learn_basis(replace(rows, X=np.zeros((rows.n_obs, 0)), fixed_names=()))
    assert basis.fixed.shape == (0, 0)
    assert basis.logdet_fixed == 0.0
    assert basis.scale == pytest.approx(np.sqrt(np.mean(rows.y**2)))
