"""Contrasts among marginal means or slopes, in families that are judged together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError
from lmmformula.inference.effects.approximation import Approximation
from lmmformula.inference.marginal.adjust import ADJUSTMENTS, Family, check_adjustment
from lmmformula.inference.marginal.display import FrameResult, factor_columns, method_note
from lmmformula.inference.marginal.estimability import estimated, warn_of_missing
from lmmformula.inference.marginal.families import contrast_set, family_named
from lmmformula.inference.marginal.grid import Combinations, Grid
from lmmformula.report.drawn import Drawn

__all__ = ["MarginalContrasts", "contrast_means", "families_of"]

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
OPERATOR = re.compile(r"[-+/*]")


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One family: names, combinations, and where in the grid its means are."""

    names: tuple[str, ...]
    rows: Combinations
    means: IntArray


class MarginalContrasts(Drawn, FrameResult):
    """Contrasts with simultaneous tests and intervals.

    Parameters
    ----------
    frame : DataFrame
        ``contrast``, columns of the families, ``estimate, se, df, lower, upper, statistic,
        pvalue``.
    linear_combinations : ndarray, shape (m, p)
        Coefficients of the fixed effects.
    adjust : str
        Adjustment used.
    alpha : float
        One less the level of the intervals.
    notes : tuple of str
        Sentences below the printed table.
    """

    _picture = "contrasts"

    def __init__(
        self,
        frame: pd.DataFrame,
        linear_combinations: FloatArray,
        *,
        adjust: str,
        alpha: float,
        notes: tuple[str, ...],
    ) -> None:
        self._frame = frame
        self.linear_combinations = linear_combinations
        self.adjust = adjust
        self.alpha = alpha
        self.title = "Contrasts"
        self.notes = notes

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table."""
        return self._frame


def contrast_means(
    grid: Grid,
    used: Approximation,
    method: Any,
    adjust: str | None,
    by: Sequence[str],
    *,
    ddf: str,
    control: Any,
    alpha: float,
) -> MarginalContrasts:
    """Compare the rows of a grid within the combinations of ``by``."""
    _check_by(grid, by)
    family = family_named(method) if isinstance(method, str) else None
    chosen = adjust or (family.adjust if family else "none")
    check_adjustment(chosen, family is not None and family.is_pairwise)
    blocks = [
        _block(grid, means, method, [n for n in grid.names if n not in by], control)
        for means in families_of(grid, by)
    ]
    frames, notes = [], []
    for block in blocks:
        frame, note = _family_frame(block, used, chosen, alpha)
        keys = factor_columns(grid.taken(np.repeat(block.means[:1], len(frame))), by)
        for place, (name, values) in enumerate(keys.items()):
            frame.insert(1 + place, name, values)
        frames.append(frame)
        notes.append(note)
    table = pd.concat(frames, ignore_index=True)
    _warn(table, by)
    return MarginalContrasts(
        table,
        np.vstack([block.rows.L for block in blocks]),
        adjust=chosen,
        alpha=alpha,
        notes=(*_notes(notes, by), method_note(ddf), *used.notes),
    )


def _check_by(grid: Grid, by: Sequence[str]) -> None:
    for name in by:
        if name not in grid.names:
            closest = closest_name(str(name), grid.names)
            raise OptionError(
                f"`by` names `{name}`, which the means do not have.",
                got=f"their variables: {listed(grid.names)}",
                suggestion=f"`by={closest!r}`" if closest else "means over that variable as well",
                argument="by",
                variable=name,
                closest=closest,
                available=grid.names,
            )


def families_of(grid: Grid, by: Sequence[str]) -> list[IntArray]:
    """Rows of every combination of ``by``."""
    keys = grid.keys(by)
    return [np.flatnonzero(keys == key) for key in np.unique(keys)]


def _block(grid: Grid, means: IntArray, method: Any, names: Sequence[str], control: Any) -> _Block:
    labels = _labels(grid, means, names)
    if len(labels) < 2 and isinstance(method, str):
        raise OptionError(
            "there is nothing to compare: every family has one mean.",
            got=f"{listed(labels)}",
            suggestion="means over more variables, or fewer of them in `by`",
            available=grid.names,
        )
    made = contrast_set(method, labels, _control(control, labels, grid, means, names))
    return _Block(made.names, grid.rows.taken(means).combined(made.weights), means)


def _labels(grid: Grid, means: IntArray, names: Sequence[str]) -> list[str]:
    """Labels of means, as emmeans writes them: numbers get their variable, operators brackets."""
    parts = []
    for name in names:
        levels = [str(_plain(level)) for level in grid.levels[name]]
        if all(NUMBER.fullmatch(level) for level in levels):
            levels = [f"{name}{level}" for level in levels]
        codes = grid.codes[means, grid.names.index(name)]
        parts.append([levels[code] for code in codes])
    labels = [" ".join(words) for words in zip(*parts, strict=True)] if parts else ["overall"]
    return [f"({label})" if OPERATOR.search(label) else label for label in labels]


def _plain(level: Any) -> Any:
    """Write 2.0 as 2."""
    return f"{level:g}" if isinstance(level, float) else level


def _control(
    control: Any, labels: Sequence[str], grid: Grid, means: IntArray, names: Sequence[str]
) -> int:
    if control is None:
        return 0
    texts = [
        " ".join(map(str, words))
        for words in zip(*(_taken(grid, means, n) for n in names), strict=True)
    ]
    for known in (labels, texts):
        if str(control) in known:
            return list(known).index(str(control))
    raise OptionError(
        f"`control={control!r}` is none of the means.",
        got=f"means: {listed(labels)}",
        suggestion=f"`control={texts[0]!r}`",
        argument="control",
        value=control,
        available=tuple(texts),
    )


def _taken(grid: Grid, means: IntArray, name: str) -> list[Any]:
    values = grid.values(name)
    return [values[row] for row in means]


def _family_frame(
    block: _Block, used: Approximation, adjust: str, alpha: float
) -> tuple[pd.DataFrame, str]:
    """Tests and limits of one family, and the sentence about its adjustment."""
    estimate, se, df = estimated(block.rows, used)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / se
    L = np.where(np.isnan(se)[:, None], np.nan, block.rows.L)
    family = Family(statistic, df, L, L @ used.vcov @ L.T, len(block.means))
    if family.size == 1 and adjust != "scheffe":
        adjust = "none"
    method = ADJUSTMENTS[adjust]
    known = not np.isnan(statistic).all()
    p = method.p_values(family) if known else statistic
    half = (method.critical(family, alpha) if known else statistic) * se
    frame = pd.DataFrame(
        {
            "contrast": list(block.names),
            "estimate": estimate,
            "se": se,
            "df": df,
            "lower": estimate - half,
            "upper": estimate + half,
            "statistic": statistic,
            "pvalue": p,
        }
    )
    told = method.told and method.told.format(
        n=family.size, k=family.n_means, rank=family.rank if adjust == "scheffe" else 0
    )
    return frame, told


def _notes(told: Sequence[str], by: Sequence[str]) -> tuple[str, ...]:
    sentences = [f"Tests and limits adjusted by {one}." for one in dict.fromkeys(told) if one]
    if by and sentences:
        sentences[-1] = sentences[-1][:-1] + f", within each level of {', '.join(by)}."
    return tuple(sentences)


def _warn(frame: pd.DataFrame, by: Sequence[str]) -> None:
    missing = frame.loc[frame["estimate"].isna(), ["contrast", *by]]
    rows = missing.itertuples(index=False)
    warn_of_missing("contrast", [" | ".join(map(str, row)) for row in rows])
