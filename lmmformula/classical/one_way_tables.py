"""How the analysis of a one-way random model prints."""

from __future__ import annotations

from typing import Any

from lmmformula.report.table import Column, Table

__all__ = ["one_way_tables"]


def one_way_tables(analysis: Any) -> tuple[Table, ...]:
    """Tables of a ``OneWayRandom``: analysis of variance, estimates."""
    return _anova(analysis), _estimates(analysis)


def _anova(analysis: Any) -> Table:
    g = analysis.groups
    columns = (
        Column(""),
        Column("Sum of squares", "estimate"),
        Column("df", "count"),
        Column("Mean square", "estimate"),
        Column("F", "statistic"),
        Column("P>F", "p_value"),
        Column("Expected mean square"),
    )
    rows = []
    for name, *values in analysis.anova.itertuples():
        shown = [None if value != value else value for value in values]
        rows.append((str(name), *shown))
    size = f"{g.sizes[0]}" if g.is_balanced else f"{g.sizes.min()} to {g.sizes.max()}"
    title = f"One-way random model: {g.n_groups} groups of {size} rows"
    return Table(title, columns, tuple(rows), analysis.remarks, analysis.formula)


def _estimates(analysis: Any) -> Table:
    columns = (
        Column("Method"),
        Column("Mean", "estimate"),
        Column("Std. error", "estimate"),
        Column("var_group", "estimate"),
        Column("var_resid", "estimate"),
        Column("ICC", "correlation"),
        Column(""),
    )
    rows = tuple(
        (
            found.method,
            found.mean,
            found.mean_se,
            found.var_group,
            found.var_resid,
            found.icc,
            _remark(found),
        )
        for found in (analysis.moments, analysis.ml, analysis.reml)
    )
    icc = analysis.icc
    level = 100.0 * (1.0 - icc.alpha)
    note = (
        f"Intraclass correlation {icc.estimate:.3f}, exact {level:g} % interval "
        f"{icc.lower:.3f} to {icc.upper:.3f}."
    )
    if icc.estimate < 0.0:
        note += " The estimate is that of moments; a share of the variance is not below zero."
    return Table("Estimates", columns, rows, (note,))


def _remark(found: Any) -> str:
    if not found.on_boundary:
        return ""
    return "negative" if found.var_group < 0.0 else "boundary"
