r"""What every method of testing fixed effects offers: a covariance and degrees of freedom.

A test of one combination :math:`l'\beta` compares it with its standard error by Student's t, a
joint one compares a quadratic form with F. Methods differ in the covariance of the estimates, in
the degrees of freedom and in a factor that scales F.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.errors import DimensionError, OptionError

__all__ = ["Approximation", "JointTest", "Wald", "independent_rows", "variance_ratio_df"]

DEPENDENT = 1e-12
INCONSISTENT = 1e-8


@dataclass(frozen=True, slots=True)
class JointTest:
    """F test of several combinations of fixed effects together.

    Attributes
    ----------
    statistic : float
        F, scaled where the method scales it.
    unscaled : float
        F before scaling.
    num_df : int
        Number of independent combinations.
    den_df : float
        Denominator degrees of freedom; infinite for the chi-square.
    """

    statistic: float
    unscaled: float
    num_df: int
    den_df: float


class Approximation(ABC):
    """Tests of fixed effects by one method.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        Estimates.
    vcov : ndarray, shape (p, p)
        Their covariance, as the method adjusts it.
    sigma : float
        Residual standard deviation.
    notes : tuple of str
        What a reader of the tests must know.
    """

    def __init__(
        self, beta: FloatArray, vcov: FloatArray, sigma: float, notes: tuple[str, ...] = ()
    ) -> None:
        self.beta, self.vcov, self.sigma, self.notes = beta, vcov, sigma, notes

    @abstractmethod
    def df(self, rows: FloatArray) -> FloatArray:
        """Degrees of freedom of one test per row of ``rows``, shape (m, p)."""

    @abstractmethod
    def joint_df(self, rows: FloatArray, rank: int) -> tuple[float, float]:
        """(factor that scales F, denominator degrees of freedom) of all rows together."""

    def standard_errors(self, rows: FloatArray) -> FloatArray:
        """Standard errors of the combinations in ``rows``."""
        return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", rows, self.vcov, rows)))

    def joint(self, rows: FloatArray, values: FloatArray | float = 0.0) -> JointTest:
        """Test that ``rows @ beta`` equals ``values``.

        Parameters
        ----------
        rows : ndarray, shape (m, p)
            Combinations; rows that follow from others count once.
        values : ndarray, shape (m,), or float
            Values under the hypothesis.
        """
        basis = independent_rows(rows, np.broadcast_to(values, len(rows)), self.vcov)
        difference = basis @ np.append(self.beta, -1.0)
        unscaled = float(difference @ difference) / len(basis)
        scale, den_df = self.joint_df(rows, len(basis))
        return JointTest(scale * unscaled, unscaled, len(basis), den_df)


class Wald(Approximation):
    """Normal and chi-square tests: the covariance parameters are taken as known."""

    def df(self, rows: FloatArray) -> FloatArray:
        """Infinite for every row."""
        return np.full(len(rows), np.inf)

    def joint_df(self, rows: FloatArray, rank: int) -> tuple[float, float]:
        """No scaling, infinite degrees of freedom."""
        return 1.0, np.inf


def independent_rows(rows: FloatArray, values: FloatArray, vcov: FloatArray) -> FloatArray:
    """Combinations with unit variances, uncorrelated, that say the same as ``rows = values``.

    Parameters
    ----------
    rows : ndarray, shape (m, p)
    values : ndarray, shape (m,)
    vcov : ndarray, shape (p, p)
        Covariance in which the new combinations are uncorrelated.

    Returns
    -------
    ndarray, shape (rank, p + 1)
        New rows, and in the last column their values.

    Raises
    ------
    OptionError
        A row has no coefficient, or dependent rows have values that contradict each other.
    """
    if not len(rows):
        raise DimensionError(
            "there is nothing to test.",
            got="constraints without rows",
            suggestion='`"Days = 0"`, or an array with one row per constraint',
        )
    middle = rows @ vcov @ rows.T
    size = np.sqrt(np.diagonal(middle))
    if not (size > 0).all():
        raise OptionError(
            "a constraint does not involve any fixed effect.",
            got=f"row {int(np.argmin(size))} is zero",
            suggestion="leave it out",
            row=int(np.argmin(size)),
        )
    eigenvalues, vectors = np.linalg.eigh(middle / np.outer(size, size))
    keep = eigenvalues > DEPENDENT * eigenvalues[-1]
    turned = vectors.T / size
    full = turned @ np.column_stack([rows, values])
    wrong = np.abs(full[~keep, -1])
    if np.any(wrong > INCONSISTENT * float(np.max(np.abs(values / size), initial=0.0))):
        raise OptionError(
            "the constraints contradict each other.",
            got=f"{len(rows)} rows of rank {int(keep.sum())}, with values {values.tolist()}",
            suggestion="leave out the rows that follow from the others",
            rank=int(keep.sum()),
        )
    return np.asarray(full[keep] / np.sqrt(eigenvalues[keep])[:, None])


def variance_ratio_df(
    rows: FloatArray, vcov: FloatArray, derivatives: FloatArray, covariance: FloatArray
) -> FloatArray:
    r"""Satterthwaite's :math:`2v^2 / (g'Cg)` for every row.

    Parameters
    ----------
    rows : ndarray, shape (m, p)
    vcov : ndarray, shape (p, p)
        Covariance of the estimates; v is the variance of a row.
    derivatives : ndarray, shape (t, p, p)
        Its derivatives in the variance parameters; g are those of v.
    covariance : ndarray, shape (t, t)
        C, the covariance of the variance parameters.
    """
    variance = np.einsum("ij,jk,ik->i", rows, vcov, rows)
    turned = np.matmul(rows, derivatives)
    slopes = np.einsum("tij,ij->it", turned, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = slopes / variance[:, None]
        ratio = 2.0 / np.einsum("is,st,it->i", slopes, covariance, slopes)
    return np.where(variance > 0.0, np.abs(ratio), np.nan)
