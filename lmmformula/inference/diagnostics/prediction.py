"""Predictions with their limits: for a mean, or for a new observation."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design.stream.open import open_stream
from lmmformula.engine import AnySystem, Estimates
from lmmformula.engine.error_variance import error_variance
from lmmformula.engine.krylov import KrylovSystem
from lmmformula.engine.prediction import error_forms
from lmmformula.errors import OptionError
from lmmformula.inference.effects.wald import check_alpha, critical_value
from lmmformula.postfit.errors_of_rows import Target, fitted_target, new_target
from lmmformula.postfit.predict import (
    check_new_levels,
    linear_predictor,
    predict,
    resolve_groups,
)
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.requirements import EXACT, require_exact_engine, require_plain_residuals
from lmmformula.postfit.residual_structure import ResidualStructure
from lmmformula.postfit.statistics import FitStatistics
from lmmformula.postfit.streamed_rows import predict_in_pieces, refuse_target

__all__ = ["INTERVALS", "PREDICTION_DF", "PredictionAccessors", "limits"]

INTERVALS: dict[str, str] = {
    "confidence": "of the mean at these rows",
    "prediction": "of one new observation in each row",
}

PREDICTION_DF: dict[str, str] = {
    "satterthwaite": "Student's t, degrees of freedom row by row",
    "wald": "normal quantiles",
    "kenward-roger-observed": "as satterthwaite, with `se` made larger by what the estimation of "
    "the covariance parameters adds (REML fits)",
}


LEAST_DF = 1.0
"""A sum of estimated variances has at least the degrees of freedom of one; near a variance of zero
the approximation gives less, and quantiles without bound. Coverage is the same with the limit."""


class PredictionAccessors(FitStatistics):
    """Predictions of a result."""

    _model: ModelLike

    @property
    @abstractmethod
    def residual_structure(self) -> ResidualStructure | None:
        """Correlation and variance functions of the residuals."""

    @overload
    def predict(
        self,
        newdata: Any = ...,
        random: Literal["all", "none"] | Sequence[str] = ...,
        new_levels: Literal["raise", "zero"] = ...,
        interval: None = ...,
        alpha: float = ...,
        ddf: str = ...,
    ) -> pd.Series: ...

    @overload
    def predict(
        self,
        newdata: Any = ...,
        random: Literal["all", "none"] | Sequence[str] = ...,
        new_levels: Literal["raise", "zero"] = ...,
        *,
        interval: Literal["confidence", "prediction"],
        alpha: float = ...,
        ddf: str = ...,
    ) -> pd.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: Any,
        random: Literal["all", "none"] | Sequence[str] = ...,
        new_levels: Literal["raise", "zero"] = ...,
        interval: Literal["confidence", "prediction"] | None = ...,
        alpha: float = ...,
        ddf: str = ...,
        *,
        to: str | os.PathLike[str],
    ) -> Path: ...

    def predict(
        self,
        newdata: Any = None,
        random: Literal["all", "none"] | Sequence[str] = "all",
        new_levels: Literal["raise", "zero"] = "raise",
        interval: Literal["confidence", "prediction"] | None = None,
        alpha: float = 0.05,
        ddf: str = "satterthwaite",
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Predict the response.

        Parameters
        ----------
        newdata : frame, dict, or data in pieces, optional
            Rows to predict; default: the fitted rows. Rows in pieces (all that ``lf.stream``
            reads) are predicted chunk by chunk.
        random : "all", "none" or list of grouping factors
            Whose random effects are added.
        new_levels : {"raise", "zero"}
            Levels that were not fitted: an error, or a random effect of zero (with the variance of
            the population in every interval).
        interval : None, "confidence" or "prediction"
            Limits for the mean that is predicted, or for a new observation.
        alpha : float
            One less the level of the interval.
        ddf : {"satterthwaite", "wald", "kenward-roger-observed"}
            Quantiles of Student's t with degrees of freedom for each row; of the normal; or
            Student's t with ``se`` corrected for the estimation of the covariance parameters
            [2]_ [3]_, as SAS does for predictions (REML fits only).
        to : str or path, optional
            For rows in pieces: a Parquet file to write, whole or not at all.

        Returns
        -------
        Series, or DataFrame with columns ``predicted, se, lower, upper``; for rows in pieces an
        iterator of DataFrames, or the path that was written
            With the index of ``newdata``; NaN in rows with a missing value. An offset that is
            named by column is added.

        Notes
        -----
        ``se`` is the root of the variance of (prediction - target) given the covariance parameters,
        from the joint covariance of the fixed effects and of the conditional modes' errors [1]_.
        The target of a confidence interval is the fixed part plus the random effects named by
        ``random``; with "none" its variance is ``x' cov_params x``. The target of a prediction
        interval is an observation: sigma^2 / weight is added, and so is the variance of every
        random effect that ``random`` leaves out, because an observation has these effects, those of
        a level drawn anew. Leaving a factor out and predicting an unknown level of it with
        ``new_levels="zero"`` therefore give the same interval. New data without the weights'
        column get a weight of one, with a warning.

        Satterthwaite's degrees of freedom are those of the whole variance, at least one.

        With variance functions (``variance=``, or a structure with one variance per time) a new
        row has the residual variance that its own columns give. Residuals of new rows are taken as
        independent of the fitted ones, also where ``residual=`` correlates those.

        In terms over times or places (``ou``, ``exp``) a row may be at a new one: its effect is
        predicted from the fitted ones (kriging), and the variance that these leave is added.

        A fit by Krylov methods has confidence and prediction intervals from solves, exact up to
        the solver's tolerance: one solve for every different combination of levels and effects
        among the rows, 32 at a time, so that memory does not grow with the rows but time does.
        Where these are many, as for the fitted rows of large data, predict the rows that are
        wanted. Satterthwaite's degrees of freedom rest on the average information there.

        References
        ----------
        .. [1] Henderson (1975), Biometrics 31, 423-447.
        .. [2] Kackar and Harville (1984), J. Amer. Statist. Assoc. 79, 853-862.
        .. [3] Prasad and Rao (1990), J. Amer. Statist. Assoc. 85, 163-171.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> new = {"Days": [9.0, 9.0], "Subject": ["308", "somebody"]}
        >>> fit.predict(new, new_levels="zero", interval="confidence").round(1)
           predicted    se  lower  upper
        0      430.7  13.9  403.3  458.0
        1      345.6  62.0  213.7  477.6
        """
        check_new_levels(new_levels)
        groups = resolve_groups(random, list(self.ngroups))
        alpha = check_alpha(alpha)
        if interval is not None:
            self._check_limits(interval, ddf)
        stream = None if newdata is None else open_stream(newdata)
        if stream is not None:
            limited: dict[str, Any] = {"interval": interval, "alpha": alpha, "ddf": ddf}
            again = partial(self.predict, random=random, new_levels=new_levels, **limited)
            return predict_in_pieces(self.design, stream, again, to)
        refuse_target(to)
        if newdata is None:
            self._model.require_rows("`predict()` without new data")
        if interval is None:
            if newdata is not None:
                return predict(self.design, self.estimates, newdata, groups, new_levels=new_levels)
            return self._rows(linear_predictor(self.design, self.estimates, groups), "predicted")
        parts = (self.design, self.estimates, self._model.any_system)
        options: dict[str, Any] = {
            "observation": interval == "prediction",
            "structure": self.residual_structure,
        }
        if newdata is None:
            target = fitted_target(*parts, groups, **options)
        else:
            target = new_target(*parts, newdata, groups, new_levels=new_levels, **options)
        return limits(self._model.any_system, self.estimates, target, alpha, ddf)

    def _check_limits(self, interval: Any, ddf: Any) -> None:
        """Raise unless these limits are known for this fit."""
        check_interval(interval, ddf)
        if ddf == "kenward-roger-observed" and self.criterion != "REML":
            raise _needs_reml(ddf)
        if ddf == "kenward-roger-observed":
            require_plain_residuals(
                self.design.matrices.residual, f'`ddf="{ddf}"`', '`ddf="satterthwaite"`'
            )
        system, what = self._model.any_system, f"`predict(interval={interval!r})`"
        if isinstance(system, KrylovSystem) and ddf == "kenward-roger-observed":
            require_exact_engine(system, f'{what} with `ddf="{ddf}"`', '`ddf="satterthwaite"`')
        if not isinstance(system, KrylovSystem):
            require_exact_engine(system, what, EXACT)


