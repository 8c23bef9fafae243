"""Entry point: exit status, errors and warnings in the house's form."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from lmmformula.cli.arguments import build_parser
from lmmformula.cli.colour import painted
from lmmformula.cli.completion import offer_completions
from lmmformula.errors import LMMError, LMMWarning

__all__ = ["main"]

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        Exit status: 0, or 2 when the input cannot be used.
    """
    parser = build_parser()
    offer_completions(parser)
    arguments = parser.parse_args(argv)
    try:
        with spoken_warnings(sys.stderr) as spoken:
            arguments.run(arguments, spoken)
        sys.stdout.flush()
    except LMMError as error:
        label = painted(type(error).__name__, "error", sys.stderr)
        print(f"{label}: {error}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:  # the reader (`head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@contextmanager
def spoken_warnings(stream: TextIO) -> Iterator[list[LMMWarning]]:
    """Print the package's warnings in the house's form as they come, and collect them."""
    spoken: list[LMMWarning] = []

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        print(f"{painted(category.__name__, 'warning', stream)}: {message}", file=stream)
        if isinstance(message, LMMWarning):
            spoken.append(message)

    with warnings.catch_warnings():
        warnings.simplefilter("always", LMMWarning)
        warnings.showwarning = show
        yield spoken
