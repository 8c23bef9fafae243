"""Systems of the Krylov engine beside the exact one's, from the designs of the engine's tests."""

from __future__ import annotations

import numpy as np

from lmmformula.engine import Objective, assemble
from lmmformula.engine.krylov import Accuracy, KrylovObjective, KrylovSystem
from lmmformula.engine.summation import sum_products
from lmmformula.matrices import ModelMatrices
from tests.unit.engine.cases import CASES, block, draw, matrices, with_zeros

DESIGNS = {name: rows for name, rows in CASES.items() if not name.startswith("related")}
TAILED = [name for name, rows in DESIGNS.items() if len({b.group for b in rows.random}) > 1]


def krylov(rows: ModelMatrices) -> KrylovSystem:
    """Return the rows' system."""
    return KrylovSystem.of(sum_products([rows]))


def both(name: str, reml: bool, *, singular: bool = False, n_probes: int = 4, seed: int = 0):
    """Return a point of the Krylov engine and the exact one's, at the same parameters."""
    rows = DESIGNS[name]
    exact = Objective(assemble([rows]), reml)
    phi = draw(exact, 1)
    if singular:
        phi = with_zeros(exact, phi)
    ours = KrylovObjective(krylov(rows), reml, Accuracy(n_probes=n_probes, seed=seed))
    return ours.evaluate(phi), exact.evaluate(phi)


def ratings(seed: int = 5, n: int = 900, *, slopes: bool = False, brands: bool = False):
    """Return users who rate items, which may come in brands."""
    rng = np.random.default_rng(seed)
    users = rng.permutation(np.concatenate([np.arange(130), rng.integers(0, 130, n - 130)]))
    items = rng.permutation(np.concatenate([np.arange(70), rng.integers(0, 70, n - 70)]))
    x = rng.normal(size=n)
    X = np.column_stack([np.ones(n), x])
    y = 3.0 + 0.5 * x + 0.8 * rng.normal(size=130)[users] + 0.7 * rng.normal(size=70)[items]
    z = X if slopes else X[:, :1]
    if slopes:
        y += x * (0.4 * rng.normal(size=130)[users] + 0.5 * rng.normal(size=70)[items])
    terms = [block(z, users, "user"), block(z, items, "item")]
    if brands:
        y += 0.6 * rng.normal(size=14)[items // 5]
        terms.append(block(X[:, :1], items // 5, "brand"))
    return matrices(y + rng.normal(size=n), X, *terms)
