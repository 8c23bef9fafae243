"""Values of every level, computed where the level is and put in order afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.engine.estimates import modes_in_columns, relative_covariances
from lmmformula.engine.partitioned.local import LocalEvaluation, Partition
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads

__all__ = ["CovariancesAt", "Gathered", "ModesAt"]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """One array for each term with a row for each level, and where the rows belong.

    Attributes
    ----------
    positions : tuple of ndarray, shape (J_local,)
    values : tuple of ndarray, shape (J_local, ...)
    """

    positions: tuple[IntArray, ...]
    values: tuple[FloatArray, ...]

    def __add__(self, other: Gathered) -> Gathered:
        return Gathered(
            tuple(map(_joined, self.positions, other.positions)),
            tuple(map(_joined, self.values, other.values)),
        )

    def ordered(self, n_levels: list[int]) -> tuple[FloatArray, ...]:
        """The arrays by position, for terms with so many levels."""
        result = []
        for n, positions, values in zip(n_levels, self.positions, self.values, strict=True):
            whole = np.zeros((n, *values.shape[1:]))
            whole[positions] = values
            result.append(whole)
        return tuple(result)


def _joined(first: Any, second: Any) -> Any:
    return np.concatenate([first, second])


@dataclass(frozen=True, slots=True, eq=False)
class ModesAt:
    """Conditional modes of one partition's levels, in the user's columns.

    Attributes
    ----------
    factors : list of ndarray, shape (k, k)
    gamma : ndarray, shape (p + 1,)
        (beta, -1) in the working basis.
    """

    factors: list[FloatArray]
    gamma: FloatArray

    def __call__(self, partition: Partition) -> Gathered:
        """(J_local, k) for every term."""
        system = partition.system
        if system is None:
            return _nothing([(len(factor),) for factor in self.factors])
        with limited_threads():
            per_factor = LocalEvaluation(system, self.factors).modes(self.gamma)
            return _placed(partition, system, modes_in_columns(system, per_factor))


@dataclass(frozen=True, slots=True, eq=False)
class CovariancesAt:
    """Conditional covariances of one partition's levels, over sigma^2."""

    factors: list[FloatArray]

    def __call__(self, partition: Partition) -> Gathered:
        """(J_local, k, k) for every term."""
        system = partition.system
        if system is None:
            return _nothing([factor.shape for factor in self.factors])
        with limited_threads():
            blocks = relative_covariances(LocalEvaluation(system, self.factors))
            return _placed(partition, system, tuple(blocks))


def _placed(
    partition: Partition, system: BlockedSystem, values: tuple[FloatArray, ...]
) -> Gathered:
    return Gathered(tuple(partition.levels[term.group] for term in system.terms), values)


def _nothing(shapes: list[tuple[int, ...]]) -> Gathered:
    none = np.zeros(0, dtype=np.int64)
    return Gathered(tuple(none for _ in shapes), tuple(np.zeros((0, *s)) for s in shapes))
