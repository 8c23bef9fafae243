"""Eigenvalues of a Hessian beside the rotations: steps, predictions, and the proof of a minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.errors import NumericalError

__all__ = ["Spectrum"]

SMALL_CURVATURE = 1e-4


class Spectrum:
    """Eigen-decomposition of a Hessian with the rotations left out."""

    def __init__(
        self, point: Any, *, exact: bool, flat: float, hessian: FloatArray | None = None
    ) -> None:
        self.exact = exact
        self.hessian = point.hessian(exact=exact) if hessian is None else hessian
        effective = point.effective
        # A step is judged relative to the size of the factor that it changes.
        size = np.sqrt((effective != 0.0).T @ point.phi**2)
        basis = effective * np.maximum(1.0, size)
        if not np.isfinite(point.gradient).all():
            raise NumericalError(
                "the derivatives of the criterion overflow.",
                got=f"criterion {point.value:.6g} with an infinite or undefined gradient",
                suggestion="rescale the columns with the largest values",
            )
        self.values, vectors = np.linalg.eigh(basis.T @ self.hessian @ basis)
        self.vectors = basis @ vectors
        self.gradient = self.vectors.T @ point.gradient
        largest = float(np.max(np.abs(self.values), initial=0.0))
        self.floor = flat * max(largest, 1.0)
        self.curvature = np.maximum(np.abs(self.values), self.floor)
        self.decrement = 0.5 * float(np.sum(self.gradient**2 / self.curvature))
        self.smallest = float(self.values[0]) if len(self.values) else np.inf

    @property
    def is_minimum(self) -> bool:
        """No direction of descent beside the rotations."""
        return self.smallest >= -10.0 * self.floor

    @property
    def is_flat(self) -> bool:
        """Some direction beside the rotations has no curvature."""
        return self.is_minimum and bool(np.any(self.values <= 10.0 * self.floor))

    @property
    def has_small_curvature(self) -> bool:
        """Some curvature is small enough to be in doubt."""
        size = np.abs(self.values)
        return bool(np.any(size <= SMALL_CURVATURE * size.max(initial=0.0)))

    def step(self, radius: float) -> tuple[FloatArray, float, float]:
        """|Newton| step, shortened to the radius by a shift of the eigenvalues.

        Returns
        -------
        tuple of (ndarray, float, float)
            The step in phi, its length relative to the factors' size, and the decrease of the
            criterion that the quadratic model promises.
        """
        shift, step = 0.0, -self.gradient / self.curvature
        for _ in range(60):
            length = math.sqrt(step @ step)
            if length <= 1.001 * radius:
                break
            slope = float(np.sum(self.gradient**2 / (self.curvature + shift) ** 3))
            shift += (length / radius - 1.0) * length**2 / slope
            step = -self.gradient / (self.curvature + shift)
        promised = -float(self.gradient @ step + 0.5 * step @ (self.values * step))
        return np.asarray(self.vectors @ step), math.sqrt(step @ step), promised
