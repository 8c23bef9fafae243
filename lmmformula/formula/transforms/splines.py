"""R's ``splines::bs`` and ``splines::ns``: B-splines and natural cubic splines."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg
from formulaic.materializers.types import FactorValues
from formulaic.transforms import basis_spline

from lmmformula._arrays import FloatArray
from lmmformula.formula.transforms.arrays import as_numbers, present, settings, stateful

__all__ = ["bs", "learn_knots", "ns"]


@stateful
def bs(
    x: Any,
    df: int | None = None,
    knots: Sequence[float] | None = None,
    degree: int = 3,
    intercept: bool = False,
    Boundary_knots: Sequence[float] | None = None,  # noqa: N803
    *,
    _state: MutableMapping[str, Any],
    **options: Any,
) -> FactorValues:
    """B-spline basis with the columns of R's ``splines::bs``.

    Parameters
    ----------
    x : array-like, shape (n,)
        A numeric column; missing values stay missing.
    df : int, optional
        Number of columns; the inner knots are quantiles of ``x``.
    knots : sequence of float, optional
        Inner knots, in place of ``df``.
    degree : int, default 3
        Degree of the pieces.
    intercept : bool, default False
        Keep the first column, so that the basis contains the constant.
    Boundary_knots : pair of float, optional
        Ends of the basis, by default the range of ``x``. R's ``Boundary.knots`` in a formula.
    **options
        Arguments of formulaic's own ``bs`` (``include_intercept``, ``lower_bound``,
        ``upper_bound``, ``extrapolation``); with one of them its meaning holds throughout.

    Returns
    -------
    FactorValues
        Array of shape (n, columns). New data use the knots learned first; beyond the ends the
        outermost polynomials go on, as in R.
    """
    if isinstance(degree, bool) or int(degree) != degree or degree < 1:
        raise settings("bs", "degree", degree, "a whole number from 1")
    degree = int(degree)
    if options:
        return basis_spline(x, df=df, knots=knots, degree=degree, _state=_state, **options)
    x = as_numbers(x, "bs")
    if "knots" not in _state:
        spare = None if df is None else int(df) - degree - bool(intercept)
        learn_knots("bs", x, spare, df, knots, Boundary_knots, _state)
    basis = _design(x, _knot_sequence(_state, degree), degree)
    return _columns(basis if intercept else basis[:, 1:])


@stateful
def ns(
    x: Any,
    df: int | None = None,
    knots: Sequence[float] | None = None,
    intercept: bool = False,
    Boundary_knots: Sequence[float] | None = None,  # noqa: N803
    *,
    _state: MutableMapping[str, Any],
) -> FactorValues:
    """Natural cubic spline basis with the columns of R's ``splines::ns``.

    Parameters
    ----------
    x : array-like, shape (n,)
        A numeric column; missing values stay missing.
    df : int, optional
        Number of columns; the inner knots are quantiles of ``x``.
    knots : sequence of float, optional
        Inner knots, in place of ``df``.
    intercept : bool, default False
        Keep the basis complete, so that it contains the constant.
    Boundary_knots : pair of float, optional
        Points beyond which the spline is linear, by default the range of ``x``. R's
        ``Boundary.knots`` in a formula.

    Returns
    -------
    FactorValues
        Array of shape (n, columns). New data use the knots learned first.

    Notes
    -----
    The cubic B-splines are projected on the null space of their second derivatives at the ends,
    by the Householder vectors that R uses, so that the columns agree with R's and not only
    their span.
    """
    x = as_numbers(x, "ns")
    if "knots" not in _state:
        spare = None if df is None else int(df) - 1 - bool(intercept)
        learn_knots("ns", x, spare, df, knots, Boundary_knots, _state)
    sequence, ends = _knot_sequence(_state, 3), _state["boundary"]
    basis = _linear_beyond(x, sequence, ends)
    bend = _design(ends, sequence, 3, derivative=2)
    if not intercept:
        basis, bend = basis[:, 1:], bend[:, 1:]
    rotation = scipy.linalg.qr(bend.T, mode="full")[0]
    return _columns(basis @ rotation[:, 2:])


def _columns(basis: FloatArray) -> FactorValues:
    names = tuple(str(k) for k in range(1, basis.shape[1] + 1))
    return FactorValues(np.ascontiguousarray(basis), column_names=names)


def learn_knots(
    function: str,
    x: FloatArray,
    spare: int | None,
    df: int | None,
    knots: Sequence[float] | None,
    boundary: Sequence[float] | None,
    state: MutableMapping[str, Any],
) -> None:
    """Choose and store the knots: given ones, or ``spare`` quantiles inside of the boundary."""
    known = x[present(x, function)]
    ends = np.array([known.min(), known.max()])
    if boundary is not None:
        ends = np.sort(np.asarray(boundary, dtype=np.float64).ravel())
        if ends.shape != (2,):
            raise settings(function, "Boundary.knots", boundary, "a pair of numbers")
        known = known[(known >= ends[0]) & (known <= ends[1])]
    if not ends[0] < ends[1]:
        raise settings(function, "x", f"{ends[0]:g} in all rows", "a column that varies")
    inner: FloatArray = np.empty(0)
    if knots is not None:
        inner = np.sort(np.atleast_1d(np.asarray(knots, dtype=np.float64)))
        if not np.isfinite(inner).all():
            raise settings(function, "knots", knots, "finite numbers")
    elif spare is not None:
        if spare < 0:
            raise settings(function, "df", df, f"at least {int(df or 0) - spare}")
        inner = np.quantile(known, np.linspace(0.0, 1.0, spare + 2)[1:-1])
    state["knots"], state["boundary"] = inner, ends


def _knot_sequence(state: MutableMapping[str, Any], degree: int) -> FloatArray:
    """Return all knots in order, the boundary ones repeated."""
    return np.sort(np.concatenate([np.repeat(state["boundary"], degree + 1), state["knots"]]))


def _design(x: FloatArray, sequence: FloatArray, degree: int, derivative: int = 0) -> FloatArray:
    """Return the B-splines of a knot sequence (or derivatives) at the points, NaN where x is."""
    from scipy.interpolate import BSpline

    spline = BSpline(sequence, np.eye(sequence.size - degree - 1), degree, extrapolate=True)
    out = np.full((x.size, sequence.size - degree - 1), np.nan)
    known = ~np.isnan(x)
    out[known] = spline(x[known], nu=derivative)
    return out


def _linear_beyond(x: FloatArray, sequence: FloatArray, ends: FloatArray) -> FloatArray:
    """Return cubic B-splines, continued by their tangents beyond the ends."""
    with np.errstate(invalid="ignore"):
        inside = np.clip(x, ends[0], ends[1])
    basis = _design(inside, sequence, 3)
    slopes = _design(ends, sequence, 3, derivative=1)
    for end, slope, beyond in zip(ends, slopes, (x < ends[0], x > ends[1]), strict=True):
        basis[beyond] += (x[beyond] - end)[:, None] * slope
    return basis
