"""ICC, R squared, conditional AIC, random-effects PCA and VIF: identities and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf

SLOPES = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return lf.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def slopes(sleep):
    return lf.lmer(SLOPES, sleep)


def test_parts_from_cross_products_are_those_of_the_rows(slopes, sleep):
    parts = slopes.r2().parts
    m, e = slopes.design.matrices, slopes.estimates
    assert parts.fixed == pytest.approx(np.var(m.X @ e.beta, ddof=1), rel=1e-10)
    mean = np.mean(np.sum((m.random[0].z @ e.templates[0]) ** 2, axis=1)) * e.sigma**2
    assert parts.random["Subject"] == pytest.approx(mean, rel=1e-10)
    weighted = lf.lmer(SLOPES, sleep, weights=np.full(180, 1.0))
    assert weighted.r2().conditional == pytest.approx(slopes.r2().conditional, rel=1e-7)


def test_crossed_and_nested_terms_in_the_tail():
    data = lf.load_dataset("machines")
    for formula in ("score ~ Machine + (1 | Worker/Machine)", "score ~ 1 + (Machine | Worker)"):
        fit = lf.lmer(formula, data)
        m, e = fit.design.matrices, fit.estimates
        for block, template, value in zip(
            m.random, e.templates, fit.icc().parts.random.values(), strict=True
        ):
            mean = np.mean(np.sum((block.z @ template) ** 2, axis=1)) * e.sigma**2
            assert value == pytest.approx(mean, rel=1e-9)


def test_icc_shares(slopes):
    icc = slopes.icc()
    frame = icc.to_frame()
    assert list(frame.columns) == ["variance", "icc", "icc_unadjusted"]
    assert list(frame.index) == ["Subject", "Residual"]
    assert frame["icc"].sum() == pytest.approx(1.0)
    assert icc.by_term.sum() == pytest.approx(icc.adjusted)
    assert icc.unadjusted == pytest.approx(slopes.r2().conditional - slopes.r2().marginal)
    assert "All random" in repr(icc)


def test_r_squared_frame(slopes):
    r2 = slopes.r2()
    assert r2.to_frame()["r2"].tolist() == [r2.marginal, r2.conditional]
    assert "Marginal" in repr(r2)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_response_far_from_zero(sleep, slopes, shift):
    data = sleep.assign(Reaction=sleep["Reaction"] + shift)
    assert lf.lmer(SLOPES, data).r2().marginal == pytest.approx(slopes.r2().marginal, rel=1e-6)


def test_no_fixed_effects_and_no_intercept(sleep):
    fit = lf.lmer("Reaction ~ 0 + (1 | Subject)", sleep)
    assert fit.r2().marginal == 0.0
    fit = lf.lmer("score ~ 0 + Machine + (1 | Worker)", lf.load_dataset("machines"))
    other = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))
    assert fit.r2().marginal == pytest.approx(other.r2().marginal, rel=1e-8)
    with pytest.raises(lf.DataError, match="without intercept"):
        fit.without_data().r2()


def test_without_rows(sleep, slopes):
    bare = slopes.without_data()
    assert bare.r2().conditional == pytest.approx(slopes.r2().conditional)
    assert bare.conditional_aic().caic == pytest.approx(slopes.conditional_aic().caic)
    assert bare.repca()["Subject"].rank() == 2
    assert bare.vif().gvif["Days"] == pytest.approx(1.0)
    weighted = lf.lmer(SLOPES, sleep, weights=np.linspace(1, 2, 180), keep_data=False)
    with pytest.raises(lf.DataError, match="weighted model"):
        weighted.icc()
    assert np.isfinite(weighted.conditional_aic().caic)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    "formula",
    ["strength ~ 1 + (1 | batch/cask)", "strength ~ 1 + (1 | batch) + (1 | cask)"],
)
def test_effective_parameters_are_the_derivative_of_the_fitted_values(formula, reml):
    data = lf.load_dataset("pastes")
    fit = lf.lmer(formula, data, reml=reml)
    y, step = data["strength"].to_numpy(), 0.01 * fit.sigma
    total = 0.0
    for i in range(len(y)):
        ends = [fit.refit(y + sign * step * (np.arange(len(y)) == i)) for sign in (1, -1)]
        total += (ends[0].fittedvalues.iloc[i] - ends[1].fittedvalues.iloc[i]) / (2 * step)
    assert fit.conditional_aic().df - 1.0 == pytest.approx(total, abs=2e-4)


def test_conditional_aic_of_the_rows(slopes):
    found = slopes.conditional_aic()
    residual = slopes.resid.to_numpy()
    llf = -0.5 * (180 * np.log(2 * np.pi * slopes.scale) + residual @ residual / slopes.scale)
    assert found.llf == pytest.approx(llf, rel=1e-10)
    assert found.df_fixed_theta == pytest.approx(slopes.leverage().effective_parameters + 1.0)
    assert found.caic == pytest.approx(-2 * llf + 2 * found.df)
    assert found.caic_fixed_theta < found.caic
    assert found.to_frame().shape == (1, 5)
    assert "Effective parameters" in repr(found)


@pytest.mark.filterwarnings("ignore::lmmformula.SingularFitWarning")
def test_singular_fits(sleep):
    zero = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    assert zero.icc().adjusted == 0.0
    assert zero.conditional_aic().df == pytest.approx(2.0)
    assert zero.repca()["Batch"].rank() == 0
    one = lf.lmm(SLOPES, sleep).at([1.0, 0.2, 0.0])
    assert one.repca()["Subject"].rank() == 1
    assert np.isfinite(one.conditional_aic().caic)


def test_pca_merges_terms_and_scales(sleep):
    fit = lf.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    pca = fit.repca()
    assert pca["Subject"].effects == ("Intercept", "Days")
    np.testing.assert_allclose(pca["Subject"].sd, np.sort(fit.theta)[::-1])
    frame = pca.to_frame()
    assert list(frame.columns) == ["grp", "component", "sd", "proportion", "cumulative"]
    assert frame["cumulative"].iloc[-1] == pytest.approx(1.0)
    assert list(pca.loadings().columns) == ["grp", "effect", "PC1", "PC2"]
    assert "PC2" in repr(pca)
    hours = sleep.assign(Days=24 * sleep["Days"])
    other = lf.lmer("Reaction ~ Days + (Days || Subject)", hours)
    np.testing.assert_allclose(
        fit.repca(scaled=True)["Subject"].sd, other.repca(scaled=True)["Subject"].sd, rtol=1e-6
    )
    assert abs(other.repca()["Subject"].sd[1] - pca["Subject"].sd[1]) > 0.1
    with pytest.raises(lf.OptionError, match="not a grouping factor") as caught:
        pca["Days"]
    assert caught.value.available == ("Subject",)


def test_vif_table():
    fit = lf.lmer("angle ~ recipe + temp + (1 | replicate)", lf.load_dataset("cake"))
    frame = fit.vif().to_frame()
    assert list(frame.columns) == ["df", "gvif", "vif", "se_factor"]
    assert frame.loc["recipe", "df"] == 2
    np.testing.assert_allclose(frame["vif"], 1.0, rtol=1e-8)
    assert "GVIF" in repr(fit.vif())


def test_vif_needs_predictors():
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    with pytest.raises(lf.DesignError, match="besides the intercept"):
        fit.vif()
