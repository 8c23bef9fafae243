"""The overparametrized model behind a formula: a column per level, or cell, of every factor.

Its columns are combinations of those of X, whatever the coding. The combinations follow from the
coding matrices alone: columns that multiply the same numeric variables are functions of the
factors, and two such functions are equal if they are on the cells of each term with all other
factors at their first level.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.design import Design, DesignSpec
from lmmformula.design.contrasts import coding
from lmmformula.design.encode import ColumnKey, FactorLevels, Piece, Variable, fill
from lmmformula.errors import OptionError

__all__ = ["FullCoding", "full_coding"]

SPANNED = 1e-8
DEPENDENT = 1e-7
EMPTY = 1e-10

Signature = tuple[Piece, ...]
"""The numeric columns that a column of X multiplies with functions of factors."""


@dataclass(frozen=True, slots=True, eq=False)
class FullCoding:
    """Columns of the overparametrized model in terms of those of X.

    Attributes
    ----------
    columns : ndarray, shape (p, n)
        ``X @ columns`` are its columns.
    labels : tuple of str
        Term of each column.
    names : tuple of str
        Name of each column, ``f[a]:h[b]``.
    is_treatment : tuple of bool
        Whether treatment coding has the column, too.
    """

    columns: FloatArray
    labels: tuple[str, ...]
    names: tuple[str, ...]
    is_treatment: tuple[bool, ...]

    def treatment_columns(self, factor: FloatArray) -> list[int]:
        """Columns that treatment coding would keep, by R's rule, given R of X = QR."""
        values = factor @ self.columns
        norms, is_empty = np.linalg.norm(values, axis=0), self._is_empty(factor)
        kept: list[int] = []
        basis = np.zeros((len(factor), 0))
        for j in np.flatnonzero(self.is_treatment):
            if len(kept) == len(factor) or is_empty[j]:
                continue
            column = values[:, j] / norms[j]
            for _ in range(2):
                column = column - basis @ (basis.T @ column)
            size = float(np.linalg.norm(column))
            if size > DEPENDENT:
                kept.append(int(j))
                basis = np.column_stack([basis, column / size])
        return kept

    def empty_cells(self, factor: FloatArray) -> tuple[str, ...]:
        """Names of columns that are zero in all rows."""
        return tuple(self.names[j] for j in np.flatnonzero(self._is_empty(factor)))

    def _is_empty(self, factor: FloatArray) -> BoolArray:
        """Whether a column is zero in all rows, but for rounding."""
        size = np.linalg.norm(factor @ self.columns, axis=0)
        rounding = np.linalg.norm(np.abs(factor) @ np.abs(self.columns), axis=0)
        return np.asarray(size <= EMPTY * rounding)


def full_coding(design: Design) -> FullCoding:
    """Express the overparametrized model's columns in those of X.

    Raises
    ------
    OptionError
        A coding has too few columns to express the means of all levels.
    """
    spec = design.spec
    keys = (*spec.encoding.keys, *(spec.aliased.keys if spec.aliased else ()))
    wanted = _wanted(spec, keys)
    labels = tuple(label for label, *_ in wanted)
    coefficients = np.zeros((len(keys), len(wanted)))
    for signature in dict.fromkeys(signature for _, signature, _, _ in wanted):
        sources = [i for i, key in enumerate(keys) if _signature(spec, key) == signature]
        targets = [j for j, item in enumerate(wanted) if item[1] == signature]
        coefficients[np.ix_(sources, targets)] = _combinations(
            spec, [keys[i] for i in sources], [wanted[j][2] for j in targets]
        )
    p = len(spec.encoding.keys)
    columns = coefficients[:p]
    if spec.aliased is not None:
        size = np.abs(columns) + np.abs(spec.aliased.coefficients) @ np.abs(coefficients[p:])
        columns = columns + spec.aliased.coefficients @ coefficients[p:]
        columns[np.abs(columns) <= SPANNED * size] = 0.0
    return FullCoding(
        columns,
        labels,
        tuple(_name(spec, signature, cell) for _, signature, cell, _ in wanted),
        tuple(is_treatment for *_, is_treatment in wanted),
    )


