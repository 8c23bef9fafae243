"""Random designs: nested, crossed, unbalanced, weighted, several terms on one factor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmmformula.matrices import ModelMatrices, RandomBlock
from tests import dense

Array = NDArray[np.float64]

SHAPES = ("single", "nested", "crossed", "partly crossed", "three factors", "two terms")


def _codes(rng: np.random.Generator, n: int, levels: int) -> NDArray[np.int32]:
    """Draw level codes; every level occurs, sizes are uneven."""
    chance = rng.dirichlet(np.full(levels, 2.0))
    codes = np.concatenate([np.arange(levels), rng.choice(levels, n - levels, p=chance)])
    return rng.permutation(codes).astype(np.int32)


def _block(rng, codes, k, group, structure="us"):
    n = len(codes)
    z = np.column_stack([np.ones(n), rng.normal(size=(n, k - 1)) * 10.0 ** rng.uniform(-2, 2)])
    names = ("Intercept", "x1", "x2")[:k]
    levels = np.array([f"{group}{j}" for j in range(codes.max() + 1)], dtype=object)
    text = f"({' + '.join(names)} | {group})"
    return RandomBlock(z, codes, levels, names, group, structure, text)


def _factors(rng: np.random.Generator, shape: str, n: int) -> list[tuple[str, NDArray[np.int32]]]:
    first = _codes(rng, n, int(rng.integers(4, 12)))
    if shape in ("single", "two terms"):
        return [("g", first)]
    if shape == "nested":
        inner = first * 3 + rng.integers(0, 3, n)
        return [("g:h", np.unique(inner, return_inverse=True)[1].astype(np.int32)), ("g", first)]
    second = _codes(rng, n, int(rng.integers(3, 6)))
    if shape == "partly crossed":
        second = np.where(rng.random(n) < 0.8, first % 3, second % 3).astype(np.int32)
        second = np.unique(second, return_inverse=True)[1].astype(np.int32)
    if shape == "three factors":
        return [("g", first), ("h", second), ("i", _codes(rng, n, 3))]
    return [("g", first), ("h", second)]


def lme4_order(random: list[RandomBlock]) -> tuple[RandomBlock, ...]:
    """Sort terms by decreasing number of levels, as ModelMatrices wants them."""
    sizes = np.array([block.n_levels for block in random])
    if not np.any(np.diff(sizes) > 0):
        return tuple(random)
    return tuple(random[i] for i in np.argsort(sizes, kind="stable")[::-1])


def make(seed: int, shape: str, weighted: bool, offset: bool, structure: str) -> ModelMatrices:
    """Build one random design."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(40, 90)), int(rng.integers(1, 5))
    random = [
        _block(rng, codes, int(rng.integers(1, 4)), group, structure)
        for group, codes in _factors(rng, shape, n)
    ]
    if shape == "two terms":
        random.append(_block(rng, random[0].codes, 1, "g"))
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    for block in random:
        b = rng.normal(size=(block.n_levels, block.n_effects))
        y += np.sum(block.z * b[block.codes], axis=1)
    return ModelMatrices(
        y=y,
        X=X,
        fixed_names=tuple(f"x{j}" for j in range(p)),
        random=lme4_order(random),
        weights=rng.uniform(0.3, 4.0, n) if weighted else None,
        offset=rng.normal(size=n) if offset else None,
        rows=np.arange(n),
    )


def draw_theta(seed: int, matrices: ModelMatrices) -> Array:
    """Draw parameters around Lambda = I in units of the columns' sizes, some of them zero.

    Sums of squares hold half the digits of the rows, so an effect a thousand times the residual
    standard deviation leaves fewer than ten of the criterion; no fit gets there.
    """
    rng = np.random.default_rng([seed, 1])
    theta = dense.pack_identity(matrices.random) * rng.uniform(0.1, 3.0)
    theta = theta + rng.normal(scale=0.7, size=len(theta))
    theta = np.where(rng.random(len(theta)) < 0.1, 0.0, theta)
    return theta / column_sizes(matrices)


def column_sizes(matrices: ModelMatrices) -> Array:
    """Return, for each entry of theta, the root mean square of the effect it multiplies."""
    sizes = []
    for block in matrices.random:
        rms = np.sqrt(np.mean(block.z**2, axis=0))
        k = block.n_effects
        parts = [rms] if block.structure == "diag" else [rms[column:] for column in range(k)]
        sizes.extend(parts)
    return np.concatenate(sizes)


designs = st.builds(
    make,
    seed=st.integers(0, 10**6),
    shape=st.sampled_from(SHAPES),
    weighted=st.booleans(),
    offset=st.booleans(),
    structure=st.sampled_from(["us", "us", "diag"]),
)


def take(matrices: ModelMatrices, rows: NDArray[np.int64]) -> ModelMatrices:
    """Return some rows (a permutation, a chunk)."""
    return replace(
        matrices,
        y=matrices.y[rows],
        X=matrices.X[rows],
        random=tuple(replace(b, z=b.z[rows], codes=b.codes[rows]) for b in matrices.random),
        weights=None if matrices.weights is None else matrices.weights[rows],
        offset=None if matrices.offset is None else matrices.offset[rows],
        rows=matrices.rows[rows],
    )
