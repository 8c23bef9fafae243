"""What cannot be done with data in pieces, or with rows that come once."""

from __future__ import annotations

from typing import Any

from lmmformula.design.stream.needs import Needs
from lmmformula.design.stream.stream import Stream
from lmmformula.errors import DataError, OptionError

__all__ = ["cannot_repeat", "one_pass_will_do", "refuse_array"]


def one_pass_will_do(stream: Stream, needs: Needs) -> bool:
    """Whether all levels are known beforehand, so that rows that come once are enough.

    Parameters
    ----------
    stream : Stream
        Can be read once.
    needs : Needs
        What the model is made of.
    """
    for components in needs.groups.values():
        if len(components) > 1 or stream.declared(components[0].name) is None:
            return False
    if needs.places or any(expression.learns for expression in needs.all()):
        return False
    for expression in needs.effects.values():
        for name in expression.columns:
            kind = stream.expected(name)
            numeric = kind is not None and kind.kind in ("numbers", "logical")
            if stream.declared(name) is None and not (numeric and expression.lookup):
                return False
    return True


def cannot_repeat(what: str) -> DataError:
    """Make the error for rows that would have to be read again."""
    return DataError(
        f"{what}, so the rows would be needed again, and they can be read only once.",
        got="all levels declared, and rows from an iterator",
        suggestion="declare only the levels that occur, or pass data that can be read twice, such "
        "as a function that returns a new iterator",
    )


def refuse_array(role: str, given: Any) -> None:
    """Refuse an argument with one value per row."""
    if given is None or isinstance(given, str):
        return
    n = len(given) if hasattr(given, "__len__") else None
    raise OptionError(
        f"`{role}` must be a column of the data, or an expression of columns, where the data come "
        "in pieces.",
        got=f"an object of type `{type(given).__name__}`" + ("" if n is None else f", length {n}"),
        suggestion=f"write it to the data as a column and name it: `{role}='{role}'`",
        option=role,
    )
