"""The fixed-effects matrix, with columns that others determine left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray, frozen
from lmmformula.design.checks import LARGEST, SMALLEST, check_finite, check_scale
from lmmformula.design.encode import Aliased, ColumnKey, Encoding, Variable, fill, plan
from lmmformula.design.notify import notify
from lmmformula.design.rank import RankSplit, split_by_rank
from lmmformula.design.sources import listed
from lmmformula.design.terms import FormulaPart
from lmmformula.errors import RankWarning

__all__ = ["FixedPart", "check_columns", "fixed_part", "without_aliased"]

LARGEST_SQUARE = LARGEST**2
SMALLEST_SQUARE = SMALLEST**2
SHOWN_REASONS = 6


@dataclass(frozen=True, slots=True, eq=False)
class FixedPart:
    """X with full column rank.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        Columns kept, read-only, in Fortran order.
    encoding : Encoding
        What they are.
    dropped : tuple of str
        Names of columns left out.
    aliased : Aliased or None
        What they are; None when there are none.
    """

    X: FloatArray
    encoding: Encoding
    dropped: tuple[str, ...]
    aliased: Aliased | None = None


def fixed_part(
    part: FormulaPart,
    variables: Mapping[str, Variable],
    n_rows: int,
    used: NDArray[Any] | None,
) -> FixedPart:
    """Build X and settle its rank by R's rule.

    Parameters
    ----------
    part : FormulaPart
        Terms of the fixed effects.
    variables : mapping of str to Variable
        Variables in the rows used.
    n_rows : int
        Number of rows used.
    used : ndarray of int or None
        Their positions in the data, for messages.
    """
    encoding = plan(part, variables)
    X = fill(encoding.keys, variables, n_rows)
    with np.errstate(all="ignore"):
        gram = X.T @ X
    check_columns(X, np.diag(gram), encoding, variables, used)
    split = split_by_rank(X, gram)
    if not split.dropped:
        return FixedPart(frozen(X), encoding, ())
    kept = frozen(np.asfortranarray(X[:, list(split.kept)]))
    return without_aliased(kept, encoding, split, np.diag(gram), n_rows)


def without_aliased(
    X: FloatArray, encoding: Encoding, split: RankSplit, squares: FloatArray, n_rows: int
) -> FixedPart:
    """Describe the columns that are left where others determine some, with a warning.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Columns kept.
    encoding : Encoding
        All columns.
    split : RankSplit
        Which of them are kept.
    squares : ndarray, shape (p_all,)
        Their sums of squares.
    n_rows : int
        Number of rows used.
    """
    dropped = tuple(encoding.names[j] for j in split.dropped)
    _warn(encoding, split, dropped)
    sizes = np.sqrt(squares[list(split.dropped)] / n_rows)
    aliased = Aliased(
        tuple(encoding.keys[j] for j in split.dropped),
        frozen(split.coefficients),
        frozen(np.where(sizes > 0.0, sizes, 1.0)),
    )
    return FixedPart(X, _reduced(encoding, split), dropped, aliased)


def check_columns(
    columns: FloatArray,
    squares: FloatArray,
    encoding: Encoding,
    variables: Mapping[str, Variable],
    used: NDArray[Any] | None,
) -> None:
    """Refuse columns that are infinite or whose squares overflow or vanish.

    Parameters
    ----------
    columns : ndarray, shape (n, k)
        The columns.
    squares : ndarray, shape (k,)
        Their sums of squares: enough to see that all is well.
    encoding : Encoding
        What they are.
    variables : mapping of str to Variable
        Variables that they were made of.
    used : ndarray of int or None
        Positions of the rows in the data.
    """
    fine = (squares < LARGEST_SQUARE) & ((squares > SMALLEST_SQUARE) | (squares == 0.0))
    for j in np.flatnonzero(~fine | (squares == 0.0)):
        for name in dict.fromkeys(piece.name for piece in _pieces(encoding.keys[j])):
            for values in variables[name].columns:
                check_finite(name, values, used, "predictor")
                check_scale(name, float(values.min()), float(values.max()))
        column = columns[:, j]
        check_finite(encoding.names[j], column, used, "predictor")
        check_scale(encoding.names[j], float(column.min()), float(column.max()))


def _pieces(key: ColumnKey) -> tuple[Any, ...]:
    return key[1]


def _reduced(encoding: Encoding, split: RankSplit) -> Encoding:
    position = {old: new for new, old in enumerate(split.kept)}
    return Encoding(
        tuple(encoding.names[j] for j in split.kept),
        tuple(encoding.keys[j] for j in split.kept),
        tuple(
            (label, tuple(position[j] for j in columns if j in position))
            for label, columns in encoding.terms
        ),
    )


def _warn(encoding: Encoding, split: RankSplit, dropped: tuple[str, ...]) -> None:
    reasons = []
    determined = {}
    for name, columns in zip(dropped, split.determined_by, strict=True):
        others = tuple(encoding.names[j] for j in columns)
        determined[name] = others
        told = listed(others) if len(others) <= SHOWN_REASONS else "several"
        reasons.append(f"`{name}` (by {told})" if others else f"`{name}` (zero everywhere)")
    many = len(dropped) > 1
    notify(
        RankWarning(
            f"{len(dropped)} column{'s' if many else ''} of the fixed effects "
            f"{'were' if many else 'was'} left out, because others determine "
            f"{'them' if many else 'it'}.",
            got=listed(reasons),
            suggestion="take the term out of the formula; fitted values do not change",
            columns=dropped,
            determined_by=determined,
        )
    )
