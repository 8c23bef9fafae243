"""Covariates and strata of variance functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.design.checks import check_finite, check_scale
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.rows import positions
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DesignError
from lmmformula.formula.variance import VarianceTerm

__all__ = ["check_covariate", "check_strata", "covariate"]

STEEPEST = 500.0
"""Largest exponent per unit of the coefficient, with exponents in units of their spread."""


def covariate(function: VarianceTerm, value: Value, rows: NDArray[Any] | None) -> FloatArray:
    """Return the values of a covariate in complete rows.

    Parameters
    ----------
    function : VarianceTerm
        The variance function.
    value : Value
        Its covariate in these rows.
    rows : ndarray of int or None
        Positions of these rows in the data, for messages.

    Raises
    ------
    DataError
        It is categorical, infinite, or zero where its logarithm is needed.
    """
    text = function.text
    if not isinstance(value, Numbers):
        strata = isinstance(value, Categories)
        raise DataError(
            f"`{text}` needs a numeric covariate, and `{value.name}` is "
            + ("categorical." if strata else "several columns."),
            got=f"levels {listed([str(level) for level in value.levels], 8)}"
            if isinstance(value, Categories)
            else "a basis",
            suggestion=f"`ident({value.name})` for a standard deviation per level"
            if strata
            else "one numeric column",
            column=value.name,
            term=text,
        )
    x = value.floats()
    check_finite(value.name, x, rows, "covariate")
    if not x.size:
        return x
    check_scale(value.name, float(x.min()), float(x.max()))
    zero = np.flatnonzero(x == 0.0)
    if function.function == "power" and zero.size:
        where = zero if rows is None else rows[zero]
        raise DataError(
            f"`{text}` is a power of the size of `{value.name}`, which is zero in {len(zero)} "
            f"row{'s' if len(zero) > 1 else ''}: their variance would be zero or infinite.",
            got=f"row positions {positions(where)}",
            suggestion=f"`exp({_inner(function)})`, which takes zeros",
            column=value.name,
            term=text,
            rows=where,
        )
    return x + 0.0


def _inner(function: VarianceTerm) -> str:
    return function.text.partition("(")[2].removesuffix(")")


def check_strata(function: VarianceTerm, levels: tuple[str, ...]) -> None:
    """Refuse strata of one level.

    Parameters
    ----------
    function : VarianceTerm
        The variance function.
    levels : tuple of str
        Levels that occur.
    """
    if len(levels) > 1:
        return
    left = _inner(function).rpartition("|")[0].strip()
    raise DesignError(
        f"`{function.text}` has one level only, so there is nothing to tell apart.",
        got=f"level {levels[0]!r} in every row",
        suggestion=f"`{function.function}({left})`"
        if function.covariate is not None
        else "leave it out; a factor with several levels",
        term=function.text,
    )


def check_covariate(function: VarianceTerm, x: FloatArray, codes: CodeArray, n_strata: int) -> None:
    """Refuse covariates that do not vary, or so little that exponents overflow.

    Parameters
    ----------
    function : VarianceTerm
        The variance function.
    x : ndarray, shape (n,)
        Its covariate.
    codes : ndarray of int, shape (n,)
        Strata.
    n_strata : int
        Their number.
    """
    exponent = np.log(np.abs(x)) if function.function == "power" else x
    low, high = np.full(n_strata, np.inf), np.full(n_strata, -np.inf)
    np.minimum.at(low, codes, exponent)
    np.maximum.at(high, codes, exponent)
    name = "" if function.covariate is None else function.covariate.label
    spread = float(np.std(exponent))
    if bool(np.all(low == high)) or bool(np.any((low == 0.0) & (high == 0.0))):
        raise DesignError(
            f"`{name}` is constant where `{function.text}` should depend on it.",
            got=f"{name} = {x[0]:g} in every row" if n_strata == 1 else "constant within strata",
            suggestion="leave it out; `ident(g)` for a standard deviation per level",
            column=name,
            term=function.text,
        )
    size = float(np.max(np.abs(exponent)))
    if size > STEEPEST * spread:
        middle = float(np.mean(x))
        better = (
            f"exp(I({name} - {middle:.6g}))"
            if function.function == "exp"
            else f"power(I({name} / {middle:.6g}))"
        )
        raise DataError(
            f"`{name}` varies so little beside its size that `{function.text}` overflows.",
            got=f"values from {x.min():g} to {x.max():g}",
            suggestion=f"`{better}`, the same model with another reference",
            column=name,
            term=function.text,
        )
