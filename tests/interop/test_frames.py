"""Tables as polars and pyarrow."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lmmformula as lf


@pytest.fixture
def fit(sleepstudy):
    return lf.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)


def test_a_series_keeps_its_names(fit):
    frame = lf.as_frame(fit.params, "polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame["term"].to_list() == ["Intercept", "Days"]
    assert frame["params"].to_list() == fit.params.tolist()
    table = lf.as_frame(fit.params, "pyarrow", index="effect")
    assert isinstance(table, pa.Table)
    assert table.column_names == ["effect", "params"]


@pytest.mark.parametrize("backend", ["polars", "pyarrow", "pandas"])
@pytest.mark.parametrize(
    "table",
    [
        lambda fit: fit.tidy(),
        lambda fit: fit.ranef(condvar=True),
        lambda fit: fit.summary(),
        lambda fit: fit.varcorr,
        lambda fit: fit.random_effects["Subject"],
        lambda fit: fit.marginal_means(at={"Days": [0, 9]}),
        lambda fit: fit.augment(),
    ],
)
def test_tables_keep_their_values(fit, backend, table):
    made = lf.as_frame(table(fit), backend)
    back = made if backend == "pandas" else made.to_pandas()
    expected = lf.as_frame(table(fit), "pandas")
    pd.testing.assert_frame_equal(
        back.astype(object).where(back.notna(), None),
        expected.astype(object).where(expected.notna(), None),
        check_dtype=False,
    )


def test_missing_values_are_null(fit):
    frame = lf.as_frame(fit.tidy(), "polars")
    assert frame["group"].null_count() == 2
    assert frame["statistic"].null_count() == 4
    assert lf.as_frame(fit.tidy(), "pyarrow")["statistic"].null_count == 4


def test_categories_stay_categories(sleepstudy):
    assert lf.as_frame(sleepstudy, "polars")["Subject"].dtype == pl.Categorical
    assert pa.types.is_dictionary(lf.as_frame(sleepstudy, "pyarrow").schema.field("Subject").type)


def test_index_of_rows_is_left_out_unless_named(fit):
    residuals = lf.as_frame(fit.resid, "polars")
    assert residuals.columns == ["resid"]
    assert lf.as_frame(fit.resid, "polars", index="row").columns == ["row", "resid"]
    multi = pd.DataFrame({"x": [1.0]}, index=pd.MultiIndex.from_tuples([("a", 1)]))
    assert lf.as_frame(multi, "polars").columns == ["level_0", "level_1", "x"]


def test_table_is_not_changed(fit):
    table = fit.tidy()
    before = table.copy()
    made = lf.as_frame(table, "pandas")
    made["estimate"] = np.nan
    pd.testing.assert_frame_equal(table, before)


def test_what_is_no_table(fit):
    with pytest.raises(lf.DataError):
        lf.as_frame(3.0)
    with pytest.raises(lf.OptionError) as caught:
        lf.as_frame(fit.params, "polar")
    assert "polars" in caught.value.suggestion
    with pytest.raises(lf.OptionError):
        lf.as_frame(fit.params, index=["a", "b"])
    with pytest.raises(lf.OptionError):
        lf.as_frame(fit.params, index="params")


def test_missing_package_names_the_extra(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(lf.OptionError) as caught:
        lf.as_frame(fit.params, "polars")
    assert caught.value.extra == "polars"
