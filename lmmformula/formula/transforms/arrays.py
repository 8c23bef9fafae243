"""Arguments of formula functions as plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from formulaic.utils.stateful_transforms import stateful_transform

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.errors import DataError, FormulaError

__all__ = ["as_numbers", "present", "settings", "stateful"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def stateful(function: _Function) -> _Function:
    """Make a function with a ``_state`` argument a stateful transform of formulaic."""
    return cast("_Function", stateful_transform(function))


def as_numbers(values: Any, function: str) -> FloatArray:
    """Return a numeric argument as a new float array with NaN for missing values.

    Parameters
    ----------
    values : array-like
        What the formula passes to the function.
    function : str
        Name of the function, for messages.
    """
    values = getattr(values, "__wrapped__", values)
    if isinstance(getattr(values, "dtype", None), pd.CategoricalDtype):
        raise _not_numeric(function, "a factor")
    try:
        if isinstance(values, pd.Series):
            out = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            out = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _not_numeric(function, f"values such as {np.asarray(values).ravel()[:1]}") from error
    if out.ndim != 1:
        raise DataError(
            f"`{function}()` needs one column.",
            got=f"an array of shape {out.shape}",
            suggestion="one column as the first argument",
            function=function,
        )
    return np.array(out)


def _not_numeric(function: str, got: str) -> DataError:
    return DataError(
        f"`{function}()` needs numbers.",
        got=got,
        suggestion="a numeric column as the first argument",
        function=function,
    )


def present(x: FloatArray, function: str) -> BoolArray:
    """Return which values are there; infinite ones, or none at all, are refused."""
    if np.isinf(x).any():
        raise DataError(
            f"`{function}()` needs finite numbers.",
            got=f"{int(np.isinf(x).sum())} infinite values",
            suggestion="remove or replace the infinite values",
            function=function,
        )
    there: BoolArray = ~np.isnan(x)
    if not there.any():
        raise DataError(
            f"`{function}()` has no values to learn from.",
            got=f"{x.size} rows, all missing",
            suggestion="a column with values",
            function=function,
        )
    return there


def settings(function: str, name: str, got: Any, needed: str) -> FormulaError:
    """Return the error for an argument of a formula function that cannot be used."""
    return FormulaError(
        f"`{function}()` cannot use its argument `{name}`.",
        got=f"`{name}={got!r}`",
        suggestion=f"`{name}` is {needed}",
        function=function,
        argument=name,
    )
