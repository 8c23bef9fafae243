r"""The mixed model with the strata of a repeated-measures design.

Beside the fixed effects it has a random intercept for every subject and for every combination of
subjects with the levels of some, not all, within factors. In a complete design the mean square of
the error stratum of the factors T estimates

.. math:: E(MS_T) = \sum_{U \supseteq T} \sigma^2_U \prod_{f \notin U} n_f,

which is solved from the residual down. REML has the same solution, and the mixed model the same F
tests, unless a component comes out negative: it then is zero there, and strata are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lmmformula.classical.rm_cells import CellTable
from lmmformula.classical.rm_effects import Stratum

__all__ = ["long_frame", "moment_components"]

ROUNDING = 1e-12


def moment_components(table: CellTable, strata: Sequence[Stratum]) -> pd.Series:
    """Variance components by the method of moments; negative ones stay negative.

    Returns
    -------
    Series
        By group, ``subject``, ``subject:a``, ..., ``Residual``.
    """
    names = table.long.roles.within
    squares = {
        frozenset(stratum.within): stratum.sum_sq / (stratum.df * stratum.d) for stratum in strata
    }
    largest = max(squares.values())
    out = {}
    for stratum in strata:
        own = frozenset(stratum.within)
        total = sum(
            (-1) ** (len(other) - len(own)) * square
            for other, square in squares.items()
            if own <= other
        )
        averaged = [size for name, size in zip(names, table.shape, strict=True) if name not in own]
        whole = len(own) == len(names)
        label = "Residual" if whole else ":".join((table.long.roles.subject, *stratum.within))
        value = 0.0 if abs(total) <= ROUNDING * largest else total / float(np.prod(averaged))
        out[label] = value
    return pd.Series(out, name="variance")


def long_frame(table: CellTable) -> pd.DataFrame:
    """Return the analysed numbers in long form, factors as categoricals."""
    long, n_subjects = table.long, len(table.Y)
    n_cells = table.Y.shape[1]
    cells = np.unravel_index(np.arange(n_cells), table.shape)
    columns: dict[str, object] = {
        long.roles.subject: pd.Categorical(
            np.repeat(table.subjects, n_cells), categories=pd.Index(table.subjects)
        )
    }
    for column, codes in zip(long.between, table.between, strict=True):
        columns[column.name] = pd.Categorical.from_codes(
            np.repeat(codes, n_cells), categories=pd.Index(column.labels)
        )
    for column, levels in zip(long.within, cells, strict=True):
        columns[column.name] = pd.Categorical.from_codes(
            np.tile(levels, n_subjects), categories=pd.Index(column.labels)
        )
    columns[long.roles.response] = table.Y.ravel()
    return pd.DataFrame(columns)
