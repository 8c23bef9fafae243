"""What the commands print beside summaries: JSON, and the likelihood-ratio table."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from lmmformula.errors import LMMWarning
from lmmformula.report import Column, Table
from lmmformula.results import LinearMixedResults

__all__ = ["as_record", "comparison", "print_json", "records", "said"]


def as_record(
    results: LinearMixedResults, coefficients: pd.DataFrame, spoken: list[LMMWarning]
) -> dict[str, Any]:
    """Collect what ``--json`` prints; the fields are those of docs/how-to/command-line.md."""
    return {
        "formula": str(results.formula),
        "criterion": results.criterion,
        "objective": results.objective,
        "llf": results.llf,
        "aic": results.aic,
        "bic": results.bic,
        "nobs": results.nobs,
        "npar": results.npar,
        "ngroups": dict(results.ngroups),
        "sigma": results.sigma,
        "theta": [float(value) for value in results.theta],
        "converged": results.converged,
        "is_singular": results.is_singular,
        "optimum": {
            "status": str(results.optimum.status),
            "n_evaluations": results.optimum.n_evaluations,
            "gradient_norm": results.optimum.gradient_norm,
            "min_eigenvalue": results.optimum.min_eigenvalue,
        },
        "fixed_effects": records(coefficients.reset_index(names="term")),
        "variance_components": records(results.varcorr.to_frame()),
        "residual_structure": _structure(results.residual_structure),
        **said(spoken),
    }


def _structure(structure: Any) -> dict[str, Any] | None:
    """Parameters of structured residuals by name."""
    return None if structure is None else dict(structure.parameters())


def said(spoken: list[LMMWarning]) -> dict[str, Any]:
    """Return the warnings as data."""
    return {"warnings": [{"type": type(item).__name__, "message": str(item)} for item in spoken]}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def comparison(table: pd.DataFrame, criterion: str) -> Table:
    """Lay the likelihood-ratio frame out for a terminal, models numbered."""
    columns = (
        Column("Model"),
        Column("npar", "count"),
        Column("AIC", "criterion"),
        Column("BIC", "criterion"),
        Column("logLik", "criterion"),
        Column("Deviance", "criterion"),
        Column("Chisq", "statistic"),
        Column("Df", "count"),
        Column("P>Chisq", "p_value"),
    )
    body = [[None if pd.isna(value) else value for value in row] for row in table.to_numpy()]
    rows = tuple((f"{i}", *row) for i, row in enumerate(body, start=1))
    models = tuple(f"Model {i}: {name}" for i, name in enumerate(table.index, start=1))
    return Table(f"Likelihood-ratio tests ({criterion})", columns, rows, models)


def print_json(record: dict[str, Any]) -> None:
    """Print JSON; what is not a finite number becomes null."""
    print(json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Reduce numpy and pandas scalars to JSON's types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return None if value is pd.NA else value
