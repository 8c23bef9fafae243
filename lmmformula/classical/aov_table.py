"""Analysis of variance by error strata: ``lf.aov``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.classical.aov_data import AovData, read_aov
from lmmformula.classical.aov_fit import Line, analyse
from lmmformula.classical.strata import WITHIN, Stratum, split
from lmmformula.design.notify import notify
from lmmformula.design.sources import listed
from lmmformula.errors import DesignError, InferenceWarning, RankWarning
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render_all
from lmmformula.report.table import Column, Table

__all__ = ["StrataTable", "aov"]

RESIDUALS = "Residuals"
ROUNDING = 1e-24
"""Share of a column's sum of squares about zero below which that about the mean is rounding."""
PRINTED = (
    Column("Term"),
    Column("df", "count"),
    Column("Sum of squares", "estimate"),
    Column("Mean square", "estimate"),
    Column("F", "statistic"),
    Column("P>F", "p_value"),
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrataTable(Printed):
    """An analysis of variance by error strata.

    Attributes
    ----------
    formula : str
        As written.
    lines : tuple of Line
        The rows of the table.
    notes : tuple of str
        What should be known when it is read.
    """

    formula: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def strata(self) -> tuple[str, ...]:
        """Names of the strata, in order."""
        return tuple(dict.fromkeys(line.stratum for line in self.lines))

    def to_frame(self) -> pd.DataFrame:
        """Return the table, a row per term and residual.

        Returns
        -------
        DataFrame
            Columns ``stratum, term, df, sum_sq, mean_sq, F, pvalue``; the last two are missing
            for residuals and where a stratum has none.
        """
        rows = [
            (one.stratum, one.term, one.df, one.sum_sq, one.mean_sq, one.F, one.pvalue)
            for one in self.lines
        ]
        names = ["stratum", "term", "df", "sum_sq", "mean_sq", "F", "pvalue"]
        return pd.DataFrame(rows, columns=names)

    def _write(self, medium: Medium) -> str:
        return render_all(self._tables(), medium)

    def _tables(self) -> list[Table]:
        frame = self.to_frame().drop(columns="stratum")
        where = np.array([line.stratum for line in self.lines])
        tables = []
        for i, name in enumerate(self.strata):
            rows = tuple(
                tuple(None if value != value else value for value in row)
                for row in frame[where == name].itertuples(index=False)
            )
            is_last = i + 1 == len(self.strata)
            title = "Analysis of variance" if self.strata == (WITHIN,) else f"Stratum: {name}"
            tables.append(
                Table(
                    title,
                    PRINTED,
                    rows,
                    self.notes if is_last else (),
                    self.formula if i == 0 else "",
                )
            )
        return tables


def aov(
    formula: str,
    data: Any,
    *,
    subset: Any = None,
    missing: Literal["drop", "raise"] = "drop",
) -> StrataTable:
    """Analysis of variance with error strata, as R's ``aov``.

    Parameters
    ----------
    formula : str
        Terms and, optionally, one ``Error()`` that names the strata: ``"y ~ a + Error(subject)"``,
        ``"yield ~ N * V + Error(block/V)"``, ``Error(row * column)``. What stands in ``Error()``
        are factors, whole numbers included, as among random effects.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per observation; not modified.
    subset : optional
        Rows to use, as a condition or a boolean column or array.
    missing : {"drop", "raise"}
        What to do with rows in which a variable is missing.

    Returns
    -------
    StrataTable
        ``.to_frame()`` has the columns ``stratum, term, df, sum_sq, mean_sq, F, pvalue``.

    Raises
    ------
    FormulaError, DataError, DesignError, OptionError
        Whatever is wrong, in the user's names.

    Warns
    -----
    InferenceWarning
        A term of factors is estimated in several strata, because the design is not orthogonal.
    RankWarning
        A term cannot be estimated in any stratum.

    Notes
    -----
    Sums of squares are sequential (type I): each term is adjusted for those before it, and in every
    stratum tested against the residual of the stratum. In orthogonal designs the order does not
    matter; a note says where it does.

    References
    ----------
    Chambers, Freeny and Heiberger (1992), Analysis of variance; designed experiments, in
    Statistical Models in S, chapter 5.

    Examples
    --------
    >>> import lmmformula as lf
    >>> table = lf.aov("price ~ store + Error(item/store)", lf.load_dataset("grocery")).to_frame()
    >>> table[["stratum", "term", "df"]].values.tolist()
    [['item', 'Residuals', 9], ['item:store', 'store', 3], ['item:store', 'Residuals', 27]]
    >>> table.loc[1, ["F", "pvalue"]].astype(float).round(6).tolist()
    [4.344209, 0.01273]
    """
    given = read_aov(formula, data, subset, missing)
    if not given.terms and not given.names:
        raise DesignError(
            "the model has no term to test.",
            got=f"`{formula}`",
            suggestion="`y ~ a`, or strata, `y ~ a + Error(subject)`",
        )
    lines: list[Line] = []
    columns, totals = _centred(given)
    for stratum in _strata(given, columns):
        lines += analyse(stratum.name, stratum.df, stratum.parts, totals, given.terms)
    _tell(given, lines)
    return StrataTable(" ".join(formula.split()), tuple(lines), _notes(given, lines))


def _strata(given: AovData, columns: FloatArray) -> tuple[Stratum, ...]:
    if given.has_intercept:
        return split(columns, given.names, given.factors)
    return (Stratum(WITHIN, len(columns), columns),)


def _centred(given: AovData) -> tuple[FloatArray, FloatArray]:
    """Columns, about their means where the constant is in the model, and sums of squares.

    The sum of squares of a column that is constant is infinite: nothing is a notable share of it.
    """
    columns = given.columns
    raw = np.einsum("ij,ij->j", columns, columns)
    if given.has_intercept:
        columns = columns - columns.mean(axis=0)
    squares = np.einsum("ij,ij->j", columns, columns)
    return columns, np.where(squares > ROUNDING * raw, squares, np.inf)


def _tell(given: AovData, lines: Sequence[Line]) -> None:
    """Warn of terms in several strata and of terms in none."""
    found = {
        term.label: [line for line in lines if line.term == term.label] for term in given.terms
    }
    lost = [label for label, rows in found.items() if not rows]
    if lost:
        notify(
            RankWarning(
                "a term of the model cannot be estimated, because earlier terms determine it.",
                got=listed([f"`{label}`" for label in lost]),
                suggestion="take it out of the formula; cells without data are a common cause",
                terms=tuple(lost),
            )
        )
    spread = {
        term.label: tuple(line.stratum for line in found[term.label])
        for term in given.terms
        if term.is_categorical and len(found[term.label]) > 1
    }
    if spread:
        shown = [f"`{label}` in {' and '.join(names)}" for label, names in spread.items()]
        notify(
            InferenceWarning(
                "a term is estimated in several strata: the design is not orthogonal, and each "
                "row tests the term with a part of its information.",
                got=listed(shown),
                suggestion="a mixed model, `lf.lmer`, which combines the strata",
                terms=spread,
            )
        )


def _notes(given: AovData, lines: Sequence[Line]) -> tuple[str, ...]:
    notes = []
    moved = list(dict.fromkeys(line.term for line in lines if line.depends_on_order))
    if moved:
        names = ", ".join(f"`{name}`" for name in moved)
        notes.append(f"Sequential sums of squares; the order of terms matters for {names}.")
    part = [
        f"`{term.label}` ({df} of {len(term.columns)})"
        for term in given.terms
        if 0 < (df := sum(line.df for line in lines if line.term == term.label)) < len(term.columns)
    ]
    if part:
        notes.append(f"Estimated in part only (degrees of freedom): {', '.join(part)}.")
    strata = {line.stratum for line in lines}
    empty = [name for name in given.names if name not in strata]
    if empty:
        notes.append(f"Strata without degrees of freedom of their own: {', '.join(empty)}.")
    untested = list(
        dict.fromkeys(
            line.stratum for line in lines if line.term != RESIDUALS and line.pvalue != line.pvalue
        )
    )
    if untested:
        notes.append(f"No residual to test against in: {', '.join(untested)}.")
    return tuple(notes)
