"""The numbers of a publication table: one entry per row of several models, nothing written yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lmmformula.errors import LMMError
from lmmformula.publish.names import Labels
from lmmformula.publish.options import Options

__all__ = ["FIXED", "RANDOM", "SIZE", "Entry", "Kind", "collect"]

Kind: TypeAlias = Literal["coefficient", "scale", "share", "count", "criterion", "word"]
Values: TypeAlias = Mapping[str, Any]

FIXED, RANDOM, SIZE = "Fixed effects", "Random effects", "Sample and fit"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table, for all models.

    Attributes
    ----------
    part : str
        Section of the table.
    name : str
        Its name in the package: ``Days``, ``sd_Days|Subject``, ``aic``.
    label : str
        What readers see.
    kind : str
        What its values are; decides how they are written.
    values : tuple of (dict or None)
        For every model its ``estimate``, for coefficients also ``se, df, statistic, pvalue,
        lower, upper``; None where the model has no such row.
    """

    part: str
    name: str
    label: str
    kind: Kind
    values: tuple[Values | None, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A row of one model."""

    name: str
    label: str
    kind: Kind
    values: Values


def collect(results: Sequence[Any], options: Options, labels: Labels) -> list[Entry]:
    """Entries of all models, in the order in which they are printed."""
    fixed = [list(_fixed(fit, options, labels)) for fit in results]
    entries = labels.arranged(_joined(FIXED, fixed))
    if options.random:
        entries += _joined(RANDOM, [list(_random(fit, options, labels)) for fit in results])
    has_one_response = len({fit.response_name for fit in results}) == 1
    sizes = [
        [
            *([] if has_one_response else [_response(fit)]),
            *_sizes(fit, labels),
            *_fit_statistics(fit, options),
        ]
        for fit in results
    ]
    size = _joined(SIZE, sizes)
    order = [
        "response",
        "nobs",
        *(e.name for e in size if e.name.startswith("ngroups")),
        *options.fit,
    ]
    return entries + sorted(size, key=lambda entry: order.index(entry.name))


def _joined(part: str, found: Sequence[Sequence[_Found]]) -> list[Entry]:
    """Put the models' rows with one name into one entry; new ones follow what precedes them."""
    order: list[str] = []
    for rows in found:
        place = 0
        for row in rows:
            if row.name in order:
                place = order.index(row.name) + 1
            else:
                order.insert(place, row.name)
                place += 1
    by_name = [{row.name: row for row in rows} for rows in found]
    entries = []
    for name in order:
        present = [rows.get(name) for rows in by_name]
        first = next(row for row in present if row is not None)
        values = tuple(None if row is None else row.values for row in present)
        entries.append(Entry(part, name, first.label, first.kind, values))
    return entries


def _fixed(fit: Any, options: Options, labels: Labels) -> Iterator[_Found]:
    columns = fit.coefficient_columns(ddf=options.ddf, alpha=options.alpha, **options.covariance)
    for i, name in enumerate(fit.fixed_names):
        values = {key: float(column[i]) for key, column in columns.items()}
        yield _Found(name, labels.of(name), "coefficient", values)


def _random(fit: Any, options: Options, labels: Labels) -> Iterator[_Found]:
    """Natural parameters of the random effects, then of the residuals."""
    names = iter(fit.varcorr.names)
    for term in fit.varcorr:
        found = []
        pairs = zip(term.natural_parameters, term.natural_values.tolist(), strict=True)
        for parameter, value in pairs:
            name = next(names)
            label = labels.given(name, labels.of_random(term, parameter, name))
            kind: Kind = "share" if parameter.kind == "correlation" else "scale"
            if kind == "scale" or options.random != "sd":
                found.append(_Found(name, label, kind, {"estimate": value}))
        yield from sorted(found, key=lambda row: row.kind == "share")
    sigma = labels.given("sigma", "Residual: SD")
    yield _Found("sigma", sigma, "scale", {"estimate": fit.sigma})
    structure = fit.residual_structure
    if structure is None:
        return
    for (name, value), kind_ in zip(structure.parameters().items(), structure.kinds, strict=True):
        if kind_ == "correlation" and options.random == "sd":
            continue
        kind = "share" if kind_ == "correlation" else "scale"
        label = labels.given(str(name), f"Residual: {labels.of_residual(str(name))}")
        yield _Found(f"residual {name}", label, kind, {"estimate": float(value)})


def _response(fit: Any) -> _Found:
    return _Found("response", "Response", "word", {"estimate": fit.response_name})


def _sizes(fit: Any, labels: Labels) -> Iterator[_Found]:
    yield _Found("nobs", "Observations", "count", {"estimate": fit.nobs})
    for group, count in fit.ngroups.items():
        label = f"Groups: {labels.of(group)}"
        yield _Found(f"ngroups {group}", label, "count", {"estimate": count})


def _fit_statistics(fit: Any, options: Options) -> Iterator[_Found]:
    for name in options.fit:
        label, kind, read = FIT_STATISTICS[name]
        try:
            value = read(fit)
        except LMMError:  # the model has none; its cell stays empty
            continue
        yield _Found(name, label, kind, {"estimate": value})


FIT_STATISTICS: dict[str, tuple[str, Kind, Any]] = {
    "npar": ("Parameters", "count", lambda fit: fit.npar),
    "criterion": ("Estimation", "word", lambda fit: fit.criterion),
    "llf": ("Log-likelihood", "criterion", lambda fit: fit.llf),
    "deviance": ("Deviance", "criterion", lambda fit: fit.deviance),
    "aic": ("AIC", "criterion", lambda fit: fit.aic),
    "bic": ("BIC", "criterion", lambda fit: fit.bic),
    "caic": ("Conditional AIC", "criterion", lambda fit: fit.conditional_aic().caic),
    "r2_marginal": ("R² marginal", "share", lambda fit: fit.r2().marginal),
    "r2_conditional": ("R² conditional", "share", lambda fit: fit.r2().conditional),
    "icc": ("ICC", "share", lambda fit: fit.icc().adjusted),
}
