"""Tables for users of polars and pyarrow."""

from __future__ import annotations

from typing import Any, Literal

import narwhals as nw
import pandas as pd

from lmmformula.design.sources import closest_name
from lmmformula.errors import DataError, OptionError

__all__ = ["as_frame"]

EXTRAS = {"pandas": "", "polars": "polars", "pyarrow": "arrow"}
"""Kinds of frames, and the extra that each needs."""


def as_frame(
    table: Any,
    backend: Literal["pandas", "polars", "pyarrow"] = "polars",
    *,
    index: str | list[str] | None = None,
) -> Any:
    """Return a table of this package as a polars or pyarrow one.

    Everything in this package returns pandas; this is the one way out of it.

    Parameters
    ----------
    table : DataFrame, Series, or anything with ``to_frame()`` or ``frame``
        ``fit.params``, ``fit.tidy()``, ``fit.varcorr``, ``fit.summary()``,
        ``fit.marginal_means("store")``, ``fit.profile()``, ...
    backend : {"polars", "pyarrow", "pandas"}
        The kind of frame. "pandas" moves the index into columns as the others do.
    index : str or list of str, optional
        Name of the column that takes the index. Default: the index's own name, or "term". An index
        that only numbers the rows is left out, unless a name is given.

    Returns
    -------
    polars.DataFrame, pyarrow.Table or pandas.DataFrame
        Values that are missing are null. Categories stay categories.

    Raises
    ------
    OptionError
        The package of the backend is not installed, or is not one of these.
    DataError
        ``table`` is no table.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> frame = lf.as_frame(fit.params, "polars")
    >>> frame.columns, frame["term"].to_list()
    (['term', 'params'], ['Intercept', 'Days'])
    >>> lf.as_frame(fit.varcorr, "pyarrow").column_names
    ['grp', 'var1', 'var2', 'vcov', 'sdcor']
    """
    _check_backend(backend)
    flat = _flat(_pandas(table), index)
    if backend == "pandas":
        return flat
    # By columns: a conversion of the whole frame to polars would need pyarrow for text.
    columns = {str(name): _values(flat.iloc[:, j]) for j, name in enumerate(flat.columns)}
    made = nw.from_dict(columns, backend=backend)
    categories = [str(name) for name, kind in flat.dtypes.items() if str(kind) == "category"]
    made = made.with_columns(nw.col(name).cast(nw.Categorical()) for name in categories)
    return made.to_native()


def _check_backend(backend: str) -> None:
    if backend not in EXTRAS:
        closest = closest_name(str(backend), tuple(EXTRAS)) or "polars"
        raise OptionError(
            f"`backend={backend!r}` is not a kind of frame.",
            got=f"available: {', '.join(EXTRAS)}",
            suggestion=f"`backend={closest!r}`",
            option="backend",
            available=tuple(EXTRAS),
        )
    from importlib.util import find_spec

    if find_spec(backend) is None:
        raise OptionError(
            f"the package `{backend}` is not installed.",
            got=f"`backend={backend!r}`",
            suggestion=f'`pip install "lmmformula[{EXTRAS[backend]}]"`',
            package=backend,
            extra=EXTRAS[backend],
        )


def _pandas(table: Any) -> pd.DataFrame:
    """The table as the package makes it."""
    found = table
    if not isinstance(found, pd.DataFrame | pd.Series):
        if callable(getattr(found, "to_frame", None)):
            found = found.to_frame()
        else:
            found = getattr(found, "frame", None)
    if isinstance(found, pd.Series):
        return found.to_frame(found.name if found.name is not None else "value")
    if isinstance(found, pd.DataFrame):
        return found
    raise DataError(
        "this is not a table.",
        got=f"an object of type {type(table).__name__}",
        suggestion="`fit.tidy()`, `fit.params`, `fit.random_effects['Subject']`, "
        "`fit.marginal_means('store')`",
        kind=type(table).__name__,
    )


def _flat(frame: pd.DataFrame, index: str | list[str] | None) -> pd.DataFrame:
    """Move the index into columns, where it says something."""
    own = frame.index
    if index is None and isinstance(own, pd.RangeIndex) and own.name is None:
        return frame.reset_index(drop=True)
    given = [index] if isinstance(index, str) else index
    names: list[Any] = list(given or own.names)
    if len(names) != own.nlevels:
        raise OptionError(
            "`index` needs one name for every level of the index.",
            got=f"{names} for {own.nlevels} levels",
            suggestion="leave it out for the index's own names",
            option="index",
        )
    plain = "term" if len(names) == 1 else "level_{}"
    names = [plain.format(j) if name is None else name for j, name in enumerate(names)]
    taken = [name for name in names if name in frame.columns]
    if taken:
        raise OptionError(
            f"the index cannot become the column `{taken[0]}`: the table has one.",
            got=f"columns {', '.join(map(str, frame.columns))}",
            suggestion='`index="row"`',
            option="index",
        )
    return frame.reset_index(names=names)


def _values(column: pd.Series) -> Any:
    """Values of one column as both kinds of frame take them; None where missing."""
    is_numpy = not hasattr(column.dtype, "na_value") and column.dtype.kind in "iufbM"
    if is_numpy and not column.isna().any():
        return column.to_numpy()
    return [None if pd.isna(value) else value for value in column.tolist()]
