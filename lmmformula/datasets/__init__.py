"""Small, well-known data sets that come with the package.

Page: ``docs/data.md``.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import as_file, files

import pandas as pd

from lmmformula.datasets.catalog import CATALOG, LEFT_OUT, Dataset, Factor
from lmmformula.datasets.csv import read_csv
from lmmformula.errors import OptionError

__all__ = ["list_datasets", "load_dataset"]


def load_dataset(name: str) -> pd.DataFrame:
    """Load a bundled data set.

    Parameters
    ----------
    name : str
        Name of the data set, in any case; :func:`list_datasets` has them all.

    Returns
    -------
    DataFrame
        A fresh frame with R's column names; factors are categoricals with R's order of levels.

    Raises
    ------
    OptionError
        There is no such data set.

    Examples
    --------
    >>> from lmmformula import load_dataset
    >>> load_dataset("dyestuff").head(3)
      Batch   Yield
    0     A  1545.0
    1     A  1440.0
    2     A  1440.0
    """
    dataset = _find(name)
    with as_file(files(__name__).joinpath("data", dataset.file)) as path:
        data = read_csv(path, dtype=dict.fromkeys(dataset.factors, "category"))
    for column, factor in dataset.factors.items():
        data[column] = _with_levels(data[column], factor)
    return data.astype(dict.fromkeys(dataset.floats, "float64"))


def list_datasets() -> pd.DataFrame:
    """List the bundled data sets.

    Returns
    -------
    DataFrame
        Columns ``name, rows, description, origin, licence``. ``attrs["left_out"]`` maps
        well-known data sets that are not bundled to the reason.

    Examples
    --------
    >>> from lmmformula import list_datasets
    >>> list_datasets()[["name", "rows"]].head(2)
             name  rows
    0  sleepstudy   180
    1    dyestuff    30
    """
    columns = ["name", "rows", "description", "origin", "licence"]
    table = pd.DataFrame(
        [[getattr(dataset, column) for column in columns] for dataset in CATALOG.values()],
        columns=columns,
    )
    table.attrs["left_out"] = dict(LEFT_OUT)
    return table


def _find(name: str) -> Dataset:
    """Look up a record; the error offers the nearest name."""
    key = name.strip().lower() if isinstance(name, str) else repr(name)
    if key in CATALOG:
        return CATALOG[key]
    if key in LEFT_OUT:
        raise OptionError(
            f"the data set `{name}` is not bundled.",
            got=LEFT_OUT[key],
            suggestion="load your own copy with pandas; `list_datasets()` has the bundled ones.",
            value=name,
            available=tuple(CATALOG),
        )
    nearest = get_close_matches(key, CATALOG, n=1, cutoff=0.5)
    raise OptionError(
        f"there is no bundled data set called `{name}`.",
        got=f"`{name}`; available are {', '.join(CATALOG)}.",
        suggestion=f'`load_dataset("{nearest[0]}")`.' if nearest else "`list_datasets()`.",
        value=name,
        nearest=nearest[0] if nearest else None,
        available=tuple(CATALOG),
    )


def _with_levels(column: pd.Series, factor: Factor) -> pd.Series:
    """Give a parsed categorical string labels in R's order of levels."""
    labelled = column.cat.rename_categories([str(value) for value in column.cat.categories])
    levels = factor.levels or sorted(labelled.cat.categories, key=int)
    return labelled.cat.set_categories(list(levels), ordered=factor.ordered)
