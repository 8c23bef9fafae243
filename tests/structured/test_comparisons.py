"""Comparisons, deletions of terms, variance shares and the rest of what a result can say."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.cli.main import main
from tests.structured.cases import CASES, STRUCTURED_RESIDUALS, dense, fitted

CORRELATED = "ar1 beside an intercept"


def fit(formula, **options):
    """A fit to the rows of the single visits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        return lf.lmm(formula, CASES["gls"].used, **options).fit()


def pvalue(small, large, **options):
    """p-value of the larger model's row; whether it was refused."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", lf.InferenceWarning)
        table = lf.anova(small, large, **options)
    return float(table["pvalue"].iloc[1]), any(
        issubclass(item.category, lf.InferenceWarning) for item in caught
    )


NESTED = [
    ({"residual": "ar1(visit | s)"}, {"residual": "us(visit | s)"}),
    ({"residual": "cs(1 | s)"}, {"residual": "homtoep(visit | s)"}),
    ({"residual": "homcs(visit | s)"}, {"residual": "cs(visit | s)"}),
    ({"residual": "ar1(visit | s)"}, {"residual": "arma(visit | s)"}),
    ({"variance": "ident(f)"}, {"variance": "ident(f) + power(x)"}),
    ({"variance": "ident(f)"}, {"variance": "ident(f)", "residual": "ar1(visit | s)"}),
]
OTHER = [
    ({"residual": "ar1(visit | s)"}, {"residual": "cs(visit | s)"}),
    ({"variance": "power(x)"}, {"variance": "ident(f) + exp(x)"}),
    ({"residual": "homtoep(visit | s)"}, {"residual": "cs(visit | s)"}),
]


@pytest.mark.parametrize(("small", "large"), NESTED)
def test_structures_are_compared_by_reml(small, large):
    one, other = (fit("z ~ t + f", **options) for options in (small, large))
    value, refused = pvalue(one, other, refit=False)
    assert not refused
    from scipy.stats import chi2

    expected = chi2.sf(2 * (other.llf - one.llf), other.npar - one.npar)
    assert value == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("small", "large"), OTHER)
def test_structures_that_are_not_nested_have_no_p_value(small, large):
    one, other = (fit("z ~ t + f", **options) for options in (small, large))
    assert one.npar < other.npar
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.ConvergenceWarning)
        value, refused = pvalue(one, other)
    assert refused
    assert np.isnan(value)


def test_a_random_intercept_against_correlated_residuals():
    mixed = fit("z ~ t + f + (1 | s)")
    value, refused = pvalue(mixed, fit("z ~ t + f", residual="us(visit | s)"))
    assert not refused
    assert 0.0 <= value <= 1.0
    value, refused = pvalue(mixed, fit("z ~ t + f", residual="ar1(visit | s)", variance="power(x)"))
    assert refused
    assert np.isnan(value)


STRUCTURES = [
    ("homcs(t | s)", "cs(t | s)", True),
    ("homdiag(t | s)", "(t | s)", True),
    ("(1 | s)", "cs(t | s)", True),
    ("ar1(0 + factor(visit) | s)", "homtoep(0 + factor(visit) | s)", True),
    ("ar1(0 + factor(visit) | s)", "cs(0 + factor(visit) | s)", False),
]


@pytest.mark.parametrize(("small", "large", "nested"), STRUCTURES)
def test_structures_of_random_effects(small, large, nested):
    from lmmformula.inference.comparison.nested_pair import is_nested

    rows = CASES["cs"].used
    one, other = (lf.lmm(f"y ~ t + f + {term}", rows) for term in (small, large))
    assert is_nested(one.design.matrices, other.design.matrices) is nested


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_drop1_keeps_the_residuals(name):
    large = fitted(name, False)
    table = large.drop1()
    label = table.index[-1]
    formula = table.attrs["formulas"][-1]
    small = lf.lmm(formula, CASES[name].used, **CASES[name].options).fit(reml=False)
    assert table.loc[label, "llf"] == pytest.approx(small.llf, abs=1e-6)
    assert table.loc[label, "npar"] == small.npar


@pytest.mark.parametrize("name", ["variance functions, crossed", CORRELATED])
def test_ranova_keeps_the_residuals(name):
    table = fitted(name).ranova()
    for label, formula in zip(table.index[1:], table.attrs["formulas"][1:], strict=True):
        small = lf.lmm(formula, CASES[name].used, **CASES[name].options).fit()
        assert table.loc[label, "llf"] == pytest.approx(small.llf, abs=1e-6)
        assert table.loc[label, "npar"] == small.npar


def test_ranova_of_a_structure_against_the_linear_model():
    large = fitted("ou")
    table = large.ranova()
    d = dense("ou")
    expected = d.criterion(np.array([0.0, 0.5]))
    assert -2.0 * table["llf"].iloc[1] == pytest.approx(expected, rel=1e-9)


def test_boundary_tests():
    name = CORRELATED
    found = fitted(name).ranova(boundary="chibar")
    plain = fitted(name).ranova()
    assert found["pvalue"].iloc[1] == pytest.approx(plain["pvalue"].iloc[1] / 2.0)
    with pytest.warns(lf.InferenceWarning):
        exact = fitted(name).ranova(boundary="exact", seed=1)
    assert np.isnan(exact["pvalue"].iloc[1])


def test_parametric_bootstrap_of_a_likelihood_ratio():
    small = fit("z ~ t + f + (1 | s)")
    large = fit("z ~ t + f + (1 | s)", variance="ident(f)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        test = lf.bootstrap_lrt(small, large, 5, seed=1)
    expected = small.refit_ml().objective - large.refit_ml().objective
    assert test.statistic == pytest.approx(expected, rel=1e-6)
    assert test.df == 1


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_shares_of_the_variance(name):
    """Every row counts once; the residual's part is the mean variance (of weight one)."""
    result, d = fitted(name), dense(name)
    weights = d.d["w"].to_numpy() if "weights" in CASES[name].options else 1.0
    R = d.sigma2 * np.diag(d.case.residual(d.theta, d.d)) * weights
    parts = d.case.parts(d.theta, d.d, d.d)
    random = sum(float(np.mean(np.diag(part))) for part in parts.values()) * d.sigma2
    fixed = float(np.var(d.X @ result.params.to_numpy(), ddof=1))
    r2 = result.r2()
    assert r2.marginal == pytest.approx(fixed / (fixed + random + R.mean()), rel=1e-7)
    assert r2.conditional == pytest.approx((fixed + random) / (fixed + random + R.mean()), rel=1e-7)
    assert "mean over the rows" in repr(r2)
    if parts:
        assert result.icc().adjusted == pytest.approx(random / (random + R.mean()), rel=1e-7)


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_anova_hypotheses_do_not_depend_on_the_residuals(name):
    """Type I rows are those of the plain design."""
    plain = lf.lmm(CASES[name].formula.split(" + (")[0] + " + (1 | s)", CASES[name].used).fit()
    for label, rows in fitted(name).hypotheses("I").items():
        np.testing.assert_allclose(rows, plain.hypotheses("I")[label], atol=1e-10)


