"""Peak memory of this process together with its children (Linux)."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

from benchmarks import memory

__all__ = ["FamilyPeak"]

INTERVAL = 0.05


class FamilyPeak:
    """Watches resident memory while a block runs.

    The process's own peak comes from the system and misses nothing; that of children is the
    largest of samples taken every 50 ms, with libraries that they share counted in each.
    ``sampled`` is set once children were seen.
    """

    def __init__(self) -> None:
        self.sampled = threading.Event()
        self._sampled = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def peak_mb(self) -> float | None:
        """Peak in MiB; None where the system does not tell."""
        own = memory.peak_mb()
        return None if own is None else max(own, self._sampled)

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            children = sum(_resident(pid) for pid in _descendants(os.getpid()))
            if children:
                self._sampled = max(self._sampled, children + (memory.resident_mb() or 0.0))
                self.sampled.set()

    def __enter__(self) -> FamilyPeak:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()


def _descendants(pid: int) -> list[int]:
    """Processes started by this one, and by those."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
