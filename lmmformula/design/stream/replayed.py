"""One chunk of rows in the columns of a fitted model, response and all."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design.context import FUNCTIONS
from lmmformula.design.evaluate import Evaluator, column_names
from lmmformula.design.inputs import (
    argument_columns,
    evaluate_response,
    named_value,
    numeric,
    subset_mask,
)
from lmmformula.design.sources import Source
from lmmformula.design.spec import Design, DesignSpec, NewRows
from lmmformula.design.stream.known import ChunkSource
from lmmformula.design.stream.rowwise import is_surely_rowwise, refuse_unless_alike
from lmmformula.errors import DataError
from lmmformula.matrices import ModelMatrices

__all__ = ["check_rowwise", "columns_of", "replayed_design"]


def columns_of(spec: DesignSpec, names: Sequence[str]) -> tuple[str, ...]:
    """Columns of new data that a fitted model needs to predict.

    Parameters
    ----------
    spec : DesignSpec
    names : sequence of str
        Columns of the new data.
    """
    known, wanted = set(names), []
    for expression in _expressions(spec):
        used = [expression] if expression in known else sorted(column_names(expression))
        wanted += [name for name in used if name in known]
    for role, argument in (("offset", spec.offset_name), ("weights", spec.weights_name)):
        if argument is not None:
            wanted += sorted(argument_columns(argument, role, names) or ())
    return tuple(dict.fromkeys(wanted))


def _expressions(spec: DesignSpec) -> list[str]:
    """What a prediction evaluates."""
    found = [*spec.part.expressions, *spec.formula.offsets]
    for item in spec.random:
        found += [*item.part.expressions, *item.term.grouping]
    return found + ([] if spec.residual is None else list(spec.residual.expressions))


def check_rowwise(spec: DesignSpec, source: Source) -> None:
    """Raise where an expression has other values in a chunk than it would have in all rows.

    Parameters
    ----------
    spec : DesignSpec
    source : Source
        The first chunk.
    """
    state = deepcopy(dict(spec.state))
    evaluator = Evaluator(source, state, fitted=True)
    for expression in dict.fromkeys(_expressions(spec)):
        needed = () if expression in source else column_names(expression) - FUNCTIONS.keys()
        if not needed or not needed <= set(source.names):
            continue
        code, environment, _ = evaluator.prepared(expression, expression)
        if is_surely_rowwise(code, environment):
            continue
        value = evaluator.value(expression, lookup=False, where=expression)
        half = slice(0, (source.n_rows + 1) // 2)
        parts = []
        for rows in (half, slice(0, 1)):
            alone = Evaluator(ChunkSource(source, source.names, {}, rows), state, fitted=True)
            parts.append((rows, alone.value(expression, lookup=False, where=expression)))
        refuse_unless_alike(expression, expression, value, parts)


def replayed_design(design: Design, source: Source) -> tuple[Design, IntArray] | None:
    """Encode rows as the fitted ones were, with their response.

    Parameters
    ----------
    design : Design
        The fitted one, with or without rows.
    source : Source
        Rows that the model was fitted to, or others that could have been.

    Returns
    -------
    Design, ndarray of int
        The rows of ``source`` that a fit would use, and their positions in it; None if there are
        none.

    Raises
    ------
    DataError
        A grouping factor has a level that was not fitted.
    """
    spec = design.spec
    used, y, weights = _used(spec, source)
    if not used.size:
        return None
    found = spec.replay(ChunkSource(source, source.names, {}, used))
    _refuse_unseen(spec, found)
    keep = found.complete
    if not keep.any():
        return None
    matrices = ModelMatrices(
        y=y[keep],
        X=found.X[keep],
        fixed_names=design.matrices.fixed_names,
        random=tuple(replace(b, z=b.z[keep], codes=b.codes[keep]) for b in found.random),
        weights=None if weights is None else weights[keep],
        offset=None if found.offset is None else found.offset[keep],
        rows=used[keep],
    )
    return Design(matrices, replace(spec, index=source.index[used[keep]])), used[keep]


def _used(spec: DesignSpec, source: Source) -> tuple[IntArray, FloatArray, FloatArray | None]:
    """Rows of the subset with a response and a weight, and these.

    They are found before anything else is read: the other rows may have levels of their own.
    """
    evaluator = Evaluator(source, deepcopy(dict(spec.state)), fitted=True)
    y = evaluate_response(spec.formula, evaluator).floats()
    keep, weights = ~np.isnan(y), None
    if spec.weights_name is not None:
        weights = numeric(named_value(spec.weights_name, "weights", evaluator), "weights")
        keep &= ~np.isnan(weights)
    if spec.subset is not None:
        keep &= subset_mask(spec.subset, evaluator)
    used = np.flatnonzero(keep)
    return used, y[used], None if weights is None else weights[used]


def _refuse_unseen(spec: DesignSpec, found: NewRows) -> None:
    """Raise where a level has no effect of its own, among the rows in which nothing is missing."""
    unseen = dict(found.unseen)
    for item, block in zip(spec.random, found.random, strict=True):
        beyond = block.codes[block.codes >= len(item.grouping.levels)]
        if beyond.size:  # members of a relationship without data
            labels = [str(block.levels[code]) for code in dict.fromkeys(beyond.tolist())]
            unseen.setdefault(block.group, labels)
    for group, labels in unseen.items():
        raise DataError(
            f"`{group}` has levels that the fitted data did not have.",
            got=", ".join(labels[:5]) + (" ..." if len(labels) > 5 else ""),
            suggestion="the data that the model was fitted to, or `predict(..., "
            'new_levels="zero")`',
            column=group,
            levels=tuple(labels),
        )
