"""Covariance structures for many parameter vectors at once.

``covariance.Structure`` speaks of one parameter vector; here every method takes (R, n_phi). The two
structures of most models are written out; any other goes through its own methods one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import Diagonal, Structure, Unstructured

__all__ = ["BatchedStructure", "batched"]


class BatchedStructure(ABC):
    """One term's structure at R parameter vectors; see ``Structure`` for the meaning."""

    def __init__(self, structure: Structure) -> None:
        self.structure, self.k = structure, structure.k

    @abstractmethod
    def factor(self, phi: FloatArray) -> FloatArray:
        """Square factors Lambda, (R, k, k)."""

    @abstractmethod
    def jacobian(self, phi: FloatArray) -> FloatArray:
        """dSigma/dphi over the upper triangle, (R, k(k+1)/2, n_phi)."""

    @abstractmethod
    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        """``gradient`` (R, k, k) times the second derivatives of Sigma, (R, n_phi, n_phi)."""

    @abstractmethod
    def projector(self, phi: FloatArray) -> FloatArray:
        """Projection onto the directions in which Sigma changes, (R, n_phi, n_phi)."""

    @abstractmethod
    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        """Small unwanted variances set to zero, (R, n_phi)."""


class _Looped(BatchedStructure):
    """Any structure, one parameter vector after another."""

    def factor(self, phi: FloatArray) -> FloatArray:
        return np.stack([self.structure.factor(row) for row in phi])

    def jacobian(self, phi: FloatArray) -> FloatArray:
        return np.stack([self.structure.jacobian(row) for row in phi])

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        pairs = zip(phi, gradient, strict=True)
        return np.stack([self.structure.curvature(row, block) for row, block in pairs])

    def projector(self, phi: FloatArray) -> FloatArray:
        bases = [self.structure.effective(row) for row in phi]
        return np.stack([basis @ basis.T for basis in bases])

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        pairs = zip(phi, gradient, strict=True)
        return np.stack([self.structure.snap(row, block, tolerance) for row, block in pairs])


class _Square(BatchedStructure):
    """Full square factors (``us``)."""

    def factor(self, phi: FloatArray) -> FloatArray:
        return phi.reshape(len(phi), self.k, self.k)

    def jacobian(self, phi: FloatArray) -> FloatArray:
        k, (rows, columns) = self.k, self.structure.pairs
        factor, index = self.factor(phi), np.arange(len(rows))
        derivative = np.zeros((len(phi), len(rows), k, k))
        derivative[:, index, rows] += factor[:, columns]
        derivative[:, index, columns] += factor[:, rows]
        return derivative.reshape(len(phi), len(rows), k * k)

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        k = self.k
        outer = (2.0 * gradient)[:, :, None, :, None] * np.eye(k)[None, None, :, None, :]
        return outer.reshape(len(phi), k * k, k * k)

    def projector(self, phi: FloatArray) -> FloatArray:
        k, n = self.k, self.k * self.k
        identity = np.broadcast_to(np.eye(n), (len(phi), n, n))
        if k == 1:
            return identity
        factor = self.factor(phi)
        rows, columns = np.triu_indices(k, 1)
        index = np.arange(len(rows))
        tangents = np.zeros((len(phi), len(rows), k, k))
        tangents[:, index, :, columns] = factor[:, :, rows].transpose(2, 0, 1)
        tangents[:, index, :, rows] = -factor[:, :, columns].transpose(2, 0, 1)
        flat = tangents.reshape(len(phi), len(rows), n)
        if len(rows) == 1:
            size = np.linalg.norm(flat, axis=2, keepdims=True)
            right = np.divide(flat, size, out=np.zeros_like(flat), where=size > 1e-150)
        else:
            _, size, right = np.linalg.svd(flat, full_matrices=False)
            keep = size > 1e-7 * np.maximum(size[:, :1], 1e-300)
            right = right * keep[:, :, None]
        return identity - right.transpose(0, 2, 1) @ right

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        if self.k == 1:
            drop = (np.abs(phi[:, 0]) <= tolerance) & (gradient[:, 0, 0] > 0.0)
            return np.where(drop[:, None], 0.0, phi)
        factor = self.factor(phi)
        size = np.sum(phi * phi, axis=1) ** ((self.k - 1) / 2.0)
        doubtful = np.flatnonzero(np.abs(np.linalg.det(factor)) <= tolerance * size)
        if not len(doubtful):
            return phi
        left, values, right = np.linalg.svd(factor[doubtful])
        wanted = np.einsum("rai,rab,rbi->ri", left, gradient[doubtful], left) <= 0.0
        keep = (values > tolerance) | wanted
        cut = (left * (values * keep)[:, None, :]) @ right
        snapped = phi.copy()
        changed = ~keep.all(axis=1)
        snapped[doubtful[changed]] = cut[changed].reshape(-1, self.k * self.k)
        return snapped


class _Diagonal(BatchedStructure):
    """Standard deviations only (``diag``)."""

    def factor(self, phi: FloatArray) -> FloatArray:
        return phi[:, :, None] * np.eye(self.k)

    def jacobian(self, phi: FloatArray) -> FloatArray:
        rows, columns = self.structure.pairs
        derivative = np.zeros((len(phi), len(rows), self.k))
        derivative[:, np.flatnonzero(rows == columns), np.arange(self.k)] = 2.0 * phi
        return derivative

    def curvature(self, phi: FloatArray, gradient: FloatArray) -> FloatArray:
        return 2.0 * gradient * np.eye(self.k)

    def projector(self, phi: FloatArray) -> FloatArray:
        return np.broadcast_to(np.eye(self.k), (len(phi), self.k, self.k))

    def snap(self, phi: FloatArray, gradient: FloatArray, tolerance: float) -> FloatArray:
        diagonal = np.diagonal(gradient, axis1=1, axis2=2)
        return np.where((np.abs(phi) > tolerance) | (diagonal <= 0.0), phi, 0.0)


_WRITTEN_OUT: dict[type[Structure], type[BatchedStructure]] = {
    Unstructured: _Square,
    Diagonal: _Diagonal,
}


def batched(structure: Structure) -> BatchedStructure:
    """The batched form of a structure."""
    return _WRITTEN_OUT.get(type(structure), _Looped)(structure)
