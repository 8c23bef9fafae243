"""A table of every kind of column, and fits of it in memory and in pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd

import lmmformula as lf

N = 420
FORMULA = "y ~ x + scale(x2) + f + offset(o) + (x | g) + (1 | h)"
OPTIONS = {"weights": "1 / w", "subset": "h != 'h2'"}


def measured(n: int = N) -> pd.DataFrame:
    """Rows with gaps in every column; two levels of ``h`` and ``f`` that no used row has."""
    rng = np.random.default_rng(12)
    g, h = rng.integers(0, 18, n), rng.integers(0, 6, n)
    x = rng.normal(size=n)
    data = pd.DataFrame(
        {
            "x": x.astype(np.float32),
            "x2": rng.normal(5.0, 2.0, n),
            "g": g + 100,
            "h": [f"h{code}" for code in h],
            "f": pd.Categorical(rng.choice(["a", "b", "c"], n), ["a", "b", "c", "unused"]),
            "o": rng.normal(size=n),
            "w": rng.uniform(0.5, 2.0, n),
            "count": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "flag": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "when": pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(n), unit="h"),
            "id": 2**60 + np.arange(n),
        }
    )
    slopes = 1.0 + 0.6 * rng.normal(size=18)
    data["y"] = 3 + data["o"] + slopes[g] * x + rng.normal(size=18)[g] + rng.normal(size=6)[h]
    data["y"] += rng.normal(size=n)
    for row, column in enumerate(("y", "x", "h", "f", "o", "count", "flag", "when"), start=300):
        data.loc[row, column] = None
    return data


def parquet(data: pd.DataFrame, folder, name: str = "rows.parquet", size: int = 100):
    """Write rows in small row groups."""
    path = folder / name
    data.to_parquet(path, row_group_size=size)
    return path


def pieces(path, rows: int = 100):
    """The same in small chunks."""
    return lf.stream(path, chunk_rows=rows)


def both(path, formula: str = FORMULA, **options):
    """The fit in memory, and in pieces."""
    options = OPTIONS | options
    return lf.lmer(formula, measured(), **options), lf.lmer(formula, pieces(path), **options)
