"""Fits with a known relationship, from the estimates to what is made of them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import OptionError
from lmmformula.inference.comparison.restricted_lrt import _eigenvalues

FORMULA = "y ~ x + (x | animal) + (1 | herd)"


def pedigree(n, seed):
    """A random pedigree in which every animal has two parents or none."""
    rng = np.random.default_rng(seed)
    names = [f"p{i:03d}" for i in range(n)]
    founders = n // 4
    sire = [None if i < founders else names[rng.integers(0, i // 2)] for i in range(n)]
    dam = [None if i < founders else names[rng.integers(i // 2, i)] for i in range(n)]
    return lf.pedigree_relationship(names, sire, dam)


@pytest.fixture(scope="module")
def relationship():
    return pedigree(40, 1)


@pytest.fixture(scope="module")
def data(relationship):
    rng = np.random.default_rng(2)
    n = 150
    names = list(relationship.index)
    L = np.linalg.cholesky(relationship)
    b = L @ rng.normal(size=(40, 2)) * [1.2, 0.7]
    codes = rng.integers(0, 34, n)
    x, herd = rng.normal(size=n), rng.integers(0, 6, n)
    y = 3.0 + x + b[codes, 0] + b[codes, 1] * x + rng.normal(size=6)[herd] + rng.normal(size=n)
    animal = [names[code] for code in codes]
    return pd.DataFrame({"y": y, "x": x, "animal": animal, "herd": [f"h{h}" for h in herd]})


@pytest.fixture(scope="module")
def fit(data, relationship):
    return lf.lmer(FORMULA, data, relationship={"animal": relationship})


@pytest.fixture(scope="module")
def simple(data, relationship):
    return lf.lmer("y ~ x + (1 | animal)", data, relationship={"animal": relationship})


class Dense:
    """The model written out over all members of the relationship and all herds."""

    def __init__(self, fit, data, relationship):
        self.members, self.herds = list(relationship.index), sorted(set(data["herd"]))
        term, herd = fit.varcorr["animal"], fit.varcorr["herd"]
        self.G = np.zeros((86, 86))
        self.G[:80, :80] = np.kron(relationship, term.cov_values)
        self.G[80:, 80:] = herd.cov_values[0, 0] * np.eye(6)
        self.s2 = fit.sigma**2
        self.X, self.Z = self.columns(data)
        V = self.Z @ self.G @ self.Z.T + self.s2 * np.eye(len(data))
        self.inverse = np.linalg.inv(V)
        self.vcov = np.linalg.inv(self.X.T @ self.inverse @ self.X)
        self.beta = self.vcov @ self.X.T @ self.inverse @ data["y"].to_numpy()
        self.gain = self.G @ self.Z.T @ self.inverse
        self.b = self.gain @ (data["y"].to_numpy() - self.X @ self.beta)

    def columns(self, rows):
        n, x = len(rows), rows["x"].to_numpy()
        Z = np.zeros((n, 86))
        at = np.array([self.members.index(a) for a in rows["animal"]])
        Z[np.arange(n), 2 * at], Z[np.arange(n), 2 * at + 1] = 1.0, x
        Z[np.arange(n), 80 + np.array([self.herds.index(h) for h in rows["herd"]])] = 1.0
        return np.column_stack([np.ones(n), x]), Z

    def predicted(self, rows):
        """Predictions of new rows, and the variances of their errors."""
        X, Z = self.columns(rows)
        gap = X - Z @ self.gain @ self.X
        left = self.G - self.gain @ self.Z @ self.G
        variance = np.einsum("ia,ab,ib->i", Z, left, Z)
        variance += np.einsum("ip,pq,iq->i", gap, self.vcov, gap)
        return X @ self.beta + Z @ self.b, variance


@pytest.fixture(scope="module")
def twin(fit, data, relationship):
    return Dense(fit, data, relationship)


@pytest.fixture(scope="module")
def rows(relationship):
    """Rows of animals with data and without, in herds of the data."""
    rng = np.random.default_rng(5)
    animal = [*relationship.index[34:], *relationship.index[:6]]
    herd = [f"h{i}" for i in rng.integers(0, 6, len(animal))]
    return pd.DataFrame({"x": rng.normal(size=len(animal)), "animal": animal, "herd": herd})


def test_the_fit_is_generalized_least_squares(fit, twin):
    np.testing.assert_allclose(fit.params, twin.beta, rtol=1e-8)
    np.testing.assert_allclose(fit.cov_params(), twin.vcov, rtol=1e-7)
    fitted = fit.random_effects["animal"]
    at = [twin.members.index(level) for level in fitted.index]
    np.testing.assert_allclose(fitted, twin.b[:80].reshape(40, 2)[at], atol=1e-8)


def test_predictions_of_relatives_without_data(fit, twin, rows):
    expected, variance = twin.predicted(rows)
    np.testing.assert_allclose(fit.predict(rows), expected, atol=1e-8)
    mean = fit.predict(rows, interval="confidence", ddf="wald")
    np.testing.assert_allclose(mean["se"], np.sqrt(variance), rtol=1e-7)
    new = fit.predict(rows, interval="prediction", ddf="wald")
    np.testing.assert_allclose(new["se"], np.sqrt(variance + fit.sigma**2), rtol=1e-7)
    assert fit.predict(rows, interval="prediction")["lower"].notna().all()


def test_effects_of_relatives_without_data(fit, twin, data):
    found = fit.ranef_unobserved(condvar=True)
    wide = found.pivot(index="level", columns="effect", values="value")
    assert not set(wide.index) & set(data["animal"])
    at = [twin.members.index(level) for level in wide.index]
    expected = twin.b[:80].reshape(40, 2)[at]
    np.testing.assert_allclose(wide[["Intercept", "x"]], expected, atol=1e-8)
    # Given theta, sigma and the fixed effects, as `ranef(condvar=True)`.
    left = twin.G - twin.G @ twin.Z.T @ twin.inverse @ twin.Z @ twin.G
    sd = found.pivot(index="level", columns="effect", values="sd")
    spread = np.sqrt(np.diag(left)[:80].reshape(40, 2)[at])
    np.testing.assert_allclose(sd[["Intercept", "x"]], spread, rtol=1e-7)
    observed = fit.ranef(condvar=True)
    own = observed[observed["grp"] == "animal"].pivot(index="level", columns="effect", values="sd")
    at = [twin.members.index(level) for level in own.index]
    expected = np.sqrt(np.diag(left)[:80].reshape(40, 2)[at])
    np.testing.assert_allclose(own[["Intercept", "x"]], expected, rtol=1e-7)


def test_effects_without_data_of_what(fit, data):
    assert fit.ranef_unobserved("animal").columns.tolist() == ["grp", "level", "effect", "value"]
    with pytest.raises(OptionError, match="herd") as caught:
        fit.ranef_unobserved("herd")
    assert caught.value.available == ("animal",)
    with pytest.raises(OptionError, match="no relationship"):
        lf.lmer("y ~ x + (1 | animal)", data).ranef_unobserved()


def test_a_relationship_of_the_fitted_levels_only(data, relationship):
    present = sorted(set(data["animal"]))
    fit = lf.lmer(
        "y ~ x + (1 | animal)", data, relationship={"animal": relationship.loc[present, present]}
    )
    assert fit.ranef_unobserved().empty
    with pytest.raises(lf.DataError, match="levels of `animal`"):
        fit.predict({"x": [0.0], "animal": [relationship.index[39]]})


def test_an_unknown_level_is_an_unrelated_one(fit, relationship, rows):
    strange = rows.assign(animal="nobody")
    with pytest.raises(lf.DataError):
        fit.predict(strange)
    predicted = fit.predict(strange, new_levels="zero")
    np.testing.assert_allclose(predicted, fit.predict(rows, random=["herd"]))
    with_animal = fit.predict(strange, new_levels="zero", interval="confidence", ddf="wald")
    without = fit.predict(rows, random=["herd"], interval="confidence", ddf="wald")
    present = list(fit.random_effects["animal"].index)
    typical = np.mean(np.diag(relationship.loc[present, present]))
    z = np.column_stack([np.ones(len(rows)), rows["x"]])
    own = typical * np.einsum("ia,ab,ib->i", z, fit.varcorr["animal"].cov_values, z)
    np.testing.assert_allclose(with_animal["se"] ** 2, without["se"] ** 2 + own, rtol=1e-8)


def test_leverage_and_influence(fit, twin, data):
    hat = twin.Z @ twin.gain
    hat += (np.eye(len(data)) - hat) @ twin.X @ twin.vcov @ twin.X.T @ twin.inverse
    np.testing.assert_allclose(fit.leverage().hat, np.diag(hat), rtol=1e-7)
    assert fit.conditional_aic().df_fixed_theta == pytest.approx(np.trace(hat) + 1.0, rel=1e-8)
    fixed = fit.influence("animal", exact=False)
    animal = fixed.dfbeta.index[3]
    left = data["animal"].to_numpy() != animal
    V = np.linalg.inv(twin.inverse)[np.ix_(left, left)]
    W = np.linalg.solve(V, twin.X[left])
    beta = np.linalg.solve(W.T @ twin.X[left], W.T @ data["y"].to_numpy()[left])
    np.testing.assert_allclose(fixed.dfbeta.loc[animal], beta - twin.beta, rtol=1e-7, atol=1e-11)


def test_simulated_responses_have_the_covariance_of_the_model(simple):
    drawn = simple.simulate(4000, seed=3).to_numpy()[:8]
    block = simple.design.matrices.random[0]
    K = (block.relationship @ block.relationship.T)[np.ix_(block.codes[:8], block.codes[:8])]
    expected = simple.varcorr["animal"].cov_values[0, 0] * K + simple.scale * np.eye(8)
    found = np.cov(drawn)
    # Standard error of a covariance: sqrt((v_ij^2 + v_ii v_jj) / 4000).
    v = np.diag(expected)
    spread = np.sqrt((expected**2 + np.outer(v, v)) / 4000)
    assert np.abs((found - expected) / spread).max() < 4.5


def test_parametric_bootstrap(simple, fit):
    for results in (simple, fit):
        boot = results.bootstrap(30, seed=4)
        assert boot.n_failed == 0
        means = boot.to_frame()["sigma"].mean()
        assert means == pytest.approx(results.sigma, rel=0.1)
    assert simple.bootstrap(40, seed=4).acceleration.notna().all()


@pytest.mark.parametrize("kind", ["case", "residual"])
def test_related_levels_are_not_resampled(fit, kind):
    with pytest.raises(OptionError, match="animal"):
        fit.bootstrap(10, seed=1, kind=kind)


def test_no_cluster_robust_covariance(fit):
    with pytest.raises(OptionError, match="independent levels"):
        fit.cov_params(robust="CR2", cluster="herd")


def test_another_response(fit, data, relationship):
    y = data["y"].to_numpy() + np.random.default_rng(8).normal(size=len(data))
    fresh = lf.lmer(FORMULA, data.assign(y=y), relationship={"animal": relationship})
    assert fit.refit(y).objective == pytest.approx(fresh.objective, abs=1e-7)


def test_tests_of_fixed_effects(fit):
    anova = fit.anova(ddf="kenward-roger")
    assert np.isfinite(anova.to_numpy(dtype=float)).all()
    assert 1.0 < fit.summary().frame.loc["x", "df"] < 150.0


def test_profile(simple):
    limits = simple.conf_int(method="profile")
    sd = simple.refit_ml().varcorr["animal"].sd_values[0]
    assert limits.loc["sd_Intercept|animal", "lower"] < sd
    assert sd < limits.loc["sd_Intercept|animal", "upper"]


def test_random_terms_are_tested(fit, data, relationship):
    table = fit.ranova()
    assert table["lrt"].iloc[1:].gt(0.0).all()
    small = lf.lmer("y ~ x + (1 | animal)", data, relationship={"animal": relationship})
    large = lf.lmer(
        "y ~ x + (1 | animal) + (1 | herd)", data, relationship={"animal": relationship}
    )
    assert lf.anova(small, large)["pvalue"].iloc[1] < 0.05
    plain = lf.lmer("y ~ x + (1 | animal) + (1 | herd)", data)
    with pytest.warns(lf.InferenceWarning, match="special case"):
        lf.anova(small, plain)


def test_exact_distribution_of_one_variance(simple, relationship):
    m = simple.design.matrices
    block = m.random[0]
    mu, xi = _eigenvalues(m, block, 0)
    Z = np.zeros((m.n_obs, block.n_levels))
    Z[np.arange(m.n_obs), block.codes] = 1.0
    Z = Z @ block.relationship
    Q, _ = np.linalg.qr(m.X)
    outside = Z - Q @ (Q.T @ Z)
    np.testing.assert_allclose(mu, np.linalg.eigvalsh(outside.T @ outside)[-len(mu) :], rtol=1e-8)
    np.testing.assert_allclose(np.sort(xi), np.linalg.eigvalsh(Z.T @ Z)[-len(xi) :], rtol=1e-8)
    assert lf.exact_rlrt(simple, n=500, seed=1).pvalue < 0.05


def test_variance_of_an_effect_is_that_of_its_rows(simple, relationship, data):
    inbreeding = np.diag(relationship.loc[data["animal"], data["animal"]])
    animal = simple.varcorr["animal"].cov_values[0, 0] * np.mean(inbreeding)
    assert simple.icc().to_frame()["variance"].iloc[0] == pytest.approx(animal, rel=1e-9)


def test_what_is_printed(fit):
    for text in (str(fit), str(fit.varcorr)):
        assert "animal: related levels" in text
        assert "herd: related" not in text


def test_saved_and_read_again(fit, rows, tmp_path):
    fit.save(tmp_path / "fit")
    again = lf.load(tmp_path / "fit")
    pd.testing.assert_series_equal(again.predict(rows), fit.predict(rows))
    fit.save(tmp_path / "small", keep_data=False)
    small = lf.load(tmp_path / "small")
    pd.testing.assert_series_equal(small.predict(rows), fit.predict(rows))
    pd.testing.assert_frame_equal(small.ranef_unobserved(), fit.ranef_unobserved())
    assert pickle.loads(pickle.dumps(fit)).objective == fit.objective


def test_check_says_nothing_wrong(fit):
    assert "outlying" not in str(fit.check())


def test_beside_correlated_residuals(relationship):
    rng = np.random.default_rng(9)
    names, n_visits = list(relationship.index[:25]), 5
    codes, visit = np.repeat(np.arange(25), n_visits), np.tile(np.arange(n_visits), 25)
    K = relationship.iloc[:25, :25].to_numpy()
    lag = np.abs(np.subtract.outer(np.arange(n_visits), np.arange(n_visits)))
    errors = rng.normal(size=(25, n_visits)) @ np.linalg.cholesky(0.6**lag).T
    y = 1.5 * (np.linalg.cholesky(K) @ rng.normal(size=25))[codes] + errors.ravel()
    table = {"y": y, "visit": visit, "animal": [names[code] for code in codes]}
    fit = lf.lmer(
        "y ~ 1 + (1 | animal)",
        table,
        residual="ar1(visit | animal)",
        relationship={"animal": relationship},
    )
    rho = float(np.ravel(fit.residual_structure.parameters())[0])
    V = fit.varcorr["animal"].cov_values[0, 0] * K[np.ix_(codes, codes)]
    V += fit.scale * np.kron(np.eye(25), rho**lag)
    ones = np.ones(len(y))
    information = ones @ np.linalg.solve(V, ones)
    residual = y - ones @ np.linalg.solve(V, y) / information
    expected = (len(y) - 1) * np.log(2.0 * np.pi) + np.linalg.slogdet(V)[1] + np.log(information)
    expected += residual @ np.linalg.solve(V, residual)
    assert fit.objective == pytest.approx(expected, abs=1e-8)


@pytest.mark.slow
def test_heritability_is_recovered():
    relationship = pedigree(700, 6)
    rng = np.random.default_rng(7)
    L = np.linalg.cholesky(relationship)
    estimates = []
    for _ in range(12):
        breeding = np.sqrt(0.4) * (L @ rng.normal(size=700))
        y = 10.0 + breeding + np.sqrt(0.6) * rng.normal(size=700)
        table = {"y": y, "animal": list(relationship.index)}
        fit = lf.lmer("y ~ 1 + (1 | animal)", table, relationship={"animal": relationship})
        additive = fit.varcorr["animal"].cov_values[0, 0]
        estimates.append(additive / (additive + fit.scale))
    spread = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - 0.4) < 4.0 * spread
    assert spread < 0.05
