"""What a worker process runs: one call of one package, and its answer in plain numbers.

A job is called with the path of the data and its options. It returns a :class:`Reading`: seconds
of the call, and the answer. What is needed only to check the answer is outside the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.scale.coverage import coverage_job
from benchmarks.scale.reading import Reading

__all__ = ["JOBS"]


def scan(path: Path, formula: str, by: str = "row group", **_: Any) -> Reading:
    """Read all columns with pyarrow and sum them: the floor for any fit.

    ``by`` is "row group" (one after the other, in little memory) or "dataset" (pyarrow's own way
    through a dataset, which reads far ahead).
    """
    import pyarrow.compute as pc

    start = time.perf_counter()
    sums: dict[str, float] = {}
    n_rows = 0
    for table in _row_groups(path) if by == "row group" else _batches(path):
        n_rows += table.num_rows
        for name in table.schema.names:
            sums[name] = sums.get(name, 0.0) + (pc.sum(table.column(name)).as_py() or 0.0)
    return Reading(time.perf_counter() - start, facts={"n_obs": n_rows, "sums": sums})


def _row_groups(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for i in range(file.metadata.num_row_groups):
            yield file.read_row_group(i)


def _batches(path: Path) -> Iterator[Any]:
    import pyarrow.dataset as ds

    yield from ds.dataset(path).to_batches()


def streamed(path: Path, formula: str, method: str | None = None, **_: Any) -> Reading:
    """``lmm(formula, path)``: the file is read in pieces."""
    import lmmformula as lf

    return _ours(lambda: lf.lmm(formula, path), method)


def in_memory(path: Path, formula: str, method: str | None = None, **_: Any) -> Reading:
    """Read the file into pandas (inside the clock), then ``lmm(formula, frame)``."""
    import pandas as pd

    import lmmformula as lf

    return _ours(lambda: lf.lmm(formula, pd.read_parquet(path)), method)


def _ours(model: Callable[[], Any], method: str | None) -> Reading:
    from benchmarks.scale.counting import counted_iterations

    options = {} if method is None else {"method": method}
    with counted_iterations() as count:
        start = time.perf_counter()
        result = model().fit(**options)
        parameters = (result.params, result.bse, result.theta, result.sigma)
        fitted = time.perf_counter()
        objective = float(result.objective)
        end = time.perf_counter()
    reading = _reading(result, end - start, parameters, objective)
    if count.solves:
        reading.facts.update(solves=count.solves, cg_steps=count.steps)
    if end - fitted > 0.01:
        reading.facts["criterion_seconds"] = end - fitted
    return reading


def _reading(result: Any, seconds: float, parameters: tuple[Any, ...], objective: float) -> Reading:
    params, bse, theta, sigma = parameters
    spread = result.covariance_parameters()
    estimates = {str(k): float(v) for k, v in params.items()}
    errors = {str(k): float(v) for k, v in bse.items()}
    for name, row in spread.iterrows():
        estimates[str(name)], errors[str(name)] = float(row["estimate"]), float(row["se"])
    facts: dict[str, Any] = {
        "n_obs": int(result.nobs),
        "levels": {str(k): int(v) for k, v in dict(result.ngroups).items()},
        "objective": objective,
        "theta": [float(v) for v in theta],
        "sigma": float(sigma),
        "evaluations": int(result.optimum.n_evaluations),
        "status": str(getattr(result.optimum.status, "value", result.optimum.status)),
    }
    monte_carlo = getattr(result.estimates, "monte_carlo", None)
    if monte_carlo is not None:
        facts["probes"] = int(monte_carlo.n_probes)
        facts["objective_error"] = float(monte_carlo.objective_error)
    return Reading(seconds, estimates, errors, facts)


def dask(path: Path, formula: str, workers: int = 4, kill_after: int = 0, **_: Any) -> Reading:
    """Fit on a local cluster of processes; the one that finishes a certain task is killed."""
    import dask.dataframe as dd

    import lmmformula as lf
    from benchmarks.scale.cluster import Killer, local_cluster

    with local_cluster(workers) as client:
        frame = dd.read_parquet(path)
        lf.lmm(formula, frame.partitions[: 2 * workers])  # every worker loads its libraries
        killer = Killer(client, kill_after)
        reading = _ours(lambda: lf.lmm(formula, frame), None)
        reading.facts.update(tasks=killer.finished, killed=killer.killed)
    return reading


def gpboost(path: Path, formula: str, **_: Any) -> Reading:
    """GPBoost with ``matrix_inversion_method="iterative"``."""
    from benchmarks.scale.gpboost_job import fit

    return fit(path, formula)


JOBS: dict[str, Callable[..., Reading]] = {
    "scan": scan,
    "streamed": streamed,
    "in memory": in_memory,
    "dask": dask,
    "gpboost": gpboost,
    "coverage": coverage_job,
}
