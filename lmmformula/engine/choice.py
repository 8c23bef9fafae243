"""Which engine fits a model: one name for each, and how each is built from the sums."""

from __future__ import annotations

from lmmformula.engine.alternative import AnySystem
from lmmformula.engine.krylov import KrylovSystem
from lmmformula.engine.method import SMALL_TAIL, Plan, layout_for, plan
from lmmformula.engine.summation import DataSums
from lmmformula.engine.system import arranged
from lmmformula.errors import OptionError

__all__ = ["METHODS", "build", "check_method", "needed_plan"]

METHODS = ("exact", "blocks", "dense", "sparse", "krylov", "partitioned")
"""Names for ``fit(method=)``."""


def check_method(method: str | None) -> None:
    """Raise unless a method is known."""
    if method is None or method in METHODS:
        return
    raise OptionError(
        f"`method={method!r}` is not an engine.",
        got=f"available: {', '.join(METHODS)}",
        suggestion='leave `method` out, or `method="krylov"`',
        option="method",
        available=METHODS,
    )


def needed_plan(sums: DataSums) -> Plan | None:
    """The plan of a model that has a choice; None where the tail is too small for one."""
    tail = sum(layout.n_columns for layout in sums.layouts[1:])
    return plan(sums) if tail > SMALL_TAIL else None


def build(sums: DataSums, method: str | None, found: Plan | None = None) -> AnySystem:
    """Arrange sums over rows for an engine.

    Parameters
    ----------
    sums : DataSums
    method : str or None
        One of ``METHODS``; None for the plan's choice.
    found : Plan, optional
        What to go by without a method; by default the exact engine, however large.

    Raises
    ------
    OptionError
        The engine needs data of another kind.
    DesignError
        X reproduces the response, or the blocks of an exact engine would not fit in memory.
    """
    if method == "partitioned":
        raise OptionError(
            '`method="partitioned"` leaves the sums with the workers that made them, and here '
            "they are together.",
            got="data of this process",
            suggestion="a Dask DataFrame as data, or leave `method` out",
            option="method",
        )
    if method is None and found is not None:
        if found.method != "krylov":
            return arranged(sums, found.layout)
        method = found.method
    return KrylovSystem.of(sums) if method == "krylov" else arranged(sums, layout_for(sums, method))
