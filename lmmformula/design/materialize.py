"""From a formula and data to matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import FloatArray, frozen
from lmmformula.design.checks import (
    Policy,
    check_design,
    check_finite,
    check_scale,
    check_weights,
)
from lmmformula.design.columns import Numbers
from lmmformula.design.contrasts import resolve_contrasts
from lmmformula.design.encode import Variable, prepare
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.fixed import FixedPart, fixed_part
from lmmformula.design.inputs import Inputs, gather
from lmmformula.design.predictors import learn_predictors
from lmmformula.design.random import random_part
from lmmformula.design.residual import ResidualSpec, residual_rows
from lmmformula.design.residual_checks import check_residual
from lmmformula.design.rows import Missing, RowChoice, choose_rows
from lmmformula.design.sources import Source, listed, open_source
from lmmformula.design.spec import Design, DesignSpec, FixedTerm, RandomSpec
from lmmformula.errors import DataError, OptionError
from lmmformula.formula import MixedFormula, ResidualFormula, expand_wildcard
from lmmformula.matrices import ModelMatrices

__all__ = ["check_contrasts", "check_option", "fixed_factors", "fixed_terms", "materialize"]


def materialize(
    formula: MixedFormula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    subset: Any = None,
    missing: Missing = "drop",
    checks: Policy = "raise",
    residual: ResidualFormula | None = None,
    relationship: Any = None,
) -> Design:
    """Build the matrices of a mixed model.

    Parameters
    ----------
    formula : MixedFormula
        A parsed formula.
    data : frame or mapping
        Any eager frame that narwhals understands, or a dict of arrays; not modified.
    weights, offset : str or array, optional
        Column name, or one value per row of the data.
    contrasts : mapping of str to str or contrast object, optional
        Coding of categorical variables, in fixed and random effects alike: ``treatment``,
        ``sum``, ``poly``, ``helmert``, ``diff``, ``sas`` or a formulaic object.
    subset : str or array of bool, optional
        Condition on the columns, or one boolean per row.
    missing : {"drop", "raise"}
        What to do with rows in which a variable of the model is missing.
    checks : {"raise", "warn", "ignore"}
        What to do with designs that lme4 refuses.
    residual : ResidualFormula, optional
        Structure of the residuals.
    relationship : mapping of str to object, optional
        Known relationship between the levels of a grouping factor, by its label.

    Returns
    -------
    Design
        Matrices and the record that replays them on new data.

    Raises
    ------
    FormulaError, DataError, DesignError, OptionError
        Whatever is wrong, in the user's names.

    Notes
    -----
    Expressions see all rows of the data, as in R: ``scale(x)`` learns from rows that the subset
    or a missing value in another variable leaves out.
    """
    check_option("missing", missing, get_args(Missing))
    check_option("checks", checks, get_args(Policy))
    coded = resolve_contrasts(contrasts)
    source = _opened(data)
    if formula.wildcard:
        beside = {name for name in (weights, offset) if isinstance(name, str)}
        others = [name for name in source.names if name not in beside]
        formula = expand_wildcard(formula, others, _residual_groups(residual))
    evaluator = Evaluator(source, {})
    inputs = gather(
        formula, evaluator, weights=weights, offset=offset, subset=subset, residual=residual
    )
    check_contrasts(coded, inputs)
    rows = choose_rows(
        inputs.missing(),
        source.n_rows,
        subset=inputs.subset,
        missing=missing,
        made_missing=evaluator.made_missing(),
    )
    variables = {
        name: prepare(value.take(rows.used), coded, inputs.label(name))
        for name, value in inputs.values.items()
    }
    design = _build(formula, evaluator, inputs, rows, variables, checks, residual, relationship)
    named = subset if isinstance(subset, str) else None
    return replace(design, spec=replace(design.spec, subset=named))


def _build(
    formula: MixedFormula,
    evaluator: Evaluator,
    inputs: Inputs,
    rows: RowChoice,
    variables: dict[str, Variable],
    checks: Policy,
    residual: ResidualFormula | None,
    relationship: Any,
) -> Design:
    y = _response(inputs.response, rows.used)
    prior = None if inputs.weights is None else _taken(inputs.weights, rows.used)
    if prior is not None:
        check_weights(prior, rows.used)
    fixed = fixed_part(inputs.fixed, variables, len(y), rows.used)
    blocks, random = random_part(formula.random, inputs, variables, fixed, rows.used, relationship)
    check_design(y, fixed.X.shape[1], blocks, inputs.response.name, checks, len(rows.dropped))
    structured, spec = None, None
    if residual is not None:
        structured, spec = residual_rows(residual, inputs.residual, rows.used, len(y))
        check_residual(structured, residual, blocks, rows.used, checks)
    matrices = ModelMatrices(
        y=frozen(y),
        X=fixed.X,
        fixed_names=fixed.encoding.names,
        random=blocks,
        weights=None if prior is None else frozen(prior),
        offset=_total_offset(inputs, rows.used),
        rows=_positions(rows.used, len(y)),
        residual=structured,
    )
    return Design(matrices, _spec(formula, evaluator, inputs, rows, variables, fixed, random, spec))


def _spec(
    formula: MixedFormula,
    evaluator: Evaluator,
    inputs: Inputs,
    rows: RowChoice,
    variables: Mapping[str, Variable],
    fixed: FixedPart,
    random: tuple[RandomSpec, ...],
    residual: ResidualSpec | None,
) -> DesignSpec:
    source = evaluator.source
    atom = formula.response_atom
    return DesignSpec(
        formula=formula,
        response_name=formula.response if atom is None else atom.label,
        index=source.index if rows.used is None else source.index[rows.used],
        n_rows_data=source.n_rows,
        dropped_columns=fixed.dropped,
        dropped_rows=rows.dropped,
        fixed_terms=fixed_terms(inputs, variables, fixed),
        factors=fixed_factors(inputs, variables),
        weights_name=inputs.weights_name,
        offset_name=inputs.offset_name,
        has_array_offset=inputs.has_array_offset,
        encoding=fixed.encoding,
        part=inputs.fixed,
        random=random,
        variables={name: item.factor for name, item in variables.items()},
        state=evaluator.state,
        predictors=learn_predictors(inputs, evaluator, rows.used, len(fixed.X)),
        aliased=fixed.aliased,
        residual=residual,
    )


def _residual_groups(residual: ResidualFormula | None) -> tuple[str, ...]:
    """Columns that group the residuals."""
    if residual is None or residual.correlation is None:
        return ()
    return tuple(name for atom in residual.correlation.group_atoms for name in atom.variables)


def _opened(data: Any) -> Source:
    source = open_source(data)
    if source.n_rows:
        return source
    raise DataError(
        "the data have no rows.",
        got=f"columns {listed(source.names)}" if source.names else "no columns either",
        suggestion="check how the data were read or filtered",
    )


def check_option(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse a value that an argument does not know."""
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(
            f"`{name}` must be one of {', '.join(map(repr, allowed))}.",
            got=repr(value),
            suggestion=f"`{name}={allowed[0]!r}`",
            option=name,
            available=allowed,
        )


