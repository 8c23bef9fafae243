"""Whether values that a user gives for covariance parameters are in their ranges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import Correlated
from lmmformula.engine import AnySystem
from lmmformula.errors import OptionError

__all__ = ["check_ranges"]

SAME = 1e-6


def check_ranges(system: AnySystem, theta: FloatArray, name: str) -> None:
    """Raise where a correlation, a range or a ratio of standard deviations is out of its range.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    theta : ndarray, shape (n_theta,)
    name : str
        The argument that was given.

    Raises
    ------
    OptionError
        With the attributes ``argument`` and ``term``.
    """
    for text, names, values, scale in _parameters(system, theta):
        with np.errstate(all="ignore"):
            phi = scale.from_natural(values)
            wrong = ~(np.abs(scale.natural(phi) - values) <= SAME * (1.0 + np.abs(values)))
        wrong |= ~np.isfinite(phi)
        if wrong.any():
            which = int(np.argmax(wrong))
            raise OptionError(
                f"`{name}` holds a value that `{names[which]}` of `{text}` cannot have.",
                got=f"{names[which]} = {values[which]:g}",
                suggestion="correlations between -1 and 1, ranges and ratios above zero; "
                "`results.theta` has the order",
                argument=name,
                term=text,
            )


class _Scale(Protocol):
    def natural(self, phi: FloatArray) -> FloatArray: ...
    def from_natural(self, values: FloatArray) -> FloatArray: ...


_Found = tuple[str, tuple[str, ...], FloatArray, _Scale]


def _parameters(system: AnySystem, theta: FloatArray) -> Iterator[_Found]:
    """Natural parameters by term, and the scale that they are optimized on."""
    start = 0
    for term in system.terms:
        structure, stop = term.structure, start + term.structure.n_theta
        if isinstance(structure, Correlated):
            text = f"{structure.name}(... | {term.group})"
            own = theta[start + structure.n_sd : stop]
            yield text, structure.family.names, own, structure.family
        start = stop
    if system.residual is not None:
        covariance = system.residual.covariance
        text = " + ".join(
            [*filter(None, [covariance.rows.text]), *(v.text for v in covariance.rows.variances)]
        )
        yield text, covariance.names, theta[start:], covariance
