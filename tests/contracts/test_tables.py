"""Every table renders in every medium, at a pinned theta."""

from __future__ import annotations

import pytest

import lmmformula as lf
from lmmformula.report import RENDERERS, TABLES, Table, TableOptions, render


@pytest.fixture(scope="module")
def results():
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    return model.at([0.9, 0.02, 0.2])


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
