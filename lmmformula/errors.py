"""Every exception and warning of the package, in the house's form.

A message has up to three parts: a sentence in the user's own names, ``Got:`` with the evidence,
``Try:`` with actions that can be pasted. The facts also travel as attributes (``facts``), so that
programs and tests need not read prose.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "DesignError",
    "DesignWarning",
    "DimensionError",
    "DroppedRowsWarning",
    "FormulaError",
    "FormulaWarning",
    "InferenceWarning",
    "LMMError",
    "LMMWarning",
    "NumericalError",
    "OptionError",
    "RankWarning",
    "SingularFitWarning",
]


def _compose(message: str, got: str | None, suggestion: str | None) -> str:
    """Join the three parts of the house's message."""
    lines = [message]
    if got:
        lines.append(f"Got: {got}")
    if suggestion:
        lines.append(f"Try: {suggestion}")
    return "\n".join(lines)


class _Message(Exception):  # noqa: N818 - the base of errors and warnings alike
    """The three-part message and its facts, shared by errors and warnings."""

    def __init__(
        self, message: str, *, got: str | None = None, suggestion: str | None = None, **facts: Any
    ) -> None:
        super().__init__(_compose(message, got, suggestion))
        self.message = message
        self.got = got
        self.suggestion = suggestion
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.got, self.suggestion, self.facts)


def _rebuild(
    kind: type, message: str, got: str | None, suggestion: str | None, facts: dict[str, Any]
) -> Any:
    """Unpickle a message (worker processes send them back)."""
    return kind(message, got=got, suggestion=suggestion, **facts)


class LMMError(_Message):
    """Base of every error that lmmformula raises on purpose."""


class FormulaError(LMMError, ValueError):
    """The formula cannot be read, or names something that does not exist."""


class DataError(LMMError, ValueError):
    """A column holds values that the model cannot use."""


class DesignError(LMMError, ValueError):
    """The data are readable but cannot identify the model that the formula asks for."""


class OptionError(LMMError, ValueError):
    """An argument has a value outside the documented ones."""


class NumericalError(LMMError, ArithmeticError):
    """The arithmetic broke down (overflow, a factorization that cannot be had)."""


class DimensionError(LMMError, ValueError):
    """An array has a shape that does not fit the model."""


class LMMWarning(_Message, UserWarning):
    """Base of every warning that lmmformula issues."""


class ConvergenceWarning(LMMWarning):
    """The optimizer did not prove a local minimum."""


class SingularFitWarning(LMMWarning):
    """A variance is estimated as zero, or a correlation as one in size."""


class RankWarning(LMMWarning):
    """Columns of the fixed-effects design were dropped because others determine them."""


class DroppedRowsWarning(LMMWarning):
    """Rows were left out because a variable of the model is missing in them."""


class FormulaWarning(LMMWarning):
    """The formula is read as R reads it, but probably means something else."""


class DataWarning(LMMWarning):
    """A column was converted, and the unit or the coding should be known."""


class DesignWarning(LMMWarning):
    """A design check failed and ``checks="warn"`` let it pass."""


class InferenceWarning(LMMWarning):
    """A test or an interval is not quite the one asked for, or needs care in reading."""
