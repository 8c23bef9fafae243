"""What two neighbouring partitions learned, as one would have learned it from all their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from lmmformula.design.stream.collect import GroupTask, LevelTask, PlaceTask, Task

__all__ = ["absorb_tasks"]


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
