"""Everything the model needs from the data, evaluated once on all rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.context import FUNCTIONS
from lmmformula.design.evaluate import Evaluator, as_factor, column_names
from lmmformula.design.notify import notify
from lmmformula.design.read_pandas import read_pandas
from lmmformula.design.residual import evaluate_residual
from lmmformula.design.sources import Source, closest_name, listed
from lmmformula.design.terms import FormulaPart, part_of
from lmmformula.errors import DataError, DataWarning, FormulaError, OptionError
from lmmformula.formula import Atom, MixedFormula, RandomTerm, ResidualFormula, parse

__all__ = [
    "Inputs",
    "argument_code",
    "argument_columns",
    "empty_subset",
    "evaluate_groups",
    "evaluate_offsets",
    "evaluate_part",
    "evaluate_response",
    "gather",
    "named_value",
    "no_such_column",
    "numeric",
    "subset_mask",
]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Values on all rows of the data.

    Attributes
    ----------
    response : Numbers
        The response.
    fixed : FormulaPart
        Terms of the fixed effects.
    random : tuple of FormulaPart
        Terms of the effects of each random-effects term.
    values : dict of str to Value
        Every expression of these terms; true/false variables as factors.
    groups : dict of str to Value
        Components of grouping factors.
    offsets : dict of str to ndarray, shape (n,)
        Offsets by expression (``offset=`` for the argument).
    residual : dict of str to Value
        Expressions of structured residuals.
    weights : ndarray, shape (n,), or None
        Prior weights.
    subset : ndarray of bool, shape (n,), or None
        Rows asked for.
    weights_name, offset_name : str or None
        What the arguments named, if they named a column.
    has_array_offset : bool
        An offset was given as an array.
    """

    response: Numbers
    fixed: FormulaPart
    random: tuple[FormulaPart, ...]
    values: dict[str, Value]
    groups: dict[str, Value]
    offsets: dict[str, FloatArray]
    residual: dict[str, Value]
    weights: FloatArray | None
    subset: BoolArray | None
    weights_name: str | None
    offset_name: str | None
    has_array_offset: bool

    def label(self, name: str) -> str:
        """Return what columns call an expression."""
        value = self.values[name]
        wrapped = value.label if isinstance(value, Categories) else None
        shown = (part.labels[name] for part in (self.fixed, *self.random) if name in part.labels)
        return next(shown, wrapped or name)

    def factor_names(self) -> set[str]:
        """Return all names under which the categorical variables are known."""
        names = set()
        for name, value in self.values.items():
            if isinstance(value, Categories):
                names |= {name, self.label(name)}
        return names

    def missing(self) -> dict[str, BoolArray | None]:
        """Missing rows by variable."""
        out = {self.response.name: self.response.missing_rows()}
        out |= {name: value.missing_rows() for name, value in self.values.items()}
        out |= {name: value.missing_rows() for name, value in self.groups.items()}
        out |= {name: value.missing_rows() for name, value in self.residual.items()}
        for name, values in self.offsets.items():
            out[name] = Numbers(name, values).missing_rows()
        return out


def gather(
    formula: MixedFormula,
    evaluator: Evaluator,
    *,
    weights: Any,
    offset: Any,
    subset: Any,
    residual: ResidualFormula | None = None,
) -> Inputs:
    """Evaluate all parts of a formula and the arguments beside it."""
    response = evaluate_response(formula, evaluator)
    fixed = part_of(formula)
    values: dict[str, Value] = {}
    evaluate_part(fixed, None, evaluator, values)
    groups: dict[str, Value] = {}
    random = []
    for term in formula.random:
        same = term.effects == formula.fixed and term.terms == formula.terms
        random.append(fixed if same else part_of(term))
        evaluate_part(random[-1], term.text, evaluator, values)
        groups |= evaluate_groups(term, evaluator)
    offsets = {
        text: numeric(value, "offset") for text, value in evaluate_offsets(formula, evaluator)
    }
    if offset is not None:
        name = f"offset={offset}" if isinstance(offset, str) else "offset"
        offsets[name] = _argument(offset, "offset", evaluator)
    return Inputs(
        response=response,
        fixed=fixed,
        random=tuple(random),
        values=values,
        groups=groups,
        offsets=offsets,
        residual=evaluate_residual(residual, evaluator),
        weights=None if weights is None else _argument(weights, "weights", evaluator),
        subset=None if subset is None else _subset(subset, evaluator),
        weights_name=weights if isinstance(weights, str) else None,
        offset_name=offset if isinstance(offset, str) else None,
        has_array_offset=offset is not None and not isinstance(offset, str),
    )


