"""Rows out: batches written to a Parquet file that appears when it is complete."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula.design.sources import closest_name, listed
from lmmformula.design.stream.disk import check_space
from lmmformula.design.stream.packages import required
from lmmformula.errors import DataError, OptionError

__all__ = ["ParquetSink"]


class ParquetSink:
    """A Parquet file that is written batch by batch; a context manager.

    The rows go to a hidden file beside the target, which takes the target's name when the block
    ends. If anything goes wrong before, that file is removed and the target is as it was.

    Parameters
    ----------
    target : str or Path
        The file; one that exists is replaced.
    estimate : int, optional
        Bytes that will be written, to be checked against the free disk before anything else.
    schema : pyarrow.Schema, optional
        Types of the columns; by default those of the first batch.

    Attributes
    ----------
    n_rows : int
        Rows written so far.

    Raises
    ------
    OptionError
        The folder of the target does not exist, the target is a folder, or pyarrow is missing.
    DataError
        The disk has not enough room.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> target = Path(folder.name) / "fitted.parquet"
    >>> with ParquetSink(target) as sink:
    ...     sink.write({"fitted": [1.5, 2.5]})
    ...     sink.write({"fitted": [3.5]})
    >>> pd.read_parquet(target)["fitted"].tolist()
    [1.5, 2.5, 3.5]
    >>> folder.cleanup()
    """

    def __init__(self, target: str | Path, *, estimate: int = 0, schema: Any = None) -> None:
        required("pyarrow.parquet", "writing Parquet files")
        self.target = Path(target).expanduser()
        _check_target(self.target)
        check_space(self.target.parent, estimate, f"`{self.target}`", "another disk, or fewer rows")
        self._schema = schema
        self._hidden = self.target.with_name(f".{self.target.name}.{uuid.uuid4().hex}.part")
        self._writer: Any = None
        self.n_rows = 0

    def __enter__(self) -> ParquetSink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._writer is None and error is None and self._schema is not None:
                self._open()
            if self._writer is not None:
                self._writer.close()
            if error is None and self._writer is not None:
                os.replace(self._hidden, self.target)
        finally:
            self._hidden.unlink(missing_ok=True)
        if error is None and self._writer is None:
            raise DataError(
                f"there was nothing to write to `{self.target}`.",
                got="no batch of rows",
                suggestion="data with at least one row",
                path=str(self.target),
            )

    def write(self, batch: Any) -> None:
        """Add rows.

        Parameters
        ----------
        batch : frame, Arrow table or record batch, or mapping of str to array
            With the columns of the first batch, in any order.

        Raises
        ------
        DataError
            Columns or types differ from those of the first batch, or the disk is full.
        """
        table = _table(batch)
        if self._schema is None:
            self._schema = _lasting(table.schema.remove_metadata())
        table = self._fitted(table)
        folder = self.target.parent
        check_space(folder, table.nbytes, f"the rest of `{self.target}`", "another disk")
        if self._writer is None:
            self._open()
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        self.n_rows += table.num_rows

    def _open(self) -> None:
        parquet = required("pyarrow.parquet", "writing Parquet files")
        self._writer = parquet.ParquetWriter(self._hidden, self._schema)

    def _fitted(self, table: Any) -> Any:
        """The batch with the columns and types of the file."""
        names = self._schema.names
        if set(table.column_names) != set(names):
            raise DataError(
                f"a batch for `{self.target}` has other columns than the first one.",
                got=f"{listed(table.column_names)}; the first has {listed(names)}",
                suggestion="write the same columns every time",
                row=self.n_rows,
            )
        arrow = required("pyarrow", "Arrow data")
        try:
            return table.select(names).cast(self._schema)
        except (arrow.ArrowException, ValueError) as error:
            raise DataError(
                f"a batch for `{self.target}` has columns of other types than the first one.",
                got=str(error).splitlines()[0],
                suggestion="convert them, or give the `schema` of the file",
                row=self.n_rows,
            ) from error


def _lasting(schema: Any) -> Any:
    """The schema with room for more categories than the first batch has."""
    arrow = required("pyarrow", "writing Parquet files")
    types = {
        field.name: arrow.dictionary(
            arrow.int32(),
            arrow.large_string()
            if arrow.types.is_null(field.type.value_type)
            else field.type.value_type,
            field.type.ordered,
        )
        for field in schema
        if arrow.types.is_dictionary(field.type)
    }
    return arrow.schema([field.with_type(types.get(field.name, field.type)) for field in schema])


def _check_target(target: Path) -> None:
    folder = target.parent
    if target.is_dir():
        raise OptionError(
            f"`{target}` is a folder.",
            got="a folder where a file is to be written",
            suggestion=f"`{target / 'rows.parquet'}`",
            path=str(target),
        )
    if not folder.is_dir():
        above = folder.parent
        beside = [p.name for p in above.iterdir() if p.is_dir()] if above.is_dir() else []
        near = closest_name(folder.name, beside)
        raise OptionError(
            f"the folder `{folder}` does not exist.",
            got=f"the target `{target}`",
            suggestion=f"`{above / near / target.name}`" if near else f"`mkdir {folder}` first",
            path=str(target),
        )


def _table(batch: Any) -> Any:
    """Any kind of batch as an Arrow table."""
    arrow = required("pyarrow", "writing Parquet files")
    batch = nw.to_native(batch, pass_through=True)
    if isinstance(batch, arrow.RecordBatch):
        return arrow.Table.from_batches([batch])
    if isinstance(batch, arrow.Table):
        return batch
    if isinstance(batch, pd.DataFrame):
        return arrow.Table.from_pandas(batch, preserve_index=False)
    if isinstance(batch, Mapping):
        arrays = {n: np.asarray(v) if isinstance(v, list) else v for n, v in batch.items()}
        return arrow.table(arrays)
    return nw.from_native(batch, eager_only=True).to_arrow()
