"""A table for great-tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmmformula.publish.extras import require
from lmmformula.report.align import centered, split
from lmmformula.report.table import Table

__all__ = ["great_table"]

FIGURE_SPACE = "\u2007"


def great_table(table: Table) -> Any:
    """Rebuild a table in great-tables: sections are row groups, spans spanners, notes below.

    Parameters
    ----------
    table : Table
        What to show.

    Returns
    -------
    great_tables.GT
    """
    gt = require("great_tables", "great-tables", "tables", "`gt()`")
    ids = [f"column_{i}" for i in range(len(table.columns))]
    by_column = list(zip(*table.cells(), strict=True))
    data = {
        name: _padded(cells) if column.kind == "decimal" else list(cells)
        for name, cells, column in zip(ids, by_column, table.columns, strict=True)
    }
    starts = [position for position, _ in table.sections]
    if starts:
        # A group needs its name in every row.
        data["section"] = [_section(table, i) for i in range(len(table.rows))]
    made = gt.GT(
        pd.DataFrame(data), rowname_col=ids[0], groupname_col="section" if starts else None
    )
    made = made.cols_label(dict(zip(ids[1:], table.heading[1:], strict=True)))
    made = made.cols_align("center", columns=ids[1:])
    if table.title:
        made = made.tab_header(title=table.title, subtitle=table.subtitle or None)
    position = 0
    for text, width in table.spans:
        if text:
            columns = ids[position : position + width]
            made = made.tab_spanner(label=text, columns=columns, id=f"span_{position}")
        position += width
    for note in table.notes:
        made = made.tab_source_note(note.replace("`", ""))
    return made


def _padded(cells: tuple[str, ...]) -> list[str]:
    """Decimal points under each other, by spaces as wide as digits around the numbers."""
    return [
        (cell if split(cell) is None else _figures(padded)).replace("-", "\u2212")
        for cell, padded in zip(cells, centered(cells), strict=True)
    ]


def _figures(padded: str) -> str:
    text = padded.strip()
    before, after = padded.index(text), len(padded.rstrip())
    return FIGURE_SPACE * before + text + FIGURE_SPACE * (len(padded) - after)


def _section(table: Table, row: int) -> str:
    return [text for position, text in table.sections if position <= row][-1]
