r"""Cross-products of whitened rows, and their derivatives in the residuals' parameters.

Everything after whitening works on the cross-products :math:`M = [Z\,X\,y]'R^{-1}[Z\,X\,y]`, so a
parameter moves the criterion through :math:`\dot M = -[Z\,X\,y]'R^{-1}\dot RR^{-1}[Z\,X\,y]` and
log |R| only. Rows of a group must meet one level of every grouping factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.engine.basis import WorkingBasis
from lmmformula.engine.crossproducts import CrossProducts, WorkingRows, sums_of, working_rows
from lmmformula.engine.layout import FactorLayout
from lmmformula.engine.residuals.covariance import ResidualCovariance, Whitening
from lmmformula.errors import DesignError
from lmmformula.matrices import ModelMatrices

__all__ = ["ResidualModel", "Whitened"]


@dataclass(frozen=True, slots=True, eq=False)
class Whitened:
    """Rows at one parameter vector, in the buckets' order.

    Attributes
    ----------
    phi : ndarray
    scaled : ndarray, shape (n, c)
        All columns over their rows' standard deviations.
    white : ndarray, shape (n, c)
        The same, whitened.
    factors : list of Whitening
    logdet : float
        Log |R|.
    """

    phi: FloatArray
    scaled: FloatArray
    white: FloatArray
    factors: list[Whitening]
    logdet: float


class ResidualModel:
    """Rows and residual covariance of one model.

    Parameters
    ----------
    matrices : ModelMatrices
        All rows of the data.
    layouts : tuple of FactorLayout
    basis : WorkingBasis
    covariance : ResidualCovariance, optional
    """

    def __init__(
        self,
        matrices: ModelMatrices,
        layouts: tuple[FactorLayout, ...],
        basis: WorkingBasis,
        covariance: ResidualCovariance | None = None,
    ) -> None:
        assert matrices.residual is not None
        self.covariance = covariance or ResidualCovariance(matrices.residual)
        self.layouts, self.n_obs = layouts, matrices.n_obs
        rows = working_rows(matrices, layouts, basis)
        order = self.covariance.order
        self._effects, self._fixed = rows.effects, rows.fixed
        self._columns = rows.columns[order]
        self._codes: list[CodeArray] = [
            codes[order] if len(codes) else codes for codes in rows.codes
        ]
        self._design = self.covariance.columns[order]
        self._check_nesting(matrices)
        self.log_weights = 0.0
        if matrices.weights is not None:
            self.log_weights = float(np.sum(np.log(matrices.weights)))

    def _check_nesting(self, matrices: ModelMatrices) -> None:
        """Raise where correlated rows belong to different levels of a grouping factor."""
        assert matrices.residual is not None
        if not self.covariance.n_correlations:
            return
        residual = matrices.residual
        for layout in self.layouts:
            if not layout.terms:
                continue
            codes = matrices.random[layout.terms[0].index].codes
            lowest = np.full(len(residual.levels), layout.n_levels)
            highest = np.full(len(residual.levels), -1)
            np.minimum.at(lowest, residual.codes, codes)
            np.maximum.at(highest, residual.codes, codes)
            split = np.nonzero(highest > lowest)[0]
            if len(split):
                raise DesignError(
                    f"`{residual.text}` correlates rows of different levels of `{layout.group}`.",
                    got=f"`{residual.group}` {residual.levels[split[0]]} meets several levels; so "
                    f"do {len(split)} of {len(residual.levels)} groups",
                    suggestion=f"a correlation within one level of every grouping factor, such as "
                    f"`| {residual.group}:{layout.group}`, or leave out the term on "
                    f"`{layout.group}`",
                    group=layout.group,
                )

    def whitened(self, phi: FloatArray) -> Whitened | None:
        """Rows at parameters ``phi``; None where R is not positive definite."""
        covariance = self.covariance
        factors = covariance.whitenings(phi)
        log_sd = self._design @ phi[covariance.n_correlations :]
        if factors is None or not np.isfinite(log_sd).all():
            return None
        scaled = self._columns
        if self._design.shape[1]:
            with np.errstate(over="ignore"):
                scaled = self._columns * np.exp(-log_sd)[:, None]
        white = self._by_bucket(scaled, [factor.root for factor in factors])
        logdet = 2.0 * float(log_sd.sum()) + sum(factor.logdet for factor in factors)
        return Whitened(phi, scaled, white, factors, logdet)

    def products(self, at: Whitened) -> CrossProducts:
        """Cross-products of the whitened rows."""
        return self._sums(at.white, at.white, self.log_weights - at.logdet)

    def derivatives(self, at: Whitened) -> Iterator[CrossProducts]:
        """Their derivatives in every parameter; ``log_weights`` holds that of -log |R|."""
        if not self.covariance.n_correlations:
            # R is diagonal, so the two terms of its derivative are the same.
            for column in self._design.T:
                left = -2.0 * column[:, None] * at.scaled
                yield self._sums(left, at.scaled, -2.0 * float(column.sum()))
            return
        opposite = -at.white
        for j in range(self.covariance.n_correlations):
            turned = [factor.turned[j] for factor in at.factors]
            moved = self._by_bucket(at.white, turned)
            trace = sum(
                float(bucket.counts @ np.trace(part, axis1=1, axis2=2))
                for part, bucket in zip(turned, self.covariance.buckets, strict=True)
            )
            yield self._sums(opposite, moved, -trace)
        if not self._design.shape[1]:
            return
        back = self._by_bucket(at.white, [factor.root.transpose(0, 2, 1) for factor in at.factors])
        for column in self._design.T:
            left = -column[:, None] * at.scaled
            trace = 2.0 * float(column.sum())
            yield _sum(self._sums(left, back, 0.0), self._sums(back, left, 0.0), -trace)

    def _by_bucket(self, columns: FloatArray, matrices: list[FloatArray]) -> FloatArray:
        """Multiply every group's rows by its matrix."""
        result, start = np.empty_like(columns), 0
        for bucket, matrix in zip(self.covariance.buckets, matrices, strict=True):
            stop = start + bucket.rows.size
            result[start:stop] = bucket.multiply(matrix, columns[start:stop])
            start = stop
        return result

    def split(self, columns: FloatArray) -> tuple[list[FloatArray], list[CodeArray], FloatArray]:
        """(effects of each factor, their levels, [X y]) of all columns."""
        rows = self._rows(columns)
        return rows.z, rows.codes, rows.xy

    def turned(self, at: Whitened, e: FloatArray) -> FloatArray:
        """Whitened R_j R^-1 applied to whitened rows e, for every parameter, (n, m)."""
        column, parts = e[:, None], []
        for j in range(self.covariance.n_correlations):
            parts.append(self._by_bucket(column, [factor.turned[j] for factor in at.factors]))
        if self._design.shape[1]:
            roots = [factor.root for factor in at.factors]
            flipped = [root.transpose(0, 2, 1) for root in roots]
            inverses = [factor.inverse for factor in at.factors]
            backward = [inverse.transpose(0, 2, 1) for inverse in inverses]
            colored = self._by_bucket(column, inverses)
            parts.append(self._by_bucket(self._design * colored, roots))
            parts[-1] += self._by_bucket(self._design * self._by_bucket(column, flipped), backward)
        return np.hstack(parts)

    def _sums(self, left: FloatArray, right: FloatArray, log_weights: float) -> CrossProducts:
        total = sums_of(self._rows(left), self._rows(right), self.layouts)
        return replace(total, n_obs=self.n_obs, log_weights=log_weights)

    def _rows(self, columns: FloatArray) -> WorkingRows:
        return WorkingRows(columns, self._effects, self._fixed, self._codes)


def _sum(one: CrossProducts, other: CrossProducts, log_weights: float) -> CrossProducts:
    """Sum of two sets of cross-products."""
    pairs = {
        key: replace(block, values=block.values + other.pairs[key].values)
        for key, block in one.pairs.items()
    }
    return CrossProducts(
        gram=[a + b for a, b in zip(one.gram, other.gram, strict=True)],
        fixed=[a + b for a, b in zip(one.fixed, other.fixed, strict=True)],
        xy=one.xy + other.xy,
        pairs=pairs,
        n_obs=one.n_obs,
        log_weights=log_weights,
    )
