r"""How well the variance of a prediction error is known, and what estimating it costs.

With :math:`v(\Sigma)` the variance of a prediction error over :math:`\sigma^2`
(``engine.prediction``), the best predictor minimises it over all unbiased linear ones. So its
derivative in a direction D of the relative covariances is that at fixed weights,
:math:`\tau'D\tau` with :math:`\tau = z - Z'\lambda`, and its second derivative is minus twice the
variance (over :math:`\sigma^2`) that moving along D gives the predictor:

.. math:: \frac{\partial^2 v}{\partial D^2} = -2\,\tau'D\,Z'PZ\,D\tau .

Summed over independent directions with the variances of their estimates this is the term of
Kackar and Harville; twice it corrects an estimated v, whose curvature biases it by as much.

References
----------
Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
Kackar and Harville (1984), J. Amer. Statist. Assoc. 79, 853-862.
Prasad and Rao (1990), J. Amer. Statist. Assoc. 85, 163-171.
Kenward and Roger (1997), Biometrics 53, 983-997.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.alternative import AnySystem
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.objective import Objective, Point
from lmmformula.engine.prediction import JointCovariance, TargetRows
from lmmformula.engine.system import BlockedSystem

__all__ = ["ErrorVariance", "error_variance", "independent_moves"]

STEP = 1e-4
CURVATURE_STEP = 3e-3
FLAT = 1e-8
SPANNED = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ErrorVariance:
    """Estimated variances of prediction errors, in units of sigma^2; all of shape (n,).

    Attributes
    ----------
    variance : ndarray
        Given the covariance parameters, residual included.
    correction : ndarray
        What their estimation adds (zero unless asked for).
    df : ndarray
        Satterthwaite's degrees of freedom of ``variance``.
    """

    variance: FloatArray
    correction: FloatArray
    df: FloatArray


@singledispatch
def error_variance(
    system: AnySystem,
    theta: FloatArray,
    reml: bool,
    rows: TargetRows,
    residual: FloatArray,
    *,
    residual_slopes: FloatArray | None = None,
    corrected: bool = False,
) -> ErrorVariance:
    r"""Variances of prediction errors with their degrees of freedom.

    Parameters
    ----------
    system : BlockedSystem or KrylovSystem
    theta : ndarray, shape (n_theta,)
        The optimum.
    reml : bool
        Criterion of the fit.
    rows : TargetRows
        Rows whose error is judged.
    residual : ndarray, shape (n,)
        What the residual adds to the error, in units of sigma^2 (zero, 1 / weight, or more).
    residual_slopes : ndarray, shape (n, m), optional
        Its derivatives in the parameters of the residuals, the last ones of phi.
    corrected : bool, default False
        Compute the correction as well.

    Notes
    -----
    Degrees of freedom are :math:`2 v^2 / (g'Cg)`, with g the derivatives in the directions of the
    relative covariances and in :math:`\log\sigma^2`, and C the asymptotic covariance of these from
    the exact Hessian. Derivatives of v are central differences of exact evaluations, two a
    direction (four with the correction).
    """
    assert isinstance(system, BlockedSystem)
    objective = Objective(system, reml)
    point = objective.evaluate(objective.phi_from_theta(theta))
    given = _variance(point.evaluation, rows)
    variance = given + residual
    moves, sizes = independent_moves(point)
    spread = 2.0 / point.evaluation.nu * variance**2
    for move, size in zip(moves, sizes, strict=True):
        high, low = (
            objective.evaluate(point.phi + step * move).evaluation for step in (STEP, -STEP)
        )
        log_scale = np.log(high.pwrss / low.pwrss) / (2.0 * STEP)
        slope = (_variance(high, rows) - _variance(low, rows)) / (2.0 * STEP)
        if residual_slopes is not None:
            slope = slope + residual_slopes @ objective.residual_part(move)
        spread = spread + size * (slope + variance * log_scale) ** 2
    correction = np.zeros(len(variance))
    if corrected:
        correction = 2.0 * _Curvatures(point, moves, rows, given).total(sizes)
    with np.errstate(invalid="ignore"):
        return ErrorVariance(variance, correction, 2.0 * variance**2 / spread)


def _variance(evaluation: Evaluation, rows: TargetRows) -> FloatArray:
    return JointCovariance(evaluation).forms(rows).total


def independent_moves(point: Point) -> tuple[FloatArray, FloatArray]:
    """Directions in which the estimates are independent, (m, n_phi), and their variances."""
    directions = point.effective
    values, vectors = np.linalg.eigh(directions.T @ point.hessian(exact=True) @ directions)
    keep = values > FLAT * max(float(values.max(initial=0.0)), 1e-300)
    return (directions @ vectors[:, keep]).T, 2.0 / values[keep]


class _Curvatures:
    """Second derivatives of v in the entries of Sigma, along directions given in phi."""

    def __init__(
        self, point: Point, moves: FloatArray, rows: TargetRows, given: FloatArray
    ) -> None:
        self.point, self.rows, self.given = point, rows, given
        self.Sigmas = self._covariances(point.phi)
        ends = [[point.phi + sign * CURVATURE_STEP * m for sign in (1, -1)] for m in moves]
        self.first, self.second, self.slopes, self.bends = [], [], [], []
        for pair in ends:
            high, low = (_variance(point.objective.evaluate(phi).evaluation, rows) for phi in pair)
            self.slopes.append((high - low) / (2.0 * CURVATURE_STEP))
            self.bends.append((high + low - 2.0 * given) / CURVATURE_STEP**2)
            up, down = (self._covariances(phi) for phi in pair)
            sigmas = list(zip(up, self.Sigmas, down, strict=True))
            self.first.append([(u - d) / (2.0 * CURVATURE_STEP) for u, _, d in sigmas])
            self.second.append([(u + d - 2.0 * s) / CURVATURE_STEP**2 for u, s, d in sigmas])

    def total(self, sizes: FloatArray) -> FloatArray:
        """Variance that estimating the parameters gives the predictor."""
        total = np.zeros(len(self.given))
        for m, size in enumerate(sizes):
            total += size * 0.5 * (self._slope_along(self.second[m]) - self.bends[m])
        return np.maximum(total, 0.0)

    def _covariances(self, phi: FloatArray) -> list[FloatArray]:
        return [factor @ factor.T for factor in self.point.objective.factors(phi)]

    def _slope_along(self, direction: list[FloatArray]) -> FloatArray:
        """First derivative of v along a direction of Sigma.

        A combination of the slopes at hand where they span it; at a singular Sigma they do not,
        and the direction leads inside: one-sided differences.
        """
        target = _flat(direction)
        basis = np.stack([_flat(first) for first in self.first], axis=1)
        weights = np.linalg.lstsq(basis, target, rcond=None)[0]
        if np.linalg.norm(basis @ weights - target) <= SPANNED * np.linalg.norm(target):
            return np.asarray(weights @ np.stack(self.slopes))
        step = CURVATURE_STEP**2 * max(1.0, *(float(np.trace(S)) for S in self.Sigmas))
        near, far = (self._inside(direction, step * times) for times in (1.0, 2.0))
        return (4.0 * near - far - 3.0 * self.given) / (2.0 * step)

    def _inside(self, direction: list[FloatArray], step: float) -> FloatArray:
        """The variances at Sigma + step * direction."""
        factors = []
        for Sigma, move in zip(self.Sigmas, direction, strict=True):
            values, vectors = np.linalg.eigh(Sigma + step * move)
            factors.append(vectors * np.sqrt(np.maximum(values, 0.0)))
        objective = self.point.objective
        return _variance(Evaluation(objective.blocks, factors, objective.reml), self.rows)


def _flat(blocks: list[FloatArray]) -> FloatArray:
    return np.concatenate([block.ravel() for block in blocks])
