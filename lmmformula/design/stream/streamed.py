"""A design made of data that come in pieces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, ClassVar, TypeVar, get_args

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design.checks import Policy
from lmmformula.design.contrasts import resolve_contrasts
from lmmformula.design.evaluate import Evaluator
from lmmformula.design.inputs import Inputs, gather, subset_mask
from lmmformula.design.materialize import check_contrasts, check_option
from lmmformula.design.notify import silenced
from lmmformula.design.rows import Missing
from lmmformula.design.spec import Design
from lmmformula.design.stream.encoder import Encoder, Options
from lmmformula.design.stream.finished import Finished, finished
from lmmformula.design.stream.layout import Layout, lay_out
from lmmformula.design.stream.limits import cannot_repeat, one_pass_will_do, refuse_array
from lmmformula.design.stream.located import located
from lmmformula.design.stream.needs import Needs, needs_of
from lmmformula.design.stream.spool import SpooledStream, rewindable
from lmmformula.design.stream.stream import Chunk, Stream
from lmmformula.design.stream.sums import RunningSums
from lmmformula.design.stream.survey import Survey
from lmmformula.design.stream.tables import Tables
from lmmformula.errors import DataError
from lmmformula.formula import MixedFormula, expand_wildcard
from lmmformula.matrices import ModelMatrices

__all__ = ["StreamedDesign", "stream_design"]

_LOG = logging.getLogger("lmmformula")
Result = TypeVar("Result")


def stream_design(
    formula: MixedFormula,
    stream: Stream,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    subset: Any = None,
    missing: Missing = "drop",
    checks: Policy = "raise",
    relationship: Any = None,
    made: type[StreamedDesign] | None = None,
) -> StreamedDesign:
    """Learn what the rows of a stream need to become the matrices of a mixed model.

    Parameters
    ----------
    formula : MixedFormula
        A parsed formula.
    stream : Stream
        The data.
    weights, offset : str, optional
        Columns or expressions of columns.
    contrasts : mapping of str to str or contrast object, optional
        As for ``materialize``.
    subset : str, optional
        A condition on the columns.
    missing, checks, relationship
        As for ``materialize``.
    made : type, optional
        A kind of ``StreamedDesign`` that goes through the rows in a way of its own.

    Returns
    -------
    StreamedDesign
        Its ``chunks()`` go through the rows.

    Raises
    ------
    FormulaError, DataError, DesignError, OptionError
        Whatever is wrong, in the user's names.

    Notes
    -----
    Levels that were not declared, and what functions such as ``scale`` learn, take a pass of their
    own over the columns concerned, which the log of ``lmmformula`` tells.
    """
    check_option("missing", missing, get_args(Missing))
    check_option("checks", checks, get_args(Policy))
    for role, given in (("weights", weights), ("offset", offset), ("subset", subset)):
        refuse_array(role, given)
    coded = resolve_contrasts(contrasts)
    if formula.wildcard:
        beside = {name for name in (weights, offset) if isinstance(name, str)}
        formula = expand_wildcard(formula, [name for name in stream.names if name not in beside])
    needs = needs_of(formula, stream.names, weights=weights, offset=offset, subset=subset)
    columns = needs.columns or stream.names[:1]
    names = stream.names
    if not stream.rewindable and not one_pass_will_do(stream, needs):
        stream = rewindable(stream, columns)
    options = Options(weights, offset, subset)
    design = (made or StreamedDesign)(
        formula, stream, names, columns, options, coded, missing, checks, relationship
    )
    try:
        design.learn(needs)
    except BaseException:
        design.close()
        raise
    return design


class StreamedDesign:
    """A design whose rows pass by.

    Go through ``chunks()`` with something that adds up the matrices; if ``must_repeat`` is true
    afterwards, do it again, which ``summed`` does by itself. Then the attributes below are there.

    Attributes
    ----------
    kept, dropped : tuple of int
        Columns of the chunks' X that stay, and those that the former determine.
    coefficients : ndarray, shape (n_kept, n_dropped)
        ``X[:, dropped] = X[:, kept] @ coefficients``.
    kept_levels : dict of str to ndarray of int
        For grouping factors (by label) some of whose levels have no rows: positions that stay.
    digests : tuple of (str, str, str or None)
        Digests of the rows used, the response and the weights, as ``Fingerprint`` has them.
    n_rows_data, n_obs : int
        Rows of the data, and rows used.
    n_passes : int
        Passes over the data so far.
    """

    survey_class: ClassVar[type[Survey]] = Survey
    """What learns."""

    def __init__(
        self,
        formula: MixedFormula,
        stream: Stream,
        names: tuple[str, ...],
        columns: tuple[str, ...],
        options: Options,
        contrasts: Mapping[str, Any],
        missing: Missing,
        checks: Policy,
        relationship: Any,
    ) -> None:
        self.formula, self.stream, self.names, self.columns = formula, stream, names, columns
        self.options, self.missing, self.checks = options, missing, checks
        self.n_passes = 0
        self.must_repeat = False
        self._contrasts, self._relationship = contrasts, relationship
        self._rest: Iterator[Chunk] | None = None
        self._tables = Tables()
        self._layout: Layout | None = None
        self._finish: Callable[[], Finished] | None = None
        self._finished: Finished | None = None

    # Learning

    def learn(self, needs: Needs) -> None:
        """Learn levels and what functions need, and lay out the columns."""
        first = self._peeked()
        survey = self.survey_class(self.stream, self.names, needs, first, self.options.subset)
        self._tables = survey.run()
        self.n_passes += survey.n_passes
        survey.examine_all()
        inputs = self._probe(survey, first)
        check_contrasts(self._contrasts, inputs)
        self._lay_out(inputs)
        if self._rest is not None:
            self._rest = _chained(first, self._rest)

    def _peeked(self) -> Chunk:
        chunks = self.stream.chunks(self.columns)
        first = next(chunks)
        if self.stream.rewindable:
            chunks.close()  # type: ignore[attr-defined]
        else:
            self._rest = chunks
        return first

    def _probe(self, survey: Survey, first: Chunk) -> Inputs:
        """Evaluate everything on the first chunk; warnings that every chunk would repeat are here.

        Nothing may be left to learn by now: it would be learned from one chunk.
        """
        known = {name: set(state) for name, state in self._tables.state.items()}
        with located(first.where, quiet=False):
            evaluator = Evaluator(survey.source(first), self._tables.state)
            inputs = gather(
                self.formula,
                evaluator,
                weights=self.options.weights,
                offset=self.options.offset,
                subset=None,
            )
            if self.options.subset is not None:
                subset_mask(self.options.subset, evaluator)
        for name, state in self._tables.state.items():
            if set(state) != known.get(name, set()):
                raise DataError(
                    f"`{name}` learns from all rows in a way that cannot be done in pieces.",
                    got=f"state {sorted(map(str, state))}",
                    suggestion="compute the column beforehand, or fit in memory",
                    expression=name,
                )
        return inputs

    def _lay_out(self, inputs: Inputs) -> None:
        self._layout = lay_out(
            self.formula, inputs, self._tables, self._contrasts, self._relationship
        )

    # Rows

    def chunks(self, progress: Any = None) -> Iterator[ModelMatrices]:
        """Go through the rows once.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of rows of the data after every chunk.

        Yields
        ------
        ModelMatrices
            Complete rows of a chunk, never none. Columns of X that others determine are there
            still, and so are levels of grouping factors that turn out to have no rows: ``kept``
            and ``kept_levels`` tell afterwards.

        Raises
        ------
        DataError, DesignError
            As for ``materialize``; errors about values name the file and the row group.
        """
        layout = self._known_layout()
        encoder = Encoder(self.formula, self.names, self._tables, layout, self.options)
        sums = RunningSums(layout, self.missing)
        self.n_passes += 1
        _LOG.info("pass %d over %s sums its rows", self.n_passes, self.stream.description)
        try:
            with closing(self._encoded(encoder, sums)) as passing:  # type: ignore[type-var]
                for matrices, n_rows in passing:
                    if matrices is not None:
                        yield matrices
                    del matrices
                    if progress is not None and n_rows:
                        progress(n_rows)
            self._conclude(encoder, sums)
        finally:
            sums.close()
        if not self.must_repeat:
            self.close()

    def summed(
        self, add: Callable[[Iterable[ModelMatrices]], Result], progress: Any = None
    ) -> Result:
        """Return what a function makes of the chunks, once their levels are the final ones.

        Parameters
        ----------
        add : callable
            Takes an iterable of chunks; called again if levels turned out to have no rows.
        progress : callable, optional
            As for ``chunks``.
        """
        while True:
            result = add(self.chunks(progress))
            if not self.must_repeat:
                self._known_end()
                return result

    def finish(self) -> Design:
        """Return the design without rows, as ``materialize`` and ``without_rows`` would have it."""
        return self._known_end().design

    def close(self) -> None:
        """Remove what was kept on the disk for a further pass."""
        if isinstance(self.stream, SpooledStream):
            self.stream.close()

    def _all_chunks(self) -> Iterator[Chunk]:
        rest, self._rest = self._rest, None
        return self.stream.chunks(self.columns) if rest is None else rest

    def _encoded(
        self, encoder: Encoder, sums: RunningSums
    ) -> Iterator[tuple[ModelMatrices | None, int]]:
        """Yield the matrices of the rows, and how many rows of the data are done with them."""
        with closing(self._all_chunks()) as chunks:  # type: ignore[type-var]
            for chunk in chunks:
                for part in encoder.parts(chunk):
                    with located(chunk.where):
                        encoded = encoder.encode(part)
                        sums.add(encoded, chunk.where)
                    yield encoded.matrices, encoded.source.n_rows
                    del encoded
                del chunk, part

    def _conclude(self, encoder: Encoder, sums: RunningSums) -> None:
        """Judge the sums; where levels without rows change the columns, ask for another pass."""
        layout = self._known_layout()
        sums.check_rows(self.options.subset is not None)
        absent = sums.absent()
        self.must_repeat = False
        if absent is not None:
            self._tables = absent.restricted(self._tables, layout)
            with silenced():  # all was said when first laid out
                self._lay_out(layout.inputs)
            self.must_repeat = absent.changes(layout, self._known_layout())
            if self.must_repeat:
                what = absent.described(layout)
                _LOG.info("%s; the rows are summed again without", what)
                if not self.stream.rewindable:
                    raise cannot_repeat(what)
                return
        again = self._again(encoder) if sums.needs_factor else None
        split = sums.split(again)
        kept = {} if absent is None else absent.kept_levels(layout)
        self._finish = partial(
            finished, self, self._known_layout(), self._tables, sums, split, kept
        )

    def _again(self, encoder: Encoder) -> Iterator[ModelMatrices | None]:
        """Rows once more, to settle which columns others determine."""
        if not self.stream.rewindable:
            raise cannot_repeat("columns of X are close to being determined by others")
        self.n_passes += 1
        _LOG.info(
            "pass %d over %s settles which columns others determine",
            self.n_passes,
            self.stream.description,
        )
        for chunk in self._all_chunks():
            for part in encoder.parts(chunk):
                with located(chunk.where):
                    matrices = encoder.encode(part).matrices
                yield matrices

    # What is known afterwards

    def _known_layout(self) -> Layout:
        assert self._layout is not None
        return self._layout

    def _known_end(self) -> Finished:
        """Check and describe the design, once; in the caller's thread, where warnings belong."""
        if self._finished is None:
            if self._finish is None:
                raise RuntimeError("the chunks have not been gone through")
            self._finished = self._finish()
            self._finish = None
        return self._finished

    @property
    def kept(self) -> tuple[int, ...]:
        """Columns of the chunks' X that stay."""
        return self._known_end().split.kept

    @property
    def dropped(self) -> tuple[int, ...]:
        """Columns of the chunks' X that the others determine."""
        return self._known_end().split.dropped

    @property
    def coefficients(self) -> FloatArray:
        """What the columns dropped are of the columns kept, shape (n_kept, n_dropped)."""
        return self._known_end().split.coefficients

    @property
    def kept_levels(self) -> dict[str, IntArray]:
        """Levels with rows, of grouping factors that have others too."""
        return self._known_end().kept_levels

    @property
    def digests(self) -> tuple[str, str, str | None]:
        """Digests of rows, response and weights."""
        return self._known_end().digests

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self._known_end().n_obs

    @property
    def n_rows_data(self) -> int:
        """Rows of the data."""
        return self._known_end().design.spec.n_rows_data


def _chained(first: Chunk, rest: Iterator[Chunk]) -> Iterator[Chunk]:
    with closing(rest):  # type: ignore[type-var]
        yield first
        yield from rest
