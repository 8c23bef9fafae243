"""Every table renders in every medium, at a pinned theta."""

from __future__ import annotations

import pytest

import lmmformula as lf
from lmmformula.report import RENDERERS, TABLES, Table, TableOptions, render


@pytest.fixture(scope="module")
def results():
    formula = "Reaction ~ Days + (Days | Subject)"
    model = lf.lmm(formula, lf.load_dataset("sleepstudy"), variance="exp(Days)")
    return model.at([0.9, 0.02, 0.2, 0.05])


def test_a_plain_fit_has_no_table_of_residuals():
    results = lf.lmm("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff")).at([0.9])
    assert set(results.summary().tables) == set(TABLES) - {"residual_structure"}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("medium", RENDERERS)
def test_table_renders(results, name, medium):
    table = TABLES[name](results, TableOptions())
    assert isinstance(table, Table)
    assert all(len(row) == len(table.columns) for row in table.rows)
    text = render(table, medium)
    assert text
    assert text == render(TABLES[name](results, TableOptions()), medium)
    for cell in table.cells()[0]:
        assert cell in text or any(sign in cell for sign in "|_<>*[]~%&#$")


@pytest.mark.parametrize("name", TABLES)
def test_table_is_part_of_the_summary(results, name):
    assert name in results.summary().tables
