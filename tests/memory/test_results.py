"""What a result keeps of the rows."""

from __future__ import annotations

from typing import Any

import pytest

import lmmformula as lf
from tests.memory.measure import grouped, growth

SMALL, LARGE = 20_000, 40_000
FORMULA = "y ~ x1 + x2 + (x1 | g)"
DESIGN = 8 + 3 * 8 + 4 + 4
NO_COLUMN = 1.0  # bytes a row; the narrowest column has 4, and traces of fits differ in length
CACHES = 2.0  # bytes a row that caches of one result and the next may differ by; a column has 8


def per_row(call: Any) -> Any:
    return growth(call, grouped(SMALL), grouped(LARGE), LARGE - SMALL)


def test_a_result_holds_the_design() -> None:
    found = per_row(lambda frame: lf.lmm(FORMULA, frame).fit())
    assert found.held == pytest.approx(DESIGN, abs=0.5)


def test_a_result_without_data_holds_no_row() -> None:
    found = per_row(lambda frame: lf.lmm(FORMULA, frame).fit(keep_data=False))
    assert abs(found.held) < NO_COLUMN


def test_a_second_fit_of_a_model_adds_nothing_per_row() -> None:
    def refitted(model: Any) -> Any:
        return model.fit(), model.fit(reml=False)

    models = [lf.lmm(FORMULA, grouped(n)) for n in (SMALL, LARGE)]
    for model in models:
        model.fit()
    found = growth(refitted, *models, LARGE - SMALL)
    assert abs(found.held) < NO_COLUMN


def test_the_summary_needs_no_rows() -> None:
    results = [lf.lmm(FORMULA, grouped(n)).fit() for n in (SMALL, LARGE)]
    found = growth(lambda result: str(result.summary()), *results, LARGE - SMALL)
    assert abs(found.peak) < CACHES


def test_fitted_values_cost_a_few_columns_and_leave_one() -> None:
    def fitted(model: Any) -> Any:
        result = model.fit()
        return result, result.fittedvalues

    models = [lf.lmm(FORMULA, grouped(n)) for n in (SMALL, LARGE)]
    found = growth(fitted, *models, LARGE - SMALL)
    assert found.held == pytest.approx(8, abs=CACHES)
