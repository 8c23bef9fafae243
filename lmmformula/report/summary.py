"""The summary of a fit: a few tables, written in any medium, and the coefficients as a frame."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lmmformula.report.render import Medium, render_all
from lmmformula.report.table import Table
from lmmformula.report.tables import TABLES, Reportable, TableOptions

__all__ = ["Summary", "summarize"]


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Summary of a linear mixed model.

    Attributes
    ----------
    tables : dict of str to Table
        ``header``, ``random_effects`` and ``fixed_effects``.
    frame : DataFrame
        The coefficient table: index as ``params``; columns ``estimate, se, df, statistic,
        pvalue, lower, upper`` (``df`` is infinite for Wald tests).
    """

    tables: dict[str, Table]
    frame: pd.DataFrame

    def as_text(self) -> str:
        """Plain text, for a terminal."""
        return self._write("text")

    def as_html(self) -> str:
        """HTML tables without scripts or style sheets."""
        return f'<div class="lmmformula">\n{self._write("html")}\n</div>'

    def as_latex(self) -> str:
        """LaTeX tables; they need the package ``booktabs``."""
        return self._write("latex")

    def as_markdown(self) -> str:
        """Markdown pipe tables."""
        return self._write("markdown")

    def _write(self, medium: Medium) -> str:
        return render_all(self.tables.values(), medium)

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_latex_(self) -> str:
        return self.as_latex()


def summarize(results: Reportable, options: TableOptions) -> Summary:
    """Collect the tables of a result."""
    tables = {name: make(results, options) for name, make in TABLES.items()}
    frame = results.coefficient_frame(ddf=options.ddf, alpha=options.alpha, **options.covariance)
    return Summary(tables, frame)
