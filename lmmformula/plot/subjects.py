"""What plots ask of their subject, and what they say when they get something else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import OptionError
from lmmformula.postfit.augment import used_rows
from lmmformula.results import LinearMixedResults

__all__ = [
    "chosen",
    "column",
    "count_of",
    "fit_of",
    "grouping",
    "models_of",
    "not_a_subject",
    "one_of",
    "residual_kind",
    "term_of",
]


def fit_of(subject: Any, what: str) -> LinearMixedResults:
    """Return a fit, or raise naming what was given instead."""
    if isinstance(subject, LinearMixedResults):
        return subject
    raise not_a_subject(subject, what, "a fitted model", 'lf.lmer("y ~ x + (x | g)", data)')


def not_a_subject(subject: Any, what: str, needed: str, call: str) -> OptionError:
    """Make the error for a subject of the wrong kind."""
    return OptionError(
        f"`{what}` draws {needed}.",
        got=f"an object of {type(subject).__name__}",
        suggestion=f"`lf.plot.{what}({call})`",
        plot=what,
        subject=type(subject).__name__,
    )


def models_of(models: Any, what: str) -> dict[str, Any]:
    """Read one fit, a list of fits or a mapping of names to fits."""
    if isinstance(models, Mapping):
        named = {str(name): fit for name, fit in models.items()}
    elif isinstance(models, Sequence):
        named = {f"Model {number}": fit for number, fit in enumerate(models, start=1)}
    else:
        named = {"": models}
    if not named:
        raise not_a_subject(models, what, "one or more fitted models", '{"A": fit_a, "B": fit_b}')
    for fit in named.values():
        fit_of(fit, what)
    return named


def chosen(names: Any, available: Collection[str], argument: str, what: str) -> list[str]:
    """Read one name or several among those that exist; None for all."""
    known = list(available)
    if names is None:
        return known
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            closest = closest_name(str(name), known)
            raise OptionError(
                f"`{argument}` names `{name}`, which is not {what}.",
                got=f"available: {listed(known) or 'none'}",
                suggestion=f"`{argument}={closest or (known[0] if known else None)!r}`",
                argument=argument,
                value=name,
                closest=closest,
                available=tuple(known),
            )
    return wanted


def one_of(value: Any, available: Sequence[str], argument: str, what: str) -> None:
    """Raise unless an option is one of its words."""
    if isinstance(value, str) and value in available:
        return
    closest = closest_name(str(value), available) or available[0]
    raise OptionError(
        f"`{argument}={value!r}` is not {what}.",
        got=f"available: {', '.join(available)}",
        suggestion=f"`{argument}={closest!r}`",
        argument=argument,
        value=value,
        closest=closest,
        available=tuple(available),
    )


def count_of(value: Any, argument: str, least: int) -> int:
    """Return a whole number that is not too small."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if is_whole and value >= least:
        return int(value)
    raise OptionError(
        f"`{argument}` must be a whole number, at least {least}.",
        got=f"`{argument}={value!r}`",
        suggestion=f"`{argument}={max(least, 3)}`",
        argument=argument,
        value=value,
    )


def term_of(fit: LinearMixedResults, term: Any, what: str) -> Any:
    """Return a random-effects term by its label in ``varcorr``; the first by default."""
    labels = [item.label for item in fit.varcorr]
    if not labels:
        raise OptionError(
            f"`{what}` draws random effects, and the model has none.",
            got=f"`{fit.formula}`",
            suggestion='`fit.plot("residuals")`',
            plot=what,
        )
    label = chosen(labels[0] if term is None else term, labels, "term", "a random-effects term")[0]
    return fit.varcorr[label]


def grouping(fit: LinearMixedResults, name: str | None, what: str) -> tuple[str, Any, list[Any]]:
    """A grouping factor (of random effects or residuals), its label in every row, its levels."""
    m = fit.design.matrices
    known = {block.group: (block.levels, block.codes) for block in m.random}
    if m.residual is not None and m.residual.correlation is not None and m.residual.group:
        known.setdefault(m.residual.group, (m.residual.levels, m.residual.codes))
    if not known:
        raise OptionError(
            f"`{what}` needs groups, and the model has none.",
            got=f"`{fit.formula}`",
            suggestion='`fit.plot("residuals")`',
            plot=what,
        )
    group = chosen(name or next(iter(known)), known, "group", "a grouping factor of the model")[0]
    levels, codes = known[group]
    labels = np.asarray(levels, dtype=object)
    return group, labels[codes], list(labels)


def residual_kind(fit: LinearMixedResults, kind: str | None) -> tuple[str, str]:
    """Kind of residual that has the same variance in every row, and its name on an axis."""
    residual = fit.design.matrices.residual
    if kind is None:
        is_correlated = residual is not None and residual.correlation is not None
        kind = "normalized" if is_correlated else "standardized"
    return kind, "Residual" if kind == "response" else f"{kind.capitalize()} residual"


def column(fit: LinearMixedResults, name: str, data: Any, argument: str) -> pd.Series:
    """Values of a column in the rows used, from the data if given, else from the model."""
    index = fit.design.spec.index
    if data is not None:
        frame = used_rows(fit.design, data)
        chosen(name, [str(label) for label in frame.columns], argument, "a column of the data")
        return pd.Series(frame[name].to_numpy(), index=index, name=name)
    known = model_columns(fit)
    chosen(name, known, argument, "a column that the model keeps (`data=` has the others)")
    return pd.Series(known[name], index=index, name=name)


def model_columns(fit: LinearMixedResults) -> dict[str, Any]:
    """Return response, numeric predictors and grouping factors as the model holds them."""
    m, spec = fit.design.matrices, fit.design.spec
    columns: dict[str, Any] = {spec.response_name: np.array(m.y)}
    numeric = {item.name for item in spec.predictors.columns if not item.is_factor}
    for place, name in enumerate(m.fixed_names):
        if name in numeric:
            columns[name] = np.array(m.X[:, place])
    for block in m.random:
        for place, name in enumerate(block.effect_names):
            if name.isidentifier() and name != "Intercept":
                columns.setdefault(name, np.array(block.z[:, place]))
        columns.setdefault(block.group, np.asarray(block.levels, dtype=object)[block.codes])
    return columns
