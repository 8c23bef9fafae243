"""Results without their rows, and results on disk."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lmmformula.design import Design
from lmmformula.errors import DataError
from lmmformula.matrices import ResidualRows

__all__ = ["dump", "missing_rows", "read", "without_rows"]

_MAGIC = b"lmmformula results 1\n"


def without_rows(design: Design) -> Design:
    """Drop every array with one entry per row; names, levels and encodings stay."""
    m = design.matrices
    nothing = np.empty(0)
    matrices = replace(
        m,
        y=nothing,
        X=np.empty((0, m.p)),
        random=tuple(
            replace(block, z=np.empty((0, block.n_effects)), codes=np.empty(0, dtype=np.int32))
            for block in m.random
        ),
        weights=None if m.weights is None else nothing,
        offset=None if m.offset is None else nothing,
        rows=np.empty(0, dtype=np.int64),
        residual=None if m.residual is None else _emptied(m.residual),
    )
    spec = replace(design.spec, index=design.spec.index.take([]))
    return replace(design, matrices=matrices, spec=spec)


def _emptied(residual: ResidualRows) -> ResidualRows:
    none = np.empty(0, dtype=np.int32)
    variances = tuple(
        replace(rows, codes=none, covariate=None if rows.covariate is None else np.empty(0))
        for rows in residual.variances
    )
    return replace(residual, codes=none, positions=np.empty(0), variances=variances)


def missing_rows(what: str, *, streamed: bool = False) -> DataError:
    """Build the error for a result that was kept without its rows, or never had them."""
    if streamed:
        return DataError(
            f"{what} needs the rows of the data, which were read in pieces and are not kept.",
            got="a model of data in pieces",
            suggestion="`augment(to=...)` goes through them again for fitted values, residuals and "
            "leverages, `predict(source)` for predictions; for anything else fit a table in memory",
            needs=what,
        )
    return DataError(
        f"{what} needs the rows of the data, and this result was kept without them.",
        got="`keep_data=False`",
        suggestion="fit or save with `keep_data=True`; `augment(data)` and `predict(newdata)` work "
        "without",
        needs=what,
    )


def dump(results: Any, path: str | os.PathLike[str]) -> None:
    """Write a result to a file."""
    with Path(path).open("wb") as file:
        file.write(_MAGIC)
        pickle.dump(results, file, protocol=pickle.HIGHEST_PROTOCOL)


def read(path: str | os.PathLike[str]) -> Any:
    """Read a result from a file that ``dump`` wrote."""
    with Path(path).open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DataError(
                f"`{Path(path).name}` is not a saved result of this package.",
                got="a file without its mark",
                suggestion="`results.save(path)` writes one",
                path=str(path),
            )
        return pickle.load(file)
