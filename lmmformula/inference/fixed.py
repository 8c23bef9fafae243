"""Tests and intervals of the fixed effects, as methods of a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmformula.inference import contrasts
from lmmformula.inference.df import check_method, degrees_of_freedom
from lmmformula.inference.wald import coefficient_frame
from lmmformula.postfit.statistics import FitStatistics

__all__ = ["FixedEffectTests"]


class FixedEffectTests(FitStatistics):
    """Tests that need estimates, their covariance and degrees of freedom, nothing else."""

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided Wald p-values of ``params``."""
        return self.coefficient_frame()["pvalue"].rename("pvalues")

    def coefficient_frame(self, *, ddf: str = "wald", alpha: float = 0.05) -> pd.DataFrame:
        """Return estimates, tests and limits of the fixed effects, as in ``summary().frame``."""
        df = degrees_of_freedom(ddf, self, np.eye(self.n_fixed))
        return coefficient_frame(self.fixed_names, self.estimates.beta, self._se, df, alpha)

    def conf_int(self, alpha: float = 0.05, method: str = "wald") -> pd.DataFrame:
        """Confidence limits of the fixed effects.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.
        method : {"wald"}
            Normal quantiles; other methods come with later releases.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``.
        """
        check_method(method, "method")
        return self.coefficient_frame(ddf=method, alpha=alpha)[["lower", "upper"]]

    def t_test(self, L: Any, ddf: str = "wald") -> Any:
        """Test linear combinations of fixed effects one by one.

        Parameters
        ----------
        L : str, list of str, mapping, array or (array, values)
            Constraints as in statsmodels: ``"Days = 0"``, or rows of coefficients.
        ddf : {"wald"}
            Degrees of freedom.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
        """
        rows = contrasts.constraint_matrix(L, self.fixed_names)
        df = degrees_of_freedom(ddf, self, rows[0])
        e = self.estimates
        return contrasts.t_test(rows, self.fixed_names, e.beta, e.vcov_beta, df)

    def f_test(self, L: Any, ddf: str = "wald") -> Any:
        """Test linear combinations of fixed effects together, by F; arguments as ``t_test``."""
        rows = contrasts.constraint_matrix(L, self.fixed_names)
        df = float(degrees_of_freedom(ddf, self, rows[0])[0])
        return contrasts.f_test(rows, self.estimates.beta, self.estimates.vcov_beta, df)

    def wald_test(self, L: Any) -> Any:
        """Test linear combinations of fixed effects together, by chi-square."""
        rows = contrasts.constraint_matrix(L, self.fixed_names)
        return contrasts.wald_test(rows, self.estimates.beta, self.estimates.vcov_beta)
