"""Resident memory of this process and its peak (Linux; None elsewhere)."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

__all__ = ["peak_mb", "reset_peak", "resident_mb"]


def _status(field: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return None


def resident_mb() -> float | None:
    """Resident set size in MiB."""
    return _status("VmRSS:")


def peak_mb() -> float | None:
    """Largest resident set size in MiB since the last :func:`reset_peak`."""
    return _status("VmHWM:")


def reset_peak() -> bool:
    """Give freed memory back to the system and start a new peak; False where that is impossible."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
