"""Completion in the shell, by the package argcomplete where it is installed (extra `completion`).

The shell calls the program with an environment variable set; nothing is imported otherwise.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

from lmmformula.cli.sources import READERS
from lmmformula.datasets import list_datasets
from lmmformula.design.contrasts import CONTRASTS
from lmmformula.inference.effects.df import DF_METHODS

__all__ = ["offer_completions"]


def offer_completions(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end, if it is the shell that asks.

    Parameters
    ----------
    parser : ArgumentParser
        Its actions get completers: names of data sets and files, methods, codings.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    for action in _actions(parser):
        completer = COMPLETERS.get(action.dest)
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every action of the parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                yield from _actions(command)


def complete_data(prefix: str, **_: Any) -> list[str]:
    """Bundled data sets, and files that can be read."""
    from argcomplete.completers import FilesCompleter

    names = [str(name) for name in list_datasets()["name"] if str(name).startswith(prefix)]
    files = FilesCompleter(tuple(ending.lstrip(".") for ending in READERS))
    return [*names, *files(prefix)]


def complete_coding(prefix: str, **_: Any) -> list[str]:
    """Codings after the ``=`` of ``FACTOR=CODING``."""
    factor, separator, _coding = prefix.partition("=")
    return [f"{factor}={name}" for name in CONTRASTS] if separator else []


def complete_method(**_: Any) -> list[str]:
    """Methods of the tests."""
    return list(DF_METHODS)


COMPLETERS: dict[str, Any] = {
    "data": complete_data,
    "contrasts": complete_coding,
    "ddf": complete_method,
}
"""What completes an argument, by its name."""
