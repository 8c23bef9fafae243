"""A design whose rows are on workers, and what becomes of their sums."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from lmmformula._arrays import IntArray
from lmmformula.design.stream.encoder import Encoder
from lmmformula.design.stream.located import located
from lmmformula.design.stream.needs import Expression, Needs
from lmmformula.design.stream.stream import Chunk
from lmmformula.design.stream.streamed import StreamedDesign
from lmmformula.design.stream.sums import RunningSums
from lmmformula.distributed.data import DaskData
from lmmformula.distributed.parts import Reading
from lmmformula.distributed.sums import (
    SumJob,
    Summed,
    joined_notes,
    levels_together,
    notes_of,
    slim_layout,
    summed,
)
from lmmformula.distributed.survey import WorkerSurvey
from lmmformula.distributed.tasks import DaskMapper
from lmmformula.engine import DataSums
from lmmformula.engine.basis import learn_basis
from lmmformula.engine.layout import factor_layouts
from lmmformula.engine.partitioned.assembly import check_can_divide, system_of
from lmmformula.engine.partitioned.local import Partition
from lmmformula.engine.partitioned.parts import (
    Arrange,
    LocalSums,
    Totals,
    check_whole_groups,
    joined_parts,
    over_all_levels,
    turned_by,
)
from lmmformula.engine.partitioned.system import PartitionedSystem
from lmmformula.engine.summation import only_levels, rebased, without_columns
from lmmformula.errors import DesignError
from lmmformula.matrices import ModelMatrices

__all__ = ["DaskDesign"]

_LOG = logging.getLogger("lmmformula")
REMEDY = "`ddf.shuffle({group!r})`, or `ddf.set_index({group!r})`, before"


class DaskDesign(StreamedDesign):
    """A design over a Dask DataFrame: its passes go where the partitions are."""

    stream: DaskData
    survey_class = WorkerSurvey
    needs: Needs
    _parts: list[Any]
    _job: SumJob

    def learn(self, needs: Needs) -> None:
        """Learn levels and what functions need, and lay out the columns."""
        self.needs = needs
        super().learn(needs)

    def _peeked(self) -> Chunk:
        self._first = super()._peeked()
        return self._first

    def sum_up(self, advance: Callable[[int], None] | None = None) -> None:
        """Sum the rows where they are; the sums stay there until somebody asks for them.

        Parameters
        ----------
        advance : callable, optional
            Called with 1 for every partition that is done.
        """
        while True:
            self._job = self._job_for_now()
            self.n_passes += 1
            _LOG.info("pass %d over %s sums its rows", self.n_passes, self.stream.description)
            self._parts = self._summed_parts(self.stream, advance)
            self._conclude(self._job.encoder, self._notes())
            if not self.must_repeat:
                self._known_end()  # warns, or refuses
                self._first = None  # type: ignore[assignment]
                return

    def _job_for_now(self) -> SumJob:
        """How rows become sums with the levels known by now; the basis is the first rows'."""
        layout = self._known_layout()
        encoder = Encoder(self.formula, self.names, self._tables, slim_layout(layout), self.options)
        example = self._example(encoder)
        return SumJob(
            encoder,
            self.missing,
            learn_basis(example),
            factor_layouts(example),
            self.columns,
            Reading.of(self.stream, self.columns),
        )

    def _example(self, encoder: Encoder) -> ModelMatrices:
        """Some rows."""
        for chunk in chain([self._first], self.stream.chunks(self.columns)):
            for piece in encoder.parts(chunk):
                with located(chunk.where):
                    found = encoder.encode(piece).matrices
                if found is not None:
                    return found
        raise DesignError(
            "there are no complete rows to fit.",
            got=f"a missing value in every row of {self.stream.description}",
            suggestion="leave out or fill the columns that are missing",
        )

    def _summed_parts(
        self, data: DaskData, advance: Callable[[int], None] | None = None
    ) -> list[Any]:
        return data.tasks.kept(data.mapped(summed, self.columns, self._job), advance)

    def _notes(self) -> RunningSums:
        """What was noted of the rows, all partitions together."""
        layout, tasks = self._known_layout(), self.stream.tasks
        notes: RunningSums = tasks.result(
            tasks.tree(tasks.mapped(notes_of, self._parts, None), joined_notes)
        )
        levels = tasks.result(
            tasks.tree(tasks.mapped(_levels_of, self._parts, None), levels_together)
        )
        notes.layout = layout
        for term in layout.terms:
            occurs = np.zeros(len(layout.groups[term.key].coding.levels), dtype=bool)
            occurs[levels[term.spec.term.group]] = True
            notes.groups[term.key] = occurs
        return notes

    # What becomes of the sums

    def together(self) -> DataSums:
        """Sums over all rows, in this process."""
        tasks = self.stream.tasks
        local: LocalSums = tasks.result(
            tasks.tree(tasks.mapped(_local_of, self._parts, None), joined_parts)
        )
        sums = over_all_levels(local, self._job.layouts)
        return self._in_final_columns(only_levels(sums, self.kept_levels))

    def _in_final_columns(self, sums: DataSums) -> DataSums:
        return rebased(without_columns(sums, self.kept, self.dropped, self.coefficients))

    @cached_property
    def partitioned(self) -> PartitionedSystem:
        """The model over partitions that keep their groups.

        Raises
        ------
        DesignError
            Grouping factors that cross, or related levels.
        """
        final = self.finish().matrices
        check_can_divide(final)
        data, parts = self._with_whole_groups()
        tasks = data.tasks
        layouts = factor_layouts(final)
        totals = tasks.result(
            tasks.tree(tasks.mapped(_totals_of, parts, len(self.kept) + len(self.dropped)))
        )
        sums = self._in_final_columns(totals.as_sums(layouts, self._job.basis))
        how = Arrange(turned_by(sums), sums.basis), self.kept_levels
        arranged = tasks.kept(tasks.mapped(_arranged, parts, how))
        return system_of(DaskMapper(tasks, arranged), layouts, sums)

    def _with_whole_groups(self) -> tuple[DaskData, list[Any]]:
        """Partitions that keep their groups; shuffled where they do not."""
        try:
            self._check_groups(self.stream, self._parts)
        except DesignError as error:
            columns = self._columns_of(error.facts["group"])
            if columns is None or error.facts["group"] != self._top:
                raise
            _LOG.info("%s; the rows are shuffled by %s", error.got, ", ".join(columns))
            data = self.stream.shuffled(columns)
            parts = self._summed_parts(data)
            self._check_groups(data, parts)
            return data, parts
        return self.stream, self._parts

    def _check_groups(self, data: DaskData, parts: list[Any]) -> None:
        levels = data.tasks.results(data.tasks.mapped(_levels_of, parts, None))
        labels = {
            term.spec.term.group: term.spec.grouping.levels for term in self._summed_layout.terms
        }
        check_whole_groups(levels, labels, REMEDY)

    @property
    def _top(self) -> str:
        """The grouping factor with fewest levels."""
        smallest = min(self._job.layouts, key=lambda layout: layout.n_levels)
        return smallest.group

    @property
    def _summed_layout(self) -> Any:
        """The layout by which the rows were summed."""
        return self._job.encoder.layout

    def _columns_of(self, group: str) -> list[str] | None:
        """Columns of the data whose values are the levels of a grouping factor, if there are."""
        for term in self._summed_layout.terms:
            if term.spec.term.group == group:
                parts: tuple[Expression, ...] = self.needs.groups[term.key]
                if all(part.lookup for part in parts):
                    return [part.name for part in parts]
        return None


def _levels_of(part: Summed, _: None) -> dict[str, IntArray]:
    return part.local.levels


def _local_of(part: Summed, _: None) -> LocalSums:
    return part.local


def _totals_of(part: Summed, p: int) -> Totals:
    return Totals.of(part.local, p)


def _arranged(part: Summed, how: tuple[Arrange, dict[str, IntArray]]) -> Partition:
    arrange, kept = how
    return arrange(part.local.renumbered(kept))
