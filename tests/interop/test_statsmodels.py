"""Helpers of statsmodels take our results, and our tests are its result classes."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.iolib.summary2 import summary_col, summary_params
from statsmodels.stats.contrast import ContrastResults
from statsmodels.stats.multitest import multipletests

import lmmformula as lf


@pytest.fixture
def fits(sleepstudy):
    small = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    return small, lf.lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", sleepstudy)


def test_models_side_by_side(fits):
    made = summary_col(
        list(fits),
        stars=True,
        model_names=["small", "large"],
        info_dict={"N": lambda fit: f"{fit.nobs}", "AIC": lambda fit: f"{fit.aic:.1f}"},
        regressor_order=["Days", "Intercept"],
    )
    table = made.tables[0]
    assert list(table.columns) == ["small", "large"]
    assert table.loc["Days", "small"] == f"{fits[0].params['Days']:.4f}***"
    assert table.index.tolist()[0] == "Days"
    assert table.loc["N"].tolist() == ["180", "180"]
    assert f"({fits[1].bse['Intercept']:.4f})" in made.as_text()
    assert "tabular" in made.as_latex()


def test_columns_are_named_by_the_response(fits):
    assert summary_col(list(fits)).tables[0].columns.tolist() == ["Reaction I", "Reaction II"]


def test_table_of_parameters(fits):
    table = summary_params(fits[1], alpha=0.1)
    assert list(table.index) == list(fits[1].params.index)
    np.testing.assert_array_equal(table["Coef."], fits[1].params)
    np.testing.assert_array_equal(table["P>|t|"], fits[1].pvalues)
    np.testing.assert_array_equal(table.iloc[:, 4:], fits[1].conf_int(0.1))


def test_tests_are_contrast_results(fits):
    single = fits[1].t_test(["Days = 0", "I(Days ** 2) = 0"])
    assert isinstance(single, ContrastResults)
    frame = single.summary_frame()
    np.testing.assert_allclose(frame["coef"], fits[1].params.iloc[1:])
    assert "I(Days ** 2)" in str(single.summary())
    joint = fits[1].f_test(["Days = 0", "I(Days ** 2) = 0"])
    assert isinstance(joint, ContrastResults)
    assert "F test" in str(joint.summary())
    assert isinstance(fits[1].wald_test("Days = 0"), ContrastResults)


def test_p_values_can_be_adjusted(fits):
    adjusted = multipletests(fits[1].pvalues, method="holm")[1]
    expected = np.maximum.accumulate(np.sort(fits[1].pvalues) * [3, 2, 1])
    np.testing.assert_allclose(np.sort(adjusted), np.minimum(expected, 1.0), rtol=1e-12)


def test_names_of_the_model(fits):
    model = fits[1].model
    assert model.endog_names == "Reaction"
    assert model.exog_names == ["Intercept", "Days", "I(Days ** 2)"]
