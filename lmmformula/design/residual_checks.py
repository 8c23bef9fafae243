"""Whether the data can tell the parameters of structured residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.design.checks import Policy, object_to
from lmmformula.design.rows import positions
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DesignError
from lmmformula.formula.residual import ResidualFormula, ResidualTerm
from lmmformula.matrices import RandomBlock, ResidualRows
from lmmformula.residual_covariance import CORRELATIONS, variant

__all__ = ["check_residual"]

MOST_POSITIONS = {"us": 100, "toep": 200}
"""Positions beyond which a family with parameters for their pairs or distances is hopeless."""

TAKES_A_CONSTANT = frozenset({"homcs", "us", "homus", "homtoep"})
"""Structures that remain themselves when a constant is added to all covariances of a group."""


def check_residual(
    rows: ResidualRows,
    formula: ResidualFormula,
    blocks: Sequence[RandomBlock],
    used: NDArray[Any] | None,
    policy: Policy,
) -> None:
    """Refuse residual structures that the data cannot identify.

    Parameters
    ----------
    rows : ResidualRows
        The residuals' structure.
    formula : ResidualFormula
        What was asked for.
    blocks : sequence of RandomBlock
        Random-effects terms beside it.
    used : ndarray of int or None
        Positions of the rows used, for messages.
    policy : {"raise", "warn", "ignore"}
        What to do; two rows of a group at one time are refused in any case.
    """
    term = formula.correlation
    if term is None:
        return
    _check_duplicates(rows, term, used)
    sizes = np.bincount(rows.codes, minlength=len(rows.levels))
    if sizes.max() < 2:
        object_to(
            policy,
            f"no group of `{term.text}` has two rows, so there is no correlation to estimate.",
            got=f"{len(rows.levels)} levels of `{term.group}` in {len(rows.codes)} rows",
            suggestion="leave `residual` out, or group by a factor whose levels repeat",
            term=term.text,
            group=term.group,
        )
        return
    _check_alone(term, blocks, policy)
    if rows.labels:
        _check_positions(rows, term, policy)


def _check_duplicates(rows: ResidualRows, term: ResidualTerm, used: NDArray[Any] | None) -> None:
    order = np.lexsort((rows.positions, rows.codes))
    codes, places = rows.codes[order], rows.positions[order]
    same = np.flatnonzero((codes[1:] == codes[:-1]) & (places[1:] == places[:-1]))
    if not same.size:
        return
    first = int(same[0])
    code, place = codes[first], places[first]
    alike = np.flatnonzero((rows.codes == code) & (rows.positions == place))
    alike = alike if used is None else used[alike]
    level = rows.levels[code]
    time = rows.labels[int(place)] if rows.labels else f"{place:g}"
    name = "" if term.position is None else term.position.label
    raise DataError(
        f"two rows of one level of `{term.group}` have the same `{name}`, and `{term.text}` takes "
        "one row at a time.",
        got=f"{term.group} {level!r}, {name} {time}: row positions {positions(alike)}; "
        f"{same.size} such pair{'s' if same.size > 1 else ''}",
        suggestion=f"a finer grouping, such as `{term.structure}({name} | "
        f"{term.group_spelling}:arm)`; or one row for each {name}",
        term=term.text,
        group=term.group,
        level=level,
        time=time,
        rows=alike,
        n_pairs=int(same.size),
    )


def _check_alone(term: ResidualTerm, blocks: Sequence[RandomBlock], policy: Policy) -> None:
    """A random intercept adds a constant to a group's covariances, which some structures hold."""
    if term.structure not in TAKES_A_CONSTANT:
        return
    for block in blocks:
        if block.group == term.group and block.effect_names == ("Intercept",):
            object_to(
                policy,
                f"the variance of `{block.text}` cannot be told from the covariances of "
                f"`{term.text}`, which take in any constant.",
                got=f"both group by `{term.group}`",
                suggestion=f"leave `{block.text}` out; or `ar1`, which dies away with time",
                term=block.text,
                group=term.group,
            )


