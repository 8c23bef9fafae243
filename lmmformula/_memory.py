"""How much memory there is to work with."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path

__all__ = ["available_memory"]

GROUP = Path("/sys/fs/cgroup")
NEEDED = ("memory.max", "memory.current")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, within the limit of a container if there is one.

    None where nobody can tell.
    """
    known = [size for size in (_of_machine(), _of_container()) if size is not None]
    return min(known, default=None)


def _of_machine() -> int | None:
    """Memory that is free or can be freed."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable"))
    with suppress(ImportError):
        return int(import_module("psutil").virtual_memory().available)
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _of_container() -> int | None:
    """What is left of the control group's limit."""
    with suppress(OSError, ValueError):
        limit, used = (int((GROUP / name).read_text(encoding="ascii")) for name in NEEDED)
        return max(limit - used, 0)
    return None
