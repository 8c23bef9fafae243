"""Warnings that point at the caller's line, not at a line of this package."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from lmmformula.errors import LMMWarning

__all__ = ["notify"]

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep


def notify(message: LMMWarning) -> None:
    """Issue a warning at the first frame outside the package."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, stacklevel=level)
