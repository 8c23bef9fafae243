"""F tables of terms: hypotheses that need no reference, and bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, InferenceWarning, OptionError, RankWarning


def make(n: int = 150, seed: int = 4) -> pd.DataFrame:
    """Return unbalanced data with two factors, a covariate and groups."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "a": rng.choice(["a1", "a2", "a3"], n, p=[0.5, 0.3, 0.2]),
            "b": rng.choice(["b1", "b2"], n, p=[0.6, 0.4]),
            "x": rng.normal(3, 1, n),
            "g": rng.integers(0, 12, n).astype(str),
        }
    )
    data["y"] = rng.normal(size=12)[data["g"].astype(int)] + rng.normal(size=n) + 0.3 * data["x"]
    return data


@pytest.fixture(scope="module")
def data():
    return make()


CODINGS = ("treatment", "sum", "helmert", "diff", "poly", "sas")


def test_type_three_does_not_depend_on_the_coding(data):
    tables = [
        lf.lmer("y ~ a * b + a:x + x + (1 | g)", data, contrasts={"a": one, "b": two}).anova()
        for one, two in itertools.product(CODINGS, ("treatment", "sum"))
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], rtol=1e-6)


def test_type_three_compares_unweighted_means(data):
    fit = lf.lmer("y ~ a * b + x + (1 | g)", data, contrasts={"a": "sum", "b": "sum"})
    columns = {term.label: list(term.columns) for term in fit.design.spec.fixed_terms}
    rows = np.eye(fit.n_fixed)
    table = fit.anova()
    for label in table.index:
        by_hand = fit.f_test(rows[columns[label]])
        assert by_hand.fvalue == pytest.approx(table.loc[label, "F"])
        assert by_hand.df_num == table.loc[label, "num_df"]


def test_nested_terms_are_tested_as_crossed_ones(data):
    nested = lf.lmer("y ~ a / b + (1 | g)", data).anova()
    crossed = lf.lmer("y ~ a * b + (1 | g)", data).anova()
    assert list(nested.index) == ["a", "a:b"]
    pd.testing.assert_series_equal(nested.loc["a"], crossed.loc["a"], rtol=1e-6)
    assert nested.loc["a:b", "num_df"] == 3


def test_types_agree_where_only_one_hypothesis_is_left(data):
    fit = lf.lmer("y ~ b + x + a + (1 | g)", data)
    last = [fit.anova(kind).loc["a"] for kind in ("I", "II", "III")]
    for row in last[1:]:
        assert row["F"] == pytest.approx(last[0]["F"])
        # pooled degrees of freedom depend, a little, on the rows that span the hypothesis
        assert row["den_df"] == pytest.approx(last[0]["den_df"], rel=1e-2)


def test_terms_together_and_apart(data):
    """The sum of squares of one degree of freedom is its t squared, times sigma squared."""
    fit = lf.lmer("y ~ x + b + (1 | g)", data)
    for ddf in ("satterthwaite", "kenward-roger", "kenward-roger-observed", "wald"):
        table, frame = fit.anova(ddf=ddf), fit.coefficient_frame(ddf=ddf)
        assert table.loc["x", "F"] == pytest.approx(frame.loc["x", "statistic"] ** 2)
        assert table.loc["x", "den_df"] == pytest.approx(frame.loc["x", "df"])
        assert table.loc["x", "pvalue"] == pytest.approx(frame.loc["x", "pvalue"])
        assert table.loc["x", "sum_sq"] == pytest.approx(table.loc["x", "F"] * fit.scale)


@pytest.mark.parametrize("spelling", [2, "2", "II", "ii"])
def test_spellings_of_the_type(data, spelling):
    fit = lf.lmer("y ~ a * b + (1 | g)", data)
    pd.testing.assert_frame_equal(fit.anova(spelling), fit.anova("II"))
    rows = fit.hypotheses(spelling)
    assert list(rows) == ["a", "b", "a:b"]
    assert list(rows["a"].columns) == list(fit.params.index)
    assert fit.f_test(rows["a"].to_numpy()).fvalue == pytest.approx(fit.anova("II").loc["a", "F"])


@pytest.mark.parametrize("kind", ["IV", 0, None, True, 2.5])
def test_unknown_types(data, kind):
    with pytest.raises(OptionError) as caught:
        lf.lmer("y ~ a + (1 | g)", data).anova(kind)
    assert caught.value.available == ("I", "II", "III")
    assert caught.value.argument == "type"


