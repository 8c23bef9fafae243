"""Single-term deletions: rows, models behind them, and what cannot be tested."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import ConvergenceWarning, DataError, InferenceWarning, OptionError
from lmmformula.inference.comparison.deletion_table import deletion_frame
from lmmformula.inference.comparison.submodels import (
    Submodel,
    SubmodelFit,
    fit_submodel,
    random_reductions,
    without_fixed,
)

FULL = "Reaction ~ Days + (Days | Subject)"


def formulas(results, **options):
    """Formulas of the reduced models."""
    return [model.formula for model in random_reductions(results.design, **options)]


def test_a_slope_goes_before_its_intercept(sleepstudy):
    results = lf.lmer(FULL, sleepstudy)
    table = results.ranova()
    assert list(table.index) == ["<none>", "Days in (Days | Subject)"]
    assert list(table.columns) == ["npar", "llf", "aic", "lrt", "df", "pvalue"]
    assert table.attrs["formulas"] == [FULL, "Reaction ~ Days + (1 | Subject)"]
    small = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    expected = lf.anova(small, results, refit=False).iloc[1]
    assert table["lrt"].iloc[1] == pytest.approx(expected["chisq"], abs=1e-8)
    assert table["pvalue"].iloc[1] == pytest.approx(expected["pvalue"], rel=1e-8)
    assert table["aic"].tolist() == pytest.approx([results.aic, small.aic], abs=1e-8)


def test_whole_terms(sleepstudy):
    table = lf.lmer(FULL, sleepstudy).ranova(reduce_terms=False)
    assert list(table.index) == ["<none>", "(Days | Subject)"]
    assert table["df"].iloc[1] == 3


def test_formula_of_an_ordinary_linear_model(sleepstudy):
    results = lf.lmer("Reaction ~ Days + offset(Days) + (1 | Subject)", sleepstudy)
    (model,) = random_reductions(results.design, reduce_terms=True)
    assert model.formula == "Reaction ~ Days + offset(Days)"
    assert model.matrices.random == ()
    y, X = results.design.matrices.working_response, results.design.matrices.X
    rest = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    n, p = X.shape
    ml = n * (1 + math.log(2 * math.pi * (rest @ rest) / n))
    reml = (n - p) * (1 + math.log(2 * math.pi * (rest @ rest) / (n - p)))
    reml += np.linalg.slogdet(X.T @ X)[1]
    assert fit_submodel(model, results, reml=False).objective == pytest.approx(ml, abs=1e-8)
    assert fit_submodel(model, results, reml=True).objective == pytest.approx(reml, abs=1e-8)


def test_weights_of_an_ordinary_linear_model(sleepstudy):
    weights = np.linspace(0.5, 2, 180)
    results = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, weights=weights, reml=False)
    (model,) = random_reductions(results.design, reduce_terms=True)
    y, X = results.design.matrices.y, results.design.matrices.X
    root = np.sqrt(weights)
    rest = root * y - root[:, None] * X @ np.linalg.lstsq(root[:, None] * X, root * y)[0]
    expected = 180 * (1 + math.log(2 * math.pi * (rest @ rest) / 180)) - np.log(weights).sum()
    assert fit_submodel(model, results, reml=False).objective == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("random", "left"),
    [
        ("(Days || Subject)", ["(0 + Days | Subject)", "(1 | Subject)"]),
        ("diag(Days | Subject)", ["diag(1 | Subject)"]),
        (
            "(Days + I(Days^2) | Subject)",
            ["(I(Days ** 2) | Subject)", "(Days | Subject)"],
        ),
        ("(poly(Days, 2) | Subject)", ["(1 | Subject)"]),
        (
            "(0 + poly(Days, 2) + Days:I(Days^3) | Subject)",
            ["(0 + Days:I(Days ** 3) | Subject)", "(0 + poly(Days, 2) | Subject)"],
        ),
    ],
)
def test_reduced_terms(sleepstudy, random, left):
    model = lf.lmm(f"Reaction ~ Days + {random}", sleepstudy)
    model = model.at(np.zeros(model.system.n_theta))
    expected = [f"Reaction ~ Days + {term}" for term in left]
    assert formulas(model, reduce_terms=True) == expected


def test_reduced_designs_are_those_of_their_formulas():
    machines = lf.load_dataset("machines")
    machines["half"] = np.where(np.arange(len(machines)) % 2, "a", "b")
    model = lf.lmm("score ~ Machine + (0 + half + Machine | Worker)", machines)
    fit = model.at(np.zeros(model.system.n_theta))
    for reduced in random_reductions(fit.design, reduce_terms=True):
        (made,) = reduced.matrices.random
        (wanted,) = lf.lmm(reduced.formula, machines).design.matrices.random
        assert made.effect_names == wanted.effect_names
        assert made.text == wanted.text
        np.testing.assert_allclose(made.z, wanted.z, atol=1e-12)


def test_the_full_fit_stays_as_it_is(sleepstudy):
    results = lf.lmer(FULL, sleepstudy)
    before = results.objective, results.design.matrices.random[0].z.copy()
    results.ranova(boundary="chibar")
    assert results.objective == before[0]
    np.testing.assert_array_equal(results.design.matrices.random[0].z, before[1])


def test_a_slope_alone_is_not_nested(sleepstudy):
    results = lf.lmer("Reaction ~ Days + (0 + Days | Subject)", sleepstudy)
    with pytest.warns(InferenceWarning) as caught:
        table = results.ranova()
    assert math.isnan(table["pvalue"].iloc[1])
    assert table["df"].iloc[1] == 0
    assert caught[0].message.term == "Days in (0 + Days | Subject)"
    assert "reduce_terms=False" in caught[0].message.suggestion
    assert results.ranova(reduce_terms=False)["df"].iloc[1] == 1


def test_a_result_without_rows(sleepstudy):
    results = lf.lmer(FULL, sleepstudy, keep_data=False)
    for call, name in [(results.ranova, "`ranova`"), (results.drop1, "`drop1`")]:
        with pytest.raises(DataError) as caught:
            call()
        assert caught.value.needs == name


def test_a_given_theta(sleepstudy):
    fixed = lf.lmm(FULL, sleepstudy).at([1.0, 0.0, 0.2])
    for call in (fixed.ranova, fixed.drop1):
        with pytest.raises(OptionError, match="given theta"):
            call()


def test_a_better_smaller_model_is_said(sleepstudy):
    results = lf.lmer(FULL, sleepstudy)
    matrices = results.design.matrices
    model = Submodel("Days in (Days | Subject)", "y ~ x", matrices)
    fit = SubmodelFit(results.objective - 3.0, 4, False, None, ())
    with pytest.warns(ConvergenceWarning) as caught:
        table = deletion_frame(results, [model], [fit])
    assert table["pvalue"].iloc[1] == 1.0
    assert table["lrt"].iloc[1] == pytest.approx(-3.0)
    assert "not proved" in caught[0].message.message
    assert caught[1].message.lrt == pytest.approx(-3.0)


def test_drop1_respects_marginality():
    cake = lf.load_dataset("cake")
    cake["temperature"] = cake["temperature"].astype(str)
    results = lf.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    table = results.drop1()
    assert list(table.index) == ["<none>", "recipe:temperature"]
    assert table["df"].iloc[1] == 10
    smaller = lf.lmer("angle ~ recipe + temperature + (1 | recipe:replicate)", cake)
    expected = lf.anova(smaller, results).iloc[1]
    assert table["lrt"].iloc[1] == pytest.approx(expected["chisq"], abs=1e-8)
    assert table["pvalue"].iloc[1] == pytest.approx(expected["pvalue"], rel=1e-7)
    with pytest.raises(OptionError, match="contain it") as caught:
        results.drop1(scope="recipe")
    assert caught.value.contained_in == ("recipe:temperature",)


def test_drop1_scope():
    data = lf.load_dataset("machines").assign(day=np.arange(54) % 5)
    results = lf.lmer("score ~ Machine + day + (1 | Worker)", data)
    assert list(results.drop1().index) == ["<none>", "Machine", "day"]
    assert list(results.drop1(scope="day").index) == ["<none>", "day"]
    assert list(results.drop1(scope=["day", "Machine"]).index) == ["<none>", "Machine", "day"]
    with pytest.raises(OptionError) as caught:
        results.drop1(scope=["night"])
    assert caught.value.available == ("Machine", "day")
    null = lf.lmer("score ~ 1 + (1 | Worker)", data)
    assert list(null.drop1().index) == ["<none>"]
    with pytest.raises(OptionError):
        null.drop1(scope="Intercept")


def test_dropped_terms_leave_the_design_of_their_formula():
    data = lf.load_dataset("machines").assign(half=np.tile(["a", "b"], 27))
    for formula in (
        "score ~ 0 + Machine + half + (1 | Worker)",
        "score ~ 0 + Machine + half + Machine:half + (1 | Worker)",
    ):
        design = lf.lmm(formula, data).design
        for term in (
            design.spec.part.terms[:1] if ":" not in formula else design.spec.part.terms[2:]
        ):
            made = without_fixed(design, term)
            wanted = lf.lmm(made.formula, data).design.matrices
            assert made.matrices.fixed_names == wanted.fixed_names
            np.testing.assert_allclose(made.matrices.X, wanted.X, atol=1e-12)
