r"""How much every row determines its own fitted value.

With the rows multiplied by the roots of their weights, the fitted values (random effects included)
are a linear function H of the response at given covariance parameters. Its diagonal splits into
what the random effects take, and what the fixed effects take of the rest:
:math:`H = C_L'C_L + C_R'C_R` in lme4's notation.

References
----------
Bates, Maechler, Bolker and Walker (2015), J. Stat. Softw. 67(1), section 3.
Demidenko and Stukel (2005), Stat. Med. 24, 893-909 (leverage of fixed and random effects).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray

__all__ = ["Leverage"]


@dataclass(frozen=True, eq=False)
class Leverage:
    """Hat values of the rows used, given theta.

    Attributes
    ----------
    random : Series
        Part of the random effects.
    fixed : Series
        Part of the fixed effects.
    """

    random: pd.Series
    fixed: pd.Series

    @property
    def hat(self) -> pd.Series:
        """Both parts: lme4's ``hatvalues``."""
        return (self.random + self.fixed).rename("hat")

    @property
    def effective_parameters(self) -> float:
        """Sum of the hat values: the degrees of freedom that the fitted values use."""
        return float(np.sum(self.hat))

    def to_frame(self) -> pd.DataFrame:
        """Columns ``hat, fixed, random``, one row per row used."""
        return pd.DataFrame({"hat": self.hat, "fixed": self.fixed, "random": self.random})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        values: FloatArray = np.array(self.hat, dtype=dtype or np.float64)
        return values

    def __len__(self) -> int:
        return len(self.random)

    def __repr__(self) -> str:
        return (
            f"Leverage(n_obs={len(self)}, effective_parameters={self.effective_parameters:.4g}, "
            f"largest={float(np.max(self.hat)):.4g})"
        )
