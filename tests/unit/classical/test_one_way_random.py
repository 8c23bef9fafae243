"""One-way random models: what is read, boundary cases, intervals, power, printing, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.classical.one_way_power import positive_probability, unbalanced_power
from lmmformula.errors import DataError, DesignError, DroppedRowsWarning, OptionError


@pytest.fixture
def dyestuff():
    return lf.load_dataset("dyestuff")


@pytest.fixture
def unequal(dyestuff):
    rows = [5 * batch + row for batch, n in enumerate((5, 2, 4, 3, 1, 5)) for row in range(n)]
    return dyestuff.iloc[rows]


def test_expected_mean_squares(dyestuff, unequal):
    table = lf.one_way_random("Yield", "Batch", dyestuff).anova
    assert list(table.index) == ["Batch", "Residual", "Total"]
    assert table["expected_mean_sq"].tolist() == ["var_resid + 5 var_group", "var_resid", ""]
    analysis = lf.one_way_random("Yield", "Batch", unequal)
    sizes = np.array([5, 2, 4, 3, 1, 5])
    assert analysis.groups.n0 == pytest.approx((20 - (sizes**2).sum() / 20) / 5)
    assert not analysis.is_balanced
    between, within = analysis.groups.mean_squares
    assert analysis.moments.var_group == pytest.approx((between - within) / analysis.groups.n0)


def test_the_mean_of_unequal_groups_is_weighted(unequal):
    analysis = lf.one_way_random("Yield", "Batch", unequal)
    found = analysis.moments
    means = unequal.groupby("Batch", observed=True)["Yield"].agg(["mean", "size"])
    precision = 1 / (found.var_group + found.var_resid / means["size"])
    assert found.mean == pytest.approx((precision @ means["mean"]) / precision.sum())
    assert found.mean_se == pytest.approx(precision.sum() ** -0.5)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "dict"])
def test_other_kinds_of_data(dyestuff, kind):
    expected = lf.one_way_random("Yield", "Batch", dyestuff).reml
    plain = {"Yield": dyestuff["Yield"].to_numpy(), "Batch": dyestuff["Batch"].astype(str).tolist()}
    if kind == "polars":
        plain = pytest.importorskip("polars").DataFrame(plain)
    elif kind == "pyarrow":
        plain = pytest.importorskip("pyarrow").table(plain)
    assert lf.one_way_random("Yield", "Batch", plain).reml == expected


def test_expressions_and_number_labels(dyestuff):
    coded = dyestuff.assign(Batch=dyestuff["Batch"].cat.codes, log=np.log(dyestuff["Yield"]))
    direct = lf.one_way_random("log", "Batch", coded).reml
    assert lf.one_way_random("log(Yield)", "Batch", coded).reml.llf == pytest.approx(direct.llf)


def test_the_callers_data_stay(dyestuff):
    before = dyestuff.copy()
    analysis = lf.one_way_random("Yield", "Batch", dyestuff)
    table = analysis.blups
    table.loc["A", "blup"] = 0.0
    assert analysis.blups.loc["A", "blup"] != 0.0
    pd.testing.assert_frame_equal(dyestuff, before)


def test_shrinkage(unequal):
    analysis = lf.one_way_random("Yield", "Batch", unequal)
    table, found = analysis.blups, analysis.reml
    assert table["n"].tolist() == [5, 2, 4, 3, 1, 5]
    kept = found.var_group / (found.var_group + found.var_resid / table["n"])
    assert table["shrinkage"].to_numpy() == pytest.approx(kept)
    assert table["blup"].to_numpy() == pytest.approx(kept * (table["mean"] - found.mean))
    # Prediction errors from the inverse of Henderson's equations.
    sizes = table["n"].to_numpy(float)
    middle = np.block(
        [[np.array([[sizes.sum()]]), sizes[None]],
         [sizes[:, None], np.diag(sizes + found.var_resid / found.var_group)]]
    )  # fmt: skip
    inverse = found.var_resid * np.linalg.inv(middle)
    assert table["se"].to_numpy() == pytest.approx(np.sqrt(np.diag(inverse)[1:]))
    assert found.mean_se == pytest.approx(np.sqrt(inverse[0, 0]))


def test_no_group_variance():
    analysis = lf.one_way_random("Yield", "Batch", lf.load_dataset("dyestuff2"))
    assert analysis.moments.var_group < 0.0
    assert analysis.moments.icc == analysis.icc.estimate < 0.0
    assert (analysis.blups[["shrinkage", "blup", "sd", "se"]] == 0.0).all(axis=None)
    assert "below the one within" in str(analysis)
    assert "boundary" in str(analysis)


def test_only_ml_at_the_boundary():
    rng = np.random.default_rng(8)
    means = np.repeat([0.0, 1.0, -1.0], 4)
    noise = rng.standard_normal((3, 4))
    noise -= noise.mean(axis=1, keepdims=True)
    noise *= np.sqrt(9 / (noise**2).sum())  # mean square within: 1
    data = {"y": (0.55 * means + noise.ravel()), "g": np.repeat(["a", "b", "c"], 4)}
    analysis = lf.one_way_random("y", "g", data)
    assert analysis.f_test().statistic == pytest.approx(4 * 0.55**2)
    assert analysis.ml.on_boundary
    assert not analysis.reml.on_boundary
    assert analysis.remarks


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_limits_where_the_statistic_of_wald_meets_its_quantiles(unequal, alpha):
    """The statistic as a quadratic form in all rows, with the dense covariance."""
    analysis = lf.one_way_random("Yield", "Batch", unequal)
    found = analysis.icc_interval(alpha)
    Z = pd.get_dummies(unequal["Batch"].astype(str)).to_numpy(float)
    y, one = unequal["Yield"].to_numpy(float), np.ones(20)
    for limit, share in ((found.lower, 1 - alpha / 2), (found.upper, alpha / 2)):
        inverse = np.linalg.inv(np.eye(20) + limit / (1 - limit) * Z @ Z.T)
        rest = y - one * (one @ inverse @ y) / (one @ inverse @ one)
        within = analysis.groups.ss_within
        statistic = (rest @ inverse @ rest - within) / 5 / (within / 14)
        quantile = stats.f.ppf(share, 5, 14)
        assert statistic == pytest.approx(quantile, rel=1e-8) or (limit == 0 > statistic - quantile)
    approximate = analysis.icc_interval(alpha, "thomas-hultquist")
    assert not approximate.is_exact
    assert approximate.upper == pytest.approx(found.upper, abs=0.05)
    assert analysis.icc_interval(alpha, "searle").upper == pytest.approx(found.upper, abs=0.05)


@pytest.mark.slow
def test_coverage_of_the_exact_interval():
    rng = np.random.default_rng(1)
    sizes, n = np.array([2, 2, 3, 4, 9, 12, 15]), 2000
    g, inside = np.repeat(np.arange(7), sizes), 0
    for _ in range(n):
        y = rng.standard_normal(7)[g] + rng.standard_normal(len(g))
        found = lf.one_way_random("y", "g", {"y": y, "g": g}).icc_interval(0.1)
        inside += found.lower <= 0.5 <= found.upper
    assert abs(inside / n - 0.9) < 3 * np.sqrt(0.09 / n)


def test_power_function(dyestuff, unequal):
    analysis = lf.one_way_random("Yield", "Batch", dyestuff)
    ratio = np.array([0.0, 0.1, 0.5, 2.0, 50.0])
    found = analysis.power(ratio)
    assert found[0] == pytest.approx(0.05)
    assert (np.diff(found) > 0).all()
    by_inversion = [unbalanced_power(r, 0.05, np.full(6, 5)) for r in ratio]
    assert by_inversion == pytest.approx(found, abs=1e-9)
    assert isinstance(analysis.power(0.5), float)
    assert analysis.power(ratio.reshape(5, 1)).shape == (5, 1)
    other = lf.one_way_random("Yield", "Batch", unequal)
    assert other.power(0.0) == pytest.approx(0.05, abs=1e-8)
    assert other.power(0.5) < analysis.power(0.5)
    assert other.power(0.5, groups=6, size=5) == pytest.approx(analysis.power(0.5))


def test_probability_of_a_sum_of_chi_squares():
    critical = stats.f.ppf(0.9, 3, 7)
    weights, df = np.array([1.0, -critical * 3 / 7]), np.array([3.0, 7.0])
    assert positive_probability(weights, df) == pytest.approx(0.1, abs=1e-9)
    assert positive_probability(np.array([2.0, -2.0]), np.ones(2)) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("given", [{"size": 3}, {"groups": 4}, {}])
def test_sample_size_is_the_smallest(dyestuff, given):
    analysis = lf.one_way_random("Yield", "Batch", dyestuff)
    found = analysis.sample_size(0.5, power=0.9, **given)
    design = {"groups": found.groups, "size": found.size}
    free = "size" if "groups" in given else "groups"
    assert design.items() >= given.items()
    assert found.power == analysis.power(0.5, **design) >= 0.9
    assert analysis.power(0.5, **{**design, free: design[free] - 1}) < 0.9
    assert found.total == found.groups * found.size


def test_out_of_reach(dyestuff):
    analysis = lf.one_way_random("Yield", "Batch", dyestuff)
    with pytest.raises(OptionError) as caught:
        analysis.sample_size(1e-6, power=0.99, groups=2)
    assert "groups=4" in caught.value.suggestion


def test_incomplete_rows_are_left_out(dyestuff):
    holes = dyestuff.assign(Yield=dyestuff["Yield"].astype(float), Batch=dyestuff["Batch"])
    holes.loc[[0, 7], "Yield"] = np.nan
    holes.loc[9, "Batch"] = np.nan
    with pytest.warns(DroppedRowsWarning) as caught:
        analysis = lf.one_way_random("Yield", "Batch", holes)
    assert caught[0].message.counts == {"Yield": 2, "Batch": 1}
    expected = lf.one_way_random("Yield", "Batch", dyestuff.drop(index=[0, 7, 9]))
    assert analysis.reml == expected.reml


def one_row_each(data):
    return data.iloc[::5]


BAD = [
    ("Yeld", "Batch", lambda d: d, DataError, {"closest": "Yield", "column": "Yeld"}),
    ("Yield", "batch", lambda d: d, DataError, {"closest": "Batch"}),
    ("Batch", "Yield", lambda d: d, DataError, {"column": "Batch"}),
    ("Yield", "Batch", lambda d: d.iloc[:5], DesignError, {"n_levels": 1}),
    ("Yield", "Batch", one_row_each, DesignError, {"n_levels": 6}),
    ("Yield", "Batch", lambda d: d.assign(Yield=3.0), DataError, {"column": "Yield"}),
    ("Yield", "Batch", lambda d: d.assign(Yield=d.Batch.cat.codes), DataError, {}),
    ("Yield", "Batch", lambda d: d.assign(Yield=np.inf), DataError, {"column": "Yield"}),
    ("Yield", "Yield", lambda d: d, OptionError, {}),
    (3, "Batch", lambda d: d, OptionError, {"argument": "response"}),
    ("Yield", "Batch", lambda d: d.iloc[:0], DataError, {}),
]  # fmt: skip


@pytest.mark.parametrize(("response", "group", "change", "error", "facts"), BAD)
def test_bad_data(dyestuff, response, group, change, error, facts):
    with pytest.raises(error) as caught:
        lf.one_way_random(response, group, change(dyestuff))
    for name, value in facts.items():
        assert getattr(caught.value, name) == value
    assert caught.value.got
    assert caught.value.suggestion


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.power(-0.1),
        lambda a: a.power("much"),
        lambda a: a.power(0.5, alpha=5),
        lambda a: a.power(0.5, groups=1),
        lambda a: a.power(0.5, size=2.5),
        lambda a: a.sample_size(0.0),
        lambda a: a.sample_size(0.5, power=1.0),
        lambda a: a.sample_size([0.5, 1.0]),
        lambda a: a.sample_size(0.5, groups=3, size=3),
        lambda a: a.icc_interval(method="fisher"),
        lambda a: a.icc_interval(alpha=0),
    ],
)
def test_bad_options(dyestuff, call):
    with pytest.raises(OptionError) as caught:
        call(lf.one_way_random("Yield", "Batch", dyestuff))
    assert caught.value.suggestion


def test_it_prints_in_every_medium(dyestuff):
    analysis = lf.one_way_random("Yield", "Batch", dyestuff)
    assert str(analysis) == repr(analysis) == analysis.as_text()
    assert "var_resid + 5 var_group" in analysis.as_text()
    assert "<table" in analysis.as_html()
    assert r"var\_group" in analysis.as_latex()
    assert analysis.as_markdown().count("|") > 20
