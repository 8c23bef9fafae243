r"""Departures from sphericity: Mauchly's test and the epsilons that shrink degrees of freedom.

For the covariance :math:`S` of d orthonormal contrasts on f degrees of freedom of error,

.. math:: W = \frac{|S|}{(\mathrm{tr} S / d)^d}, \qquad
          \hat\epsilon = \frac{(\mathrm{tr} S)^2}{d\,\mathrm{tr} S^2}, \qquad
          \tilde\epsilon = \frac{(f + 1) d \hat\epsilon - 2}{d (f - d\hat\epsilon)}.

The first two epsilons are Greenhouse and Geisser's and, with Lecoutre's correction, Huynh and
Feldt's. Their own had the number of subjects in place of f + 1, which is the same with one group of
subjects and too large with several.

The p-value of W is Box's expansion with the terms of R's ``mauchly.test`` and of car.

References
----------
Mauchly (1940), Ann. Math. Stat. 11, 204-209.
Greenhouse and Geisser (1959), Psychometrika 24, 95-112.
Huynh and Feldt (1976), J. Educ. Stat. 1, 69-82.
Lecoutre (1991), J. Educ. Stat. 16, 371-372.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats

from lmmformula._arrays import FloatArray
from lmmformula.classical.rm_effects import Stratum

__all__ = ["Sphericity", "is_singular", "sphericity"]

SINGULAR = 1e-12
"""Smallest eigenvalue of an error matrix, over the largest, that counts as zero."""


@dataclass(frozen=True, slots=True)
class Sphericity:
    """Sphericity of the contrasts of one stratum; missing values where it cannot be had.

    Attributes
    ----------
    W, pvalue : float
        Mauchly's test; missing for a single contrast, which is always spherical.
    greenhouse_geisser : float
        Epsilon, between ``lower_bound`` and 1.
    huynh_feldt, lecoutre : float
        Epsilon as published and as corrected; they can exceed 1 and then count as 1.
    lower_bound : float
        The least that epsilon can be.
    """

    W: float
    pvalue: float
    greenhouse_geisser: float
    huynh_feldt: float
    lecoutre: float
    lower_bound: float


def is_singular(stratum: Stratum) -> bool:
    """Whether the error of some contrast is determined by that of others."""
    if stratum.df < stratum.d:
        return True
    values = np.linalg.eigvalsh(stratum.E)
    return bool(values[0] <= SINGULAR * values[-1])


def sphericity(stratum: Stratum, n_subjects: int, n_cells: int) -> Sphericity:
    """Judge the contrasts of one stratum.

    Parameters
    ----------
    stratum : Stratum
        With one within factor at least.
    n_subjects : int
        Number of subjects.
    n_cells : int
        Number of cells of all within factors.
    """
    d, f, nan = stratum.d, stratum.df, float("nan")
    if d == 1:
        return Sphericity(nan, nan, 1.0, 1.0, 1.0, 1.0)
    if is_singular(stratum):
        return Sphericity(nan, nan, nan, nan, nan, 1.0 / d)
    values = np.asarray(np.linalg.eigvalsh(stratum.E), dtype=np.float64)
    gg = float(values.sum() ** 2 / (d * np.sum(values**2)))
    room = d * (f - d * gg)
    published, corrected = (
        (n * d * gg - 2.0) / room if room > 0.0 else np.inf for n in (n_subjects, f + 1)
    )
    W, p = _mauchly(values, f, n_cells)
    return Sphericity(W, p, gg, published, corrected, 1.0 / d)


def _mauchly(values: FloatArray, f: int, n_cells: int) -> tuple[float, float]:
    """Mauchly's W and its p-value to the second order."""
    d = len(values)
    log_w = float(np.sum(np.log(values)) - d * np.log(values.mean()))
    rho = 1.0 - (2 * d**2 + d + 2) / (6 * d * f)
    weight = (d + 2) * (d - 1) * (d - 2) * (2 * d**3 + 6 * d**2 + 3 * n_cells + 2)
    second = weight / (288.0 * (f * d * rho) ** 2)
    chisq, df = -f * rho * log_w, d * (d + 1) / 2 - 1
    first, later = (float(scipy.stats.chi2.sf(chisq, df + more)) for more in (0, 4))
    return float(np.exp(log_w)), first + second * (later - first)