def evaluate_part(
    part: FormulaPart, where: str | None, evaluator: Evaluator, values: dict[str, Value]
) -> None:
    """Evaluate every expression of a part into ``values``."""
    for term in part.terms:
        for name in term.factors:
            if name not in values:
                value = evaluator.value(
                    name, lookup=name in part.lookups, where=where or term.label
                )
                values[name] = as_factor(value)


def evaluate_groups(term: RandomTerm, evaluator: Evaluator) -> dict[str, Value]:
    """Evaluate the components of a grouping factor."""
    atoms = term.group_atoms or (None,) * len(term.grouping)
    return {
        name: _evaluate(name, atom, term.text, evaluator)
        for name, atom in zip(term.grouping, atoms, strict=True)
    }


def evaluate_offsets(formula: MixedFormula, evaluator: Evaluator) -> Iterator[tuple[str, Value]]:
    """Evaluate the ``offset()`` terms of a formula."""
    atoms = formula.offset_atoms or (None,) * len(formula.offsets)
    for text, atom in zip(formula.offsets, atoms, strict=True):
        yield text, _evaluate(text, atom, f"offset({text})", evaluator)


def _evaluate(text: str, atom: Atom | None, where: str, evaluator: Evaluator) -> Value:
    """Evaluate a column name or an expression; without an atom the text tells which."""
    lookup = text.isidentifier() if atom is None else atom.method == "lookup"
    return evaluator.value(text, lookup=lookup or text in evaluator.source, where=where)


def evaluate_response(formula: MixedFormula, evaluator: Evaluator) -> Numbers:
    """Evaluate the response, which must be numeric."""
    atom = formula.response_atom
    label = atom.label if atom is not None else formula.response
    value = _evaluate(formula.response, atom, label, evaluator)
    if isinstance(value, Numbers) and not value.is_time:
        return value
    kind = {Categories: "categories", Numbers: "datetimes or durations"}.get(
        type(value), "several columns"
    )
    example = f", such as {value.levels[0]!r}" if isinstance(value, Categories) else ""
    raise DataError(
        f"the response `{label}` is not numeric.",
        got=f"{kind}{example}",
        suggestion="a response with one number per row",
        column=label,
    )


def numeric(value: Value, role: str) -> FloatArray:
    """Return the numbers of a weight or an offset."""
    if isinstance(value, Numbers) and not value.is_time:
        return value.floats()
    raise DataError(
        f"`{role}` must be numeric.",
        got=f"`{value.name}` holds "
        + ("categories" if isinstance(value, Categories) else "something else"),
        suggestion="one number per row",
        column=value.name,
        role=role,
    )


def _argument(given: Any, role: str, evaluator: Evaluator) -> FloatArray:
    """Read ``weights`` or ``offset``: a column name or an array."""
    if isinstance(given, str):
        return numeric(named_value(given, role, evaluator), role)
    return numeric(_array(given, role, evaluator), role)


def named_value(name: str, role: str, evaluator: Evaluator) -> Value:
    """Evaluate a column, or an expression in R's spelling, that an argument names."""
    source = evaluator.source
    if name in source:
        return source.column(name)
    if not name.isidentifier():
        return evaluator.value(argument_code(name, role), lookup=False, where=f"{role}={name}")
    raise no_such_column(name, role, source, "an array with one value per row")


