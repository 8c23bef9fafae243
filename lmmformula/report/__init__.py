"""Tables of results and the media they are written in."""

from __future__ import annotations

from lmmformula.report.render import RENDERERS, render, render_all
from lmmformula.report.summary import Summary, summarize
from lmmformula.report.table import KINDS, Column, Table
from lmmformula.report.tables import TABLES, Reportable, TableOptions
from lmmformula.report.varcorr import VarCorr, VarCorrTerm

__all__ = [
    "KINDS",
    "RENDERERS",
    "TABLES",
    "Column",
    "Reportable",
    "Summary",
    "Table",
    "TableOptions",
    "VarCorr",
    "VarCorrTerm",
    "render",
    "render_all",
    "summarize",
]
