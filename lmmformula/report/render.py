"""A ``Table`` as plain text, HTML, LaTeX or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from lmmformula.errors import OptionError
from lmmformula.report.align import centered
from lmmformula.report.prose import prose
from lmmformula.report.render_html import html_table
from lmmformula.report.render_latex import latex_table
from lmmformula.report.table import Column, Table

__all__ = ["RENDERERS", "Medium", "render", "render_all"]

Medium: TypeAlias = Literal["text", "html", "latex", "markdown"]

_GAP = "  "


def render(table: Table, medium: Medium = "text") -> str:
    """Write one table in one medium.

    Parameters
    ----------
    table : Table
        What to write.
    medium : {"text", "html", "latex", "markdown"}
        Where it will be read.

    Returns
    -------
    str
        Without a newline at the end.
    """
    if medium not in RENDERERS:
        raise OptionError(
            f"tables cannot be written as {medium!r}.",
            got=f"`medium={medium!r}`",
            suggestion=", ".join(f'"{name}"' for name in RENDERERS),
            available=tuple(RENDERERS),
        )
    return RENDERERS[medium](table)


def render_all(tables: Iterable[Table], medium: Medium = "text") -> str:
    """Write several tables below each other, with an empty line between them."""
    return "\n\n".join(render(table, medium) for table in tables)


def _pad(cells: Iterable[str], widths: list[int], columns: Iterable[Column]) -> str:
    padded = (
        cell.ljust(width)
        if column.is_left_aligned
        else cell.center(width)
        if column.kind == "decimal"
        else cell.rjust(width)
        for cell, width, column in zip(cells, widths, columns, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _text(table: Table) -> str:
    cells = _aligned(table)
    shown = [table.heading, *cells] if table.has_heading else cells
    widths = [max((len(row[i]) for row in shown), default=0) for i in range(len(table.columns))]
    head = _text_spans(table, widths) if table.has_heading else []  # may widen columns
    body = [_pad(row, widths, table.columns) for row in cells]
    rule = "-" * max(sum(widths) + len(_GAP) * (len(widths) - 1), 1)
    above = [line for line in (table.title, table.subtitle) if line]
    if table.has_heading:
        head += [_pad(table.heading, widths, table.columns), rule]
    for position, title in reversed(table.sections):
        body[position:position] = [rule, title] if position else [title]
    return "\n".join([*above, rule, *head, *body, rule, *table.notes])


def _aligned(table: Table) -> list[tuple[str, ...]]:
    """Cells with their decimal points under each other, the first below a section indented."""
    rows = table.cells()
    if not rows:
        return []
    columns = [
        centered(cells, column.name) if column.kind == "decimal" else list(cells)
        for cells, column in zip(zip(*rows, strict=True), table.columns, strict=True)
    ]
    if table.sections:
        columns[0] = [_GAP + cell for cell in columns[0]]
    return list(zip(*columns, strict=True))


def _text_spans(table: Table, widths: list[int]) -> list[str]:
    """Headings over several columns, underlined; a column grows where its heading needs it."""
    texts, rules, start = [], [], 0
    for text, count in table.spans:
        width = sum(widths[start : start + count]) + len(_GAP) * (count - 1)
        if len(text) > width:
            widths[start + count - 1] += len(text) - width
            width = len(text)
        texts.append(text.center(width))
        rules.append(("-" if text else " ") * width)
        start += count
    return [_GAP.join(line).rstrip() for line in (texts, rules)] if table.spans else []


def _escape_markdown(text: str) -> str:
    for character in "\\|*_<>[]`":
        text = text.replace(character, f"\\{character}")
    return text


def _markdown(table: Table) -> str:
    def row(cells: Iterable[str]) -> str:
        return "| " + " | ".join(_escape_markdown(cell) for cell in cells) + " |"

    lines = [f"**{_escape_markdown(table.title)}**"] if table.title else []
    if table.subtitle:
        lines += ["", f"`{table.subtitle}`"] if lines else [f"`{table.subtitle}`"]
    if lines:
        lines.append("")
    blank = ("",) * len(table.columns)
    lines.append(row(_spanned_heading(table) if table.has_heading else blank))
    lines.append("| " + " | ".join(_MARKS[_alignment(column)] for column in table.columns) + " |")
    body = [row(cells) for cells in table.cells()]
    for position, title in reversed(table.sections):
        heading = [f"*{_escape_markdown(title)}*", *blank[1:]]
        body.insert(position, f"| {' | '.join(heading)} |")
    lines += body
    for note in table.notes:
        lines += ["", prose(note, _escape_markdown, lambda code: f"`{code}`")]
    return "\n".join(lines)


_MARKS = {"left": ":--", "right": "--:", "center": ":-:"}


def _alignment(column: Column) -> str:
    if column.kind == "decimal":
        return "center"
    return "left" if column.is_left_aligned else "right"


def _spanned_heading(table: Table) -> list[str]:
    """Headings in one line, which is all that Markdown has."""
    over = [text for text, count in table.spans for _ in range(count)] or [""] * len(table.columns)
    return [": ".join(filter(None, pair)) for pair in zip(over, table.heading, strict=True)]


RENDERERS: dict[str, Callable[[Table], str]] = {
    "text": _text,
    "html": html_table,
    "latex": latex_table,
    "markdown": _markdown,
}
