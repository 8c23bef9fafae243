"""Errors that say in which chunk they arose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lmmformula.design.notify import silenced
from lmmformula.errors import DataError, LMMError

__all__ = ["located"]


@contextmanager
def located(where: str, *, quiet: bool = True) -> Iterator[None]:
    """Add the place to errors about values; say nothing of what every chunk would repeat.

    Parameters
    ----------
    where : str
        File and row group, or the number of the frame.
    quiet : bool
        Whether warnings of the package are left out.
    """
    try:
        with silenced(quiet):
            yield
    except DataError as error:
        if "where" in error.facts:
            raise
        raise _placed(error, where) from error


def _placed(error: LMMError, where: str) -> LMMError:
    got = f"{error.got}, in {where}" if error.got else where
    facts = {**error.facts, "where": where}
    return type(error)(error.message, got=got, suggestion=error.suggestion, **facts)
