"""Sentences in a medium: what stands between backticks is code."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["prose"]


def prose(text: str, escape: Callable[[str], str], code: Callable[[str], str]) -> str:
    """Escape a sentence, and set what stands between backticks as code.

    Parameters
    ----------
    text : str
        The sentence.
    escape, code : callable
        How a medium writes words, and code.
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(code(part) if i % 2 else escape(part) for i, part in enumerate(parts))
