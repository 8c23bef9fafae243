"""Functions that learn a number from the data and keep it for new data: ``scale``, ``mean``, ...

R recomputes ``mean(x)`` inside ``I(x - mean(x))`` from the new data when it predicts; here the
value of the fitted rows is kept, which is what the fitted coefficients refer to.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, cast

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.errors import DataError
from lmmformula.formula.transforms.arrays import as_numbers, present, settings, stateful

__all__ = ["SUMMARIES", "center", "scale", "setting", "standardize"]


@stateful
def scale(
    x: Any,
    center: bool | float = True,
    scale: bool | float = True,
    ddof: int = 1,
    *,
    _state: MutableMapping[str, Any],
) -> FloatArray:
    """Centre and scale a column as R's ``scale``.

    Parameters
    ----------
    x : array-like, shape (n,)
        A numeric column; missing values are left out of mean and standard deviation.
    center : bool or float, default True
        Subtract the mean, or this number.
    scale : bool or float, default True
        Divide by the root of the sum of squares over n - 1 (after centring: the standard
        deviation), or by this number.
    ddof : int, default 1
        What is taken off n.
    """
    x = as_numbers(x, "scale")
    if "center" not in _state:
        known = x[present(x, "scale")]
        middle = setting("center", center, float(known.mean()), otherwise=0.0)
        known = known - middle
        spread = np.sqrt(known @ known / max(known.size - ddof, 1))
        _state["center"] = middle
        _state["scale"] = setting("scale", scale, float(spread), otherwise=1.0)
    if not _state["scale"] > 0:
        raise DataError(
            "`scale()` cannot divide by a standard deviation of zero.",
            got="the same value in all rows",
            suggestion="take the column out of the formula",
            function="scale",
        )
    return cast("FloatArray", (x - _state["center"]) / _state["scale"])


def setting(name: str, value: Any, learned: float, *, otherwise: float) -> float:
    """Return a switch's number: the learned one, none, or the one given."""
    if isinstance(value, (bool, np.bool_)):
        return learned if value else otherwise
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise settings("scale", name, value, "TRUE, FALSE or a number")
    return number


@stateful
def center(x: Any, *, _state: MutableMapping[str, Any]) -> FloatArray:
    """Subtract the mean."""
    return scale(x, scale=False, _state=_state)


@stateful
def standardize(
    x: Any,
    center: bool = True,
    rescale: bool = True,
    ddof: int = 0,
    *,
    _state: MutableMapping[str, Any],
) -> FloatArray:
    """Centre and scale with the n-divisor standard deviation (patsy's ``standardize``)."""
    return scale(x, center=center, scale=rescale, ddof=ddof, _state=_state)


def _sd(x: FloatArray) -> float:
    return float(np.std(x, ddof=1)) if x.size > 1 else float("nan")


def _summary(name: str, compute: Callable[[FloatArray], Any]) -> Any:
    """Return a function that computes a number once and then repeats it."""

    def summary(x: Any, *more: Any, na_rm: bool = True, _state: MutableMapping[str, Any]) -> float:
        if more and name not in ("min", "max", "sum"):
            raise settings(name, "...", more, "not available; one column only")
        if "value" not in _state:
            parts = [np.atleast_1d(getattr(part, "__wrapped__", part)) for part in (x, *more)]
            numbers = as_numbers(x if not more else np.concatenate(parts), name)
            _state["value"] = float(compute(numbers[present(numbers, name)]))
        return float(_state["value"])

    summary.__name__ = summary.__qualname__ = name
    summary.__doc__ = f"{name} of the fitted rows, missing values left out."
    return stateful(summary)


SUMMARIES: dict[str, Any] = {
    "mean": _summary("mean", np.mean),
    "median": _summary("median", np.median),
    "sd": _summary("sd", _sd),
    "var": _summary("var", lambda x: _sd(x) ** 2),
    "min": _summary("min", np.min),
    "max": _summary("max", np.max),
    "sum": _summary("sum", np.sum),
}
"""R's summaries of a column."""