def no_such_column(name: str, role: str, source: Source, otherwise: str) -> DataError:
    """Make the error for an argument that names no column; ``otherwise`` if none is like it."""
    closest = closest_name(name, source.names)
    near = f"; closest is `{closest}`" if closest else ""
    return DataError(
        f"`{role}` names a column that the data do not have.",
        got=f"`{name}`{near} (columns: {listed(source.names)})",
        suggestion=f"`{role}={closest!r}`" if closest else otherwise,
        column=name,
        closest=closest,
        available=source.names,
        role=role,
    )


def argument_code(text: str, role: str) -> str:
    """Translate an argument's expression in R's spelling, by the grammar of formulas."""
    try:
        return parse(f"I({text}) ~ 1", require_random=False).response
    except FormulaError as error:
        raise FormulaError(
            f"`{role}` is neither a column nor an expression of columns.",
            got=f"{text!r}: {error.message}",
            suggestion="`subset='Days > 2'`" if role == "subset" else "the name of a column",
            role=role,
        ) from error


def argument_columns(text: str, role: str, names: Sequence[str]) -> frozenset[str] | None:
    """Return the columns that an argument needs; None where the data do not have all of them."""
    if text in names:
        return frozenset((text,))
    if text.isidentifier():
        return None
    try:
        needed = column_names(argument_code(text, role)) - FUNCTIONS.keys()
    except FormulaError:  # the name of a column that these data do not have
        return None
    return needed if needed <= set(names) else None


def _array(given: Any, role: str, evaluator: Evaluator) -> Value:
    n_rows = evaluator.source.n_rows
    values = given if isinstance(given, pd.Series) else np.asarray(given)
    if values.shape != (n_rows,):
        raise DataError(
            f"`{role}` must have one value per row of the data.",
            got=f"shape {values.shape} for {n_rows} rows (before rows are dropped)",
            suggestion=f"an array of length {n_rows}, or the name of a column",
            role=role,
            length=values.shape[0] if values.ndim else 1,
            expected=n_rows,
        )
    if isinstance(values, pd.Series):
        _warn_of_other_order(values.index, evaluator.source.index, role)
    return read_pandas(role, pd.Series(values, copy=False))


def _warn_of_other_order(given: pd.Index[Any], index: pd.Index[Any], role: str) -> None:
    """Say that values count by position where their labels tell of another order."""
    if given.equals(index) or not (given.is_unique and index.is_unique):
        return
    if (given.get_indexer(index) >= 0).all():
        notify(
            DataWarning(
                f"`{role}` has the labels of the data in another order; its values are taken by "
                "position.",
                got=f"labels {listed(list(given), 3)} for rows {listed(list(index), 3)}",
                suggestion=f"`{role}={role}.reindex(data.index)` to go by the labels",
                role=role,
            )
        )


def _subset(given: Any, evaluator: Evaluator) -> BoolArray:
    mask = subset_mask(given, evaluator)
    if not mask.any():
        raise empty_subset(evaluator.source.n_rows)
    return mask


def empty_subset(n_rows: int) -> DataError:
    """Make the error for a condition that no row fulfils."""
    return DataError(
        "`subset` keeps no row.",
        got=f"{n_rows} rows, none chosen",
        suggestion="check the condition",
        role="subset",
    )


def subset_mask(given: Any, evaluator: Evaluator) -> BoolArray:
    """Return which rows ``subset`` asks for, possibly none; a missing answer is a no."""
    value = (
        named_value(given, "subset", evaluator)
        if isinstance(given, str)
        else _array(given, "subset", evaluator)
    )
    if not isinstance(value, Numbers) or not value.is_logical:
        raise OptionError(
            "`subset` must be true or false in every row.",
            got=f"{given!r}" if isinstance(given, str) else f"values of {type(given).__name__}",
            suggestion="`subset='Days > 2'`, or a boolean array",
            option="subset",
        )
    mask: BoolArray = value.values if value.missing is None else value.values & ~value.missing
    return mask
