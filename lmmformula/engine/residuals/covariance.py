r"""The residuals' relative covariance R and its whitening, group by group.

:math:`R = G C G` with G the standard deviations of the variance functions and C the correlation
within groups. With :math:`C = LL'` the whitened rows are :math:`L^{-1}G^{-1}` times the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.covariance.correlation import Correlation, Independent
from lmmformula.engine.residuals.buckets import Bucket, buckets_of
from lmmformula.errors import DesignError
from lmmformula.matrices import ResidualRows
from lmmformula.residual_covariance import CORRELATIONS, variance_design, variance_rows

__all__ = ["ResidualCovariance", "Whitening"]

MEMORY_LIMIT = 4e9


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Factors of the correlation in one bucket.

    Attributes
    ----------
    root : ndarray, shape (U, m, m)
        Inverse of the Cholesky factor L of C.
    logdet : float
        Log determinant of C, over all groups.
    turned : ndarray, shape (n_correlations, U, m, m)
        ``root @ dC @ root.T`` for every correlation parameter.
    """

    root: FloatArray
    logdet: float
    turned: FloatArray

    @property
    def inverse(self) -> FloatArray:
        """The factor itself, (U, m, m)."""
        return np.asarray(np.linalg.inv(self.root), dtype=np.float64)


class ResidualCovariance:
    """R as a function of unconstrained parameters: correlation first, then variance functions.

    Parameters
    ----------
    rows : ResidualRows
    """

    def __init__(self, rows: ResidualRows) -> None:
        self.rows = rows
        self.buckets = buckets_of(rows)
        self._check_memory()
        self.family = self._family()
        self.designs = [variance_design(part) for part in variance_rows(rows)]
        n = len(rows.codes)
        self.columns = np.hstack([np.zeros((n, 0)), *(design.columns for design in self.designs)])

    def _family(self) -> Correlation:
        if self.rows.correlation is None:
            return Independent(1)
        kind = CORRELATIONS[self.rows.correlation]
        largest = max(bucket.rows.shape[0] for bucket in self.buckets)
        if kind.time == "none":
            return kind.correlation(largest)
        if kind.time == "discrete":
            return kind.correlation(len(self.rows.labels))
        gaps = [np.diff(b.places[:, :, 0], axis=1).ravel() for b in self.buckets]
        return kind.correlation(largest, float(np.median(np.concatenate(gaps))))

    def _check_memory(self) -> None:
        needed = sum(24.0 * b.rows.size * b.rows.shape[0] for b in self.buckets)
        if needed > MEMORY_LIMIT:
            m = max(b.rows.shape[0] for b in self.buckets)
            raise DesignError(
                f"the correlation matrices of `{self.rows.text}` would not fit in memory.",
                got=f"groups of up to {m} rows; {1e-9 * needed:.1f} GB",
                suggestion="a grouping variable with smaller groups",
            )

    # -- parameters ------------------------------------------------------------------------------

    @property
    def n_correlations(self) -> int:
        """Parameters of the correlation."""
        return self.family.n_parameters

    @property
    def n_phi(self) -> int:
        """All parameters."""
        return self.n_correlations + self.columns.shape[1]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the natural parameters."""
        own = self.family.names
        labels = self.rows.labels
        if own and own[0].startswith("cor_"):
            pairs = [(i, j) for i in range(1, len(labels)) for j in range(i)]
            own = tuple(f"cor_{labels[i]}.{labels[j]}" for i, j in pairs)
        return (*own, *(name for design in self.designs for name in design.names))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Range of every natural parameter: "correlation", "positive", "ratio" or "power"."""
        variances = (design.kind for design in self.designs for _ in design.names)
        return (*(self.family.link for _ in self.family.names), *variances)

    @property
    def limits(self) -> tuple[tuple[float, float], ...]:
        """Ends of the range of every natural parameter."""
        ends = {"ratio": (0.0, np.inf), "power": (-np.inf, np.inf)}
        variances = (ends[design.kind] for design in self.designs for _ in design.names)
        return (*(self.family.limits for _ in self.family.names), *variances)

    def start(self) -> FloatArray:
        """Little correlation and equal variances."""
        return np.append(self.family.start(), np.zeros(self.columns.shape[1]))

    def candidates(self) -> list[FloatArray]:
        """Correlations worth a look, with equal variances."""
        if not self.n_correlations:
            return []
        rest = np.zeros(self.columns.shape[1])
        return [np.append(values, rest) for values in self.family.starts(0.5)]

    def natural(self, phi: FloatArray) -> FloatArray:
        """What users see."""
        parts = self._split(phi)
        pairs = zip(self.designs, parts[1:], strict=True)
        return np.concatenate([self.family.natural(parts[0]), *(d.natural(p) for d, p in pairs)])

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse of ``natural``."""
        parts = self._split(values)
        pairs = zip(self.designs, parts[1:], strict=True)
        own = self.family.from_natural(parts[0])
        return np.concatenate([own, *(d.from_natural(p) for d, p in pairs)])

    def _split(self, values: FloatArray) -> list[FloatArray]:
        sizes = [self.n_correlations, *(len(design.names) for design in self.designs)]
        return np.split(values, np.cumsum(sizes)[:-1])

    # -- matrices --------------------------------------------------------------------------------

    def log_sd(self, phi: FloatArray) -> FloatArray:
        """Log relative standard deviation of every row, (n,)."""
        return np.asarray(self.columns @ phi[self.n_correlations :])

    def log_sd_of(self, phi: FloatArray, rows: ResidualRows) -> FloatArray:
        """Log relative standard deviation of rows that were not fitted, (m,); NaN if unknown."""
        return np.asarray(self.log_sd_slopes(rows) @ phi)

    def log_sd_slopes(self, rows: ResidualRows | None = None) -> FloatArray:
        """Derivative of the log standard deviations in all parameters, (n, n_phi).

        Of the fitted rows by default.
        """
        columns = [self.columns]
        if rows is not None:
            pairs = zip(self.designs, variance_rows(rows), strict=True)
            columns = [np.zeros((len(rows.codes), 0)), *(d.columns_of(new) for d, new in pairs)]
        correlations = np.zeros((len(columns[0]), self.n_correlations))
        return np.hstack([correlations, *columns])

    def whitenings(self, phi: FloatArray) -> list[Whitening] | None:
        """Factors for every bucket; None where C is not positive definite."""
        own = phi[: self.n_correlations]
        try:
            return [self._whitening(bucket, own) for bucket in self.buckets]
        except np.linalg.LinAlgError:
            return None

    def _whitening(self, bucket: Bucket, own: FloatArray) -> Whitening:
        m = bucket.places.shape[1]
        if m == 1 or not len(own):
            unit = np.ones((len(bucket.places), 1, 1))
            return Whitening(unit, 0.0, np.zeros((len(own), *unit.shape)))
        left, right = bucket.places[:, :, None], bucket.places[:, None]
        factor = np.linalg.cholesky(self.family.values(own, left, right))
        root = np.linalg.inv(factor)
        logs = bucket.counts @ np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        slopes = self.family.slopes(own, left, right)
        turned = root @ slopes @ root.transpose(0, 2, 1)
        return Whitening(root, 2.0 * float(logs), turned)

    def whiten(self, phi: FloatArray, values: FloatArray) -> FloatArray:
        """Rows' values over their standard deviations, made uncorrelated; (n,)."""
        scaled = values * np.exp(-self.log_sd(phi))
        return self._turned(phi, scaled, inverse=False)

    def color(self, phi: FloatArray, values: FloatArray) -> FloatArray:
        """Values with covariance R from independent ones of variance one; (n,)."""
        return self._turned(phi, values, inverse=True) * np.exp(self.log_sd(phi))

    def _turned(self, phi: FloatArray, values: FloatArray, *, inverse: bool) -> FloatArray:
        factors = self.whitenings(phi)
        assert factors is not None
        result, start, ordered = np.empty_like(values), 0, values[self.order][:, None]
        for bucket, factor in zip(self.buckets, factors, strict=True):
            stop = start + bucket.rows.size
            matrix = factor.inverse if inverse else factor.root
            result[bucket.rows.ravel()] = bucket.multiply(matrix, ordered[start:stop])[:, 0]
            start = stop
        return result

    def matrix(self, phi: FloatArray, rows: IntArray) -> FloatArray:
        """R for some rows, (m, m)."""
        codes, places = self.rows.codes[rows], self.rows.positions[rows][:, None]
        own = phi[: self.n_correlations]
        related = self.family.values(own, places[:, None], places[None])
        sd = np.exp(self.log_sd(phi)[rows])
        if self.rows.correlation is None:
            return np.diag(sd**2)
        same = codes[:, None] == codes[None]
        return np.asarray(np.where(same, related, 0.0) * np.outer(sd, sd))

    @cached_property
    def order(self) -> IntArray:
        """Rows of the data in the order of the buckets' storage."""
        return np.concatenate([bucket.rows.ravel() for bucket in self.buckets])

    def __repr__(self) -> str:
        return f"ResidualCovariance({self.rows.text!r}, parameters={list(self.names)})"