def test_unknown_methods(data):
    fit = lf.lmer("y ~ a + (1 | g)", data)
    for call in (fit.anova, fit.summary, fit.coefficient_frame):
        with pytest.raises(OptionError) as caught:
            call(ddf="residual")
        assert caught.value.argument == "ddf"
        assert "satterthwaite" in caught.value.available


def test_empty_cells_are_said(data):
    some = data[~((data["a"] == "a2") & (data["b"] == "b2"))]
    with pytest.warns(RankWarning):
        fit = lf.lmer("y ~ a * b + (1 | g)", some)
    with pytest.warns(InferenceWarning, match="no data") as caught:
        table = fit.anova()
    assert caught[0].message.cells == ("a[a2]:b[b2]",)
    assert table.loc["a:b", "num_df"] == 1
    assert fit.anova("II").loc["a:b", "num_df"] == 1


def test_terms_that_others_determine(data):
    with pytest.warns(RankWarning):
        fit = lf.lmer("y ~ x + twice + b + (1 | g)", data.assign(twice=2 * data["x"]))
    for kind in ("I", "II", "III"):
        with pytest.warns(InferenceWarning) as caught:
            table = fit.anova(kind)
        assert caught[0].message.terms == ("twice",)
        assert table.loc["twice", "num_df"] == 0
        assert np.isnan(table.loc["twice", "F"])
        assert table.drop(index="twice").notna().all(axis=None)
    with pytest.raises(OptionError, match="cannot be estimated") as caught:
        fit.t_test("twice = 0")
    assert caught.value.columns == ("twice",)


def test_a_coding_that_cannot_express_the_means(data):
    fit = lf.lmer("y ~ a + b + (1 | g)", data, contrasts={"a": [[-1], [0], [1]]})
    assert fit.anova("I").loc["a", "num_df"] == 1
    with pytest.raises(OptionError, match="every level") as caught:
        fit.anova("III")
    assert caught.value.variables == ("a",)


def test_models_without_terms(data):
    table = lf.lmer("y ~ 1 + (1 | g)", data).anova()
    assert table.empty
    assert list(table.columns) == ["sum_sq", "mean_sq", "num_df", "den_df", "F", "pvalue"]


def test_rows_are_needed(data):
    formula = "y ~ a * x + (1 | g)"
    fit = lf.lmer(formula, data, weights=np.ones(len(data))).without_data()
    with pytest.raises(DataError, match="without them") as caught:
        fit.anova()
    assert "weighted" in caught.value.needs
    assert np.isfinite(fit.summary().frame["df"]).all()
    full = lf.lmer(formula, data)
    for kind in ("I", "II", "III"):
        pd.testing.assert_frame_equal(full.without_data().anova(kind), full.anova(kind))


def test_tables_do_not_depend_on_units(data):
    formula = "y ~ a * x + b * u + (1 | g)"
    data = data.assign(u=np.cos(np.arange(len(data))))
    plain = lf.lmer(formula, data)
    scaled = lf.lmer(formula, data.assign(x=1e12 * data["x"], u=1e-9 * data["u"]))
    for kind in ("I", "II", "III"):
        ours, theirs = scaled.anova(kind), plain.anova(kind)
        pd.testing.assert_frame_equal(ours.drop(columns="den_df"), theirs.drop(columns="den_df"))
        assert ours["den_df"].to_numpy() == pytest.approx(theirs["den_df"].to_numpy(), rel=1e-2)


def test_weights_do_not_change_the_hypotheses(data):
    fit = lf.lmer("y ~ a * b + (1 | g)", data)
    weighted = lf.lmer("y ~ a * b + (1 | g)", data, weights=1.0 + np.arange(len(data)) % 3)
    for kind in ("I", "II", "III"):
        for label, rows in fit.hypotheses(kind).items():
            pd.testing.assert_frame_equal(weighted.hypotheses(kind)[label], rows)


def test_a_categorical_and_a_boolean_factor(data):
    data = data.assign(flag=data["x"] > 3, a=pd.Categorical(data["a"], ["a3", "a1", "a2"]))
    table = lf.lmer("y ~ a * flag + (1 | g)", data).anova()
    assert table["num_df"].tolist() == [2, 1, 2]
