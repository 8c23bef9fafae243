"""The equations of the fixed effects after the random effects were eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render
from lmmformula.report.table import Column, Table

__all__ = ["FixedEquations"]


@dataclass(frozen=True, eq=False, repr=False)
class FixedEquations(Printed):
    """Generalised least squares: X'V^-1X beta = X'V^-1y.

    Attributes
    ----------
    formula : str
        The formula of the fit.
    names : tuple of str, length p
        Names of the fixed effects.
    matrix : ndarray, shape (p, p)
        X'V^-1X.
    remaining : ndarray, shape (p,)
        X'V^-1y.
    """

    formula: str
    names: tuple[str, ...]
    matrix: FloatArray
    remaining: FloatArray

    @property
    def coefficient_matrix(self) -> pd.DataFrame:
        """X'V^-1X, with names."""
        index = pd.Index(self.names)
        return pd.DataFrame(self.matrix.copy(), index=index, columns=index)

    @property
    def right_hand_side(self) -> pd.Series:
        """X'V^-1y, with names."""
        return pd.Series(self.remaining.copy(), index=pd.Index(self.names), name="right_hand_side")

    @cached_property
    def _covariance(self) -> FloatArray:
        unit = 1.0 / np.sqrt(np.diagonal(self.matrix))
        return np.asarray(np.linalg.inv(self.matrix * unit[:, None] * unit) * unit[:, None] * unit)

    @property
    def covariance(self) -> pd.DataFrame:
        """(X'V^-1X)^-1, the covariance of the fixed effects."""
        index = pd.Index(self.names)
        return pd.DataFrame(self._covariance.copy(), index=index, columns=index)

    @property
    def solution(self) -> pd.Series:
        """Fixed effects."""
        values = self._covariance @ self.remaining
        return pd.Series(values, index=pd.Index(self.names), name="solution")

    def _write(self, medium: Medium) -> str:
        columns = [Column(""), *(Column(name, "estimate") for name in self.names)]
        columns += [Column("Right side", "estimate"), Column("Solution", "estimate")]
        rows = zip(
            self.names,
            *self.matrix.T.tolist(),
            self.remaining.tolist(),
            self.solution.tolist(),
            strict=True,
        )
        title = "Equations of the fixed effects, X'V^-1X beta = X'V^-1y"
        return render(Table(title, tuple(columns), tuple(rows), subtitle=self.formula), medium)
