"""Whether fits may be compared: the same rows, the same response, the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lmmformula.errors import DataError, OptionError
from lmmformula.postfit.fingerprint import Fingerprint

__all__ = ["Comparable", "check_criteria", "check_same_data"]


class Comparable(Protocol):
    """What the checks ask of a result."""

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


def check_criteria(fits: Sequence[Comparable], labels: Sequence[str]) -> None:
    """Raise where likelihoods are compared that are not of one kind."""
    criteria = {fit.criterion for fit in fits}
    if len(criteria) > 1:
        raise OptionError(
            "REML and maximum likelihood fits cannot be compared with each other.",
            got="; ".join(f"`{n}`: {f.criterion}" for n, f in zip(labels, fits, strict=True)),
            suggestion="`lf.anova(..., refit=True)`",
        )
    first = fits[0]
    for label, other in zip(labels[1:], fits[1:], strict=True):
        if criteria == {"REML"} and other.fixed_names != first.fixed_names:
            raise OptionError(
                "REML likelihoods compare only between models with the same fixed effects.",
                got=f"{', '.join(first.fixed_names)} in `{labels[0]}`; "
                f"{', '.join(other.fixed_names)} in `{label}`",
                suggestion="`lf.anova(..., refit=True)`, which refits by maximum likelihood",
                models=(labels[0], label),
            )
