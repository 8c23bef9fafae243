"""Reading ahead: the next piece is read while the last one is computed with."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

__all__ = ["prefetched"]

Item = TypeVar("Item")

DEPTH = 1
"""Pieces that wait. With the one being read and the one in use, three are in memory at most."""


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def prefetched(items: Iterator[Item], depth: int = DEPTH) -> Iterator[Item]:
    """Yield the items of an iterator that runs in a thread of its own.

    Parameters
    ----------
    items : iterator
        Closed in its thread when the consumer stops early.
    depth : int
        Items that may wait to be taken.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    reader = threading.Thread(
        target=_read, args=(items, ready, stopped), name="lmmformula-reader", daemon=True
    )
    reader.start()
    try:
        while True:
            item = ready.get()
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item
            del item  # the next piece must not find two in memory
    finally:
        stopped.set()
        while reader.is_alive():
            _emptied(ready)
            reader.join(0.05)


def _emptied(ready: queue.Queue[Any]) -> None:
    while True:
        try:
            ready.get_nowait()
        except queue.Empty:
            return


def _read(items: Iterator[Any], ready: queue.Queue[Any], stopped: threading.Event) -> None:
    try:
        for item in items:
            ready.put(item)
            del item
            if stopped.is_set():
                return
        ready.put(_END)
    except BaseException as error:
        ready.put(_Failure(error))
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
