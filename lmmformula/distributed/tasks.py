"""Tasks on the workers of a cluster, or in threads of this process where there is none."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lmmformula.engine.partitioned.local import Partition
from lmmformula.engine.partitioned.mapping import FAN_IN, Sum, chain
from lmmformula.errors import OptionError

__all__ = ["DaskMapper", "Tasks"]

RETRIES = 3
"""Times that a task is tried again after an error that may not be its own."""


class Tasks:
    """Builds tasks and runs them.

    Parameters
    ----------
    client : distributed.Client, optional
        By default the one that is active; without one, threads of this process.
    """

    def __init__(self, client: Any = None) -> None:
        self.client = _active_client() if client is None else client

    def mapped(
        self,
        function: Callable[..., Any],
        parts: Sequence[Any],
        job: Any,
        *,
        numbered: bool = False,
    ) -> list[Any]:
        """Tasks ``function(part, job)``, or ``function(part, number, job)``, one for each part.

        Parameters
        ----------
        function : callable
            Pure: called again where its result is lost.
        parts : sequence of Delayed
        job : object
            What all have in common; it is sent to every worker once.
        numbered : bool, default False
            Tell each part which it is.
        """
        call = _dask().delayed(function, pure=False)
        shared = _dask().delayed(job, pure=False, traverse=False)
        if numbered:
            return [call(part, number, shared) for number, part in enumerate(parts)]
        return [call(part, shared) for part in parts]

    def tree(self, parts: Sequence[Any], combine: Callable[[Sequence[Any]], Any] = chain) -> Any:
        """A task that combines neighbours, then neighbouring results, and so on."""
        call = _dask().delayed(combine, pure=False)
        while len(parts) > 1:
            parts = [call(list(parts[i : i + FAN_IN])) for i in range(0, len(parts), FAN_IN)]
        return parts[0]

    def result(self, task: Any) -> Any:
        """Run a task and wait for it; an interrupt cancels it."""
        if self.client is None:
            return task.compute(scheduler="threads")
        with _no_word_on_size():
            future = self.client.compute(task, retries=RETRIES)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def results(self, tasks: Sequence[Any]) -> list[Any]:
        """Run several tasks and wait for all, in order."""
        return list(self.result(_dask().delayed(list, pure=False)(list(tasks))))

    def kept(self, tasks: Sequence[Any], advance: Callable[[int], None] | None = None) -> list[Any]:
        """Run tasks and keep what they give where it is; it is made again if it is lost.

        Parameters
        ----------
        tasks : sequence of Delayed
        advance : callable, optional
            Called with 1 for every task that has finished.
        """
        if self.client is None:
            found = list(_dask().persist(*tasks, scheduler="threads"))
            if advance is not None:
                advance(len(found))
            return found
        with _no_word_on_size():
            found = list(self.client.persist(list(tasks), retries=RETRIES))
        try:
            for future in _finished(found):
                if future.status == "error":
                    future.result()
                if advance is not None:
                    advance(1)
        except BaseException:
            self.client.cancel(found)
            raise
        return found


class DaskMapper:
    """Applies a function to every partition where it is, and adds the results on the workers.

    Parameters
    ----------
    tasks : Tasks
    partitions : sequence of Delayed
        Each gives a ``Partition``.
    """

    def __init__(self, tasks: Tasks, partitions: Sequence[Any]) -> None:
        self.tasks, self.partitions = tasks, partitions

    def __call__(self, function: Callable[[Partition], Sum]) -> Sum:
        """The sum over all partitions, in their order."""
        parts = self.tasks.mapped(_applied, self.partitions, function)
        total: Sum = self.tasks.result(self.tasks.tree(parts))
        return total

    def __reduce__(self) -> tuple[Any, ...]:
        """A saved result keeps no cluster."""
        return Gone, ()


class Gone:
    """Stands for partitions that cannot be reached any more."""

    def __call__(self, function: Callable[[Partition], Sum]) -> Sum:
        """Raise: there is nothing to ask."""
        raise OptionError(
            "this needs the partitions of the data, which a saved result does not hold.",
            got='a result of `method="partitioned"` that was read from a file',
            suggestion="fit the model again where the cluster is",
        )


@contextmanager
def _no_word_on_size() -> Iterator[None]:
    """What all tasks have in common (levels, say) may be large, and is sent once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        yield


def _finished(tasks: Sequence[Any]) -> Any:
    """Futures of tasks that were sent off, as they finish."""
    distributed = sys.modules["distributed"]
    return distributed.as_completed(distributed.futures_of(tasks))


def _applied(partition: Partition, function: Callable[[Partition], Sum]) -> Sum:
    return function(partition)


def _dask() -> Any:
    """Dask, which is there, since the data are its own."""
    import dask

    return dask


def _active_client() -> Any:
    """The client that is active; None where there is none."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        client = distributed.default_client()
    except ValueError:
        return None
    if client.asynchronous:
        raise OptionError(
            "a fit waits for what the cluster computes, and the active client does not wait.",
            got="a `distributed.Client` with `asynchronous=True`",
            suggestion="`Client(address)`",
        )
    return client
