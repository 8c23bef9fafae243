"""Evaluating the formula's expressions on the data: columns and known functions, nothing else.

Python variables of the caller are never looked at, so a formula means the same everywhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from formulaic.utils.code import sanitize_variable_names

from lmmformula._arrays import BoolArray
from lmmformula.design.calls import evaluated
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.context import FUNCTIONS
from lmmformula.design.outcome import as_value
from lmmformula.design.sources import Source, closest_name, listed
from lmmformula.errors import DataError, FormulaError, LMMError

__all__ = ["Evaluator", "as_factor", "column_names"]

KNOWS_MISSING = frozenset({"is_na", "isin"})
"""Functions with an answer for missing values."""


@dataclass(frozen=True, slots=True)
class _Names:
    """Names that an expression uses: functions called, everything else, and its shape."""

    called: frozenset[str]
    values: frozenset[str]
    wrapped: str | None


def _names(expression: str) -> _Names:
    aliases: dict[str, str] = {}
    try:
        tree = ast.parse(sanitize_variable_names(expression, {}, aliases), mode="eval")
    except SyntaxError as error:
        raise FormulaError(
            f"`{expression}` is not an expression that can be computed.",
            got=str(error.msg),
            suggestion="check operators and parentheses",
            term=expression,
        ) from error
    called: set[str] = set()
    values: set[str] = set()
    callees = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise FormulaError(
                f"`{expression}` reaches for a private attribute.",
                got=f"`.{node.attr}`",
                suggestion="compute the column before fitting",
                term=expression,
            )
        if _is_quoted_column(node):
            values.add(node.args[0].value)  # type: ignore[attr-defined]
        if isinstance(node, ast.Name):
            name = aliases.get(node.id, node.id)
            (called if id(node) in callees else values).add(name)
    return _Names(frozenset(called), frozenset(values), _contrast_argument(tree, aliases))


class _ColumnRenamer(ast.NodeTransformer):
    """Renames columns that are called like functions: ``scale(scale)``."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = f"_column_{node.id}" if node.id in self.names else node.id
        return ast.copy_location(ast.Name(name, ast.Load()), node)


def _disambiguated(expression: str, environment: dict[str, Any], known: Mapping[str, Any]) -> str:
    """Give columns named like a function that is called another name in the environment."""
    names = _names(expression)
    both = frozenset(name for name in names.called & names.values if name in known)
    for name in both:
        environment[f"_column_{name}"] = environment[name]
        environment[name] = known[name]
    return ast.unparse(_ColumnRenamer(both).visit(ast.parse(expression, mode="eval")))


