"""The summary of a fit: a few tables, written in any medium, and the coefficients as a frame."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render_all
from lmmformula.report.table import Table
from lmmformula.report.tables import TABLES, Reportable, TableOptions

__all__ = ["Summary", "summarize"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Summary(Printed):
    """Summary of a linear mixed model.

    Attributes
    ----------
    tables : dict of str to Table
        ``header``, ``random_effects``, ``fixed_effects``, and ``residual_structure`` where
        residuals have one.
    frame : DataFrame
        The coefficient table: index as ``params``; columns ``estimate, se, df, statistic,
        pvalue, lower, upper`` (``df`` is infinite for Wald tests).
    """

    tables: dict[str, Table]
    frame: pd.DataFrame

    def _write(self, medium: Medium) -> str:
        return render_all(self.tables.values(), medium)


def summarize(results: Reportable, options: TableOptions) -> Summary:
    """Collect the tables of a result."""
    made = {name: make(results, options) for name, make in TABLES.items()}
    tables = {name: table for name, table in made.items() if table is not None}
    frame = results.coefficient_frame(ddf=options.ddf, alpha=options.alpha, **options.covariance)
    return Summary(tables, frame)
