r"""Kenward and Roger's tests: adjusted covariance, degrees of freedom, and scaled F.

With :math:`\Phi = (X'V^{-1}X)^{-1}`, its derivatives in the variances and covariances
:math:`\Phi_i`, and W the covariance of their estimates, the adjusted covariance is

.. math:: \Phi_A = \Phi + 2\Phi\Big[\sum_{ij} W_{ij}(Q_{ij} - P_i\Phi P_j)\Big]\Phi .

For a hypothesis of rank q, in combinations with unit variances, :math:`S_i` are those of
:math:`\Phi_i`; :math:`A_1 = \sum W_{ij}\,tr S_i\,tr S_j` and
:math:`A_2 = \sum W_{ij}\,tr(S_iS_j)` give the factor and the degrees of freedom of F.

References
----------
Kenward and Roger (1997), Biometrics 53, 983-997.
Halekoh and Hojsgaard (2014), J. Stat. Softw. 59(9).
"""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula._memory import available_memory
from lmmformula.engine import BlockedSystem, KenwardRogerPieces
from lmmformula.errors import NumericalError
from lmmformula.inference.effects.approximation import (
    Approximation,
    independent_rows,
    variance_ratio_df,
)

__all__ = ["KenwardRoger", "check_memory", "memory_needed", "scaling_and_df"]

SINGULAR = 1e-10
TINY = 1e-10
MEAN_UNDEFINED = 0.01
WELL_DETERMINED = 0.5
SHARE = 0.5
"""Share of the available memory that the method may take."""


class KenwardRoger(Approximation):
    """t and F tests by Kenward and Roger's method.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        REML estimates.
    sigma : float
        Residual standard deviation.
    pieces : KenwardRogerPieces
        Matrices of the method.
    information : ndarray, shape (t, t)
        Twice the information about the variances and covariances: expected or observed.
    known : ndarray of bool, shape (t,)
        Parameters to take as known.
    notes : tuple of str
        Sentences about the fit itself.
    """

    def __init__(
        self,
        beta: FloatArray,
        sigma: float,
        pieces: KenwardRogerPieces,
        information: FloatArray,
        known: BoolArray,
        notes: tuple[str, ...] = (),
    ) -> None:
        W, n_flat = _covariance(information, known)
        Phi, P = pieces.Phi, pieces.P
        crossing = np.matmul(P, Phi)
        spread = np.einsum("ij,ijpq->pq", W, pieces.Q, optimize=True)
        spread -= np.einsum("ij,ipr,jrq->pq", W, crossing, P, optimize=True)
        user = pieces.to_user
        adjusted = user @ (Phi + 2.0 * Phi @ spread @ Phi) @ user.T
        if n_flat:
            notes = (*notes, _flat_note(n_flat))
        super().__init__(beta, (adjusted + adjusted.T) / 2.0, sigma, notes)
        turned = user @ Phi
        self.unadjusted: FloatArray = turned @ user.T
        self.derivatives: FloatArray = np.matmul(turned, np.matmul(P, turned.T))
        self.covariance = W

    def df(self, rows: FloatArray) -> FloatArray:
        """Degrees of freedom of one test per row: Satterthwaite's, with this information."""
        return variance_ratio_df(rows, self.unadjusted, self.derivatives, self.covariance)

    def joint_df(self, rows: FloatArray, rank: int) -> tuple[float, float]:
        """Kenward and Roger's factor and degrees of freedom."""
        if rank == 1:
            basis = rows[[int(np.argmax(self.standard_errors(rows)))]]
            return 1.0, float(self.df(basis)[0])
        basis = independent_rows(rows, np.zeros(len(rows)), self.unadjusted)[:, :-1]
        S = np.matmul(basis, np.matmul(self.derivatives, basis.T))
        traces = np.einsum("tii->t", S)
        A1 = float(traces @ self.covariance @ traces)
        A2 = float(np.einsum("ij,ipq,jqp->", self.covariance, S, S, optimize=True))
        return scaling_and_df(A1, A2, len(basis))


