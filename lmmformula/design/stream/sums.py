"""Everything that is noted of the rows of a streamed design while they pass by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray
from lmmformula.design.checks import check_scale
from lmmformula.design.encode import Encoding, Variable
from lmmformula.design.fixed import LARGEST_SQUARE, SMALLEST_SQUARE, check_columns
from lmmformula.design.inputs import empty_subset
from lmmformula.design.predictors import made_factors, predictor_columns
from lmmformula.design.rank import RankSplit, all_kept, split_by_factor, triangular_factor
from lmmformula.design.rows import Missing, incomplete, positions, tell
from lmmformula.design.sources import listed
from lmmformula.design.stream.absent import Absent
from lmmformula.design.stream.encoder import Encoded
from lmmformula.design.stream.layout import Layout, TermLayout
from lmmformula.design.stream.running_predictors import RunningPredictors
from lmmformula.design.stream.totals import Digests, Extent, Gram, MissingRows
from lmmformula.matrices import ModelMatrices

__all__ = ["RunningSums"]


class RunningSums:
    """Sums, counts, extremes and digests over the chunks of one pass.

    Parameters
    ----------
    layout : Layout
        Columns and terms.
    missing : {"drop", "raise"}
        What to do with incomplete rows.
    """

    def __init__(self, layout: Layout, missing: Missing) -> None:
        self.layout, self.policy = layout, missing
        self.missing = MissingRows()
        self.gram = Gram(len(layout.encoding.names))
        self.digests: Any = Digests()  # elsewhere of a kind that can be joined
        self.response = Extent()
        self.offsets: dict[str, Extent] = {}
        self.n_obs = 0
        self.has_subset = False
        self.predictors: RunningPredictors | None = None
        self.levels = {
            name: np.zeros(len(variable.factor.labels), dtype=np.int64)
            for name, variable in layout.variables.items()
            if variable.factor is not None
        }
        self.groups: dict[tuple[str, ...], BoolArray] = {
            key: np.zeros(len(group.coding.levels), dtype=bool)
            for key, group in layout.groups.items()
        }
        self.places: dict[int, BoolArray] = {
            term.number: np.zeros(len(term.spec.encoding.names), dtype=bool)
            for term in layout.terms
            if term.spec.places is not None
        }
        self._columns = _Columns()

    def add(self, encoded: Encoded, where: str) -> None:
        """Add a chunk."""
        self._add_missing(encoded)
        matrices = encoded.matrices
        if matrices is None:
            return
        self.n_obs += matrices.n_obs
        self.response.add(matrices.y, encoded.inputs.response.name)
        self._add_offsets(encoded)
        self._add_columns(encoded, matrices)
        for name, counts in self.levels.items():
            counts += np.bincount(encoded.variables[name].codes, minlength=len(counts))
        for key, codes in encoded.codes.items():
            self.groups[key][codes] = True
        for term, block in zip(self.layout.terms, matrices.random, strict=True):
            if term.number in self.places:
                self.places[term.number] |= block.z.any(axis=0)
        self._add_predictors(encoded)
        self.digests.add(matrices.rows, matrices.y, matrices.weights)

    def absorb(self, other: RunningSums) -> None:
        """Add what was noted of the rows that follow, by somebody else with the same layout."""
        self.missing.absorb(other.missing)
        self.gram.absorb(other.gram)
        self.digests.absorb(other.digests)
        self.response.absorb(other.response)
        for name, extent in other.offsets.items():
            self.offsets.setdefault(name, Extent()).absorb(extent)
        self.n_obs += other.n_obs
        if self.predictors is None:
            self.predictors = other.predictors
        elif other.predictors is not None:
            self.predictors.absorb(other.predictors)
        for name, counts in other.levels.items():
            self.levels[name] += counts
        for key, occurs in other.groups.items():
            self.groups[key] |= occurs
        for number, occurs in other.places.items():
            self.places[number] |= occurs
        self._columns.absorb(other._columns)

    def _add_missing(self, encoded: Encoded) -> None:
        dropped = encoded.dropped
        if encoded.counts and self.policy == "raise":
            reasons = listed([f"`{name}` in {count}" for name, count in encoded.counts.items()])
            raise incomplete(
                f"{len(dropped)} of {encoded.n_asked} rows",
                f"missing: {reasons}; row positions {positions(dropped)}",
                {
                    "n_dropped": len(dropped),
                    "columns": tuple(encoded.counts),
                    "counts": dict(encoded.counts),
                    "rows": dropped,
                },
            )
        self.missing.add(
            encoded.counts,
            encoded.made_missing,
            encoded.source.n_rows,
            encoded.n_asked,
            dropped,
        )

    def _add_offsets(self, encoded: Encoded) -> None:
        for name, values in encoded.inputs.offsets.items():
            taken = values if encoded.used is None else values[encoded.used]
            self.offsets.setdefault(name, Extent()).add(taken, name)

    def _add_columns(self, encoded: Encoded, matrices: ModelMatrices) -> None:
        X, variables = matrices.X, encoded.variables
        with np.errstate(all="ignore"):
            own = X.T @ X
        self._columns.add(None, X, np.diag(own), self.layout.encoding, variables, matrices.rows)
        seen: set[int] = {id(X)}
        for term, block in zip(self.layout.terms, matrices.random, strict=True):
            if term.where is None and term.spec.places is None and id(block.z) not in seen:
                seen.add(id(block.z))
                with np.errstate(all="ignore"):
                    squares = np.einsum("ij,ij->j", block.z, block.z)
                encoding = term.spec.encoding
                self._columns.add(term, block.z, squares, encoding, variables, matrices.rows)
        self.gram.add(X, own)

    def _add_predictors(self, encoded: Encoded) -> None:
        if self.predictors is None:
            names = tuple(predictor_columns(self.layout.inputs, encoded.source))
            self.predictors = RunningPredictors(names, set(made_factors(self.layout.inputs)))
        values = [
            encoded.source.column(column.name).take(encoded.used)
            for column in self.predictors.columns
        ]
        self.predictors.add(values, len(encoded.matrices.y))  # type: ignore[union-attr]

    # When all chunks are there

    def check_rows(self, has_subset: bool) -> None:
        """Refuse data of which nothing is left, or whose numbers are out of scale."""
        missing = self.missing
        if has_subset and not missing.n_asked:
            raise empty_subset(missing.n_rows)
        if not self.n_obs:
            tell(
                missing.counts,
                missing.positions,
                missing.n_asked,
                self.policy,
                missing.made,
                missing.n_dropped,
            )
        self.response.check(self.layout.inputs.response.name)
        self._columns.check()
        for name, extent in self.offsets.items():
            extent.check(name)

    def tell(self) -> None:
        """Warn of rows that were left out."""
        missing = self.missing
        if missing.counts:
            tell(
                missing.counts,
                missing.positions,
                missing.n_asked,
                self.policy,
                missing.made,
                missing.n_dropped,
            )

    def absent(self) -> Absent | None:
        """Return levels, groups and positions that were allowed for and have no rows."""
        factors = {name: counts > 0 for name, counts in self.levels.items() if not counts.all()}
        groups = {key: occurs for key, occurs in self.groups.items() if not occurs.all()}
        places = {i: occurs for i, occurs in self.places.items() if not occurs.all()}
        if not factors and not groups and not places:
            return None
        return Absent(factors, groups, places)

    @property
    def needs_factor(self) -> bool:
        """Whether the rank is a question that only the rows can answer now."""
        return self.gram.factor is None and not self.gram.settles()

    def split(self, again: Iterator[ModelMatrices | None] | None) -> RankSplit:
        """Split the columns by R's rule.

        Parameters
        ----------
        again : iterator of ModelMatrices or None
            The rows once more, where ``needs_factor``.
        """
        p = len(self.gram.sums)
        if self.gram.settles():
            return all_kept(p)
        norms = np.sqrt(np.diag(self.gram.sums))
        norms[norms == 0.0] = 1.0
        factor = self.gram.factor
        if factor is None:
            factor = np.empty((0, p))
            for matrices in again or ():
                if matrices is not None:
                    factor = triangular_factor(matrices.X, np.ones(p), factor)
        return split_by_factor(factor / norms, norms)

    @property
    def squares(self) -> FloatArray:
        """Sums of squares of the columns of X."""
        return np.diag(self.gram.sums)

    def close(self) -> None:
        """End what runs beside."""
        self.digests.close()


@dataclass(slots=True, eq=False)
class _Small:
    """Columns whose squares have been next to nothing in every chunk so far."""

    squares: FloatArray
    extents: dict[int, dict[str, Extent]]


class _Columns:
    """Watches the scale of design columns: too large is refused at once, too small in the end."""

    def __init__(self) -> None:
        self._parts: dict[int, _Small] = {}

    def add(
        self,
        term: TermLayout | None,
        columns: FloatArray,
        squares: FloatArray,
        encoding: Encoding,
        variables: dict[str, Variable],
        rows: IntArray,
    ) -> None:
        """Add the columns of a chunk with their sums of squares."""
        if not (squares < LARGEST_SQUARE).all():
            check_columns(columns, squares, encoding, variables, rows)
        part = self._parts.setdefault(
            -1 if term is None else term.number, _Small(np.zeros(len(squares)), {})
        )
        part.squares = part.squares + squares
        for j in np.flatnonzero(part.squares <= SMALLEST_SQUARE):
            extents = part.extents.setdefault(int(j), {})
            for name in dict.fromkeys(piece.name for piece in encoding.keys[j][1]):
                for values in variables[name].columns:
                    extents.setdefault(name, Extent()).add(values, name)
            if extents:
                extents.setdefault(encoding.names[j], Extent()).add(
                    columns[:, j], encoding.names[j]
                )

    def absorb(self, other: _Columns) -> None:
        """Add the columns of other rows."""
        for number, more in other._parts.items():
            part = self._parts.setdefault(number, _Small(np.zeros(len(more.squares)), {}))
            part.squares = part.squares + more.squares
            for j, named in more.extents.items():
                extents = part.extents.setdefault(j, {})
                for name, extent in named.items():
                    extents.setdefault(name, Extent()).absorb(extent)

    def check(self) -> None:
        """Refuse columns whose squares vanish."""
        for part in self._parts.values():
            for j in np.flatnonzero(part.squares <= SMALLEST_SQUARE):
                for name, extent in part.extents.get(int(j), {}).items():
                    check_scale(name, extent.low, extent.high)
