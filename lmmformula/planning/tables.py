"""How plans and power print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lmmformula.report.table import Column, Table

__all__ = ["curve_table", "plan_tables", "power_table"]

TESTS = {
    "satterthwaite": "Satterthwaite degrees of freedom",
    "kenward-roger": "Kenward-Roger",
    "kenward-roger-observed": "Kenward-Roger from the observed information",
    "wald": "Wald, variances taken as known",
    "lrt": "likelihood ratio",
}


def power_table(found: Any) -> Table:
    """One table for a ``Power``."""
    null = f"{found.distribution}, " if found.distribution else ""
    rows = [
        ("Power", f"{found.power:.3f}"),
        ("95 % limits", f"{found.lower:.3f} to {found.upper:.3f}"),
        ("Test", f"{TESTS[found.test]}, {null}level {found.alpha:g}"),
    ]
    if found.assumed:
        effects = ", ".join(f"{name} = {value:.4g}" for name, value in found.assumed.items())
        rows.append(("Assumed", effects))
    rows.append(("Study", sizes(found.nobs, found.ngroups)))
    failed = f", {found.n_failed} failed" if found.n_failed else ""
    rows.append(("Simulated", f"{found.n_sim} studies{failed}"))
    columns = (Column(""), Column(""))
    return Table(f"Power for `{found.term}`", columns, tuple(rows), has_heading=False)


def sizes(nobs: int, ngroups: Mapping[str, int]) -> str:
    """Rows and groups in a few words."""
    return ", ".join([f"{nobs} rows", *(f"{name}: {count}" for name, count in ngroups.items())])


def curve_table(name: str, frame: pd.DataFrame, term: str, test: str, alpha: float) -> Table:
    """One row per size."""
    columns = (
        Column(name, "number"),
        Column("Rows", "count"),
        Column("Power", "correlation"),
        Column("2.5 %", "correlation"),
        Column("97.5 %", "correlation"),
        Column("Failed", "count"),
    )
    rows = tuple((f"{value:g}", *rest) for value, *rest in frame.itertuples(index=False, name=None))
    return Table(f"Power for `{term}` ({TESTS[test]}, level {alpha:g})", columns, rows)


def plan_tables(plan: Any) -> tuple[Table, ...]:
    """Assumed fixed effects with the standard errors that follow."""
    columns = (Column(""), Column("Assumed", "estimate", 2), Column("Std. error", "estimate"))
    frame = pd.DataFrame({"assumed": plan.params, "se": plan.bse})
    rows = tuple((str(name), *values) for name, *values in frame.itertuples())
    study = f"Study: {sizes(plan.nobs, plan.ngroups)}."
    notes = [study]
    if len(plan.residuals):
        values = ", ".join(f"{name} = {value:.4g}" for name, value in plan.residuals.items())
        notes.append(f"Residuals: {values}.")
    note = "Standard errors as they would be if the variances were known."
    return (Table("Planned study", columns, rows, (*notes, note), plan.formula),)
