"""What a job hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """What a job found.

    Attributes
    ----------
    seconds : float
    estimates, errors : dict of float
        Parameters by name (``x1``, ``sd_x1|g``, ``sigma``) and their standard errors.
    facts : dict
        Criterion, counts, or sums.
    """

    seconds: float
    estimates: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