def check_contrasts(contrasts: Mapping[str, Any], inputs: Inputs) -> None:
    """Refuse codings of variables that are not categorical in the model."""
    known = inputs.factor_names()
    for name in contrasts:
        if name in known:
            continue
        numeric = name in inputs.values
        raise OptionError(
            f"`contrasts` names `{name}`, which is "
            + ("numeric, not categorical." if numeric else "no categorical variable of the model."),
            got=f"categorical variables: {listed(sorted(known)) or 'none'}",
            suggestion=f"write `C({name})` in the formula, or make the column categorical"
            if numeric
            else "name a categorical variable of the formula",
            option="contrasts",
            variable=name,
            available=tuple(sorted(known)),
        )


def _taken(values: FloatArray, used: NDArray[Any] | None) -> FloatArray:
    """Rows used, never the caller's own memory."""
    taken: FloatArray = values.copy() if used is None else values[used]
    return taken


def _response(response: Numbers, used: NDArray[Any] | None) -> FloatArray:
    y = response.take(used).floats()
    if np.may_share_memory(y, response.values):
        y = y.copy()
    check_finite(response.name, y, used, "response")
    check_scale(response.name, float(y.min()), float(y.max()))
    return y


def _total_offset(inputs: Inputs, used: NDArray[Any] | None) -> FloatArray | None:
    total: FloatArray | None = None
    for name, values in inputs.offsets.items():
        taken = _taken(values, used)
        check_finite(name, taken, used, "offset")
        check_scale(name, float(taken.min()), float(taken.max()))
        total = taken if total is None else total + taken
    return total


def _positions(used: NDArray[Any] | None, n: int) -> NDArray[Any]:
    """Row positions; 32 bits spare half of the memory for large data."""
    last = n - 1 if used is None else int(used[-1])
    kind = np.int32 if last < 2**31 else np.int64
    return np.arange(n, dtype=kind) if used is None else used.astype(kind, copy=False)


def fixed_terms(
    inputs: Inputs, variables: Mapping[str, Variable], fixed: FixedPart
) -> tuple[FixedTerm, ...]:
    """Return the terms of the fixed effects with the columns that were kept."""
    names = [tuple(variables[name].label for name in term.factors) for term in inputs.fixed.terms]
    if inputs.fixed.intercept:
        names.insert(0, ())
    return tuple(
        FixedTerm(label, columns, parts)
        for (label, columns), parts in zip(fixed.encoding.terms, names, strict=True)
    )


def fixed_factors(inputs: Inputs, variables: Mapping[str, Variable]) -> dict[str, tuple[str, ...]]:
    """Return the levels of the categorical variables of the fixed effects, by label."""
    out = {}
    for name in inputs.fixed.expressions:
        variable = variables[name]
        if variable.factor is not None:
            out[variable.label] = variable.factor.labels
    return out
