"""What is particular to single structures; the common contract is in tests/contracts."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.covariance import Diagonal, Structure, Unstructured, semidefinite_cholesky


class TestSemidefiniteCholesky:
    """The lower factor, with exact zeros where the matrix is singular."""

    @pytest.mark.parametrize("k", [1, 2, 4])
    def test_positive_definite(self, k):
        root = np.random.default_rng(0).normal(size=(k, k))
        given = root @ root.T + np.eye(k)
        np.testing.assert_allclose(semidefinite_cholesky(given), np.linalg.cholesky(given))

    @pytest.mark.parametrize("rank", [0, 1, 2, 3])
    def test_rank_deficient(self, rank):
        root = np.random.default_rng(1).normal(size=(4, rank))
        given = root @ root.T
        ours = semidefinite_cholesky(given)
        np.testing.assert_allclose(ours @ ours.T, given, atol=1e-12)
        np.testing.assert_array_equal(ours, np.tril(ours))
        assert np.sum(np.diag(ours) > 0.0) == rank
        dropped = np.diag(ours) == 0.0
        np.testing.assert_array_equal(ours[:, dropped], 0.0)

    def test_a_zero_variance_in_the_middle(self):
        given = np.array([[4.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 2.0]])
        expected = [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]
        np.testing.assert_array_equal(semidefinite_cholesky(given), expected)

    def test_the_tolerance_decides_what_is_zero(self):
        given = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-6]])
        assert semidefinite_cholesky(given)[1, 1] == pytest.approx(1e-3, rel=1e-6)
        assert semidefinite_cholesky(given, tolerance=1e-5)[1, 1] == 0.0

    def test_the_argument_is_left_alone(self):
        given = np.array([[4.0, 2.0], [2.0, 3.0]])
        semidefinite_cholesky(given)
        np.testing.assert_array_equal(given, [[4.0, 2.0], [2.0, 3.0]])


def test_structures_are_abstract_or_final():
    with pytest.raises(TypeError):
        Structure(2)
    assert {type(s).__mro__[1] for s in (Unstructured(2), Diagonal(2))} == {Structure}


class TestUnstructured:
    """lme4's order of theta; rotations."""

    def test_theta_is_the_lower_triangle_by_columns(self):
        template = np.array([[1.0, 0.0, 0.0], [2.0, 4.0, 0.0], [3.0, 5.0, 6.0]])
        ours = Unstructured(3)
        np.testing.assert_array_equal(ours.theta(template), [1, 2, 3, 4, 5, 6])
        np.testing.assert_array_equal(ours.template(np.arange(1.0, 7.0)), template)

    def test_names_are_lme4s(self):
        names = Unstructured(2).theta_names(("Intercept", "Days"), "Subject")
        assert names == ("Subject.Intercept", "Subject.Days.Intercept", "Subject.Days")

    @pytest.mark.parametrize("k", [1, 2, 4])
    def test_rotations_leave_sigma_alone(self, k):
        rng = np.random.default_rng(0)
        ours, phi = Unstructured(k), rng.normal(size=k * k)
        turned = (ours.factor(phi) @ np.linalg.qr(rng.normal(size=(k, k)))[0]).ravel()
        one, other = ours.factor(phi), ours.factor(turned)
        np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-12)
        assert ours.effective(phi).shape == (k * k, ours.n_theta)

    def test_every_direction_is_open_at_zero(self):
        np.testing.assert_allclose(np.abs(Unstructured(3).effective(np.zeros(9))), np.eye(9))

    def test_rotations_within_the_null_space_are_not_counted(self):
        """A factor of rank one has k - 1 rotations that move it."""
        phi = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 0.0]).ravel()
        assert Unstructured(3).effective(phi).shape == (9, 7)

    def test_snap_drops_a_direction_that_is_no_single_effect(self):
        """A correlation of almost one becomes exactly one."""
        ours = Unstructured(2)
        template = np.array([[1.0, 0.0], [1.0, 1e-5]])
        factor = ours.factor(ours.snap(template.ravel(), np.eye(2), 1e-3))
        assert np.linalg.matrix_rank(factor, tol=1e-12) == 1
        np.testing.assert_allclose(factor @ factor.T, np.ones((2, 2)), atol=2e-5)


class TestDiagonal:
    """Standard deviations only."""

    def test_names(self):
        names = Diagonal(2).theta_names(("Intercept", "Days"), "Subject")
        assert names == ("Subject.Intercept", "Subject.Days")

    def test_covariances_stay_zero(self):
        ours = Diagonal(3)
        phi = np.array([1.0, -2.0, 0.0])
        np.testing.assert_array_equal(ours.factor(phi), np.diag(phi))
        rows, columns = ours.pairs
        np.testing.assert_array_equal(ours.jacobian(phi)[rows != columns], 0.0)