def scaling_and_df(A1: float, A2: float, q: int) -> tuple[float, float]:
    """Factor and degrees of freedom that match the first two moments of F.

    Parameters
    ----------
    A1, A2 : float
        Kenward and Roger's sums.
    q : int
        Rank of the hypothesis.

    Returns
    -------
    scale, den_df : float
        Infinite df where F varies no more than chi-square over q; NaN where the variance
        parameters are known too badly for any F distribution.

    Examples
    --------
    With a full covariance matrix from 5 degrees of freedom this is Hotelling's test:

    >>> [round(value, 6) for value in scaling_and_df(1.2, 2.4, 3)]
    [0.6, 3.0]
    """
    if A2 <= 0.0:
        return 1.0, np.inf
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    unit = 3.0 * q + 2.0 * (1.0 - g)
    V0, V1, V2 = (
        1.0 + g / unit * B,
        1.0 - (q - g) / unit * B,
        1.0 - (q + 2.0 - g) / unit * B,
    )
    mean = 1.0 - A2 / q
    V0 = 0.0 if abs(V0) < TINY else V0
    with np.errstate(divide="ignore"):
        ratio = 1.0 if abs(mean) < 1e-14 and abs(V1) < 1e-14 else np.float64(mean) / V1
        excess = ratio**2 * V0 / np.float64(V2) - 1.0
        den_df = 4.0 + (q + 2.0) / float(excess) if excess else np.inf
    if not 0.0 < den_df < np.inf:
        return (mean, np.inf) if WELL_DETERMINED * q > A2 else (np.nan, np.nan)
    if abs(den_df - 2.0) < MEAN_UNDEFINED:
        return 1.0, den_df
    return den_df * mean / (den_df - 2.0), den_df


def _covariance(information: FloatArray, known: BoolArray) -> tuple[FloatArray, int]:
    """Twice the inverse of the information; directions without any are left out and counted."""
    size = np.sqrt(np.abs(np.diagonal(information)))
    used = (size > 0.0) & ~known
    W = np.zeros_like(information)
    if not used.any():
        return W, int(np.sum(~used & ~known))
    size = size[used]
    scaled = information[np.ix_(used, used)] / np.outer(size, size)
    eigenvalues, vectors = np.linalg.eigh(scaled)
    keep = eigenvalues > SINGULAR * max(float(eigenvalues[-1]), 0.0)
    kept = vectors[:, keep] / size[:, None]
    W[np.ix_(used, used)] = 2.0 * (kept / eigenvalues[keep]) @ kept.T
    return W, int(np.sum(~keep) + np.sum(~used & ~known))


def _flat_note(n_flat: int) -> str:
    directions = "direction" if n_flat == 1 else "directions"
    return (
        f"Kenward and Roger's adjustment leaves out {n_flat} {directions} of the variance "
        "parameters about which there is no information."
    )


def memory_needed(system: BlockedSystem) -> int:
    """Bytes that the pieces of the method take at their peak, roughly."""
    p, first = system.p, system.first
    t = 1 + sum(int(np.sum(term.structure.free_entries)) for term in system.terms)
    products = 4 * (t * p) ** 2
    columns = 3 * first.k * len(first.directions) * p * first.n_levels
    columns += 4 * t * p * system.tail.n_columns
    return 8 * (products + columns)


def check_memory(system: BlockedSystem) -> None:
    """Refuse a computation that the machine cannot hold."""
    needed, available = memory_needed(system), available_memory()
    if available is None or needed <= SHARE * available:
        return
    raise NumericalError(
        "Kenward-Roger's adjustment of this model does not fit into memory.",
        got=f"{needed / 2**30:.0f} GiB needed, {available / 2**30:.0f} GiB available "
        f"({system.p} fixed effects)",
        suggestion='`ddf="satterthwaite"`, which needs little more than the fit',
        bytes_needed=needed,
        bytes_available=available,
    )
