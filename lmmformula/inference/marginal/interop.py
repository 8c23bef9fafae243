"""Fitted models in the interface of the ``marginaleffects`` package.

``marginaleffects`` accepts any instance of its abstract model class. The adapter gives it the fixed
effects, their covariance, the rows of the data and our own encoding of new rows, so that its
predictions, comparisons, slopes and hypotheses are about the population: random effects are zero.
The package is imported when an adapter is asked for, never before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design, DesignSpec
from lmmformula.design.columns import Categories
from lmmformula.design.sources import open_source
from lmmformula.errors import DataError, OptionError

__all__ = ["marginaleffects_model"]

SMALLEST_VERSION = "0.5"


def marginaleffects_model(results: Any, data: Any, *, ddf: str, df: float) -> Any:
    """Wrap a fit; see ``LinearMixedResults.marginaleffects``."""
    adapter = _adapter_class()
    results.model.require_rows("`marginaleffects`")
    if isinstance(df, bool) or not isinstance(df, int | float) or not df > 0:
        raise OptionError(
            "`df` must be a positive number.",
            got=f"`df={df!r}`",
            suggestion="`df=float('inf')` for the normal distribution",
            argument="df",
        )
    return adapter(
        results, _model_rows(results.design, data), results.approximation(ddf), float(df)
    )


@lru_cache(maxsize=1)
def _adapter_class() -> Any:
    """Derive from marginaleffects' abstract class, once."""
    try:
        from marginaleffects.classes import (  # type: ignore[import-not-found, unused-ignore]
            ModelAbstract,
        )
    except ImportError as error:
        raise OptionError(
            "the package `marginaleffects` is needed for this.",
            got=str(error),
            suggestion=f'`pip install "marginaleffects>={SMALLEST_VERSION}"`, or '
            "`results.marginal_means(...)`, which needs nothing else",
            package="marginaleffects",
        ) from error
    return type("MixedModelAdapter", (_Methods, ModelAbstract), {"__doc__": _Methods.__doc__})


class _Methods:
    """A fitted mixed model as marginaleffects wants it."""

    vault: Any

    def __init__(self, results: Any, rows: Any, used: Any, df: float) -> None:
        from marginaleffects.classes import ModelVault

        self.df_resid = df
        self.spec = results.design.spec
        self.n_fixed = len(used.beta)
        vault = ModelVault(
            coef=np.array(used.beta),
            coefnames=np.array(results.fixed_names),
            # a callable tells marginaleffects to leave the reading of rows to us
            formula=self.get_matrices,
            modeldata=rows,
            package="lmmformula",
            vcov=np.array(used.vcov),
            variable_names=_variables(self.spec),
        )
        super().__init__(results, vault)  # type: ignore[call-arg]

    def get_matrices(self, newdata: Any) -> tuple[Any, Any]:
        """Response (none) and encoded rows."""
        return None, self.get_exog(newdata)

    def get_exog(self, newdata: Any) -> FloatArray:
        """Encode rows as the fitted ones were; the last column is the offset."""
        rows = self.spec.replay(_plain(newdata, self.spec), random=())
        offset = np.zeros(len(rows.X)) if rows.offset is None else rows.offset
        return np.column_stack([rows.X, offset])

    def get_predict(self, params: Any, newdata: Any) -> Any:
        """Linear predictor without random effects."""
        import polars as pl

        exog = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
        value = exog[:, : self.n_fixed] @ np.asarray(params) + exog[:, self.n_fixed]
        return pl.DataFrame({"rowid": np.arange(len(value), dtype=np.int32), "estimate": value})

    def get_vcov(self, vcov: Any = True) -> Any:
        """Covariance of the fixed effects; nothing for false."""
        if isinstance(vcov, bool) or vcov is None:
            return None if vcov is False else self.vault.vcov
        raise OptionError(
            "`vcov` must be true, false or an array for a mixed model.",
            got=f"`vcov={vcov!r}`",
            suggestion="`vcov=True`; choose the method when the adapter is made",
            argument="vcov",
        )


def _variables(spec: DesignSpec) -> list[str]:
    """Name the response and the predictors."""
    return [spec.response_name, *(column.name for column in spec.predictors.columns)]


def _model_rows(design: Design, data: Any) -> Any:
    """Rows used, as a polars frame of the columns of the model; factors as ``Enum``."""
    import polars as pl

    spec, source = design.spec, open_source(data)
    if source.n_rows != spec.n_rows_data:
        raise DataError(
            "these are not the data that the model was fitted to.",
            got=f"{source.n_rows} rows; the fit had {spec.n_rows_data}",
            suggestion="the frame that was given to `lmer`",
            n_rows=source.n_rows,
            expected=spec.n_rows_data,
        )
    names = [*dict.fromkeys(n for n in (*_variables(spec), *spec.formula.variables) if n in source)]
    columns = {}
    for name in names:
        value = source.column(name).take(design.matrices.rows)
        if isinstance(value, Categories):
            labels = [str(level) for level in value.levels]
            text = pd.Categorical.from_codes(value.codes, categories=pd.Index(labels))
            columns[name] = pl.Series(name, text.tolist(), dtype=pl.Enum(labels))
        else:
            columns[name] = pl.Series(name, value.values)
    return pl.DataFrame(columns)


def _plain(newdata: Any, spec: DesignSpec) -> dict[str, Any]:
    """Return the predictors of a polars frame as arrays that the replay reads."""
    out: dict[str, Any] = {}
    for predictor in spec.predictors.columns:
        column = newdata[predictor.name]
        if predictor.categories:
            known = {str(raw): i for i, raw in enumerate(predictor.categories)}
            codes = np.array([known.get(str(value), -1) for value in column.to_list()])
            out[predictor.name] = predictor.column(predictor.levels, codes)
        else:
            out[predictor.name] = column.to_numpy()
    if not out:
        out[" "] = np.zeros(newdata.height)
    return out
