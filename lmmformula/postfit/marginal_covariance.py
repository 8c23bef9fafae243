r"""Covariance of the responses over the population of random effects, V, for some rows.

.. math:: V = \sigma^2 Z \Lambda \Lambda' Z' + R

Random effects that rows inside and outside of a group share do not change V within the group, so
that V of a group is exact with crossed factors as well; rows of different groups are then
correlated too, which only V of all rows shows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design import Design
from lmmformula.engine import Estimates
from lmmformula.errors import OptionError
from lmmformula.postfit.residual_covariance import Structured, residual_covariance
from lmmformula.postfit.sparse_effects import random_covariance

__all__ = ["MAX_ROWS", "covariance_of_rows", "marginal_covariance"]

MAX_ROWS = 5000
"""V of this many rows holds 200 MB."""


def marginal_covariance(
    design: Design, estimates: Estimates, rows: IntArray, structure: Structured | None = None
) -> FloatArray:
    """Return V for some rows.

    Parameters
    ----------
    design : Design
        The fitted rows.
    estimates : Estimates
        The fit.
    rows : ndarray of int, shape (m,)
        Positions among the fitted rows.
    structure : Structured, optional
        Covariance of the residuals, where they are not independent with equal variances.

    Returns
    -------
    ndarray, shape (m, m)
        In squared units of the response.

    Raises
    ------
    OptionError
        More than ``MAX_ROWS`` rows.
    """
    if len(rows) > MAX_ROWS:
        raise OptionError(
            "the covariance of so many rows is too large to be written out.",
            got=f"{len(rows):,} rows; the limit is {MAX_ROWS:,}",
            suggestion="one level, `marginal_covariance(group, level)`; `mixed_model_equations()` "
            "holds the same information in sparse matrices",
            n_rows=len(rows),
            limit=MAX_ROWS,
        )
    m = design.matrices
    total = residual_covariance(m, estimates, rows, structure)
    for block, template in zip(m.random, estimates.templates, strict=True):
        total += estimates.sigma**2 * random_covariance(block, template, rows)
    return total


def covariance_of_rows(
    design: Design,
    estimates: Estimates,
    rows: IntArray,
    structure: Structured | None = None,
    *,
    correlation: bool = False,
) -> pd.DataFrame:
    """Return V, or the correlations, with the labels of the rows; arguments as above."""
    values = marginal_covariance(design, estimates, rows, structure)
    if correlation:
        sd = np.sqrt(np.diagonal(values))
        values = values / sd[:, None] / sd
        np.fill_diagonal(values, 1.0)
    labels = design.spec.index[rows]
    return pd.DataFrame(values, index=labels, columns=labels)
