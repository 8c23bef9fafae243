"""Covariance parameters with their uncertainty, as a method of a result."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from lmmformula.design.notify import notify
from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.effects.wald import check_alpha, critical_value
from lmmformula.inference.variance.wald import NaturalEstimates, natural_estimates
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.singular import Singularity
from lmmformula.postfit.statistics import FitStatistics

__all__ = ["CovarianceAccessors"]


class CovarianceAccessors(FitStatistics):
    """Uncertainty of variances and correlations."""

    _model: ModelLike
    _optimum: Optimum

    @property
    @abstractmethod
    def singularities(self) -> tuple[Singularity, ...]:
        """What is on the boundary."""

    def covariance_parameters(self, alpha: float = 0.05) -> pd.DataFrame:
        """Variance components, correlations and residual parameters with Wald intervals.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level of the intervals.

        Returns
        -------
        DataFrame
            Index as ``varcorr.parameters()`` (``sd_Days|Subject``, ``rho|Subject``), then the
            residuals' parameters (``rho``, ``ratio_b``, ``power``) and ``sigma``; columns
            ``estimate, se, lower, upper``.

        Raises
        ------
        OptionError
            Theta was given, so there is no optimum; or ``alpha`` is no probability.

        Warns
        -----
        InferenceWarning
            Parameters at the end of their range, or that the data do not identify, have neither
            standard error nor limits. Those of the others are conditional on them.

        Notes
        -----
        From the exact Hessian of the criterion that was optimized, REML or ML. Intervals are
        symmetric on the log of standard deviations, ratios and ranges, in Fisher's z for
        correlations (logit over their own range: above -1/(k - 1) for ``cs``, above zero in
        continuous time), and for powers as they are. They rest on an approximately quadratic
        likelihood; ``profile()`` and ``bootstrap`` do not.

        References
        ----------
        Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + cs(Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> print(fit.covariance_parameters().round(3).to_string())
                              estimate     se   lower   upper
        sd_Intercept|Subject    24.740  5.836  15.582  39.283
        sd_Days|Subject          5.922  1.248   3.918   8.951
        rho|Subject              0.066  0.325  -0.518   0.608
        sigma                   25.592  1.508  22.800  28.725
        """
        quantile = critical_value(check_alpha(alpha), np.array([np.inf]))[0]
        if self._optimum.status is OptimumStatus.FIXED:
            raise OptionError(
                "standard errors need the maximum of the likelihood, and this result is at a given "
                "theta.",
                got="a result of `model.at(theta)`",
                suggestion="`model.fit().covariance_parameters()`",
            )
        found = self.natural_estimates
        names = [component.name for component in found.components]
        lower, upper = found.limits(float(quantile))
        missing = tuple(np.array(names, dtype=object)[np.isnan(found.se)].tolist())
        if missing:
            notify(_no_limits(missing))
        columns = {"estimate": found.values, "se": found.se, "lower": lower, "upper": upper}
        return pd.DataFrame(columns, index=pd.Index(names))

    @cached_property
    def natural_estimates(self) -> NaturalEstimates:
        """Natural covariance parameters and their standard errors as arrays.

        There are no errors where theta was given.
        """
        at_end = {item.parameter for item in self.singularities}
        found = natural_estimates(self._model.any_system, self.estimates, at_end)
        if self._optimum.status is OptimumStatus.FIXED:
            return replace(found, se=np.full_like(found.se, np.nan))
        return found


def _no_limits(names: tuple[str, ...]) -> InferenceWarning:
    return InferenceWarning(
        "covariance parameters at the end of their range, or that the data do not identify, have "
        "no standard error; those of the others hold these where they are.",
        got=", ".join(f"`{name}`" for name in names),
        suggestion='`profile("random")`, whose intervals may end there',
        parameters=names,
    )
