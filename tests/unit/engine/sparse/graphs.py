"""Couplings between levels as sparse patterns, and what elimination in a given order fills."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

from lmmformula.engine.sparse import fronts
from lmmformula.matrices import ModelMatrices
from tests.unit.engine.cases import block, effects, simulated


def pattern_of(n: int, edges) -> csr_array:
    """Symmetric pattern with its diagonal."""
    edges = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    ones = np.ones(len(edges), dtype=np.int32)
    half = csr_array((ones, (edges[:, 0], edges[:, 1])), shape=(n, n))
    return csr_array(half + half.T + eye_array(n, dtype=np.int32, format="csr"))


def grid(side: int) -> csr_array:
    """Places on a square map, each coupled to its neighbours."""
    number = np.arange(side * side).reshape(side, side)
    across = np.column_stack([number[:, :-1].ravel(), number[:, 1:].ravel()])
    down = np.column_stack([number[:-1].ravel(), number[1:].ravel()])
    return pattern_of(side * side, np.concatenate([across, down]))


def random_graph(n: int, degree: float, seed: int) -> csr_array:
    """Couplings at random; some levels have none."""
    rng = np.random.default_rng(seed)
    return pattern_of(n, rng.integers(0, n, (int(n * degree / 2), 2)))


GRAPHS: dict[str, csr_array] = {
    "one level": pattern_of(1, []),
    "no coupling": pattern_of(7, []),
    "path": pattern_of(60, [(i, i + 1) for i in range(59)]),
    "star": pattern_of(50, [(0, i) for i in range(1, 50)]),
    "all coupled": pattern_of(12, [(i, j) for i in range(12) for j in range(i)]),
    "grid": grid(14),
    "random": random_graph(150, 2.5, 1),
    "several pieces": random_graph(120, 1.0, 2),
}


def fronts_by_nature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep fronts as the pattern has them; small designs are one front otherwise."""
    monkeypatch.setattr(fronts, "LEAF", 0)
    monkeypatch.setattr(fronts, "RELAXED", ())
    monkeypatch.setattr(fronts, "RELAXED_LARGE", 0.0)


def filled(pattern: csr_array, order) -> np.ndarray:
    """Pattern after elimination in an order, rows and columns in that order; one by one."""
    full = pattern.toarray()[np.ix_(order, order)] > 0
    for j in range(len(full)):
        below = np.flatnonzero(full[j, j + 1 :]) + j + 1
        full[np.ix_(below, below)] = True
    return full


def neighbourhoods(
    seed: int, n_pupils: int = 300, k: tuple[int, int, int] = (1, 1, 1)
) -> ModelMatrices:
    """Pupils on a map who visit schools and live in areas nearby: three factors, local overlap."""
    rng = np.random.default_rng(seed)
    place = np.repeat(rng.random((n_pupils, 2)), 3, axis=0)
    pupil = np.repeat(np.arange(n_pupils), 3)

    def cell(spread: float, side: int):
        x, y = np.clip(place + spread * rng.normal(size=place.shape), 0.0, 0.999).T
        return (x * side).astype(int) * side + (y * side).astype(int)

    n = len(pupil)
    return simulated(
        rng,
        2,
        bool(seed % 2),
        block(effects(rng, n, k[0]), pupil, "pupil"),
        block(effects(rng, n, k[1]), cell(0.05, 7), "school"),
        block(effects(rng, n, k[2]), cell(0.02, 10), "area"),
    )
