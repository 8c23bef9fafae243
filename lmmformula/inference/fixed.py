"""Tests and intervals of the fixed effects, as methods of a result."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.engine import BlockedSystem
from lmmformula.inference import anova_table, contrasts
from lmmformula.inference.approximation import Approximation
from lmmformula.inference.df import DEFAULT_METHOD, DF_METHODS, check_method
from lmmformula.inference.intervals import other_interval
from lmmformula.inference.wald import coefficient_columns
from lmmformula.postfit.statistics import FitStatistics

__all__ = ["FixedEffectTests"]


class FixedEffectTests(FitStatistics):
    """Tests of the fixed effects: single ones, combinations, and terms."""

    @property
    @abstractmethod
    def model(self) -> Any:
        """The model that was fitted."""

    @property
    @abstractmethod
    def system(self) -> BlockedSystem:
        """Cross-products of the design."""

    @property
    @abstractmethod
    def is_singular(self) -> bool:
        """Whether the covariance of the random effects is on the boundary."""

    @abstractmethod
    def refit_reml(self) -> Any:
        """Return the REML fit of the same model."""

    @cached_property
    def _approximations(self) -> dict[str, Approximation]:
        return {}

    def approximation(self, ddf: str = DEFAULT_METHOD) -> Approximation:
        """Covariance, degrees of freedom and joint tests that a method gives; made once.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            The method.

        Returns
        -------
        Approximation
            With ``beta``, ``vcov`` (adjusted by Kenward-Roger), ``df(rows)``,
            ``joint(rows, values)`` and ``notes``.
        """
        check_method(ddf)
        if ddf not in self._approximations:
            self._approximations[ddf] = DF_METHODS[ddf](self)
        return self._approximations[ddf]

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values of ``params``, with Satterthwaite's degrees of freedom."""
        return self.coefficient_frame()["pvalue"].rename("pvalues")

    @property
    def df_tests(self) -> pd.Series:
        """Satterthwaite's degrees of freedom of the tests on ``params``."""
        return self.coefficient_frame()["df"].rename("df_tests")

    def coefficient_frame(self, *, ddf: str = DEFAULT_METHOD, alpha: float = 0.05) -> pd.DataFrame:
        """Return estimates, tests and limits of the fixed effects, as in ``summary().frame``."""
        return pd.DataFrame(self.coefficient_columns(ddf=ddf, alpha=alpha), index=self._index)

    def coefficient_columns(self, *, ddf: str, alpha: float) -> dict[str, FloatArray]:
        """Return the columns of ``coefficient_frame`` as arrays."""
        used = self.approximation(ddf)
        df = used.df(np.eye(self.n_fixed))
        return coefficient_columns(used.beta, np.sqrt(np.diagonal(used.vcov)), df, alpha)

    def coefficient_notes(self, ddf: str = DEFAULT_METHOD) -> tuple[str, ...]:
        """Return what a reader of tests by a method must know."""
        return self.approximation(ddf).notes

    def conf_int(self, alpha: float = 0.05, method: str = "wald", **options: Any) -> pd.DataFrame:
        """Confidence limits.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.
        method : str
            "wald" (normal quantiles), "satterthwaite", "kenward-roger" or
            "kenward-roger-observed" (Student's t): fixed effects. "profile" and "boot": variance
            parameters as well.
        **options
            For "profile" and "boot": arguments of ``profile()`` or ``bootstrap()``.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``.
        """
        if method not in DF_METHODS:
            return other_interval(self, method, alpha, options)
        return self.coefficient_frame(ddf=method, alpha=alpha)[["lower", "upper"]]

    def t_test(self, L: Any, ddf: str = DEFAULT_METHOD) -> Any:
        """Test linear combinations of fixed effects one by one.

        Parameters
        ----------
        L : str, list of str, mapping, array or (array, values)
            Constraints as in statsmodels: ``"Days = 0"``, or rows of coefficients.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            Degrees of freedom; "wald" refers to the normal distribution.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> test = fit.t_test("Days = 10")
        >>> round(float(test.df_denom[0]), 4), round(float(test.pvalue), 4)
        (17.0, 0.7661)
        """
        rows = self._constraints(L)
        used = self.approximation(ddf)
        df = used.df(rows[0])
        return contrasts.t_test(rows, self.fixed_names, used.beta, used.vcov, df)

    def f_test(self, L: Any, ddf: str = DEFAULT_METHOD) -> Any:
        """Test linear combinations of fixed effects together, by F; arguments as ``t_test``.

        Rows that follow from others count once; Kenward-Roger scales F.
        """
        rows = self._constraints(L)
        return contrasts.f_test(self.approximation(ddf).joint(*rows))

    def wald_test(self, L: Any) -> Any:
        """Test linear combinations of fixed effects together, by chi-square."""
        rows = self._constraints(L)
        return contrasts.wald_test(self.approximation("wald").joint(*rows))

    def _constraints(self, L: Any) -> tuple[Any, Any]:
        return contrasts.constraint_matrix(L, self.fixed_names, self.design.spec.dropped_columns)

    def anova(
        self,
        type: Literal["I", "II", "III", 1, 2, 3] = "III",
        ddf: str = DEFAULT_METHOD,
    ) -> pd.DataFrame:
        """F tests of the terms of the fixed effects.

        Parameters
        ----------
        type : {"III", "II", "I"}
            Hypotheses: "I" adds terms one after another; "II" adjusts each term for all that do
            not contain it; "III" averages over the cells of the other factors with equal weights,
            whatever the coding. As in SAS and lmerTest.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            Denominator degrees of freedom.

        Returns
        -------
        DataFrame
            One row per term; columns ``sum_sq, mean_sq, num_df, den_df, F, pvalue``. A term
            without any estimable effect has missing values.

        Warns
        -----
        InferenceWarning
            Cells without data, on which type III hypotheses depend, or terms that cannot be tested.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))
        >>> print(fit.anova().round(3).to_string())
                   sum_sq  mean_sq  num_df  den_df       F  pvalue
        Machine  1755.263  877.632       2    46.0  87.798     0.0
        """
        self.model.require_rows("`anova`")
        return anova_table.anova_frame(self, type, self.approximation(ddf))

    def hypotheses(
        self, type: Literal["I", "II", "III", 1, 2, 3] = "III"
    ) -> dict[str, pd.DataFrame]:
        """Return the combinations of ``params`` that ``anova`` tests: term -> rows by effect."""
        self.model.require_rows("`hypotheses`")
        return anova_table.hypothesis_frames(self, type)
