"""Where repeated work runs: in this process, in several, or on a cluster.

One option, ``executor``, means the same in every call that repeats something with seeds of its own:

- None (the default): this process;
- a whole number: so many processes through joblib, -1 for one per processor;
- a ``joblib.Parallel`` that the caller made;
- any ``concurrent.futures.Executor``;
- a ``distributed.Client``, or "dask" for the one that is active.

Every piece of work carries its seed, so results do not depend on the executor. A bar moves as
pieces finish, and an interrupt cancels what has not begun.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import closing
from typing import Any

import numpy as np

from lmmformula.errors import OptionError

__all__ = ["chosen_executor", "completed", "in_order"]

RETRIES = 3
"""Times that a piece of work is started again when the worker that had it is lost."""
KINDS = (
    "None",
    "a number of processes",
    "a joblib.Parallel",
    "a concurrent.futures.Executor",
    "a distributed.Client",
    '"dask"',
)

Task = tuple[Any, ...]
Finished = Generator[tuple[int, Any], None, None]
Runner = Callable[[Callable[..., Any], Sequence[Task]], Finished]


def chosen_executor(executor: Any, n_jobs: Any = 1) -> Any:
    """The executor that two options ask for, of which ``n_jobs`` is the older name of a number.

    Raises
    ------
    OptionError
        Both are given, or one has no meaning.
    """
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise OptionError(
            "`n_jobs` must be a whole number of processes, or -1 for one per processor.",
            got=f"`n_jobs={n_jobs!r}`",
            suggestion="`n_jobs=2`",
            argument="n_jobs",
        )
    if executor is None:
        return None if n_jobs == 1 else int(n_jobs)
    if n_jobs != 1:
        raise OptionError(
            "`executor` and `n_jobs` both say where the work runs.",
            got=f"`executor={executor!r:.60}, n_jobs={n_jobs}`",
            suggestion="leave `n_jobs` out",
            argument="executor",
        )
    _runner(executor)
    return executor


def in_order(
    function: Callable[..., Any],
    tasks: Sequence[Task],
    executor: Any = None,
    advance: Callable[[int], None] | None = None,
) -> list[Any]:
    """Results of ``function(*task)`` for every task, in order.

    Parameters
    ----------
    function : callable
        Picklable, and so are the tasks, where the executor has other processes.
    tasks : sequence of tuple
    executor
        As the module says.
    advance : callable, optional
        Called with the number of every task that has finished.
    """
    results: list[Any] = [None] * len(tasks)
    with closing(completed(function, tasks, executor)) as finished:
        for number, result in finished:
            results[number] = result
            if advance is not None:
                advance(number)
    return results


def completed(
    function: Callable[..., Any], tasks: Sequence[Task], executor: Any = None
) -> Finished:
    """Number and result of every task, as they finish; closing it cancels the rest."""
    run = _runner(executor)
    yield from (_here if len(tasks) < 2 else run)(function, tasks)


def _runner(executor: Any) -> Runner:
    """What runs tasks on an executor."""
    if executor is None:
        return _here
    if isinstance(executor, int | np.integer) and not isinstance(executor, bool):
        return _by_joblib(_joblib_pool(int(executor)))
    if isinstance(executor, Executor):
        return _by_futures(executor)
    if executor == "dask":
        return _by_client(_active_client())
    if _is_instance(executor, "joblib", "Parallel"):
        return _by_joblib(executor)
    if _is_instance(executor, "distributed", "Client"):
        return _by_client(executor)
    raise OptionError(
        "`executor` is none that is known.",
        got=f"`executor={executor!r:.60}`; known: {', '.join(KINDS)}",
        suggestion="`executor=2`",
        argument="executor",
        available=KINDS,
    )


def _is_instance(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class whose module need not be installed."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _here(function: Callable[..., Any], tasks: Sequence[Task]) -> Finished:
    for number, task in enumerate(tasks):
        yield number, function(*task)


def _numbered(number: int, function: Callable[..., Any], task: Task) -> tuple[int, Any]:
    return number, function(*task)


def _joblib_pool(n: int) -> Any:
    """So many processes."""
    if n == 0:
        raise OptionError(
            "`executor` must be a whole number of processes, or -1 for one per processor.",
            got="`executor=0`",
            suggestion="`executor=2`",
            argument="executor",
        )
    try:
        from joblib import Parallel
    except ImportError as error:
        raise OptionError(
            "several processes need joblib, which is not installed.",
            got=f"{n} processes asked for",
            suggestion="`pip install 'lmmformula[parallel]'`, or leave `n_jobs` and `executor` out",
            argument="executor",
        ) from error
    return Parallel(n_jobs=n, return_as="generator")


def _by_joblib(pool: Any) -> Runner:
    def run(function: Callable[..., Any], tasks: Sequence[Task]) -> Finished:
        from joblib import delayed

        calls = (delayed(_numbered)(i, function, task) for i, task in enumerate(tasks))
        found = pool(calls)
        try:
            yield from found
        finally:
            if hasattr(found, "close"):
                found.close()

    return run


def _by_futures(executor: Executor) -> Runner:
    def run(function: Callable[..., Any], tasks: Sequence[Task]) -> Finished:
        futures = [executor.submit(_numbered, i, function, task) for i, task in enumerate(tasks)]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    return run


def _by_client(client: Any) -> Runner:
    if client.asynchronous:
        raise OptionError(
            "`executor` must be a client that waits for its results.",
            got="a `distributed.Client` with `asynchronous=True`",
            suggestion="`Client(address)`",
            argument="executor",
        )

    def run(function: Callable[..., Any], tasks: Sequence[Task]) -> Finished:
        options = {"pure": False, "retries": RETRIES}
        with warnings.catch_warnings():
            # A model with its rows may be large; it is sent once.
            warnings.filterwarnings("ignore", "Sending large graph")
            # A task rather than scattered data: if its worker is lost it can be made again.
            shared = client.submit(_itself, function, **options)
            futures = [
                client.submit(_numbered, i, shared, task, **options) for i, task in enumerate(tasks)
            ]
        try:
            for _, result in _distributed().as_completed(futures, with_results=True):
                yield result
        finally:
            client.cancel([shared, *futures])

    return run


def _itself(value: Any) -> Any:
    return value


def _active_client() -> Any:
    """The client that was made last."""
    try:
        return _distributed().default_client()
    except ImportError as error:
        raise OptionError(
            '`executor="dask"` needs dask with its distributed scheduler, which is not installed.',
            got='`executor="dask"`',
            suggestion="`pip install 'lmmformula[dask]'`",
            argument="executor",
        ) from error
    except ValueError as error:
        raise OptionError(
            '`executor="dask"` needs a client, and none is active.',
            got='`executor="dask"`',
            suggestion="`from distributed import Client; client = Client()` before",
            argument="executor",
        ) from error


def _distributed() -> Any:
    """Dask's distributed scheduler, imported on first use."""
    import distributed

    return distributed
