"""Tables by error strata: formulas, strata of unusual designs, messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.classical.strata import Projection, split
from lmmformula.errors import (
    DataError,
    DesignError,
    FormulaError,
    InferenceWarning,
    OptionError,
    RankWarning,
)

GROCERY = lf.load_dataset("grocery")


def crossed(seed: int = 1, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({name: rng.integers(0, 4, n) for name in "abc"})
    data["f"] = rng.choice(["u", "v", "w"], n)
    data["x"], data["y"] = rng.normal(size=n), rng.normal(size=n)
    return data


@pytest.mark.parametrize("names", ["a", "ab", "abc", "cab"])
def test_projection_is_least_squares_on_indicators(names):
    data = crossed()
    factors = [data[name].to_numpy(np.int32) for name in names]
    columns = data[["x", "y"]].to_numpy()
    Z = np.hstack([np.eye(4)[codes] for codes in factors])
    projection = Projection(factors, len(data))
    expected = Z @ np.linalg.lstsq(Z, columns, rcond=None)[0]
    np.testing.assert_allclose(projection(columns), expected, atol=1e-12)
    assert projection.rank == np.linalg.matrix_rank(Z)


def test_strata_are_orthogonal_and_add_up():
    data = crossed(2)
    factors = [data["a"], data["b"], data["a"] * 4 + data["b"]]
    codes = [np.unique(f, return_inverse=True)[1].astype(np.int32) for f in factors]
    strata = split(data[["x", "y"]].to_numpy(), ["a", "b", "a:b"], codes)
    assert [stratum.name for stratum in strata] == ["a", "b", "a:b", "Within"]
    assert sum(stratum.df for stratum in strata) == len(data) - 1
    parts = np.hstack([stratum.parts for stratum in strata])
    gram = parts.T @ parts
    for i in range(0, 8, 2):
        gram[i : i + 2, i : i + 2] = 0
    assert np.abs(gram).max() < 1e-12
    total = data[["x", "y"]].to_numpy()
    np.testing.assert_allclose(sum(s.parts for s in strata), total - total.mean(axis=0), atol=1e-12)


def test_subject_named_by_numbers_is_a_factor():
    data = GROCERY.assign(number=pd.factorize(GROCERY["item"])[0] * 100)
    expected = lf.aov("price ~ store + Error(item)", GROCERY).to_frame()
    found = lf.aov("price ~ store + Error(number)", data).to_frame()
    pd.testing.assert_frame_equal(found[1:], expected[1:], rtol=1e-10)
    assert found["stratum"].tolist() == ["number", "Within", "Within"]


def test_order_of_error_and_terms_is_free():
    expected = lf.aov("price ~ store + Error(item)", GROCERY).to_frame()
    for formula in ("price ~ Error(item) + store", "price ~\n store +Error( factor(item) )"):
        pd.testing.assert_frame_equal(lf.aov(formula, GROCERY).to_frame(), expected)


def test_only_strata():
    frame = lf.aov("price ~ Error(item*store)", GROCERY).to_frame()
    assert frame["stratum"].tolist() == ["item", "store", "item:store"]
    assert frame["df"].tolist() == [9, 3, 27]
    assert set(frame["term"]) == {"Residuals"}


def test_sum_of_squares_add_up():
    data = crossed(3)
    with pytest.warns(InferenceWarning):
        frame = lf.aov("y ~ x + f + Error(a*b)", data).to_frame()
    assert frame["df"].sum() == len(data) - 1
    assert frame["sum_sq"].sum() == pytest.approx(((data["y"] - data["y"].mean()) ** 2).sum())


def test_plain_table_is_statsmodels():
    ols = pytest.importorskip("statsmodels.formula.api").ols
    anova_lm = pytest.importorskip("statsmodels.stats.anova").anova_lm
    data = crossed(4)
    frame = lf.aov("y ~ f + C(a) + x + f:x", data).to_frame().set_index("term")
    expected = anova_lm(ols("y ~ C(f) + C(a) + x + C(f):x", data).fit())
    assert frame.index.tolist() == ["f", "a", "x", "f:x", "Residuals"]
    np.testing.assert_allclose(frame["sum_sq"], expected["sum_sq"], rtol=1e-9)
    np.testing.assert_allclose(frame["pvalue"], expected["PR(>F)"], rtol=1e-8)
    assert set(frame["stratum"]) == {"Within"}


def test_column_far_from_zero():
    data = crossed(5)
    expected = lf.aov("y ~ x + Error(f)", data).to_frame()
    found = lf.aov("y ~ x + Error(f)", data.assign(x=data["x"] + 1e7, y=data["y"] + 1e5)).to_frame()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)


def test_note_where_the_order_matters():
    cake = lf.load_dataset("cake")
    assert not lf.aov("angle ~ recipe * temperature + Error(recipe:replicate)", cake).notes
    gaps = lf.aov("angle ~ recipe + temperature", cake.iloc[7:])
    assert "order" in gaps.notes[0]
    assert "`recipe`" in gaps.notes[0]


def test_term_in_two_strata():
    blocks = pd.DataFrame({"block": np.repeat(range(6), 2), "t": [*"ababbcbcacac"]})
    blocks["y"] = np.random.default_rng(6).normal(size=12)
    with pytest.warns(InferenceWarning) as caught:
        table = lf.aov("y ~ t + Error(block)", blocks)
    assert caught[0].message.terms == {"t": ("block", "Within")}
    assert table.strata == ("block", "Within")


def test_term_that_others_determine():
    data = crossed(7)
    data["same"] = data["f"].str.upper()
    with pytest.warns(RankWarning) as caught:
        frame = lf.aov("y ~ f + same + x", data).to_frame()
    assert caught[0].message.terms == ("same",)
    assert frame["term"].tolist() == ["f", "x", "Residuals"]


def test_constant_columns():
    data = crossed(9).assign(k=0.1)
    with pytest.warns(RankWarning) as caught:
        frame = lf.aov("y ~ k + x + Error(a)", data).to_frame()
    assert caught[0].message.terms == ("k",)
    assert "k" not in frame["term"].tolist()
    constant = lf.aov("k ~ x + Error(a)", data)
    assert constant.to_frame()[["F", "pvalue"]].isna().all(axis=None)


def test_cells_without_data():
    data = crossed(8)
    table = lf.aov("y ~ f * C(a)", data[(data["f"] != "u") | (data["a"] != 2)])
    assert any("`f:a` (5 of 6)" in note for note in table.notes)


def test_stratum_without_residual_and_stratum_of_no_size():
    table = lf.aov("price ~ store + Error(store + item)", GROCERY)
    row = table.to_frame().iloc[0]
    assert (row["stratum"], row["term"]) == ("store", "store")
    assert np.isnan(row["F"])
    assert any("No residual" in note for note in table.notes)
    twice = GROCERY.assign(copy=GROCERY["item"])
    assert any("copy" in note for note in lf.aov("price ~ Error(item + copy)", twice).notes)


def test_missing_rows_and_subsets():
    data = GROCERY.copy()
    data.loc[data.index[3], "price"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning), pytest.warns(InferenceWarning):
        dropped = lf.aov("price ~ store + Error(item)", data).to_frame()
    with pytest.warns(InferenceWarning):
        without = lf.aov("price ~ store + Error(item)", data.dropna()).to_frame()
    pd.testing.assert_frame_equal(dropped, without)
    with pytest.raises(DataError):
        lf.aov("price ~ store + Error(item)", data, missing="raise")
    chosen = lf.aov("price ~ store + Error(item)", GROCERY, subset=GROCERY["store"] != "storeA")
    assert chosen.to_frame()["df"].tolist() == [9, 2, 18]


def test_polars_gives_the_same():
    polars = pytest.importorskip("polars")
    given = polars.from_pandas(GROCERY)
    formula = "price ~ store + Error(item/store)"
    expected = lf.aov(formula, GROCERY).to_frame()
    pd.testing.assert_frame_equal(lf.aov(formula, given).to_frame(), expected)


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        ("price ~ store * Error(item)", FormulaError),
        ("price ~ (store + Error(item))", FormulaError),
        ("price ~ store - Error(item)", FormulaError),
        ("Error(price) ~ store", FormulaError),
        ("price ~ Error(item) + Error(store)", FormulaError),
        ("price ~ store + Error()", FormulaError),
        ("price ~ store + Error(1)", FormulaError),
        ("price ~ store + Error(.)", FormulaError),
        ("price ~ store + Error(item, store)", FormulaError),
        ("price ~ store + Error((1 | item))", FormulaError),
        ("price ~ store + (1 | item)", FormulaError),
        ("price ~ store + (1 | item) + Error(item)", FormulaError),
        ("price ~ . + Error(item)", FormulaError),
        ("price ~ 0 + store + Error(item)", FormulaError),
        ("price ~ store + offset(price) + Error(item)", FormulaError),
        ("price ~ stor + Error(item)", FormulaError),
        ("price ~ store + Error(itm)", FormulaError),
        ("price ~ Error(price)", DataError),
        ("price ~ 1", DesignError),
        ("item ~ store", DataError),
        (3, FormulaError),
        ("", FormulaError),
    ],
)
def test_formulas_that_are_refused(formula, kind):
    with pytest.raises(kind) as error:
        lf.aov(formula, GROCERY)
    assert error.value.got
    assert error.value.suggestion


def test_data_that_are_refused():
    with pytest.raises(DesignError):
        lf.aov("price ~ store + Error(item)", GROCERY[GROCERY["item"] == GROCERY["item"].iloc[0]])
    with pytest.raises(DataError):
        lf.aov("price ~ store", GROCERY.iloc[:0])
    with pytest.raises(DataError):
        lf.aov("price ~ store", GROCERY.assign(price=np.inf))
    with pytest.raises(OptionError):
        lf.aov("price ~ store", GROCERY, missing="omit")


def test_too_many_crossed_levels():
    n = 20_000
    codes = [np.arange(n, dtype=np.int32) // 2, np.roll(np.arange(n, dtype=np.int32) // 2, 1)]
    with pytest.raises(DesignError) as error:
        Projection(codes, n)
    assert error.value.n_levels == n // 2


def test_mixed_models_point_here():
    with pytest.raises(FormulaError) as error:
        lf.lmer("price ~ store + Error(item/store)", GROCERY)
    assert "lf.aov" in error.value.message
    assert error.value.position == 16


def test_printing():
    table = lf.aov("price ~ store + Error(item/store)", GROCERY)
    text = str(table)
    assert text.index("Stratum: item") < text.index("Stratum: item:store")
    assert "4.344" in text
    assert "nan" not in text.lower()
    assert table._repr_html_().count("<table") == 2
    assert r"\toprule" in table._repr_latex_()
    assert str(lf.aov("price ~ store", GROCERY)).startswith("Analysis of variance")
