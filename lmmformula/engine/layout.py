"""Where everything is: terms merged per grouping factor, the elimination order, the tail.

The factor with most columns is eliminated first (block diagonal). The levels of the other factors
form the *tail*. Two tail levels are coupled when some eliminated level touches both. How the
entries between coupled levels are stored, ``block_layout`` and ``sparse.layout`` say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from lmmformula._arrays import CodeArray, FloatArray, IntArray
from lmmformula.covariance import Structure, make_structure
from lmmformula.matrices import ModelMatrices

__all__ = [
    "FactorLayout",
    "LevelPairs",
    "TailLayout",
    "TermLayout",
    "column_starts",
    "factor_layouts",
]


class LevelPairs(Protocol):
    """Pairs of levels of two factors that occur together."""

    @property
    def left(self) -> CodeArray:
        """Levels of the first factor."""

    @property
    def right(self) -> CodeArray:
        """Levels of the second factor."""


@dataclass(frozen=True, slots=True, eq=False)
class TermLayout:
    """One random-effects term inside its grouping factor."""

    index: int
    """Position of the term in the model (and in theta)."""
    structure: Structure
    columns: slice
    """Its effects among those of the factor."""
    text: str
    effect_names: tuple[str, ...]
    group: str


@dataclass(frozen=True, eq=False)
class FactorLayout:
    """All terms of one grouping factor, merged."""

    group: str
    n_levels: int
    terms: tuple[TermLayout, ...]
    relationship: FloatArray | None = None
    """L with LL' the known relationship between the levels, (J, J); None: independent levels."""

    @cached_property
    def directions(self) -> FloatArray:
        """Entries of the terms' covariances as unit directions, shape (T, k, k), term by term."""
        return self.embedded([term.structure.entry_directions() for term in self.terms])

    @cached_property
    def moment_directions(self) -> FloatArray:
        """Directions of which starting values are made, shape (T, k, k), term by term."""
        return self.embedded([term.structure.moment_directions() for term in self.terms])

    def embedded(self, per_term: list[FloatArray]) -> FloatArray:
        """Each term's directions among the effects of the whole factor, (T, k, k)."""
        if len(per_term) == 1:
            return per_term[0]
        blocks = []
        for term, part in zip(self.terms, per_term, strict=True):
            block = np.zeros((len(part), self.k, self.k))
            block[:, term.columns, term.columns] = part
            blocks.append(block)
        return np.concatenate([np.zeros((0, self.k, self.k)), *blocks])

    @property
    def k(self) -> int:
        """Effects per level, over all terms."""
        return int(self.terms[-1].columns.stop) if self.terms else 1

    @property
    def n_columns(self) -> int:
        """Columns of Z that the factor contributes."""
        return self.n_levels * self.k

    def merged(self, factors: dict[int, FloatArray]) -> FloatArray:
        """Block-diagonal Lambda of one level from the terms' factors, by term index."""
        if not self.terms:
            return np.zeros((self.k, self.k))
        if len(self.terms) == 1:
            return factors[self.terms[0].index]
        Lambda = np.zeros((self.k, self.k))
        for term in self.terms:
            Lambda[term.columns, term.columns] = factors[term.index]
        return Lambda


class TailLayout(ABC):
    """Columns of the tail factors, and where the entries between them are stored.

    Matrices over the tail are symmetric and kept flat, an entry at the position that ``address``
    gives it.

    Attributes
    ----------
    factors : tuple of FactorLayout
        The factors that are not eliminated first.
    starts : tuple of int
        First tail column of each factor; column of (level, effect) is
        ``start + level * k + effect``.
    """

    factors: tuple[FactorLayout, ...]
    starts: tuple[int, ...]

    @property
    def n_columns(self) -> int:
        """Columns of the tail, X and y apart."""
        return sum(factor.n_columns for factor in self.factors)

    @property
    @abstractmethod
    def storage(self) -> int:
        """Length of the flat storage."""

    @property
    def is_single(self) -> bool:
        """One dense block."""
        return False

    @property
    @abstractmethod
    def kind(self) -> str:
        """A word for the way of storing: none, dense, blocks or sparse."""

    @property
    @abstractmethod
    def factor_entries(self) -> int:
        """Entries that the elimination stores, padding included."""

    @property
    @abstractmethod
    def traces_are_cheap(self) -> bool:
        """Whether the traces of the exact Hessian cost little beside an evaluation."""

    @abstractmethod
    def address(self, left: IntArray, right: IntArray) -> IntArray:
        """Flat storage positions of entries (left, right), which must be coupled."""

    @abstractmethod
    def completed(self, flat: FloatArray) -> FloatArray:
        """Storage of B + B' for B with each entry on one side only; in place."""

    @abstractmethod
    def times(self, flat: FloatArray, values: FloatArray) -> FloatArray:
        """A matrix in flat storage times ``values`` (n_columns, t)."""

    @abstractmethod
    def inner(self, left: FloatArray, right: FloatArray) -> float:
        """Sum of the products of all entries of two matrices in flat storage."""

    def side_by_side(self, per_factor: list[FloatArray]) -> FloatArray:
        """Columns of the tail from each factor's own (J, k, c), side by side."""
        columns = np.zeros((self.n_columns, sum(part.shape[2] for part in per_factor)))
        position = 0
        for layout, start, part in zip(self.factors, self.starts, per_factor, strict=True):
            width = part.shape[2]
            rows = part.reshape(layout.n_columns, width)
            columns[start : start + layout.n_columns, position : position + width] = rows
            position += width
        return columns


def column_starts(factors: tuple[FactorLayout, ...]) -> tuple[int, ...]:
    """First tail column of each factor."""
    return tuple(np.cumsum([0, *(factor.n_columns for factor in factors)])[:-1].tolist())


def factor_layouts(matrices: ModelMatrices) -> tuple[FactorLayout, ...]:
    """Merge the terms by grouping factor; the factor with most columns of Z comes first.

    Related levels cannot be eliminated one by one, so their factors come last. Where that leaves
    none to eliminate first, a factor without levels takes the place.
    """
    grouped: dict[str, list[int]] = {}
    for index, block in enumerate(matrices.random):
        grouped.setdefault(block.group, []).append(index)
    layouts = []
    for group, members in grouped.items():
        terms, start = [], 0
        for index in members:
            block = matrices.random[index]
            structure = make_structure(block.structure, block.n_effects, block.positions)
            columns = slice(start, start + block.n_effects)
            terms.append(
                TermLayout(index, structure, columns, block.text, block.effect_names, group)
            )
            start = columns.stop
        own = matrices.random[members[0]]
        layouts.append(FactorLayout(group, own.n_levels, tuple(terms), own.relationship))
    layouts.sort(key=lambda layout: (layout.relationship is not None, -layout.n_columns))
    if not layouts or layouts[0].relationship is not None:
        layouts.insert(0, FactorLayout("", 0, ()))
    return tuple(layouts)
