"""Marginal means and slopes with standard errors, and the contrasts that they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.errors import OptionError
from lmmformula.inference.effects.approximation import Approximation
from lmmformula.inference.effects.wald import check_alpha, critical_value, two_sided_p
from lmmformula.inference.marginal.contrasts import (
    MarginalContrasts,
    contrast_means,
    families_of,
)
from lmmformula.inference.marginal.display import FrameResult, factor_columns, method_note
from lmmformula.inference.marginal.estimability import estimated, warn_of_missing
from lmmformula.inference.marginal.grid import Grid
from lmmformula.inference.marginal.letters import Compared, compact_letters, compare_family
from lmmformula.report.drawn import Drawn

__all__ = ["MarginalEstimates"]


class MarginalEstimates(Drawn, FrameResult):
    """Marginal means or slopes.

    Parameters
    ----------
    kind : {"mean", "slope"}
        What is estimated; also the name of its column.
    grid : Grid
        Combinations of the variables, and the linear combination that each is.
    by : sequence of str
        Variables that divide the contrasts into families.
    used : Approximation
        Estimates, covariance and degrees of freedom.
    ddf : str
        Name of that method.
    alpha : float
        One less the level of the intervals.
    title : str
        Heading of the printed table.
    notes : tuple of str
        Sentences below it.
    """

    _picture = "marginal_means"

    def __init__(
        self,
        kind: str,
        grid: Grid,
        by: Sequence[str],
        used: Approximation,
        *,
        ddf: str,
        alpha: float,
        title: str,
        notes: tuple[str, ...],
    ) -> None:
        self.kind = kind
        self.grid = grid
        self.by = tuple(by)
        self.used = used
        self.ddf = ddf
        self.alpha = check_alpha(alpha)
        self.title = title
        self.notes = (*notes, method_note(ddf), *used.notes)
        warn_of_missing(f"marginal {kind}", cell_labels(grid, ~grid.rows.is_estimable))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Factor columns, then ``mean`` (``slope``), ``se, df, lower, upper``."""
        value, se, df = estimated(self.grid.rows, self.used)
        half = critical_value(self.alpha, df) * se
        columns = factor_columns(self.grid, self.grid.names)
        columns |= {self.kind: value, "se": se, "df": df}
        return pd.DataFrame(columns | {"lower": value - half, "upper": value + half})

    @property
    def linear_combinations(self) -> FloatArray:
        """Coefficients of the fixed effects in each row, (m, p); NaN where not estimable."""
        known = self.grid.rows.is_estimable
        return np.where(known[:, None], self.grid.rows.L, np.nan)

    def cov(self) -> pd.DataFrame:
        """Covariance matrix of the estimates."""
        L = self.linear_combinations
        return pd.DataFrame(L @ self.used.vcov @ L.T)

    def test(self, null: float = 0.0) -> pd.DataFrame:
        """Test each row against a value.

        Parameters
        ----------
        null : float, default 0
            Hypothetical mean or slope.

        Returns
        -------
        DataFrame
            ``to_frame()`` with ``statistic`` and ``pvalue`` in place of the limits.
        """
        given: Any = null
        if not isinstance(given, Real) or not np.isfinite(float(given)):
            raise OptionError(
                "`null` must be a number.",
                got=f"`null={null!r}`",
                suggestion="`test(null=0)`",
                argument="null",
            )
        frame = self.frame.drop(columns=["lower", "upper"])
        statistic = (frame[self.kind] - null) / frame["se"]
        p = two_sided_p(statistic.to_numpy(), frame["df"].to_numpy())
        return frame.assign(statistic=statistic, pvalue=p)

    def contrasts(
        self,
        method: Any = "pairwise",
        adjust: str | None = None,
        *,
        by: str | Sequence[str] | None = None,
        control: Any = None,
        alpha: float | None = None,
    ) -> MarginalContrasts:
        """Compare the rows.

        Parameters
        ----------
        method : str, mapping or array, default "pairwise"
            ``"pairwise"``, ``"revpairwise"``, ``"trt.vs.ctrl"`` (against a control), ``"consec"``
            (each with the one before), ``"poly"`` (orthogonal polynomials), ``"eff"`` (against
            the mean of all); or coefficients: a mapping of names to lists (or to mappings of
            labels to numbers), or an array with one row per contrast.
        adjust : str, optional
            ``"tukey", "bonferroni", "scheffe", "holm", "sidak", "mvt", "fdr"`` or ``"none"``;
            p-values and limits hold for all contrasts of a family. Default: Tukey for pairwise
            comparisons, mvt for comparisons with a control or in sequence, else none.
        by : str or list of str, optional
            Compare within each level of these, every level being a family of its own; default:
            what the means were asked ``by``. An empty list compares everything.
        control : object, optional
            Label of the control, for ``"trt.vs.ctrl"``; default: the first.
        alpha : float, optional
            One less the simultaneous level of the intervals; default: that of the means.

        Returns
        -------
        MarginalContrasts
            Columns ``contrast``, those of ``by``, ``estimate, se, df, lower, upper, statistic,
            pvalue``.
        """
        level = self.alpha if alpha is None else check_alpha(alpha)
        families = self.by if by is None else (by,) if isinstance(by, str) else tuple(by)
        return contrast_means(
            self.grid,
            self.used,
            method,
            adjust,
            families,
            ddf=self.ddf,
            control=control,
            alpha=level,
        )

    def compared(self, adjust: str | None = None) -> list[Compared]:
        """Compare all pairs within every family of ``by``, with an adjustment (Tukey's).

        Returns
        -------
        list of Compared
            Critical differences, and which pairs are told apart. Families of one mean have none.
        """
        families = families_of(self.grid, self.by)
        known = np.isfinite(self.frame["se"].to_numpy())
        if all(len(rows) < 2 for rows in families):
            return [compare_family(rows, known[rows], _NO_PAIRS, self.alpha) for rows in families]
        table, start, out = self.contrasts("pairwise", adjust).frame, 0, []
        for rows in families:
            stop = start + len(rows) * (len(rows) - 1) // 2
            out.append(compare_family(rows, known[rows], table.iloc[start:stop], self.alpha))
            start = stop
        return out

    def letters(self, adjust: str | None = None) -> pd.DataFrame:
        """Compact letter display: means that share a letter are not told apart.

        Parameters
        ----------
        adjust : str, optional
            Adjustment of the pairwise comparisons, as in ``contrasts``; default: Tukey's.

        Returns
        -------
        DataFrame
            The table with the column ``letters``, a for the smallest of each family; tests at the
            level ``alpha`` of the means. Empty where a mean cannot be estimated.

        References
        ----------
        Piepho (2004), J. Comput. Graph. Statist. 13, 456-466.

        Examples
        --------
        >>> import lmmformula as lf
        >>> data = lf.load_dataset("machines")
        >>> fit = lf.lmer("score ~ Machine + (Machine | Worker)", data)
        >>> fit.marginal_means("Machine").letters()[["Machine", "mean", "letters"]].round(1)
          Machine  mean letters
        0       A  52.4       a
        1       B  60.3       b
        2       C  66.3       b
        """
        value, letters = self.frame[self.kind].to_numpy(), [""] * len(self.frame)
        for family in self.compared(adjust):
            order = np.argsort(value[family.means], kind="stable")
            found = compact_letters(family.differ, [int(place) for place in order])
            for place, text in zip(family.means, found, strict=True):
                letters[place] = text
        return self.frame.assign(letters=letters)


_NO_PAIRS = pd.DataFrame({"lower": [], "upper": [], "pvalue": []}, dtype=np.float64)


def cell_labels(grid: Grid, rows: BoolArray) -> list[str]:
    """Return rows of a grid in words: ``f=a, h=lo``."""
    columns = [grid.taken(rows).values(name) for name in grid.names]
    if not columns:
        return ["overall"] * int(rows.sum())
    return [
        ", ".join(f"{name}={value}" for name, value in zip(grid.names, values, strict=True))
        for values in zip(*columns, strict=True)
    ]
