"""Elimination by fronts, solves, entries of the inverse and sums of G: against dense algebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lmmformula.covariance import make_structure
from lmmformula.engine.layout import FactorLayout, TermLayout
from lmmformula.engine.sparse import schedule
from lmmformula.engine.sparse.layout import SparseTailLayout
from lmmformula.engine.sparse.tail import SparseTail
from tests.unit.engine.sparse.graphs import GRAPHS, fronts_by_nature

WIDTHS = [(1, 1), (2, 2), (1, 3)]


def factor_layout(name: str, n_levels: int, k: int) -> FactorLayout:
    names = tuple(f"e{i}" for i in range(k))
    term = TermLayout(0, make_structure("us", k), slice(0, k), f"(x | {name})", names, name)
    return FactorLayout(name, n_levels, (term,))


@dataclass
class Case:
    """A tail with its dense twin."""

    layout: SparseTailLayout
    Lambdas: list[np.ndarray]
    flat: np.ndarray
    A: np.ndarray
    coupled: np.ndarray

    @property
    def Lambda(self) -> np.ndarray:
        n = len(self.A)
        whole = np.zeros((n, n))
        for factor, start, Lambda in zip(
            self.layout.factors, self.layout.starts, self.Lambdas, strict=True
        ):
            part = slice(start, start + factor.n_columns)
            whole[part, part] = np.kron(np.eye(factor.n_levels), Lambda)
        return whole

    @property
    def M(self) -> np.ndarray:
        return np.eye(len(self.A)) + self.Lambda.T @ self.A @ self.Lambda

    @property
    def N(self) -> np.ndarray:
        return self.Lambda @ np.linalg.solve(self.M, self.Lambda.T)


def make(name: str, widths: tuple[int, int], *, singular: bool, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    pattern = GRAPHS[name]
    n = pattern.shape[0]
    sizes = (n // 2, n - n // 2)
    factors = tuple(
        factor_layout(group, size, k)
        for group, size, k in zip("ab", sizes, widths, strict=True)
        if size
    )
    layout = SparseTailLayout(factors, pattern)
    width = np.concatenate([np.full(f.n_levels, f.k) for f in factors])
    level = np.repeat(np.arange(n), width)
    coupled = pattern.toarray()[np.ix_(level, level)] > 0
    half = np.where(coupled, rng.normal(size=coupled.shape), 0.0)
    A = half + half.T
    A += np.diag(np.abs(A).sum(axis=1) * rng.uniform(1.0, 3.0, len(A)))
    rows, columns = np.nonzero(coupled)
    flat = np.zeros(layout.storage)
    flat[layout.address(rows, columns)] = A[rows, columns]
    Lambdas = [np.eye(f.k) + 0.4 * rng.normal(size=(f.k, f.k)) for f in factors]
    if singular:
        Lambdas[-1][:, 0] = 0.0
    return Case(layout, Lambdas, flat, A, coupled)


def close(ours, expected):
    scale = np.abs(expected).max(initial=1e-300)
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=1e-11 * scale)


COMBINATIONS = [(w, z, e) for e in (False, True) for z in (False, True) for w in WIDTHS]
CASES = [
    (name, *COMBINATIONS[(5 * i + j) % len(COMBINATIONS)])
    for i, name in enumerate(GRAPHS)
    for j in (0, 3, 7)
]


@pytest.fixture(params=CASES, ids=str)
def case(request, monkeypatch):
    """Coupling, effects per level, singular or not, fronts padded or exactly as by nature."""
    name, widths, singular, exact = request.param
    if exact:
        monkeypatch.setattr(schedule, "EXACT_FROM", 0)
        fronts_by_nature(monkeypatch)
    return make(name, widths, singular=singular)


def entries(case: Case, flat: np.ndarray) -> np.ndarray:
    """A matrix in flat storage, zero where nothing is stored."""
    whole = np.zeros(case.A.shape)
    rows, columns = np.nonzero(case.coupled)
    whole[rows, columns] = flat[case.layout.address(rows, columns)]
    return whole


class TestElimination:
    def test_log_determinant(self, case):
        tail = SparseTail(case.layout, case.Lambdas, case.flat)
        assert tail.logdet == pytest.approx(np.linalg.slogdet(case.M)[1], rel=1e-12, abs=1e-12)

    def test_solves(self, case):
        tail = SparseTail(case.layout, case.Lambdas, case.flat)
        values = np.random.default_rng(1).normal(size=(len(case.A), 3))
        before = values.copy()
        close(tail.N_times(values), case.N @ values)
        close(tail.A_times(values), case.A @ values)
        np.testing.assert_array_equal(values, before)
        close(tail.N_times(np.asfortranarray(values)), case.N @ values)

    def test_entries_of_the_inverse(self, case):
        tail = SparseTail(case.layout, case.Lambdas, case.flat)
        close(entries(case, tail.flat_N), np.where(case.coupled, case.N, 0.0))

    @pytest.mark.parametrize("branch", ["as it comes", "never by Sigma"])
    def test_sums_of_what_is_left(self, case, branch, monkeypatch):
        if branch == "never by Sigma":
            monkeypatch.setattr("lmmformula.engine.sparse.tail.WELL_CONDITIONED", np.inf)
        tail = SparseTail(case.layout, case.Lambdas, case.flat)
        G = case.A - case.A @ case.N @ case.A
        for f, (factor, start) in enumerate(
            zip(case.layout.factors, case.layout.starts, strict=True)
        ):
            part = slice(start, start + factor.n_columns)
            square = G[part, part].reshape(factor.n_levels, factor.k, factor.n_levels, factor.k)
            once, again = tail.residual_gram_sums(f), tail.residual_gram_sums(f)
            close(once, np.einsum("jajb->ab", square))
            np.testing.assert_array_equal(again, once)


class TestStorage:
    def test_matrix_and_products(self, case):
        close(case.layout.matrix(case.flat).toarray(), case.A)
        values = np.random.default_rng(2).normal(size=(len(case.A), 2))
        close(case.layout.times(case.flat, values), case.A @ values)

    def test_inner_product(self, case):
        other = np.random.default_rng(3).normal(size=case.layout.storage)
        B = entries(case, case.layout.completed(other.copy()))
        doubled = case.layout.completed(other.copy())
        assert case.layout.inner(case.flat, doubled) == pytest.approx(np.sum(case.A * B), rel=1e-10)

    def test_own_blocks(self, case):
        for factor, start, blocks in zip(
            case.layout.factors, case.layout.starts, case.layout.own_blocks(case.flat), strict=True
        ):
            for level, block in enumerate(blocks):
                at = slice(start + level * factor.k, start + (level + 1) * factor.k)
                np.testing.assert_array_equal(block, case.A[at, at])

    def test_what_is_held(self, case):
        rows, columns = np.indices(case.A.shape).reshape(2, -1)
        held = case.layout.holds(rows, columns)
        np.testing.assert_array_equal(held, case.coupled.ravel())


def test_a_matrix_that_is_not_positive_definite():
    case = make("grid", (1, 1), singular=False)
    with np.errstate(invalid="ignore"):
        assert np.isnan(SparseTail(case.layout, case.Lambdas, -case.flat).logdet)


def test_a_small_lambda_loses_no_digits():
    """Just above and below the bound of what is divided by Sigma, the sums agree."""
    case = make("random", (2, 2), singular=False)
    for size in (1e-1, 1e-3, 1e-8, 0.0):
        Lambdas = [case.Lambdas[0], size * case.Lambdas[1]]
        twin = Case(case.layout, Lambdas, case.flat, case.A, case.coupled)
        tail = SparseTail(case.layout, Lambdas, case.flat)
        G = case.A - case.A @ twin.N @ case.A
        start, factor = case.layout.starts[1], case.layout.factors[1]
        part = slice(start, start + factor.n_columns)
        square = G[part, part].reshape(factor.n_levels, 2, factor.n_levels, 2)
        close(tail.residual_gram_sums(1), np.einsum("jajb->ab", square))
