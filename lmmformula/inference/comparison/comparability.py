"""Whether fits may be compared: the same rows, the same response, the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from lmmformula.design import Design
from lmmformula.errors import DataError, OptionError
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.requirements import residual_text

__all__ = [
    "Comparable",
    "check_arguments",
    "check_criteria",
    "check_same_data",
    "model_labels",
]


class Comparable(Protocol):
    """What the checks ask of a result."""

    @property
    def design(self) -> Design:
        """The design."""

    @property
    def formula(self) -> str:
        """The formula as written."""

    @property
    def criterion(self) -> str:
        """Likelihood maximized, "REML" or "ML"."""

    @property
    def nobs(self) -> int:
        """Rows used."""

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects."""

    @property
    def response_name(self) -> str:
        """Left side of the formula."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Digests of rows, response and weights."""


def check_same_data(results: Sequence[Comparable], labels: Sequence[str]) -> None:
    """Raise unless all models have the rows, response and weights of the first."""
    first = results[0]
    for label, other in zip(labels[1:], results[1:], strict=True):
        if not other.fingerprint.has_same_rows(first.fingerprint):
            raise DataError(
                "the models are fitted to different rows and cannot be compared.",
                got=f"{first.nobs} rows in `{labels[0]}`, {other.nobs} in `{label}`"
                + ("" if other.nobs != first.nobs else ", but not the same ones"),
                suggestion="drop the rows with missing values in any variable before fitting",
                models=(labels[0], label),
            )
        if other.fingerprint.response != first.fingerprint.response:
            raise DataError(
                "the models have different responses and cannot be compared.",
                got=f"`{first.response_name}` in `{labels[0]}`, "
                f"`{other.response_name}` in `{label}`"
                + (" with other values" if first.response_name == other.response_name else ""),
                suggestion="fit all models to the same response, on the same scale",
                models=(labels[0], label),
            )
        if other.fingerprint.weights != first.fingerprint.weights:
            raise DataError(
                "the models have different prior weights and cannot be compared.",
                got=f"`{labels[0]}` and `{label}`",
                suggestion="pass the same `weights=` to every model",
                models=(labels[0], label),
            )


def check_criteria(fits: Sequence[Comparable], labels: Sequence[str], call: str = "anova") -> None:
    """Raise where likelihoods are compared that are not of one kind."""
    criteria = {fit.criterion for fit in fits}
    if len(criteria) > 1:
        raise OptionError(
            "REML and maximum likelihood fits cannot be compared with each other.",
            got="; ".join(f"`{n}`: {f.criterion}" for n, f in zip(labels, fits, strict=True)),
            suggestion=f"`lf.{call}(..., refit=True)`",
        )
    first = fits[0]
    for label, other in zip(labels[1:], fits[1:], strict=True):
        if criteria == {"REML"} and other.fixed_names != first.fixed_names:
            raise OptionError(
                "REML likelihoods compare only between models with the same fixed effects.",
                got=f"{', '.join(first.fixed_names)} in `{labels[0]}`; "
                f"{', '.join(other.fixed_names)} in `{label}`",
                suggestion=f"`lf.{call}(..., refit=True)`, which refits by maximum likelihood",
                models=(labels[0], label),
            )


def check_arguments(results: Sequence[Any], names: Sequence[str] | None, call: str) -> None:
    """Raise unless there are two or more fits, and a name for each where names are given."""
    for result in results:
        if not hasattr(result, "refit_ml"):
            raise OptionError(
                f"`{call}` compares fitted linear mixed models.",
                got=f"an object of type `{type(result).__name__}`",
                suggestion=f"`lf.{call}(lf.lmer(formula_1, data), lf.lmer(formula_2, data))`",
            )
    if len(results) < 2:
        raise OptionError(
            f"`{call}` needs at least two fitted models.",
            got=f"{len(results)} result{'' if len(results) == 1 else 's'}",
            suggestion=f"`lf.{call}(small, large)`",
        )
    if names is not None and len(names) != len(results):
        raise OptionError(
            "`names` must have one label per model.",
            got=f"{len(names)} labels for {len(results)} models",
            suggestion="leave `names` out to label the models by their formulas",
        )


def _with_residuals(fit: Comparable) -> str:
    """The formula, with what was asked of the residuals."""
    residual = fit.design.matrices.residual
    if residual is None:
        return fit.formula
    return f"{fit.formula}, {residual_text(residual).replace('`', '')}"


def model_labels(results: Sequence[Comparable], names: Sequence[str] | None) -> list[str]:
    """Formulas; where one occurs twice with the residuals' structure, criterion or a number."""
    if names is not None:
        return [str(name) for name in names]
    labels = [fit.formula for fit in results]
    if len(set(labels)) < len(labels):
        labels = [_with_residuals(fit) for fit in results]
    if len(set(labels)) < len(labels):
        labels = [f"{_with_residuals(fit)} [{fit.criterion}]" for fit in results]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({i})" for i, label in enumerate(labels, start=1)]
    return labels
