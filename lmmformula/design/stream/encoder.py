"""One chunk of rows as matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import BoolArray, CodeArray, FloatArray
from lmmformula.design.checks import check_finite, check_weights
from lmmformula.design.columns import Categories, Value
from lmmformula.design.encode import Variable, fill, numeric_variable
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.inputs import Inputs, gather, subset_mask
from lmmformula.design.places import coordinates
from lmmformula.design.stream.known import ChunkSource
from lmmformula.design.stream.layout import Layout, TermLayout
from lmmformula.design.stream.stream import Chunk, rows_per_chunk
from lmmformula.design.stream.tables import Tables
from lmmformula.errors import DataError
from lmmformula.formula.terms import MixedFormula
from lmmformula.matrices import ModelMatrices, RandomBlock

__all__ = ["Encoded", "Encoder", "Options"]


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Arguments beside the formula: columns or expressions."""

    weights: str | None = None
    offset: str | None = None
    subset: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A chunk's matrices and what else is to be added up.

    Attributes
    ----------
    matrices : ModelMatrices or None
        Rows used; None if there are none.
    source : ChunkSource
        The columns.
    inputs : Inputs
        Values in all rows of the chunk.
    used : ndarray of int or None
        Rows used, within the chunk; None for all.
    dropped : ndarray of int
        Positions in the data of rows left out because something is missing.
    n_asked : int
        Rows of the subset.
    counts, made_missing : dict of str to int
        Missing values by variable, and those that expressions made.
    variables : dict of str to Variable
    codes : dict of tuple to ndarray of int32
        Levels of the rows used by grouping factor.
    """

    matrices: ModelMatrices | None
    source: ChunkSource
    inputs: Inputs
    used: NDArray[Any] | None
    dropped: NDArray[Any]
    n_asked: int
    counts: dict[str, int]
    made_missing: dict[str, int]
    variables: dict[str, Variable]
    codes: dict[tuple[str, ...], CodeArray]


class Encoder:
    """Turns chunks into matrices of one layout.

    Parameters
    ----------
    formula : MixedFormula
    names : tuple of str
        Columns of the stream.
    tables : Tables
        What was learned.
    layout : Layout
    options : Options
    """

    def __init__(
        self,
        formula: MixedFormula,
        names: tuple[str, ...],
        tables: Tables,
        layout: Layout,
        options: Options,
    ) -> None:
        self.formula, self.names, self.options = formula, names, options
        self.tables, self.layout = tables, layout

    def parts(self, chunk: Chunk) -> Iterator[Chunk]:
        """Cut a chunk where its matrices would be much wider than its columns."""
        rows = rows_per_chunk(8 * self._width)
        n = chunk.source.n_rows
        if n <= rows:
            yield chunk
            return
        for start in range(0, n, rows):
            source = ChunkSource(chunk.source, self.names, {}, slice(start, start + rows))
            yield Chunk(source, chunk.where, chunk.start + start)

    @property
    def _width(self) -> int:
        """Columns of X and of effects that are none of X."""
        own = [len(t.spec.encoding.names) for t in self.layout.terms if t.where is None]
        return len(self.layout.encoding.names) + sum(own)

    def encode(self, chunk: Chunk) -> Encoded:
        """Encode one chunk.

        Raises
        ------
        DataError
            Values that no model can use.
        """
        source = ChunkSource(chunk.source, self.names, self.tables.columns)
        evaluator = Evaluator(source, self.tables.state)
        options = self.options
        inputs = gather(
            self.formula, evaluator, weights=options.weights, offset=options.offset, subset=None
        )
        asked = None if options.subset is None else subset_mask(options.subset, evaluator)
        counts, keep, gone = _complete(inputs, asked, source.n_rows)
        used = None if keep is None else np.flatnonzero(keep)
        n = source.n_rows if used is None else len(used)
        dropped = np.flatnonzero(gone) + chunk.start if counts else np.empty(0, dtype=np.int64)
        variables: dict[str, Variable] = {}
        codes: dict[tuple[str, ...], CodeArray] = {}
        matrices = None
        if n:
            rows = np.arange(chunk.start, chunk.start + n) if used is None else used + chunk.start
            variables = self._variables(inputs, used)
            codes = {
                key: group([inputs.groups[name].take(used) for name in key])
                for key, group in self.layout.groups.items()
            }
            matrices = self._matrices(inputs, used, rows, variables, codes)
        return Encoded(
            matrices,
            source,
            inputs,
            used,
            dropped,
            source.n_rows if asked is None else int(asked.sum()),
            counts,
            evaluator.made_missing(),
            variables,
            codes,
        )

    def _variables(self, inputs: Inputs, used: NDArray[Any] | None) -> dict[str, Variable]:
        out = {}
        for name, value in inputs.values.items():
            known = self.layout.variables[name]
            if known.factor is None:
                if isinstance(value, Categories):
                    raise _changed_kind(name, "numbers", "categories")
                out[name] = numeric_variable(value.take(used), known.label)
                continue
            codes = self._factor_codes(name, value.take(used))
            out[name] = Variable(known.label, codes=codes, factor=known.factor)
        return out

    def _factor_codes(self, name: str, value: Value) -> CodeArray:
        if not isinstance(value, Categories):
            raise _changed_kind(name, "categories", "numbers")
        made = self.tables.made.get(name)
        if made is not None:
            value = made.place(value)
        codes: CodeArray = self.layout.renumber[name][value.codes]
        if int(codes.min()) < 0:
            lost = sorted({str(value.levels[i]) for i in value.codes[codes < 0]})
            raise DataError(
                f"`{name}` has levels that were not there when the levels were learned.",
                got=", ".join(lost[:6]),
                suggestion="see that nothing writes to the data while the model is built",
                column=name,
            )
        return codes

    def _matrices(
        self,
        inputs: Inputs,
        used: NDArray[Any] | None,
        rows: NDArray[Any],
        variables: dict[str, Variable],
        codes: Mapping[tuple[str, ...], CodeArray],
    ) -> ModelMatrices:
        y = _taken(inputs.response.floats(), used)
        check_finite(inputs.response.name, y, rows, "response")
        weights = None if inputs.weights is None else _taken(inputs.weights, used)
        if weights is not None:
            check_weights(weights, rows)
        offset: FloatArray | None = None
        for name, values in inputs.offsets.items():
            taken = _taken(values, used)
            check_finite(name, taken, rows, "offset")
            offset = taken if offset is None else offset + taken
        encoding = self.layout.encoding
        X = fill(encoding.keys, variables, len(y))
        made: dict[Any, FloatArray] = {encoding.keys: X}
        return ModelMatrices(
            y=y,
            X=X,
            fixed_names=encoding.names,
            random=tuple(
                self._block(term, X, made, variables, codes) for term in self.layout.terms
            ),
            weights=weights,
            offset=offset,
            rows=rows,
        )

    def _block(
        self,
        term: TermLayout,
        X: FloatArray,
        made: dict[Any, FloatArray],
        variables: Mapping[str, Variable],
        codes: Mapping[tuple[str, ...], CodeArray],
    ) -> RandomBlock:
        spec = term.spec
        places = spec.places
        if places is not None:
            part = self.layout.inputs.random[term.number]
            z = places.indicator(coordinates(spec.term, part, variables))
        else:
            keys = spec.encoding.keys
            if keys not in made:
                shared = term.where is not None
                made[keys] = X[:, term.where] if shared else fill(keys, variables, len(X))
            z = made[keys]
        return RandomBlock(
            z=z,
            codes=codes[term.key],
            levels=spec.grouping.levels,
            effect_names=spec.encoding.names,
            group=spec.term.group,
            structure=spec.term.structure,
            text=spec.term.text,
            positions=None if places is None else places.values,
            relationship=None if spec.related is None else spec.related.factor,
        )


def _complete(
    inputs: Inputs, asked: BoolArray | None, n_rows: int
) -> tuple[dict[str, int], BoolArray | None, BoolArray]:
    """Return missing values by variable, rows to keep (None for all), rows left out."""
    counts: dict[str, int] = {}
    gone = np.zeros(n_rows, dtype=bool)
    for name, mask in inputs.missing().items():
        if mask is None:
            continue
        mask = mask if asked is None else mask & asked
        count = int(mask.sum())
        if count:
            counts[name] = count
            gone |= mask
    if asked is not None:
        return counts, asked & ~gone, gone
    return counts, ~gone if counts else None, gone


def _taken(values: FloatArray, used: NDArray[Any] | None) -> FloatArray:
    return values if used is None else values[used]


def _changed_kind(name: str, before: str, now: str) -> DataError:
    return DataError(
        f"`{name}` gives {now} here and gave {before} in the first rows.",
        got=f"{before}, then {now}",
        suggestion=f"say what the columns hold: `lf.stream(..., schema={{{name!r}: ...}})`",
        column=name,
    )