Cell = Mapping[str, int]
"""Level of each factor of a term."""


def _factors(spec: DesignSpec) -> dict[str, FactorLevels]:
    return {name: levels for name, levels in spec.variables.items() if levels is not None}


def _signature(spec: DesignSpec, key: ColumnKey) -> Signature:
    return tuple(piece for piece in key[1] if spec.variables[piece.name] is None)


def _wanted(spec: DesignSpec, keys: Sequence[ColumnKey]) -> list[tuple[str, Signature, Cell, bool]]:
    """(term, numeric part, cell, whether treatment coding has it) of every column."""
    levels = _factors(spec)
    out: list[tuple[str, Signature, Cell, bool]] = []
    if spec.part.intercept:
        out.append(("Intercept", (), {}, True))
    labels = [term.label for term in spec.fixed_terms if term.variables]
    for label, term in zip(labels, spec.part.terms, strict=True):
        own = [key for key in keys if {piece.name for piece in key[1]} == set(term.factors)]
        factors = [name for name in term.factors if name in levels]
        contrasted = {p.name for key in own for p in key[1] if p.name in levels and not p.full}
        sizes = [range(len(levels[name].labels)) for name in reversed(factors)]
        for signature in dict.fromkeys(_signature(spec, key) for key in own):
            for cell in itertools.product(*sizes):
                at = dict(zip(factors, reversed(cell), strict=True))
                is_treatment = all(at[name] > 0 for name in contrasted)
                out.append((label, signature, at, is_treatment))
    return out


def _combinations(spec: DesignSpec, keys: Sequence[ColumnKey], cells: Sequence[Cell]) -> FloatArray:
    """Coefficients that make indicators of cells from columns with one numeric part."""
    levels = {name: found for name, found in _factors(spec).items()}
    used = list(dict.fromkeys(name for cell in cells for name in cell))
    points = dict.fromkeys(tuple(cell.get(name, 0) for name in used) for cell in cells)
    codes = np.array(list(points), dtype=np.int32).reshape(len(points), len(used))
    n = len(codes)
    variables = {
        name: Variable(name, codes=codes[:, i], factor=levels[name]) for i, name in enumerate(used)
    }
    ones = np.ones(n)
    for _, pieces in keys:
        for piece in pieces:
            if piece.name not in levels:
                columns = (ones,) * (piece.position + 1)
                known = variables.get(piece.name)
                if known is None or len(known.columns) < len(columns):
                    variables[piece.name] = Variable(piece.name, columns)
    available = fill(tuple(keys), variables, n)
    indicators = np.ones((n, len(cells)))
    for j, cell in enumerate(cells):
        for name, level in cell.items():
            indicators[:, j] *= codes[:, used.index(name)] == level
    found = scipy.linalg.lstsq(available, indicators, lapack_driver="gelsy", cond=1e-12)[0]
    if np.max(np.abs(available @ found - indicators), initial=0.0) > SPANNED:
        raise OptionError(
            "type III hypotheses need codings that can express every level's mean.",
            got="a coding with fewer columns than levels less one: "
            + ", ".join(_short(spec, used)),
            suggestion='`anova(type="I")`, or a full coding such as `contrasts={"f": "sum"}`',
            variables=_short(spec, used),
        )
    found[np.abs(found) < SPANNED] = 0.0
    return np.asarray(found)


def _short(spec: DesignSpec, used: Sequence[str]) -> tuple[str, ...]:
    """Factors whose contrasts do not tell all levels apart."""
    found = []
    for name in used:
        levels = _factors(spec)[name]
        made = coding(levels.contrasts, levels.labels, full=False, variable=name)
        if len(made.fields) < len(levels.labels) - 1:
            found.append(_label(spec, name))
    return tuple(found)


def _name(spec: DesignSpec, signature: Signature, cell: Cell) -> str:
    levels = _factors(spec)
    parts = [f"{_label(spec, name)}[{levels[name].labels[at]}]" for name, at in cell.items()]
    parts += [_label(spec, piece.name) for piece in signature]
    return ":".join(parts) or "Intercept"


def _label(spec: DesignSpec, name: str) -> str:
    return spec.part.labels.get(name, name)
