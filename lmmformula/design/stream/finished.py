"""The design of a stream when all its rows have passed: everything but rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmmformula._arrays import IntArray
from lmmformula.design.checks import check_totals
from lmmformula.design.fixed import FixedPart, without_aliased
from lmmformula.design.materialize import fixed_factors, fixed_terms
from lmmformula.design.predictors import Predictors
from lmmformula.design.rank import RankSplit
from lmmformula.design.spec import Design, DesignSpec
from lmmformula.design.stream.layout import Layout, TermLayout
from lmmformula.design.stream.sums import RunningSums
from lmmformula.design.stream.tables import Tables
from lmmformula.matrices import ModelMatrices, RandomBlock

if TYPE_CHECKING:
    from lmmformula.design.stream.streamed import StreamedDesign

__all__ = ["Finished", "finished"]


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What is known when all rows have passed.

    Attributes
    ----------
    design : Design
        Without rows.
    split : RankSplit
        Columns kept and dropped.
    kept_levels : dict of str to ndarray of int
        Levels with rows, of grouping factors that have others too.
    digests : tuple
        Of rows, response and weights.
    n_obs : int
        Rows used.
    """

    design: Design
    split: RankSplit
    kept_levels: dict[str, IntArray]
    digests: tuple[str, str, str | None]
    n_obs: int


def finished(
    streamed: StreamedDesign,
    layout: Layout,
    tables: Tables,
    sums: RunningSums,
    split: RankSplit,
    kept_levels: dict[str, IntArray],
) -> Finished:
    """Check a design whose rows have passed, and describe it.

    Parameters
    ----------
    streamed : StreamedDesign
        Formula and options.
    layout : Layout
        The final one.
    tables : Tables
        What was learned.
    sums : RunningSums
        What was noted of the rows.
    split : RankSplit
        Columns of X kept and dropped.
    kept_levels : dict of str to ndarray of int
        Levels with rows, of grouping factors that have others too.
    """
    sums.tell()
    encoding = layout.encoding
    X = np.empty((0, len(split.kept)))
    fixed = FixedPart(X, encoding, ())
    if split.dropped:
        fixed = without_aliased(X, encoding, split, sums.squares, sums.n_obs)
    blocks = tuple(_block(term) for term in layout.terms)
    check_totals(
        sums.n_obs,
        (sums.response.low, sums.response.high),
        len(split.kept),
        blocks,
        layout.inputs.response.name,
        streamed.checks,
        sums.missing.n_dropped,
    )
    nothing = np.empty(0)
    matrices = ModelMatrices(
        y=nothing,
        X=X,
        fixed_names=fixed.encoding.names,
        random=blocks,
        weights=None if layout.inputs.weights is None else nothing,
        offset=nothing if layout.inputs.offsets else None,
        rows=np.empty(0, dtype=np.int64),
    )
    spec = _spec(streamed, layout, tables, sums, fixed)
    return Finished(Design(matrices, spec), split, kept_levels, sums.digests.total(), sums.n_obs)


def _spec(
    streamed: StreamedDesign,
    layout: Layout,
    tables: Tables,
    sums: RunningSums,
    fixed: FixedPart,
) -> DesignSpec:
    formula, inputs = streamed.formula, layout.inputs
    atom = formula.response_atom
    return DesignSpec(
        formula=formula,
        response_name=formula.response if atom is None else atom.label,
        index=pd.RangeIndex(0).take([]),
        n_rows_data=sums.missing.n_rows,
        dropped_columns=fixed.dropped,
        dropped_rows=sums.missing.positions,
        fixed_terms=fixed_terms(inputs, layout.variables, fixed),
        factors=fixed_factors(inputs, layout.variables),
        weights_name=inputs.weights_name,
        offset_name=inputs.offset_name,
        has_array_offset=False,
        encoding=fixed.encoding,
        part=inputs.fixed,
        random=tuple(term.spec for term in layout.terms),
        variables={name: item.factor for name, item in layout.variables.items()},
        state=tables.state,
        predictors=Predictors() if sums.predictors is None else sums.predictors.total(),
        aliased=fixed.aliased,
        subset=streamed.options.subset,
    )


def _block(term: TermLayout) -> RandomBlock:
    """A term without rows."""
    spec = term.spec
    return RandomBlock(
        z=np.empty((0, len(spec.encoding.names))),
        codes=np.empty(0, dtype=np.int32),
        levels=spec.grouping.levels,
        effect_names=spec.encoding.names,
        group=spec.term.group,
        structure=spec.term.structure,
        text=spec.term.text,
        positions=None if spec.places is None else spec.places.values,
        relationship=None if spec.related is None else spec.related.factor,
    )
