"""Elimination of the tail against dense algebra, both ways of taking products with E."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import assemble, tail
from lmmformula.engine.tail import BlockTail, _mirrored, inverted
from tests.unit.engine.cases import CASES
from tests.unit.engine.test_cross import as_matrix
from tests.unit.engine.test_layout import WITH_TAIL


def factors(system, rng, *, singular):
    found = []
    for layout in system.tail.factors:
        Lambda = np.eye(layout.k) + 0.3 * rng.normal(size=(layout.k, layout.k))
        if singular:
            Lambda[:, 0] = 0.0
        found.append(Lambda)
    return found


def as_flat(blocks):
    return np.concatenate([block.ravel() for block in blocks])


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.fixture(params=["direct", "by inverse", "singular"])
def branch(request, monkeypatch):
    """Force one branch of the products with E; a singular Lambda must fall back."""
    if request.param != "direct":
        monkeypatch.setattr(tail, "DIRECT_SIZE", 0)
    return request.param


@pytest.fixture(params=WITH_TAIL)
def case(request, branch):
    system = assemble([CASES[request.param]])
    rng = np.random.default_rng(0)
    Lambdas = factors(system, rng, singular=branch == "singular")
    ours = BlockTail(system.tail, Lambdas, system.tail_gram.copy())
    assert (ours.inverse_Sigmas is not None) == (branch == "by inverse")
    A = as_matrix(system.tail, system.tail_gram)
    pieces = zip(system.tail.factors, Lambdas, strict=True)
    Lambda = _block_diagonal([np.kron(np.eye(f.n_levels), L) for f, L in pieces])
    M = np.eye(len(A)) + Lambda.T @ A @ Lambda
    return ours, A, Lambda @ np.linalg.solve(M, Lambda.T), np.linalg.slogdet(M)[1]


def _block_diagonal(blocks):
    n = sum(len(block) for block in blocks)
    matrix, start = np.zeros((n, n)), 0
    for block in blocks:
        stop = start + len(block)
        matrix[start:stop, start:stop] = block
        start = stop
    return matrix


def level_blocks(layout, factor, matrix):
    """Sum of the (k, k) diagonal blocks of one factor."""
    k, start = layout.factors[factor].k, layout.starts[factor]
    part = slice(start, start + layout.factors[factor].n_columns)
    square = matrix[part, part].reshape(layout.factors[factor].n_levels, k, -1, k)
    return np.einsum("jajb->ab", square)


def test_log_determinant_and_projection(case):
    ours, _, N, logdet = case
    assert ours.logdet == pytest.approx(logdet, rel=1e-12)
    close(as_matrix(ours.layout, ours.flat_N), N)


def test_apply(case):
    ours, A, N, _ = case
    values = np.random.default_rng(1).normal(size=(len(A), 3))
    close(ours.apply(ours.A, values), A @ values)
    close(ours.apply(ours.N, values), N @ values)


def test_products_with_E(case):
    ours, A, N, _ = case
    E = np.eye(len(A)) - A @ N
    close(as_matrix(ours.layout, as_flat(ours.E)), E)
    close(as_matrix(ours.layout, as_flat(ours.EA)), E @ A)
    T = ours.A
    close(as_matrix(ours.layout, as_flat(ours.E_times(T, ours.products(ours.N, T)))), E @ A)


def test_sums_over_levels(case):
    ours, A, N, _ = case
    E = np.eye(len(A)) - A @ N
    for f in range(len(ours.layout.factors)):
        close(ours.level_sums(ours.A, f), level_blocks(ours.layout, f, A))
        close(ours.residual_gram_sums(f), level_blocks(ours.layout, f, E @ A))
        close(ours.row_products(ours.E, ours.A, f), level_blocks(ours.layout, f, E @ A))


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 6), (1, 150), (4, 3)])
def test_inverse(shape):
    n, m = shape
    root = np.random.default_rng(0).normal(size=(n, m, m))
    M = root @ root.transpose(0, 2, 1) + m * np.eye(m)
    logdet, inverse = inverted(M.copy())
    assert logdet == pytest.approx(np.linalg.slogdet(M)[1].sum())
    np.testing.assert_allclose(inverse @ M, np.broadcast_to(np.eye(m), M.shape), atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 3), (4, 3), (1, 1), (3, 1)])
def test_an_indefinite_block_gives_no_log_determinant(shape):
    n, m = shape
    M = np.tile(np.eye(m), (n, 1, 1))
    M[-1] = -np.eye(m)
    with np.errstate(invalid="ignore"):
        assert np.isnan(inverted(M)[0])


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_mirrored(n):
    full = np.random.default_rng(0).normal(size=(n, n))
    full += full.T
    upper = np.triu(full)
    np.testing.assert_array_equal(_mirrored(upper), full)
