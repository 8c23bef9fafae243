"""What is said where the residual variance goes to zero."""

from __future__ import annotations

from lmmformula.engine import AnySystem
from lmmformula.errors import DesignError

__all__ = ["no_residual"]


def no_residual(system: AnySystem) -> DesignError:
    """The criterion is unbounded below."""
    terms = " + ".join(term.text for term in system.terms)
    return DesignError(
        f"the fixed effects and {terms} reproduce the response exactly, so no residual variance is "
        "left to estimate.",
        got="a likelihood that grows without end as the residual variance goes to zero",
        suggestion="check for rows that repeat one measurement, or drop a random-effects term",
    )
