"""Sentences below a publication table: what its numbers are, and what they are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lmmformula.errors import LMMError
from lmmformula.inference.comparison.comparability import check_criteria
from lmmformula.publish.options import Options
from lmmformula.report.tables import METHODS

__all__ = ["notes"]

LIKELIHOODS = {"llf", "aic", "bic", "deviance"}
BELOW = {"se": "standard errors in parentheses", "ci": "{level} confidence intervals in brackets"}


def notes(results: Sequence[Any], names: Sequence[str], options: Options) -> list[str]:
    """What a reader of the table must know."""
    found = [*_statistics(options), *_stars(options), *_residuals(results, names)]
    for fit, name in zip(results, names, strict=True):
        found += [_of(name, remark, names) for remark in fit.remarks]
        for note in fit.coefficient_notes(options.ddf, **options.covariance):
            found.append(_of(name, note, names))
    return list(dict.fromkeys([*found, *_comparability(results, names, options)]))


def _of(name: str, sentence: str, names: Sequence[str]) -> str:
    return f"{name}: {sentence}" if len(names) > 1 else sentence


def _statistics(options: Options) -> Iterator[str]:
    if options.layout == "below":
        words = [BELOW[n].format(level=options.level) for n in options.statistic if n in BELOW]
        if words:
            text = ", ".join(words)
            yield f"{text[0].upper()}{text[1:]}."
    is_tested = bool(options.stars) or bool(set(options.statistic) - {"se"})
    if is_tested:
        yield f"Inference by {METHODS[options.ddf]}."
    if options.robust is not None:
        yield f"Cluster-robust covariance of the fixed effects ({options.robust})."


def _stars(options: Options) -> Iterator[str]:
    if options.stars:
        marks = (f"{mark} p < {_limit(p, options)}" for mark, p in reversed(options.stars))
        yield f"{', '.join(marks)}."


def _limit(p: float, options: Options) -> str:
    return f"{p:g}".removeprefix("0") if options.style == "apa" else f"{p:g}"


def _residuals(results: Sequence[Any], names: Sequence[str]) -> Iterator[str]:
    for fit, name in zip(results, names, strict=True):
        structure = fit.residual_structure
        if structure is not None:
            where = f"; their SD is that where {structure.reference}" if structure.reference else ""
            yield _of(name, f"residuals `{structure.text}`{where}.", names)


def _comparability(results: Sequence[Any], names: Sequence[str], options: Options) -> Iterator[str]:
    """Say where likelihoods stand side by side that do not compare."""
    first = results[0]
    same = {fit.response_name for fit in results} == {first.response_name}
    if len(results) == 1 or not same or not LIKELIHOODS & set(options.fit):
        return
    others = [
        name
        for fit, name in zip(results, names, strict=True)
        if not fit.fingerprint.has_same_rows(first.fingerprint)
        or fit.fingerprint.response != first.fingerprint.response
    ]
    if others:
        yield (
            f"Fitted to other rows than {names[0]}, so likelihoods and criteria do not compare: "
            f"{', '.join(others)}."
        )
        return
    try:
        check_criteria(results, names)
    except LMMError as error:
        yield f"Log-likelihood, AIC and BIC are not to be compared here: {error.message}"
