"""A ``Table`` as LaTeX; no package is needed but ``booktabs``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from lmmformula.report.align import Frame, split
from lmmformula.report.prose import prose
from lmmformula.report.table import Column, Table

__all__ = ["escape_latex", "latex_table"]

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
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "−": "$-$",
    "²": r"\textsuperscript{2}",
    "\N{GREEK SMALL LETTER FINAL SIGMA}": r"$\varsigma$",
    "\N{GREEK SMALL LETTER OMICRON}": "o",
}
_POWER = re.compile(r"(-?\d+(?:\.\d+)?)e([+-]\d+)")

# TeX has no commands for the capitals that look like Latin letters.
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True))


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is; Greek letters are set in mathematics."""
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character in _LATEX or character.isascii():
        return _LATEX.get(character, character)
    if character in _LATIN:
        return _LATIN[character]
    kind, _, letter = unicodedata.name(character, "").partition(" LETTER ")
    if kind == "GREEK SMALL" and letter.isalpha():
        return rf"$\{letter.lower().replace('lamda', 'lambda')}$"
    if kind == "GREEK CAPITAL" and letter.isalpha():
        return rf"$\{letter.capitalize().replace('Lamda', 'Lambda')}$"
    return character


def _code(text: str) -> str:
    return rf"\texttt{{{escape_latex(text)}}}"


def latex_table(table: Table) -> str:
    """Write one floating table, its caption and its notes."""
    alignment = "".join(_letter(column) for column in table.columns)
    lines = [r"\begin{table}", r"\centering", *_caption(table)]
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    if table.has_heading:
        lines += [*_spans(table), _row(map(escape_latex, table.heading)), r"\midrule"]
    lines += [*_body(table), r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines.append(r"\par\smallskip")
    lines += [rf"{{\footnotesize {prose(note, escape_latex, _code)}\par}}" for note in table.notes]
    lines.append(r"\end{table}")
    return "\n".join(lines)


def _letter(column: Column) -> str:
    if column.kind == "decimal":
        return "c"
    return "l" if column.is_left_aligned else "r"


def _caption(table: Table) -> list[str]:
    caption = escape_latex(table.title)
    if table.subtitle:
        caption += f": {_code(table.subtitle)}" if caption else _code(table.subtitle)
    label = rf"\label{{{table.label}}}" if table.label else ""
    if not caption:
        return [label] if label else []
    # Standard classes leave no room below a caption that stands above.
    return [rf"\caption{{{caption}}}{label}", r"\smallskip"]


def _row(cells: Iterable[str]) -> str:
    line = " & ".join(cells)
    # The end of the line above would take a bracket for its argument.
    return ("{[}" + line[1:] if line.startswith("[") else line) + r" \\"


def _spans(table: Table) -> Iterator[str]:
    if not table.spans:
        return
    cells, rules, start = [], [], 1
    for text, width in table.spans:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(text)}}}")
        if text:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    yield _row(cells)
    yield " ".join(rules)


def _body(table: Table) -> Iterator[str]:
    by_column = list(zip(*table.cells(), strict=True)) or [()] * len(table.columns)
    written = [_written(cells, c) for cells, c in zip(by_column, table.columns, strict=True)]
    sections = dict(table.sections)
    for i, cells in enumerate(zip(*written, strict=True)):
        if i in sections:
            if i:
                yield r"\midrule"
            title = rf"\textit{{{escape_latex(sections[i])}}}"
            yield rf"\multicolumn{{{len(table.columns)}}}{{l}}{{{title}}} \\"
        yield _row(cells)


def _written(cells: Sequence[str], column: Column) -> list[str]:
    if column.kind == "decimal":
        return _decimals(cells)
    return [_cell(cell, is_number=not column.is_left_aligned) for cell in cells]


def _cell(cell: str, *, is_number: bool) -> str:
    """Escape a cell; signs of numbers are minuses, not hyphens, and exponents stand high."""
    power = _POWER.fullmatch(cell) if is_number else None
    if power is not None:
        return rf"${power[1]}\times10^{{{int(power[2])}}}$"
    if is_number and cell.startswith("-"):
        return f"$-${escape_latex(cell[1:])}"
    return escape_latex(cell)


def _decimals(cells: Sequence[str]) -> list[str]:
    """Fill up with what cannot be seen, so that centred cells have their digits aligned."""
    frame = Frame.of(cells)
    pieces = [split(cell) for cell in cells]
    found = [p for p in pieces if p is not None]
    prefix = max((p.prefix for p in found), key=len, default="")
    suffix = max((p.suffix for p in found), key=len, default="")
    return [
        _other(cell)
        if p is None
        else _room(prefix)
        + _phantom("0" * (frame.whole - len(p.whole)))
        + _hung("llap", p.prefix)
        + f"{p.whole}{p.fraction}"
        + _hung("rlap", p.suffix)
        + _phantom("0" * (frame.fraction - len(p.fraction)))
        + _room(suffix)
        for cell, p in zip(cells, pieces, strict=True)
    ]


def _other(cell: str) -> str:
    return _cell(cell, is_number=True) if _POWER.fullmatch(cell) else _outside(cell)


def _hung(command: str, text: str) -> str:
    """Something outside the digits, without width."""
    return rf"\{command}{{{_outside(text)}}}" if text else ""


def _room(longest: str) -> str:
    """Room for what hangs; one character fits between columns."""
    return _phantom(_outside(longest)) if len(longest) > 1 else ""


def _phantom(text: str) -> str:
    return rf"\phantom{{{text}}}" if text else ""


def _outside(text: str) -> str:
    if text and set(text) == {"*"}:
        return rf"$^{{{text}}}$"
    return escape_latex(text.replace("-", "−"))
