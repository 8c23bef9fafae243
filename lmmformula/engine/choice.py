"""Which engine fits a model: one name for each, and how each is built from the sums."""

from __future__ import annotations

from lmmformula.engine.alternative import AnySystem
from lmmformula.engine.krylov import KrylovSystem
from lmmformula.engine.method import SMALL_TAIL, layout_for, plan
from lmmformula.engine.summation import DataSums
from lmmformula.engine.system import arranged
from lmmformula.errors import OptionError

__all__ = ["METHODS", "build", "check_method"]

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


def build(sums: DataSums, method: str | None) -> AnySystem:
    """Arrange sums over rows for an engine.

    Parameters
    ----------
    sums : DataSums
    method : str or None
        One of ``METHODS``; None for the plan's choice.

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
    if method is None and sum(f.n_columns for f in sums.layouts[1:]) > SMALL_TAIL:
        found = plan(sums)
        if found.method != "krylov":
            return arranged(sums, found.layout)
        method = found.method
    return KrylovSystem.of(sums) if method == "krylov" else arranged(sums, layout_for(sums, method))
