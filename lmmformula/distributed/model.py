"""A model of a Dask DataFrame: sums in the driver, or partitions that stay on the workers."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from lmmformula._memory import available_memory
from lmmformula.design.stream.readers import DaskStream
from lmmformula.design.stream.streamed import stream_design
from lmmformula.distributed.data import DaskData
from lmmformula.distributed.design import DaskDesign
from lmmformula.engine import AnySystem, DataSums
from lmmformula.engine.layout import FactorLayout, factor_layouts
from lmmformula.errors import DesignError
from lmmformula.formula import MixedFormula
from lmmformula.model import LinearMixedModel
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.progress import Progress, progress_bar

__all__ = ["DaskModel", "dask_model"]

_LOG = logging.getLogger("lmmformula")
PARTITIONED = "partitioned"
SHARE = 0.5
"""Share of the driver's memory that a fit of all sums may take."""


class DaskModel(LinearMixedModel):
    """A linear mixed model of data on the workers of a cluster.

    The sums of every partition stay with the workers. A fit asks for all of them together, or,
    by ``method="partitioned"``, asks the partitions at every evaluation. Without ``method`` the
    latter is chosen where the former would take too much of this process's memory.

    Parameters
    ----------
    divided : DaskDesign
        Whose rows have been summed.
    method : str, optional
        As for ``fit``.
    """

    def __init__(self, divided: DaskDesign, method: str | None = None) -> None:
        fingerprint = Fingerprint(divided.n_rows_data, divided.n_obs, *divided.digests)
        super().__init__(
            divided.finish(), fingerprint=fingerprint, method=method, stream=divided.stream
        )
        self._divided = divided

    @cached_property
    def any_system(self) -> AnySystem:
        """The data in the engine that fits the model, built on first use, shared by all fits."""
        if self.method == PARTITIONED:
            return self._divided.partitioned
        if self.method is None and self._is_too_large():
            try:
                return self._divided.partitioned
            except DesignError as error:
                _LOG.info("the partitions cannot be fitted as they are: %s", error.message)
        return super().any_system

    def _is_too_large(self) -> bool:
        layouts = factor_layouts(self.design.matrices)
        needed, available = fit_bytes(layouts, self.design.matrices.p), available_memory()
        if available is None or needed <= SHARE * available:
            return False
        _LOG.info(
            "a fit of all sums together would take about %.1f GB and %.1f GB are available: every "
            "evaluation goes to the partitions",
            needed / 1e9,
            available / 1e9,
        )
        return True

    @cached_property
    def sums(self) -> DataSums:
        """Sums over all rows, brought to this process when first asked for."""
        return self._divided.together()

    def _sums(self) -> DataSums:
        return self.sums

    @property
    def is_streamed(self) -> bool:
        """The data came in pieces."""
        return True

    def _like(self, method: str | None) -> LinearMixedModel:
        return DaskModel(self._divided, method)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.setdefault("any_system", self.any_system)
        state.pop("_divided")
        state.pop("_others", None)
        return state


def dask_model(
    formula: MixedFormula, stream: DaskStream, *, progress: Progress = None, **options: Any
) -> DaskModel:
    """Sum the rows of a Dask DataFrame where they are.

    Parameters
    ----------
    formula : MixedFormula
        A parsed formula.
    stream : DaskStream
        The data.
    progress : bool or callable, optional
        As for ``lmm``; partitions are counted.
    **options
        As for ``stream_design``.
    """
    data = DaskData.of(stream)
    divided = stream_design(formula, data, made=DaskDesign, **options)
    assert isinstance(divided, DaskDesign)
    count = data.n_partitions
    with progress_bar(progress, count, f"reading {data.description}", "partitions") as advance:
        divided.sum_up(advance)
    return DaskModel(divided)


def fit_bytes(layouts: tuple[FactorLayout, ...], p: int) -> float:
    """About how much memory an evaluation of all levels takes.

    Sums, and what elimination and derivatives make of them: some ten blocks of k by k and five of
    k by p + 1 for each level; nested factors meet once per level.
    """
    total = 0.0
    for layout in layouts:
        k = layout.k
        total += layout.n_levels * (10.0 * k * k + 5.0 * k * (p + 1))
    widths = sum(layout.k for layout in layouts)
    return 8.0 * (total + 3.0 * layouts[0].n_levels * layouts[0].k * (widths - layouts[0].k))
