"""A repeated-measures analysis as tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmmformula.report.table import Column, Table

__all__ = ["tables"]

TESTS = {
    "F": Column("F", "statistic"),
    "num_df": Column("num df", "count"),
    "den_df": Column("den df", "count"),
    "pvalue": Column("P>F", "p_value"),
    "eps_gg": Column("eps GG", "correlation"),
    "pvalue_gg": Column("P GG", "p_value"),
    "eps_hf": Column("eps HF", "correlation"),
    "pvalue_hf": Column("P HF", "p_value"),
    "ges": Column("gen. eta2", "correlation"),
}
MAUCHLY = {"W": Column("W", "correlation"), "pvalue": Column("P", "p_value")}


def tables(analysis: Any) -> list[Table]:
    """Return the tests of the effects and, where there are any, those of sphericity.

    Parameters
    ----------
    analysis : RepeatedMeasuresAnova
        The analysis.
    """
    roles = analysis.table.long.roles
    within = ", ".join(roles.within)
    design = f"{roles.response}: within {roles.subject}: {within}"
    if roles.between:
        design += f"; between: {', '.join(roles.between)}"
    title = f"Repeated-measures analysis of variance, type {analysis.options.type}"
    out = [_table(title, analysis.to_frame(), TESTS, analysis.notes, design)]
    if len(analysis.mauchly):
        out.append(_table("Mauchly's tests of sphericity", analysis.mauchly, MAUCHLY))
    return out


def _table(
    title: str,
    frame: pd.DataFrame,
    columns: dict[str, Column],
    notes: tuple[str, ...] = (),
    subtitle: str = "",
) -> Table:
    rows = tuple(
        (name, *(None if value != value else value for value in row))
        for name, row in zip(frame.index, frame[list(columns)].to_numpy().tolist(), strict=True)
    )
    return Table(title, (Column("Effect"), *columns.values()), rows, notes, subtitle)
