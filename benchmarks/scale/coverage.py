"""Coverage of 95 per cent intervals over simulated fits: a job, and its case."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.scale.reading import Reading

__all__ = ["covered_shares", "coverage_job"]

NORMAL_95 = 1.959963984540054


def coverage_job(
    path: Path, formula: str, method: str = "krylov", replicates: int = 200, **_: Any
) -> Reading:
    """Fit ``replicates`` data sets like the one at ``path``, each drawn with another seed."""
    import lmmformula as lf
    from benchmarks.scale.problems import SMALL_RATINGS

    base = SMALL_RATINGS.scaled(_rows(path))
    fits, failed = [], 0
    start = time.perf_counter()
    for seed in range(1, replicates + 1):
        data = base.reseeded(seed)
        result = lf.lmm(formula, data.piece(0)).fit(method=method)
        failed += not result.converged
        fits.append(intervals(result))
    seconds = time.perf_counter() - start
    shares = covered_shares(fits, base.truth())
    facts = {"covered": shares, "failed": failed, "replicates": replicates, "n_obs": base.n_rows}
    return Reading(seconds, facts=facts)


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.ParquetFile(path).metadata.num_rows)


def intervals(result: Any) -> dict[str, tuple[float, float]]:
    """Wald limits of fixed effects (normal) and of standard deviations (on the log scale)."""
    half = NORMAL_95 * result.bse
    found = {
        str(name): (float(value - half[name]), float(value + half[name]))
        for name, value in result.params.items()
    }
    for name, row in result.covariance_parameters().iterrows():
        found[str(name)] = (float(row["lower"]), float(row["upper"]))
    return found


def covered_shares(
    fits: list[dict[str, tuple[float, float]]], truth: dict[str, float]
) -> dict[str, float]:
    """Share of intervals that hold the true value, by parameter.

    Examples
    --------
    >>> covered_shares([{"x": (0.0, 1.0)}, {"x": (2.0, 3.0)}], {"x": 0.5})
    {'x': 0.5}
    """
    return {
        name: sum(low <= value <= high for low, high in (fit[name] for fit in fits)) / len(fits)
        for name, value in truth.items()
    }