def check_interval(interval: Any, ddf: Any) -> None:
    """Raise unless both are registered."""
    for name, value, known in (("interval", interval, INTERVALS), ("ddf", ddf, PREDICTION_DF)):
        if isinstance(value, str) and value in known:
            continue
        what = "a kind of interval" if name == "interval" else "a method for its quantiles"
        raise OptionError(
            f"`{name}={value!r}` is not {what} of predictions.",
            got="; ".join(f'"{key}": {text}' for key, text in known.items()),
            suggestion=f'`{name}="{next(iter(known))}"`',
            argument=name,
            value=value,
            available=tuple(known),
        )


def _needs_reml(ddf: str) -> OptionError:
    return OptionError(
        f'`ddf="{ddf}"` needs a REML fit: it rests on unbiased variances.',
        got="a maximum likelihood fit",
        suggestion='fit with `reml=True`, or `ddf="satterthwaite"`',
        argument="ddf",
        value=ddf,
        available=tuple(PREDICTION_DF),
    )


def _needs_fitted_places(ddf: str, n_rows: int) -> OptionError:
    return OptionError(
        f'`ddf="{ddf}"` has no correction for predictions at times or places that were not fitted.',
        got=f"{n_rows} such rows",
        suggestion='`ddf="satterthwaite"`',
        argument="ddf",
        value=ddf,
        available=("satterthwaite", "wald"),
    )


def limits(
    system: AnySystem, estimates: Estimates, target: Target, alpha: float, ddf: str
) -> pd.DataFrame:
    """Predictions, their standard errors and limits.

    Parameters
    ----------
    system : BlockedSystem or KrylovSystem
    estimates : Estimates
    target : Target
        The rows.
    alpha : float
        One less the level.
    ddf : str
        A key of ``PREDICTION_DF``.

    Returns
    -------
    DataFrame
        Columns ``predicted, se, lower, upper``.
    """
    reml = estimates.criterion == "REML"
    if ddf == "wald":
        forms = error_forms(system, estimates.theta, reml, target.rows)
        variance = forms.total + target.residual
        df: FloatArray = np.full(len(variance), np.inf)
    else:
        corrected = ddf == "kenward-roger-observed"
        if corrected and target.rows.places:
            raise _needs_fitted_places(ddf, len(target.rows.places[0].rows))
        errors = error_variance(
            system,
            estimates.theta,
            reml,
            target.rows,
            target.residual,
            residual_slopes=target.residual_slopes,
            corrected=corrected,
        )
        variance = errors.variance + errors.correction
        df = np.maximum(errors.df, LEAST_DF)
    se = estimates.sigma * np.sqrt(np.maximum(variance, 0.0))
    half = critical_value(alpha, df) * se
    columns = {
        "predicted": target.predicted,
        "se": np.where(np.isnan(target.predicted), np.nan, se),
        "lower": target.predicted - half,
        "upper": target.predicted + half,
    }
    return pd.DataFrame(columns, index=target.index)
