"""Passes that learn, on the workers: each looks at its partitions, neighbours are joined."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmmformula.design.stream.collect import GroupTask, Task
from lmmformula.design.stream.kinds import Expected
from lmmformula.design.stream.learners import Learner
from lmmformula.design.stream.needs import Expression
from lmmformula.design.stream.survey import Survey
from lmmformula.distributed.data import DaskData
from lmmformula.distributed.merging import absorb_tasks
from lmmformula.distributed.parts import Reading, expectations

__all__ = ["WorkerSurvey"]

Learners = list[tuple[Expression, Learner]]


class WorkerSurvey(Survey):
    """A survey that goes through the rows where they are."""

    stream: DaskData

    def studied(
        self, columns: tuple[str, ...], learners: Learners, tasks: list[Task], subset: bool
    ) -> tuple[Learners, list[Task]]:
        """Learners and tasks that have seen all partitions."""
        reading = Reading.of(self.stream, columns)
        job = _Job(self._without_data(), columns, learners, tasks, subset, reading)
        found: _Studied = self.stream.reduced(_studied, columns, _joined, job)
        self.stream.note(found.expected)
        named = [expression for expression, _ in learners]
        return list(zip(named, found.learners, strict=True)), found.tasks

    def _without_data(self) -> Survey:
        """What a worker needs of this."""
        slim = copy.copy(self)
        slim.__class__ = Survey  # type: ignore[assignment]
        slim.stream = slim.first = None  # type: ignore[assignment]
        slim._examined = {}
        return slim


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What to look for in every partition."""

    survey: Survey
    columns: tuple[str, ...]
    learners: Learners
    tasks: list[Task]
    subset: bool
    reading: Reading


@dataclass(frozen=True, slots=True, eq=False)
class _Studied:
    """What some partitions have shown."""

    learners: list[Learner]
    tasks: list[Task]
    expected: dict[str, Expected]


def _studied(frame: Any, number: int, job: _Job) -> _Studied:
    learners, tasks = copy.deepcopy((job.learners, job.tasks))
    part = job.reading.part(frame, number)
    for chunk in part.rows(job.columns):
        job.survey.study(chunk, learners, tasks, job.subset)
    found = [learner for _, learner in learners]
    for learner in found:
        learner.slim()
    for task in tasks:
        if isinstance(task, GroupTask):
            task.slim()
    return _Studied(found, tasks, part.seen(job.columns))


def _joined(parts: Sequence[_Studied]) -> _Studied:
    """Neighbours together; what workers hold is not changed."""
    total, expected = copy.deepcopy(parts[0]), parts[0].expected
    for part in parts[1:]:
        more = copy.deepcopy(part)
        for own, other in zip(total.learners, more.learners, strict=True):
            own.absorb(other)
        absorb_tasks(total.tasks, more.tasks)
        expected = expectations(expected, part.expected)
    return _Studied(total.learners, total.tasks, expected)
