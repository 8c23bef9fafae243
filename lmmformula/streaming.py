"""A model of data in pieces: the passes over the rows, made when the model is built.

Afterwards nothing touches the data again: fits, tests and comparisons work on the sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lmmformula.design.stream.prefetch import prefetched
from lmmformula.design.stream.readers import DaskStream
from lmmformula.design.stream.stream import Stream
from lmmformula.design.stream.streamed import stream_design
from lmmformula.distributed.model import dask_model
from lmmformula.engine import DataSums, sum_products
from lmmformula.engine.summation import only_levels, rebased, without_columns
from lmmformula.formula import MixedFormula
from lmmformula.matrices import ModelMatrices
from lmmformula.model import LinearMixedModel
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.progress import Progress, progress_bar

__all__ = ["streamed_model"]


def _summed_beside(chunks: Iterable[ModelMatrices]) -> DataSums:
    """Sums of chunks, each of which is encoded while the one before is summed."""
    return sum_products(prefetched(iter(chunks)))


def streamed_model(
    formula: MixedFormula, stream: Stream, *, progress: Progress = None, **options: Any
) -> LinearMixedModel:
    """Sum the rows of a stream into a model.

    Parameters
    ----------
    formula : MixedFormula
        A parsed formula.
    stream : Stream
        The data.
    progress : bool or callable, optional
        As for ``lmm``.
    **options
        As for ``stream_design``.
    """
    if isinstance(stream, DaskStream):
        return dask_model(formula, stream, progress=progress, **options)
    streamed = stream_design(formula, stream, **options)
    with progress_bar(progress, stream.n_rows, f"reading {stream.description}", "rows") as advance:
        sums = streamed.summed(_summed_beside, advance)
    sums = only_levels(sums, streamed.kept_levels)
    sums = without_columns(sums, streamed.kept, streamed.dropped, streamed.coefficients)
    fingerprint = Fingerprint(streamed.n_rows_data, streamed.n_obs, *streamed.digests)
    return LinearMixedModel(
        streamed.finish(), sums=rebased(sums), fingerprint=fingerprint, stream=stream
    )
