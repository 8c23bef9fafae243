"""Passes that learn: levels, combinations, positions, and what functions need of their columns.

Each pass reads only the columns of what it learns. One is enough unless a function is applied to
what another one learned.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from lmmformula._arrays import BoolArray
from lmmformula.design.calls import LearningCall, learning_calls
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.evaluate import Evaluator, as_factor
from lmmformula.design.inputs import subset_mask
from lmmformula.design.sources import listed
from lmmformula.design.stream.collect import GroupTask, LevelTask, PlaceTask, Task
from lmmformula.design.stream.known import ChunkSource, KnownLevels
from lmmformula.design.stream.learners import Learner, learner_of
from lmmformula.design.stream.located import located
from lmmformula.design.stream.needs import Expression, Needs
from lmmformula.design.stream.room import Room
from lmmformula.design.stream.rowwise import (
    ROWS_TRIED,
    is_surely_rowwise,
    refuse_unless_alike,
)
from lmmformula.design.stream.stream import Chunk, Stream
from lmmformula.design.stream.tables import Tables

__all__ = ["Survey"]

_LOG = logging.getLogger("lmmformula")

MANY_ROWS = 1_000_000
"""Rows from which on a pass over them costs more than levels that do not occur."""
ROWS_PER_VALUE = 16
"""Rows for each possible level, at least, for levels to be taken from a range."""


class Survey:
    """Learns the tables of a design from a stream.

    Parameters
    ----------
    stream : Stream
        Read as often as there is something to learn.
    names : tuple of str
        All columns of the data, for messages.
    needs : Needs
        What the model is made of.
    first : Chunk
        The first chunk, with all columns of the model.
    subset : object
        The argument, an expression or None.
    """

    def __init__(
        self, stream: Stream, names: tuple[str, ...], needs: Needs, first: Chunk, subset: Any
    ) -> None:
        self.stream, self.names, self.needs = stream, names, needs
        self.first, self.subset = first, subset
        self.tables = Tables()
        self.n_passes = 0
        self._learned: set[str] = set()
        self._examined: dict[str, Value] = {}
        self._room = Room(stream.n_rows)
        self._declare()

    def run(self) -> Tables:
        """Learn everything."""
        while True:
            with located(self.first.where):
                learners, tasks = self._learners(), self._tasks()
            if not learners and not tasks:
                return self.tables
            self._pass(learners, tasks)

    def source(self, chunk: Chunk, rows: slice | None = None) -> ChunkSource:
        """Return a chunk with the levels known so far."""
        return ChunkSource(chunk.source, self.names, self.tables.columns, rows)

    def _declare(self) -> None:
        for name in self.needs.columns:
            levels = self.stream.declared(name)
            if levels is not None:
                self.tables.columns[name] = KnownLevels(levels)

    # What is ready to be learned

    def _open_columns(self, expression: Expression) -> bool:
        """Whether levels of a column in it are still unknown."""
        return any(
            name not in self.tables.columns and self._is_categorical(name)
            for name in expression.columns
        )

    def _is_categorical(self, name: str) -> bool:
        return isinstance(self.first.source.column(name), Categories)

    def _calls(self, expression: Expression) -> list[LearningCall]:
        if expression.lookup or not expression.learns:
            return []
        evaluator = Evaluator(self.source(self.first, slice(0, 0)), self.tables.state)
        code, environment, _ = evaluator.prepared(expression.name, expression.where)
        return learning_calls(code, environment)

    def _is_ready(self, expression: Expression) -> bool:
        if expression.lookup:
            return True
        if self._open_columns(expression) and not expression.is_plain:
            return False
        return all(call.key in self._learned for call in self._calls(expression))

    def _learners(self) -> list[tuple[Expression, Learner]]:
        """Return what learns the innermost calls that are not learned yet."""
        out: dict[str, tuple[Expression, Learner]] = {}
        for expression in self.needs.all():
            if not expression.learns or self._open_columns(expression):
                continue
            evaluator = Evaluator(self.source(self.first), self.tables.state)
            for call in self._calls(expression):
                if call.key not in self._learned and call.needs <= self._learned:
                    arguments = self._arguments(evaluator, expression, call)
                    out.setdefault(call.key, (expression, learner_of(call, arguments, self._room)))
        return list(out.values())

    def _arguments(self, evaluator: Evaluator, expression: Expression, call: LearningCall) -> Any:
        _, environment, _ = evaluator.prepared(expression.name, expression.where)
        return evaluator.guarded(
            lambda: call.arguments(environment, self.tables.state),
            expression.name,
            expression.where,
        )

    def _tasks(self) -> list[Task]:
        known = self.tables
        tasks: dict[Any, Task] = {}
        for expression in self.needs.all():
            for name in expression.columns:
                if name in known.columns or not self._is_categorical(name):
                    continue
                if expression.is_plain and not expression.lookup:
                    continue
                counted = expression.lookup and expression not in self.needs.others
                task = tasks.setdefault(name, LevelTask(name, (name,)))
                assert isinstance(task, LevelTask)
                task.expression = expression if counted else task.expression
        for name, expression in self.needs.effects.items():
            if self._needs_levels(expression):
                tasks[name] = LevelTask(name, expression.columns, expression)
        for key, components in self.needs.groups.items():
            if key not in known.groups and all(map(self._is_ready, components)):
                for expression in components:
                    if self._needs_levels(expression):
                        tasks[expression.name] = LevelTask(
                            expression.name, expression.columns, expression
                        )
                if not self._declared_group(key, components):
                    tasks[key] = GroupTask(key, components, self.needs.texts[key])
        for i, components in self.needs.places.items():
            if i not in known.places and all(map(self._is_ready, components)):
                tasks[i] = PlaceTask(i, components)
        return list(tasks.values())

    def _declared_group(self, key: tuple[str, ...], components: Sequence[Expression]) -> bool:
        """Whether a grouping factor is a column whose levels are known without reading."""
        name = components[0].name
        if len(key) > 1 or not components[0].lookup:
            return False
        if name not in self.tables.columns:
            return self._bounded_group(key, name)
        if name in self.tables.occurs:
            return False
        levels = self.tables.columns[name].levels
        codes = np.arange(len(levels), dtype=np.int32)
        self.tables.groups[key] = (Categories(name, codes, levels),)
        return True

    def _bounded_group(self, key: tuple[str, ...], name: str) -> bool:
        """Whether a grouping factor is a column of integers of a known, narrow range.

        Those of the range that do not occur are left out once the rows have been summed.
        """
        n_rows, ends = self.stream.n_rows, None
        if n_rows is not None and n_rows >= MANY_ROWS:
            ends = self.stream.bounds(name)
        if ends is None or n_rows is None or ends[1] - ends[0] >= n_rows // ROWS_PER_VALUE:
            return False
        values = np.arange(ends[0], ends[1] + 1, dtype=np.int64)
        self.tables.groups[key] = (Numbers(name, values),)
        return True

    def _needs_levels(self, expression: Expression) -> bool:
        """Whether an expression makes categories out of values, which then have to be seen."""
        name = expression.name
        if expression.lookup or name in self.tables.made or not self._is_ready(expression):
            return False
        if name not in self._examined:
            self._examined[name] = self._examine(expression)
        value = self._examined[name]
        if not isinstance(value, Categories):
            return False
        none = self._evaluated(expression, slice(0, 0))
        return not (isinstance(none, Categories) and list(none.levels) == list(value.levels))

    def _examine(self, expression: Expression) -> Value:
        """Evaluate an expression on the first chunk; it must not depend on how rows are cut."""
        evaluator = Evaluator(self.source(self.first), self.tables.state)
        code, environment, _ = evaluator.prepared(expression.name, expression.where)
        value = evaluator.value(expression.name, lookup=False, where=expression.where)
        if not is_surely_rowwise(code, environment):
            n = self.first.source.n_rows
            at = sorted({i * (n - 1) // ROWS_TRIED for i in range(ROWS_TRIED + 1)})
            pieces = [slice(0, (n + 1) // 2), *(slice(i, i + 1) for i in at)]
            parts = [(rows, self._evaluated(expression, rows)) for rows in pieces]
            refuse_unless_alike(expression.name, expression.where, value, parts)
        return value

    def _evaluated(self, expression: Expression, rows: slice) -> Value:
        evaluator = Evaluator(self.source(self.first, rows), self.tables.state)
        value = evaluator.value(expression.name, lookup=False, where=expression.where)
        return as_factor(value)

    def examine_all(self) -> None:
        """See that every expression that has not been looked at is one of single rows."""
        for expression in self.needs.all():
            if not expression.lookup and expression.name not in self._examined:
                self._examined[expression.name] = self._examine(expression)

    # A pass

    def _pass(self, learners: list[tuple[Expression, Learner]], tasks: list[Task]) -> None:
        self.n_passes += 1
        subset = self._subset_ready() if tasks else False
        columns = [name for expression, _ in learners for name in expression.columns]
        columns += [name for task in tasks for name in task.columns]
        columns += self.needs.subset.columns if subset and self.needs.subset else ()
        self._say(learners, tasks)
        learners, tasks = self.studied(tuple(dict.fromkeys(columns)), learners, tasks, subset)
        for _, learner in learners:
            self.tables.state[learner.call.key] = learner.state()
            self._learned.add(learner.call.key)
        for task in sorted(tasks, key=lambda task: not isinstance(task, LevelTask)):
            task.settle(self.tables, tasks, self.stream)

    def studied(
        self,
        columns: tuple[str, ...],
        learners: list[tuple[Expression, Learner]],
        tasks: list[Task],
        subset: bool,
    ) -> tuple[list[tuple[Expression, Learner]], list[Task]]:
        """Go through the rows; return the learners and tasks that have seen them."""
        with closing(self.stream.chunks(columns)) as chunks:  # type: ignore[type-var]
            for chunk in chunks:
                self.study(chunk, learners, tasks, subset)
        return learners, tasks

    def study(
        self,
        chunk: Chunk,
        learners: list[tuple[Expression, Learner]],
        tasks: list[Task],
        subset: bool,
    ) -> None:
        """Show a chunk to learners and tasks."""
        growing = {
            task.name: task.growing
            for task in tasks
            if isinstance(task, LevelTask) and task.is_column
        }
        source = ChunkSource(chunk.source, self.names, {**self.tables.columns, **growing})
        with located(chunk.where):
            evaluator = Evaluator(source, self.tables.state)
            for expression, learner in learners:
                learner.add(self._arguments(evaluator, expression, learner.call))
            self._collect(evaluator, tasks, subset)

    def _subset_ready(self) -> bool:
        return self.needs.subset is not None and self._is_ready(self.needs.subset)

    def _collect(self, evaluator: Evaluator, tasks: list[Task], subset: bool) -> None:
        """Give the rows that count to those who look for levels, groups and positions."""
        if not tasks:
            return
        values: dict[str, Value] = {}
        for task in tasks:
            for expression in task.counted:
                if expression.name not in values:
                    values[expression.name] = self._placed(evaluator, expression, tasks)
        keep: BoolArray | None = subset_mask(self.subset, evaluator) if subset else None
        for value in values.values():
            gone = value.missing_rows()
            if gone is not None:
                keep = ~gone if keep is None else keep & ~gone
        rows = None if keep is None or keep.all() else np.flatnonzero(keep)
        taken = {name: value.take(rows) for name, value in values.items()}
        for task in tasks:
            task.add(evaluator, taken)

    def _placed(self, evaluator: Evaluator, expression: Expression, tasks: list[Task]) -> Value:
        value = evaluator.value(expression.name, lookup=expression.lookup, where=expression.where)
        if expression.name in self.needs.effects:
            value = as_factor(value)
        if not isinstance(value, Categories) or expression.lookup:
            return value
        for task in tasks:
            if isinstance(task, LevelTask) and task.name == expression.name:
                return task.growing.place(value)
        known = self.tables.made.get(expression.name)
        return value if known is None else known.place(value)

    def _say(self, learners: list[tuple[Expression, Learner]], tasks: list[Task]) -> None:
        what = [task.described for task in tasks]
        what += [f"what `{learner.call.text}` depends on" for _, learner in learners]
        _LOG.info(
            "pass %d over %s learns %s",
            self.n_passes,
            self.stream.description,
            listed(list(dict.fromkeys(what))),
        )
        for _, learner in learners:
            if learner.in_memory:
                _LOG.info(
                    "`%s` needs a whole column at once, which is gathered in memory",
                    learner.call.text,
                )
                rows = self.stream.n_rows
                if rows is not None:
                    self._room.check(8 * rows * (1 + learner.factor), learner.call.text)
