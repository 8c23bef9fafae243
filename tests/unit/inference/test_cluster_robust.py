"""Cluster-robust covariances: dense algebra, options, invariances and refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm

import lmmformula as lf
from lmmformula.inference.effects import cluster_blocks

SLEEP = "Reaction ~ Days + (Days | Subject)"


def unbalanced(weighted=False):
    rng = np.random.default_rng(7)
    school = np.repeat(np.arange(9), rng.integers(2, 30, 9))
    pupil = np.array(
        [f"{s}.{i}" for s, i in zip(school, rng.integers(0, 4, len(school)), strict=True)]
    )
    n = len(school)
    data = pd.DataFrame({"school": school, "pupil": pupil, "x": rng.normal(size=n)})
    data["z"] = rng.normal(size=9)[school]
    data["y"] = (
        data["x"]
        + rng.normal(size=9)[school]
        + 0.5 * data["x"] * rng.normal(size=9)[school]
        + rng.normal(size=n)
    )
    data["w"] = rng.uniform(0.5, 3.0, n)
    formula = "y ~ x * z + (x | school) + (1 | pupil)"
    return lf.lmer(formula, data, weights="w" if weighted else None), data


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "weighted"])
def study(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        return unbalanced(request.param)


def dense(fit, codes, kind):
    """The published formulas with n x n matrices: covariance, and df of every coefficient."""
    m = fit.design.matrices
    w = np.ones(m.n_obs) if m.weights is None else m.weights
    Theta = np.diag(1.0 / w)
    for block, T in zip(m.random, fit.estimates.templates, strict=True):
        same = block.codes[:, None] == block.codes[None]
        Theta += same * (block.z @ T @ T.T @ block.z.T)
    W = np.linalg.inv(Theta)
    M = np.linalg.inv(m.X.T @ W @ m.X)
    residual = m.y - m.X @ fit.estimates.beta
    J, meat, G = codes.max() + 1, 0.0, np.zeros((codes.max() + 1, m.n_obs, m.p))
    for g in range(J):
        rows = np.flatnonzero(codes == g)
        X, V = m.X[rows], Theta[np.ix_(rows, rows)]
        A = np.eye(len(rows)) * (np.sqrt(J / (J - 1)) if kind == "CR1" else 1.0)
        if kind == "CR2":
            D = np.linalg.cholesky(V).T
            A = D.T @ np.linalg.inv(sqrtm(D @ (V - X @ M @ X.T) @ D.T).real) @ D
        E = X.T @ W[np.ix_(rows, rows)] @ A
        meat = meat + np.outer(E @ residual[rows], E @ residual[rows])
        G[g, rows] = E.T @ M
    spread = Theta - m.X @ M @ m.X.T
    P = np.einsum("gna,nm,hma->agh", G, spread, G)
    df = np.trace(P, axis1=1, axis2=2) ** 2 / np.sum(P**2, axis=(1, 2))
    return M @ meat @ M, df


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
def test_dense_algebra(study, kind):
    fit, data = study
    codes = data["school"].to_numpy()
    vcov, df = dense(fit, codes, kind)
    np.testing.assert_allclose(fit.cov_params(kind, "school"), vcov, rtol=1e-8, atol=1e-12)
    frame = fit.coefficient_frame(robust=kind, cluster="school")
    np.testing.assert_allclose(frame["df"], df, rtol=1e-8)


def test_small_pieces_change_nothing(study, monkeypatch):
    fit, data = study
    whole = fit.cov_params("CR2", data["school"])
    monkeypatch.setattr(cluster_blocks, "CHUNK_ELEMENTS", 1)
    again = fit.cov_params("CR2", data["school"].astype(str).rename("other"))
    np.testing.assert_allclose(again, whole, rtol=1e-12)


def test_clusters_by_name_or_label_are_the_same(study):
    fit, data = study
    default = fit.cov_params(robust="CR2")
    np.testing.assert_array_equal(default, fit.cov_params("CR2", "school"))
    np.testing.assert_allclose(default, fit.cov_params("CR2", data["school"]), rtol=1e-12)


def test_joint_test_of_one_row_is_the_single_test(study):
    fit, _ = study
    row = np.eye(4)[1:2]
    single = fit.t_test(row, robust="CR2")
    joint = fit.f_test(row, robust="CR2")
    assert float(joint.fvalue) == pytest.approx(float(single.tvalue[0]) ** 2)
    assert float(joint.df_denom) == pytest.approx(float(single.df_denom[0]))


def test_dependent_rows_count_once(study):
    fit, _ = study
    rows = np.eye(4)[1:3]
    twice = np.vstack([rows, rows.sum(axis=0)])
    one, other = (fit.f_test(L, robust="CR2") for L in (rows, twice))
    assert other.df_num == 2
    assert float(other.fvalue) == pytest.approx(float(one.fvalue))
    assert float(other.df_denom) == pytest.approx(float(one.df_denom))


def test_everywhere_the_same_numbers():
    fit = lf.lmer(SLEEP, lf.load_dataset("sleepstudy"))
    frame = fit.summary(robust="CR2").frame
    se = np.sqrt(np.diagonal(fit.cov_params(robust="CR2")))
    np.testing.assert_allclose(frame["se"], se)
    limits = fit.conf_int(method="satterthwaite", robust="CR2")
    np.testing.assert_allclose(limits, frame[["lower", "upper"]])
    table = fit.anova(robust="CR2")
    assert table["F"].iloc[0] == pytest.approx(frame["statistic"].iloc[1] ** 2)
    assert table["den_df"].iloc[0] == pytest.approx(frame["df"].iloc[1])
    normal = fit.coefficient_frame(ddf="wald", robust="CR2")
    assert np.isinf(normal["df"]).all()
    wald = fit.wald_test("Days = 0", robust="CR2")
    assert float(wald.pvalue) == pytest.approx(normal["pvalue"].iloc[1], abs=1e-12)
    text = fit.summary(robust="CR1").as_text()
    assert "Cluster-robust covariance CR1, 18 clusters (Subject)." in text
    assert "robust" not in fit.summary().as_text()
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diagonal(fit.cov_params())))


def test_a_cluster_that_alone_tells_about_a_coefficient():
    data = lf.load_dataset("sleepstudy")
    data["own"] = (data["Subject"] == data["Subject"].cat.categories[0]).astype(float)
    fit = lf.lmer("Reaction ~ Days + own + (1 | Subject)", data)
    vcov = fit.cov_params(robust="CR2")
    assert np.isfinite(vcov).all().all()
    plain = lf.lmer("Reaction ~ Days + (1 | Subject)", data)
    expected = plain.cov_params(robust="CR2").loc["Days", "Days"]
    assert vcov.loc["Days", "Days"] == pytest.approx(expected, rel=0.05)


def test_singular_fit():
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    frame = fit.coefficient_frame(robust="CR2")
    assert frame["df"].iloc[0] == pytest.approx(5.0)
    assert frame["se"].iloc[0] > 0.0


@pytest.mark.parametrize("rows", [6, 2])
def test_too_few_clusters_for_a_joint_test(rows):
    fit = lf.lmer("diameter ~ 0 + sample + (1 | plate)", lf.load_dataset("penicillin"))
    thirds = fit.design.matrices.random[0].codes % 3
    if rows == 6:
        with pytest.warns(lf.InferenceWarning, match="too few clusters") as caught:
            test = fit.f_test(np.eye(6), robust="CR0", cluster=thirds)
        assert np.isnan(float(test.pvalue))
        assert caught[0].message.rank == 6
    else:
        test = fit.f_test(np.eye(6)[:2], robust="CR2", cluster=thirds)
        assert 0.0 < float(test.df_denom) < 2.0


@pytest.mark.parametrize("call", ["cov_params", "summary", "t_test", "conf_int", "anova"])
def test_unknown_kind(call):
    fit = lf.lmer(SLEEP, lf.load_dataset("sleepstudy"))
    arguments = ("Days = 0",) if call == "t_test" else ()
    with pytest.raises(lf.OptionError, match="not a cluster-robust") as caught:
        getattr(fit, call)(*arguments, robust="CR9")
    assert caught.value.available == ("CR0", "CR1", "CR2")


def test_options_that_do_not_go_together():
    fit = lf.lmer(SLEEP, lf.load_dataset("sleepstudy"))
    with pytest.raises(lf.OptionError, match="does not go with") as caught:
        fit.summary(ddf="kenward-roger", robust="CR2")
    assert caught.value.available == ("satterthwaite", "wald")
    with pytest.raises(lf.OptionError, match="does not go with"):
        fit.conf_int(method="profile", robust="CR2")
    for call in (fit.cov_params, fit.summary, fit.conf_int, fit.anova):
        with pytest.raises(lf.OptionError, match="has a meaning with") as caught:
            call(cluster="Subject")
        assert caught.value.argument == "cluster"


def test_clusters_that_cannot_be_used():
    data = lf.load_dataset("penicillin")
    fit = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    with pytest.raises(lf.DesignError, match="not independent") as caught:
        fit.cov_params(robust="CR2")
    assert caught.value.facts["group"] == "plate"
    assert caught.value.facts["cluster"] == "sample"
    fit = lf.lmer("diameter ~ 1 + (1 | plate)", data)
    with pytest.raises(lf.OptionError, match="not a grouping factor") as caught:
        fit.cov_params("CR2", "sample")
    assert caught.value.available == ("plate",)
    with pytest.raises(lf.DimensionError, match="one label for each row") as caught:
        fit.cov_params("CR2", data["plate"][:-1])
    assert caught.value.n_obs == 144
    with pytest.raises(lf.DataError, match="missing labels") as caught:
        fit.cov_params("CR2", data["plate"].astype(object).where(data["plate"] != "a"))
    assert caught.value.missing == 6
    with pytest.raises(lf.DesignError, match="at least two clusters"):
        fit.cov_params("CR2", np.zeros(144))


def test_rows_are_needed():
    fit = lf.lmer(SLEEP, lf.load_dataset("sleepstudy"), keep_data=False)
    with pytest.raises(lf.DataError, match="needs the rows"):
        fit.cov_params(robust="CR2")


def test_memory_limit(monkeypatch):
    fit = lf.lmer(SLEEP, lf.load_dataset("sleepstudy"))
    monkeypatch.setattr(cluster_blocks, "MEMORY_LIMIT", 100.0)
    with pytest.raises(lf.NumericalError, match="too large") as caught:
        fit.cov_params(robust="CR2")
    assert caught.value.needed > 100.0
