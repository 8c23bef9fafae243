"""Repeated-measures analysis: equality with the mixed model, kinds of data, printing."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import lmmformula as lf
from lmmformula.errors import InferenceWarning


def design(
    seed: int,
    within: dict[str, int],
    groups: tuple[int, ...] = (8,),
    sd: tuple[float, ...] = (2.0, 1.0),
) -> pd.DataFrame:
    """Complete data: a subject effect, one per subject and within factor, and noise of SD 0.5."""
    rng = np.random.default_rng(seed)
    names = list(within)
    grid = pd.MultiIndex.from_product(
        [[f"s{i:02d}" for i in range(sum(groups))]]
        + [[f"{name}{j}" for j in range(size)] for name, size in within.items()],
        names=["who", *names],
    ).to_frame(index=False)
    who = pd.factorize(grid["who"])[0]
    grid["group"] = np.repeat([f"g{k}" for k in range(len(groups))], groups)[who]
    grid["y"] = rng.normal(size=len(grid), scale=0.5) + rng.normal(size=who.max() + 1)[who] * sd[0]
    for name in names if len(names) > 1 else []:
        cell = pd.factorize(grid["who"] + grid[name])[0]
        grid["y"] += rng.normal(size=cell.max() + 1)[cell] * sd[1]
    grid["y"] += 0.3 * pd.factorize(grid[names[0]])[0]
    return grid


def analyse(data, **options):
    options = {"response": "y", "subject": "who", "within": "a", **options}
    return lf.rm_anova(data, **options)


EQUAL = {
    "one": (design(1, {"a": 4}), {}),
    "one_and_groups": (design(2, {"a": 3}, (4, 7, 5)), {"between": "group"}),
    "one_and_groups_II": (design(2, {"a": 3}, (4, 7, 5)), {"between": "group", "type": "II"}),
    "two": (design(3, {"a": 3, "b": 2}, (9,)), {"within": ["a", "b"]}),
    "two_and_groups": (
        design(4, {"a": 3, "b": 2}, (5, 8)),
        {"within": ["a", "b"], "between": "group"},
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_mixed_model_has_the_same_tests(name):
    data, options = EQUAL[name]
    analysis = analyse(data, **options)
    assert analysis.agrees_with_mixed_model
    fit = analysis.mixed_model().fit()
    terms = fit.anova(type=options.get("type", "III"))
    ours = analysis.to_frame().loc[terms.index]
    np.testing.assert_allclose(terms["F"], ours["F"], rtol=1e-8)
    np.testing.assert_allclose(terms["den_df"], ours["den_df"], rtol=1e-8)
    variances = fit.varcorr.to_frame().set_index("grp")["vcov"]
    components = analysis.variance_components
    expected = [components[group] for group in variances.index]
    np.testing.assert_allclose(variances, expected, rtol=1e-8)


def test_mixed_model_differs_where_a_variance_is_negative():
    data = design(5, {"a": 4}, sd=(0.0, 0.0))
    data["y"] -= data.groupby("who")["y"].transform("mean") * 0.9
    analysis = analyse(data)
    assert analysis.variance_components["who"] < 0
    assert not analysis.agrees_with_mixed_model
    assert "`who`" in analysis.notes[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        terms = analysis.mixed_model().fit().anova()
    assert terms.loc["a", "F"] > 1.05 * analysis.to_frame().loc["a", "F"]


def test_mixed_model_says_what_it_is():
    analysis = analyse(design(3, {"a": 3, "b": 2}), within=["a", "b"])
    assert analysis.mixed_model().formula == "y ~ a * b + (1 | who) + (1 | who:a) + (1 | who:b)"
    assert analysis.mixed_call == (
        "lf.lmer('y ~ a * b + (1 | who) + (1 | who:a) + (1 | who:b)', data, "
        "contrasts={'a': 'sum', 'b': 'sum'})"
    )


def test_pasted_call_is_the_mixed_model():
    data = design(6, {"a": 3}).rename(columns={"y": "the y", "a": "dose"})
    data["dose"] = data["dose"].map({"a0": 0.5, "a1": 1.0, "a2": 2.5})
    analysis = analyse(data, response="the y", within="dose")
    pasted = eval(analysis.mixed_call, {"lf": lf, "data": data})
    assert pasted.formula == analysis.mixed_model().formula == "`the y` ~ C(dose) + (1 | who)"
    assert pasted.params.index.tolist() == ["Intercept", "dose[S.0.5]", "dose[S.1]"]
    assert pasted.objective == pytest.approx(analysis.mixed_model().fit().objective, abs=1e-8)


def test_two_levels_are_the_paired_t_test():
    data = design(7, {"a": 2})
    row = analyse(data).to_frame().loc["a"]
    wide = data.pivot(index="who", columns="a", values="y")
    t = stats.ttest_rel(wide["a0"], wide["a1"])
    assert row["F"] == pytest.approx(t.statistic**2)
    assert row["pvalue"] == row["pvalue_gg"] == row["pvalue_hf"] == pytest.approx(t.pvalue)
    assert row[["eps_gg", "eps_hf"]].tolist() == [1.0, 1.0]
    assert analyse(data).mauchly.empty


def test_lecoutres_correction():
    """Published: N in place of N - g + 1 (values by the formulas of both papers)."""
    data = design(8, {"a": 4}, (4, 6, 5))
    corrected = analyse(data, between="group")
    published = analyse(data, between="group", hf="huynh-feldt")
    gg, d, N, g = corrected.to_frame().loc["a", "eps_gg"], 3, 15, 3
    den = d * (N - g - d * gg)
    assert corrected.to_frame().loc["a", "eps_hf"] == pytest.approx(
        ((N - g + 1) * d * gg - 2) / den
    )
    assert published.to_frame().loc["a", "eps_hf"] == pytest.approx((N * d * gg - 2) / den)
    both = corrected.epsilons.loc["a", ["huynh_feldt", "lecoutre"]].tolist()
    assert both == [
        published.to_frame().loc["a", "eps_hf"],
        corrected.to_frame().loc["a", "eps_hf"],
    ]
    assert "as published" in published.notes[0]
    one_group = analyse(design(8, {"a": 4}))
    assert one_group.epsilons.loc["a", "huynh_feldt"] == one_group.epsilons.loc["a", "lecoutre"]


def test_epsilon_above_one_counts_as_one():
    analysis = analyse(design(10, {"a": 3}, (30,)))
    row = analysis.to_frame().loc["a"]
    assert row["eps_hf"] > 1
    assert row["pvalue_hf"] == row["pvalue"]
    assert any("counts as 1" in note for note in analysis.notes)


def test_between_effects_are_an_anova_of_subject_means():
    data = design(9, {"a": 3, "b": 2}, (4, 9, 6))
    frame = analyse(data, within=["a", "b"], between="group").to_frame()
    means = data.groupby(["who", "group"])["y"].mean().reset_index()
    F, p = stats.f_oneway(*(part["y"] for _, part in means.groupby("group")))
    assert frame.loc["group", ["F", "pvalue"]].tolist() == pytest.approx([F, p])
    assert frame.loc["group", ["eps_gg", "pvalue_gg", "eps_hf", "pvalue_hf"]].isna().all()


def test_types_agree_for_equal_groups_and_differ_for_unequal_ones():
    for sizes, same in (((5, 5), True), ((3, 8), False)):
        data = design(10, {"a": 3}, sizes)
        two, three = (analyse(data, between="group", type=t).to_frame()["F"] for t in ("II", 3))
        assert np.isclose(two["a"], three["a"], rtol=1e-9) == same
        assert two["group:a"] == pytest.approx(three["group:a"])


def test_order_of_rows_and_names_of_levels_do_not_matter():
    data = design(12, {"a": 3, "b": 2}, (4, 5))
    options = {"within": ["a", "b"], "between": "group"}
    expected = analyse(data, **options).to_frame()
    other = data.sample(frac=1, random_state=1)
    other["a"] = other["a"].map({"a0": "z", "a1": "y", "a2": "x"})
    before = other.copy()
    pd.testing.assert_frame_equal(analyse(other, **options).to_frame(), expected, rtol=1e-9)
    pd.testing.assert_frame_equal(other, before)


def test_scale_of_the_response_does_not_matter():
    data = design(12, {"a": 3})
    expected = analyse(data).to_frame().drop(columns=["sum_sq", "sum_sq_error"])
    data["y"] = data["y"] * 1e6 - 3e6
    found = analyse(data).to_frame().drop(columns=["sum_sq", "sum_sq_error"])
    pd.testing.assert_frame_equal(found, expected, rtol=1e-8)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "dict", "categorical", "numbers"])
def test_kinds_of_data(kind):
    data = design(13, {"a": 3})
    expected = analyse(data).to_frame()
    if kind == "polars":
        given = pytest.importorskip("polars").from_pandas(data)
    elif kind == "pyarrow":
        given = pytest.importorskip("pyarrow").Table.from_pandas(data)
    elif kind == "dict":
        given = {name: data[name].to_numpy() for name in data}
    elif kind == "categorical":
        given = data.astype({"a": "category", "who": "category"})
    else:
        given = data.assign(a=data["a"].str[1:].astype(int), who=data["who"].str[1:].astype(float))
    pd.testing.assert_frame_equal(analyse(given).to_frame(), expected)


def test_aggregate():
    data = design(14, {"a": 3, "b": 2})
    means = data.groupby(["who", "a"], as_index=False)["y"].mean()
    found = analyse(data, aggregate="mean").to_frame()
    pd.testing.assert_frame_equal(found, analyse(means).to_frame(), rtol=1e-9)


def test_subjects_that_lack_cells_can_be_left_out():
    data = design(15, {"a": 3}, (4, 5))
    whole = data[~data["who"].isin(["s01", "s06"])]
    data.loc[data.index[4], "y"] = np.nan
    data = data.drop(index=data.index[18])
    with pytest.warns(lf.DroppedRowsWarning) as caught:
        found = analyse(data, between="group", missing="drop").to_frame()
    assert caught[0].message.subjects == ("s01", "s06")
    pd.testing.assert_frame_equal(found, analyse(whole, between="group").to_frame(), rtol=1e-9)


def test_too_few_subjects_for_sphericity():
    data = design(16, {"a": 5, "b": 2}, (4,))
    with pytest.warns(InferenceWarning) as caught:
        analysis = analyse(data, within=["a", "b"])
    assert caught[0].message.effects == ("a", "a:b")
    assert caught[0].message.needed == 5
    frame = analysis.to_frame()
    assert frame["pvalue"].notna().all()
    missing = ["eps_gg", "pvalue_gg", "eps_hf", "pvalue_hf"]
    assert frame.loc[["a", "a:b"], missing].isna().all(axis=None)
    assert frame.loc["b", missing].notna().all()
    assert analysis.mauchly.isna().all(axis=None)
    tests = analysis.multivariate().set_index("effect")
    assert tests.loc["a", "pvalue"].isna().all()
    assert tests.loc["b", "pvalue"].notna().all()
    with pytest.warns(InferenceWarning):
        alone = analyse(data[data["b"] == "b0"])
    with pytest.raises(lf.DesignError) as error:
        alone.multivariate()
    assert error.value.n_subjects == 4


def test_no_error_at_all():
    data = design(17, {"a": 3})
    data["y"] = pd.factorize(data["a"])[0] + 10.0 * pd.factorize(data["who"])[0]
    with pytest.warns(InferenceWarning):
        row = analyse(data).to_frame().loc["a"]
    assert np.isnan(row[["F", "pvalue", "pvalue_gg", "pes"]].astype(float)).all()


def test_printing():
    analysis = analyse(design(18, {"a": 3}, (4, 5)), between="group")
    text = str(analysis)
    assert "type III" in text
    assert "Mauchly" in text
    assert "group:a" in text
    assert repr(analysis) == text
    assert analysis._repr_html_().count("<table") == 2
    assert r"\toprule" in analysis.as_latex()
    assert "| group:a |" in analysis.as_markdown()
    assert "nan" not in text.lower()
