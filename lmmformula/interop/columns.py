"""What scikit-learn hands over (X, y, groups) as named columns and a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.sources import listed
from lmmformula.errors import DataError, FormulaError, OptionError
from lmmformula.formula import parse
from lmmformula.formula.deparse import quoted

__all__ = ["Layout", "is_frame", "named_columns", "names_of", "refuse_repeated_names"]

GROUPS = "groups"
"""Column that holds ``fit(..., groups=)`` unless ``groups="name"`` gives it another name."""


def is_frame(X: Any) -> bool:
    """Whether ``X`` is a table with columns of its own (pandas, polars, pyarrow)."""
    return isinstance(X, pd.DataFrame) or bool(nw.dependencies.is_into_dataframe(X))


def refuse_repeated_names(X: Any) -> None:
    """Raise where two columns of a table have one name (only pandas lets them)."""
    names = list(X.columns) if isinstance(X, pd.DataFrame) else []
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(
            f"`X` has {names.count(twice[0])} columns named `{twice[0]}`.",
            got=f"columns {listed(names)}",
            suggestion="rename one of them; a formula can only mean one",
            column=twice[0],
            available=tuple(names),
        )


def names_of(X: Any) -> list[str]:
    """Names of the columns of a table; those of an array, or without text, by position."""
    if is_frame(X):
        names = list(nw.from_native(X, eager_only=True).columns)
        if all(isinstance(name, str) for name in names):
            return names
    return [f"x{j}" for j in range(X.shape[1])]


def named_columns(X: Any, names: Sequence[str]) -> dict[str, Any]:
    """Columns of a table or an array under their names.

    Parameters
    ----------
    X : frame or ndarray, shape (n, m)
    names : sequence of str, length m
    """
    if isinstance(X, pd.DataFrame):
        return {name: X.iloc[:, j] for j, name in enumerate(names)}
    if is_frame(X):
        frame = nw.from_native(X, eager_only=True)
        own = [name if name in frame.columns else frame.columns[j] for j, name in enumerate(names)]
        return {
            name: nw.to_native(frame.get_column(column))
            for name, column in zip(names, own, strict=True)
        }
    return {name: X[:, j] for j, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Layout:
    """Which formula is fitted to which columns.

    Attributes
    ----------
    formula : str
        With a left side and, where groups were given, a random intercept.
    response : str
        Name that ``y`` has in it.
    group : str or None
        Name of the column given as ``fit(..., groups=)``.
    """

    formula: str
    response: str
    group: str | None

    @classmethod
    def of(cls, formula: Any, groups: Any, names: Sequence[str], has_groups: bool) -> Layout:
        """Complete what the user left out.

        Parameters
        ----------
        formula : str or None
            With or without a left side; None for all columns.
        groups : str, sequence of str or None
            Columns for random intercepts, or the name of the column given when fitting.
        names : sequence of str
            Columns of ``X``.
        has_groups : bool
            Whether ``fit`` was given ``groups``.
        """
        wanted = _group_names(groups)
        given = _given_group(wanted, names) if has_groups else None
        if given is not None:
            wanted = (given,)
        missing = [name for name in wanted if name not in (*names, given)]
        if missing:
            raise DataError(
                f"`groups` names `{missing[0]}`, and `X` has no such column.",
                got=f"columns {listed(list(names))}",
                suggestion=f"`fit(X, y, groups=values)`, which become the column `{missing[0]}`",
                column=missing[0],
                available=tuple(names),
            )
        taken = {*names, *wanted}
        response = next(name for name in _free_names() if name not in taken)
        if formula is None:
            fixed = " + ".join(["1", *(quoted(name) for name in names if name not in wanted)])
            text = f"{response} ~ {fixed}"
        else:
            text, response = _with_response(formula, response)
        if not parse(text, require_random=False).random:
            text += "".join(f" + (1 | {quoted(name)})" for name in wanted)
        return cls(text, response, given)

    def data(
        self, columns: Mapping[str, Any], *, y: Any = None, groups: Any = None
    ) -> dict[str, Any]:
        """Columns, response and groups together."""
        out = dict(columns)
        if y is not None:
            out[self.response] = y
        if groups is not None and self.group is not None:
            out[self.group] = _flat(groups)
        return out


def _free_names() -> Any:
    yield from ("y", "response")
    number = 2
    while True:
        yield f"response{number}"
        number += 1


def _group_names(groups: Any) -> tuple[str, ...]:
    if groups is None or isinstance(groups, str):
        return () if groups is None else (groups,)
    if isinstance(groups, list | tuple) and all(isinstance(name, str) for name in groups):
        return tuple(groups)
    raise OptionError(
        "`groups` takes names of columns.",
        got=f"`groups={groups!r:.60}`",
        suggestion='`groups="Subject"`; values go to `fit(X, y, groups=values)`',
        option="groups",
    )


def _given_group(wanted: tuple[str, ...], names: Sequence[str]) -> str:
    """Name the column of ``fit(..., groups=)``."""
    name = wanted[0] if len(wanted) == 1 else GROUPS
    if name not in names and len(wanted) < 2:
        return name
    raise OptionError(
        "`fit` was given `groups`, and they are columns of `X` already.",
        got=f"columns {listed(list(names))}"
        + (f"; `groups={list(wanted)!r}`" if wanted else f", of which one is called `{GROUPS}`"),
        suggestion=f'`groups="{name}"` or `fit(X, y, groups=values)`, not both; another name by '
        '`LinearMixedRegressor(groups="name")`',
        option="groups",
    )


def _with_response(formula: Any, free: str) -> tuple[str, str]:
    """Return the formula with a left side, and the name on it."""
    if not isinstance(formula, str):
        raise OptionError(
            "`formula` must be text.",
            got=f"`formula={formula!r:.60}`",
            suggestion='`formula="~ Days + (Days | Subject)"`',
            option="formula",
        )
    if formula.lstrip().startswith("~"):
        return f"{free} {formula.lstrip()}", free
    atom = parse(formula, require_random=False).response_atom
    if atom is not None and atom.method == "lookup":
        return formula, atom.expr
    raise FormulaError(
        "the left side of the formula must be a name: `y` is given apart, and predictions are to "
        "be on its scale.",
        got=formula,
        suggestion=f"`{free} ~ ...`, or `~ ...`; scikit-learn's `TransformedTargetRegressor` "
        "transforms the response and predictions back",
        formula=formula,
    )


def _flat(groups: Any) -> Any:
    """Groups as one column."""
    if nw.dependencies.is_into_series(groups) or isinstance(groups, pd.Categorical):
        return groups
    values = np.asarray(groups)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return values
    raise DataError(
        "`groups` must have one value per row.",
        got=f"shape {values.shape}",
        suggestion="one column here; more grouping factors as columns of `X`",
        role="groups",
    )
