"""Sparse couplings, the factorized part, conjugate gradients, probes and the log-determinant."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, estimate
from lmmformula.engine.krylov import Accuracy, KrylovObjective, lanczos, system
from lmmformula.engine.krylov.blocks import times
from lmmformula.engine.krylov.coupling import Coupling
from lmmformula.engine.krylov.lanczos import LogDeterminant
from lmmformula.engine.krylov.probes import DETERMINANT, TRACE, signs
from lmmformula.engine.krylov.solve import conjugate_gradients
from lmmformula.engine.summation import sum_products
from lmmformula.errors import NumericalError
from tests.unit.engine.krylov.designs import DESIGNS, TAILED, krylov, ratings


def dense(coupling: Coupling) -> np.ndarray:
    """Z_f'WZ_g as a matrix with rows (effect, level)."""
    k, m, _ = coupling.values.shape
    out = np.zeros((k, coupling.shape[0], m, coupling.shape[1]))
    out[:, coupling.rows(), :, coupling.columns] = coupling.values.transpose(2, 0, 1)
    return out.reshape(k * coupling.shape[0], -1)


def operator(rows, few=64, phi=None):
    """Return the Schur complement at some parameters, and as a matrix."""
    objective = KrylovObjective(krylov(rows), True, Accuracy(n_probes=1))
    phi = objective.start(0.8) if phi is None else phi
    S = objective.unjudged(phi).krylov.operator
    return S, S.apply(np.eye(S.system.starts[-1]))


class TestCoupling:
    def test_products(self):
        sums = sum_products([DESIGNS["mixed structures"]])
        coupling = Coupling(*sums.layouts, sums.total.pairs[0, 1])
        A = dense(coupling)
        rng = np.random.default_rng(0)
        k, m, _ = coupling.values.shape
        right, left = (
            rng.normal(size=(m, coupling.shape[1], 3)),
            rng.normal(size=(k, coupling.shape[0], 3)),
        )
        np.testing.assert_allclose(coupling.times(right).reshape(-1, 3), A @ right.reshape(-1, 3))
        np.testing.assert_allclose(
            coupling.transposed_times(left).reshape(-1, 3), A.T @ left.reshape(-1, 3)
        )

    def test_diagonals(self):
        sums = sum_products([DESIGNS["mixed structures"]])
        coupling = Coupling(*sums.layouts, sums.total.pairs[0, 1])
        A = dense(coupling)
        rng = np.random.default_rng(1)
        k, m, _ = coupling.values.shape
        J, L = coupling.shape
        N = rng.normal(size=(k, k, J))
        N += N.transpose(1, 0, 2)
        middle = np.zeros((k, J, k, J))
        middle[:, np.arange(J), :, np.arange(J)] = N.transpose(2, 0, 1)
        whole = (A.T @ middle.reshape(k * J, -1) @ A).reshape(m, L, m, L)
        np.testing.assert_allclose(
            coupling.right_diagonals(N),
            np.einsum("ajbj->abj", whole),
            atol=1e-12 * np.abs(whole).max(),
        )

    def test_values_are_not_copied(self):
        sums = sum_products([DESIGNS["crossed"]])
        coupling = Coupling(*sums.layouts, sums.total.pairs[0, 1])
        matrices = [matrix for row in coupling._matrices for matrix in row]
        assert all(np.shares_memory(m.data, sums.total.pairs[0, 1].values) for m in matrices)
        assert all(np.shares_memory(m.indices, sums.total.pairs[0, 1].right) for m in matrices)
        assert matrices[0].indices.dtype == np.int32


class TestReference:
    @pytest.mark.parametrize("few", [0, 20, 64, 1_000])
    def test_factor(self, few, monkeypatch):
        monkeypatch.setattr(system, "FEW_ROWS", few)
        S, _ = operator(ratings(slopes=True, brands=True))
        q = S.system.starts[-1]
        inverse = S.reference.solve(np.eye(q))
        D = np.linalg.inv(inverse)
        half, back = S.reference.half(np.eye(q)), S.reference.half_back(np.eye(q))
        np.testing.assert_allclose(half, back.T, atol=1e-12)
        np.testing.assert_allclose(back @ half, inverse, atol=1e-12)
        np.testing.assert_allclose(S.reference.times_back(back), np.eye(q), atol=1e-10)
        assert S.reference.logdet == pytest.approx(np.linalg.slogdet(D)[1], rel=1e-10)
        for f, layout in enumerate(S.system.factors[1:], start=1):
            place = S.system.place(f)
            own = inverse[place, place].reshape(layout.k, layout.n_levels, layout.k, -1)
            np.testing.assert_allclose(
                S.reference.inverse_blocks[f], np.einsum("ajbj->abj", own), atol=1e-12
            )

    def test_nested_levels_are_factorized_exactly(self, monkeypatch):
        monkeypatch.setattr(system, "FEW_ROWS", 0)
        S, whole = operator(DESIGNS["nested in three levels"])
        D = np.linalg.inv(S.reference.solve(np.eye(len(whole))))
        np.testing.assert_allclose(D, whole, atol=1e-12 * np.abs(whole).max())

    def test_few_rows_are_factorized_exactly(self):
        S, whole = operator(DESIGNS["mixed structures"])
        D = np.linalg.inv(S.reference.solve(np.eye(len(whole))))
        np.testing.assert_allclose(D, whole, atol=1e-12 * np.abs(whole).max())

    def test_a_zero_variance_leaves_the_chain(self, monkeypatch):
        monkeypatch.setattr(system, "FEW_ROWS", 0)
        S, _ = operator(ratings(brands=True), phi=np.array([0.7, 0.6, 0.0]))
        assert not S.reference.chains.nesting.links
        S, _ = operator(ratings(brands=True), phi=np.array([0.7, 0.6, 0.5]))
        assert list(S.reference.chains.nesting.links) == [(1, 2)]

    def test_fewer_iterations_with_the_chain(self, monkeypatch):
        monkeypatch.setattr(system, "FEW_ROWS", 0)
        S, whole = operator(ratings(brands=True), phi=np.array([1.0, 2.0, 2.0]))
        right = np.random.default_rng(0).normal(size=(len(whole), 2))
        ours = conjugate_gradients(S.apply, S.precondition, right.copy(), 1e-8)
        blocks = [own.root.transpose(1, 0, 2) * own.root for own in S.own]

        def by_level(columns):
            parts = zip(blocks, S.system.tail_parts(columns), strict=True)
            moved = [times(own, part).reshape(-1, columns.shape[1]) for own, part in parts]
            return np.concatenate(moved)

        plain = conjugate_gradients(S.apply, by_level, right.copy(), 1e-8)
        assert 2 * ours.n_iterations <= plain.n_iterations