@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_tidy_tables_hold_the_parameters(name):
    result = fitted(name)
    table = result.tidy(("fixed", "ran_pars", "ran_vals"), conf_int=True)
    own = result.residual_structure.parameters()
    found = table[table["effect"] == "ran_pars"].set_index("term")["estimate"]
    np.testing.assert_allclose(found[own.index], own)
    assert list(result.glance()["nobs"]) == [result.nobs]
    frame = result.augment()
    correlated = CASES[name].options.get("residual") is not None
    assert (".normalized" in frame) == correlated
    assert (".hat" in frame) != correlated


@pytest.mark.parametrize("name", list(CASES))
def test_files_and_results_without_rows(name, tmp_path):
    result = fitted(name)
    result.save(tmp_path / "fit")
    assert str(lf.load(tmp_path / "fit").summary()) == str(result.summary())
    bare = result.without_data()
    assert str(bare.summary()) == str(result.summary())
    rows = CASES[name].used.iloc[:3]
    expected = result.predict(rows, interval="prediction")
    np.testing.assert_allclose(bare.predict(rows, interval="prediction"), expected, rtol=1e-10)
    with pytest.raises(lf.DataError):
        bare.residuals("normalized")


@pytest.mark.parametrize("name", list(CASES))
def test_a_summary_in_every_medium(name):
    summary = fitted(name).summary()
    for text in (summary.as_text(), summary.as_html(), summary.as_latex()):
        assert ("Generalised least squares" in text) == (name == "gls")
    assert fitted(name).check() is not None


def test_new_rows_need_what_their_variance_depends_on():
    result = fitted("variance functions, crossed")
    rows = CASES["variance functions, crossed"].used.iloc[:3].copy()
    with pytest.raises(lf.LMMError):
        result.predict(rows.drop(columns="x"), interval="prediction")
    result.predict(rows.drop(columns="x"), interval="confidence")
    rows.loc[rows.index[1], "x"] = np.nan
    table = result.predict(rows, interval="prediction")
    assert np.isnan(table["se"]).tolist() == [False, True, False]
    with pytest.raises(lf.DataError):
        result.predict(rows.assign(f="c"), interval="prediction")


def test_power_is_simulated_with_the_structure():
    from lmmformula.planning.truth import Truth

    result, d = fitted(CORRELATED), dense(CORRELATED)
    truth = Truth(result.design, result.estimates, True)
    from lmmformula.postfit.simulate import simulate

    draws = simulate(truth.design, truth.estimates, 3000, 4).to_numpy()[:12]
    V = d.sigma2 * d.H(d.theta)[:12, :12]
    assert np.abs(np.cov(draws) / V.max() - V / V.max()).max() < 0.12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.LMMWarning)
        power = lf.power(result, "t", n_sim=4, seed=1)
    assert power.n_failed == 0
    assert ((power.pvalues > 0.0) & (power.pvalues <= 1.0)).sum() == 4


def test_command_line(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    CASES["gls"].used.to_csv(path, index=False)
    options = ["--residual", "ar1(visit | s)", "--variance", "power(x)", "--json"]
    assert main(["fit", "z ~ t * f", str(path), *options, "--no-progress"]) == 0
    found = json.loads(capsys.readouterr().out)
    own = fitted("gls").residual_structure.parameters()
    assert found["residual_structure"] == pytest.approx(dict(own), rel=1e-9)
