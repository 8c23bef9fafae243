"""R's ``poly``: orthonormal or raw polynomials of one column."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import numpy as np
from formulaic.materializers.types import FactorValues

from lmmformula._arrays import FloatArray
from lmmformula.errors import DataError
from lmmformula.formula.transforms.arrays import as_numbers, present, settings, stateful

__all__ = ["poly"]


@stateful
def poly(
    x: Any, degree: int = 1, raw: bool = False, *, _state: MutableMapping[str, Any]
) -> FactorValues:
    r"""Polynomial basis of ``x``, with the signs and the scale of R's ``stats::poly``.

    Parameters
    ----------
    x : array-like, shape (n,)
        A numeric column; missing values stay missing.
    degree : int, default 1
        Degree of the polynomial; less than the number of distinct values.
    raw : bool, default False
        Powers of ``x`` in place of orthonormal polynomials.

    Returns
    -------
    FactorValues
        Array of shape (n, degree). New data are evaluated with the coefficients learned first.

    Notes
    -----
    The orthogonal polynomials follow the three-term recurrence
    :math:`p_{k+1} = (x - \alpha_k) p_k - (\nu_k / \nu_{k-1}) p_{k-1}` with
    :math:`\nu_k = \sum p_k^2`, the columns being :math:`p_k / \sqrt{\nu_k}`.
    """
    if isinstance(degree, bool) or int(degree) != degree or degree < 1:
        raise settings("poly", "degree", degree, "a whole number from 1")
    degree = int(degree)
    x = as_numbers(x, "poly")
    if raw:
        basis = np.stack([x**power for power in range(1, degree + 1)], axis=1)
    else:
        if "alpha" not in _state:
            _learn(x, degree, _state)
        basis = _evaluate(x, degree, _state)
    return FactorValues(basis, column_names=tuple(str(k) for k in range(1, degree + 1)))


def _learn(x: FloatArray, degree: int, state: MutableMapping[str, Any]) -> None:
    """Store the recurrence of polynomials that are orthogonal on these values."""
    known = x[present(x, "poly")]
    distinct = np.unique(known).size
    if degree >= distinct:
        raise DataError(
            f"`poly()` of degree {degree} needs more than {degree} distinct values.",
            got=f"{distinct} distinct values",
            suggestion=f"`poly(x, {max(distinct - 1, 1)})`",
            function="poly",
            degree=degree,
            distinct=distinct,
        )
    alpha, norms = np.empty(degree), np.empty(degree + 1)
    before, now = np.zeros_like(known), np.ones_like(known)
    for k in range(degree + 1):
        norms[k] = now @ now
        if k == degree:
            break
        alpha[k] = (known * now) @ now / norms[k]
        back = norms[k] / norms[k - 1] if k else 0.0
        before, now = now, (known - alpha[k]) * now - back * before
    state["alpha"], state["norms"] = alpha, norms


def _evaluate(x: FloatArray, degree: int, state: MutableMapping[str, Any]) -> FloatArray:
    """Evaluate the stored polynomials."""
    alpha, norms = state["alpha"], state["norms"]
    basis = np.empty((x.size, degree))
    before, now = np.zeros_like(x), np.ones_like(x)
    for k in range(degree):
        back = norms[k] / norms[k - 1] if k else 0.0
        before, now = now, (x - alpha[k]) * now - back * before
        basis[:, k] = now / np.sqrt(norms[k + 1])
    return basis
