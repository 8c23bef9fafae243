"""What a refusal must have: its kind, a word of its message, a part of its advice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from lmmformula.errors import FormulaError, LMMError

E = TypeVar("E", bound=LMMError)


@contextmanager
def refused(kind: type[E], message: str, suggestion: str) -> Iterator[pytest.ExceptionInfo[E]]:
    """Fail unless the block raises that error; what was caught can be looked at afterwards."""
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert message in error.message, f"{message!r} is not in {error.message!r}"
    assert suggestion in error.suggestion, f"{suggestion!r} is not in {error.suggestion!r}"


@contextmanager
def refused_at(
    text: str, shown: str, message: str, suggestion: str
) -> Iterator[pytest.ExceptionInfo[FormulaError]]:
    """As ``refused``, of a formula; the error must point to where ``shown`` stands in ``text``."""
    with refused(FormulaError, message, suggestion) as caught:
        yield caught
    there = text[caught.value.position :]
    assert there.startswith(shown), f"{shown!r} is not at the place: {there!r}"
