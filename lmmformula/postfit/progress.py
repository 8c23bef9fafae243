"""Progress of a long fit, on stderr or wherever the caller wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["progress_callback"]


@contextmanager
def progress_callback(
    progress: bool | Callable[[Any], None],
) -> Iterator[Callable[[Any], None] | None]:
    """Yield what the optimizer calls at each evaluation.

    Parameters
    ----------
    progress : bool or callable
        False for nothing, True for a bar with the criterion, or a function of one record.
    """
    if callable(progress):
        yield progress
    elif not progress:
        yield None
    else:
        from tqdm import tqdm

        with tqdm(desc="fitting", unit=" evaluations", leave=False) as bar:

            def advance(record: Any) -> None:
                bar.set_postfix_str(f"criterion {record.objective:.4f}", refresh=False)
                bar.update()

            yield advance