def _check_positions(rows: ResidualRows, term: ResidualTerm, policy: Policy) -> None:
    kind = CORRELATIONS[term.structure]
    limit = MOST_POSITIONS.get(kind.family)
    n_positions = len(rows.labels)
    if limit is not None and n_positions > limit:
        raise DesignError(
            f"`{term.text}` has parameters for all its times, and there are too many of them.",
            got=f"{n_positions} times from {rows.labels[0]} to {rows.labels[-1]}; the limit is "
            f"{limit}",
            suggestion=_with_word(term, "ar1"),
            term=term.text,
            n_positions=n_positions,
        )
    places = rows.positions.astype(np.int64)
    if not kind.homogeneous:
        _check_occurring(rows, term, np.bincount(places, minlength=n_positions) > 0, policy)
    if kind.family in ("us", "toep"):
        together = _together(rows, n_positions)
        if kind.family == "us":
            _check_pairs(rows, term, together, policy)
        else:
            _check_lags(rows, term, together, policy)


def _together(rows: ResidualRows, n_positions: int) -> BoolArray:
    """Which pairs of positions occur in one group at least, shape (K, K)."""
    ones = np.ones(len(rows.codes))
    shape = (len(rows.levels), n_positions)
    found = scipy.sparse.csr_array((ones, (rows.codes, rows.positions.astype(np.int64))), shape)
    counts: FloatArray = (found.T @ found).toarray()
    return counts > 0


def _check_occurring(
    rows: ResidualRows, term: ResidualTerm, occurs: BoolArray, policy: Policy
) -> None:
    if occurs.all():
        return
    absent = [rows.labels[i] for i in np.flatnonzero(~occurs)]
    object_to(
        policy,
        f"`{term.text}` has a variance for every time, and no row is at "
        f"{'some' if len(absent) > 1 else 'one'} of them.",
        got=f"without rows: {listed(absent, 8)}",
        suggestion=_with_word(term, str(variant(term.structure, True))),
        term=term.text,
        times=tuple(absent),
    )


def _check_pairs(
    rows: ResidualRows, term: ResidualTerm, together: BoolArray, policy: Policy
) -> None:
    first, second = np.nonzero(np.triu(~together, 1))
    if not first.size:
        return
    pair = rows.labels[first[0]], rows.labels[second[0]]
    object_to(
        policy,
        f"`{term.text}` has a correlation for every pair of times, and no level of "
        f"`{term.group}` has rows at both of {'some pairs' if first.size > 1 else 'a pair'}.",
        got=f"never together: {pair[0]} and {pair[1]}"
        + (f", and {first.size - 1} more pairs" if first.size > 1 else ""),
        suggestion=f"{_with_word(term, 'ar1')} or {_with_word(term, 'cs')}, which have fewer "
        "parameters",
        term=term.text,
        pair=pair,
        n_pairs=int(first.size),
    )


def _check_lags(
    rows: ResidualRows, term: ResidualTerm, together: BoolArray, policy: Policy
) -> None:
    n_positions = len(rows.labels)
    absent = [lag for lag in range(1, n_positions) if not np.diagonal(together, lag).any()]
    if not absent:
        return
    object_to(
        policy,
        f"`{term.text}` has a correlation for every distance in time, and no level of "
        f"`{term.group}` has two rows at {'some' if len(absent) > 1 else 'one'} of them.",
        got=f"never met: {listed([f'{lag} steps' for lag in absent], 8)} (times "
        f"{listed(rows.labels, 8)})",
        suggestion=_with_word(term, "ar1"),
        term=term.text,
        lags=tuple(absent),
    )


def _with_word(term: ResidualTerm, word: str) -> str:
    """The same columns under another structure."""
    inside = term.text.partition("(")[2].partition(", hom=")[0].removesuffix(")")
    return f"`{word}({inside})`"
