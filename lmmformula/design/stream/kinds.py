"""What a column of a stream is, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Expected", "Kind"]

Kind: TypeAlias = Literal["numbers", "logical", "times", "text", "categories", "nothing"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a column of a stream is.

    Attributes
    ----------
    kind : str
        Numbers of any width, true/false, times, text, categories in an order of their own, or
        nothing so far: every value of it is missing.
    type : str
        The type in the data's own words.
    where : str
        The chunk that this was seen in, or what declared it.
    """

    kind: Kind
    type: str
    where: str
