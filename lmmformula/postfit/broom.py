"""Results as tidy tables, in the column layout of R's broom.mixed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import numpy as np
import pandas as pd

from lmmformula.errors import OptionError

__all__ = ["glance", "tidy"]

_EFFECTS = ("fixed", "ran_pars", "ran_vals")
_COLUMNS = [
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std.error",
    "statistic",
    "df",
    "p.value",
]


class _Tidyable(Protocol):
    """What these tables ask of a result."""

    @property
    def varcorr(self) -> Any: ...
    @property
    def residual_structure(self) -> Any: ...
    @property
    def natural_estimates(self) -> Any: ...
    @property
    def nobs(self) -> int: ...
    @property
    def sigma(self) -> float: ...
    @property
    def llf(self) -> float: ...
    @property
    def aic(self) -> float: ...
    @property
    def bic(self) -> float: ...
    @property
    def objective(self) -> float: ...
    @property
    def criterion(self) -> str: ...
    @property
    def df_resid(self) -> int: ...
    def ranef(self, condvar: bool = False) -> pd.DataFrame: ...
    def coefficient_frame(self, *, ddf: str, alpha: float) -> pd.DataFrame: ...


def tidy(
    results: _Tidyable, effects: Collection[str], *, conf_int: bool, alpha: float, ddf: str
) -> pd.DataFrame:
    """One row per parameter.

    Parameters
    ----------
    results : LinearMixedResults
        The fit.
    effects : collection of str
        Any of "fixed", "ran_pars" (standard deviations and correlations, and the parameters of
        structured residuals) and "ran_vals" (conditional modes).
    conf_int : bool
        Add ``conf.low`` and ``conf.high``.
    alpha : float
        One less their level.
    ddf : str
        Method for degrees of freedom.

    Returns
    -------
    DataFrame
        Columns ``effect, group, [level,] term, estimate, std.error, statistic, [df,] p.value``;
        ``df`` unless tests refer to the normal distribution.
    """
    wanted = (effects,) if isinstance(effects, str) else tuple(effects)
    unknown = [name for name in wanted if name not in _EFFECTS]
    if unknown:
        raise OptionError(
            f"`effects` has no part {unknown[0]!r}.",
            got=f"available: {', '.join(_EFFECTS)}",
            suggestion='`tidy(effects=("fixed", "ran_pars"))`',
            available=_EFFECTS,
        )
    parts: list[dict[str, Any]] = []
    if "fixed" in wanted:
        parts.append(_fixed(results, alpha, ddf))
    if "ran_vals" in wanted:
        parts.append(_modes(results, alpha))
    if "ran_pars" in wanted:
        parts.append(_parameters(results, alpha))
    columns = [*_COLUMNS, "conf.low", "conf.high"]
    out = {name: [value for part in parts for value in part[name]] for name in columns}
    frame = pd.DataFrame(out, columns=columns)
    dropped = [] if conf_int else ["conf.low", "conf.high"]
    dropped += [] if "ran_vals" in wanted else ["level"]
    return frame.drop(columns=[*dropped, *(["df"] if ddf == "wald" else [])])


def _part(effect: str, count: int, **columns: Any) -> dict[str, Any]:
    """Rows of one kind; columns not given are missing."""
    out: dict[str, Any] = {"effect": [effect] * count}
    for name in [*_COLUMNS[1:], "conf.low", "conf.high"]:
        key = name.replace(".", "_")
        absent = None if name in ("group", "level") else np.nan
        out[name] = list(columns[key]) if key in columns else [absent] * count
    return out


def _fixed(results: _Tidyable, alpha: float, ddf: str) -> dict[str, Any]:
    frame = results.coefficient_frame(ddf=ddf, alpha=alpha)
    return _part(
        "fixed",
        len(frame),
        term=frame.index,
        estimate=frame["estimate"],
        std_error=frame["se"],
        statistic=frame["statistic"],
        df=frame["df"],
        p_value=frame["pvalue"],
        conf_low=frame["lower"],
        conf_high=frame["upper"],
    )


def _modes(results: _Tidyable, alpha: float) -> dict[str, Any]:
    from scipy.special import ndtri

    frame = results.ranef(condvar=True)
    half = ndtri(1 - alpha / 2) * frame["sd"]
    return _part(
        "ran_vals",
        len(frame),
        group=frame["grp"],
        level=frame["level"],
        term=frame["effect"],
        estimate=frame["value"],
        std_error=frame["sd"],
        conf_low=frame["value"] - half,
        conf_high=frame["value"] + half,
    )


def _parameters(results: _Tidyable, alpha: float) -> dict[str, Any]:
    """Rows of ``varcorr.to_frame()``; natural parameters, with errors, where there is a structure.

    Without one the columns are broom.mixed's, which has no standard errors here.
    """
    varcorr = results.varcorr
    is_plain = all(term.structure in ("us", "diag") for term in varcorr)
    if is_plain and results.residual_structure is None:
        frame = varcorr.to_frame()
        terms = [
            f"sd__{'Observation' if first is None else first}"
            if second is None
            else f"cor__{first}.{second}"
            for first, second in zip(_none(frame["var1"]), _none(frame["var2"]), strict=True)
        ]
        columns = {"group": frame["grp"], "term": terms, "estimate": frame["sdcor"]}
        return _part("ran_pars", len(frame), **columns)
    return _natural(results, alpha)


def _natural(results: _Tidyable, alpha: float) -> dict[str, Any]:
    from scipy.special import ndtri

    groups, terms = [], []
    for term in results.varcorr:
        groups += [term.label] * len(term.natural_parameters)
        terms += [_broom_name(parameter.name) for parameter in term.natural_parameters]
    structure = results.residual_structure
    own = [] if structure is None else list(structure.parameters().index)
    found = results.natural_estimates
    lower, upper = found.limits(float(ndtri(1 - alpha / 2)))
    return _part(
        "ran_pars",
        len(found.values),
        group=[*groups, *["Residual"] * (len(own) + 1)],
        term=[*terms, *own, "sd__Observation"],
        estimate=found.values,
        std_error=found.se,
        conf_low=lower,
        conf_high=upper,
    )


def _broom_name(name: str) -> str:
    """``sd__Days``, and ``cor__Intercept.Days`` with the earlier effect first."""
    kind, _, effects = name.partition("_")
    if kind == "cor":
        later, _, earlier = effects.partition(".")
        return f"cor__{earlier}.{later}"
    return f"sd__{effects}" if kind == "sd" and effects else name


def _none(column: pd.Series) -> list[str | None]:
    return [None if value is None or value != value else str(value) for value in column]


def glance(results: _Tidyable) -> pd.DataFrame:
    """Sum the fit up in one row; ML fits have ``deviance`` in place of ``REMLcrit``."""
    name = "REMLcrit" if results.criterion == "REML" else "deviance"
    row = {
        "nobs": results.nobs,
        "sigma": results.sigma,
        "logLik": results.llf,
        "AIC": results.aic,
        "BIC": results.bic,
        name: results.objective,
        "df.residual": results.df_resid,
    }
    return pd.DataFrame([row])
