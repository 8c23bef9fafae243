"""Answers compared: with one another, with an exact fit, with the parameters that made the data."""

from __future__ import annotations

import math

from benchmarks.scale.bench import Outcome

__all__ = ["against_exact", "against_truth", "same"]


def same(outcome: Outcome, other: Outcome, limit: float = 1e-9) -> str:
    """Largest relative difference of estimates, standard errors and the criterion."""
    if not (outcome.done and other.done):
        return "not compared"
    pairs = {"criterion": (outcome.facts["objective"], other.facts["objective"])}
    for name, value in other.estimates.items():
        pairs[name] = (outcome.estimates[name], value)
        pairs[f"se of {name}"] = (outcome.errors[name], other.errors[name])
    gaps = {k: abs(a - b) / max(abs(b), 1e-300) for k, (a, b) in pairs.items() if a != b}
    worst = max(gaps, key=lambda k: gaps[k], default="")
    largest = gaps.get(worst, 0.0)
    same_rows = outcome.facts["n_obs"] == other.facts["n_obs"]
    word = "ok" if largest <= limit and same_rows else "DIFFERS"
    return f"{word}: relative to {other.contender} {largest:.1e}{f' ({worst})' if worst else ''}"


def against_truth(outcome: Outcome, limit: float = 4.0, errors: Outcome | None = None) -> str:
    """Largest distance from the true parameters in standard errors.

    ``errors`` is an outcome whose standard errors are used where this one has none.
    """
    if not outcome.done:
        return "not compared"
    spread = {**(errors.errors if errors is not None and errors.done else {}), **outcome.errors}
    truth = outcome.source.truth
    gaps = {
        name: abs(value - truth[name]) / spread[name]
        for name, value in outcome.estimates.items()
        if name in truth and spread.get(name, 0.0) > 0
    }
    return _in_errors(gaps, limit, "the truth", "")


def against_exact(outcome: Outcome, exact: Outcome, limit: float = 0.02) -> str:
    """Largest distance from an exact fit in its standard errors; standard errors as well."""
    if not (outcome.done and exact.done):
        return "not compared"
    gaps = {
        name: abs(outcome.estimates[name] - value) / exact.errors[name]
        for name, value in exact.estimates.items()
        if exact.errors.get(name, 0.0) > 0 and name in outcome.estimates
    }
    ratios = [
        abs(outcome.errors[name] / se - 1.0)
        for name, se in exact.errors.items()
        if se > 0 and math.isfinite(outcome.errors.get(name, math.nan))
    ]
    more = f", standard errors to {max(ratios):.1e}" if ratios else ""
    return _in_errors(gaps, limit, exact.contender, more)


def _in_errors(gaps: dict[str, float], limit: float, what: str, more: str) -> str:
    if not gaps or any(math.isnan(gap) for gap in gaps.values()):
        return "DIFFERS: nothing to compare, or a parameter is not a number"
    worst = max(gaps, key=lambda k: gaps[k])
    word = "ok" if gaps[worst] <= limit else "DIFFERS"
    return f"{word}: within {gaps[worst]:.2g} SE of {what} ({worst}){more}"
