"""A ``Table`` as HTML: styles are inline, because notebooks drop style sheets."""

from __future__ import annotations

import html
from collections.abc import Iterable

from lmmformula.report.align import Frame, split
from lmmformula.report.prose import prose
from lmmformula.report.table import Column, Table

__all__ = ["html_code", "html_prose", "html_table"]

_TABLE_STYLE = "border-collapse:collapse;margin:0 0 0.8em;font-variant-numeric:tabular-nums"
_CAPTION_STYLE = "text-align:left;font-weight:600;padding:0.2em 0.6em"
_CODE_STYLE = "font-weight:400"
_NOTE_STYLE = "margin:0 0 0.8em;padding:0 0.6em;font-size:0.9em"
_CELL_STYLE = {"td": "padding:0.15em 0.6em", "th": "padding:0.15em 0.6em;border-bottom:1px solid"}
_SPAN_STYLE = "text-align:center;padding:0.15em 0.6em;border-bottom:1px solid"
_SECTION_STYLE = "text-align:left;font-style:italic;font-weight:400;padding:0.5em 0.6em 0.15em"
_RULE = ";border-top:1px solid"

_FIGURE_SPACE = "\u2007"
_MINUS = "\u2212"


def html_code(text: str) -> str:
    """Code in a line."""
    return f"<code>{html.escape(text)}</code>"


def html_prose(text: str) -> str:
    """A sentence with code between backticks."""
    return prose(text, html.escape, html_code)


def html_table(table: Table) -> str:
    """Write one table, its caption and its notes."""
    lines = [f'<table class="lmmformula" style="{_TABLE_STYLE}">', *_caption(table)]
    if table.has_heading:
        names = [html.escape(name) for name in table.heading]
        lines.append(f"<thead>{_spans(table)}{_row(names, table.columns, 'th')}</thead>")
    lines.append("<tbody>")
    sections = dict(table.sections)
    columns = [
        _written(cells, c) for cells, c in zip(_by_column(table), table.columns, strict=True)
    ]
    for i, cells in enumerate(zip(*columns, strict=True)):
        if i in sections:
            lines.append(_section(sections[i], len(table.columns), is_first=i == 0))
        lines.append(_row(cells, table.columns, "td"))
    lines.extend(["</tbody>", "</table>"])
    lines.extend(
        f'<p class="lmmformula-note" style="{_NOTE_STYLE}">{html_prose(note)}</p>'
        for note in table.notes
    )
    return "\n".join(lines)


def _by_column(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*table.cells(), strict=True)) or [()] * len(table.columns)


def _alignment(column: Column) -> str:
    if column.kind == "decimal":
        return "center"
    return "left" if column.is_left_aligned else "right"


def _caption(table: Table) -> list[str]:
    parts = [html.escape(table.title)] if table.title else []
    if table.subtitle:
        parts.append(f'<code style="{_CODE_STYLE}">{html.escape(table.subtitle)}</code>')
    return [f'<caption style="{_CAPTION_STYLE}">{"<br>".join(parts)}</caption>'] if parts else []


def _row(cells: Iterable[str], columns: Iterable[Column], tag: str) -> str:
    written = (
        f'<{tag} style="text-align:{_alignment(column)};{_CELL_STYLE[tag]}">{cell}</{tag}>'
        for cell, column in zip(cells, columns, strict=True)
    )
    return f"<tr>{''.join(written)}</tr>"


def _spans(table: Table) -> str:
    if not table.spans:
        return ""
    cells = (
        f'<th colspan="{width}" scope="colgroup" style="{_SPAN_STYLE}">{html.escape(text)}</th>'
        if text
        else f'<td colspan="{width}"></td>'
        for text, width in table.spans
    )
    return f"<tr>{''.join(cells)}</tr>"


def _section(text: str, width: int, *, is_first: bool) -> str:
    style = _SECTION_STYLE + ("" if is_first else _RULE)
    return (
        f'<tr><th colspan="{width}" scope="rowgroup" style="{style}">{html.escape(text)}</th></tr>'
    )


def _written(cells: Iterable[str], column: Column) -> list[str]:
    """Escape the cells of a column; digits of a decimal one come under each other."""
    cells = list(cells)
    if column.kind != "decimal":
        return [html.escape(cell) for cell in cells]
    frame = Frame.of(cells)
    return [_decimal(cell, frame) for cell in cells]


def _decimal(cell: str, frame: Frame) -> str:
    """Fill up with spaces as wide as digits; what hangs outside has a box of one width."""
    pieces = split(cell)
    if pieces is None:
        return html.escape(cell).replace("-", _MINUS)
    before = _FIGURE_SPACE * (frame.whole - len(pieces.whole))
    after = _FIGURE_SPACE * (frame.fraction - len(pieces.fraction))
    prefix = _box(pieces.prefix, frame.prefix, "right")
    suffix = _box(pieces.suffix, frame.suffix, "left")
    return f"{before}{prefix}{pieces.whole}{pieces.fraction}{suffix}{after}"


def _box(text: str, width: int, side: str) -> str:
    if not width:
        return ""
    style = f"display:inline-block;width:{0.5 * width:g}em;text-align:{side};white-space:pre"
    return f'<span style="{style}">{html.escape(text).replace("-", _MINUS)}</span>'
