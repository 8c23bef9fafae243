"""What a result says of rows that come in pieces: batch by batch, or into a Parquet file."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design import Design
from lmmformula.design.columns import Categories, Numbers
from lmmformula.design.notify import notify
from lmmformula.design.sources import Source, open_source
from lmmformula.design.stream.located import located
from lmmformula.design.stream.open import open_stream
from lmmformula.design.stream.replayed import check_rowwise, columns_of, replayed_design
from lmmformula.design.stream.sink import ParquetSink
from lmmformula.design.stream.stream import Chunk, Stream
from lmmformula.engine import AlternativeSystem, BlockedSystem, Estimates
from lmmformula.errors import DataError, DataWarning, OptionError
from lmmformula.postfit.augment import augment, augmented
from lmmformula.postfit.progress import Progress, progress_bar
from lmmformula.postfit.requirements import require_plain_residuals

__all__ = ["augment_rows", "in_pieces", "no_stream", "predict_in_pieces", "refuse_target"]

BYTES_PER_NUMBER = 8


def in_pieces(
    stream: Stream,
    columns: Sequence[str],
    make: Callable[[Chunk], pd.DataFrame],
    to: str | os.PathLike[str] | None = None,
    *,
    progress: Progress = None,
    width: int = 1,
) -> Iterator[pd.DataFrame] | Path:
    """Apply a function to every chunk.

    Parameters
    ----------
    stream : Stream
        The rows.
    columns : sequence of str
        Columns that are read.
    make : callable
        From a chunk to a frame; an empty frame is left out.
    to : str or path, optional
        A Parquet file to write, whole or not at all.
    progress : bool or callable, optional
    width : int
        Numbers per row that will be written, to see whether there is room.

    Returns
    -------
    iterator of DataFrame, or Path
        The batches; the file, if one was asked for.
    """
    batches = _batches(stream, columns, make, progress)
    if to is None:
        return batches
    estimate = BYTES_PER_NUMBER * width * (stream.n_rows or 0)
    with closing(batches), ParquetSink(_path(to), estimate=estimate) as sink:
        for batch in batches:
            sink.write(batch.reset_index(drop=True))
    return sink.target


def _path(to: Any) -> Path:
    if isinstance(to, str | os.PathLike):
        return Path(to)
    raise OptionError(
        "`to` must be the path of a Parquet file to write.",
        got=f"`to={to!r}`",
        suggestion='`to="rows.parquet"`, or leave it out for batches',
        option="to",
    )


def _batches(
    stream: Stream,
    columns: Sequence[str],
    make: Callable[[Chunk], pd.DataFrame],
    progress: Progress,
) -> Generator[pd.DataFrame]:
    name = f"reading {stream.description}"
    with (
        progress_bar(progress, stream.n_rows, name, "rows") as advance,
        closing(stream.chunks(columns)) as chunks,  # type: ignore[type-var]
    ):
        for chunk in chunks:
            with located(chunk.where, quiet=chunk.start > 0):
                batch = make(chunk)
            if len(batch):
                yield batch
            advance(chunk.source.n_rows)


def augment_rows(
    results: Any, data: Any, to: str | os.PathLike[str] | None, progress: Progress
) -> Any:
    """What ``results.augment`` returns; arguments as there."""
    model = results.model
    stream = None if data is None else open_stream(data)
    if data is None and model.is_streamed:
        stream = model.stream
        if stream is None or not stream.rewindable:
            raise no_stream("`augment`")
    parts = (results.design, results.estimates)
    system = None if isinstance(model.any_system, AlternativeSystem) else model.any_system
    if stream is not None:
        _check_replay(results.design)
        return augmented_batches(*parts, system, stream, to, progress)
    refuse_target(to)
    if data is not None and not model.has_rows:
        _check_replay(results.design)
        source = open_source(data)
        return _augmented_source(*parts, system, source, source.names, source.index)
    model.require_rows("`augment`")
    return augment(*parts, system, data, results.residual_structure)


def _check_replay(design: Design) -> None:
    """Raise unless the columns of the rows tell all that the model knows of them."""
    require_plain_residuals(
        design.matrices.residual, "`augment` of rows that are read again", "`augment()`"
    )
    spec, arrays = design.spec, []
    if design.matrices.weights is not None and spec.weights_name is None:
        arrays.append("weights")
    if spec.has_array_offset:
        arrays.append("offset")
    if arrays:
        raise DataError(
            f"`augment` reads the rows again, and not all of the model's {' and '.join(arrays)} "
            "are in them.",
            got=", ".join(f"`{role}=` was an array" for role in arrays),
            suggestion=f'fit with a column, `{arrays[0]}="{arrays[0]}"`',
            needs=tuple(arrays),
        )


def augmented_batches(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem | None,
    stream: Stream,
    to: str | os.PathLike[str] | None,
    progress: Progress,
) -> Iterator[pd.DataFrame] | Path:
    """The rows of a stream that a fit would use, with what the model says about each.

    Parameters
    ----------
    design, estimates, system
        The fit; without a system there are no leverages.
    stream, to, progress
        As for ``in_pieces``.
    """
    names = stream.names

    def make(chunk: Chunk) -> pd.DataFrame:
        if not chunk.start:
            check_rowwise(design.spec, chunk.source)
        index = pd.RangeIndex(chunk.start, chunk.start + chunk.source.n_rows)
        return _augmented_source(design, estimates, system, chunk.source, names, index)

    return in_pieces(stream, names, make, to, progress=progress, width=len(names) + 11)


def _augmented_source(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem | None,
    source: Source,
    names: Sequence[str],
    index: pd.Index[Any],
) -> pd.DataFrame:
    replayed = replayed_design(design, source)
    if replayed is None:
        return pd.DataFrame()
    found, rows = replayed
    before = _frame(source, names).iloc[rows].set_axis(index[rows])
    return augmented(found, estimates, system, before)


def _frame(source: Source, names: Sequence[str]) -> pd.DataFrame:
    """All columns of a chunk but those that no model could use, such as lists."""
    columns: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name in names:
        try:
            value = source.column(name)
        except DataError as error:
            if "dtype" not in error.facts:
                raise
            left_out[name] = str(error.facts["dtype"])
            continue
        if isinstance(value, Categories):
            known: Any = pd.Index(list(value.levels), dtype=None if len(value.levels) else "str")
            columns[name] = pd.Categorical.from_codes(value.codes, categories=known)
        else:
            columns[name] = _numbers(value)
    if left_out:
        notify(_left_out(left_out))
    return pd.DataFrame(columns, index=pd.RangeIndex(source.n_rows))


def _left_out(columns: Mapping[str, str]) -> DataWarning:
    return DataWarning(
        "`augment` leaves out columns that are neither numbers nor categories nor times.",
        got=", ".join(f"`{name}`: {kind}" for name, kind in columns.items()),
        suggestion="join them to the rows that are written; their order is that of the data",
        columns=tuple(columns),
    )


def _numbers(value: Numbers) -> Any:
    """Values in their own type, in which pandas can say that one is missing."""
    if value.missing is None or not value.missing.any():
        return value.values
    if value.is_logical:
        return pd.arrays.BooleanArray(value.values, value.missing.copy())
    if value.is_integer:
        return pd.arrays.IntegerArray(value.values, value.missing.copy())
    gone = np.array("NaT" if value.is_time else np.nan, dtype=value.values.dtype)
    return np.where(value.missing, gone, value.values)


def no_stream(what: str) -> DataError:
    """Build the error for a model of streamed data whose stream is no longer at hand."""
    return DataError(
        f"{what} needs the rows, which were read in pieces and are not kept.",
        got="a result that was read from a file, or data that could be read once",
        suggestion='pass them: `augment("data.parquet")`',
        needs=what,
    )


def refuse_target(to: Any) -> None:
    """Raise where a file is to be written of data that are in memory."""
    if to is not None:
        raise OptionError(
            "`to=` writes rows that come in pieces, and these are in memory.",
            got=f"`to={to!r}`",
            suggestion="write the frame that is returned, or pass `lf.stream(data)`",
            option="to",
        )


def predict_in_pieces(
    design: Design,
    stream: Stream,
    predict: Callable[[Source], pd.Series | pd.DataFrame],
    to: str | os.PathLike[str] | None,
) -> Iterator[pd.DataFrame] | Path:
    """Predictions of a stream's rows.

    Parameters
    ----------
    design : Design
        The fitted one.
    stream, to
        As for ``in_pieces``.
    predict : callable
        Predicts the rows of one chunk.
    """

    def make(chunk: Chunk) -> pd.DataFrame:
        if not chunk.start:
            check_rowwise(design.spec, chunk.source)
        found = predict(chunk.source)
        frame = found.to_frame() if isinstance(found, pd.Series) else found
        frame.index = pd.RangeIndex(chunk.start, chunk.start + len(frame))
        return frame

    columns = columns_of(design.spec, stream.names) or stream.names[:1]
    return in_pieces(stream, columns, make, to, width=4)
