"""The same design with another response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.design.checks import check_scale
from lmmformula.errors import DataError, DimensionError

__all__ = ["new_response"]


def new_response(design: Design, y: Any) -> tuple[Design, FloatArray]:
    """Check a response and put it into the design.

    Parameters
    ----------
    design : Design
        Not modified.
    y : array_like
        One value per row used, or per row of the data that were passed in.

    Returns
    -------
    design : Design
        With the new response.
    response : ndarray, shape (n,)
        The response in the rows used.
    """
    m = design.matrices
    try:
        values = np.array(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            "the new response is not numeric.",
            got=f"an object of type `{type(y).__name__}`",
            suggestion='an array of numbers, such as `simulated["sim_1"]`',
        ) from error
    if values.shape == (design.spec.n_rows_data,) and values.shape != m.y.shape:
        values = values[m.rows]
    if values.shape != m.y.shape:
        raise DimensionError(
            "the new response must have one value per row of the model.",
            got=f"shape {values.shape}; the model uses {m.n_obs} rows",
            suggestion="a one-dimensional array in the order of `fittedvalues`",
            n_obs=m.n_obs,
        )
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            "the new response has values that are not finite.",
            got=f"{values[bad]} in row {bad}",
            suggestion="finite values in every row used",
            row=bad,
        )
    check_scale(design.spec.response_name, float(values.min()), float(values.max()))
    return replace(design, matrices=replace(m, y=values)), values
