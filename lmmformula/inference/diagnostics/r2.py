"""Share of the variance that the model explains, without and with its random effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lmmformula.inference.diagnostics.variance_parts import VarianceParts, variance_parts
from lmmformula.report.render import render
from lmmformula.report.table import Column, Table

__all__ = ["RSquared", "r_squared"]


@dataclass(frozen=True, slots=True, eq=False)
class RSquared:
    """R squared of Nakagawa and Schielzeth, for random slopes by Johnson.

    Attributes
    ----------
    parts : VarianceParts
        The variances.
    """

    parts: VarianceParts

    @property
    def total(self) -> float:
        """Fixed, random and residual variance together."""
        return self.parts.fixed + self.parts.random_total + self.parts.residual

    @property
    def marginal(self) -> float:
        """Share of the fixed effects."""
        return self.parts.fixed / self.total if self.total > 0.0 else float("nan")

    @property
    def conditional(self) -> float:
        """Share of fixed and random effects."""
        explained = self.parts.fixed + self.parts.random_total
        return explained / self.total if self.total > 0.0 else float("nan")

    def to_frame(self) -> pd.DataFrame:
        """Column ``r2``; rows ``marginal`` and ``conditional``."""
        return pd.DataFrame(
            {"r2": [self.marginal, self.conditional]}, index=pd.Index(["marginal", "conditional"])
        )

    def __repr__(self) -> str:
        rows = (
            ("Marginal (fixed effects)", self.marginal),
            ("Conditional (fixed and random effects)", self.conditional),
        )
        columns = (Column(""), Column("R2", "correlation"))
        return render(Table("R squared", columns, rows, self.parts.notes))


def r_squared(results: Any) -> RSquared:
    """R squared of a fit."""
    return RSquared(variance_parts(results))
