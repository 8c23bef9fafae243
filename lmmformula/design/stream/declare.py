"""What the caller says about columns beforehand: ``schema=`` and ``levels=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
import pandas as pd

from lmmformula.design.sources import listed
from lmmformula.design.stream.arrow import kind_of
from lmmformula.design.stream.kinds import Expected, Kind
from lmmformula.design.stream.packages import required
from lmmformula.errors import OptionError

__all__ = ["declarations", "kind_in_pandas", "kind_in_polars"]

WORDS = tuple(word for word in get_args(Kind) if word != "nothing")
SCHEMA = "the schema"


def declarations(
    schema: Any, levels: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Sequence[Any]], dict[str, Expected]]:
    """Return declared levels, and kinds of columns.

    Parameters
    ----------
    schema : mapping of str to type, pyarrow.Schema, or None
    levels : mapping of str to sequence

    Raises
    ------
    OptionError
        A type is not understood, or levels are not a sequence.
    """
    for name, values in levels.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise OptionError(
                f"the levels of `{name}` must be a list.",
                got=f"{values!r}",
                suggestion=f"`levels={{{name!r}: ['a', 'b']}}`",
                column=name,
            )
    found: dict[str, Sequence[Any]] = {
        name: _listed_levels(values) for name, values in levels.items()
    }
    kinds: dict[str, Expected] = {}
    for name, given in _types(schema):
        known, kind = _understood(name, given)
        if known is not None:
            found.setdefault(name, known)
        elif kind is not None and name not in found:
            kinds[name] = Expected(kind, str(given), SCHEMA)
    return found, kinds


def _types(schema: Any) -> list[tuple[str, Any]]:
    if schema is None:
        return []
    if isinstance(schema, Mapping):  # a polars schema is one
        return list(schema.items())
    if type(schema).__module__.startswith("pyarrow") and hasattr(schema, "names"):
        return [(name, schema.field(name)) for name in schema.names]
    raise OptionError(
        "`schema` must be a mapping of columns to types.",
        got=f"an object of type {type(schema).__name__}",
        suggestion=f"`schema={{'y': 'numbers', 'g': 'text'}}`; types: {', '.join(WORDS)}",
        argument="schema",
    )


def _understood(name: str, given: Any) -> tuple[Sequence[Any] | None, Kind | None]:
    """Levels or a kind from any way to write a type."""
    if isinstance(given, str) and given in WORDS:
        return None, cast(Kind, given)
    if isinstance(given, (list, tuple, pd.Index)):
        return _listed_levels(given), None
    if isinstance(given, pd.CategoricalDtype):
        levels = given.categories
        return (None, "categories") if levels is None else (levels.tolist(), None)
    module = type(given).__module__
    if module.startswith("pyarrow"):
        is_field = type(given).__name__ == "Field"
        field = given if is_field else required("pyarrow", "Arrow types").field(name, given)
        kind = kind_of(field)
        return None, None if kind in ("other", "nothing") else cast(Kind, kind)
    if module.startswith("polars") or getattr(given, "__module__", "").startswith("polars"):
        return _from_polars(given)
    return None, _from_numpy(name, given)


def _from_polars(given: Any) -> tuple[Sequence[Any] | None, Kind | None]:
    polars = required("polars", "polars types")
    if isinstance(given, polars.Enum):
        return given.categories.to_list(), None
    return None, kind_in_polars(given)


def kind_in_polars(given: Any) -> Kind | None:
    """Return what a column of a polars type is; None for types of no use."""
    polars = required("polars", "polars types")
    if given == polars.Boolean:
        return "logical"
    if given in (polars.String, polars.Categorical):
        return "text"
    if given == polars.Enum:
        return "categories"
    if given.is_numeric():
        return "numbers"
    return "times" if given.is_temporal() else None


def _from_numpy(name: str, given: Any) -> Kind:
    try:
        dtype = pd.api.types.pandas_dtype(str if given == "string" else given)
    except TypeError as error:
        raise OptionError(
            f"the schema has a type for `{name}` that is not understood.",
            got=f"{given!r}",
            suggestion=listed([repr(word) for word in WORDS]) + ", or a list of levels",
            column=name,
        ) from error
    return kind_in_pandas(dtype)


def kind_in_pandas(dtype: Any) -> Kind:
    """Return what a column of a pandas or NumPy type is; objects count as text."""
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    kinds: dict[str, Kind] = {"b": "logical", "M": "times", "m": "times"}
    return kinds.get(kind, "numbers" if kind in "iuf" else "text")


def _listed_levels(values: Any) -> list[Any]:
    if isinstance(values, (np.ndarray, pd.Index, pd.Series)):
        return list(values.tolist())
    return list(values.to_list() if hasattr(values, "to_list") else values)
