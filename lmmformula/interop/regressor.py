"""Linear mixed models for scikit-learn: pipelines, grid searches, cross-validation by group."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design import materialize
from lmmformula.errors import DataError, DimensionError, OptionError
from lmmformula.formula import parse, parse_residual
from lmmformula.interop.columns import (
    Layout,
    is_frame,
    named_columns,
    names_of,
    refuse_repeated_names,
)
from lmmformula.model import LinearMixedModel
from lmmformula.results import LinearMixedResults

try:
    from sklearn.base import BaseEstimator, RegressorMixin
except ImportError:

    class RegressorMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's class, so that the name can be listed and documented."""

    class BaseEstimator:  # type: ignore[no-redef]
        """Stands in for scikit-learn's class; says what is missing when an object is made."""

        def __new__(cls, *_: Any, **__: Any) -> Any:
            """Refuse."""
            raise OptionError(
                "`LinearMixedRegressor` needs scikit-learn, which is not installed.",
                got="no module `sklearn`",
                suggestion='`pip install "lmmformula[sklearn]"`; `lf.lmer` needs nothing else',
                package="scikit-learn",
                extra="sklearn",
            )


__all__ = ["LinearMixedRegressor"]


class LinearMixedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """A linear mixed model with the methods of a scikit-learn regressor.

    Parameters
    ----------
    formula : str, optional
        Model over the columns of ``X``, with or without a left side: ``"~ Days + (Days |
        Subject)"``. The columns of an array are called ``x0``, ``x1``, ... Default: an intercept
        and all columns but ``groups``.
    groups : str or list of str, optional
        Columns with a random intercept each, if the formula has no random-effects term. If the
        values are given as ``fit(X, y, groups=values)`` instead, the name of their column
        (default "groups").
    reml : bool, default True
        Maximize the restricted likelihood.
    random : {"all", "none"} or list of str
        Grouping factors whose random effects predictions include.
    new_levels : {"zero", "raise"}
        What a level that was not fitted does in predictions: "zero" predicts it at the mean of
        the population, which cross-validation by group needs.
    contrasts, residual, variance
        As for ``lmm``.
    optimizer : str or settings, optional
        As for ``LinearMixedModel.fit``.

    Attributes
    ----------
    results_ : LinearMixedResults
        The fit, with everything that it can do.
    formula_ : str
        The formula that was fitted.
    n_features_in_ : int
        Number of columns of ``X``.
    feature_names_in_ : ndarray of str
        Their names, where ``X`` had names.

    Notes
    -----
    Without groups and without a random-effects term the model is the ordinary linear one.
    ``sample_weight`` are prior weights: the residual variance of a row is sigma^2 / weight, so
    that in a mixed model a weight of two is a more exact row, not two rows; rows with weight zero
    are left out. Rows with missing values are an error when fitting, and NaN when predicting from
    a table.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> model = lf.LinearMixedRegressor("~ Days + (Days | Subject)")
    >>> model = model.fit(data[["Days", "Subject"]], data["Reaction"])
    >>> model.results_.params.round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    >>> model.predict(data[["Days", "Subject"]])[:2].round(2)
    array([253.66, 273.33])
    """

    def __init__(
        self,
        formula: str | None = None,
        groups: Any = None,
        *,
        reml: bool = True,
        random: Any = "all",
        new_levels: str = "zero",
        contrasts: Any = None,
        residual: Any = None,
        variance: Any = None,
        optimizer: Any = None,
    ) -> None:
        self.formula = formula
        self.groups = groups
        self.reml = reml
        self.random = random
        self.new_levels = new_levels
        self.contrasts = contrasts
        self.residual = residual
        self.variance = variance
        self.optimizer = optimizer

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> LinearMixedRegressor:
        """Fit the model.

        Parameters
        ----------
        X : frame or array_like, shape (n, m)
            Predictors and grouping factors; text and categories need a table.
        y : array_like, shape (n,)
            Response.
        sample_weight : array_like, shape (n,), optional
            Prior weights.
        groups : array_like, shape (n,), optional
            Levels of the grouping factor, where they are not a column of ``X``.

        Returns
        -------
        LinearMixedRegressor
            The object itself.
        """
        from sklearn.utils.validation import check_consistent_length

        X, y = self._checked(X, y)
        check_consistent_length(X, y, sample_weight, groups)
        names = names_of(X)
        layout = Layout.of(self.formula, self.groups, names, groups is not None)
        weights = _weights(sample_weight)
        residual = parse_residual(self.residual, self.variance)
        design = materialize(
            parse(layout.formula, require_random=False),
            layout.data(named_columns(X, names), y=y, groups=groups),
            weights=weights,
            subset=None if weights is None else weights != 0.0,
            contrasts=self.contrasts,
            missing="raise",
            residual=residual,
        )
        self.results_: LinearMixedResults = LinearMixedModel(design).fit(
            self.reml, optimizer=self.optimizer
        )
        self.formula_ = layout.formula
        self._layout, self._columns = layout, names
        return self

    def predict(self, X: Any, groups: Any = None) -> FloatArray:
        """Predict rows.

        Parameters
        ----------
        X : frame or array_like, shape (n, m)
            The columns that were fitted.
        groups : array_like, shape (n,), optional
            Levels, where the model was fitted with ``groups``; without them predictions leave
            that factor's random effects out.

        Returns
        -------
        ndarray, shape (n,)
        """
        from sklearn.utils.validation import check_is_fitted, validate_data

        check_is_fitted(self, "results_")
        is_table = is_frame(X)
        X = validate_data(self, X, reset=False, skip_check_array=is_table)
        data = self._layout.data(named_columns(X, self._columns), groups=groups)
        predict: Any = self.results_.predict  # the options are checked there
        values = predict(
            data or {" ": np.zeros(len(X))},
            random=self._groups_of_predictions(groups is not None),
            new_levels=self.new_levels,
        )
        return np.asarray(values, dtype=np.float64)

    def _checked(self, X: Any, y: Any) -> tuple[Any, FloatArray]:
        """Let scikit-learn look at ``X`` and ``y`` as at any regressor's."""
        from sklearn.utils.validation import check_array, column_or_1d, validate_data

        if not is_frame(X):
            X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=2)
        else:
            refuse_repeated_names(X)
            X, y = validate_data(self, X, y, skip_check_array=True)
        y = column_or_1d(y, warn=True)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        return X, y

    def _groups_of_predictions(self, has_groups: bool) -> Any:
        """Grouping factors whose effects can be added."""
        if has_groups or self._layout.group is None or self.random == "none":
            return self.random
        lost = {
            item.term.group
            for item in self.results_.design.spec.random
            if any(self._layout.group in atom.variables for atom in item.term.group_atoms)
        }
        wanted = self.results_.ngroups if self.random == "all" else self.random
        return [name for name in wanted if name not in lost]


def _weights(sample_weight: Any) -> FloatArray | None:
    """Prior weights, of which at least one is not zero."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim != 1:
        raise DimensionError(
            "`sample_weight` must have one value per row.",
            got=f"shape {weights.shape}",
            suggestion="`sample_weight=None` for equal weights",
            role="sample_weight",
        )
    if not weights.any():
        raise DataError(
            "every `sample_weight` is zero, so no row is left.",
            got=f"{len(weights)} weights of zero",
            suggestion="`sample_weight=None` for equal weights",
            role="sample_weight",
        )
    return weights