class TestConjugateGradients:
    def test_solution_and_forms(self):
        rng = np.random.default_rng(3)
        A = rng.normal(size=(30, 30))
        A = A @ A.T + 5.0 * np.eye(30)
        right = rng.normal(size=(30, 4))
        right[:, 2] = 0.0
        exact = np.linalg.solve(A, right)
        d = np.diag(A)[:, None]
        tight = conjugate_gradients(lambda x: A @ x, lambda x: x / d, right.copy(), 1e-12)
        np.testing.assert_allclose(tight.x, exact, atol=1e-10)
        rough = conjugate_gradients(lambda x: A @ x, lambda x: x / d, right.copy(), 1e-3)
        np.testing.assert_allclose(rough.residual, right - A @ rough.x, atol=1e-12)
        form = right.T @ rough.x + rough.x.T @ rough.residual
        off = np.abs(rough.x - exact).max()
        assert 1e-6 < off < 1e-2
        assert np.abs(form - right.T @ exact).max() < 1e-2 * off

    def test_limit(self):
        A = np.diag(np.linspace(1.0, 1e6, 50))
        with pytest.raises(NumericalError, match="do not converge"):
            conjugate_gradients(lambda x: A @ x, lambda x: x, np.ones((50, 1)), 1e-12, 5)


class TestSigns:
    def test_are_signs_and_reproducible(self):
        first = signs(1, "user", TRACE, range(4), (2, 1_001))
        assert set(np.unique(first)) == {-1.0, 1.0}
        np.testing.assert_array_equal(
            first[:, :, 2:], signs(1, "user", TRACE, range(2, 4), (2, 1_001))
        )
        assert abs(first.mean()) < 0.05

    @pytest.mark.parametrize(
        "other", [(2, "user", TRACE), (1, "item", TRACE), (1, "user", DETERMINANT)]
    )
    def test_differ(self, other):
        first = signs(1, "user", TRACE, range(1), (1, 500))
        assert abs(np.mean(first * signs(*other, range(1), (1, 500)))) < 0.2


class TestLogDeterminant:
    @pytest.mark.parametrize("name", TAILED)
    def test_few_columns_are_exact(self, name):
        S, whole = operator(DESIGNS[name])
        ours = LogDeterminant(S, 0)
        assert ours.exact == pytest.approx(S.first.logdet + np.linalg.slogdet(whole)[1], rel=1e-10)
        assert not ours.draws(range(3)).any()

    @pytest.mark.parametrize("few", [0, 20])
    @pytest.mark.parametrize(("slopes", "brands"), [(False, False), (True, True), (True, False)])
    def test_quadrature(self, slopes, brands, few, monkeypatch):
        monkeypatch.setattr(lanczos, "FEW_COLUMNS", 0)
        monkeypatch.setattr(system, "FEW_ROWS", few)
        S, whole = operator(ratings(slopes=slopes, brands=brands))
        ours = LogDeterminant(S, 0)
        draws = ours.draws(range(60))
        error = draws.std(ddof=1) / np.sqrt(60)
        expected = S.first.logdet + np.linalg.slogdet(whole)[1]
        assert abs(ours.exact + draws.mean() - expected) <= 4.0 * error + 1e-6
        assert 0.0 < error < 0.01 * expected

    def test_common_probes_cancel(self, monkeypatch):
        """Of two models the difference is far better known than each of them."""
        monkeypatch.setattr(lanczos, "FEW_COLUMNS", 0)
        rows = ratings()
        draws = []
        for size in (0.8, 0.82):
            S, _ = operator(rows, phi=np.array([size, size]))
            draws.append(LogDeterminant(S, 0).draws(range(30)))
        assert np.std(draws[0] - draws[1]) < 0.2 * np.std(draws[0])


def test_estimates_agree_with_the_exact_engine():
    rows = ratings(slopes=True)
    exact = Objective(assemble([rows]), True)
    theta = exact.theta(exact.start(0.7))
    ours = krylov(rows).estimate(theta)
    theirs = estimate(assemble([rows]), theta)
    for name in ("theta", "beta", "vcov_beta", "sigma", "objective", "logdet_RX", "pwrss"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8)
    for a, b in zip(ours.random, theirs.random, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
