"""Marginal means and slopes of fits: grids, transforms, nesting, empty cells, bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataWarning, InferenceWarning, OptionError, RankWarning

RNG_ROWS = 160


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    n = RNG_ROWS
    frame = pd.DataFrame(
        {
            "g": np.repeat([f"g{i}" for i in range(16)], n // 16),
            "f": rng.choice(["lo", "mid", "hi"], n),
            "h": rng.choice(["u", "v"], n),
            "dose": rng.choice([1, 2, 4], n),
            "x": rng.normal(size=n).round(2) + 3.0,
            "z": rng.choice([0.0, 1.0], n),
            "flag": rng.random(n) > 0.4,
        }
    )
    u = rng.normal(size=16)[np.repeat(np.arange(16), n // 16)]
    frame["y"] = frame["x"] * 0.4 + (frame["f"] == "mid") + u + rng.normal(size=n)
    frame["f"] = pd.Categorical(frame["f"], categories=["lo", "mid", "hi"])
    return frame


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer("y ~ f * h + x + z + (1 | g)", data)


def by_hand(results, rows):
    """Predict each row at the population and average."""
    return float(results.predict(rows, random="none").mean())


def test_means_are_averages_of_predictions(fit, data):
    frame = fit.marginal_means("f").to_frame()
    assert list(frame.columns) == ["f", "mean", "se", "df", "lower", "upper"]
    assert list(frame["f"]) == ["lo", "mid", "hi"]
    for level, mean in zip(frame["f"], frame["mean"], strict=True):
        rows = pd.DataFrame([(level, h, data["x"].mean(), z) for h in "uv" for z in (0.0, 1.0)])
        rows.columns = ["f", "h", "x", "z"]
        assert mean == pytest.approx(by_hand(fit, rows), rel=1e-12)


def test_spellings_of_variables(fit):
    first = fit.marginal_means("f:h").to_frame()
    for spelling in (["f", "h"], ("f", "h"), "f : h"):
        pd.testing.assert_frame_equal(fit.marginal_means(spelling).to_frame(), first)
    by = fit.marginal_means("f", by="h")
    pd.testing.assert_frame_equal(by.to_frame(), first)
    assert by.by == ("h",)
    assert len(fit.marginal_means().to_frame()) == 1


def test_values_given_at(fit):
    frame = fit.marginal_means("x", at={"x": [1, 2.5]}).to_frame()
    assert frame["x"].tolist() == [1.0, 2.5]
    slope = float(np.diff(frame["mean"])[0]) / 1.5
    assert slope == pytest.approx(fit.params["x"], rel=1e-10)
    one = fit.marginal_means("f", at={"h": "v"}).to_frame()
    cell = fit.marginal_means("f:h").to_frame()
    assert one["mean"].tolist() == pytest.approx(cell.loc[cell["h"] == "v", "mean"].tolist())


def test_every_transform_is_replayed(data):
    fit = lf.lmer("y ~ ns(x, 3) * h + scale(z) + log(dose) + I(dose^2) + (1 | g)", data)
    frame = fit.marginal_means("h", at={"x": 2.2, "z": 1, "dose": 3}).to_frame()
    for level, mean in zip(frame["h"], frame["mean"], strict=True):
        rows = pd.DataFrame({"h": [level], "x": [2.2], "z": [1.0], "dose": [3.0]})
        assert mean == pytest.approx(by_hand(fit, rows), rel=1e-10)


def test_numbers_made_a_factor_and_logical_values(data):
    fit = lf.lmer("y ~ C(dose) + flag + (1 | g)", data)
    assert fit.marginal_means("dose")["dose"].tolist() == [1, 2, 4]
    frame = fit.marginal_means("flag").to_frame()
    assert frame["flag"].tolist() == [False, True]
    assert float(np.diff(frame["mean"])[0]) == pytest.approx(fit.params["flag[T.True]"])
    contrasts = fit.marginal_means("dose").contrasts("consec", "none")
    assert list(contrasts["contrast"]) == ["dose2 - dose1", "dose4 - dose2"]


def test_columns_with_other_types_of_levels(data):
    coded = data.assign(dose=pd.Categorical(data["dose"], categories=[4, 2, 1]))
    fit = lf.lmer("y ~ dose + x + (1 | g)", coded)
    assert fit.marginal_means("dose")["dose"].tolist() == ["4", "2", "1"]
    assert fit.marginal_means("dose", at={"dose": [1, 4]})["dose"].tolist() == ["1", "4"]


def test_dates_sit_at_their_mean(data):
    dated = data.assign(day=pd.Timestamp("2020-01-01") + pd.to_timedelta(data["dose"], "D"))
    with pytest.warns(DataWarning):
        fit = lf.lmer("y ~ day + h + (1 | g)", dated)
    with pytest.warns(DataWarning):
        means = fit.marginal_means("h", at={"day": "2020-01-03"})
    assert np.isfinite(means["mean"]).all()


def test_slopes_of_transforms(data):
    fit = lf.lmer("y ~ h * x + I(x^2) + log(x) + (1 | g)", data)
    frame = fit.marginal_slopes("x", by="h", at={"x": 2.0}).to_frame()
    assert list(frame.columns) == ["h", "slope", "se", "df", "lower", "upper"]
    b = fit.params
    base = b["x"] + 4 * b["I(x ** 2)"] + b["log(x)"] / 2
    expected = [base, base + b["h[T.v]:x"]]
    np.testing.assert_allclose(frame["slope"], expected, rtol=1e-7)
    pairs = fit.marginal_slopes("x", by="h").contrasts()
    assert pairs["estimate"].tolist() == pytest.approx([-b["h[T.v]:x"]], rel=1e-7)
    assert list(pairs["contrast"]) == ["u - v"]


def test_slope_near_the_edge_of_a_transform(data):
    fit = lf.lmer("y ~ log(x) + (1 | g)", data)
    slope = fit.marginal_slopes("x", at={"x": 1e-5})["slope"][0]
    assert slope == pytest.approx(fit.params["log(x)"] * 1e5, rel=1e-3)
    with pytest.raises(lf.errors.DataError) as caught:
        fit.marginal_slopes("x", at={"x": 0.0})
    assert caught.value.column == "x"


def test_offsets(data):
    shifted = data.assign(off=data["dose"] * 0.1)
    named = lf.lmer("y ~ h + (1 | g)", shifted, offset="off")
    written = lf.lmer("y ~ h + offset(off) + (1 | g)", shifted)
    expected = written.marginal_means("h").to_frame()
    pd.testing.assert_frame_equal(named.marginal_means("h").to_frame(), expected, rtol=1e-6)
    array = lf.lmer("y ~ h + (1 | g)", shifted, offset=shifted["off"])
    with pytest.warns(DataWarning):
        means = array.marginal_means("h")
    shift = expected["mean"] - means["mean"]
    np.testing.assert_allclose(shift, shifted["off"].mean(), rtol=1e-6)


def test_without_rows_and_pickled(fit):
    expected = fit.marginal_means("f").contrasts().to_frame()
    for other in (fit.without_data(), pickle.loads(pickle.dumps(fit))):
        pd.testing.assert_frame_equal(other.marginal_means("f").contrasts().to_frame(), expected)


def test_tests_and_covariance(fit):
    means = fit.marginal_means("f")
    tests = means.test(null=1.0)
    np.testing.assert_allclose(tests["statistic"], (means["mean"] - 1) / means["se"])
    np.testing.assert_allclose(np.sqrt(np.diag(means.cov())), means["se"])


def test_methods_of_inference(fit):
    wald = fit.marginal_means("f", ddf="wald")
    assert np.isinf(wald["df"]).all()
    assert np.isfinite(wald.contrasts(adjust="mvt")["pvalue"]).all()
    adjusted = fit.marginal_means("f", ddf="kenward-roger")
    assert (adjusted["se"] > 0.999 * wald["se"]).all()
    np.testing.assert_allclose(adjusted["mean"], wald["mean"])
    with pytest.raises(OptionError):
        fit.marginal_means("f", ddf="exact")


def test_families_by_another_factor(fit):
    means = fit.marginal_means("f", by="h")
    within = means.contrasts("pairwise")
    assert list(within.columns[:3]) == ["contrast", "h", "estimate"]
    assert within["h"].tolist() == ["u"] * 3 + ["v"] * 3
    assert len(means.contrasts("pairwise", by=[])) == 15
    assert len(means.contrasts("pairwise", by="f")) == 3
    one = fit.marginal_means("f", at={"h": "v"}).contrasts("pairwise").to_frame()
    both = within.to_frame().query("h == 'v'").drop(columns="h").reset_index(drop=True)
    pd.testing.assert_frame_equal(one, both)


def test_control(fit):
    means = fit.marginal_means("f")
    chosen = means.contrasts("trt.vs.ctrl", control="mid")
    assert list(chosen["contrast"]) == ["lo - mid", "hi - mid"]
    with pytest.raises(OptionError) as caught:
        means.contrasts("trt.vs.ctrl", control="none")
    assert caught.value.available == ("lo", "mid", "hi")


def test_answers_as_its_frame_does(fit):
    means = fit.marginal_means("f")
    assert means.set_index("f").loc["mid", "mean"] == means["mean"][1]
    assert list(means) == list(means.columns) == ["f", "mean", "se", "df", "lower", "upper"]
    assert means.shape == (3, 6)
    with pytest.raises(AttributeError):
        means.nonsense  # noqa: B018


def test_printing(fit):
    means = fit.marginal_means("f", by="h")
    text = str(means)
    assert "Marginal means of y" in text
    assert "Satterthwaite" in text
    assert "z" in text
    assert means.as_html().count("<tr") == 7
    assert "\\begin{tabular}" in means.as_latex()
    contrasts = means.contrasts()
    assert "Tukey" in contrasts.as_text()
    assert "within each level of h" in contrasts.as_text()
    assert repr(contrasts) == contrasts.as_text()
    assert "|" in contrasts.as_markdown()


def test_transformed_response_is_said(data):
    fit = lf.lmer("exp(y / 10) ~ h + (1 | g)", data)
    assert any("not transformed back" in note for note in fit.marginal_means("h").notes)


# -- empty cells and nesting ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def holed(data):
    rows = data[~((data["f"] == "mid") & (data["h"] == "v"))]
    with pytest.warns(RankWarning):
        return lf.lmer("y ~ f * h + x + (1 | g)", rows)


def test_cells_that_are_not_estimable(holed):
    with pytest.warns(InferenceWarning) as caught:
        frame = holed.marginal_means("f:h").to_frame()
    assert caught[0].message.cells == ("f=mid, h=v",)
    assert frame["mean"].isna().sum() == 1
    assert frame[["se", "df", "lower", "upper"]].isna().sum().tolist() == [1] * 4
    with pytest.warns(InferenceWarning) as caught:
        means = holed.marginal_means("f")
    assert caught[0].message.cells == ("f=mid",)
    with pytest.warns(InferenceWarning) as caught:
        frame = means.contrasts().to_frame()
    assert caught[0].message.cells == ("lo - mid", "mid - hi")
    assert frame["pvalue"].notna().tolist() == [False, True, False]


def test_weights_by_cells_avoid_empty_ones(holed):
    assert holed.marginal_means("f", weights="cells")["mean"].notna().all()
    assert holed.marginal_means("f", weights="flat")["mean"].notna().all()


def test_an_empty_cell_leaves_the_others(data):
    rows = data[~((data["f"] == "mid") & (data["h"] == "v"))]
    fit = lf.lmer("y ~ f + h + z + (1 | g)", rows)
    with pytest.warns(InferenceWarning):
        means = fit.marginal_means("f:h", weights="cells")
    assert means["mean"].isna().sum() == 1
    with pytest.warns(InferenceWarning) as caught:
        contrasts = means.contrasts("pairwise", "none")
    assert len(caught[0].message.cells) == 5
    assert contrasts["estimate"].notna().sum() == 10


def test_contrasts_of_missing_means_may_be_known(data):
    with pytest.warns(RankWarning):
        fit = lf.lmer("y ~ f + h + C(dose) + dose2 + (1 | g)", data.assign(dose2=data["dose"] ** 2))
    with pytest.warns(InferenceWarning):
        means = fit.marginal_means("f")
    assert means["mean"].isna().all()
    assert means.contrasts("pairwise")["estimate"].notna().all()


def test_estimability_does_not_depend_on_units(data):
    rows = data[~((data["f"] == "mid") & (data["h"] == "v"))].assign(x=data["x"] * 1e7)
    with pytest.warns(RankWarning):
        fit = lf.lmer("y ~ f * h + x + (1 | g)", rows)
    with pytest.warns(InferenceWarning):
        assert fit.marginal_means("f:h")["mean"].isna().sum() == 1


def test_nested_factors_are_averaged_within(data):
    site = data["f"].astype(str) + data["dose"].astype(str)
    nested = data.assign(site=site)
    with pytest.warns(RankWarning):
        fit = lf.lmer("y ~ f + f:site + (1 | g)", nested)
    sites = fit.marginal_means("site").to_frame()
    assert list(sites.columns[:2]) == ["site", "f"]
    assert len(sites) == 9
    means = fit.marginal_means("f").to_frame()
    within = sites.groupby("f", observed=True)["mean"].mean()
    np.testing.assert_allclose(means["mean"], within[means["f"]], rtol=1e-10)
    assert any("site is nested in f" in note for note in fit.marginal_means("f").notes)


def test_interaction_alone_is_nested_by_the_data(data):
    nested = data.assign(site=data["f"].astype(str) + data["dose"].astype(str))
    with pytest.warns(RankWarning):
        fit = lf.lmer("y ~ f:site + (1 | g)", nested)
    with pytest.warns(RankWarning):
        same = lf.lmer("y ~ f + f:site + (1 | g)", nested)
    means = fit.marginal_means("f")["mean"]
    np.testing.assert_allclose(means, same.marginal_means("f")["mean"], rtol=1e-6)


# -- bad input -----------------------------------------------------------------------------------


def test_unknown_variable(fit):
    for call in (
        lambda: fit.marginal_means("hh"),
        lambda: fit.marginal_means("f", by="hh"),
        lambda: fit.marginal_means("f", at={"hh": 1}),
        lambda: fit.marginal_slopes("xx"),
        lambda: fit.marginal_slopes("x", by="hh"),
    ):
        with pytest.raises(OptionError) as caught:
            call()
        assert caught.value.closest in ("h", "x")
        assert caught.value.available == ("f", "h", "x", "z")


def test_numeric_variable_as_factor(fit):
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("x")
    assert caught.value.variable == "x"
    assert "marginal_slopes" in caught.value.suggestion


def test_factor_as_slope(fit):
    with pytest.raises(OptionError) as caught:
        fit.marginal_slopes("f")
    assert caught.value.variable == "f"


@pytest.mark.parametrize(
    "at", [{"f": "none"}, {"f": []}, {"x": "high"}, {"x": [np.nan]}, {"x": np.inf}]
)
def test_values_that_cannot_be(fit, at):
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("h", at=at)
    assert caught.value.variable in at


def test_at_must_be_a_mapping(fit):
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("h", at=[("x", 1)])
    assert caught.value.argument == "at"


def test_unknown_weights(fit):
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("f", weights="proportionl")
    assert caught.value.closest == "proportional"


def test_grid_too_large(data):
    fit = lf.lmer("y ~ f + x + (1 | g)", data)
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("f", at={"x": np.arange(400_000)})
    assert caught.value.n_rows == 1_200_000


@pytest.mark.parametrize("alpha", [0, 1, "x"])
def test_impossible_level(fit, alpha):
    with pytest.raises(OptionError):
        fit.marginal_means("f", alpha=alpha)


def test_nothing_to_compare(fit):
    with pytest.raises(OptionError):
        fit.marginal_means("f", by="h").contrasts(by=["f", "h"])
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("f").contrasts(by="h")
    assert caught.value.available == ("f",)


def test_intercept_alone(data):
    fit = lf.lmer("y ~ 1 + (1 | g)", data)
    frame = fit.marginal_means().to_frame()
    assert frame["mean"][0] == pytest.approx(fit.params["Intercept"])
    with pytest.raises(OptionError) as caught:
        fit.marginal_means("f")
    assert caught.value.available == ()
