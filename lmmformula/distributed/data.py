"""A Dask DataFrame: what its columns are, and how to ask its partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lmmformula.design.stream.kinds import Expected
from lmmformula.design.stream.pieces import PieceSource
from lmmformula.design.stream.readers import DaskStream
from lmmformula.distributed.parts import Reading
from lmmformula.distributed.tasks import Tasks

__all__ = ["DaskData"]


class DaskData(DaskStream):
    """A stream whose partitions stay where they are.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    """

    prefetch = False  # only the first partition is ever read here
    tasks: Tasks

    def __init__(self, frame: Any) -> None:
        super().__init__(frame)
        self.tasks = Tasks()

    @classmethod
    def of(cls, stream: DaskStream) -> DaskData:
        """The same data with the same declarations."""
        return cls(stream._frame)._as(stream)

    def shuffled(self, columns: Sequence[str]) -> DaskData:
        """The same rows, with those that have equal values in some columns together."""
        return DaskData(self._frame.shuffle(on=list(columns)))._as(self)

    def _as(self, stream: DaskStream) -> DaskData:
        self.chunk_rows = stream.chunk_rows
        self._levels.update(stream._levels)
        self._expected.update(stream._expected)
        return self

    @property
    def n_partitions(self) -> int:
        """Number of partitions."""
        return int(self._frame.npartitions)

    def _pieces(self, columns: Sequence[str]) -> Iterator[tuple[PieceSource, str]]:
        reading = Reading(self.names, self.description, self.chunk_rows, {}, {})
        for number, part in enumerate(self.parts(columns)):
            yield from reading.part(self.tasks.result(part), number)._pieces(columns)

    def note(self, expected: Mapping[str, Expected]) -> None:
        """Take over what the workers know of the columns."""
        self._expected.update(expected)

    def parts(self, columns: Sequence[str]) -> list[Any]:
        """Tasks that give the partitions with some columns."""
        return list(self._frame[list(columns)].to_delayed())

    def mapped(self, function: Callable[..., Any], columns: Sequence[str], job: Any) -> list[Any]:
        """Tasks ``function(partition, number, job)``."""
        return self.tasks.mapped(function, self.parts(columns), job, numbered=True)

    def reduced(
        self,
        function: Callable[..., Any],
        columns: Sequence[str],
        combine: Callable[[Sequence[Any]], Any],
        job: Any,
    ) -> Any:
        """Results of ``function(partition, number, job)``, combined as a tree in their order."""
        return self.tasks.result(self.tasks.tree(self.mapped(function, columns, job), combine))
