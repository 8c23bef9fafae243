"""A partitioned system, from partitions that are already where they will stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lmmformula.engine.basis import WorkingBasis, learn_basis
from lmmformula.engine.layout import FactorLayout, factor_layouts
from lmmformula.engine.partitioned.mapping import InProcess, Mapper, Pooled, added
from lmmformula.engine.partitioned.parts import (
    Arrange,
    MomentsAt,
    Totals,
    check_whole_groups,
    sums_of_part,
    turned_by,
)
from lmmformula.engine.partitioned.system import PartitionedSystem
from lmmformula.engine.summation import DataSums, check_residual, rebased
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import DesignError
from lmmformula.matrices import ModelMatrices

__all__ = ["partitioned", "system_of"]

REMEDY = "divide the rows so that every level of `{group}` is in one piece"


def partitioned(
    parts: Sequence[ModelMatrices],
    run: Callable[..., Any] | None = None,
    basis: WorkingBasis | None = None,
) -> PartitionedSystem:
    """Sum up partitions that are held in this process.

    Parameters
    ----------
    parts : sequence of ModelMatrices
        Pieces of one design, with codes and levels of the whole; every group in one of them.
    run : callable, optional
        ``run(function, partitions)`` spreads an evaluation over workers, such as the ``map`` of a
        ``ThreadPoolExecutor``.
    basis : WorkingBasis, optional
        By default learned from the first piece that has rows.

    Raises
    ------
    DesignError
        No rows, a group in two pieces, grouping factors that cross, related levels.
    """
    filled = [part for part in parts if part.n_obs]
    if not filled:
        raise DesignError("there are no rows to fit.", suggestion="check `subset`")
    check_can_divide(filled[0])
    layouts = factor_layouts(filled[0])
    basis = learn_basis(filled[0]) if basis is None else basis
    local = [sums_of_part(part, basis, layouts) for part in parts]
    labels = {block.group: block.levels for block in filled[0].random}
    check_whole_groups([part.levels for part in local], labels, REMEDY)
    totals = added([Totals.of(part, filled[0].p) for part in local])
    sums = rebased(totals.as_sums(layouts, basis))
    with limited_threads():
        arranged = list(map(Arrange(turned_by(sums), sums.basis), local))
    mapper = InProcess(arranged) if run is None else Pooled(arranged, run)
    return system_of(mapper, layouts, sums)


def check_can_divide(matrices: ModelMatrices) -> None:
    """Raise where the model is none of groups that are independent of each other."""
    related = [block.text for block in matrices.random if block.relationship is not None]
    cause = f"`{related[0]}` has related levels" if related else None
    if matrices.residual is not None:
        cause = f"`{matrices.residual.text}` has parameters that act on rows"
    if not matrices.random:
        cause = "the model has no random effects"
    if cause is not None:
        raise DesignError(
            "a fit over partitions is for independent groups and independent residuals.",
            got=cause,
            suggestion='`fit(method="exact")`',
        )


def system_of(
    mapper: Mapper, layouts: tuple[FactorLayout, ...], sums: DataSums
) -> PartitionedSystem:
    """A system over arranged partitions.

    Parameters
    ----------
    mapper : Mapper
        Reaches the partitions, which are in the columns of ``sums``.
    layouts : tuple of FactorLayout
        Over all levels.
    sums : DataSums
        The totals in these columns.
    """
    total = sums.total
    check_residual(total.xy, total.n_obs)
    n_directions = sum(len(layout.moment_directions) for layout in layouts)
    moments = mapper(MomentsAt(n_directions, len(total.xy) - 1))
    return PartitionedSystem(
        mapper, layouts, sums.basis, total.xy, total.n_obs, total.log_weights, moments
    )
