"""Intraclass correlations: the share of every random-effects term in the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.inference.diagnostics.variance_parts import VarianceParts, variance_parts
from lmmformula.postfit.requirements import require_random_effects
from lmmformula.report.render import render
from lmmformula.report.table import Column, Table

__all__ = ["IntraclassCorrelation", "intraclass_correlation"]


@dataclass(frozen=True, slots=True, eq=False)
class IntraclassCorrelation:
    """Shares of the variance components.

    Attributes
    ----------
    parts : VarianceParts
        The variances.
    """

    parts: VarianceParts

    @property
    def adjusted(self) -> float:
        """Random effects over random effects and residual; fixed effects are left out."""
        return self._share(self.parts.random_total, 0.0)

    @property
    def unadjusted(self) -> float:
        """Random effects over the whole variance, fixed effects included."""
        return self._share(self.parts.random_total, self.parts.fixed)

    @property
    def by_term(self) -> pd.Series:
        """Adjusted share of every term; they sum to ``adjusted``."""
        return self.to_frame()["icc"].iloc[:-1]

    def _share(self, variance: float, fixed: float) -> float:
        total = self.parts.random_total + self.parts.residual + fixed
        return float(np.divide(variance, total)) if total > 0.0 else float("nan")

    def to_frame(self) -> pd.DataFrame:
        """Columns ``variance, icc, icc_unadjusted``; a row per term, then ``Residual``."""
        variances = {**self.parts.random, "Residual": self.parts.residual}
        rows = [
            (value, self._share(value, 0.0), self._share(value, self.parts.fixed))
            for value in variances.values()
        ]
        return pd.DataFrame(
            rows, index=pd.Index(list(variances)), columns=["variance", "icc", "icc_unadjusted"]
        )

    def __repr__(self) -> str:
        rows = tuple((str(name), *row) for name, *row in self.to_frame().itertuples())
        total = ("All random", self.parts.random_total, self.adjusted, self.unadjusted)
        columns = (
            Column(""),
            Column("Variance", "estimate"),
            Column("ICC", "correlation"),
            Column("with fixed", "correlation"),
        )
        return render(Table("Intraclass correlation", columns, (*rows, total), self.parts.notes))


def intraclass_correlation(results: Any) -> IntraclassCorrelation:
    """Split the variance of a fit into shares."""
    require_random_effects(
        results.design.matrices, "`icc()`", "`residual_structure`, which has the correlation"
    )
    return IntraclassCorrelation(variance_parts(results))
