"""Confidence intervals that are not an estimate plus and minus a multiple of its error."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.inference.effects.df import DF_METHODS, check_method

__all__ = ["OTHER_INTERVALS", "check_options", "other_interval"]


def profile(results: Any, alpha: float, options: Mapping[str, Any]) -> pd.DataFrame:
    """Profile likelihood."""
    limits: pd.DataFrame = results.profile(**options).conf_int(alpha=alpha)
    return limits


def boot(results: Any, alpha: float, options: Mapping[str, Any]) -> pd.DataFrame:
    """Bootstrap, by default percentiles of 1000 parametric replicates."""
    arguments = {"n": 1000, "seed": 0, **options}
    limits: pd.DataFrame = results.bootstrap(**arguments).conf_int(alpha=alpha)
    return limits


def other_interval(
    results: Any, method: str, alpha: float, options: Mapping[str, Any]
) -> pd.DataFrame:
    """Limits by a method that is not in ``DF_METHODS``.

    Parameters
    ----------
    results : LinearMixedResults
        The fit.
    method : str
        A key of ``OTHER_INTERVALS``.
    alpha : float
        One less the level.
    options : mapping
        Arguments of the method.
    """
    offered = tuple(name for name, (needs, _) in OTHER_INTERVALS.items() if hasattr(results, needs))
    if method in DF_METHODS or method not in offered:
        check_method(method, "method", offered)
    needs, compute = OTHER_INTERVALS[method]
    check_options(options, method, tuple(inspect.signature(getattr(results, needs)).parameters))
    return compute(results, alpha, options)


def check_options(options: Mapping[str, Any], method: str, available: tuple[str, ...] = ()) -> None:
    """Raise for arguments of ``conf_int`` that its method does not have."""
    for name in options:
        if name not in available:
            raise OptionError(
                f"`conf_int(method={method!r})` has no argument `{name}`.",
                got=f"`{name}={options[name]!r:.60}`; "
                f"arguments: {', '.join(('alpha', 'method', *available))}",
                suggestion=f"leave `{name}` out",
                option=name,
                available=available,
            )


OTHER_INTERVALS: dict[str, tuple[str, Callable[[Any, float, Mapping[str, Any]], pd.DataFrame]]] = {
    "profile": ("profile", profile),
    "boot": ("bootstrap", boot),
}
