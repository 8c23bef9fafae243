"""Ways to apply a function to every partition and add what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from lmmformula.engine.partitioned.local import Partition

__all__ = ["InProcess", "Mapper", "Pooled", "added"]


class Sums(Protocol):
    """What can be added to its like."""

    def __add__(self, other: Any, /) -> Any:
        """The sum; neither is modified."""


Sum = TypeVar("Sum", bound=Sums)
FAN_IN = 8
"""Partial results that are added in one step."""


class Mapper(Protocol):
    """Applies a picklable function to every partition and adds the results, as a tree."""

    def __call__(self, function: Callable[[Partition], Sum]) -> Sum:
        """The sum over all partitions, in their order."""


def added(parts: Sequence[Sum]) -> Sum:
    """Sum of neighbours, then of neighbouring sums, and so on: the same whoever computes it."""
    while len(parts) > 1:
        parts = [chain(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return parts[0]


def chain(parts: Sequence[Sum]) -> Sum:
    """Sum of a few parts, from the left."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class InProcess:
    """Partitions in this process, one after another.

    Parameters
    ----------
    partitions : sequence of Partition
    """

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self.partitions = partitions

    def __call__(self, function: Callable[[Partition], Sum]) -> Sum:
        """The sum over all partitions, in their order."""
        return added([function(partition) for partition in self.partitions])


class Pooled:
    """Partitions in this process, spread over the workers of a pool.

    Parameters
    ----------
    partitions : sequence of Partition
    run : callable
        ``run(function, partitions)`` gives the results in order, such as ``map`` of a
        ``concurrent.futures`` pool. Threads serve well: the work is in NumPy, which lets them run
        side by side, and partitions need not be sent anywhere.
    """

    def __init__(self, partitions: Sequence[Partition], run: Callable[..., Any]) -> None:
        self.partitions, self.run = partitions, run

    def __call__(self, function: Callable[[Partition], Sum]) -> Sum:
        """The sum over all partitions, in their order."""
        return added(list(self.run(function, self.partitions)))
