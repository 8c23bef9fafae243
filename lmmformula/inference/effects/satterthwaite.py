r"""Satterthwaite's degrees of freedom, from exact derivatives.

For one combination with variance :math:`v(\psi)`, :math:`\nu = 2v^2 / (g'Cg)`, g the gradient of v
and C twice the inverse of the exact Hessian of :math:`-2\ell`. For several together, the
combinations are turned into uncorrelated ones and their :math:`\nu_m` pooled so that the mean of
the resulting F distribution is the mean of the :math:`t^2_{\nu_m}`.

References
----------
Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
Fai and Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378.
Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13).
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import VarianceInformation
from lmmformula.inference.effects.approximation import Approximation, variance_ratio_df

__all__ = ["Satterthwaite", "pooled_df"]

NEGLIGIBLE = float(np.sqrt(np.finfo(np.float64).eps))
EQUAL = 1e-8
SMALLEST = 2.0


class Satterthwaite(Approximation):
    """t and F tests with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        Estimates.
    sigma : float
        Residual standard deviation.
    information : VarianceInformation
        Covariance of the estimates, its derivatives, and the variance parameters' covariance.
    notes : tuple of str
        Sentences about the fit itself.
    """

    def __init__(
        self,
        beta: FloatArray,
        sigma: float,
        information: VarianceInformation,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(beta, information.vcov, sigma, (*notes, *_notes(information)))
        self.information = information

    def df(self, rows: FloatArray) -> FloatArray:
        """Degrees of freedom of one test per row."""
        information = self.information
        return variance_ratio_df(rows, self.vcov, information.derivatives, information.covariance)

    def joint_df(self, rows: FloatArray, rank: int) -> tuple[float, float]:
        """No scaling; degrees of freedom pooled over uncorrelated combinations."""
        if len(rows) == 1:
            return 1.0, float(self.df(rows)[0])
        parts = _uncorrelated(rows, self.vcov)
        if len(parts) != rank:  # rows in units too different to be compared as they are
            size = self.standard_errors(rows)
            parts = _uncorrelated(rows / size[:, None], self.vcov, rank)
        return 1.0, pooled_df(self.df(parts))


def _uncorrelated(rows: FloatArray, vcov: FloatArray, rank: int | None = None) -> FloatArray:
    """Orthonormal combinations of rows that are uncorrelated; those of variance zero left out."""
    eigenvalues, vectors = np.linalg.eigh(rows @ vcov @ rows.T)
    if rank is None:
        rank = int(np.sum(eigenvalues > NEGLIGIBLE * eigenvalues[-1]))
    parts: FloatArray = vectors[:, len(rows) - rank :].T @ rows
    return parts


def pooled_df(df: FloatArray) -> float:
    r"""Denominator degrees of freedom from those of uncorrelated combinations.

    With :math:`E = \sum \nu_m/(\nu_m - 2)` they are :math:`2E/(E - q)`, and 2 where any
    :math:`\nu_m \le 2`; equal ones stay what they are.

    Examples
    --------
    >>> round(pooled_df(np.array([10.0, 20.0])), 3)
    13.077
    """
    if np.isinf(df).all() or df.max() - df.min() <= EQUAL * df.min():
        return float(df.mean())
    if (df <= SMALLEST).any():
        return SMALLEST
    excess = float(np.sum(SMALLEST / (df - SMALLEST)))
    return 2.0 * (len(df) + excess) / excess


def _notes(information: VarianceInformation) -> tuple[str, ...]:
    notes = []
    if information.n_boundary:
        notes.append(
            "Degrees of freedom take variances estimated as zero, and correlations of one in size, "
            "as known."
        )
    if information.n_flat:
        directions = "direction" if information.n_flat == 1 else "directions"
        notes.append(
            f"Degrees of freedom leave out {information.n_flat} {directions} of the variance "
            "parameters in which the likelihood does not curve: the data do not identify them, or "
            "this is no optimum."
        )
    return tuple(notes)
