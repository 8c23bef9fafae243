"""A system at one value of the residuals' parameters, and the criterion's slopes in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.residuals.model import ResidualModel, Whitened
from lmmformula.engine.residuals.slopes import moved_forms, residual_slope
from lmmformula.engine.residuals.working import WorkingResponses
from lmmformula.engine.system import BlockedSystem, rearranged

__all__ = ["ResidualPoint"]


@dataclass(frozen=True, slots=True, eq=False)
class ResidualPoint:
    """Whitened rows and their sums.

    Attributes
    ----------
    system : BlockedSystem
        Sums of the whitened rows.
    residual : ResidualModel
    at : Whitened
    """

    system: BlockedSystem
    residual: ResidualModel
    at: Whitened

    @classmethod
    def of(cls, system: BlockedSystem, phi: FloatArray) -> ResidualPoint | None:
        """The system at ``phi``; None where the residuals' covariance is not positive definite."""
        residual = system.residual
        assert residual is not None
        at = residual.whitened(phi)
        if at is None:
            return None
        return cls(rearranged(system, residual.products(at)), residual, at)

    def slopes(self, evaluation: Evaluation) -> FloatArray:
        """df/dphi over the residuals' parameters."""
        moves = self.residual.derivatives(self.at)
        return np.array([residual_slope(evaluation, products) for products in moves])

    def working(self, evaluation: Evaluation) -> WorkingResponses:
        """What the average information needs."""
        return WorkingResponses.of(self.residual, self.at, evaluation)

    def forms(self, evaluation: Evaluation) -> tuple[FloatArray, FloatArray]:
        """r'R_j r, (m,), and X'H^-1 R_j H^-1 X, (m, p, p), for derivatives R_j of R."""
        found = [moved_forms(evaluation, part) for part in self.residual.derivatives(self.at)]
        return np.array([one for one, _ in found]), np.stack([two for _, two in found])
