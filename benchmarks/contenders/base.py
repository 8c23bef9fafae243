"""What a contender must offer to be timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.problems import Problem

__all__ = ["Adapter", "Answer", "NotOfferedError", "NotSupportedError", "Plan"]


class NotSupportedError(Exception):
    """The package cannot express the model; the message says what is missing."""


class NotOfferedError(Exception):
    """The package has no such call (a refit, say)."""


@dataclass(frozen=True)
class Plan:
    """A problem translated for one package, outside the clock.

    Attributes
    ----------
    criterion : {"REML", "ML"}
        What the package will maximise: the problem's own criterion where it is offered.
    options : dict
        Whatever the adapter needs in the timed call.
    """

    criterion: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def reml(self) -> bool:
        """True for the restricted likelihood."""
        return self.criterion == "REML"


@dataclass(frozen=True)
class Answer:
    """What a call found, for the check and for the table.

    Attributes
    ----------
    objective : float
        -2 log (restricted) likelihood with all its constants.
    evaluations : int or None
        Criterion computations, where the package tells.
    evaluations_kind : str
        What the count counts.
    message : str
        Convergence complaints, singularity.
    """

    objective: float
    evaluations: int | None = None
    evaluations_kind: str = ""
    message: str = ""


class Adapter(Protocol):
    """One package. Everything except ``fit`` and the refit function runs outside the clock."""

    @property
    def version(self) -> str:
        """Version of the package."""
        ...

    def plan(self, problem: Problem) -> Plan:
        """Translate a problem, or raise NotSupportedError."""
        ...

    def fit(self, plan: Plan, frame: Any, formula: str) -> Any:
        """Fit and read params, bse, theta, sigma and objective: the timed call."""
        ...

    def refitter(self, plan: Plan, frame: Any, formula: str) -> Callable[[Any], Any]:
        """Fit once and return the function that refits a new response (timed)."""
        ...

    def answer(self, reading: Any) -> Answer:
        """Summarise what ``fit`` or the refit function returned."""
        ...
