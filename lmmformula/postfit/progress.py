"""Progress of long work: a bar when somebody is watching and it takes more than two seconds.

One option, ``progress``, means the same in every call that repeats something:

- None (the default): a bar once two seconds have passed, in an interactive terminal or a notebook
  only, so that logs and quick calls stay clean;
- True: a bar from the start, wherever stderr goes;
- False: nothing;
- a function of two whole numbers, what is done and what there is to do.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from lmmformula.errors import OptionError

__all__ = ["FitProgress", "Progress", "is_watched", "progress_bar", "progress_callback", "watched"]

Progress: TypeAlias = bool | Callable[[int, int], None] | None
FitProgress: TypeAlias = bool | Callable[[Any], None] | None
Item = TypeVar("Item")

PATIENCE = 2.0
"""Seconds of silence before a bar shows by itself."""


def is_watched() -> bool:
    """Whether stderr is a terminal, or the session a notebook."""
    isatty = getattr(sys.stderr, "isatty", None)
    if isatty is not None and isatty():
        return True
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def progress_bar(
    progress: Progress, total: int | None, name: str, unit: str
) -> Iterator[Callable[[int], None]]:
    """Yield what is called with the number of things that were just done.

    Parameters
    ----------
    progress : bool, callable or None
        As the module says.
    total : int or None
        How many there are, if that is known; a function is told 0 where it is not.
    name, unit : str
        What the bar calls the work, and the things.

    Raises
    ------
    OptionError
        ``progress`` is something else.
    """
    if callable(progress):
        report, done = progress, 0

        def tell(size: int) -> None:
            nonlocal done
            done += size
            report(done, total or 0)

        yield tell
        return
    bar = _bar(progress, name, unit, total)
    if bar is None:
        yield lambda size: None
        return
    try:
        yield bar.advance
    finally:
        bar.close()


def watched(items: Sequence[Item], progress: Progress, name: str, unit: str) -> Iterator[Item]:
    """Go through things, each of which takes its time.

    Parameters
    ----------
    items : sequence
    progress, name, unit
        As for ``progress_bar``.
    """
    with progress_bar(progress, len(items), name, unit) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress_callback(progress: FitProgress) -> Iterator[Callable[[Any], None] | None]:
    """Yield what the optimizer calls at each evaluation.

    Parameters
    ----------
    progress : bool, callable or None
        As the module says, the function being one of the record of an evaluation.
    """
    if callable(progress):
        yield progress
        return
    bar = _bar(progress, "fitting", "evaluations", None)
    if bar is None:
        yield None
        return
    try:
        yield lambda record: bar.advance(1, f"criterion {record.objective:.4f}")
    finally:
        bar.close()


class _Bar:
    """A bar that is made when it is due: quick work does not even import tqdm."""

    def __init__(self, name: str, unit: str, total: int | None, patience: float) -> None:
        self.name, self.unit, self.total = name, unit, total
        self.began, self.patience = monotonic(), patience
        self.done = 0
        self.drawn: Any = None if patience else self._draw()

    def advance(self, size: int, note: str = "") -> None:
        """Count what was done, and show it if it is time."""
        self.done += size
        if self.drawn is None:
            if monotonic() < self.began + self.patience or self.done == self.total:
                return
            self.drawn = self._draw()
        else:
            self.drawn.update(size)
        if note:
            self.drawn.set_postfix_str(note, refresh=False)

    def _draw(self) -> Any:
        """Make the bar, with the time and the work since the beginning on it."""
        bar = _tqdm()(desc=self.name, total=self.total, unit=f" {self.unit}", leave=False)
        if self.done:
            bar.start_t -= monotonic() - self.began
            bar.update(self.done)
            bar.refresh()
        return bar

    def close(self) -> None:
        """Take the bar away."""
        if self.drawn is not None:
            self.drawn.close()


def _bar(progress: Any, name: str, unit: str, total: int | None) -> _Bar | None:
    """Return a bar, or None where nothing is to be shown."""
    if progress is None:
        return _Bar(name, unit, total, PATIENCE) if is_watched() else None
    if not isinstance(progress, bool):
        raise OptionError(
            "`progress` must be True, False, None or a function.",
            got=f"`progress={progress!r}`",
            suggestion="`progress=True` for a bar; None shows one by itself after two seconds",
            argument="progress",
        )
    return _Bar(name, unit, total, 0.0) if progress else None


def _tqdm() -> Any:
    """The bar for where we are; without ipywidgets a notebook gets one of text, silently."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        # It warns of missing ipywidgets and goes on with text; nobody asked for widgets.
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm

    return tqdm
