"""What a fit was fitted to, in a few tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmformula.report.table import Column, Table, significant_text

__all__ = ["data_tables"]

MOST_LEVELS = 12
NUMBER_HEADINGS = ("Mean", "SD", "Smallest", "Largest")


def data_tables(fit: Any) -> list[Table]:
    """Rows, variables and groups of a fit.

    Parameters
    ----------
    fit : LinearMixedResults
        Without its rows there are fewer numbers.
    """
    tables = [_rows(fit), _numbers(fit), _categories(fit), _groups(fit)]
    return [table for table in tables if table.rows]


def _rows(fit: Any) -> Table:
    spec = fit.design.spec
    rows = [
        ("Rows of the data", fit.fingerprint.n_rows_data),
        ("Left out for missing values", len(spec.dropped_rows)),
        ("Not in the subset", fit.fingerprint.n_rows_data - len(spec.dropped_rows) - fit.nobs),
        ("Used", fit.nobs),
    ]
    shown = tuple(row for row in rows if row[1] or row[0] != "Not in the subset")
    notes = tuple(remark for remark in fit.data_remarks if not remark.startswith("Left out"))
    return Table("Rows", (Column(""), Column("", "count")), shown, notes, has_heading=False)


def _numbers(fit: Any) -> Table:
    """Mean, spread and range of the response and of numeric predictors."""
    matrices = fit.design.matrices
    has_rows = fit.model.has_rows
    rows = []
    if has_rows:
        rows.append((f"{fit.response_name} (response)", *_spread(matrices.y)))
    for predictor in fit.design.spec.predictors.columns:
        if predictor.is_factor:
            continue
        if has_rows and predictor.name in matrices.fixed_names:
            position = matrices.fixed_names.index(predictor.name)
            rows.append((predictor.name, *_spread(matrices.X[:, position])))
        else:
            mean = predictor.mean
            text = significant_text(mean) if isinstance(mean, float) else str(mean)[:10]
            rows.append((predictor.name, text, "", "", ""))
    columns = (Column("Variable"), *(Column(name, "number") for name in NUMBER_HEADINGS))
    return Table("Numeric variables", columns, tuple(rows))


def _spread(values: Any) -> tuple[str, ...]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    numbers = (float(np.mean(values)), spread, float(np.min(values)), float(np.max(values)))
    return tuple(significant_text(number) for number in numbers)


def _categories(fit: Any) -> Table:
    """Levels of the factors among the predictors, with their rows."""
    predictors = fit.design.spec.predictors
    rows = []
    for predictor in predictors.columns:
        if not predictor.is_factor:
            continue
        position = predictors.crossed.index(predictor.name)
        counts = np.bincount(
            predictors.cells[:, position],
            weights=predictors.counts,
            minlength=len(predictor.levels),
        )
        rows.append(
            (predictor.name, len(predictor.levels), ", ".join(_levels(predictor.levels, counts)))
        )
    columns = (Column("Factor"), Column("Levels", "count"), Column("Rows in each"))
    return Table("Factors among the fixed effects", columns, tuple(rows))


def _levels(levels: Any, counts: Any) -> Iterator[str]:
    for level, count in zip(levels[:MOST_LEVELS], counts, strict=False):
        yield f"{level}: {count:.0f}"
    if len(levels) > MOST_LEVELS:
        yield f"and {len(levels) - MOST_LEVELS} more"


def _groups(fit: Any) -> Table:
    """Levels of the grouping factors, and how many rows they have."""
    blocks = {block.group: block for block in fit.design.matrices.random}
    rows: list[tuple[Any, ...]] = []
    for group, block in blocks.items():
        if not fit.model.has_rows:
            rows.append((group, block.n_levels, None, None, None))
            continue
        counts = np.bincount(block.codes, minlength=block.n_levels)
        counts = counts[counts > 0]  # members of a relationship may have no rows
        median = significant_text(float(np.median(counts)))
        middle = median.rstrip("0").rstrip(".") if "." in median else median
        rows.append((group, block.n_levels, int(counts.min()), middle, int(counts.max())))
    columns = (
        Column("Factor"),
        Column("Levels", "count"),
        Column("Fewest rows", "count"),
        Column("Median", "number"),
        Column("Most", "count"),
    )
    return Table("Groups", columns, tuple(rows))
