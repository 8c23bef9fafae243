"""Room on the disk, asked for before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from lmmformula.errors import DataError

__all__ = ["RESERVE", "check_space", "sized"]

RESERVE = 2**28
"""Bytes that are left to others."""


def sized(n_bytes: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} GB"


def check_space(folder: Path, n_bytes: int, what: str, instead: str) -> None:
    """Refuse what would fill the disk.

    Parameters
    ----------
    folder : Path
        Where it would be written.
    n_bytes : int
        An estimate.
    what : str
        What would be written, for the message.
    instead : str
        What to do about it.

    Raises
    ------
    DataError
        Less than the estimate and a reserve is free.
    """
    free = shutil.disk_usage(folder).free
    if free < n_bytes + RESERVE:
        raise DataError(
            f"{what} would not fit on the disk of `{folder}`.",
            got=f"about {sized(n_bytes)} needed, {sized(free)} free, of which {sized(RESERVE)} "
            "are left alone",
            suggestion=instead,
            needed=n_bytes,
            free=free,
            folder=str(folder),
        )
