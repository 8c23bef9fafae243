"""Columns of a design matrix from variables and terms, in R's order, written into place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design.columns import Basis, Categories, Numbers, Value, category_label
from lmmformula.design.contrasts import Coding, coding
from lmmformula.design.grouping import compressed
from lmmformula.design.terms import FormulaPart, full_codings
from lmmformula.errors import DataError, DesignError, FormulaError

__all__ = [
    "Aliased",
    "ColumnKey",
    "Encoding",
    "FactorLevels",
    "Piece",
    "Variable",
    "fill",
    "numeric_variable",
    "plan",
    "prepare",
]

LARGEST_SQUARE_DESIGN = 10**8
"""Entries of a matrix with as many columns as rows that is surely a mistake."""


@dataclass(frozen=True, slots=True)
class FactorLevels:
    """What a categorical variable was at fitting: labels of its levels and its coding."""

    labels: tuple[str, ...]
    contrasts: Any


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A variable on the rows used, ready to be written into columns.

    Attributes
    ----------
    label : str
        What columns call it.
    columns : tuple of ndarray
        Numeric columns (float64, or float32 where the data hold that), empty for a factor.
    fields : tuple of str
        Their names' endings.
    drop : int or None
        Column of a basis to leave out beside an intercept.
    codes : ndarray of int or None
        Codes of a factor.
    factor : FactorLevels or None
        Its levels.
    """

    label: str
    columns: tuple[FloatArray, ...] = ()
    fields: tuple[str, ...] = ()
    drop: int | None = None
    codes: Any = None
    factor: FactorLevels | None = None

    @property
    def is_factor(self) -> bool:
        """Whether R's rule about contrasts and full coding applies."""
        return self.factor is not None or self.drop is not None


@dataclass(frozen=True, slots=True)
class Piece:
    """One column of one variable: (expression, coded in full, position)."""

    name: str
    full: bool
    position: int


ColumnKey = tuple[float, tuple[Piece, ...]]
"""What a column is: a multiplier and the product of its pieces; () is the intercept."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Columns of one formula part, free of data.

    Attributes
    ----------
    names : tuple of str
        Column names.
    keys : tuple of ColumnKey
        What each column is made of.
    terms : tuple of (str, tuple of int)
        Terms in order with the positions of their columns.
    """

    names: tuple[str, ...]
    keys: tuple[ColumnKey, ...]
    terms: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Aliased:
    """Columns left out because the kept ones determine them in the fitted rows.

    Attributes
    ----------
    keys : tuple of ColumnKey
        What they are made of.
    coefficients : ndarray, shape (p, n_aliased)
        ``left_out = X @ coefficients`` in the fitted rows.
    sizes : ndarray, shape (n_aliased,)
        Root mean squares of the columns; 1 where a column is zero.
    """

    keys: tuple[ColumnKey, ...]
    coefficients: FloatArray
    sizes: FloatArray


def prepare(value: Value, contrasts: Mapping[str, Any], label: str) -> Variable:
    """Make a variable of a value whose rows are chosen and complete.

    Parameters
    ----------
    value : Value
        Values in the rows used.
    contrasts : mapping of str to contrast object
        Codings by variable; a coding inside the formula comes first.
    label : str
        What columns call the variable.
    """
    if not isinstance(value, Categories):
        return numeric_variable(value, label)
    codes, present = compressed(value.codes, len(value.levels))
    labels = tuple(category_label(value.levels[i]) for i in present)
    if len(set(labels)) != len(labels):
        raise DataError(
            f"two categories of `{value.name}` are written alike.",
            got=f"{[value.levels[i] for i in present]!r}",
            suggestion="rename the categories",
            column=value.name,
        )
    contrast = value.contrasts
    if contrast is None:
        contrast = contrasts.get(value.name, contrasts.get(label))
    return Variable(label, codes=codes, factor=FactorLevels(labels, contrast))


def numeric_variable(value: Numbers | Basis, label: str) -> Variable:
    """Make a variable of numbers or of a basis."""
    if isinstance(value, Numbers):
        # Narrower floats are widened as they are written into a design, not in a copy.
        as_read = value.missing is None and value.values.dtype.kind == "f"
        return Variable(label, (value.values if as_read else value.floats(),), ("",))
    columns = tuple(value.values[:, j] for j in range(value.values.shape[1]))
    return Variable(label, columns, value.fields, value.drop)


