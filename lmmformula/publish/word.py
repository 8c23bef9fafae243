"""A table in a Word document: rules above, below the heading and at the end, as journals set it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmmformula.publish.extras import require
from lmmformula.report.table import Table

__all__ = ["write_document"]


def write_document(table: Table, path: Path) -> None:
    """Write one table with its caption and notes to a new document.

    Parameters
    ----------
    table : Table
        What to show.
    path : Path
        The file; overwritten if it exists.
    """
    docx = require("docx", "python-docx", "word", "a table for Word")
    document = docx.Document()
    if table.title:
        document.add_paragraph().add_run(table.title).bold = True
    lines = _lines(table)
    grid = document.add_table(rows=len(lines), cols=len(table.columns))
    # Through `rows[i].cells`, every access would walk the whole table.
    for row, (cells, is_section) in zip(grid.rows, lines, strict=True):
        _fill(row.cells, cells, table, is_section=is_section)
    if table.spans:
        _merge_spans(grid.rows[0].cells, table)
    head = 1 + bool(table.spans)
    _rule(grid.rows[0], "top")
    _rule(grid.rows[head - 1], "bottom")
    _rule(grid.rows[len(lines) - 1], "bottom")
    for note in table.notes:
        document.add_paragraph().add_run(note.replace("`", "")).font.size = docx.shared.Pt(9)
    document.save(str(path))


def _lines(table: Table) -> list[tuple[tuple[str, ...], bool]]:
    """Rows of cells, and whether they are the heading of a section."""
    blank = ("",) * (len(table.columns) - 1)
    lines: list[tuple[tuple[str, ...], bool]] = []
    if table.spans:
        over = [(text, *[""] * (width - 1)) for text, width in table.spans]
        lines.append((tuple(cell for part in over for cell in part), False))
    lines.append((table.heading, False))
    sections = dict(table.sections)
    for i, cells in enumerate(table.cells()):
        if i in sections:
            lines.append(((sections[i], *blank), True))
        lines.append((cells, False))
    return lines


def _fill(row: Any, cells: tuple[str, ...], table: Table, *, is_section: bool) -> None:
    for cell, text, column in zip(row, cells, table.columns, strict=True):
        paragraph = cell.paragraphs[0]
        run = paragraph.add_run(text.replace("-", "\u2212") if column.kind == "decimal" else text)
        run.italic = is_section
        # 0, 1, 2: left, center, right in the format itself.
        paragraph.alignment = 1 if column.kind == "decimal" else 0 if column.is_left_aligned else 2
        paragraph.paragraph_format.space_after = 0


def _merge_spans(cells: Any, table: Table) -> None:
    start = 0
    for _, width in table.spans:
        if width > 1:
            cells[start].merge(cells[start + width - 1])
            for paragraph in cells[start].paragraphs[1:]:
                paragraph._element.getparent().remove(paragraph._element)
        start += width


def _rule(row: Any, edge: str) -> None:
    """Set a line along one edge of every cell of a row."""
    oxml = require("docx.oxml", "python-docx", "word", "a table for Word")
    names = require("docx.oxml.ns", "python-docx", "word", "a table for Word")
    for cell in row._tr.tc_lst:
        properties = cell.get_or_add_tcPr()
        borders = properties.find(names.qn("w:tcBorders"))
        if borders is None:
            borders = oxml.OxmlElement("w:tcBorders")
            properties.append(borders)
        line = oxml.OxmlElement(f"w:{edge}")
        line.set(names.qn("w:val"), "single")
        line.set(names.qn("w:sz"), "8")
        borders.append(line)
