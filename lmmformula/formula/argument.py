"""Arguments beside the formula that are written in its grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lmmformula.errors import FormulaError
from lmmformula.formula.lexer import tokens_of
from lmmformula.formula.source import Source
from lmmformula.formula.tree import Node, read

__all__ = ["read_argument"]


def read_argument(
    text: Any, argument: str, example: str, words: Mapping[str, str]
) -> tuple[Source, Node]:
    """Check the type of an argument and read it as an expression.

    Parameters
    ----------
    text : object
        What was given.
    argument : str
        Name of the argument, for messages.
    example : str
        A value that it could have.
    words : mapping of str to str
        Other packages' words for the functions, in lower case.
    """
    if not isinstance(text, str) or not text.strip():
        raise FormulaError(
            f"`{argument}` is a text that names a function of columns.",
            got=repr(text) if isinstance(text, str) else f"{type(text).__name__}",
            suggestion=f'`{argument}="{example}"`',
            argument=argument,
        )
    source = Source("".join(" " if char.isspace() else char for char in text))
    if "~" in text:
        raise _r_formula(source, argument, example, words)
    return source, read(source, tokens_of(source), len(source.text))


def _r_formula(
    source: Source, argument: str, example: str, words: Mapping[str, str]
) -> FormulaError:
    """Return the error for ``corAR1(form = ~ visit | Subject)``, translated."""
    at = source.text.index("~")
    name = re.match(r"\s*([\w.]*)\s*\(", source.text[:at])
    inner = re.match(r"[^(),]*", source.text[at + 1 :])
    word = words.get(name.group(1).lower(), name.group(1)) if name else example.partition("(")[0]
    sides = inner.group().strip() if inner else ""
    if argument == "variance":
        sides = re.sub(r"^1\s*\|\s*", "", sides)
    return source.error(
        f"`{argument}` takes the name of a structure with columns inside, not a formula with `~`.",
        at,
        suggestion=f'`{argument}="{word}({sides})"`' if sides else f'`{argument}="{example}"`',
        argument=argument,
    )
