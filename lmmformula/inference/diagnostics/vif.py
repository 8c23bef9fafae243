r"""Variance inflation of the fixed effects: what they lose because they are correlated.

For a term with several columns the generalised factor is
:math:`|R_{tt}|\,|R_{-t}| / |R|`, R the correlation matrix of the estimates, the intercept left out.

References
----------
Fox and Monette (1992), J. Am. Stat. Assoc. 87, 178-183.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.errors import DesignError
from lmmformula.report.render import render
from lmmformula.report.table import Column, Table

__all__ = ["VarianceInflation", "variance_inflation"]


@dataclass(frozen=True, slots=True, eq=False)
class VarianceInflation:
    """Variance inflation factors of the terms.

    Attributes
    ----------
    gvif : Series
        Generalised variance inflation factor, by term; the usual one for a single column.
    df : Series
        Number of columns of the term.
    """

    gvif: pd.Series
    df: pd.Series

    @property
    def per_column(self) -> pd.Series:
        """``gvif ** (1 / df)``: on the scale of the usual factor whatever the number of columns."""
        return (self.gvif ** (1.0 / self.df)).rename("vif")

    def to_frame(self) -> pd.DataFrame:
        """Columns ``df, gvif, vif, se_factor``; the last is what standard errors grow by."""
        vif = self.per_column
        return pd.DataFrame(
            {"df": self.df, "gvif": self.gvif, "vif": vif, "se_factor": np.sqrt(vif)}
        )

    def __repr__(self) -> str:
        columns = (
            Column("Term"),
            Column("df", "count"),
            Column("GVIF", "statistic"),
            Column("VIF", "statistic"),
            Column("SE factor", "statistic"),
        )
        rows = tuple(tuple(row) for row in self.to_frame().itertuples())
        return render(Table("Variance inflation", columns, rows))


def variance_inflation(results: Any) -> VarianceInflation:
    """Variance inflation factors of the terms of a fit.

    Raises
    ------
    DesignError
        The model has no fixed effects besides the intercept.
    """
    terms = {
        term.label: list(term.columns)
        for term in results.design.spec.fixed_terms
        if term.label != "Intercept" and term.columns
    }
    if not terms:
        raise DesignError(
            "variance inflation needs fixed effects besides the intercept.",
            got=f"`{results.formula}`",
            suggestion="a model with at least one predictor",
        )
    used = [column for columns in terms.values() for column in columns]
    covariance = results.estimates.vcov_beta[np.ix_(used, used)]
    size = np.sqrt(np.diagonal(covariance))
    R = covariance / np.outer(size, size)
    whole, gvif, start = np.linalg.slogdet(R)[1], {}, 0
    for label, columns in terms.items():
        own = np.arange(start, start + len(columns))
        rest = np.setdiff1d(np.arange(len(used)), own)
        logs = (np.linalg.slogdet(R[np.ix_(part, part)])[1] for part in (own, rest))
        gvif[label] = float(np.exp(sum(logs) - whole))
        start += len(columns)
    return VarianceInflation(
        pd.Series(gvif, name="gvif"),
        pd.Series({label: len(columns) for label, columns in terms.items()}, name="df"),
    )
