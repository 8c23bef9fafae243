"""Rules about a fit that need no rows of the data; a new one is a function listed in ``RULES``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmmformula.covariance import STRUCTURES
from lmmformula.inference.diagnostics.random_pca import random_effects_pca
from lmmformula.inference.diagnostics.vif import variance_inflation
from lmmformula.optimize import OptimumStatus

__all__ = ["RULES", "Finding", "Rule"]

FEW_LEVELS, RATHER_FEW_LEVELS = 5, 10
HIGH_CORRELATION = 0.95
NEGLIGIBLE_SHARE = 1e-3
HIGH_VIF = 10.0
SCALE_RATIO = 1e3
ROWS_PER_EFFECT = 10
LOST_SHARE = 0.05

VARIABLE = re.compile(r"[^\W\d][\w.]*\b(?!\s*(?:\(|=[^=]))")


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about a fit.

    Attributes
    ----------
    topic : str
        What it concerns, the same words for the same kind of remark.
    severity : {"problem", "caution", "note"}
        Whether numbers may be wrong, must be read with care, or something is good to know.
    sentence : str
        The remark.
    suggestion : str
        What can be done; may be empty.
    about : str
        The parameter, column or factor meant; may be empty.
    """

    topic: str
    severity: Literal["problem", "caution", "note"]
    sentence: str
    suggestion: str = ""
    about: str = ""


def convergence(results: Any) -> Iterator[Finding]:
    """No proved optimum."""
    status = results.optimum.status
    if status in (OptimumStatus.CONVERGED, OptimumStatus.FIXED):
        return
    topic = "not identified" if status is OptimumStatus.NOT_IDENTIFIED else "not converged"
    advice = (
        "leave out a random effect that repeats another"
        if topic == "not identified"
        else 'compare the criterion of `optimizer="lbfgsb"`, and look at `results.optimum.trace`'
    )
    yield Finding(topic, "problem", f"the optimum was not proved: {status.message}.", advice)


def singular(results: Any) -> Iterator[Finding]:
    """Parameters on the boundary."""
    for item in results.singularities:
        yield Finding(
            "singular",
            "caution",
            f"{item.sentence}: the data do not ask for this part of the random effects.",
            "a simpler random part, and `lf.anova` to compare; estimates are valid as they stand",
            item.parameter,
        )


def correlations(results: Any) -> Iterator[Finding]:
    """Random effects that nearly repeat each other."""
    if results.is_singular:
        return
    for term in results.varcorr:
        values = term.corr_values
        for row, column in term.pairs:
            if abs(values[row, column]) > HIGH_CORRELATION:
                one, other = term.effects[column], term.effects[row]
                yield Finding(
                    "random correlation",
                    "caution",
                    f"the random effects `{one}` and `{other}` of `{term.group}` are nearly "
                    f"collinear (correlation {values[row, column]:+.3f}).",
                    "center or rescale the predictor, or `||` for uncorrelated effects",
                    f"cor_{other}.{one}|{term.group}",
                )


def dimensions(results: Any) -> Iterator[Finding]:
    """Covariances with fewer dimensions than effects."""
    if results.is_singular or not results.ngroups:
        return
    for one in random_effects_pca(results, scaled=True).groups:
        small = int(np.sum(one.proportion < NEGLIGIBLE_SHARE))
        if len(one.sd) > 2 and small:
            yield Finding(
                "random dimensions",
                "note",
                f"the {len(one.sd)} random effects of `{one.group}` vary in "
                f"{len(one.sd) - small} dimensions: the other components have less than "
                f"{100 * NEGLIGIBLE_SHARE:g} % of the variance.",
                "`repca()` shows which effects can go",
                one.group,
            )


def levels(results: Any) -> Iterator[Finding]:
    """Grouping factors with few levels, or with hardly more rows than levels."""
    for group, count in results.ngroups.items():
        if count < FEW_LEVELS:
            yield Finding(
                "few levels",
                "caution",
                f"`{group}` has {count} levels: its variance is hardly known.",
                f"`{group}` as a fixed effect, or a profile interval for its variance",
                group,
            )
        elif count < RATHER_FEW_LEVELS:
            yield Finding(
                "few levels",
                "note",
                f"`{group}` has {count} levels: its variance is poorly known.",
                f"{_small_sample(results)} for tests, profile intervals for variances",
                group,
            )
        if results.nobs < 1.5 * count:
            yield Finding(
                "rows per level",
                "caution",
                f"most levels of `{group}` have one row ({results.nobs} rows, {count} levels): its "
                "variance can hardly be told from the residual's.",
                "leave the term out, or a coarser factor",
                group,
            )


