"""What two neighbouring partitions learned, as one would have learned it from all their rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from numpy.typing import NDArray

from lmmformula.design.stream.collect import GroupTask, LevelTask, PlaceTask, Task
from lmmformula.design.stream.learners import (
    Extremes,
    Learner,
    Moments,
    Nothing,
    Polynomial,
    Total,
    Whole,
)

__all__ = ["absorb", "absorb_tasks", "slimmed"]


@singledispatch
def absorb(own: Learner, other: Any) -> None:
    """Add what a learner of the following rows learned."""
    raise NotImplementedError(type(own).__name__)


@absorb.register
def _(own: Nothing, other: Nothing) -> None:
    """Nothing was learned."""


@absorb.register
def _(own: Moments, other: Moments) -> None:
    """Chan, Golub and LeVeque's update, for two groups of rows."""
    count = own.count + other.count
    if count:
        step = other.mean - own.mean
        own.squares += other.squares + step**2 * own.count * other.count / count
        own.mean += step * other.count / count
        own.count = count


@absorb.register
def _(own: Total, other: Total) -> None:
    own.total += other.total
    own.count += other.count


@absorb.register
def _(own: Extremes, other: Extremes) -> None:
    own.low, own.high = min(own.low, other.low), max(own.high, other.high)


@absorb.register
def _(own: Polynomial, other: Polynomial) -> None:
    own.rule.absorb(other.rule)


@absorb.register
def _(own: Whole, other: Whole) -> None:
    own.pieces += other.pieces


def slimmed(learners: Sequence[Learner], tasks: Sequence[Task]) -> None:
    """Take away what is as long as a chunk and only stands for its kind."""
    for learner in learners:
        if learner.last is not None:
            (_, *args), options = learner.last
            learner.last = (None, *args), options
    for task in tasks:
        if isinstance(task, GroupTask):
            task.slim()


def absorb_tasks(own: Sequence[Task], other: Sequence[Task]) -> None:
    """Add what tasks found in the following rows; codes are carried over to common levels."""
    renumbered: dict[str, NDArray[Any]] = {}
    for mine, more in zip(own, other, strict=True):
        if isinstance(mine, LevelTask) and isinstance(more, LevelTask):
            renumbered[mine.name] = mine.growing.absorb(more.growing)
    for mine, more in zip(own, other, strict=True):
        if isinstance(mine, GroupTask) and isinstance(more, GroupTask):
            mine.absorb(more, renumbered)
        elif isinstance(mine, PlaceTask) and isinstance(more, PlaceTask):
            mine.absorb(more)
