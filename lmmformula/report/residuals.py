"""The table of structured residuals: parameters, standard deviations and correlations."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from lmmformula.report.table import Column, Table

__all__ = ["HasParameters", "residual_table"]


class HasParameters(Protocol):
    """A structure as written, and its parameters."""

    sigma: float

    @property
    def text(self) -> str:
        """As written."""

    @property
    def reference(self) -> str:
        """Where the residual variance is sigma^2; empty if everywhere."""

    def parameters(self) -> pd.Series:
        """Estimates by name."""

    def correlation(self) -> pd.DataFrame:
        """Correlation between positions of one group."""


def residual_table(structure: HasParameters) -> Table:
    """Natural parameters; a triangle where every pair of positions has its own correlation."""
    values = {str(name): float(value) for name, value in structure.parameters().items()}
    has_triangle = any(name.startswith("cor_") for name in values)
    has_ratios = any(name.startswith("ratio_") for name in values)
    width = len(structure.correlation()) - 1 if has_triangle else 0
    columns = (
        Column("Parameter"),
        Column("Estimate", "estimate"),
        *((Column("Std. dev.", "estimate"),) if has_ratios else ()),
        *(Column("" if i else "Corr.", "correlation") for i in range(width)),
    )
    rows: list[tuple[Any, ...]] = []

    def add(name: str, value: float | None, sd: float | None, corr: tuple[float, ...]) -> None:
        empty = [None] * (width - len(corr))
        rows.append((name, value, *([sd] if has_ratios else []), *corr, *empty))

    if has_triangle:
        matrix = structure.correlation()
        own = [f"ratio_{label}" for label in matrix.index]
        is_own = len(own) > 1 and own[1] in values
        for i, (label, name) in enumerate(zip(matrix.index, own, strict=True)):
            ratio = (values.pop(name) if i else 1.0) if is_own else None
            sd = None if ratio is None else structure.sigma * ratio
            add(str(label), ratio, sd, tuple(matrix.to_numpy()[i, :i].tolist()))
    for name, value in values.items():
        if not name.startswith("cor_"):
            is_ratio = name.startswith("ratio_")
            add(name, value, structure.sigma * value if is_ratio else None, ())
    note = f"The residual variance above is that where {structure.reference}."
    return Table(
        f"Residuals: {structure.text}", columns, tuple(rows), (note,) if structure.reference else ()
    )
