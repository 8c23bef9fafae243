"""Warnings that point at the caller's line, not at a line of this package."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from lmmformula.errors import LMMWarning

__all__ = ["notify", "silenced"]

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep


_SILENT: ContextVar[bool] = ContextVar("_SILENT", default=False)


@contextmanager
def silenced(silent: bool = True) -> Iterator[None]:
    """Say nothing of what has been said already; other threads are not concerned."""
    token = _SILENT.set(silent)
    try:
        yield
    finally:
        _SILENT.reset(token)


def notify(message: LMMWarning) -> None:
    """Issue a warning at the first frame outside the package."""
    if _SILENT.get():
        return
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, stacklevel=level)
