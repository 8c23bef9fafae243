"""What a first-time user ran into: other spellings, other row orders, values out of range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.cli.sources import read
from lmmformula.errors import DataError, FormulaError, OptionError

FORMULA = "Reaction ~ Days + (1 | Subject)"


@pytest.fixture(scope="module")
def sleepstudy():
    return lf.load_dataset("sleepstudy")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("REML", "reml"), ("weight", "weights"), ("control", "optimizer"), ("qwertz", None)],
)
def test_an_argument_spelt_otherwise(sleepstudy, given, meant):
    with pytest.raises(OptionError, match=f"no argument `{given}`") as caught:
        lf.lmer(FORMULA, sleepstudy, **{given: False})
    assert caught.value.suggestion == (f"`{meant}=`" if meant else "leave it out")


@pytest.mark.parametrize("reml", ["no", None, np.nan, 2])
def test_reml_is_true_or_false(sleepstudy, reml):
    with pytest.raises(OptionError, match="`reml` must be true or false"):
        lf.lmer(FORMULA, sleepstudy, reml=reml)


@pytest.mark.parametrize(("reml", "criterion"), [(0, "ML"), (np.True_, "REML")])
def test_reml_as_another_kind_of_truth(sleepstudy, reml, criterion):
    assert lf.lmer(FORMULA, sleepstudy, reml=reml).criterion == criterion


@pytest.mark.parametrize("argument", ["weights", "offset", "subset"])
def test_a_series_in_another_order_than_the_rows_is_noticed(sleepstudy, argument):
    values = sleepstudy["Days"] < 7 if argument == "subset" else 1.0 + sleepstudy["Days"]
    with pytest.warns(lf.DataWarning, match=f"`{argument}` .* another order"):
        lf.lmer(FORMULA, sleepstudy, **{argument: values.iloc[::-1]})


def test_a_series_with_labels_of_its_own_counts_by_position(sleepstudy):
    data = sleepstudy.set_index(sleepstudy.index + 1000)
    weights = 1.0 + sleepstudy["Days"]
    ours = lf.lmer(FORMULA, data, weights=weights)
    expected = lf.lmer(FORMULA, sleepstudy, weights=weights.to_numpy())
    assert ours.objective == pytest.approx(expected.objective, rel=1e-12)


def test_a_new_response_whose_squares_overflow(sleepstudy):
    fit = lf.lmer(FORMULA, sleepstudy)
    with pytest.raises(DataError, match="squares overflow"):
        fit.refit(sleepstudy["Reaction"] * 1e200)


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ poly(Days, 2) + (Days | Subject)",
        "Reaction ~ I(Days - 4) + (Days | Subject)",
        "Reaction ~ poly(Days, 3) + (poly(Days, 1) | Subject)",
    ],
)
def test_a_slope_whose_mean_is_part_of_another_term(sleepstudy, formula):
    assert "no fixed counterpart" not in lf.lmer(formula, sleepstudy).check().topics


def test_an_arrow_dictionary_with_unsigned_codes(sleepstudy):
    pa = pytest.importorskip("pyarrow")
    codes, levels = pd.factorize(sleepstudy["Subject"])
    mask = np.arange(len(codes)) == 3
    subject = pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.uint32), mask=mask), pa.array([str(level) for level in levels])
    )
    table = pa.table(
        {"Reaction": sleepstudy["Reaction"], "Days": sleepstudy["Days"], "Subject": subject}
    )
    with pytest.warns(lf.DroppedRowsWarning):
        ours = lf.lmer(FORMULA, table)
    expected = lf.lmer(FORMULA, sleepstudy.drop(index=sleepstudy.index[3]))
    assert ours.objective == pytest.approx(expected.objective, rel=1e-12)


@pytest.mark.parametrize("value", [-5.0, -1.0])
def test_a_marginal_mean_where_a_transform_has_no_value(sleepstudy, value):
    fit = lf.lmer("Reaction ~ log(Days + 1) + (1 | Subject)", sleepstudy)
    with pytest.raises(DataError, match="reference grid") as caught:
        fit.marginal_means("Days", at={"Days": [0.0, value]})
    assert f"Days = {value:g}" in caught.value.got


def test_marginal_means_of_what_is_no_name():
    fit = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))
    with pytest.raises(OptionError, match="names `3`"):
        fit.marginal_means(3)
    with pytest.raises(OptionError, match="`null` must be a number"):
        fit.marginal_means("Machine").test(null="a")


@pytest.mark.parametrize("method", ["wald", "profile", "boot"])
def test_intervals_refuse_arguments_that_they_do_not_have(sleepstudy, method):
    fit = lf.lmer(FORMULA, sleepstudy)
    with pytest.raises(OptionError, match="no argument `sed`"):
        fit.conf_int(method=method, sed=3)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_file_with_another_separator(tmp_path, sleepstudy, separator):
    path = tmp_path / "data.csv"
    sleepstudy.to_csv(path, sep=separator, index=False)
    with pytest.raises(DataError, match="commas between") as caught:
        read(str(path))
    assert caught.value.separator == separator


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(OptionError) as caught:
        read(str(tmp_path))
    assert caught.value.got == "a directory"


def test_a_variable_called_intercept_is_refused(sleepstudy):
    data = sleepstudy.rename(columns={"Days": "Intercept"})
    with pytest.raises(FormulaError) as caught:
        lf.lmm("Reaction ~ Intercept + (1 | Subject)", data)
    assert caught.value.column == "Intercept"


def test_limits_of_a_handful_of_replicates_are_refused(sleepstudy):
    few = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy).bootstrap(2, seed=1)
    with pytest.raises(OptionError) as caught:
        few.conf_int()
    assert caught.value.argument == "n"
