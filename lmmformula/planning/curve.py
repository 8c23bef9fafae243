"""Power as a function of the size of a study, or of what it should find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError
from lmmformula.planning.power import Power, power
from lmmformula.planning.tables import curve_table
from lmmformula.report.drawn import Drawn
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render

__all__ = ["PowerCurve", "power_curve"]

CALL = 'lf.power_curve(results, "Days", 1000, seed=1, levels={"Subject": [20, 40, 60]})'


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PowerCurve(Drawn, Printed):
    """Power at several sizes.

    Attributes
    ----------
    along : str
        What varies: a grouping factor, a cell or a parameter.
    values : tuple
        Its values.
    results : tuple of Power
        What ``lf.power`` gives at each.
    """

    _picture: ClassVar[str] = "power"

    along: str
    values: tuple[Any, ...]
    results: tuple[Power, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per value: the value, then ``nobs, power, lower, upper, n_failed``."""
        rows = [
            (value, r.nobs, r.power, r.lower, r.upper, r.n_failed)
            for value, r in zip(self.values, self.results, strict=True)
        ]
        return pd.DataFrame(
            rows, columns=[self.along, "nobs", "power", "lower", "upper", "n_failed"]
        )

    def smallest(self, power: float = 0.8) -> Any:
        """Smallest of the values at which the estimated power suffices; None if it does nowhere."""
        enough = [v for v, r in zip(self.values, self.results, strict=True) if r.power >= power]
        return min(enough, default=None)

    def _write(self, medium: Medium) -> str:
        one = self.results[0]
        return render(
            curve_table(self.along, self.to_frame(), one.term, one.test, one.alpha), medium
        )


def power_curve(
    model: Any,
    term: Any,
    n_sim: int = 1000,
    seed: Any = None,
    *,
    levels: Mapping[str, Any] | None = None,
    within: Mapping[str, Any] | None = None,
    effect: Any = None,
    varcorr: Mapping[str, Any] | None = None,
    sigma: Any = None,
    residuals: Mapping[str, Any] | None = None,
    **options: Any,
) -> PowerCurve:
    """Power at several sizes of a study, or for several effects.

    Parameters
    ----------
    model, term, n_sim, seed
        As for ``lf.power``; every point is what ``lf.power`` gives with this seed.
    levels, within, effect, varcorr, sigma, residuals
        As for ``lf.power``, one of them with a list of values in place of a number:
        ``levels={"Subject": [20, 40, 60]}``, ``effect=[2, 4, 6]``.
    **options
        The other arguments of ``lf.power``.

    Returns
    -------
    PowerCurve
        Prints itself; ``to_frame()``, ``smallest(power)``, ``results``.

    Raises
    ------
    OptionError
        No argument has a list of values, or several have.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> curve = lf.power_curve(fit, "Days", 50, seed=1, effect=5.0, levels={"Subject": [6, 36]})
    >>> curve.to_frame()["nobs"].tolist()
    [60, 360]
    """
    given: dict[str, Any] = {
        "levels": levels,
        "within": within,
        "effect": effect,
        "varcorr": varcorr,
        "sigma": sigma,
        "residuals": residuals,
    }
    argument, name, values = _varying(given)
    results = []
    for value in values:
        point = value if name is None else {**given[argument], name: value}
        results.append(power(model, term, n_sim, seed, **{**given, argument: point}, **options))
    return PowerCurve(name or argument, tuple(values), tuple(results))


def _varying(given: Mapping[str, Any]) -> tuple[str, str | None, list[Any]]:
    """Return argument, name in it, and values of what varies."""
    found: list[tuple[str, str | None, list[Any]]] = []
    for argument, value in given.items():
        if _is_list(value):
            found.append((argument, None, list(value)))
        elif isinstance(value, Mapping):
            found += [(argument, name, list(v)) for name, v in value.items() if _is_list(v)]
    if len(found) == 1 and found[0][2]:
        return found[0]
    raise OptionError(
        "`power_curve` needs a list of values for one thing.",
        got=f"lists for {', '.join(f'`{name or argument}`' for argument, name, _ in found)}"
        if found
        else "no list",
        suggestion=f"`{CALL}`",
        argument="levels",
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray | range) and not isinstance(value, str)
