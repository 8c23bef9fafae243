"""The first of Henderson's equations as a printed table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmmformula.report.table import Column, Table

if TYPE_CHECKING:
    from lmmformula.inference.equations.mixed_model import MixedModelEquations

__all__ = ["equations_table"]

SHOWN = 5
SHOWN_FIXED = 3

TITLES = {
    "henderson": "Henderson's mixed model equations",
    "spherical": "Mixed model equations for beta and u, b = Lambda u",
}


def equations_table(equations: MixedModelEquations) -> Table:
    """Write the first equations, their solution and its standard errors."""
    p, q = equations.n_fixed, equations.n_random
    n_fixed = min(p, SHOWN_FIXED)
    shown = [*range(n_fixed), *range(p, min(p + SHOWN - n_fixed, p + q))]
    corner = equations.coefficient_matrix[shown][:, shown].toarray()
    cells = [[value or None for value in row] for row in corner.tolist()]
    labels, right = equations.labels, equations.right_hand_side.to_numpy()
    solution, se = equations.solution.to_numpy(), _standard_errors(equations, shown)
    columns = [Column(""), Column("")]
    columns += [Column(f"({position + 1})", "estimate") for position in shown]
    columns += [Column(name, "estimate") for name in ("Right side", "Solution", "Std. error")]
    rows = tuple(
        (f"({j + 1})", labels[j], *cells[i], right[j], solution[j], se[i])
        for i, j in enumerate(shown)
    )
    size = f"Fixed effects: {p}; random effects: {q}; {len(shown)} of {p + q} equations are shown."
    notes = (size, *equations.remarks)
    return Table(TITLES[equations.form], tuple(columns), rows, notes, subtitle=equations.formula)


def _standard_errors(equations: MixedModelEquations, shown: list[int]) -> list[float]:
    """Roots of a few entries of the inverse's diagonal."""
    right = equations._back.T[:, shown].toarray()
    values = np.einsum("ij,ij->j", right, equations._solve(right))
    roots: list[float] = np.sqrt(np.maximum(values, 0.0)).tolist()
    return roots
