"""The numbers of a fit under the names that statsmodels users know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray, frozen
from lmmformula.design import Design
from lmmformula.engine import Estimates

__all__ = ["FitStatistics"]


@lru_cache(maxsize=64)
def _index_of(names: tuple[str, ...]) -> pd.Index:
    """Share one immutable index between all results with the same columns; refits need it fast."""
    return pd.Index(list(names))


class FitStatistics(ABC):
    """Numbers that follow from the estimates alone."""

    @property
    @abstractmethod
    def design(self) -> Design:
        """What the formula made of the data."""

    @property
    @abstractmethod
    def estimates(self) -> Estimates:
        """Estimates as arrays."""

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.design.spec.formula.text

    @property
    def response_name(self) -> str:
        """Left side of the formula."""
        return self.design.spec.response_name

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects that can be estimated."""
        return self.design.matrices.fixed_names

    @property
    def n_fixed(self) -> int:
        """Number of fixed effects that can be estimated."""
        return len(self.fixed_names)

    @property
    def _index(self) -> pd.Index:
        return _index_of(self.fixed_names)

    @cached_property
    def _se(self) -> FloatArray:
        return np.asarray(np.sqrt(np.diagonal(self.estimates.vcov_beta)))

    @property
    def params(self) -> pd.Series:
        """Fixed effects; columns that others determine are left out."""
        return pd.Series(self.estimates.beta.copy(), index=self._index, name="params")

    @property
    def bse(self) -> pd.Series:
        """Standard errors of ``params``."""
        return pd.Series(self._se.copy(), index=self._index, name="bse")

    @property
    def tvalues(self) -> pd.Series:
        """``params`` over ``bse``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.estimates.beta / self._se
        return pd.Series(ratio, index=self._index, name="tvalues")

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of ``params``."""
        values = np.array(self.estimates.vcov_beta)
        return pd.DataFrame(values, index=self._index, columns=self._index)

    @property
    def theta(self) -> FloatArray:
        """Relative covariance parameters in lme4's order: lower triangles by columns."""
        return frozen(self.estimates.theta)

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(self.estimates.sigma)

    @property
    def scale(self) -> float:
        """Residual variance."""
        return self.sigma * self.sigma

    @property
    def criterion(self) -> str:
        """Which likelihood was maximized: "REML" or "ML"."""
        return str(self.estimates.criterion)

    @property
    def objective(self) -> float:
        """Minus twice the (restricted) log-likelihood, less the sum of log weights."""
        return float(self.estimates.objective)

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one for REML."""
        return -self.objective / 2

    @property
    def deviance(self) -> float:
        """Minus twice the log-likelihood (never the restricted one), profiled at ``theta``."""
        e = self.estimates
        if e.criterion == "ML":
            return self.objective
        left = e.n_obs - e.p
        restricted = e.logdet_RX + left * (1 + np.log(2 * np.pi * e.pwrss / left))
        full = e.n_obs * (1 + np.log(2 * np.pi * e.pwrss / e.n_obs))
        return float(self.objective - restricted + full)

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return int(self.estimates.n_obs)

    @property
    def npar(self) -> int:
        """Number of fixed effects, covariance parameters and sigma."""
        return int(self.estimates.p + self.estimates.n_theta + 1)

    @property
    def df_model(self) -> int:
        """Rank of X."""
        return int(self.estimates.p)

    @property
    def df_resid(self) -> int:
        """Rows less parameters, as lme4 counts them."""
        return self.nobs - self.npar

    @property
    def aic(self) -> float:
        """Akaike's criterion, from ``objective``."""
        return self.objective + 2 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion, from ``objective`` and the log of the rows used."""
        return self.objective + float(np.log(self.nobs)) * self.npar

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels by grouping factor."""
        return {block.group: block.n_levels for block in self.design.matrices.random}

    def _rows(self, values: FloatArray, name: str) -> pd.Series:
        return pd.Series(values, index=self.design.spec.index, name=name)
