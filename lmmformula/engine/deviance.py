r"""The maximum likelihood deviance with the residual variance as a parameter of its own.

With :math:`\eta = \log\sigma^2` and s the generalised residual sum of squares,

.. math:: d(\Sigma, \eta, \delta) = \log|H| + n(\log 2\pi + \eta) + s(\Sigma, \delta)\,e^{-\eta}
          - \sum_i \log w_i

where the fixed effects are at their best values, subject to :math:`f'\beta = \delta` if one
combination of them is held. Then :math:`\beta_c = \hat\beta + b(\delta - f'\hat\beta)` with
:math:`b = \Phi f/(f'\Phi f)`, s grows by :math:`(\delta - f'\hat\beta)^2/(f'\Phi f)`, and
:math:`\Phi - \Phi ff'\Phi/(f'\Phi f)` takes the place of :math:`\Phi`: all that elimination left
serves the constrained problem as it is. First and second derivatives are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.hessian import in_model_order, residual_forms, traces
from lmmformula.engine.system import BlockedSystem

__all__ = ["Deviance", "HeldCoefficient"]


@dataclass(frozen=True, slots=True, eq=False)
class HeldCoefficient:
    """A combination of the fixed effects and the value it is held at, in the working basis."""

    row: FloatArray
    value: float


class Deviance(Evaluation):
    """The deviance at given covariance factors, residual variance and held coefficient.

    Parameters
    ----------
    system : BlockedSystem
    factors : list of ndarray, shape (k, k)
        Relative covariance factor of every term, in working units.
    log_variance : float or None
        Log of the residual variance, in working units; None for the best one.
    held : HeldCoefficient, optional
    directions : list of ndarray, shape (t, k, k), optional
        As for ``Evaluation``.

    Attributes
    ----------
    value : float
        Minus twice the log-likelihood; infinite where the arithmetic failed.
    log_variance : float
    """

    def __init__(
        self,
        system: BlockedSystem,
        factors: list[FloatArray],
        log_variance: float | None,
        held: HeldCoefficient | None = None,
        directions: list[FloatArray] | None = None,
    ) -> None:
        super().__init__(system, factors, reml=False, directions=directions)
        self.pwrss_slope, self.pwrss_curvature = 0.0, 0.0
        self.move = np.zeros(system.p)
        if held is not None:
            self._hold(held)
        if log_variance is None:
            log_variance = float(np.log(self.pwrss / self.nu))
        self.log_variance = log_variance
        self.precision = float(np.exp(-log_variance))
        deviance = (
            self.logdet_H
            + self.nu * (np.log(2.0 * np.pi) + log_variance + 2.0 * np.log(system.basis.scale))
            + self.pwrss * self.precision
            - system.log_weights
        )
        self.value = float(deviance) if np.isfinite(self.value + deviance) else np.inf

    def _hold(self, held: HeldCoefficient) -> None:
        """Move the fixed effects to where ``held`` wants them, at the least cost."""
        toward = self.Phi @ held.row
        variance = float(held.row @ toward)
        gap = held.value - float(held.row @ self.beta)
        self.move = toward / variance
        self.beta = self.beta + gap * self.move
        self.Phi = self.Phi - np.outer(toward, toward) / variance
        self.pwrss += gap**2 / variance
        self.pwrss_slope, self.pwrss_curvature = 2.0 * gap / variance, 2.0 / variance

    @cached_property
    def gradients(self) -> list[FloatArray]:
        """Derivative in the relative covariance of every term, (k, k) each, model order."""
        return [
            B - self.precision * C
            for B, C in zip(self.trace_blocks, self.residual_blocks, strict=True)
        ]

    @property
    def slope_log_variance(self) -> float:
        """Derivative in the log of the residual variance."""
        return self.nu - self.pwrss * self.precision

    @property
    def slope_held(self) -> float:
        """Derivative in the value of the held coefficient."""
        return self.pwrss_slope * self.precision

    @cached_property
    def gradient(self) -> FloatArray:
        """Derivatives in (covariance directions, log variance, held value), (T + 2,)."""
        own = self._in_model_order(self.forms(self.gradients))
        return np.append(own, [self.slope_log_variance, self.slope_held])

    def hessian(self, *, exact: bool) -> FloatArray:
        """Second derivatives (exact), or the average information, (T + 2, T + 2)."""
        return self._exact if exact else self._average

    @cached_property
    def _exact(self) -> FloatArray:
        traced = in_model_order(self, traces(self))
        return self._bordered(2.0 * self.precision * self._products - traced)

    @cached_property
    def _average(self) -> FloatArray:
        return self._bordered(self.precision * self._products)

    @cached_property
    def _products(self) -> FloatArray:
        return in_model_order(self, self.working_products)

    def _bordered(self, inner: FloatArray) -> FloatArray:
        """Add the rows of the log variance and the held value to those of the entries."""
        n = len(inner)
        matrix = np.zeros((n + 2, n + 2))
        matrix[:n, :n] = inner
        matrix[:n, n] = self.precision * self._in_model_order(residual_forms(self))
        if self.pwrss_curvature:
            matrix[:n, n + 1] = 2.0 * self.precision * self._in_model_order(self._held_forms())
        matrix[n, :n], matrix[n + 1, :n] = matrix[:n, n], matrix[:n, n + 1]
        matrix[n, n] = self.pwrss * self.precision
        matrix[n, n + 1] = matrix[n + 1, n] = -self.slope_held
        matrix[n + 1, n + 1] = self.pwrss_curvature * self.precision
        return matrix

    def _in_model_order(self, values: FloatArray) -> FloatArray:
        order = self.direction_order
        return values if order is None else values[order]

    def _held_forms(self) -> FloatArray:
        """r'H_i H^-1 X b for every direction, by factor."""
        moved = np.einsum("apj,p->aj", self.first_X, self.move)
        products = [self.first_residual @ moved.T]
        for f in range(len(self.system.tail.factors)):
            moved = self.of_factor(self.tail_X @ self.move, f)
            products.append(self.of_factor(self.tail_residual, f).T @ moved)
        return np.concatenate(
            [
                np.einsum("tab,ab->t", directions, product)
                for directions, product in zip(self.directions, products, strict=True)
            ]
        )
