"""What an expert would say about a fit before reading its numbers, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lmmformula.inference.diagnostics.checkup_rows import ROW_RULES
from lmmformula.inference.diagnostics.checkup_rules import RULES, Finding

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
    """Apply every rule to a fit; those that need rows only where they are kept."""
    found = [finding for rule in RULES for finding in rule(results)]
    if results.model.has_rows:
        found += [finding for rule in ROW_RULES for finding in rule(results)]
    else:
        found.append(_no_rows(results.model.is_streamed))
    found.sort(key=lambda finding: _ORDER[finding.severity])
    return Checkup(tuple(found))


def _no_rows(is_streamed: bool) -> Finding:
    why = "the data came in pieces" if is_streamed else "the result was kept without its rows"
    instead = (
        "`augment()` has residuals and leverages" if is_streamed else "fit with `keep_data=True`"
    )
    sentence = f"residuals and influential levels were not looked at: {why}."
    return Finding("no rows", "note", sentence, instead)
