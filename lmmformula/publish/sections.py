"""The sections of a report: from a fit to HTML, one function each."""

from __future__ import annotations

import html
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmmformula.errors import LMMError, LMMWarning
from lmmformula.publish.data_summary import data_tables
from lmmformula.publish.provenance import provenance_table
from lmmformula.report import Column, Summary, Table, render
from lmmformula.report.render_html import html_prose
from lmmformula.report.table import decimal_text, significant_text

__all__ = ["SECTIONS", "ReportOptions"]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Choices for a report.

    Attributes
    ----------
    title : str
        Heading.
    ddf, alpha, anova
        As in ``LinearMixedResults.report``.
    figures : bool or tuple of str
        Kinds of pictures; True for those that suit the fit.
    """

    title: str
    ddf: str
    alpha: float
    anova: str
    figures: bool | tuple[str, ...]


def shown(table: Table) -> str:
    """A table that scrolls by itself where the page is narrow."""
    return f'<div class="scroll" tabindex="0">{render(table, "html")}</div>'


def paragraph(text: str, kind: str = "") -> str:
    """A sentence, with code between backticks."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{html_prose(text)}</p>"


def check(fit: Any, options: ReportOptions) -> str:
    """What an expert would say first."""
    findings = fit.check().findings
    if not findings:
        return paragraph("Nothing stands out.")
    items = (
        f'<li class="{f.severity}"><strong>{f.severity.capitalize()}:</strong> '
        f"{html_prose(f.sentence)}"
        + (f'<br><span class="try">Try: {html_prose(f.suggestion)}</span>' if f.suggestion else "")
        + "</li>"
        for f in findings
    )
    return f'<ul class="findings">{"".join(items)}</ul>'


def data(fit: Any, options: ReportOptions) -> str:
    """Rows, variables and groups."""
    return "\n".join(shown(table) for table in data_tables(fit))


def fixed_effects(fit: Any, options: ReportOptions) -> str:
    """Coefficients, then tests of terms."""
    return shown(_summary(fit, options).tables["fixed_effects"]) + _anova(fit, options)


def _summary(fit: Any, options: ReportOptions) -> Summary:
    found: Summary = fit.summary(ddf=options.ddf, alpha=options.alpha)
    return found


def _anova(fit: Any, options: ReportOptions) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LMMWarning)
        try:
            frame = fit.anova(options.anova, ddf=options.ddf)
        except LMMError as error:
            return paragraph(f"Terms are not tested: {error.message}", "missing")
    if frame.empty:
        return ""
    columns = (
        Column("Term"),
        Column("Sum of squares", "estimate"),
        Column("df", "count"),
        Column("Den. df", "df"),
        Column("F", "statistic"),
        Column("P", "p_value"),
    )
    rows = tuple(
        (str(row.Index), row.sum_sq, row.num_df, row.den_df, row.F, row.pvalue)
        for row in frame.itertuples()
    )
    notes = tuple(str(getattr(item.message, "message", item.message)) for item in caught)
    kind = str(options.anova)
    type_ = kind if kind in ("I", "II", "III") else "I" * int(kind)
    return shown(Table(f"Tests of terms (type {type_})", columns, rows, notes))


def random_effects(fit: Any, options: ReportOptions) -> str:
    """Variance components, then their intervals."""
    tables = _summary(fit, options).tables
    parts = [shown(tables["random_effects"])]
    if "residual_structure" in tables:
        parts.append(shown(tables["residual_structure"]))
    return "\n".join([*parts, _intervals(fit, options)])


def _intervals(fit: Any, options: ReportOptions) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LMMWarning)
        try:
            frame = fit.covariance_parameters(alpha=options.alpha)
        except LMMError as error:
            return paragraph(f"There are no intervals: {error.message}", "missing")
    low, high = 100 * options.alpha / 2, 100 * (1 - options.alpha / 2)
    columns = (
        Column("Parameter"),
        Column("Estimate", "number"),
        Column("Std. error", "number"),
        Column(f"{low:g} %", "number"),
        Column(f"{high:g} %", "number"),
    )
    rows = tuple(
        (str(name), *_with_error(*row))
        for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)
    )
    notes = tuple(str(getattr(item.message, "message", item.message)) for item in caught)
    return shown(Table("Standard deviations and correlations, Wald limits", columns, rows, notes))


def _with_error(estimate: float, se: float, *limits: float) -> tuple[str, ...]:
    """Numbers with the decimals that three digits of the standard error ask for."""
    if math.isnan(se):
        return significant_text(estimate), "", "", ""
    places = max(2 - math.floor(math.log10(se)), 0) if se > 0.0 else 3
    return tuple(decimal_text(value, places) for value in (estimate, se, *limits))


def fit_statistics(fit: Any, options: ReportOptions) -> str:
    """Likelihood, criteria and shares of variance."""
    columns = (Column(""), Column("", "number"))
    table = Table("", columns, tuple(_criteria(fit)), has_heading=False)
    return shown(table)


def _criteria(fit: Any) -> Iterator[tuple[str, str]]:
    name = "REML criterion" if fit.criterion == "REML" else "Deviance"
    values: list[tuple[str, Callable[[], float]]] = [
        (name, lambda: fit.objective),
        ("Log-likelihood", lambda: fit.llf),
        ("AIC", lambda: fit.aic),
        ("BIC", lambda: fit.bic),
        ("R² marginal (fixed effects)", lambda: fit.r2().marginal),
        ("R² conditional (fixed and random effects)", lambda: fit.r2().conditional),
        ("Intraclass correlation", lambda: fit.icc().adjusted),
    ]
    for label, read in values:
        try:
            yield label, f"{read():.3f}"
        except LMMError:  # the model has none
            continue


def diagnostics(fit: Any, options: ReportOptions) -> str:
    """Pictures, or what is missing for them."""
    if options.figures is False:
        return ""
    if options.figures is True and not fit.model.has_rows:
        why = (
            "they came in pieces"
            if fit.model.is_streamed
            else "this result was kept without them: fit with `keep_data=True`"
        )
        text = f"Pictures of residuals need the rows of the data, and {why}."
        return paragraph(text, "missing")
    from lmmformula.publish.pictures import figure_html

    try:
        return "\n".join(element for _, element in figure_html(fit, options.figures))
    except LMMError as error:
        if error.facts.get("extra") != "plot":
            raise
        return paragraph(f"Pictures need matplotlib: {error.suggestion}.", "missing")


def provenance(fit: Any, options: ReportOptions) -> str:
    """Versions, digests and the optimum."""
    return shown(provenance_table(fit))


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report: its anchor, heading and body."""

    anchor: str
    title: str
    write: Callable[[Any, ReportOptions], str]


SECTIONS: Sequence[Section] = (
    Section("check", "What to know first", check),
    Section("data", "Data", data),
    Section("fixed", "Fixed effects", fixed_effects),
    Section("random", "Variance components", random_effects),
    Section("fit", "Fit", fit_statistics),
    Section("diagnostics", "Diagnostics", diagnostics),
    Section("again", "To get these numbers again", provenance),
)


def headline(fit: Any) -> Iterator[tuple[str, str]]:
    """A few facts for the head of the report."""
    yield "Observations", f"{fit.nobs}"
    for group, count in fit.ngroups.items():
        yield html.escape(group), f"{count} levels"
    yield "Estimation", "REML" if fit.criterion == "REML" else "maximum likelihood"
    yield "Status", html.escape(fit.status)