def plan(part: FormulaPart, variables: Mapping[str, Variable]) -> Encoding:
    """Lay out the columns of a formula part.

    Parameters
    ----------
    part : FormulaPart
        Terms in R's order.
    variables : mapping of str to Variable
        Every expression of the part.
    """
    factors = {name for name in part.expressions if variables[name].is_factor}
    names: list[str] = []
    keys: list[ColumnKey] = []
    terms: list[tuple[str, tuple[int, ...]]] = []
    if part.intercept:
        names.append("Intercept")
        keys.append((1.0, ()))
        terms.append(("Intercept", (0,)))
    for term, full in zip(part.terms, full_codings(part, factors), strict=True):
        start = len(names)
        choices = [
            _pieces(name, variables[name], name in full or not variables[name].is_factor)
            for name in term.factors
        ]
        # the first variable varies fastest, as in R
        for product in itertools.product(*reversed(choices)):
            chosen = product[::-1]
            names.append(":".join(text for text, _ in chosen))
            keys.append((term.scale, tuple(piece for _, piece in chosen)))
        label = ":".join(variables[name].label for name in term.factors)
        terms.append((label, tuple(range(start, len(names)))))
    if len(set(names)) < len(names):
        _refuse_repeated(names)
    return Encoding(tuple(names), tuple(keys), tuple(terms))


def _refuse_repeated(names: list[str]) -> None:
    """Raise, naming the columns that would have one name (a variable called ``Intercept``)."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    shown = ", ".join(f"`{name}`" for name in repeated)
    raise FormulaError(
        f"two columns of the model would both be called {shown}.",
        got=f"columns {', '.join(names)}",
        suggestion="rename the variable in the data, or leave one of its codings out",
        column=repeated[0],
    )


def _pieces(name: str, variable: Variable, full: bool) -> list[tuple[str, Piece]]:
    if variable.factor is None:
        return [
            (f"{variable.label}{field}", Piece(name, full, j))
            for j, field in enumerate(variable.fields)
            if full or j != variable.drop
        ]
    levels = variable.factor
    made = coding(levels.contrasts, levels.labels, full=full, variable=variable.label)
    return [
        (f"{variable.label}{field}", Piece(name, full, j)) for j, field in enumerate(made.fields)
    ]


def fill(keys: tuple[ColumnKey, ...], variables: Mapping[str, Variable], n_rows: int) -> FloatArray:
    """Compute columns.

    Parameters
    ----------
    keys : tuple of ColumnKey
        The columns wanted.
    variables : mapping of str to Variable
        Their variables.
    n_rows : int
        Number of rows.

    Returns
    -------
    ndarray, shape (n_rows, n_columns)
        In Fortran order: every column is contiguous.
    """
    out = _allocated(n_rows, len(keys))
    codings: dict[tuple[str, bool], Coding] = {}
    for j, (scale, pieces) in enumerate(keys):
        column = out[:, j]
        if not pieces:
            column.fill(1.0)
        for i, piece in enumerate(pieces):
            values = _column_of(piece, variables[piece.name], codings)
            if i:
                np.multiply(column, values, out=column)
            else:
                column[:] = values
        if not math.isclose(scale, 1.0, rel_tol=0.0):
            column *= scale
    return out


def _allocated(n_rows: int, n_columns: int) -> FloatArray:
    hopeless = n_columns >= n_rows and n_columns * n_rows > LARGEST_SQUARE_DESIGN
    try:
        if not hopeless:
            return np.empty((n_rows, n_columns), order="F")
    except MemoryError:
        pass
    raise DesignError(
        "the design has too many columns for the memory of this machine.",
        got=f"{n_rows} rows and {n_columns} columns ({n_rows * n_columns * 8 / 2**30:.0f} GiB)",
        suggestion="a factor with many levels belongs among the random effects: `(1 | g)`; "
        "text that should be numbers must be converted",
        n_rows=n_rows,
        n_columns=n_columns,
    )


def _column_of(
    piece: Piece, variable: Variable, codings: dict[tuple[str, bool], Coding]
) -> FloatArray:
    if variable.factor is None:
        return variable.columns[piece.position]
    at = (piece.name, piece.full)
    if at not in codings:
        levels = variable.factor
        codings[at] = coding(
            levels.contrasts, levels.labels, full=piece.full, variable=variable.label
        )
    return codings[at].column(piece.position, variable.codes)
