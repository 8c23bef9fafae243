"""Colour for the first word of a message, where a person reads it."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["painted"]

CODES = {"error": "1;31", "warning": "1;33"}


def painted(word: str, kind: str, stream: TextIO) -> str:
    """Colour a word if the stream is a terminal that wants colours.

    Parameters
    ----------
    word : str
    kind : {"error", "warning"}
    stream : text file
        Where it will be written. A file or a pipe gets plain text, and so does a terminal where
        ``NO_COLOR`` is set (https://no-color.org) or ``TERM`` is ``dumb``.
    """
    wants = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{CODES[kind]}m{word}\x1b[0m" if wants and stream.isatty() else word
