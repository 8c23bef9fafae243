"""Small records and protocols that results are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

from numpy.typing import ArrayLike

from lmmformula._arrays import IntArray
from lmmformula.design import Design
from lmmformula.engine import AnySystem, BlockedSystem
from lmmformula.postfit.fingerprint import Fingerprint

__all__ = ["Dropped", "ModelLike"]


class ModelLike(Protocol):
    """The model as its results see it."""

    design: Design

    @property
    def system(self) -> BlockedSystem:
        """Cross-products arranged for exact elimination."""

    @property
    def any_system(self) -> AnySystem:
        """The data in the engine that fits the model."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Digests of rows, response and weights."""

    def require_rows(self, what: str) -> None:
        """Raise if the rows are gone."""

    def fit(
        self,
        reml: bool = ...,
        *,
        start: Any = ...,
        optimizer: Any = ...,
        precision: float = ...,
        seed: int = ...,
    ) -> Any:
        """Fit the model."""

    def at(self, theta: ArrayLike, reml: bool = ...) -> Any:
        """Results at a given theta."""

    def with_response(self, y: ArrayLike) -> Self:
        """Return the model with another response."""

    def without_rows(self) -> Self:
        """Return the model without its rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """What the fit left out.

    Attributes
    ----------
    columns : tuple of str
        Columns of the fixed effects that other columns determine.
    rows : ndarray of int
        Positions, in the data passed in, of rows with missing values.
    """

    columns: tuple[str, ...]
    rows: IntArray
