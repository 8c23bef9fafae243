"""A ``Table`` as plain text, HTML, LaTeX or Markdown."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from lmmformula.errors import OptionError
from lmmformula.report.table import Table

__all__ = ["RENDERERS", "Medium", "render", "render_all"]

Medium: TypeAlias = Literal["text", "html", "latex", "markdown"]

_GAP = "  "
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


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


def _pad(cells: Iterable[str], widths: list[int], is_left: list[bool]) -> str:
    padded = (
        cell.ljust(width) if left else cell.rjust(width)
        for cell, width, left in zip(cells, widths, is_left, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _text(table: Table) -> str:
    cells = table.cells()
    is_left = [column.is_left_aligned for column in table.columns]
    shown = [table.heading, *cells] if table.has_heading else list(cells)
    widths = [max((len(row[i]) for row in shown), default=0) for i in range(len(table.columns))]
    body = [_pad(row, widths, is_left) for row in cells]
    rule = "-" * max(sum(widths) + len(_GAP) * (len(widths) - 1), 1)
    above = [line for line in (table.title, table.subtitle) if line]
    head = [_pad(table.heading, widths, is_left), rule] if table.has_heading else []
    return "\n".join([*above, rule, *head, *body, rule, *table.notes])


def _prose(text: str, escape: Callable[[str], str], code: Callable[[str], str]) -> str:
    """Escape a sentence; what stands between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(code(part) if i % 2 else escape(part) for i, part in enumerate(parts))


def _html_code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"


def _latex_code(text: str) -> str:
    return rf"\texttt{{{_escape_latex(text)}}}"


# Inline, because notebooks drop style sheets: room between columns, a rule below the heading.
_TABLE_STYLE = "border-collapse:collapse;margin:0 0 0.8em"
_CAPTION_STYLE = "text-align:left;font-weight:600;padding:0.2em 0.6em"
_CELL_STYLE = {"td": "padding:0.15em 0.6em", "th": "padding:0.15em 0.6em;border-bottom:1px solid"}


def _html(table: Table) -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        written = (
            f'<{tag} style="text-align:{"left" if column.is_left_aligned else "right"};'
            f'{_CELL_STYLE[tag]}">{html.escape(cell)}</{tag}>'
            for cell, column in zip(cells, table.columns, strict=True)
        )
        return f"<tr>{''.join(written)}</tr>"

    lines = [f'<table class="lmmformula" style="{_TABLE_STYLE}">']
    caption = "<br>".join(
        part
        for part in (
            html.escape(table.title),
            _html_code(table.subtitle) if table.subtitle else "",
        )
        if part
    )
    if caption:
        lines.append(f'<caption style="{_CAPTION_STYLE}">{caption}</caption>')
    if table.has_heading:
        lines.append(f"<thead>{row(table.heading, 'th')}</thead>")
    lines.append("<tbody>")
    lines.extend(row(cells, "td") for cells in table.cells())
    lines.extend(["</tbody>", "</table>"])
    lines.extend(
        f'<p class="lmmformula-note">{_prose(note, html.escape, _html_code)}</p>'
        for note in table.notes
    )
    return "\n".join(lines)


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_cell(cell: str, *, is_number: bool) -> str:
    """Escape a cell; the sign of a negative number is a minus, not a hyphen."""
    if is_number and cell.startswith("-"):
        return f"$-${_escape_latex(cell[1:])}"
    return _escape_latex(cell)


def _latex(table: Table) -> str:
    def row(cells: Iterable[str]) -> str:
        return " & ".join(cells) + r" \\"

    def body(cells: Iterable[str]) -> str:
        pairs = zip(cells, table.columns, strict=True)
        return row(_latex_cell(cell, is_number=not c.is_left_aligned) for cell, c in pairs)

    alignment = "".join("l" if column.is_left_aligned else "r" for column in table.columns)
    lines = [r"\begin{table}", r"\centering"]
    caption = _escape_latex(table.title)
    if table.subtitle:
        caption += f": {_latex_code(table.subtitle)}"
    if caption:
        lines.append(rf"\caption{{{caption}}}")
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    if table.has_heading:
        lines += [row(map(_escape_latex, table.heading)), r"\midrule"]
    lines += [body(cells) for cells in table.cells()]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par {_prose(note, _escape_latex, _latex_code)}" for note in table.notes]
    lines.append(r"\end{table}")
    return "\n".join(lines)


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
    lines.append(row(table.heading if table.has_heading else blank))
    marks = (":--" if column.is_left_aligned else "--:" for column in table.columns)
    lines.append("| " + " | ".join(marks) + " |")
    lines += [row(cells) for cells in table.cells()]
    for note in table.notes:
        lines += ["", _prose(note, _escape_markdown, lambda code: f"`{code}`")]
    return "\n".join(lines)


RENDERERS: dict[str, Callable[[Table], str]] = {
    "text": _text,
    "html": _html,
    "latex": _latex,
    "markdown": _markdown,
}