def _is_quoted_column(node: ast.AST) -> bool:
    """Whether a node is ``Q('any name')``."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Q"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def _contrast_argument(tree: ast.Expression, aliases: Mapping[str, str]) -> str | None:
    """Return ``store`` for ``C(store, ...)``, the name that its columns go by."""
    call = tree.body
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "C":
        text = ast.unparse(call.args[0]) if call.args else None
        return aliases.get(text, text) if text else None
    return None


def column_names(expression: str) -> frozenset[str]:
    """Return the names in an expression that must be columns, or known constants."""
    return _names(expression).values


class Evaluator:
    """Evaluates each expression once, on all rows of the data.

    Parameters
    ----------
    source : Source
        The data.
    state : mutable mapping
        What stateful transforms have learned; filled at fitting, read at prediction.
    fitted : bool
        The data are new rows for a fitted model: a missing column is then the data's fault.
    """

    def __init__(
        self, source: Source, state: MutableMapping[str, Any], *, fitted: bool = False
    ) -> None:
        self.source = source
        self.state = state
        self._fitted = fitted
        self._values: dict[str, Value] = {}
        self._own_missing: dict[str, int] = {}

    def value(self, expression: str, *, lookup: bool, where: str) -> Value:
        """Evaluate one expression.

        Parameters
        ----------
        expression : str
            A column name or a Python expression.
        lookup : bool
            Whether it is a plain column name.
        where : str
            The term it stands in, as the user wrote it, for messages.
        """
        if expression not in self._values:
            if lookup and expression in self.source:
                value: Value = self.source.column(expression)
            elif lookup:
                raise self._missing_column(expression, where)
            else:
                value = self._compute(expression, where)
            self._values[expression] = value
        return self._values[expression]

    def made_missing(self) -> dict[str, int]:
        """Return how many values each expression lost that its variables had."""
        return {name: count for name, count in self._own_missing.items() if count}

    def prepared(self, expression: str, where: str) -> tuple[str, dict[str, Any], BoolArray | None]:
        """Return what to evaluate: code, all names in it, and rows in which a column is missing.

        Parameters
        ----------
        expression : str
            A Python expression.
        where : str
            The term it stands in.
        """
        names = _names(expression)
        environment: dict[str, Any] = {}
        known = FUNCTIONS
        missing: BoolArray | None = None
        for name in names.called - names.values - {"Q"}:
            if name not in known:
                raise self._unknown_function(name, known, where)
            environment[name] = known[name]
        for name in names.values:
            if name in self.source:
                column = self.source.column(name)
                environment[name] = _operand(column)
                missing = _either(missing, column.missing_rows())
            elif name in known:
                environment[name] = known[name]
            else:
                raise self._missing_column(name, where)
        if "Q" in names.called:
            environment["Q"] = dict(environment).__getitem__
        code = expression
        if names.called & names.values:
            code = _disambiguated(expression, environment, known)
        return code, environment, missing

    def _compute(self, expression: str, where: str) -> Value:
        names = _names(expression)
        code, environment, missing = self.prepared(expression, where)
        result = self._run(code, environment, where)
        spread = None if names.called & KNOWS_MISSING else missing
        value = as_value(expression, result, self.source.n_rows, spread)
        if isinstance(value, Categories) and names.wrapped is not None:
            value = replace(value, label=names.wrapped)
        self._count_made_missing(expression, value, missing)
        return value

    def _run(self, expression: str, environment: dict[str, Any], where: str) -> Any:
        return self.guarded(
            lambda: evaluated(expression, environment, self.state), expression, where
        )

    def guarded(self, compute: Callable[[], Any], expression: str, where: str) -> Any:
        """Compute something of an expression; whatever goes wrong is said in the user's terms."""
        try:
            with np.errstate(all="ignore"):
                return compute()
        except LMMError:
            raise
        except (FormulaicError, Exception) as error:
            raise FormulaError(
                f"`{expression}` in `{where}` cannot be computed from these data.",
                got=f"{type(error).__name__}: {error}",
                suggestion="compute the column before fitting and name it in the formula",
                term=where,
                expression=expression,
            ) from error

    def _count_made_missing(self, expression: str, value: Value, missing: BoolArray | None) -> None:
        now = value.missing_rows()
        if now is not None:
            self._own_missing[expression] = int((now if missing is None else now & ~missing).sum())

    def _missing_column(self, name: str, where: str) -> LMMError:
        closest = closest_name(name, self.source.names)
        kind = DataError if self._fitted else FormulaError
        near = f"; closest is `{closest}`" if closest else ""
        advice = "add the column before predicting" if self._fitted else "add it before fitting"
        subject = "new data" if self._fitted else "data"
        fixed = _renamed(where, name, closest) if closest and not self._fitted else None
        return kind(
            f"the term `{where}` uses a column that the {subject} do not have.",
            got=f"`{name}`{near} (columns: {listed(self.source.names)})",
            suggestion=f"`{fixed}`, or {advice}" if fixed else advice,
            column=name,
            closest=closest,
            available=self.source.names,
            term=where,
        )

    def _unknown_function(self, name: str, known: Mapping[str, Any], where: str) -> FormulaError:
        usable = sorted(key for key, value in known.items() if callable(value))
        closest = closest_name(name, usable)
        near = f"; closest is `{closest}`" if closest else ""
        return FormulaError(
            f"the term `{where}` calls a function that formulas do not know.",
            got=f"`{name}`{near} (known: {listed(usable, 40)})",
            suggestion=f"`{_renamed(where, name, closest)}`"
            if closest
            else "compute the column before fitting and name it in the formula",
            function=name,
            closest=closest,
            available=tuple(usable),
            term=where,
        )


def _either(first: BoolArray | None, second: BoolArray | None) -> BoolArray | None:
    if first is None or second is None:
        return second if first is None else first
    return first | second


def _renamed(text: str, name: str, better: str) -> str:
    """Replace a name, not a part of other names."""
    return re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", lambda _: better, text)


def _operand(column: Numbers | Categories) -> Any:
    """Return a column as expressions see it: a float or bool array, or a categorical series."""
    if isinstance(column, Numbers):
        if column.is_logical and column.missing_rows() is None:
            return column.values.copy()
        floats = column.floats()
        return floats.copy() if floats is column.values else floats
    levels: Any = pd.Index(list(column.levels))
    return pd.Series(pd.Categorical.from_codes(column.codes, categories=levels))


def as_factor(value: Value) -> Value:
    """Return true/false values as the factor that R makes of them; others as they are."""
    if not isinstance(value, Numbers) or not value.is_logical:
        return value
    codes = value.values.astype(np.int8)
    missing = value.missing_rows()
    if missing is not None:
        codes[missing] = -1
    return Categories(value.name, codes, [False, True])