def parameters_per_level(results: Any) -> Iterator[Finding]:
    """More covariance parameters than levels can tell."""
    terms = zip(results.varcorr, results.any_system.terms, strict=True)
    for term, layout in terms:
        k, count = len(term.effects), results.ngroups[term.group]
        free = layout.structure.n_theta
        if k > 1 and count < 2 * free:
            yield Finding(
                "many parameters",
                "caution",
                f"{free} covariance parameters of `{term.group}` are estimated from {count} "
                "levels.",
                "fewer random effects, or `||`",
                term.label,
            )


def collinear(results: Any) -> Iterator[Finding]:
    """Fixed effects that lose most of their precision to each other."""
    if results.df_model - ("Intercept" in results.fixed_names) < 2:
        return
    inflation = variance_inflation(results).per_column
    high = inflation[inflation > HIGH_VIF]
    if len(high):
        names = ", ".join(f"`{label}`" for label in high.index)
        yield Finding(
            "collinear",
            "caution",
            f"fixed effects are nearly collinear: {names} (variance inflation up to "
            f"{high.max():.3g}: a standard error {np.sqrt(high.max()):.1f} times as large as it "
            "would be alone).",
            "center predictors before they are multiplied or squared, or leave one out",
            str(high.idxmax()),
        )


def scales(results: Any) -> Iterator[Finding]:
    """Columns in very different units."""
    inverse = np.linalg.inv(results.any_system.basis.fixed) if results.df_model else np.ones((0, 0))
    size = np.sqrt(np.sum(inverse**2, axis=0))
    if len(size) < 2 or not size.min() > 0 or size.max() < SCALE_RATIO * size.min():
        return
    big, small = (results.fixed_names[int(pick(size))] for pick in (np.argmax, np.argmin))
    yield Finding(
        "scale",
        "note",
        f"the columns `{big}` and `{small}` differ in size by a factor of "
        f"{size.max() / size.min():.1e}; estimates are exact, but coefficients are hard to read.",
        "rescale, or `scale(x)` in the formula",
        big,
    )


def sample_size(results: Any) -> Iterator[Finding]:
    """Many fixed effects for the rows."""
    if results.df_model > 1 and results.nobs < ROWS_PER_EFFECT * results.df_model:
        yield Finding(
            "few rows",
            "note",
            f"{results.df_model} fixed effects are estimated from {results.nobs} rows.",
            f"{_small_sample(results)} keeps tests near their level",
        )


def _small_sample(results: Any) -> str:
    """The method for tests in small samples that the model has."""
    is_plain = results.design.matrices.residual is None
    return '`ddf="kenward-roger"`' if is_plain else '`ddf="satterthwaite"`'


def left_out(results: Any) -> Iterator[Finding]:
    """Columns and rows that the fit did not use."""
    columns, rows = results.dropped.columns, len(results.dropped.rows)
    if columns:
        yield Finding(
            "dropped columns",
            "caution",
            f"{', '.join(f'`{name}`' for name in columns)} cannot be told from other columns and "
            "was left out; the coefficients of these others take up its effect.",
            "take redundant predictors out of the formula",
            columns[0],
        )
    total = results.design.spec.n_rows_data
    if rows > LOST_SHARE * total:
        yield Finding(
            "dropped rows",
            "caution",
            f"{rows} of {total} rows have missing values and were left out.",
            "see whether rows with missing values differ from the others",
        )


def slopes_without_mean(results: Any) -> Iterator[Finding]:
    """Random effects whose mean is forced to be zero."""
    fixed = set(results.fixed_names) | set(results.dropped.columns)
    variables = {name for term in results.design.spec.fixed_terms for name in term.variables}
    columns = {name for text in variables for name in VARIABLE.findall(text)}
    for block in results.design.matrices.random:
        kind = STRUCTURES[block.structure]
        if kind.ordered or kind.over == "positions":
            continue  # a process in time, around the mean that the fixed effects give
        for name in block.effect_names:
            used = VARIABLE.findall(name.split("[", maxsplit=1)[0])
            known = name in fixed or (name != "Intercept" and columns.issuperset(used))
            has_mean = known or (name == "Intercept" and _spans_constant(results))
            if not has_mean and not name.count(":"):
                yield Finding(
                    "no fixed counterpart",
                    "caution",
                    f"`{name}` varies over `{block.group}` but has no fixed effect: its mean is "
                    "taken to be zero.",
                    f"add `{name}` to the fixed effects" if name != "Intercept" else "add `1`",
                    f"{name}|{block.group}",
                )


def _spans_constant(results: Any) -> bool:
    """Whether an intercept or a factor coded in full is among the fixed effects."""
    return "Intercept" in results.fixed_names or bool(results.design.spec.factors)


Rule = Callable[[Any], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    convergence,
    singular,
    correlations,
    dimensions,
    levels,
    parameters_per_level,
    collinear,
    scales,
    sample_size,
    left_out,
    slopes_without_mean,
)
