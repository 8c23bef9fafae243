"""From entries to the one table record that every medium writes."""

from __future__ import annotations

from collections.abc import Sequence

from lmmformula.publish.collect import Entry
from lmmformula.publish.options import Options
from lmmformula.publish.texts import estimate_text, headings, statistic_text
from lmmformula.report.table import Column, Table

__all__ = ["ALONE", "layout"]

ALONE = ("Estimate",)
"""Heading of a single model that was given no name."""


def layout(
    entries: Sequence[Entry], names: Sequence[str], options: Options, notes: Sequence[str]
) -> Table:
    """Arrange the rows of several models, statistics below or beside the estimates.

    Parameters
    ----------
    entries : sequence of Entry
        Rows, section by section.
    names : sequence of str
        Headings of the models.
    options : Options
    notes : sequence of str
        Sentences below the table.
    """
    is_below = options.layout == "below"
    rows: list[tuple[str, ...]] = []
    sections: list[tuple[int, str]] = []
    part = ""
    for entry in entries:
        if entry.part != part:
            part = entry.part
            sections.append((len(rows), part))
        rows += _below(entry, options) if is_below else [_beside(entry, options)]
    own = headings(options)
    has_columns = not is_below and len(own) > 1
    columns = own * len(names) if has_columns else list(names)
    has_spans = has_columns and tuple(names) != ALONE
    return Table(
        "",
        (Column(""), *(Column(name, "decimal") for name in columns)),
        tuple(rows),
        tuple(notes),
        spans=(("", 1), *((name, len(own)) for name in names)) if has_spans else (),
        sections=tuple(sections),
    )


def _below(entry: Entry, options: Options) -> list[tuple[str, ...]]:
    rows = [(entry.label, *(estimate_text(entry, v, options) for v in entry.values))]
    if entry.kind == "coefficient":
        rows += [
            ("", *(statistic_text(name, entry, v, options) for v in entry.values))
            for name in options.statistic
        ]
    return rows


def _beside(entry: Entry, options: Options) -> tuple[str, ...]:
    cells = [entry.label]
    for values in entry.values:
        cells.append(estimate_text(entry, values, options))
        cells += [statistic_text(name, entry, values, options) for name in options.statistic]
    return tuple(cells)
