"""Records of a design as JSON and back: the fields of known classes, nothing executable.

Numbers keep every bit (a float's shortest decimal form names it exactly), tuples are lists, and
what JSON has no word for is an object with the key ``$``: ``{"$": "set", "items": ["a", "b"]}``.
To add a class that designs hold: a name in ``RECORDS``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.errors import DataError

__all__ = ["RECORDS", "Unwritable", "decode", "encode"]

TAG = "$"

RECORDS: dict[str, tuple[str, ...]] = {
    "lmmformula.design.encode": ("Aliased", "Encoding", "FactorLevels", "Piece"),
    "lmmformula.design.grouping": ("GroupCoding",),
    "lmmformula.design.places": ("Places",),
    "lmmformula.design.predictors": ("Predictor", "Predictors"),
    "lmmformula.design.relationship": ("RelatedLevels",),
    "lmmformula.design.residual": ("ResidualSpec",),
    "lmmformula.design.spec": ("Design", "DesignSpec", "FixedTerm", "RandomSpec"),
    "lmmformula.design.terms": ("FormulaPart", "PartTerm"),
    "lmmformula.formula.residual": ("ResidualFormula", "ResidualTerm"),
    "lmmformula.formula.terms": ("Atom", "MixedFormula", "RandomTerm"),
    "lmmformula.formula.variance": ("VarianceTerm",),
    "lmmformula.matrices": ("ModelMatrices", "RandomBlock", "ResidualRows", "VarianceRows"),
}
"""Classes of records that can be written, by module."""

CODINGS = "formulaic.transforms.contrasts"
"""Codings of factors are objects of this module, with attributes of plain kinds."""

_HOMES = {name: module for module, names in RECORDS.items() for name in names}


class Unwritable(Exception):  # noqa: N818 - a fact that the caller records, not a failure
    """An object that has no form in JSON; the argument says which."""


def encode(value: Any) -> Any:
    """Return what ``json`` can write.

    Parameters
    ----------
    value : object
        A record of ``RECORDS``, or what such records hold.

    Raises
    ------
    Unwritable
        Something in it is of no known kind.

    Examples
    --------
    >>> import numpy as np
    >>> encode(np.array([0.1, np.inf]))
    {'$': 'array', 'dtype': 'float64', 'shape': [2], 'values': [0.1, 'inf']}
    >>> decode(encode((1, frozenset({"a"}))))
    (1, frozenset({'a'}))
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int | float | np.number | np.bool_):
        return _encode_number(value)
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, list | set | frozenset):
        kind = "list" if isinstance(value, list) else "set"
        items = value if isinstance(value, list) else sorted(value)
        return {TAG: kind, "items": [encode(item) for item in items]}
    if isinstance(value, Mapping):
        return {TAG: "dict", "items": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, pd.Timestamp | np.datetime64):
        return {TAG: "time", "value": pd.Timestamp(value).isoformat()}
    if isinstance(value, pd.RangeIndex):
        return {TAG: "rows", "count": len(value)}
    return _encode_object(value)


def _encode_number(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return {TAG: "float", "value": str(plain)}
    if isinstance(plain, bool | int | float):
        return plain
    raise Unwritable(f"a number of type {type(value).__name__}")


def _encode_array(array: Any) -> dict[str, Any]:
    kind = array.dtype.kind
    if kind in "fiub":
        name = str(array.dtype)
        values = [
            x if not isinstance(x, float) or math.isfinite(x) else str(x)
            for x in array.ravel().tolist()
        ]
    elif kind in "UO" and all(isinstance(item, str) for item in array.ravel().tolist()):
        name, values = ("str" if kind == "U" else "object"), array.ravel().tolist()
    else:
        raise Unwritable(f"an array of type {array.dtype}")
    return {TAG: "array", "dtype": name, "shape": list(array.shape), "values": values}


def _encode_object(value: Any) -> dict[str, Any]:
    kind = type(value)
    if is_dataclass(value) and _HOMES.get(kind.__name__) == kind.__module__:
        own = {item.name: encode(getattr(value, item.name)) for item in fields(value)}
        return {TAG: kind.__name__, **own}
    if kind.__module__ == CODINGS and kind.__name__.endswith("Contrasts"):
        from formulaic.utils.sentinels import UNSET

        own = {name: encode(part) for name, part in vars(value).items() if part is not UNSET}
        return {TAG: "coding", "kind": kind.__name__, "attributes": own}
    raise Unwritable(f"an object of type {kind.__module__}.{kind.__qualname__}")


def decode(value: Any) -> Any:
    """Return what ``encode`` was given.

    Parameters
    ----------
    value : object
        As ``json`` read it.

    Raises
    ------
    DataError
        It is not what ``encode`` writes.
    """
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    try:
        tag = value[TAG]
        if tag in _HOMES:
            own = {name: decode(part) for name, part in value.items() if name != TAG}
            return getattr(import_module(_HOMES[tag]), tag)(**own)
        return _PLAIN[tag](value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            "the encoding in this file cannot be read.",
            got=f"an entry {str(value)[:60]}... ({type(error).__name__}: {error})",
            suggestion="write the file again with this version: `results.to_json(path)`",
        ) from error


def _decode_array(value: Mapping[str, Any]) -> Any:
    kind = {"str": np.str_, "object": object}.get(value["dtype"], value["dtype"])
    return np.array(value["values"], dtype=kind).reshape(value["shape"])


def _decode_coding(value: Mapping[str, Any]) -> Any:
    name = value["kind"]
    if not name.endswith("Contrasts"):
        raise ValueError(name)
    kind = getattr(import_module(CODINGS), name)
    made = kind.__new__(kind)
    made.__dict__.update({key: decode(part) for key, part in value["attributes"].items()})
    return made


_PLAIN: dict[str, Any] = {
    "array": _decode_array,
    "coding": _decode_coding,
    "dict": lambda value: {decode(k): decode(v) for k, v in value["items"]},
    "float": lambda value: float(value["value"]),
    "list": lambda value: [decode(item) for item in value["items"]],
    "rows": lambda value: pd.RangeIndex(value["count"]),
    "set": lambda value: frozenset(decode(item) for item in value["items"]),
    "time": lambda value: pd.Timestamp(value["value"]),
}
