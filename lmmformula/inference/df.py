"""Denominator degrees of freedom for tests on fixed effects: a registry of methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError

__all__ = ["DF_METHODS", "Inferable", "degrees_of_freedom"]

_PLANNED = ("satterthwaite", "kenward-roger")


class Inferable(Protocol):
    """What a method may ask of a result."""

    @property
    def n_fixed(self) -> int:
        """Number of fixed effects."""


DfMethod: TypeAlias = Callable[[Inferable, FloatArray], FloatArray]


def degrees_of_freedom(method: str, results: Inferable, contrasts: FloatArray) -> FloatArray:
    """Degrees of freedom of one test per row of ``contrasts``.

    Parameters
    ----------
    method : str
        A key of ``DF_METHODS``.
    results : LinearMixedResults
        The fit.
    contrasts : ndarray, shape (m, p)
        Coefficients of the tested combinations of fixed effects.

    Returns
    -------
    ndarray, shape (m,)
        Infinite where the test refers to the normal distribution.

    Raises
    ------
    OptionError
        The method is not known, or not part of this release.
    """
    check_method(method)
    return DF_METHODS[method](results, contrasts)


def check_method(method: str, argument: str = "ddf") -> None:
    """Raise unless ``method`` is registered."""
    if method in DF_METHODS:
        return
    available = tuple(DF_METHODS)
    if method in _PLANNED:
        sentence = f'`{argument}="{method}"` comes with a later release; this one has Wald tests.'
    else:
        sentence = f"`{argument}={method!r}` is not a method for degrees of freedom."
    raise OptionError(
        sentence,
        got=f"available: {', '.join(available)}",
        suggestion=f'`{argument}="wald"`',
        argument=argument,
        value=method,
        available=available,
    )


def wald(results: Inferable, contrasts: FloatArray) -> FloatArray:
    """Infinite degrees of freedom: the covariance parameters are taken as known."""
    return np.full(len(contrasts), np.inf)


DF_METHODS: dict[str, DfMethod] = {"wald": wald}
