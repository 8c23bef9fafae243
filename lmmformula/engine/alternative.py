"""Engines beside the exact one: the same data, held and solved in another way.

A ``BlockedSystem`` holds all cross-products and eliminates them exactly; everything that inference
knows works on it. Where that would not fit, another engine computes what it can of the same
quantities, and what it cannot is refused by name (``postfit.requirements``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from lmmformula._arrays import FloatArray
from lmmformula.engine.basis import WorkingBasis
from lmmformula.engine.layout import FactorLayout, TermLayout
from lmmformula.engine.system import BlockedSystem

if TYPE_CHECKING:
    from lmmformula.engine.estimates import Estimates
    from lmmformula.engine.information import VarianceInformation

__all__ = ["AlternativeSystem", "AnySystem"]


class AlternativeSystem(ABC):
    """A model's data in an engine that computes estimates by itself.

    Attributes
    ----------
    factors : tuple of FactorLayout
        Grouping factors in elimination order.
    basis : WorkingBasis
    xy : ndarray, shape (p + 1, p + 1)
        [X y]'W[X y].
    n_obs : int
    log_weights : float
        Sum of the log prior weights.
    hessian_is_cheap : bool
        Whether second derivatives cost little beside an evaluation.
    """

    method: ClassVar[str]
    """Name for ``fit(method=)``."""
    residual: None = None
    relations: None = None

    factors: tuple[FactorLayout, ...]
    basis: WorkingBasis
    xy: FloatArray
    n_obs: int
    log_weights: float
    hessian_is_cheap: bool

    @property
    def terms(self) -> tuple[TermLayout, ...]:
        """Random-effects terms in the model's order."""
        terms = (term for factor in self.factors for term in factor.terms)
        return tuple(sorted(terms, key=lambda term: term.index))

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return self.xy.shape[0] - 1

    @property
    def q(self) -> int:
        """Number of random effects."""
        return sum(factor.n_columns for factor in self.factors)

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters, sigma apart."""
        return sum(term.structure.n_theta for term in self.terms)

    @abstractmethod
    def estimate(self, theta: FloatArray, reml: bool = True) -> Estimates:
        """Estimates at a given theta."""

    @abstractmethod
    def variance_information(self, theta: FloatArray, reml: bool = True) -> VarianceInformation:
        """Joint uncertainty of the variance parameters, as the engine knows it."""

    @abstractmethod
    def conditional_covariances(self, estimates: Estimates) -> tuple[FloatArray, ...]:
        """Covariance of each level's effects given the data, theta and sigma, (J, k, k) by term."""


AnySystem: TypeAlias = BlockedSystem | AlternativeSystem
"""A model's data in any engine."""
