"""Structured residuals as arrays: groups, positions in them, and what variances depend on."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, FloatArray, frozen
from lmmformula.design.checks import check_finite
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.evaluate import Evaluator, as_factor
from lmmformula.design.grouping import GroupCoding, grouping, labelled_codes, recoded
from lmmformula.design.sources import listed, open_source
from lmmformula.design.times import count_within, whole_positions
from lmmformula.design.variances import check_covariate, check_strata, covariate
from lmmformula.errors import DataError
from lmmformula.formula.residual import ResidualFormula, ResidualTerm
from lmmformula.formula.terms import Atom
from lmmformula.formula.variance import VarianceTerm
from lmmformula.matrices import ResidualRows, VarianceRows
from lmmformula.residual_covariance import CORRELATIONS

__all__ = ["ResidualSpec", "evaluate_residual", "replay_residual", "residual_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class ResidualSpec:
    """What is needed to give new rows their residual variance.

    Attributes
    ----------
    formula : ResidualFormula
        What was asked for.
    labels : tuple of str
        Labels of the positions; empty for times.
    strata : tuple of (GroupCoding or None)
        Strata of each variance function.
    """

    formula: ResidualFormula
    labels: tuple[str, ...]
    strata: tuple[GroupCoding | None, ...]

    @property
    def expressions(self) -> tuple[str, ...]:
        """What the variance of a new row may depend on."""
        term = self.formula.correlation
        atoms = [] if term is None or term.position is None else [term.position]
        for function in self.formula.variances:
            atoms += [] if function.covariate is None else [function.covariate]
            atoms += function.strata
        return tuple(atom.expr for atom in atoms)


def evaluate_residual(formula: ResidualFormula | None, evaluator: Evaluator) -> dict[str, Value]:
    """Evaluate every expression of the arguments ``residual`` and ``variance`` on all rows."""
    values: dict[str, Value] = {}
    if formula is None:
        return values
    term = formula.correlation
    if term is not None:
        times = () if term.position is None else (term.position,)
        values |= _evaluated((*times, *term.group_atoms), term.text, evaluator)
    for function in formula.variances:
        covariates = () if function.covariate is None else (function.covariate,)
        values |= _evaluated((*covariates, *function.strata), function.text, evaluator)
    return values


def _evaluated(atoms: tuple[Atom, ...], text: str, evaluator: Evaluator) -> dict[str, Value]:
    return {
        atom.expr: as_factor(
            evaluator.value(
                atom.expr,
                lookup=atom.method == "lookup" or atom.expr in evaluator.source,
                where=text,
            )
        )
        for atom in atoms
    }


def residual_rows(
    formula: ResidualFormula,
    values: Mapping[str, Value],
    used: NDArray[Any] | None,
    n_rows: int,
) -> tuple[ResidualRows, ResidualSpec]:
    """Build the arrays of structured residuals in the rows used.

    Parameters
    ----------
    formula : ResidualFormula
        What was asked for.
    values : mapping of str to Value
        Every expression of it, on all rows.
    used : ndarray of int or None
        Positions of the rows used; None for all.
    n_rows : int
        Their number.

    Raises
    ------
    DataError, DesignError
        Times or covariates are of a kind that the structure cannot use.
    """
    taken = {name: value.take(used) for name, value in values.items()}
    made = [_variance_rows(function, taken, used, n_rows) for function in formula.variances]
    term = formula.correlation
    codes, levels = np.zeros(n_rows, dtype=np.int32), np.array(["all"], dtype=object)
    positions: FloatArray = np.zeros(n_rows)
    labels: tuple[str, ...] = ()
    if term is not None:
        factors = [taken[atom.expr] for atom in term.group_atoms]
        groups = grouping([atom.expr for atom in term.group_atoms], factors, term.text)
        codes, levels = groups.codes, groups.coding.levels
        positions, labels = _positions(term, taken, codes, used)
    rows = ResidualRows(
        correlation=None if term is None else term.structure,
        codes=codes,
        levels=levels,
        positions=frozen(positions),
        labels=labels,
        group="" if term is None else term.group,
        text="" if term is None else term.text,
        variances=tuple(variance for variance, _ in made),
    )
    return rows, ResidualSpec(formula, labels, tuple(coding for _, coding in made))


def _positions(
    term: ResidualTerm,
    taken: Mapping[str, Value],
    codes: CodeArray,
    used: NDArray[Any] | None,
) -> tuple[FloatArray, tuple[str, ...]]:
    kind = CORRELATIONS[term.structure]
    exchangeable = kind.time == "none" and kind.homogeneous
    if term.position is None or exchangeable:
        positions = count_within(codes)
        return positions.astype(np.float64), tuple(map(str, range(1, int(positions.max()) + 2)))
    value = taken[term.position.expr]
    if kind.time == "continuous":
        return _times(value, term, used), ()
    has_steps = kind.time == "discrete" and kind.family != "us"
    positions, labels = whole_positions(
        value, used, has_steps=has_steps, text=term.text, group=term.group_spelling
    )
    return positions.astype(np.float64), labels


def _times(value: Value, term: ResidualTerm, used: NDArray[Any] | None) -> FloatArray:
    """Times as they are, for structures in continuous time."""
    if not isinstance(value, Numbers):
        levels = [str(level) for level in value.levels] if isinstance(value, Categories) else []
        raise DataError(
            f"`{term.text}` goes by the time between rows, and `{value.name}` is not numeric.",
            got=f"categories {listed(levels, 8)}" if levels else "several columns",
            suggestion=f"`ar1({value.name} | {term.group_spelling})` for equally spaced levels, or "
            "a numeric column of times",
            column=value.name,
            term=term.text,
        )
    times = value.floats()
    check_finite(value.name, times, used, "time")
    return times + 0.0


def _variance_rows(
    function: VarianceTerm,
    taken: Mapping[str, Value],
    used: NDArray[Any] | None,
    n_rows: int,
) -> tuple[VarianceRows, GroupCoding | None]:
    codes, levels, coding = np.zeros(n_rows, dtype=np.int32), ("all",), None
    if function.strata:
        names = [atom.expr for atom in function.strata]
        made = grouping(names, [taken[name] for name in names], function.text)
        codes, coding = made.codes, made.coding
        levels = tuple(coding.levels)
        check_strata(function, levels)
    x = None
    if function.covariate is not None:
        x = covariate(function, taken[function.covariate.expr], used)
        check_covariate(function, x, codes, len(levels))
        x = frozen(x)
    return VarianceRows(function.function, x, codes, levels, function.text), coding


def replay_residual(spec: ResidualSpec, state: Mapping[str, Any], newdata: Any) -> ResidualRows:
    """Encode what the residual variance of new rows depends on.

    Parameters
    ----------
    spec : ResidualSpec
        The fitted structure.
    state : mapping
        What stateful transforms have learned.
    newdata : frame or mapping
        New rows.
    """
    source = open_source(newdata)
    evaluator = Evaluator(source, deepcopy(dict(state)), fitted=True)
    n = source.n_rows
    variances = tuple(
        _new_variance(function, coding, evaluator, n)
        for function, coding in zip(spec.formula.variances, spec.strata, strict=True)
    )
    term = spec.formula.correlation
    positions = np.full(n, np.nan)
    if term is not None and not CORRELATIONS[term.structure].homogeneous:
        positions = _new_positions(term, spec.labels, evaluator, n)
    return ResidualRows(
        correlation=None if term is None else term.structure,
        codes=np.full(n, -1, dtype=np.int32),
        levels=np.empty(0, dtype=object),
        positions=positions,
        labels=spec.labels,
        group="" if term is None else term.group,
        text="" if term is None else term.text,
        variances=variances,
    )


def _new_variance(
    function: VarianceTerm, coding: GroupCoding | None, evaluator: Evaluator, n: int
) -> VarianceRows:
    atoms = (*(() if function.covariate is None else (function.covariate,)), *function.strata)
    values = _evaluated(atoms, function.text, evaluator)
    complete = np.ones(n, dtype=np.bool_)
    for value in values.values():
        missing = value.missing_rows()
        if missing is not None:
            complete &= ~missing
    rows = np.flatnonzero(complete)
    codes, levels = np.where(complete, 0, -1).astype(np.int32), ("all",)
    if coding is not None:
        codes, unseen = recoded(coding, values, complete, function.text)
        levels = tuple(coding.levels)
        if unseen:
            raise _no_variance(function.text, unseen, levels)
    x = None
    if function.covariate is not None:
        x = np.full(n, np.nan)
        x[rows] = covariate(function, values[function.covariate.expr].take(rows), rows)
    return VarianceRows(function.function, x, codes, levels, function.text)


def _new_positions(
    term: ResidualTerm, labels: tuple[str, ...], evaluator: Evaluator, n: int
) -> FloatArray:
    """Positions of new rows where each has a variance of its own."""
    if term.position is None:
        raise DataError(
            f"`{term.text}` gives every place in the order of the rows its own variance, and new "
            "rows have no place in it.",
            got=f"{n} new rows",
            suggestion=f"a column of times when fitting: `{term.text.replace('(1 |', '(time |')}`",
            term=term.text,
        )
    value = _evaluated((term.position,), term.text, evaluator)[term.position.expr]
    if isinstance(value, Numbers) and value.is_time:
        value = Numbers(value.name, value.floats())
    missing = value.missing_rows()
    rows = np.arange(n) if missing is None else np.flatnonzero(~missing)
    positions = np.full(n, np.nan)
    if rows.size:
        codes, found = labelled_codes(value.take(rows), term.text)
        known = {label: place for place, label in enumerate(labels)}
        unseen = [label for label in found if label not in known]
        if unseen:
            raise _no_variance(term.text, unseen, labels)
        positions[rows] = np.array([known[label] for label in found])[codes]
    return positions


def _no_variance(text: str, unseen: list[str], known: tuple[str, ...]) -> DataError:
    return DataError(
        f"new rows are at levels for which `{text}` has no residual variance.",
        got=f"{listed(unseen, 8)} (fitted: {listed(known, 8)})",
        suggestion="leave these rows out; an interval for their mean needs no residual variance",
        term=text,
        new=tuple(unseen),
        available=known,
    )
