"""Rules about a fit that look at its rows: residuals, and levels that carry much weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.layout import TailLayout
from lmmformula.inference.diagnostics.checkup_rules import Finding, Rule

__all__ = ["ROW_RULES"]

SPREAD_RATIO = 1.5
EXPECTED_NOISE = 3.0
OUTLYING = 4.0
FAR_OUT = 5.0
HEAVY_TAILS = 2.0
SKEWED = 1.0
MOVED = 1.0
SHOWN = 3
FEWEST_ROWS = 30
MOST_WORK = 1e8
SPARSE_WORK = 5
"""Work for an entry of a sparse factor, beside one of a dense block."""


def spread(results: Any) -> Iterator[Finding]:
    """Residual variance that changes with the fitted values."""
    residual = np.asarray(results.residuals("normalized"))
    fitted = np.asarray(results.fittedvalues)
    if len(fitted) < FEWEST_ROWS or np.ptp(fitted) == 0.0:
        return
    third = len(fitted) // 3
    order = np.argsort(fitted, kind="stable")
    low, high = (_size(residual[part]) for part in (order[:third], order[-third:]))
    if min(low, high) <= 0.0:
        return
    ratio = max(low, high) / min(low, high)
    noise = EXPECTED_NOISE * np.sqrt(1.0 / third)  # a log ratio of two SDs has this s.e.
    if ratio > SPREAD_RATIO and np.log(ratio) > noise:
        where = "large" if high > low else "small"
        yield Finding(
            "heteroscedastic",
            "caution",
            f"residuals spread {ratio:.1f} times as widely where fitted values are {where}: the "
            "residual variance is not constant.",
            'a logarithm of the response, weights, or `robust="CR2"` for tests',
        )


def _size(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def group_spread(results: Any) -> Iterator[Finding]:
    """Residual variance that differs between the levels of a fixed factor."""
    residual = np.asarray(results.residuals("normalized"))
    X, spec = results.design.matrices.X, results.design.spec
    for term in spec.fixed_terms:
        if len(term.variables) != 1 or term.variables[0] not in spec.factors:
            continue
        _, codes = np.unique(X[:, list(term.columns)], axis=0, return_inverse=True)
        codes = codes.ravel()
        counts = np.bincount(codes)
        if len(counts) < 2 or counts.min() < FEWEST_ROWS // 3:
            continue
        sizes = np.sqrt(np.bincount(codes, residual**2) / counts)
        i, j = int(np.argmax(sizes)), int(np.argmin(sizes))
        if not sizes[j] > 0.0:
            continue
        noise = EXPECTED_NOISE * np.sqrt(0.5 / counts[i] + 0.5 / counts[j])
        ratio = float(sizes[i] / sizes[j])
        if ratio > SPREAD_RATIO and np.log(ratio) > noise:
            yield Finding(
                "heteroscedastic",
                "caution",
                f"residuals spread {ratio:.1f} times as widely in one level of `{term.label}` as "
                "in another.",
                f'`lmm(..., variance="ident({term.label})")`, a logarithm of the response, or '
                '`robust="CR2"` for tests',
                term.label,
            )


def shape(results: Any) -> Iterator[Finding]:
    """Residuals far from normal, and single ones far out."""
    residual = np.asarray(results.residuals("normalized"))
    if len(residual) < FEWEST_ROWS:
        return
    far = np.flatnonzero(np.abs(residual) > FAR_OUT)
    if len(far):
        index = results.design.spec.index[far[np.argsort(-np.abs(residual[far]))][:SHOWN]]
        rows = ", ".join(str(label) for label in index)
        yield Finding(
            "outliers",
            "caution",
            f"{len(far)} residual{'s' if len(far) > 1 else ''} beyond {FAR_OUT:g} residual "
            f"standard deviations (rows {rows}{', ...' if len(far) > SHOWN else ''}).",
            "look at these rows; `influence()` says what they do to the fixed effects",
            rows,
        )
    centred = (residual - residual.mean()) / residual.std()
    skewness, excess = float(np.mean(centred**3)), float(np.mean(centred**4) - 3.0)
    n = len(residual)
    if abs(skewness) > max(SKEWED, EXPECTED_NOISE * np.sqrt(6.0 / n)):
        side = "right" if skewness > 0 else "left"
        yield Finding(
            "skewed residuals",
            "caution",
            f"residuals are skewed to the {side} (skewness {skewness:.2g}).",
            'a transformation of the response; intervals by `bootstrap(kind="residual")`',
        )
    elif excess > max(HEAVY_TAILS, EXPECTED_NOISE * np.sqrt(24.0 / n)):
        yield Finding(
            "heavy tails",
            "note",
            f"residuals have heavy tails (excess kurtosis {excess:.2g}).",
            'intervals by `bootstrap(kind="residual")`, or `robust="CR2"`',
        )


def outlying_levels(results: Any) -> Iterator[Finding]:
    """Levels whose random effects lie far from the others'."""
    for block, modes, template in zip(
        results.design.matrices.random,
        results.estimates.random,
        results.estimates.templates,
        strict=True,
    ):
        sd = results.sigma * np.sqrt(np.sum(template**2, axis=1))
        spread = np.ones(block.n_levels)
        if block.relationship is not None:
            own = np.sqrt(np.sum(block.relationship**2, axis=1))
            spread = np.where(own > 0.0, own, np.inf)
        for i, name in enumerate(block.effect_names):
            if not sd[i] > 0.0:
                continue
            ratio = np.abs(modes[:, i]) / (sd[i] * spread)
            far = np.flatnonzero(ratio > OUTLYING)
            if len(far):
                worst = int(far[np.argmax(ratio[far])])
                yield Finding(
                    "outlying levels",
                    "caution",
                    f"the effect `{name}` of `{block.group}` {block.levels[worst]} is "
                    f"{ratio[worst]:.1f} standard deviations from zero{_others(len(far) - 1)}.",
                    "look at its rows: another population, or an error of recording",
                    f"{block.group} {block.levels[worst]}",
                )


