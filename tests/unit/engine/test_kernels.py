"""Level-last kernels against numpy, one level at a time."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine.kernels import (
    block_product,
    cholesky,
    forward_solve,
    pair_traces,
    sandwich,
    symmetrized,
)

SIZES = [1, 2, 5, 17]
LEVELS = 7


def blocks(rng, *shape):
    return rng.normal(size=(*shape, LEVELS))


def definite(rng, k):
    root = blocks(rng, k, k)
    return np.einsum("amj,bmj->abj", root, root) + np.eye(k)[:, :, None]


def per_level(array):
    return [array[:, :, j] for j in range(array.shape[2])]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("k", SIZES)
def test_sandwich(rng, k):
    factor, inner = rng.normal(size=(k, k)), definite(rng, k)
    ours = sandwich(factor, inner)
    for one, block in zip(per_level(ours), per_level(inner), strict=True):
        np.testing.assert_allclose(one, factor.T @ block @ factor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("middle", SIZES)
@pytest.mark.parametrize("columns", SIZES)
def test_block_product(rng, k, middle, columns):
    left, right = blocks(rng, k, middle), blocks(rng, middle, columns)
    ours = block_product(left, right)
    assert ours.shape == (k, columns, LEVELS)
    for one, a, b in zip(per_level(ours), per_level(left), per_level(right), strict=True):
        np.testing.assert_allclose(one, a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", SIZES)
def test_symmetrized(rng, k):
    given = blocks(rng, k, k)
    np.testing.assert_allclose(symmetrized(given), (given + given.transpose(1, 0, 2)) / 2.0)


@pytest.mark.parametrize("k", SIZES)
def test_cholesky(rng, k):
    given = definite(rng, k)
    before = given.copy()
    for one, block in zip(per_level(cholesky(given)), per_level(given), strict=True):
        np.testing.assert_allclose(one, np.linalg.cholesky(block), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("k", SIZES)
def test_cholesky_marks_only_the_indefinite_level(rng, k):
    given = definite(rng, k)
    given[:, :, 3] = -np.eye(k)
    with np.errstate(invalid="ignore"):
        bad = np.isnan(cholesky(given)).any(axis=(0, 1))
    np.testing.assert_array_equal(bad, np.arange(LEVELS) == 3)


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("columns", SIZES)
def test_forward_solve(rng, k, columns):
    factor, right = cholesky(definite(rng, k)), blocks(rng, k, columns)
    solution = forward_solve(factor, right)
    np.testing.assert_allclose(block_product(factor, solution), right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("k", "m"), [(2, 3), (40, 30)])
def test_pair_traces(rng, k, m):
    G = blocks(rng, k, m)
    left, right = (
        D + D.transpose(0, 2, 1) for D in (rng.normal(size=(3, k, k)), rng.normal(size=(2, m, m)))
    )
    expected = sum(
        np.einsum("am,iab,bn,jnm->ij", g, left, g, right, optimize=True) for g in per_level(G)
    )
    np.testing.assert_allclose(pair_traces(G, left, right), expected, rtol=1e-10)
