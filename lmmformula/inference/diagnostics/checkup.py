"""What an expert would say about a fit before reading its numbers, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lmmformula.engine import AlternativeSystem
from lmmformula.inference.diagnostics.checkup_rows import ROW_RULES
from lmmformula.inference.diagnostics.checkup_rules import RULES, Finding
from lmmformula.postfit.requirements import EXACT

__all__ = ["Checkup", "check_up"]

_ORDER = {"problem": 0, "caution": 1, "note": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Checkup:
    """Findings about a fit, the gravest first.

    Attributes
    ----------
    findings : tuple of Finding
        Each with ``topic, severity, sentence, suggestion, about``.
    """

    findings: tuple[Finding, ...]

    @property
    def topics(self) -> tuple[str, ...]:
        """What was found, in words that programs can compare."""
        return tuple(dict.fromkeys(finding.topic for finding in self.findings))

    @property
    def is_clean(self) -> bool:
        """Whether there is no problem and no reason for caution."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_frame(self) -> pd.DataFrame:
        """Columns ``severity, topic, about, sentence, suggestion``."""
        names = ["severity", "topic", "about", "sentence", "suggestion"]
        rows = [[getattr(finding, name) for name in names] for finding in self.findings]
        return pd.DataFrame(rows, columns=names)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return "Nothing stands out."
        return "\n".join(
            f"{finding.severity.capitalize()}: {finding.sentence}\n  Try: {finding.suggestion}"
            if finding.suggestion
            else f"{finding.severity.capitalize()}: {finding.sentence}"
            for finding in self.findings
        )

    def __repr__(self) -> str:
        return str(self)


def check_up(results: Any) -> Checkup:
    """Apply every rule to a fit; those that need rows and leverages only where they are known."""
    found = [finding for rule in RULES for finding in rule(results)]
    why_not = _why_no_rows(results)
    if why_not is None:
        found += [finding for rule in ROW_RULES for finding in rule(results)]
    else:
        sentence = f"residuals and influential levels were not looked at: {why_not[0]}."
        found.append(Finding("no rows", "note", sentence, why_not[1]))
    found.sort(key=lambda finding: _ORDER[finding.severity])
    return Checkup(tuple(found))


def _why_no_rows(results: Any) -> tuple[str, str] | None:
    """Why rows cannot be looked at, and what to do; None where they can."""
    if results.model.is_streamed:
        return "the data came in pieces", "`augment()` has fitted values and residuals"
    if not results.model.has_rows:
        return "the result was kept without its rows", "fit with `keep_data=True`"
    if isinstance(results.any_system, AlternativeSystem):
        return f'leverages are not known by `method="{results.any_system.method}"`', EXACT
    return None
