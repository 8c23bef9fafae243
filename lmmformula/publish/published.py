"""A publication table in all its forms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.publish.collect import Entry
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render
from lmmformula.report.table import Table

__all__ = ["PublicationTable"]

STATISTICS = ("estimate", "se", "df", "statistic", "pvalue", "lower", "upper")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PublicationTable(Printed):
    """Several models side by side, for a paper.

    Printing it gives text, a notebook shows HTML; ``as_latex()``, ``as_markdown()`` and
    ``as_html()`` give the source, ``save`` writes a file, ``gt()`` a table of great-tables to go
    on with.

    Attributes
    ----------
    table : Table
        The cells as text.
    names : tuple of str
        Headings of the models.
    entries : tuple of Entry
        The numbers behind the cells.
    """

    table: Table
    names: tuple[str, ...]
    entries: tuple[Entry, ...]

    def _write(self, medium: Medium) -> str:
        return render(self.table, medium)

    def as_latex(self, label: str = "") -> str:
        r"""LaTeX table; it needs the package ``booktabs``.

        Parameters
        ----------
        label : str, optional
            Name for ``\ref``; LaTeX numbers tables that have a caption, so give ``title=`` too.
        """
        return render(replace(self.table, label=label or self.table.label), "latex")

    def to_frame(self) -> pd.DataFrame:
        """Numbers behind the table.

        Returns
        -------
        DataFrame
            A column per model; index ``part, name, statistic``, where names are those of the
            package (``Days``, ``sd_Days|Subject``, ``aic``) and statistics ``estimate``, for
            coefficients also ``se, df, statistic, pvalue, lower, upper``. Words are left out;
            what a model does not have is missing.
        """
        index, rows = [], []
        for entry in self.entries:
            if entry.kind == "word":
                continue
            wanted = STATISTICS if entry.kind == "coefficient" else STATISTICS[:1]
            for statistic in wanted:
                index.append((entry.part, entry.name, statistic))
                rows.append([np.nan if v is None else float(v[statistic]) for v in entry.values])
        names = pd.MultiIndex.from_tuples(index, names=["part", "name", "statistic"])
        return pd.DataFrame(rows, index=names, columns=list(self.names), dtype=float)

    def gt(self) -> Any:
        """The table as a ``great_tables.GT``, to be styled further or saved as a picture.

        Raises
        ------
        OptionError
            great-tables is not installed.
        """
        from lmmformula.publish.great import great_table

        return great_table(self.table)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the table to a file, in the form that its ending asks for.

        Parameters
        ----------
        path : str or path
            Ends in ``.tex``, ``.html``, ``.md``, ``.txt`` or ``.docx``; overwritten if it exists.

        Returns
        -------
        Path
            The file.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if ending == ".docx":
            from lmmformula.publish.word import write_document

            write_document(self.table, target)
        elif ending in MEDIA:
            text = render(self.table, MEDIA[ending])
            target.write_text(PAGE.format(text) if ending == ".html" else f"{text}\n", "utf-8")
        else:
            raise _unknown_ending(target, (*MEDIA, ".docx"))
        return target


MEDIA: dict[str, Medium] = {".tex": "latex", ".html": "html", ".md": "markdown", ".txt": "text"}
PAGE = '<!DOCTYPE html>\n<meta charset="utf-8">\n<title>Table</title>\n{}\n'


def _unknown_ending(path: Path, known: Sequence[str]) -> OptionError:
    return OptionError(
        "the ending of the file says how a table is written, and this one is not known.",
        got=f"`{path.name}`; known: {', '.join(known)}",
        suggestion=f'`save("{path.stem or "table"}.tex")`',
        argument="path",
        available=tuple(known),
    )
