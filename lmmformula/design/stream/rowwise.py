"""Whether an expression gives every row its value whatever the other rows are.

Only such expressions mean the same in pieces. Functions that learn are such once they have
learned; for others that are not known to be, the first chunk is the judge.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula.design.columns import Basis, Categories, Numbers, Value, category_label
from lmmformula.errors import FormulaError
from lmmformula.formula.transforms.elementwise import ELEMENTWISE

__all__ = ["ROWS_TRIED", "is_surely_rowwise", "refuse_unless_alike"]

KNOWN = frozenset({*ELEMENTWISE, "C", "I", "Q"}) - {"seq"}
ARRAY_FUNCTIONS = frozenset(
    (
        *("where", "clip", "round", "around", "isin", "isclose", "nan_to_num", "select"),
        *("digitize", "interp", "fix", "sinc", "real", "imag", "array", "asarray"),
        *("float64", "int64"),
    )
)
METHODS = frozenset({"clip", "astype", "round", "isin", "isna", "notna", "fillna", "abs"})
ROWS_TRIED = 8


def is_surely_rowwise(code: str, environment: Mapping[str, Any]) -> bool:
    """Whether all calls of an expression are of functions that look at one row at a time.

    Parameters
    ----------
    code : str
        A Python expression.
    environment : mapping of str to object
        The functions in it.
    """
    return all(
        _is_known(node.func, environment)
        for node in ast.walk(ast.parse(code.replace("`", "_"), mode="eval"))
        if isinstance(node, ast.Call)
    )


def _is_known(function: ast.expr, environment: Mapping[str, Any]) -> bool:
    if isinstance(function, ast.Name):
        called = environment.get(function.id)
        return function.id in KNOWN or bool(getattr(called, "__is_stateful_transform__", False))
    if not isinstance(function, ast.Attribute):
        return False
    if isinstance(function.value, ast.Name) and function.value.id == "np":
        of_numpy = isinstance(getattr(np, function.attr, None), np.ufunc)
        return of_numpy or function.attr in ARRAY_FUNCTIONS
    if isinstance(function.value, ast.Name) and function.value.id == "contr":
        return True
    return function.attr in METHODS


def refuse_unless_alike(
    expression: str, where: str, value: Value, parts: list[tuple[slice, Value]]
) -> None:
    """Refuse an expression whose value in some rows depends on the rows around them.

    Parameters
    ----------
    expression : str
        What was evaluated.
    where : str
        The term it stands in.
    value : Value
        Its value in all rows of a chunk.
    parts : list of (slice, Value)
        Its value in some of these rows alone.
    """
    for rows, part in parts:
        if not _alike(value.take(rows), part):  # type: ignore[arg-type]
            raise FormulaError(
                f"`{expression}` in `{where}` needs all rows at once, and these data come in "
                "pieces.",
                got="other values when a part of the rows is computed alone",
                suggestion="`mean(x)` for `np.mean(x)`, and so on for sd, min, max, sum, median, "
                "which are learned in a pass of their own; or compute the column beforehand",
                expression=expression,
                term=where,
            )


def _alike(first: Value, second: Value) -> bool:
    if type(first) is not type(second):
        return bool(_all_gone(first) and _all_gone(second))
    if isinstance(first, Categories):
        assert isinstance(second, Categories)
        return _labels(first) == _labels(second)
    if isinstance(first, Basis):
        assert isinstance(second, Basis)
        return _close(first.values, second.values)
    assert isinstance(first, Numbers)
    assert isinstance(second, Numbers)
    return _close(first.values, second.values)


def _close(first: NDArray[Any], second: NDArray[Any]) -> bool:
    if first.dtype.kind != "f" or second.dtype.kind != "f":
        return np.array_equal(first, second)
    return bool(np.allclose(first, second, rtol=1e-12, atol=0.0, equal_nan=True))


def _labels(value: Categories) -> list[str | None]:
    return [category_label(value.levels[i]) if i >= 0 else None for i in value.codes]


def _all_gone(value: Value) -> bool:
    gone = value.missing_rows()
    return gone is not None and bool(gone.all())
