"""Functions of one row at a time, with R's names and meanings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.formula.transforms.arrays import settings

__all__ = ["ELEMENTWISE", "R_NAMES"]


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a NumPy function that gives NaN or inf without a warning; the data checks see them."""

    def quiet(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(_plain(x))

    quiet.__name__ = quiet.__qualname__ = getattr(function, "__name__", "function")
    quiet.__doc__ = getattr(function, "__doc__", None)
    return quiet


def _plain(x: Any) -> Any:
    return getattr(x, "__wrapped__", x)


def log(x: Any, base: Any = np.e) -> Any:
    """Logarithm to a base, by default the natural one."""
    if np.ndim(base) or not base > 0 or base == 1:
        raise settings("log", "base", base, "a positive number other than 1")
    with np.errstate(all="ignore"):
        out = np.log(_plain(x))
        return out if base == np.e else out / np.log(base)


def round_(x: Any, digits: int = 0) -> Any:
    """Round to a number of digits, halves to even."""
    return np.round(_plain(x), int(digits))


def ifelse(test: Any, yes: Any, no: Any) -> Any:
    """``yes`` where the test holds, else ``no``; missing where the test is."""
    test = _plain(test)
    missing = np.asarray(pd.isna(test))
    if missing.any():
        test = np.where(missing, False, np.asarray(test, dtype=object))
    chosen = np.where(np.asarray(test).astype(bool), _plain(yes), _plain(no))
    if not missing.any():
        return chosen
    if chosen.dtype.kind in "biuf":
        return np.where(missing, np.nan, chosen.astype(np.float64))
    return np.where(missing, None, chosen.astype(object))


def isin(x: Any, table: Any) -> Any:
    """R's ``x %in% table`` inside an expression."""
    values = table if isinstance(table, Iterable) and not isinstance(table, str) else [table]
    return np.asarray(pd.Series(_plain(x)).isin(list(values)))


def is_na(x: Any) -> Any:
    """Whether a value is missing."""
    return np.asarray(pd.isna(_plain(x)))


def as_numeric(x: Any) -> Any:
    """Numbers of a column: text is read; the categories of a factor count from 1, as in R."""
    x = _plain(x)
    if isinstance(getattr(x, "dtype", None), pd.CategoricalDtype):
        codes = np.asarray(x.cat.codes if isinstance(x, pd.Series) else x.codes, dtype=np.float64)
        return np.where(codes < 0, np.nan, codes + 1)
    if isinstance(x, pd.Series):
        x = x.to_numpy(dtype=object, na_value=np.nan)
    return np.asarray(x).astype(np.float64)


def as_integer(x: Any) -> Any:
    """Numbers cut off to whole ones."""
    return np.trunc(as_numeric(x))


def seq(start: float, stop: float, by: float | None = None, length_out: int | None = None) -> Any:
    """Equally spaced numbers, both ends included: knots and the like."""
    if length_out is not None:
        return np.linspace(start, stop, int(length_out))
    step = (1.0 if stop >= start else -1.0) if by is None else by
    return start + step * np.arange(int((stop - start) / step + 1e-10) + 1)


def pmin(*x: Any) -> Any:
    """Smallest value of every row."""
    return np.minimum.reduce(np.broadcast_arrays(*map(_plain, x)))


def pmax(*x: Any) -> Any:
    """Largest value of every row."""
    return np.maximum.reduce(np.broadcast_arrays(*map(_plain, x)))


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "log": log,
    **{
        name: _quiet(getattr(np, name))
        for name in (
            *("log2", "log10", "log1p", "exp", "exp2", "expm1", "sqrt", "floor", "trunc", "sign"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh"),
        )
    },
    "abs": _quiet(np.abs),
    "acos": _quiet(np.arccos),
    "asin": _quiet(np.arcsin),
    "atan": _quiet(np.arctan),
    "ceiling": _quiet(np.ceil),
    "plogis": _quiet(lambda x: 1.0 / (1.0 + np.exp(-x))),
    "qlogis": _quiet(lambda x: np.log(x / (1.0 - x))),
    "exp10": _quiet(lambda x: np.power(10.0, x)),
    "round": round_,
    "ifelse": ifelse,
    "isin": isin,
    "is_na": is_na,
    "as_numeric": as_numeric,
    "as_integer": as_integer,
    "seq": seq,
    "pmin": pmin,
    "pmax": pmax,
}
"""Functions without memory, by the name that the evaluated code uses."""

R_NAMES = {
    "as.numeric": "as_numeric",
    "as.double": "as_numeric",
    "as.integer": "as_integer",
    "is.na": "is_na",
}
"""R's dotted names, and what the evaluated code calls them."""
