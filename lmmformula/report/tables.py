"""From results to tables: one function per table, all listed in ``TABLES``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.report.residuals import HasParameters, residual_table
from lmmformula.report.table import Column, Table
from lmmformula.report.varcorr import VarCorr, varcorr_table

__all__ = ["METHODS", "TABLES", "Reportable", "TableOptions"]


class Reportable(Protocol):
    """What a table may ask of a result."""

    @property
    def formula(self) -> str:
        """The formula as written."""

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects."""

    @property
    def criterion(self) -> str:
        """Likelihood maximized, "REML" or "ML"."""

    @property
    def objective(self) -> float:
        """Minus twice the log-likelihood maximized."""

    @property
    def llf(self) -> float:
        """Log-likelihood."""

    @property
    def aic(self) -> float:
        """Akaike's criterion."""

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""

    @property
    def nobs(self) -> int:
        """Rows used."""

    @property
    def npar(self) -> int:
        """Number of parameters."""

    @property
    def df_resid(self) -> int:
        """Rows less parameters."""

    @property
    def ngroups(self) -> Mapping[str, int]:
        """Levels by grouping factor."""

    @property
    def varcorr(self) -> VarCorr:
        """Variance components."""

    @property
    def residual_structure(self) -> HasParameters | None:
        """Structure of the residuals."""

    @property
    def status(self) -> str:
        """State of the fit in a few words."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be known first."""

    @property
    def data_remarks(self) -> tuple[str, ...]:
        """What was left out, weighted or offset."""

    def coefficient_frame(self, *, ddf: str, alpha: float, **robust: Any) -> pd.DataFrame:
        """Table of fixed effects."""

    def coefficient_columns(
        self, *, ddf: str, alpha: float, **robust: Any
    ) -> Mapping[str, FloatArray]:
        """Columns of that table as arrays."""

    def coefficient_notes(self, ddf: str, **robust: Any) -> tuple[str, ...]:
        """What a reader of their tests must know."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Choices that tables share.

    Attributes
    ----------
    ddf : str
        Method for the denominator degrees of freedom of tests on fixed effects.
    alpha : float
        One less the level of confidence intervals.
    robust : str or None
        Cluster-robust covariance of the fixed effects.
    cluster : str, array_like or None
        Its clusters.
    """

    ddf: str = "satterthwaite"
    alpha: float = 0.05
    robust: str | None = None
    cluster: Any = None

    @property
    def covariance(self) -> dict[str, Any]:
        """What asks for the covariance; nothing for the model's own."""
        if self.robust is None:
            return {}
        return {"robust": self.robust, "cluster": self.cluster}


METHODS = {
    "wald": "Wald tests, normal distribution",
    "satterthwaite": "t tests, Satterthwaite degrees of freedom",
    "kenward-roger": "t tests, Kenward-Roger",
    "kenward-roger-observed": "t tests, Kenward-Roger from the observed information",
}


def header(results: Reportable, options: TableOptions) -> Table:
    """Model, size, likelihood and status, with what must be known first."""
    method = "REML" if results.criterion == "REML" else "maximum likelihood"
    groups = ", ".join(f"{name}: {count}" for name, count in results.ngroups.items())
    left: list[tuple[str, Any]] = [
        ("Observations", f"{results.nobs}"),
        *([("Groups", groups)] if groups else []),
        ("Parameters", f"{results.npar}"),
        ("Residual df", f"{results.df_resid}"),
        ("Status", results.status),
    ]
    name = "REML criterion" if results.criterion == "REML" else "Deviance"
    right: list[tuple[str, Any]] = [
        (name, _criterion(results.objective)),
        ("Log-likelihood", _criterion(results.llf)),
        ("AIC", _criterion(results.aic)),
        ("BIC", _criterion(results.bic)),
        *([("", "")] if groups else []),
    ]
    rows = tuple((*a, *b) for a, b in zip(left, right, strict=True))
    columns = (Column(""), Column(""), Column(""), Column("", "number"))
    model = "Linear mixed model" if groups else "Generalised least squares"
    title = f"{model} fit by {method}"
    return Table(title, columns, rows, results.remarks, results.formula, has_heading=False)


def random_effects(results: Reportable, options: TableOptions) -> Table:
    """Variances, standard deviations and correlations."""
    if not results.ngroups:
        return varcorr_table(results.varcorr, "Residual variance")
    return varcorr_table(results.varcorr)


def residual_structure(results: Reportable, options: TableOptions) -> Table | None:
    """Correlation and variance functions of the residuals, where there are any."""
    structure = results.residual_structure
    return None if structure is None else residual_table(structure)


def fixed_effects(results: Reportable, options: TableOptions) -> Table:
    """Estimates with tests and confidence limits."""
    found = results.coefficient_columns(ddf=options.ddf, alpha=options.alpha, **options.covariance)
    is_normal = options.ddf == "wald"
    low, high = 100 * options.alpha / 2, 100 * (1 - options.alpha / 2)
    columns = [Column(""), Column("Estimate", "estimate", 2), Column("Std. error", "estimate")]
    names = ["estimate", "se"]
    if not is_normal:
        columns.append(Column("df", "df"))
        names.append("df")
    letter = "z" if is_normal else "t"
    columns += [
        Column(letter, "statistic"),
        Column(f"P>|{letter}|", "p_value"),
        Column(f"{low:g} %", "estimate", 2),
        Column(f"{high:g} %", "estimate", 2),
    ]
    names += ["statistic", "pvalue", "lower", "upper"]
    rows = tuple(zip(results.fixed_names, *(found[name].tolist() for name in names), strict=True))
    title = f"Fixed effects ({METHODS.get(options.ddf, options.ddf)})"
    notes = (
        *results.coefficient_notes(options.ddf, **options.covariance),
        *results.data_remarks,
    )
    return Table(title, tuple(columns), rows, notes)


def _criterion(value: float) -> str:
    """Three decimals, or four digits and an exponent where the scale is extreme."""
    return f"{value:.4g}" if math.isfinite(value) and abs(value) >= 1e9 else f"{value:.3f}"


TABLES: dict[str, Callable[[Reportable, TableOptions], Table | None]] = {
    "header": header,
    "random_effects": random_effects,
    "residual_structure": residual_structure,
    "fixed_effects": fixed_effects,
}
