"""The residuals' structure of a fit: its parameters, and what it says of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine import Estimates
from lmmformula.postfit.persist import missing_rows
from lmmformula.residual_covariance import variance_rows

if TYPE_CHECKING:
    from lmmformula.engine.alternative import AnySystem
    from lmmformula.engine.residuals.covariance import ResidualCovariance
    from lmmformula.matrices import ModelMatrices, ResidualRows

__all__ = ["ResidualStructure", "residual_structure", "structure_of"]


class ResidualStructure:
    """Correlation and variance function of the residuals, at the estimates.

    Parameters
    ----------
    covariance : ResidualCovariance
    values : ndarray
        Natural parameters.
    sigma : float
        Residual standard deviation of a row whose relative one is one.
    weights : ndarray, shape (n,), or None
        Prior weights.
    """

    def __init__(
        self,
        covariance: ResidualCovariance,
        values: FloatArray,
        sigma: float,
        weights: FloatArray | None,
    ) -> None:
        self._covariance, self._values = covariance, values
        self._phi = covariance.from_natural(values)
        self.sigma, self._weights = sigma, weights

    @property
    def text(self) -> str:
        """The structure as written."""
        rows = self._covariance.rows
        return " + ".join([*filter(None, [rows.text]), *(part.text for part in rows.variances)])

    def parameters(self) -> pd.Series:
        """Natural parameters by name.

        Returns
        -------
        Series
            Correlations (``rho``, ``phi``, ``theta``, ``rho_1``, ``cor_b.a``), then ratios of
            standard deviations (``ratio_b``) and powers (``power``, ``expon``).
        """
        return pd.Series(self._values, index=list(self._covariance.names), name="estimate")

    @property
    def reference(self) -> str:
        """Where the residual variance is sigma^2, in words; empty if everywhere."""
        return " and ".join(
            f"`{part.text}` is {'one' if part.covariate is not None else f'at {part.levels[0]}'}"
            for part in variance_rows(self._covariance.rows)
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Range of every parameter: "correlation", "positive", "ratio" or "power"."""
        return self._covariance.kinds

    @property
    def sd(self) -> FloatArray:
        """Residual standard deviation of every row used, (n,)."""
        return self.sigma * np.exp(self._covariance.log_sd(self._phi)) * self._root

    @property
    def mean_variance(self) -> float:
        """Residual variance, averaged over the rows used; prior weights are one."""
        return float(np.mean((self.sigma * np.exp(self._covariance.log_sd(self._phi))) ** 2))

    @property
    def _root(self) -> FloatArray | float:
        if self._weights is None:
            return 1.0
        if len(self._weights) != len(self._covariance.rows.codes):
            raise missing_rows("the residual standard deviation of weighted rows")
        return 1.0 / np.sqrt(self._weights)

    def sd_of(self, rows: ResidualRows) -> FloatArray:
        """Residual standard deviation of other rows, (m,); prior weights are one.

        NaN where something that it depends on is missing.
        """
        return self.sigma * np.exp(self._covariance.log_sd_of(self._phi, rows))

    def variance_slopes(self, rows: ResidualRows | None = None) -> tuple[FloatArray, FloatArray]:
        """Residual variances and their derivatives in the optimizer's parameters.

        Parameters
        ----------
        rows : ResidualRows, optional
            Rows that were not fitted, with prior weights of one; default: the rows used.

        Returns
        -------
        variances : ndarray, shape (n,)
            In units of sigma^2.
        slopes : ndarray, shape (n, m)
        """
        sd = self.sd if rows is None else self.sd_of(rows)
        variances = (sd / self.sigma) ** 2
        slopes = self._covariance.log_sd_slopes(rows)
        return variances, 2.0 * variances[:, None] * slopes

    def matrix(self, rows: IntArray) -> FloatArray:
        """Covariance of the residuals of some rows, (m, m)."""
        root = np.broadcast_to(self._root, len(self._covariance.rows.codes))[rows]
        relative = self._covariance.matrix(self._phi, rows)
        return np.asarray(self.sigma**2 * relative * np.outer(root, root))

    def normalized(self, residuals: FloatArray) -> FloatArray:
        """Residuals made uncorrelated, with variance one, (n,)."""
        return self._covariance.whiten(self._phi, residuals / self._root / self.sigma)

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """New residuals of all rows, (n,)."""
        return self.colored(rng.standard_normal(len(self._covariance.rows.codes)))

    def colored(self, values: FloatArray) -> FloatArray:
        """Residuals of all rows from uncorrelated values of variance one, (n,)."""
        return np.asarray(self.sigma * self._root * self._covariance.color(self._phi, values))

    def correlation(self) -> pd.DataFrame:
        """Correlation between positions of one group, where positions are whole numbers."""
        labels = list(self._covariance.rows.labels)
        places = np.arange(float(len(labels)))[:, None]
        own = self._phi[: self._covariance.n_correlations]
        values = self._covariance.family.values(own, places[:, None], places[None])
        return pd.DataFrame(values, index=labels, columns=labels)

    def __repr__(self) -> str:
        return f"Residuals: {self.text}\n{self.parameters().to_string()}"


def structure_of(matrices: ModelMatrices, estimates: Estimates) -> ResidualStructure | None:
    """The structure of rows that may not be those of the fit, at the estimates."""
    from lmmformula.engine.residuals.covariance import ResidualCovariance

    if matrices.residual is None:
        return None
    covariance = ResidualCovariance(matrices.residual)
    values = estimates.theta[len(estimates.theta) - covariance.n_phi :]
    return ResidualStructure(covariance, values, estimates.sigma, matrices.weights)


def residual_structure(
    system: AnySystem, estimates: Estimates, weights: FloatArray | None
) -> ResidualStructure | None:
    """The structure at the estimates; None for independent residuals of equal variance."""
    if system.residual is None:
        return None
    covariance = system.residual.covariance
    values = estimates.theta[estimates.n_theta - covariance.n_phi :]
    return ResidualStructure(covariance, values, estimates.sigma, weights)
