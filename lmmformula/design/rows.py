"""One choice of rows for all variables of the model: subset, then complete cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray
from lmmformula.design.notify import notify
from lmmformula.design.sources import listed
from lmmformula.errors import DataError, DroppedRowsWarning

__all__ = ["Missing", "RowChoice", "choose_rows", "incomplete", "positions", "tell"]

Missing: TypeAlias = Literal["drop", "raise"]
SHOWN_POSITIONS = 10


@dataclass(frozen=True, slots=True, eq=False)
class RowChoice:
    """Rows used and rows left out.

    Attributes
    ----------
    used : ndarray of int or None
        Positions of the rows used; None for all rows.
    dropped : ndarray of int
        Positions left out because something is missing (rows outside the subset are not listed).
    """

    used: NDArray[Any] | None
    dropped: NDArray[Any]


def choose_rows(
    missing_by_name: Mapping[str, BoolArray | None],
    n_rows: int,
    *,
    subset: BoolArray | None,
    missing: Missing,
    made_missing: Mapping[str, int],
) -> RowChoice:
    """Choose the rows in which nothing is missing.

    Parameters
    ----------
    missing_by_name : mapping of str to ndarray or None
        Missing rows of each variable.
    n_rows : int
        Rows of the data.
    subset : ndarray of bool or None
        Rows asked for.
    missing : {"drop", "raise"}
        Leave incomplete rows out with a warning, or refuse.
    made_missing : mapping of str to int
        Expressions that turned values into missing ones, with the number of rows.
    """
    gaps = {name: mask for name, mask in missing_by_name.items() if mask is not None}
    if subset is not None:
        gaps = {name: mask & subset for name, mask in gaps.items()}
        gaps = {name: mask for name, mask in gaps.items() if mask.any()}
    if not gaps and subset is None:
        return RowChoice(None, np.empty(0, dtype=np.int64))
    gone = np.zeros(n_rows, dtype=bool)
    for mask in gaps.values():
        gone |= mask
    keep = ~gone if subset is None else subset & ~gone
    counts = {name: int(mask.sum()) for name, mask in gaps.items()}
    dropped = np.flatnonzero(gone)
    n_asked = n_rows if subset is None else int(subset.sum())
    if gaps:
        tell(counts, dropped, n_asked, missing, made_missing)
    return RowChoice(np.flatnonzero(keep), dropped)


def tell(
    counts: Mapping[str, int],
    dropped: NDArray[Any],
    n_rows: int,
    missing: Missing,
    made_missing: Mapping[str, int],
    n_dropped: int | None = None,
) -> None:
    """Warn of dropped rows, or refuse them.

    Parameters
    ----------
    counts : mapping of str to int
        Missing values by variable.
    dropped : ndarray of int
        Positions of the rows, or the first of them.
    n_rows : int
        Rows asked for.
    missing, made_missing
        As for ``choose_rows``.
    n_dropped : int, optional
        How many rows there are where ``dropped`` has only the first.
    """
    total = len(dropped) if n_dropped is None else n_dropped
    reasons = [
        f"`{name}` in {count}"
        + (f" ({made_missing[name]} not computable there)" if name in made_missing else "")
        for name, count in counts.items()
    ]
    got = f"missing: {listed(reasons)}; row positions {positions(dropped, total)}"
    facts: dict[str, Any] = {
        "n_dropped": total,
        "columns": tuple(counts),
        "counts": dict(counts),
        "rows": dropped,
    }
    if total == n_rows:
        raise DataError(
            "no row is complete, so nothing is left to fit.",
            got=f"{n_rows} rows; missing: {listed(reasons)}",
            suggestion="leave out or fill the columns named",
            **facts,
        )
    n = f"{total} of {n_rows} rows"
    if missing == "raise":
        raise incomplete(n, got, facts)
    remedy = "`missing='raise'` to refuse instead; drop or fill them in the data"
    message = f"{n} were left out because values are missing."
    notify(DroppedRowsWarning(message, got=got, suggestion=remedy, **facts))


def incomplete(rows: str, got: str, facts: Mapping[str, Any]) -> DataError:
    """Make the error for rows with something missing that may not be left out."""
    remedy = "`missing='drop'` leaves them out; or fill them before fitting"
    return DataError(f"{rows} have missing values.", got=got, suggestion=remedy, **facts)


def positions(rows: NDArray[Any], total: int | None = None) -> str:
    """Return row positions as text, cut short; ``rows`` may be the first of ``total``."""
    total = len(rows) if total is None else total
    shown = ", ".join(str(int(row)) for row in rows[:SHOWN_POSITIONS])
    return shown if total <= SHOWN_POSITIONS else f"{shown}, ... ({total} in all)"