def _others(count: int) -> str:
    return f", and {count} more are beyond {OUTLYING:g}" if count else ""


def _takes_long(tail: TailLayout, count: int) -> bool:
    """Whether leaving out levels in turn, an evaluation each, would."""
    each = {"dense": 1, "sparse": SPARSE_WORK}.get(tail.kind, 0)
    return count * each * tail.factor_entries > MOST_WORK


def influential_levels(results: Any) -> Iterator[Finding]:
    """Levels without which a fixed effect would move by more than its standard error."""
    if not results.df_model:
        return
    residual = results.design.matrices.residual
    if residual is not None and residual.correlation is not None:
        yield Finding(
            "not looked at",
            "note",
            f"influential levels were not looked for: `{residual.text}` correlates residuals.",
            "fits without some levels, by `lmm(..., subset=...)`",
            residual.text,
        )
        return
    for group, count in results.ngroups.items():
        if count < 3:
            continue
        if _takes_long(results.system.tail, count):
            yield Finding(
                "not looked at",
                "note",
                f"influential levels of `{group}` were not looked for: it takes long with crossed "
                "factors of this size.",
                f'`influence("{group}", exact=False)`',
                group,
            )
            continue
        dfbetas = results.influence(by=group, exact=False).dfbetas
        values = np.abs(dfbetas.to_numpy())
        moved = np.argwhere(np.nan_to_num(values, nan=0.0) > MOVED)
        moved = moved[np.argsort(-values[moved[:, 0], moved[:, 1]])]
        for level, column in moved[:SHOWN]:
            label, name = dfbetas.index[level], dfbetas.columns[column]
            yield Finding(
                "influential levels",
                "caution",
                f"without `{group}` {label} the coefficient `{name}` would move by "
                f"{values[level, column]:.1f} of its standard errors.",
                f'`influence("{group}")` shows all levels; report the fit without it as well',
                f"{group} {label}",
            )


ROW_RULES: tuple[Rule, ...] = (
    spread,
    group_spread,
    shape,
    outlying_levels,
    influential_levels,
)
