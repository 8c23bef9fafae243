"""Designs that cannot be fitted, and those that lme4 refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray
from lmmformula.covariance import STRUCTURES
from lmmformula.design.notify import notify
from lmmformula.design.rows import positions
from lmmformula.errors import DataError, DesignError, DesignWarning
from lmmformula.matrices import RandomBlock

__all__ = [
    "Policy",
    "check_design",
    "check_finite",
    "check_scale",
    "check_totals",
    "check_weights",
    "object_to",
]

Policy: TypeAlias = Literal["raise", "warn", "ignore"]
LARGEST = 1e100
SMALLEST = 1e-100
"""Squares of numbers between these, and weighted ones too, neither overflow nor vanish."""


def object_to(policy: Policy, message: str, **parts: Any) -> None:
    """Raise, warn or say nothing, as ``checks`` asks."""
    if policy == "raise":
        raise DesignError(message, **parts)
    if policy == "warn":
        notify(DesignWarning(message, **parts))


def check_finite(name: str, values: FloatArray, rows: NDArray[Any] | None, role: str) -> None:
    """Refuse infinite values, saying where they are.

    Parameters
    ----------
    name : str
        Column or expression.
    values : ndarray, shape (n,) or (n, k)
        Values in the rows used.
    rows : ndarray of int or None
        Positions of these rows in the data; None for all rows.
    role : str
        ``response``, ``predictor``, ``offset``.
    """
    if not values.size or (np.isfinite(values.min()) and np.isfinite(values.max())):
        return
    bad = ~np.isfinite(values)
    where = np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))
    where = where if rows is None else rows[where]
    raise DataError(
        f"the {role} `{name}` is infinite in {len(where)} row{'s' if len(where) > 1 else ''}.",
        got=f"row positions {positions(where)}",
        suggestion="leave these rows out with `subset`, or mark the values as missing",
        column=name,
        rows=where,
        role=role,
    )


def check_scale(name: str, low: float, high: float) -> None:
    """Refuse columns whose squares overflow or vanish in double precision.

    Parameters
    ----------
    name : str
        Column, for the message.
    low, high : float
        Smallest and largest value.
    """
    size = max(-low, high)
    if size == 0.0 or SMALLEST < size < LARGEST:
        return
    action = "divide" if size >= LARGEST else "multiply"
    raise DataError(
        f"`{name}` has a scale at which its squares {'over' if size >= LARGEST else 'under'}flow.",
        got=f"largest absolute value {size:.3g}",
        suggestion=f"{action} `{name}` by a power of ten; the model is the same in other units",
        column=name,
        size=size,
    )


def check_weights(weights: FloatArray, rows: NDArray[Any] | None) -> None:
    """Refuse weights that are missing, infinite, zero or negative."""
    for kind, bad in (
        ("missing", np.isnan(weights)),
        ("infinite", np.isinf(weights)),
        ("negative", weights < 0),
        ("zero", weights == 0),
    ):
        if not bad.any():
            continue
        where = np.flatnonzero(bad)
        where = where if rows is None else rows[where]
        raise DataError(
            f"`weights` must be positive; {len(where)} of them are {kind}.",
            got=f"row positions {positions(where)}",
            suggestion="the residual variance of a row is sigma^2 / weight; leave a row out "
            "with `subset` to give it no weight",
            role="weights",
            kind=kind,
            rows=where,
        )
    if weights.size:
        check_scale("weights", 0.0, float(weights.max()))
        check_scale("weights", 0.0, float(weights.min()))


def check_design(
    y: FloatArray,
    n_columns: int,
    random: Sequence[RandomBlock],
    response: str,
    policy: Policy,
    n_dropped: int,
) -> None:
    """Refuse what the data cannot identify, as lme4 does.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Response in the rows used.
    n_columns : int
        Columns of X that were kept.
    random : sequence of RandomBlock
        Random-effects terms.
    response : str
        Its name.
    policy : {"raise", "warn", "ignore"}
        What to do; too few rows for the fixed effects are refused in any case.
    n_dropped : int
        Rows left out because of missing values, for the messages.
    """
    extent = (float(y.min()), float(y.max())) if y.size else (0.0, 1.0)
    check_totals(len(y), extent, n_columns, random, response, policy, n_dropped)


def check_totals(
    n: int,
    extent: tuple[float, float],
    n_columns: int,
    random: Sequence[RandomBlock],
    response: str,
    policy: Policy,
    n_dropped: int,
) -> None:
    """Check a design of which only totals are known.

    Parameters
    ----------
    n : int
        Number of rows used.
    extent : tuple of float
        Smallest and largest response.
    n_columns, random, response, policy, n_dropped
        As for ``check_design``; of ``random`` the rows do not matter.
    """
    rows = f"{n} rows" + (f" after dropping {n_dropped} with missing values" if n_dropped else "")
    if n <= n_columns:
        raise DesignError(
            "there are not more rows than fixed-effects coefficients, so no variance is left.",
            got=f"{rows}, {n_columns} coefficients",
            suggestion="fewer fixed effects, or more data",
            n_obs=n,
            p=n_columns,
        )
    if extent[0] == extent[1]:
        object_to(
            policy,
            f"the response `{response}` is constant, so there is no variance to explain.",
            got=f"{extent[0]!r} in all {rows}",
            suggestion="check the column and the rows chosen",
            column=response,
        )
    for block in random:
        _check_block(block, n, rows, policy)


def _check_block(block: RandomBlock, n: int, rows: str, policy: Policy) -> None:
    facts: dict[str, Any] = {
        "group": block.group,
        "term": block.text,
        "n_levels": block.n_levels,
        "n_obs": n,
    }
    if block.n_levels < 2:
        object_to(
            policy,
            f"the grouping factor of `{block.text}` has only one level, "
            "so its variance cannot be estimated.",
            got=f"level {block.levels[0]!r} in all {rows}",
            suggestion="remove the term; group by a factor with several levels",
            **facts,
        )
    elif block.relationship is not None:
        return  # levels tell of one another, so there may be one for each row
    elif block.n_levels >= n:
        object_to(
            policy,
            f"`{block.text}` has as many levels as there are rows, "
            "so its variance cannot be told from the residual's.",
            got=f"{block.n_levels} levels, {rows}",
            suggestion="remove the term; group by a factor whose levels repeat",
            **facts,
        )
    elif block.n_levels * block.n_effects >= n and not _decays(block):
        n_effects = block.n_levels * block.n_effects
        object_to(
            policy,
            f"`{block.text}` has at least as many random effects as there are rows, "
            "so they cannot be told from the residual.",
            got=f"{n_effects} effects ({block.n_effects} for each of {block.n_levels} levels), "
            f"{rows}",
            suggestion=f"{_as_residual(block)}`(1 | {block.group})`, which has {block.n_levels}",
            n_effects=n_effects,
            **facts,
        )


def _decays(block: RandomBlock) -> bool:
    """Whether correlations fall with the distance; among two effects there is but one."""
    return STRUCTURES[block.structure].decays and block.n_effects > 2


def _as_residual(block: RandomBlock) -> str:
    """What to write where the residual itself may have the structure that the term asks for."""
    word, _, inside = block.text.partition("(")
    if not word:
        return ""
    effects = inside.rpartition("|")[0].strip().removeprefix("0 + ").removesuffix(" + 0")
    if STRUCTURES[block.structure].family == "diag":
        return f'`variance="ident({effects})"` for the residuals themselves; or '
    if block.positions is not None:
        word = "car1"
    if block.positions is not None and block.positions.shape[1] > 1:
        return ""
    return f'`residual="{word}({effects} | {block.group})"` for the residuals themselves; or '


def columns_at_fault(values: Mapping[str, FloatArray], rows: NDArray[Any] | None) -> None:
    """Name the numeric variable that made a column of the design infinite or too large."""
    for name, column in values.items():
        check_finite(name, column, rows, "predictor")
        check_scale(name, float(column.min()), float(column.max()))
