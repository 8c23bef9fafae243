"""From a formula with error strata and data to columns and codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.classical.aov_fit import TermColumns
from lmmformula.design.checks import check_finite, check_scale
from lmmformula.design.encode import Encoding, Variable, fill, plan, prepare
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.fixed import check_columns
from lmmformula.design.grouping import grouping
from lmmformula.design.inputs import Inputs, gather
from lmmformula.design.rows import Missing, choose_rows
from lmmformula.design.sources import listed, open_source
from lmmformula.errors import DataError, DesignError, FormulaError, OptionError
from lmmformula.formula.strata import parse_strata
from lmmformula.formula.terms import MixedFormula

__all__ = ["AovData", "read_aov"]


@dataclass(frozen=True, slots=True, eq=False)
class AovData:
    """What an analysis of variance needs of formula and data.

    Attributes
    ----------
    columns : ndarray, shape (n, p + 1)
        Columns of the model without the constant and, last, the response.
    terms : tuple of TermColumns
        Terms of the model, in order.
    names : tuple of str
        Terms of ``Error()``, in order.
    factors : tuple of ndarray of int, each of shape (n,)
        Their codes.
    has_intercept : bool
        Whether the constant is in the model.
    """

    columns: FloatArray
    terms: tuple[TermColumns, ...]
    names: tuple[str, ...]
    factors: tuple[CodeArray, ...]
    has_intercept: bool


def read_aov(text: str, data: Any, subset: Any, missing: Missing) -> AovData:
    """Read formula and data; arguments as for ``aov``."""
    if missing not in get_args(Missing):
        raise OptionError(
            "`missing` must be 'drop' or 'raise'.",
            got=repr(missing),
            suggestion="`missing='drop'`",
            option="missing",
            available=get_args(Missing),
        )
    formula = parse_strata(text)
    _check_formula(formula)
    source = open_source(data)
    if not source.n_rows:
        raise DataError(
            "the data have no rows.",
            got=f"columns {listed(source.names)}",
            suggestion="check how the data were read or filtered",
        )
    evaluator = Evaluator(source, {})
    inputs = gather(formula, evaluator, weights=None, offset=None, subset=subset)
    used = choose_rows(
        inputs.missing(),
        source.n_rows,
        subset=inputs.subset,
        missing=missing,
        made_missing=evaluator.made_missing(),
    ).used
    y = np.array(inputs.response.take(used).floats())
    check_finite(inputs.response.name, y, used, "response")
    check_scale(inputs.response.name, float(y.min()), float(y.max()))
    return _read(formula, inputs, y, used)


def _read(
    formula: MixedFormula, inputs: Inputs, y: FloatArray, used: NDArray[Any] | None
) -> AovData:
    variables = {
        name: prepare(value.take(used), {}, inputs.label(name))
        for name, value in inputs.values.items()
    }
    encoding = plan(inputs.fixed, variables)
    X = fill(encoding.keys, variables, len(y))
    check_columns(X, np.einsum("ij,ij->j", X, X), encoding, variables, used)
    first = 1 if inputs.fixed.intercept else 0
    factors = []
    for stratum in formula.random:
        values = [inputs.groups[name].take(used) for name in stratum.grouping]
        codes = grouping(stratum.grouping, values, stratum.text).codes
        if codes.max() == 0:
            raise _one_level(stratum.group, len(codes))
        factors.append(codes)
    return AovData(
        columns=np.column_stack([X[:, first:], y]),
        terms=_terms(inputs, encoding, variables, first),
        names=tuple(stratum.group for stratum in formula.random),
        factors=tuple(factors),
        has_intercept=inputs.fixed.intercept,
    )


def _terms(
    inputs: Inputs, encoding: Encoding, variables: Mapping[str, Variable], first: int
) -> tuple[TermColumns, ...]:
    return tuple(
        TermColumns(
            label,
            tuple(j - first for j in columns),
            frozenset(term.factors),
            all(variables[name].factor is not None for name in term.factors),
        )
        for (label, columns), term in zip(encoding.terms[first:], inputs.fixed.terms, strict=True)
    )


def _check_formula(formula: MixedFormula) -> None:
    """Refuse what has no meaning in a table by strata."""
    if formula.offsets:
        raise FormulaError(
            "`aov` takes no offset.",
            got=f"`offset({formula.offsets[0]})`",
            suggestion="the response less the known part, computed beforehand",
        )
    if formula.wildcard:
        raise FormulaError(
            "`aov` needs its terms by name; `.` could take in the factors of the strata.",
            got=f"`{formula.text}`",
            suggestion="`y ~ a * b + Error(subject)`",
        )
    if formula.random and not formula.intercept:
        raise FormulaError(
            "strata are about the mean, so the intercept cannot be left out beside `Error()`.",
            got=f"`{formula.text}`",
            suggestion="the formula without `0 +` or `- 1`",
        )


def _one_level(name: str, n: int) -> DesignError:
    return DesignError(
        f"`{name}` in `Error()` has only one level, so it makes no stratum.",
        got=f"one level in all {n} rows used",
        suggestion=f"take `{name}` out of `Error()`",
        group=name,
    )
