"""Tests and intervals of the fixed effects, as methods of a result."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.engine import BlockedSystem
from lmmformula.inference.effects import anova_table, contrasts
from lmmformula.inference.effects.approximation import Approximation
from lmmformula.inference.effects.cluster_robust import (
    check_cluster_unused,
    check_robust,
    cluster_robust,
    find_clusters,
)
from lmmformula.inference.effects.df import DEFAULT_METHOD, DF_METHODS, check_method
from lmmformula.inference.effects.intervals import check_options, other_interval
from lmmformula.inference.effects.wald import coefficient_columns
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

    def approximation(
        self, ddf: str = DEFAULT_METHOD, robust: str | None = None, cluster: Any = None
    ) -> Approximation:
        """Covariance, degrees of freedom and joint tests that a method gives; made once.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            The method.
        robust : {"CR2", "CR1", "CR0"}, optional
            A cluster-robust covariance instead of the model's; with "satterthwaite" or "wald".
        cluster : str or array_like, optional
            Its clusters: a grouping factor of the model, or one label per row. Every level of the
            grouping factors must lie within one. Default: the factor with the fewest levels.

        Returns
        -------
        Approximation
            With ``beta``, ``vcov`` (adjusted by Kenward-Roger), ``df(rows)``,
            ``joint(rows, values)`` and ``notes``.
        """
        check_method(ddf)
        if robust is not None:
            return self._robust(ddf, robust, cluster)
        check_cluster_unused(cluster)
        if ddf not in self._approximations:
            self._approximations[ddf] = DF_METHODS[ddf](self)
        return self._approximations[ddf]

    def _robust(self, ddf: str, robust: str, cluster: Any) -> Approximation:
        check_robust(robust, ddf)
        self.model.require_rows("a cluster-robust covariance")
        clusters = find_clusters(self.design, cluster)
        key = f"{robust} {clusters.key} {clusters.name} {ddf}"
        if key not in self._approximations:
            self._approximations[key] = cluster_robust(self, robust, clusters, ddf)
        return self._approximations[key]

    def cov_params(self, robust: str | None = None, cluster: Any = None) -> pd.DataFrame:
        """Covariance matrix of ``params``.

        Parameters
        ----------
        robust : {"CR2", "CR1", "CR0"}, optional
            Cluster-robust covariance, valid where the model's own is wrong within clusters: "CR0"
            the plain sandwich, "CR1" times J / (J - 1), "CR2" unbiased where the model is right.
        cluster : str or array_like, optional
            Clusters: a grouping factor of the model, or one label per row. Default: the grouping
            factor with the fewest levels.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy"))
        >>> round(float(fit.bse["Days"]), 4)
        0.8042
        >>> round(float(fit.cov_params(robust="CR2").loc["Days", "Days"]) ** 0.5, 4)
        1.5458
        """
        if robust is None:
            check_cluster_unused(cluster)
            return super().cov_params()
        values = self.approximation(robust=robust, cluster=cluster).vcov
        return pd.DataFrame(np.array(values), index=self._index, columns=self._index)

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values of ``params``, with Satterthwaite's degrees of freedom."""
        return self.coefficient_frame()["pvalue"].rename("pvalues")

    @property
    def df_tests(self) -> pd.Series:
        """Satterthwaite's degrees of freedom of the tests on ``params``."""
        return self.coefficient_frame()["df"].rename("df_tests")

    def coefficient_frame(
        self, *, ddf: str = DEFAULT_METHOD, alpha: float = 0.05, **robust: Any
    ) -> pd.DataFrame:
        """Return estimates, tests and limits of the fixed effects, as in ``summary().frame``."""
        columns = self.coefficient_columns(ddf=ddf, alpha=alpha, **robust)
        return pd.DataFrame(columns, index=self._index)

    def coefficient_columns(
        self, *, ddf: str, alpha: float, **robust: Any
    ) -> dict[str, FloatArray]:
        """Return the columns of ``coefficient_frame`` as arrays."""
        used = self.approximation(ddf, **robust)
        df = used.df(np.eye(self.n_fixed))
        return coefficient_columns(used.beta, np.sqrt(np.diagonal(used.vcov)), df, alpha)

    def coefficient_notes(self, ddf: str = DEFAULT_METHOD, **robust: Any) -> tuple[str, ...]:
        """Return what a reader of tests by a method must know."""
        return self.approximation(ddf, **robust).notes

    def conf_int(
        self,
        alpha: float = 0.05,
        method: str = "wald",
        *,
        robust: str | None = None,
        cluster: Any = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Confidence limits.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.
        method : str
            "wald" (normal quantiles), "satterthwaite", "kenward-roger" or
            "kenward-roger-observed" (Student's t): fixed effects. "profile" and "boot": variance
            parameters as well.
        robust, cluster
            Cluster-robust covariance, as for ``cov_params``; with "satterthwaite" or "wald".
        **options
            For "profile" and "boot": arguments of ``profile()`` or ``bootstrap()``, by default
            1000 parametric replicates with seed 0.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``.
        """
        if robust is not None:
            check_robust(robust, method)
        if method not in DF_METHODS:
            check_cluster_unused(cluster)
            return other_interval(self, method, alpha, options)
        check_options(options, method)
        frame = self.coefficient_frame(ddf=method, alpha=alpha, robust=robust, cluster=cluster)
        return frame[["lower", "upper"]]

    def t_test(
        self,
        L: Any,
        ddf: str = DEFAULT_METHOD,
        *,
        robust: str | None = None,
        cluster: Any = None,
    ) -> Any:
        """Test linear combinations of fixed effects one by one.

        Parameters
        ----------
        L : str, list of str, mapping, array or (array, values)
            Constraints as in statsmodels: ``"Days = 0"``, or rows of coefficients.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"}
            Degrees of freedom; "wald" refers to the normal distribution.
        robust, cluster
            Cluster-robust covariance, as for ``cov_params``; with "satterthwaite" or "wald".

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
        used = self.approximation(ddf, robust, cluster)
        df = used.df(rows[0])
        return contrasts.t_test(rows, self.fixed_names, used.beta, used.vcov, df)

    def f_test(
        self,
        L: Any,
        ddf: str = DEFAULT_METHOD,
        *,
        robust: str | None = None,
        cluster: Any = None,
    ) -> Any:
        """Test linear combinations of fixed effects together, by F; arguments as ``t_test``.

        Rows that follow from others count once; Kenward-Roger scales F, and so does Hotelling's
        approximation with a cluster-robust covariance.
        """
        rows = self._constraints(L)
        return contrasts.f_test(self.approximation(ddf, robust, cluster).joint(*rows))

    def wald_test(self, L: Any, *, robust: str | None = None, cluster: Any = None) -> Any:
        """Test linear combinations of fixed effects together, by chi-square."""
        rows = self._constraints(L)
        return contrasts.wald_test(self.approximation("wald", robust, cluster).joint(*rows))

    def _constraints(self, L: Any) -> tuple[Any, Any]:
        return contrasts.constraint_matrix(L, self.fixed_names, self.design.spec.dropped_columns)

    def anova(
        self,
        type: Literal["I", "II", "III", 1, 2, 3] = "III",
        ddf: str = DEFAULT_METHOD,
        *,
        robust: str | None = None,
        cluster: Any = None,
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
        robust, cluster
            Cluster-robust covariance, as for ``cov_params``; with "satterthwaite" or "wald".

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
        return anova_table.anova_frame(self, type, self.approximation(ddf, robust, cluster))

    def hypotheses(
        self, type: Literal["I", "II", "III", 1, 2, 3] = "III"
    ) -> dict[str, pd.DataFrame]:
        """Return the combinations of ``params`` that ``anova`` tests: term -> rows by effect."""
        return anova_table.hypothesis_frames(self, type)
