"""Correlations over whole-number steps."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.covariance.correlation.base import (
    EffectsCorrelation,
    Indexed,
    Stationary,
    distance,
    mean_where,
)

__all__ = ["Arma", "AutoRegressive", "Toeplitz"]

LARGEST = 1.0 - 1e-12


class AutoRegressive(Stationary, EffectsCorrelation):
    """Rho to the power of the number of steps."""

    closed = True

    @property
    def names(self) -> tuple[str, ...]:
        """One correlation, where there are two positions."""
        return ("rho",) if self.size > 1 else ()

    def starts(self, average: float) -> list[FloatArray]:
        """Weak, middling, strong, and negative."""
        return [np.arcsin(np.array([r])) for r in (0.3, 0.7, 0.93, -0.3)]

    def function(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Power of the lag."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sin(phi[0]) ** lag)

    def function_slopes(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Derivative of the power."""
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.sin(phi[0]) ** np.maximum(lag - 1.0, 0.0)
            return np.asarray(np.cos(phi[0]) * lag * power)[None]

    def natural(self, phi: FloatArray) -> FloatArray:
        """The correlation of neighbours."""
        return np.sin(phi)

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse."""
        return np.arcsin(np.clip(values, -1.0, 1.0))

    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """From the nearest places that vary."""
        if not self.n_parameters:
            return np.zeros(0)
        lag = distance(places[:, None], places[None])
        known = np.isfinite(matrix) & (lag > 0.0)
        if not known.any():
            return np.zeros(1)
        nearest = float(lag[known].min())
        value = mean_where(matrix, lag == nearest)
        return np.array([np.sign(value) * np.abs(value) ** (1.0 / nearest)])


class Arma(Stationary):
    """ARMA(1, 1): one autoregressive and one moving-average parameter; of residuals only."""

    @property
    def names(self) -> tuple[str, ...]:
        """As the field writes them."""
        return ("phi", "theta")

    def start(self) -> FloatArray:
        """Not zero, where the two parameters cannot be told apart."""
        return np.array([0.3, 0.1])

    def starts(self, average: float) -> list[FloatArray]:
        """A few of either sign."""
        pairs = ((0.3, 0.1), (0.8, 0.2), (0.8, -0.5), (-0.3, 0.1), (0.2, -0.5))
        return [np.arcsin(np.array(pair)) for pair in pairs]

    def _first(self, phi: FloatArray) -> tuple[float, float, FloatArray]:
        """(autoregression, correlation of neighbours, its derivatives in the natural ones)."""
        a, m = np.sin(phi)
        top, bottom = (1.0 + a * m) * (a + m), 1.0 + 2.0 * a * m + m * m
        d_top = np.array([m * (a + m) + 1.0 + a * m, a * (a + m) + 1.0 + a * m])
        d_bottom = np.array([2.0 * m, 2.0 * a + 2.0 * m])
        return float(a), float(top / bottom), (d_top - top / bottom * d_bottom) / bottom

    def function(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """The correlation of neighbours, decaying."""
        a, r, _ = self._first(phi)
        return np.asarray(r * a ** np.maximum(lag - 1.0, 0.0))

    def function_slopes(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Derivatives by the product rule."""
        a, r, d = self._first(phi)
        steps = np.maximum(lag - 1.0, 0.0)
        power = a**steps
        slopes = d[:, None] * power.ravel()
        slopes[0] += (r * steps * a ** np.maximum(steps - 1.0, 0.0)).ravel()
        return np.asarray((np.cos(phi)[:, None] * slopes).reshape(2, *lag.shape))

    def natural(self, phi: FloatArray) -> FloatArray:
        """Autoregression and moving average."""
        return np.sin(phi)

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse."""
        return np.arcsin(np.clip(values, -1.0, 1.0))


class Toeplitz(Stationary, Indexed, EffectsCorrelation):
    """A correlation of its own for every number of steps.

    The parameters are partial autocorrelations, of which any values make a correlation matrix.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """``rho_1`` to ``rho_(size - 1)``."""
        return tuple(f"rho_{lag}" for lag in range(1, self.size))

    def starts(self, average: float) -> list[FloatArray]:
        """As for an autoregression."""
        first = np.zeros(self.n_parameters)
        tried = []
        for r in (0.1, 0.5, 0.8):
            first[0] = np.arcsin(r)
            tried.append(first.copy())
        return tried

    def index(self, left: FloatArray, right: FloatArray) -> IntArray:
        """The lag, less one."""
        return distance(left, right).astype(np.int64) - 1

    def _table(self, phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Correlations by lag (size,) and derivatives (size, n): the Durbin-Levinson recursion."""
        n = len(phi)
        rho, d_rho = np.ones(n + 1), np.zeros((n + 1, n))
        a, d_a = np.zeros(0), np.zeros((0, n))
        left, d_left = 1.0, np.zeros(n)
        for h in range(1, n + 1):
            partial, d_partial = np.sin(phi[h - 1]), np.zeros(n)
            d_partial[h - 1] = np.cos(phi[h - 1])
            back, d_back = rho[h - 1 : 0 : -1], d_rho[h - 1 : 0 : -1]
            rho[h] = a @ back + partial * left
            d_rho[h] = d_a.T @ back + a @ d_back + d_partial * left + partial * d_left
            d_new = d_a - d_partial * a[::-1, None] - partial * d_a[::-1]
            a = np.append(a - partial * a[::-1], partial)
            d_a = np.vstack([d_new, d_partial])
            d_left = d_left * (1.0 - partial**2) - 2.0 * left * partial * d_partial
            left = left * (1.0 - partial**2)
        return rho, d_rho

    def function(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Look the lag up."""
        return self._table(phi)[0][lag.astype(np.int64)]

    def function_slopes(self, phi: FloatArray, lag: FloatArray) -> FloatArray:
        """Look the lag up."""
        return np.moveaxis(self._table(phi)[1][lag.astype(np.int64)], -1, 0)

    def natural(self, phi: FloatArray) -> FloatArray:
        """Autocorrelations."""
        return self._table(phi)[0][1:]

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Partial autocorrelations, by the same recursion the other way."""
        rho = np.append(1.0, values)
        phi, a, left = np.zeros(len(values)), np.zeros(0), 1.0
        for h in range(1, len(rho)):
            if left <= 1.0 - LARGEST:
                break
            partial = np.clip((rho[h] - a @ rho[h - 1 : 0 : -1]) / left, -1.0, 1.0)
            phi[h - 1] = np.arcsin(partial)
            a = np.append(a - partial * a[::-1], partial)
            left *= 1.0 - partial**2
        return phi

    def estimate(self, matrix: FloatArray, places: FloatArray) -> FloatArray:
        """Means along the diagonals."""
        lag = distance(places[:, None], places[None])
        means = [mean_where(matrix, lag == h) for h in range(1, self.size)]
        return self.natural(self.from_natural(np.array(means)))
