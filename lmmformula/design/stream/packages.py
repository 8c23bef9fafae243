"""Packages that only some kinds of data need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lmmformula.errors import OptionError

__all__ = ["required"]

EXTRAS = {"pyarrow": "arrow", "polars": "polars", "duckdb": "duckdb", "dask": "dask"}
"""The extra that brings a package."""


def required(module: str, what: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        ``"pyarrow.parquet"``.
    what : str
        What needs it: ``"reading Parquet files"``.

    Raises
    ------
    OptionError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".", maxsplit=1)[0]
        raise OptionError(
            f"{what} needs the package `{package}`, which is not installed.",
            got=str(error),
            suggestion=f'`pip install "lmmformula[{EXTRAS[package]}]"`',
            package=package,
            extra=EXTRAS[package],
        ) from error
