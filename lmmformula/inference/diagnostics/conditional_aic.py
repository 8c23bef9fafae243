r"""Akaike's criterion for predictions in the levels at hand: the conditional AIC.

``aic`` judges predictions for new levels of the grouping factors. The conditional one takes the
likelihood of the data given the random effects, and counts the degrees of freedom that the fitted
values really use; random effects that are shrunk cost less than one each.

References
----------
Vaida and Blanchard (2005), Biometrika 92, 351-370.
Greven and Kneib (2010), Biometrika 97, 773-789.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.engine.conditional import fitted_degrees
from lmmformula.postfit.requirements import require_exact_engine, require_plain_residuals
from lmmformula.report.render import render
from lmmformula.report.table import Column, Table

__all__ = ["ConditionalAIC", "conditional_aic"]


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalAIC:
    """Conditional Akaike criterion of a fit.

    Attributes
    ----------
    llf : float
        Log-likelihood given the random effects at their conditional modes.
    df_fixed_theta : float
        Trace of the hat matrix and one for sigma (Vaida and Blanchard).
    correction : float
        What estimating the covariance parameters adds (Greven and Kneib).
    """

    llf: float
    df_fixed_theta: float
    correction: float

    @property
    def df(self) -> float:
        """Effective number of parameters, the correction included."""
        return self.df_fixed_theta + self.correction

    @property
    def caic(self) -> float:
        """The criterion: minus twice ``llf`` and twice ``df``."""
        return -2.0 * self.llf + 2.0 * self.df

    @property
    def caic_fixed_theta(self) -> float:
        """The criterion with theta taken as known; it favours larger random parts."""
        return -2.0 * self.llf + 2.0 * self.df_fixed_theta

    def to_frame(self) -> pd.DataFrame:
        """One row; columns ``caic, llf, df, df_fixed_theta, caic_fixed_theta``."""
        names = ("caic", "llf", "df", "df_fixed_theta", "caic_fixed_theta")
        return pd.DataFrame({name: [getattr(self, name)] for name in names})

    def __repr__(self) -> str:
        rows = (
            ("Conditional AIC", self.caic),
            ("Conditional log-likelihood", self.llf),
            ("Effective parameters", self.df),
            ("of these for estimating theta", self.correction),
        )
        return render(
            Table("Conditional AIC", (Column(""), Column("", "criterion")), rows, has_heading=False)
        )


def conditional_aic(results: Any) -> ConditionalAIC:
    """Conditional AIC of a fit."""
    require_exact_engine(results.any_system, "the conditional AIC", "`aic`, or `lf.compare(...)`")
    e, system = results.estimates, results.system
    require_plain_residuals(
        results.design.matrices.residual, "the conditional AIC", "`aic`, or `lf.compare(...)`"
    )
    degrees = fitted_degrees(system, e.theta, e.criterion == "REML")
    variance = e.sigma**2
    llf = -0.5 * (
        e.n_obs * np.log(2.0 * np.pi * variance)
        - system.log_weights
        + degrees.residual_ss / variance
    )
    return ConditionalAIC(float(llf), degrees.trace + 1.0, degrees.correction)
